//! One cell's accumulator: exact counts of units and the largest contributions, in one
//! pass over rows that are sorted by unit.
//!
//! It holds the running sum of the current unit only; when the unit changes, that sum
//! is folded in as one contribution. So a unit counts once however many rows it has,
//! and dominance is judged on people, not on rows.

use sluice_rows::{
    cells::{CellStats, MeasureStats},
    sum::Sum,
};

/// Accumulates one cell: inner or margin alike.
pub(crate) struct CellFold {
    rows: u64,
    units: u64,
    open: Option<u64>,
    measures: Vec<MeasureFold>,
}

impl CellFold {
    /// An empty cell with these measure columns, keeping the `largest` contributions.
    pub(crate) fn new(columns: &[Zeros], largest: usize) -> Self {
        let measures = columns.iter().map(|zeros| MeasureFold::new(*zeros, largest)).collect();
        Self { rows: 0, units: 0, open: None, measures }
    }

    /// Takes one row of `unit`: its value in each measure column, if it has one.
    pub(crate) fn row(&mut self, unit: u64, values: impl Iterator<Item = Option<f64>>) {
        if self.open != Some(unit) {
            self.measures.iter_mut().for_each(MeasureFold::close);
            self.open = Some(unit);
            self.units += 1;
        }
        self.rows += 1;
        for (measure, value) in self.measures.iter_mut().zip(values) {
            if let Some(value) = value {
                measure.add(value);
            }
        }
    }

    /// The finished cell. `order` names, for each measure of the table, the measure
    /// column it reads; none for counts of rows and units.
    pub(crate) fn finish(mut self, order: &[Option<usize>]) -> CellStats {
        self.measures.iter_mut().for_each(MeasureFold::close);
        let stats: Vec<MeasureStats> = self.measures.iter().map(MeasureFold::stats).collect();
        let measures = order.iter().map(|c| c.and_then(|c| stats.get(c).copied()).unwrap_or_default()).collect();
        CellStats { rows: self.rows, units: self.units, measures }
    }
}

/// Whether a unit whose contribution is zero counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Zeros {
    /// It has a value.
    Count,
    /// It does not: the measure was derived.
    Skip,
}

struct MeasureFold {
    zeros: Zeros,
    count: u64,
    units: u64,
    sum: Sum,
    abs_sum: Sum,
    /// Largest contributions by absolute value, descending; at least two places.
    largest: Vec<f64>,
    /// How many of them the rule's dominance looks at.
    n: usize,
    any_negative: bool,
    first: Option<f64>,
    all_same: bool,
    /// The open unit's contribution so far, if it has a value.
    open: Option<Sum>,
}

impl MeasureFold {
    fn new(zeros: Zeros, n: usize) -> Self {
        Self {
            zeros,
            count: 0,
            units: 0,
            sum: Sum::default(),
            abs_sum: Sum::default(),
            largest: vec![0.0; n.max(2)],
            n,
            any_negative: false,
            first: None,
            all_same: true,
            open: None,
        }
    }

    fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum.add(value);
        self.any_negative |= value < 0.0;
        self.open.get_or_insert_default().add(value);
    }

    /// Folds the open unit's contribution in.
    fn close(&mut self) {
        let Some(contribution) = self.open.take().map(Sum::value) else { return };
        if self.zeros == Zeros::Skip && contribution == 0.0 {
            return;
        }
        self.units += 1;
        self.all_same &= *self.first.get_or_insert(contribution) == contribution;
        let size = contribution.abs();
        self.abs_sum.add(size);
        let place = self.largest.partition_point(|x| *x >= size);
        if place < self.largest.len() {
            self.largest.insert(place, size);
            self.largest.pop();
        }
    }

    fn stats(&self) -> MeasureStats {
        let mut top_n = Sum::default();
        self.largest.iter().take(self.n).for_each(|x| top_n.add(*x));
        let mut largest = self.largest.iter().copied();
        MeasureStats {
            count: self.count,
            units: self.units,
            sum: self.sum.value(),
            abs_sum: self.abs_sum.value(),
            top: [largest.next().unwrap_or_default(), largest.next().unwrap_or_default()],
            top_n_sum: top_n.value(),
            any_negative: self.any_negative,
            all_same: self.units > 0 && self.all_same,
        }
    }
}
