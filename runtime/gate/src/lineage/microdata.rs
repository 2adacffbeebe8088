//! The rows of one snapshot as lineage needs them: whose each row is, and the values
//! of its measure columns. Any set of rows can be judged as if it were a cell.
//!
//! Rows are numbered from 0 in canonical order, a unit's rows adjacent. Nothing here
//! prints or serialises them.

use std::fmt;

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
}

impl Microdata {
    /// Rows in canonical order: `units` numbers each row's unit, ascending; `columns`
    /// hold one entry per row, `None` where the value is missing; `key` maps a row's
    /// number to its 128-bit keyed value.
    pub fn new(units: Vec<u32>, columns: Vec<Vec<Option<f64>>>, key: impl Fn(u64) -> u128) -> Self {
        let hashes = (0u64..).take(units.len()).map(key).collect();
        Self { units, hashes, columns }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.units.len()
    }

    /// The rows of `rows` that have a value in `column`.
    pub fn valued(&self, rows: &RoaringBitmap, column: usize) -> RoaringBitmap {
        let Some(values) = self.columns.get(column) else { return RoaringBitmap::new() };
        let has = |row: &u32| values.get(*row as usize).copied().flatten().is_some();
        rows.iter().filter(has).collect()
    }

    /// Distinct units with a row in `rows`.
    pub fn units(&self, rows: &RoaringBitmap) -> u64 {
        let mut last = None;
        let units = rows.iter().filter_map(|row| self.units.get(row as usize));
        units.filter(|unit| last.replace(**unit) != Some(**unit)).count() as u64
    }

    /// Every unit of `rows` by the first row that it has in the snapshot, so that sets
    /// of units can be compared however many rows each has here or there.
    pub fn first_rows(&self, rows: &RoaringBitmap) -> RoaringBitmap {
        let mut last = None;
        let units = rows.iter().filter_map(|row| self.units.get(row as usize));
        let units = units.filter(|unit| last.replace(**unit) != Some(**unit));
        units.filter_map(|unit| u32::try_from(self.units.partition_point(|u| u < unit)).ok()).collect()
    }

    /// The statistics of `rows` taken as one cell, one entry per column asked for;
    /// `n` of the dominance rule.
    pub fn stats(&self, rows: &RoaringBitmap, columns: &[Option<usize>], n: usize) -> CellStats {
        let measure = |column: &Option<usize>| {
            column.and_then(|c| self.columns.get(c)).map_or_else(MeasureStats::default, |c| self.measure(rows, c, n))
        };
        CellStats { rows: rows.len(), units: self.units(rows), measures: columns.iter().map(measure).collect() }
    }

    fn measure(&self, rows: &RoaringBitmap, values: &[Option<f64>], n: usize) -> MeasureStats {
        let mut sums: Vec<(u32, Sum)> = Vec::new();
        let (mut count, mut any_negative) = (0, false);
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
        let mut contributions: Vec<f64> = sums.iter().map(|(_, sum)| sum.value()).collect();
        contributions.sort_by(|a, b| b.abs().total_cmp(&a.abs()));
        let at = |i: usize| contributions.get(i).copied().unwrap_or(0.0);
        let total = |terms: &mut dyn Iterator<Item = f64>| terms.collect::<Sum>().value();
        MeasureStats {
            count,
            units: contributions.len() as u64,
            sum: total(&mut contributions.iter().copied()),
            abs_sum: total(&mut contributions.iter().map(|x| x.abs())),
            top: [at(0), at(1)],
            top_n_sum: total(&mut contributions.iter().take(n).copied()),
            any_negative,
            all_same: contributions.first().is_some_and(|x| contributions.iter().all(|y| y == x)),
        }
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

impl fmt::Debug for Microdata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Microdata(withheld)")
    }
}
