//! Route A, before noise: one unit's output after another becomes clamped sums.
//!
//! Per unit, rows of the same key are **summed in i128 first and clamped then**:
//! clamping rows would let a unit with many rows add without bound. The first L0
//! keys in canonical order are kept. Integers only, no float, no randomness, so
//! the reduction of several domains is the sum of their reductions.
//!
//! The result, [`PreNoise`], can only be committed to and noised. Units without
//! output contribute 0 to every key (roster semantics, gate.md §4).

pub mod open;

use std::{collections::BTreeMap, fmt};

use sluice_domain::{Digest, Refusal, contract::TableA};

use crate::{
    intake::{Decoded, OutputSchema, RawBatch, decode},
    refusals,
};

/// Sums must stay below this for every possible dataset (gate.md §4).
const SUM_LIMIT: u128 = 1 << 62;

/// Most numbers one table may hold: what the reducer allocates before any row is seen.
const NUMBERS_MAX: usize = 1 << 22;

/// Adds up the outputs of route A, one unit at a time.
pub struct Reducer {
    table: String,
    schema: OutputSchema,
    clamps: Vec<(i64, i64)>,
    keys_per_unit: usize,
    /// Cell-major, then measure.
    sums: Vec<i128>,
    roster_size: u64,
    invocations: u64,
}

/// The exact answer of a route-A table: clamped sums in grid units. It leaves this
/// type as a keyed commitment, or through noise; nothing else reads it.
pub struct PreNoise {
    table: String,
    cells: usize,
    measures: usize,
    roster_size: u64,
    /// Cell-major, then measure; |sum| < 2⁶².
    sums: Vec<i64>,
}

impl Reducer {
    /// A reducer for `table` over a roster of `roster_size` units, each of which may
    /// put out at most `rows_max` rows.
    ///
    /// # Errors
    /// `gate.table` when the contract cannot be kept: empty ranges or domains, or a
    /// roster × M × scale of 2⁶² or more.
    pub fn new(table: &TableA, roster_size: u64, rows_max: u32) -> Result<Self, Refusal> {
        let schema = OutputSchema::of(table, rows_max)?;
        let keys_per_unit = usize::try_from(table.keys_per_unit).unwrap_or(usize::MAX);
        let well_formed = keys_per_unit > 0
            && !table.measures.is_empty()
            && table.measures.iter().all(|m| m.lo <= m.hi && m.grid > 0);
        if !well_formed {
            return Err(refusals::bad_table(
                &table.name,
                "度量范围颠倒、网格为零，或每单位键数为零",
                "a measure's range is upside down, a grid is zero, or keys_per_unit is zero",
            ));
        }
        let fits = table.measures.iter().all(|m| {
            let most = u128::from(m.lo.unsigned_abs().max(m.hi.unsigned_abs()));
            most.checked_mul(u128::from(roster_size)).is_some_and(|total| total < SUM_LIMIT)
        });
        let numbers = schema.cells().checked_mul(table.measures.len()).filter(|n| *n <= NUMBERS_MAX);
        let (true, Some(numbers)) = (fits, numbers) else { return Err(refusals::overflow(&table.name)) };
        Ok(Self {
            table: table.name.clone(),
            schema,
            clamps: table.measures.iter().map(|m| (m.lo, m.hi)).collect(),
            keys_per_unit,
            sums: vec![0; numbers],
            roster_size,
            invocations: 0,
        })
    }

    /// Adds one unit's output. `None` (a trap, exhausted fuel, a host limit) and
    /// malformed output are that unit's default: it contributes nothing.
    pub fn add(&mut self, output: Option<&RawBatch>) {
        self.invocations = self.invocations.saturating_add(1);
        if let Some(decoded) = output.and_then(|raw| decode(raw, &self.schema)) {
            self.add_decoded(&decoded);
        }
    }

