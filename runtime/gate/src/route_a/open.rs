//! Route A with keys that nobody declared: the guest names them, as text or whole
//! numbers, and a key stays unknown to everybody unless enough units share it.
//!
//! As with declared keys, a unit's rows of one key are summed first and clamped then,
//! and its first L0 keys in canonical order are kept. Beside the measures the host
//! counts the **units** of each key: that count alone decides which keys are released
//! ([`crate::noise::open`]). A key is hostile text: at most [`KEY_BYTES_MAX`] bytes
//! and nothing invisible, or its row counts for nothing.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

use sluice_domain::{
    Digest, Refusal,
    catalogue::Key,
    contract::{KeyKind, OpenTable},
    visible::is_invisible,
};

use super::SUM_LIMIT;
use crate::{
    intake::{RawBatch, texts, to_grid, words},
    refusals,
};

/// Longest text key, bytes of UTF-8.
pub const KEY_BYTES_MAX: usize = 64;

/// Most numbers one table may come to hold: roster × L0 × (measures + 1).
const NUMBERS_MAX: u64 = 1 << 24;

/// What one key has come to.
#[derive(Clone, Default)]
pub(crate) struct Total {
    /// Units that put out the key.
    pub(crate) units: i64,
    /// Per measure, grid units.
    pub(crate) sums: Vec<i128>,
}

/// Adds up the outputs of one open table, one unit at a time.
pub struct Reducer {
    table: OpenTable,
    rows_max: u32,
    roster_size: u64,
    invocations: u64,
    totals: HashMap<Key, Total>,
}

/// The exact answer of an open table: leaves as a keyed commitment, or through noise.
pub struct PreNoise {
    table: String,
    roster_size: u64,
    totals: BTreeMap<Key, Total>,
}

impl Reducer {
    /// A reducer for `table` over a roster of `roster_size` units, each of which may
    /// put out at most `rows_max` rows.
    ///
    /// # Errors
    /// `gate.table` when a range is upside down, L0 is zero, or roster × L0 keys or
    /// roster × M × scale are beyond the limits.
    pub fn new(table: &OpenTable, roster_size: u64, rows_max: u32) -> Result<Self, Refusal> {
        if table.keys_per_unit == 0 || table.measures.iter().any(|m| m.lo > m.hi || m.grid == 0) {
            return Err(refusals::bad_table(
                &table.name,
                "度量范围颠倒、网格为零，或每单位键数为零",
                "a measure's range is upside down, a grid is zero, or keys_per_unit is zero",
            ));
        }
        let columns = u64::try_from(table.measures.len()).unwrap_or(u64::MAX).saturating_add(1);
        let numbers = roster_size.saturating_mul(u64::from(table.keys_per_unit)).saturating_mul(columns);
        let fits = table.measures.iter().all(|m| {
            let most = u128::from(m.lo.unsigned_abs().max(m.hi.unsigned_abs()));
            most.checked_mul(u128::from(roster_size)).is_some_and(|total| total < SUM_LIMIT)
        });
        if !fits || numbers > NUMBERS_MAX {
            return Err(refusals::overflow(&table.name));
        }
        Ok(Self { table: table.clone(), rows_max, roster_size, invocations: 0, totals: HashMap::new() })
    }

    /// Adds one unit's output; `None` and malformed output contribute nothing.
    pub fn add(&mut self, output: Option<&RawBatch>) {
        self.invocations = self.invocations.saturating_add(1);
        let Some(unit) = output.and_then(|raw| self.decode(raw)) else { return };
        for (key, sums) in unit.into_iter().take(usize::try_from(self.table.keys_per_unit).unwrap_or(usize::MAX)) {
            let total = self.totals.entry(key).or_default();
            total.units += 1;
            total.sums.resize(self.table.measures.len(), 0);
            for ((slot, sum), m) in total.sums.iter_mut().zip(sums).zip(&self.table.measures) {
                *slot += sum.clamp(i128::from(m.lo), i128::from(m.hi));
            }
        }
    }

