//! One cell's accumulator: exact counts of units and the largest contributions, in one
//! pass over rows that are sorted by unit.
//!
//! It holds the running sum of the current unit only; when the unit changes, that sum
//! is folded in as one contribution. So a unit counts once however many rows it has,
//! and dominance is judged on people, not on rows. Only a quantile keeps more: one
//! number per unit of the cell.

use sluice_domain::contract::{Aggregate, Quantile};
use sluice_rows::{
    cells::{CellStats, MeasureStats, Squares, Zeros},
    sum::Sum,
};

/// A measure column and what has to be kept of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) name: String,
    pub(crate) zeros: Zeros,
    pub(crate) aggregates: Vec<Aggregate>,
}

/// One measure of the table: the place of its column, and its quantile if it is one.
pub(crate) type Asked = (Option<usize>, Option<Quantile>);

/// Accumulates one cell: inner or margin alike.
pub(crate) struct CellFold {
    rows: u64,
    units: u64,
    open: Option<u64>,
    measures: Vec<MeasureFold>,
}

impl CellFold {
    /// An empty cell with these measure columns, keeping the `largest` contributions.
    pub(crate) fn new(columns: &[Wanted], largest: usize) -> Self {
        let measures = columns.iter().map(|wanted| MeasureFold::new(wanted, largest)).collect();
        Self { rows: 0, units: 0, open: None, measures }
    }

    /// Takes so many rows of `unit`: of each measure column their values, where a number
    /// that is not finite stands for none.
    #[inline]
    pub(crate) fn rows<'a>(&mut self, unit: u64, rows: usize, values: impl Iterator<Item = &'a [f64]>) {
        if self.open != Some(unit) {
            self.measures.iter_mut().for_each(MeasureFold::close);
            self.open = Some(unit);
            self.units += 1;
        }
        self.rows += rows as u64;
        self.measures.iter_mut().zip(values).for_each(|(measure, values)| measure.add(values));
    }

    /// The finished cell, with one entry per measure `asked` for; counts of rows and
    /// units have no column and are left at their default.
    pub(crate) fn finish(mut self, asked: &[Asked]) -> CellStats {
        self.measures.iter_mut().for_each(MeasureFold::close);
        let stats: Vec<MeasureStats> = self.measures.iter_mut().map(MeasureFold::stats).collect();
        let measure = |(column, quantile): &Asked| {
            let stats = column.and_then(|c| stats.get(c).copied()).unwrap_or_default();
            let sorted = column.and_then(|c| self.measures.get(c)?.contributions.as_deref());
            MeasureStats { quantile: quantile.zip(sorted).and_then(|(q, sorted)| q.of_sorted(sorted)), ..stats }
        };
        CellStats { rows: self.rows, units: self.units, measures: asked.iter().map(measure).collect() }
    }
}

struct MeasureFold {
    /// The open unit's contribution so far, and how many values it has.
    open: Sum,
    open_count: u64,
    count: u64,
    units: u64,
    sum: Sum,
    abs_sum: Sum,
    largest: Largest,
    same: Same,
    any_negative: bool,
    zeros: Zeros,
    squares: Option<Box<SquaresFold>>,
    /// Every unit's contribution, for quantiles.
    contributions: Option<Vec<f64>>,
}

impl MeasureFold {
    fn new(wanted: &Wanted, n: usize) -> Self {
        let any = |of: fn(&Aggregate) -> bool| wanted.aggregates.iter().any(of);
        Self {
            open: Sum::default(),
            open_count: 0,
            count: 0,
            units: 0,
            sum: Sum::default(),
            abs_sum: Sum::default(),
            largest: Largest::new(n),
            same: Same::default(),
            any_negative: false,
            zeros: wanted.zeros,
            squares: any(|a| a.is_spread()).then(|| Box::new(SquaresFold::new(n))),
            contributions: any(|a| matches!(a, Aggregate::Quantile(_))).then(Vec::new),
        }
    }

    fn add(&mut self, values: &[f64]) {
        // In locals, because the loop is most of a tabulation.
        let (mut open, mut count, mut negative) = (self.open, self.open_count, self.any_negative);
        for value in values.iter().filter(|v| v.is_finite()) {
            open.add(*value);
            count += 1;
            negative |= *value < 0.0;
            if let Some(squares) = &mut self.squares {
                squares.add(*value, self.count + count);
            }
        }
        (self.open, self.open_count, self.any_negative) = (open, count, negative);
    }