    fn add_decoded(&mut self, unit: &Decoded) {
        let measures = self.clamps.len();
        let mut keys: BTreeMap<usize, Vec<i128>> = BTreeMap::new();
        for (row, cell) in unit.cells.iter().enumerate() {
            let Some(cell) = cell else { continue };
            let sums = keys.entry(*cell).or_insert_with(|| vec![0; measures]);
            for (sum, values) in sums.iter_mut().zip(&unit.values) {
                // At most 2³² rows of at most 2⁶³ each: far inside i128.
                *sum += values.get(row).copied().flatten().map_or(0, i128::from);
            }
        }
        for (cell, sums) in keys.into_iter().take(self.keys_per_unit) {
            let slots = self.sums.iter_mut().skip(cell * measures);
            for ((slot, sum), (lo, hi)) in slots.zip(sums).zip(&self.clamps) {
                *slot += sum.clamp(i128::from(*lo), i128::from(*hi));
            }
        }
    }

    /// The exact answer.
    ///
    /// # Errors
    /// `gate.host-fault` when more invocations were added than the roster has
    /// units: then the bound that the noise rests on would not hold.
    pub fn finish(self) -> Result<PreNoise, Refusal> {
        let fault = || {
            refusals::host_fault(
                &self.table,
                "调用次数超过名册所列单位数",
                "there were more invocations than units on the roster",
            )
        };
        if self.invocations > self.roster_size {
            return Err(fault());
        }
        let Self { table, sums, roster_size, .. } = self;
        PreNoise::collect(&table, self.schema.cells(), self.clamps.len(), roster_size, &sums)
    }

    /// Takes up what another reducer of the same table added: sums do not mind in
    /// which room a unit was.
    ///
    /// # Errors
    /// `gate.host-fault` when it is of another table.
    pub fn merge(mut self, other: Self) -> Result<Self, Refusal> {
        if self.table != other.table || self.sums.len() != other.sums.len() || self.roster_size != other.roster_size {
            return Err(refusals::host_fault(&self.table, "合并的不是同一张表", "another table's sums"));
        }
        self.invocations = self.invocations.saturating_add(other.invocations);
        self.sums.iter_mut().zip(other.sums).for_each(|(a, b)| *a += b);
        Ok(self)
    }
}

impl PreNoise {
    /// The exact answer to `table` over `invocations` calls (units, or blocks).
    pub(crate) fn of(table: &TableA, invocations: u64, sums: &[i128]) -> Result<Self, Refusal> {
        let cells = table.cells().ok_or_else(|| refusals::overflow(&table.name))?;
        Self::collect(&table.name, cells, table.measures.len(), invocations, sums)
    }

    fn collect(table: &str, cells: usize, measures: usize, roster_size: u64, sums: &[i128]) -> Result<Self, Refusal> {
        let sums = sums.iter().map(|sum| i64::try_from(*sum)).collect::<Result<_, _>>();
        let sums = sums.map_err(|_| refusals::overflow(table))?;
        Ok(Self { table: table.to_owned(), cells, measures, roster_size, sums })
    }

    /// Commits to the answer with a keyed function. The only way out besides noise:
    /// a replay must reach the same commitment, and nobody sees a value.
    pub fn commitment(&self, commit: &dyn Fn(&[u8]) -> Digest) -> Digest {
        let mut bytes =
            format!("sluice pre-noise v1\n{}\n{}\n{}\n{}\n", self.table, self.roster_size, self.cells, self.measures)
                .into_bytes();
        bytes.extend(self.sums.iter().flat_map(|sum| sum.to_le_bytes()));
        commit(&bytes)
    }

    /// Whether this is the answer to `table` over a roster of `roster_size` units.
    pub(crate) fn answers(&self, table: &TableA, roster_size: u64) -> bool {
        self.table == table.name && self.roster_size == roster_size && self.fits(table)
    }

    /// Whether the shape is that of `table`.
    pub(crate) fn fits(&self, table: &TableA) -> bool {
        table.cells() == Some(self.cells) && table.measures.len() == self.measures
    }

    /// The sums, for the noise alone.
    pub(crate) fn sums(&self) -> &[i64] {
        &self.sums
    }
}

impl fmt::Debug for Reducer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reducer({}, sums withheld)", self.table)
    }
}

impl fmt::Debug for PreNoise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PreNoise({}, sums withheld)", self.table)
    }
}

#[cfg(test)]
mod tests;
