//! The rows of one snapshot as lineage needs them: whose each row is, and the values
//! of its measure columns. Any set of rows can be judged as if it were a cell.
//!
//! Rows are numbered from 0 in canonical order, a unit's rows adjacent. Nothing here
//! prints or serialises them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use roaring::RoaringBitmap;
use sluice_rows::{
    cells::{CellStats, MeasureStats},
    sum::Sum,
};

/// A keyed digest of a set of rows: the XOR of one 128-bit value per row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct SetHash(pub u128);

/// Rows, whose they are, and what they hold.
pub struct Microdata {
    units: Vec<u32>,
    hashes: Vec<u128>,
    columns: Vec<Vec<Option<f64>>>,
    /// Columns for which a unit whose contribution is zero does not count, and the
    /// columns that each may be computed from.
    derived: BTreeMap<usize, BTreeSet<usize>>,
}

impl Microdata {
    /// Rows in canonical order: `units` numbers each row's unit, ascending; `columns`
    /// hold one entry per row, `None` where the value is missing; `key` maps a row's
    /// number to its 128-bit keyed value.
    pub fn new(units: Vec<u32>, columns: Vec<Vec<Option<f64>>>, key: impl Fn(u64) -> u128) -> Self {
        let hashes = (0u64..).take(units.len()).map(key).collect();
        Self { units, hashes, columns, derived: BTreeMap::new() }
    }

    /// With these columns taken as derived measures, each with the columns that have
    /// part in it.
    #[must_use]
    pub fn deriving(self, derived: BTreeMap<usize, BTreeSet<usize>>) -> Self {
        Self { derived, ..self }
    }

    /// Whether one of two columns has part in the other, or both may share a part.
    pub(super) fn related(&self, a: usize, b: usize) -> bool {
        let part = |of: usize, other: usize| self.derived.get(&of).is_some_and(|parts| parts.contains(&other));
        part(a, b) || part(b, a) || (self.derived.contains_key(&a) && self.derived.contains_key(&b))
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.units.len()
    }

    /// The rows of `rows` that have a value in `column`; all of them where the run does
    /// not read that column.
    pub fn valued(&self, rows: &RoaringBitmap, column: usize) -> RoaringBitmap {
        if self.columns.get(column).is_none() {
            return rows.clone();
        }
        rows.iter().filter(|row| self.has_value(*row, column)).collect()
    }

    /// Whether a row has a value in `column`.
    pub(super) fn has_value(&self, row: u32, column: usize) -> bool {
        let value = self.columns.get(column).and_then(|values| values.get(row as usize));
        value.is_some_and(Option::is_some)
    }

    /// Whether the column has a negative value anywhere in `rows`.
    pub(super) fn any_negative(&self, rows: &RoaringBitmap, column: usize) -> bool {
        let Some(values) = self.columns.get(column) else { return true };
        rows.iter().any(|row| values.get(row as usize).copied().flatten().is_some_and(|v| v < 0.0))
    }

    /// Distinct units with a row in `rows`.
    pub fn units(&self, rows: &RoaringBitmap) -> u64 {
        let mut last = None;
        let units = rows.iter().filter_map(|row| self.units.get(row as usize));
        units.filter(|unit| last.replace(**unit) != Some(**unit)).count() as u64
    }

    /// The units of `rows`.
    pub(super) fn unit_set(&self, rows: &RoaringBitmap) -> RoaringBitmap {
        rows.iter().filter_map(|row| self.units.get(row as usize).copied()).collect()
    }

    /// Every unit of `rows` by the first row that it has in the snapshot, so that sets
    /// of units can be compared however many rows each has here or there.
    pub fn first_rows(&self, rows: &RoaringBitmap) -> RoaringBitmap {
        self.by_unit(rows).into_iter().map(|(first, _)| first).collect()
    }

    /// Every unit of `rows` by as many of its first rows in the snapshot as it has in
    /// `rows`: as many rows as there are in `rows`, and with [`Self::first_rows`] inside
    /// them. What is left without those are the rows beyond one for each unit.
    pub fn stairs(&self, rows: &RoaringBitmap) -> RoaringBitmap {
        self.by_unit(rows).into_iter().flat_map(|(first, count)| first..first.saturating_add(count)).collect()
    }

    /// Of every unit in `rows`, its first row in the snapshot and how many it has in `rows`.
    fn by_unit(&self, rows: &RoaringBitmap) -> Vec<(u32, u32)> {
        let mut counts: Vec<(u32, u32)> = Vec::new();
        for unit in rows.iter().filter_map(|row| self.units.get(row as usize)) {
            match counts.last_mut() {
                Some((open, count)) if open == unit => *count += 1,
                _ => counts.push((*unit, 1)),
            }
        }
        let first = |unit: u32| u32::try_from(self.units.partition_point(|u| *u < unit)).ok();
        counts.into_iter().filter_map(|(unit, count)| Some((first(unit)?, count))).collect()
    }