    /// Folds the open unit's contribution in.
    fn close(&mut self) {
        if self.open_count == 0 {
            return;
        }
        self.count += std::mem::take(&mut self.open_count);
        let open = std::mem::take(&mut self.open);
        self.sum.merge(open);
        if let Some(squares) = &mut self.squares {
            squares.close();
        }
        let contribution = open.value();
        if self.zeros == Zeros::Skip && contribution == 0.0 {
            return;
        }
        self.units += 1;
        self.same.add(contribution);
        self.abs_sum.add(contribution.abs());
        self.largest.add(contribution.abs());
        if let Some(contributions) = &mut self.contributions {
            contributions.push(contribution);
        }
    }

    fn stats(&mut self) -> MeasureStats {
        if let Some(contributions) = &mut self.contributions {
            contributions.sort_unstable_by(f64::total_cmp);
        }
        MeasureStats {
            count: self.count,
            units: self.units,
            sum: self.sum.value(),
            abs_sum: self.abs_sum.value(),
            top: self.largest.two(),
            top_n_sum: self.largest.sum(),
            any_negative: self.any_negative,
            all_same: self.same.holds(),
            squares: self.squares.as_deref().map(SquaresFold::finish),
            quantile: None,
        }
    }
}

/// The squares of one column in one cell.
struct SquaresFold {
    sum: Sum,
    largest: Largest,
    same: Same,
    open: Option<Sum>,
    /// Running mean of the rows' values and sum of squared deviations from it (Welford 1962).
    mean: f64,
    deviations: f64,
}

impl SquaresFold {
    fn new(n: usize) -> Self {
        Self {
            sum: Sum::default(),
            largest: Largest::new(n),
            same: Same::default(),
            open: None,
            mean: 0.0,
            deviations: 0.0,
        }
    }

    /// The `count`-th value of the cell.
    fn add(&mut self, value: f64, count: u64) {
        self.sum.add(value * value);
        self.open.get_or_insert_default().add(value * value);
        let from_before = value - self.mean;
        #[expect(clippy::cast_precision_loss, reason = "a number of rows")]
        let step = from_before / count as f64;
        self.mean += step;
        self.deviations += from_before * (value - self.mean);
    }

    fn close(&mut self) {
        let Some(contribution) = self.open.take().map(Sum::value) else { return };
        self.same.add(contribution);
        self.largest.add(contribution);
    }

    fn finish(&self) -> Squares {
        Squares {
            sum: self.sum.value(),
            top: self.largest.two(),
            top_n_sum: self.largest.sum(),
            all_same: self.same.holds(),
            deviations: self.deviations,
        }
    }
}

/// The largest contributions, descending; at least two places.
struct Largest {
    places: Vec<f64>,
    /// The last of them: what is no larger does not enter.
    least: f64,
    /// How many of them the rule's dominance looks at.
    n: usize,
}

impl Largest {
    fn new(n: usize) -> Self {
        Self { places: vec![0.0; n.max(2)], least: 0.0, n }
    }

    fn add(&mut self, size: f64) {
        if size > self.least {
            self.enter(size);
        }
    }

    #[cold]
    fn enter(&mut self, size: f64) {
        let place = self.places.partition_point(|x| *x >= size);
        self.places.insert(place, size);
        self.places.pop();
        self.least = self.places.last().copied().unwrap_or_default();
    }

    fn two(&self) -> [f64; 2] {
        let mut places = self.places.iter().copied();
        [places.next().unwrap_or_default(), places.next().unwrap_or_default()]
    }

    fn sum(&self) -> f64 {
        self.places.iter().take(self.n).copied().collect::<Sum>().value()
    }
}

/// Whether everything added so far is one value.
#[derive(Default)]
struct Same {
    first: Option<f64>,
    differs: bool,
}

impl Same {
    fn add(&mut self, value: f64) {
        self.differs |= *self.first.get_or_insert(value) != value;
    }

    fn holds(&self) -> bool {
        self.first.is_some() && !self.differs
    }
}
