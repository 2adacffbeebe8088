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
use sluice_domain::contract::Aggregate;
use sluice_rows::{
    cells::{CellStats, MeasureStats, Squares, Zeros},
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
    zeros: Vec<Zeros>,
    /// Of every derived measure, the columns that have part in it.
    parts: BTreeMap<usize, BTreeSet<usize>>,
}

impl Microdata {
    /// Rows in canonical order: `units` numbers each row's unit, ascending; `columns`
    /// hold one entry per row, `None` where the value is missing; `key` maps a row's
    /// number to its 128-bit keyed value.
    pub fn new(units: Vec<u32>, columns: Vec<Vec<Option<f64>>>, key: impl Fn(u64) -> u128) -> Self {
        let hashes = (0u64..).take(units.len()).map(key).collect();
        let zeros = vec![Zeros::Count; columns.len()];
        Self { units, hashes, columns, zeros, parts: BTreeMap::new() }
    }

    /// The same where a unit whose contribution to a column is zero may not count.
    #[must_use]
    pub fn with_zeros(self, zeros: Vec<Zeros>) -> Self {
        Self { zeros, ..self }
    }

    /// The same with derived measures, each with the columns that have part in it.
    #[must_use]
    pub fn deriving(self, parts: BTreeMap<usize, BTreeSet<usize>>) -> Self {
        Self { parts, ..self }
    }

    /// Whether one of two columns has part in the other, or both may share a part.
    pub(super) fn related(&self, a: usize, b: usize) -> bool {
        let part = |of: usize, other: usize| self.parts.get(&of).is_some_and(|parts| parts.contains(&other));
        part(a, b) || part(b, a) || (self.parts.contains_key(&a) && self.parts.contains_key(&b))
    }

    /// The number of a row's unit.
    pub(crate) fn unit_of(&self, row: u32) -> Option<u32> {
        self.units.get(row as usize).copied()
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
    /// differs between two sets of rows, `of` each of its values added up: the sizes of the
    /// differences that are not zero, taken as a cell's contributions.
    pub(super) fn change(
        &self,
        (from, to): (&RoaringBitmap, &RoaringBitmap),
        column: Option<usize>,
        of: impl Fn(f64) -> f64,
        n: usize,
    ) -> MeasureStats {
        let mut sums: BTreeMap<u32, Sum> = BTreeMap::new();
        for (rows, sign) in [(from - to, -1.0), (to - from, 1.0)] {
            for row in rows {
                let at = row as usize;
                let value = column.map_or(Some(1.0), |c| self.columns.get(c)?.get(at).copied().flatten());
                if let (Some(unit), Some(value)) = (self.units.get(at), value) {
                    sums.entry(*unit).or_default().add(sign * of(value));
                }
            }
        }
        let sizes = sums.into_values().map(|sum| sum.value().abs()).filter(|size| *size > 0.0);
        let mut sizes: Vec<f64> = sizes.collect();
        let (top, top_n_sum) = largest(&mut sizes, n);
        let (units, sum) = (sizes.len() as u64, total(sizes.iter().copied()));
        let all_same = all_same(&sizes);
        MeasureStats { count: units, units, sum, abs_sum: sum, top, top_n_sum, all_same, ..MeasureStats::default() }
    }

    /// The statistics of `rows` taken as one cell, one entry per column asked for;
    /// `n` of the dominance rule.
    pub fn stats(&self, rows: &RoaringBitmap, columns: &[Option<usize>], n: usize) -> CellStats {
        let measure =
            |column: &Option<usize>| column.map_or_else(MeasureStats::default, |c| self.measure(rows, c, n).0);
        CellStats { rows: rows.len(), units: self.units(rows), measures: columns.iter().map(measure).collect() }
    }

    /// The statistics of one `aggregate` over `rows`, with what only it needs.
    pub(crate) fn stats_for(
        &self,
        aggregate: Aggregate,
        rows: &RoaringBitmap,
        column: Option<usize>,
        n: usize,
    ) -> (CellStats, MeasureStats) {
        let cell = CellStats { rows: rows.len(), units: self.units(rows), measures: Vec::new() };
        let Some(column) = column else { return (cell, MeasureStats::default()) };
        let (mut measure, mut contributions) = self.measure(rows, column, n);
        if aggregate.is_spread() {
            measure.squares = Some(self.squares(rows, column, &measure, n));
        }
        if let Aggregate::Quantile(quantile) = aggregate {
            contributions.sort_unstable_by(f64::total_cmp);
            measure.quantile = quantile.of_sorted(&contributions);
        }
        (cell, measure)
    }

    fn measure(&self, rows: &RoaringBitmap, column: usize, n: usize) -> (MeasureStats, Vec<f64>) {
        let mut any_negative = false;
        let mut count = 0;
        let mut contributions = self.contributions(rows, column, |x| {
            count += 1;
            any_negative |= x < 0.0;
            x
        });
        if self.zeros.get(column) == Some(&Zeros::Skip) {
            contributions.retain(|x| *x != 0.0);
        }
        let (top, top_n_sum) = largest(&mut contributions, n);
        let measure = MeasureStats {
            count,
            units: contributions.len() as u64,
            sum: total(contributions.iter().copied()),
            abs_sum: total(contributions.iter().map(|x| x.abs())),
            top,
            top_n_sum,
            any_negative,
            all_same: all_same(&contributions),
            squares: None,
            quantile: None,
        };
        (measure, contributions)
    }

    fn squares(&self, rows: &RoaringBitmap, column: usize, of: &MeasureStats, n: usize) -> Squares {
        #[expect(clippy::cast_precision_loss, reason = "a number of rows")]
        let mean = of.sum / (of.count.max(1)) as f64;
        let deviations = total(self.contributions(rows, column, |x| (x - mean) * (x - mean)).into_iter());
        let mut contributions = self.contributions(rows, column, |x| x * x);
        let (top, top_n_sum) = largest(&mut contributions, n);
        let sum = total(contributions.iter().copied());
        Squares { sum, top, top_n_sum, all_same: all_same(&contributions), deviations }
    }

    /// What each unit of `rows` with a value comes to, `of` each of its values added up.
    fn contributions(&self, rows: &RoaringBitmap, column: usize, mut of: impl FnMut(f64) -> f64) -> Vec<f64> {
        let Some(values) = self.columns.get(column) else { return Vec::new() };
        let mut sums: Vec<(u32, Sum)> = Vec::new();
        for row in rows {
            let at = row as usize;
            let (Some(unit), Some(Some(value))) = (self.units.get(at), values.get(at)) else { continue };
            let value = of(*value);
            match sums.last_mut() {
                Some((open, sum)) if open == unit => sum.add(value),
                _ => sums.push((*unit, Sum::from_iter([value]))),
            }
        }
        sums.into_iter().map(|(_, sum)| sum.value()).collect()
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

fn total(terms: impl Iterator<Item = f64>) -> f64 {
    terms.collect::<Sum>().value()
}

/// Sorts contributions by size, of one size the positive first; the two largest, and the sum of the `n` largest.
fn largest(contributions: &mut [f64], n: usize) -> ([f64; 2], f64) {
    contributions.sort_by(|a, b| b.abs().total_cmp(&a.abs()).then(b.total_cmp(a)));
    let at = |i: usize| contributions.get(i).copied().unwrap_or(0.0);
    ([at(0), at(1)], total(contributions.iter().take(n).copied()))
}

fn all_same(contributions: &[f64]) -> bool {
    contributions.first().is_some_and(|x| contributions.iter().all(|y| y == x))
}

impl fmt::Debug for Microdata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Microdata(withheld)")
    }
}