    /// By how much each unit's contribution to `column` (its number of rows without one)
    /// differs between two sets of rows, as the statistics of a cell of sizes; units that
    /// do not differ are not in it.
    pub(super) fn change(
        &self,
        from: &RoaringBitmap,
        to: &RoaringBitmap,
        column: Option<usize>,
        n: usize,
    ) -> MeasureStats {
        let mut sums: BTreeMap<u32, Sum> = BTreeMap::new();
        for (rows, sign) in [(from - to, -1.0), (to - from, 1.0)] {
            for row in rows {
                let at = row as usize;
                let value = column.map_or(Some(1.0), |c| self.columns.get(c)?.get(at).copied().flatten());
                if let (Some(unit), Some(value)) = (self.units.get(at), value) {
                    sums.entry(*unit).or_default().add(sign * value);
                }
            }
        }
        let changes = sums.into_values().map(|sum| sum.value().abs()).filter(|size| *size > 0.0);
        statistics(changes.collect(), n)
    }

    /// The statistics of `rows` taken as one cell, one entry per column asked for;
    /// `n` of the dominance rule.
    pub fn stats(&self, rows: &RoaringBitmap, columns: &[Option<usize>], n: usize) -> CellStats {
        let measure = |column: &Option<usize>| column.map_or_else(MeasureStats::default, |c| self.measure(rows, c, n));
        CellStats { rows: rows.len(), units: self.units(rows), measures: columns.iter().map(measure).collect() }
    }

    fn measure(&self, rows: &RoaringBitmap, column: usize, n: usize) -> MeasureStats {
        let mut sums: Vec<(u32, Sum)> = Vec::new();
        let (mut count, mut any_negative) = (0, false);
        let Some(values) = self.columns.get(column) else { return MeasureStats::default() };
        for row in rows {
            let at = row as usize;
            let (Some(unit), Some(Some(value))) = (self.units.get(at), values.get(at)) else { continue };
            count += 1;
            any_negative |= *value < 0.0;
            match sums.last_mut() {
                Some((open, sum)) if open == unit => sum.add(*value),
                _ => sums.push((*unit, Sum::from_iter([*value]))),
            }
        }
        let skips = self.derived.contains_key(&column);
        let contributions = sums.iter().map(|(_, sum)| sum.value()).filter(|x| !skips || *x != 0.0);
        MeasureStats { count, any_negative, ..statistics(contributions.collect(), n) }
    }

    /// The keyed digest of `rows`, and of each of `blocks` parts of them: a unit lies
    /// in one part, so two sets that differ in fewer units than there are parts agree
    /// on at least one of them.
    pub(super) fn sketch(&self, rows: &RoaringBitmap, blocks: usize) -> (SetHash, Box<[u32]>) {
        let mut whole = 0u128;
        let mut parts = vec![0u32; blocks];
        for row in rows {
            let at = row as usize;
            let (Some(unit), Some(hash)) = (self.units.get(at), self.hashes.get(at)) else { continue };
            whole ^= hash;
            let part = (*unit as usize).checked_rem(blocks).and_then(|i| parts.get_mut(i));
            if let Some(part) = part {
                #[expect(clippy::cast_possible_truncation, reason = "a fingerprint")]
                let fingerprint = (hash >> 64) as u32;
                *part ^= fingerprint;
            }
        }
        (SetHash(whole), parts.into_boxed_slice())
    }
}

/// The statistics of one contribution per unit.
fn statistics(mut contributions: Vec<f64>, n: usize) -> MeasureStats {
    contributions.sort_by(|a, b| b.abs().total_cmp(&a.abs()));
    let at = |i: usize| contributions.get(i).copied().unwrap_or(0.0);
    let total = |terms: &mut dyn Iterator<Item = f64>| terms.collect::<Sum>().value();
    MeasureStats {
        count: contributions.len() as u64,
        units: contributions.len() as u64,
        sum: total(&mut contributions.iter().copied()),
        abs_sum: total(&mut contributions.iter().map(|x| x.abs())),
        top: [at(0), at(1)],
        top_n_sum: total(&mut contributions.iter().take(n).copied()),
        any_negative: contributions.iter().any(|x| *x < 0.0),
        all_same: contributions.first().is_some_and(|x| contributions.iter().all(|y| y == x)),
    }
}

impl fmt::Debug for Microdata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Microdata(withheld)")
    }
}