    /// One unit's keys in canonical order, with its sums before the clamp.
    fn decode(&self, raw: &RawBatch) -> Option<BTreeMap<Key, Vec<i128>>> {
        let rows = usize::try_from(raw.rows).ok()?;
        let (key, measures) = raw.columns.split_first()?;
        if raw.rows > self.rows_max || measures.len() != self.table.measures.len() {
            return None;
        }
        let keys: Vec<Option<Key>> = match self.table.keys {
            KeyKind::Int => words(key, rows)?.map(|word| Some(Key::Int(i64::from_le_bytes(word?)))).collect(),
            KeyKind::Text => texts(key, rows)?
                .into_iter()
                .map(|text| text.filter(|t| presentable(t)).map(|t| Key::Text(t.to_owned())))
                .collect(),
        };
        let mut unit: BTreeMap<Key, Vec<i128>> = BTreeMap::new();
        for key in keys.iter().flatten() {
            unit.entry(key.clone()).or_insert_with(|| vec![0; measures.len()]);
        }
        for (at, (column, m)) in measures.iter().zip(&self.table.measures).enumerate() {
            for (word, key) in words(column, rows)?.zip(&keys) {
                let Some(slot) = key.as_ref().and_then(|k| unit.get_mut(k)).and_then(|sums| sums.get_mut(at)) else {
                    continue;
                };
                *slot += word.and_then(|word| to_grid(f64::from_le_bytes(word), m.grid)).map_or(0, i128::from);
            }
        }
        Some(unit)
    }

    /// Takes up what another reducer of the same table added: units and sums add up,
    /// key by key.
    ///
    /// # Errors
    /// `gate.host-fault` when it is of another table.
    pub fn merge(mut self, other: Self) -> Result<Self, Refusal> {
        if self.table != other.table || self.roster_size != other.roster_size {
            return Err(refusals::host_fault(&self.table.name, "合并的不是同一张表", "another table's sums"));
        }
        self.invocations = self.invocations.saturating_add(other.invocations);
        for (key, theirs) in other.totals {
            let total = self.totals.entry(key).or_default();
            total.units += theirs.units;
            total.sums.resize(self.table.measures.len(), 0);
            total.sums.iter_mut().zip(theirs.sums).for_each(|(a, b)| *a += b);
        }
        Ok(self)
    }

    /// The exact answer.
    ///
    /// # Errors
    /// `gate.host-fault` when more invocations were added than the roster has units.
    pub fn finish(self) -> Result<PreNoise, Refusal> {
        if self.invocations > self.roster_size {
            return Err(refusals::host_fault(
                &self.table.name,
                "调用次数超过名册所列单位数",
                "there were more invocations than units on the roster",
            ));
        }
        let totals = self.totals.into_iter().collect();
        Ok(PreNoise { table: self.table.name, roster_size: self.roster_size, totals })
    }
}

impl PreNoise {
    /// Commits to the answer with a keyed function; see [`super::PreNoise::commitment`].
    pub fn commitment(&self, commit: &dyn Fn(&[u8]) -> Digest) -> Digest {
        let head = format!("sluice open pre-noise v1\n{}\n{}\n{}\n", self.table, self.roster_size, self.totals.len());
        let mut bytes = head.into_bytes();
        for (key, total) in &self.totals {
            let (kind, text) = match key {
                Key::Int(n) => (b'i', n.to_string()),
                Key::Text(text) => (b't', text.clone()),
            };
            bytes.push(kind);
            bytes.extend(u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes());
            bytes.extend(text.as_bytes());
            bytes.extend(total.units.to_le_bytes());
            bytes.extend(total.sums.iter().flat_map(|sum| sum.to_le_bytes()));
        }
        commit(&bytes)
    }

    /// Whether this is an answer to `table`.
    pub(crate) fn fits(&self, table: &OpenTable) -> bool {
        self.table == table.name && self.totals.values().all(|t| t.sums.len() == table.measures.len())
    }

    /// Whether this is the answer to `table` over a roster of `roster_size` units.
    pub(crate) fn answers(&self, table: &OpenTable, roster_size: u64) -> bool {
        self.roster_size == roster_size && self.fits(table)
    }

    /// The totals by key, for the noise alone.
    pub(crate) fn into_totals(self) -> BTreeMap<Key, Total> {
        self.totals
    }
}

/// Short, not empty, and every character visible.
pub(crate) fn presentable(text: &str) -> bool {
    !text.is_empty() && text.len() <= KEY_BYTES_MAX && !text.chars().any(is_invisible)
}

impl fmt::Debug for Reducer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reducer({}, keys and sums withheld)", self.table.name)
    }
}

impl fmt::Debug for PreNoise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PreNoise({}, keys and sums withheld)", self.table)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use sluice_domain::contract::{Law, MeasureA};

    use super::*;
    use crate::fixtures::{float_column, output, text_column};

    pub(crate) fn open_table(keys: KeyKind, measures: usize, keys_per_unit: u32) -> OpenTable {
        let measure = |i| MeasureA { name: format!("m{i}"), lo: 0, hi: 10, grid: 1 };
        OpenTable {
            name: "open".into(),
            key: "key".into(),
            title: "key".into(),
            keys,
            measures: (0..measures).map(measure).collect(),
            keys_per_unit,
            law: Law::Gaussian,
            rho: 0.05,
            delta: 1e-7,
        }
    }

    fn totals(table: &OpenTable, units: &[RawBatch]) -> Vec<(Key, i64, Vec<i128>)> {
        let mut reducer = Reducer::new(table, 100, 8).unwrap();
        units.iter().for_each(|unit| reducer.add(Some(unit)));
        reducer.finish().unwrap().into_totals().into_iter().map(|(k, t)| (k, t.units, t.sums)).collect()
    }

    #[test]
    fn a_unit_counts_once_a_key_and_is_clamped_after_the_sum() {
        let table = open_table(KeyKind::Int, 1, 2);
        let unit = output(&[(7, &[6.0]), (7, &[6.0]), (5, &[-3.0]), (9, &[1.0])]);
        // 9 is beyond L0 = 2; 6 + 6 is clamped to 10, −3 to 0.
        let both = totals(&table, &[unit, output(&[(7, &[1.0])])]);
        assert_eq!(both, [(Key::Int(5), 1, vec![0]), (Key::Int(7), 2, vec![11])]);
    }

    #[test]
    fn merging_adds_units_and_sums_key_by_key() {
        let table = open_table(KeyKind::Int, 1, 2);
        let room = |units: &[RawBatch]| {
            let mut reducer = Reducer::new(&table, 3, 8).unwrap();
            units.iter().for_each(|unit| reducer.add(Some(unit)));
            reducer
        };
        let (a, b, c) = (output(&[(7, &[6.0])]), output(&[(7, &[3.0]), (8, &[1.0])]), output(&[(8, &[2.0])]));
        let two = room(&[a]).merge(room(&[b])).unwrap();
        let both = two.merge(room(&[c])).unwrap().finish().unwrap().into_totals();
        let both: Vec<_> = both.into_iter().map(|(k, t)| (k, t.units, t.sums)).collect();
        assert_eq!(both, [(Key::Int(7), 2, vec![9]), (Key::Int(8), 2, vec![3])]);
        let other = Reducer::new(&open_table(KeyKind::Text, 1, 2), 3, 8).unwrap();
        assert_eq!(room(&[]).merge(other).unwrap_err().code, "gate.host-fault");
    }

    #[test]
    fn hostile_keys_count_for_nothing() {
        let table = open_table(KeyKind::Text, 0, 8);
        let long = "x".repeat(KEY_BYTES_MAX + 1);
        let keys = ["flu", "", "a\u{202e}b", "a\u{200b}", "tab\t", &long, "流感"];
        let unit = RawBatch { rows: 7, columns: vec![text_column(&keys)] };
        let kept: Vec<Key> = totals(&table, &[unit]).into_iter().map(|(key, ..)| key).collect();
        assert_eq!(kept, [Key::Text("flu".into()), Key::Text("流感".into())]);
        // Malformed as a whole: a column too many.
        let unit = RawBatch { rows: 1, columns: vec![text_column(&["flu"]), float_column(&[1.0])] };
        assert!(totals(&table, &[unit]).is_empty());
    }

    #[test]
    fn contracts_beyond_the_limits_are_refused() {
        let fails = |t: &OpenTable, roster| Reducer::new(t, roster, 8).unwrap_err().code == "gate.table";
        assert!(fails(&open_table(KeyKind::Int, 1, 0), 10));
        assert!(fails(&open_table(KeyKind::Int, 1, 1 << 20), 10));
        let mut table = open_table(KeyKind::Int, 1, 1);
        table.measures[0].hi = i64::MAX;
        assert!(fails(&table, 2));
    }

    #[test]
    fn commitments_tell_keys_counts_and_sums_apart() {
        let table = open_table(KeyKind::Int, 1, 2);
        let commit = |units: &[RawBatch]| {
            let mut reducer = Reducer::new(&table, 100, 8).unwrap();
            units.iter().for_each(|unit| reducer.add(Some(unit)));
            reducer.finish().unwrap().commitment(&Digest::of)
        };
        let a = commit(&[output(&[(7, &[6.0])])]);
        assert_eq!(a, commit(&[output(&[(7, &[3.0]), (7, &[3.0])])]));
        for other in [output(&[(8, &[6.0])]), output(&[(7, &[5.0])]), output(&[(7, &[6.0]), (8, &[0.0])])] {
            assert_ne!(a, commit(&[other]));
        }
    }
}
