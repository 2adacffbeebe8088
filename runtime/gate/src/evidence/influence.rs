//! Influence of one unit on a table of route C: the published numbers without a unit, and
//! with another unit's rows in its place, so that the number of units stays.
//!
//! The host's tabulation adds up, so a replay is exact arithmetic on what a unit
//! contributes, and every unit is replayed. The contributions are computed here from the
//! rows, by other code than the tabulation's; where all units were read, both must give the
//! published numbers.

use std::collections::{BTreeMap, HashMap};

use sluice_domain::{
    candidate::{CandidateTable, Cell, CellValue},
    catalogue::Key,
    contract::{Aggregate, MeasureC, Tabulation, Totals},
};
use sluice_rows::cells::{Cells, MeasureStats};

use super::{
    Asked,
    ranks::Ranks,
    values::{Rows, Scalar},
};

/// How far a recount may be off for rounding alone; a variance from sums of squares loses
/// more digits.
pub(crate) const RECOUNT_ROUNDING: f64 = 1e-9;
const RECOUNT_ROUNDING_SPREAD: f64 = 1e-6;

/// How far one unit moves one published number.
#[derive(Debug, Clone, PartialEq)]
pub struct Moved {
    /// The cell's key.
    pub cell: String,
    /// The measure.
    pub measure: String,
    /// Largest change by leaving one unit out, as a share of the number.
    pub deleted: f64,
    /// Largest change by putting another unit in its place, likewise.
    pub replaced: f64,
}

/// What the replays of one table found.
#[derive(Debug)]
pub struct Influence {
    /// The table.
    pub table: String,
    /// One per published number, the most moved first.
    pub moved: Vec<Moved>,
    /// Published numbers that a recount from the rows does not give.
    pub differ: usize,
    /// Published numbers that were not replayed: the standard errors of a regression.
    pub left_out: usize,
}

/// What some rows add to one cell.
#[derive(Debug, Clone, Default)]
pub(crate) struct Part {
    pub(crate) rows: f64,
    pub(crate) units: f64,
    pub(crate) measures: Vec<Sums>,
}

/// Of one measure: rows with a value, their sum and the sum of their squares.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sums {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Part {
    fn add(&mut self, other: &Self, times: f64) {
        self.rows += times * other.rows;
        self.units += times * other.units;
        self.measures.resize(self.measures.len().max(other.measures.len()), Sums::default());
        for (mine, theirs) in self.measures.iter_mut().zip(&other.measures) {
            mine.count += times * theirs.count;
            mine.sum += times * theirs.sum;
            mine.squares += times * theirs.squares;
        }
    }

    fn number(&self, measure: usize, aggregate: Aggregate) -> Option<f64> {
        let Sums { count, sum, squares } = self.measures.get(measure).copied().unwrap_or_default();
        let spread =
            |least: f64, divisor: f64| (count > least - 0.5).then(|| (squares - sum * sum / count).max(0.0) / divisor);
        match aggregate {
            Aggregate::Rows => Some(self.rows),
            Aggregate::Units => Some(self.units),
            Aggregate::Count => Some(count),
            Aggregate::Sum => Some(sum),
            Aggregate::Mean => (count > 0.5).then(|| sum / count),
            Aggregate::VarSamp => spread(2.0, count - 1.0),
            Aggregate::StddevSamp => spread(2.0, count - 1.0).map(f64::sqrt),
            Aggregate::VarPop => spread(1.0, count),
            Aggregate::StddevPop => spread(1.0, count).map(f64::sqrt),
            Aggregate::Quantile(_) | Aggregate::Fit => None,
        }
    }
}

/// Contributions by place of the cell in the candidate's table.
pub(crate) type Parts = BTreeMap<usize, Part>;

pub(crate) struct Tabulated<'a> {
    pub(crate) published: &'a CandidateTable,
    plan: &'a Tabulation,
    totals: Totals,
    /// Place of each dimension, filter and measure among the view's columns.
    dimensions: Vec<Option<usize>>,
    filter: Vec<(Option<usize>, &'a [Key])>,
    pub(crate) measures: Vec<(&'a MeasureC, Option<usize>)>,
    places: HashMap<Vec<Option<Key>>, usize>,
    /// True statistics of the published cells.
    truth: HashMap<usize, Part>,
    recount: Parts,
    ranks: Ranks,
    last: Parts,
    /// Largest changes of (cell, measure) by deletion and by replacement.
    most: BTreeMap<(usize, usize), (f64, f64)>,
}

impl<'a> Tabulated<'a> {
    pub(crate) fn new(asked: Asked<'a>, columns: &[String]) -> Self {
        let plan = &asked.table.plan;
        let at = |name: &String| columns.iter().position(|c| c == name);
        let published = asked.published;
        let out = published.cells.iter().enumerate().filter(|(_, c)| matches!(c.value, CellValue::Published(_)));
        let places: HashMap<_, _> = out.map(|(place, cell)| (cell.key.clone(), place)).collect();
        let truth = truth(plan, asked.cells, &places);
        Self {
            published,
            plan,
            totals: asked.table.totals,
            dimensions: plan.dimensions.iter().map(|d| at(&d.name)).collect(),
            filter: plan.filter.iter().map(|(d, keys)| (at(&d.name), keys.as_slice())).collect(),
            measures: plan.measures.iter().map(|m| (m, m.column.as_ref().and_then(at))).collect(),
            places,
            truth,
            recount: Parts::new(),
            ranks: Ranks::default(),
            last: Parts::new(),
            most: BTreeMap::new(),
        }
    }

    /// Takes the rows of the next unit: replays the table without them, and with those of
    /// the unit before in their place.
    pub(crate) fn unit(&mut self, rows: &Rows) {
        let parts = self.parts(rows);
        for (cell, part) in &parts {
            self.recount.entry(*cell).or_default().add(part, 1.0);
            self.rank(*cell, part);
        }
        let touched: Vec<usize> = parts.keys().chain(self.last.keys()).copied().collect();
        for cell in touched {
            let Some(truth) = self.truth.get(&cell) else { continue };
            let (mut without, mut with) = (truth.clone(), truth.clone());
            if let Some(part) = parts.get(&cell) {
                without.add(part, -1.0);
                with.add(part, -1.0);
            }
            if let Some(part) = self.last.get(&cell) {
                with.add(part, 1.0);
            }
            for (m, (measure, _)) in self.measures.iter().enumerate() {
                let change = |to: &Part| change(truth.number(m, measure.aggregate), to.number(m, measure.aggregate));
                let most = self.most.entry((cell, m)).or_default();
                *most = (most.0.max(change(&without)), most.1.max(change(&with)));
            }
        }
        self.last = parts;
    }

    /// Notes what a unit comes to, for the quantiles of a cell.
    fn rank(&mut self, cell: usize, part: &Part) {
        for (m, (measure, _)) in self.measures.iter().enumerate() {
            let Some(Sums { count, sum, .. }) = part.measures.get(m).copied() else { continue };
            let derived = measure.column.as_ref().is_some_and(|name| self.plan.derived.contains_key(name));
            if matches!(measure.aggregate, Aggregate::Quantile(_)) && count > 0.5 && !(derived && sum == 0.0) {
                self.ranks.take((cell, m), sum);
            }
        }
    }

    /// What `rows`, of one unit, add to each published cell.
    pub(crate) fn parts(&self, rows: &Rows) -> Parts {
        let mut parts = Parts::new();
        for row in 0..rows.len() {
            let kept = |(at, keys): &(Option<usize>, &[Key])| {
                at.and_then(|at| key(rows.get(at, row)?)).is_some_and(|key| keys.contains(&key))
            };
            let inner: Option<Vec<Key>> = self.dimensions.iter().map(|at| key(rows.get((*at)?, row)?)).collect();
            let Some(inner) = inner.filter(|_| self.filter.iter().all(kept)) else { continue };
            let margins = if self.totals == Totals::None { 1 } else { 1u32 << inner.len().min(16) };
            for margin in 0..margins {
                let of = inner.iter().enumerate().map(|(i, key)| (margin >> i & 1 == 0).then(|| key.clone()));
                let Some(place) = self.places.get(&of.collect::<Vec<_>>()) else { continue };
                let part = parts.entry(*place).or_default();
                let measures = self.measures.iter().map(|(_, at)| {
                    let value = at.and_then(|at| rows.get(at, row)?.number());
                    value.map_or(Sums::default(), |x| Sums { count: 1.0, sum: x, squares: x * x })
                });
                let units = 1.0 - part.units;
                part.add(&Part { rows: 1.0, units, measures: measures.collect() }, 1.0);
            }
        }
        parts
    }

    /// The numbers that the table would publish in the cells of `parts`, were they added.
    pub(crate) fn with(&self, parts: &Parts) -> Vec<(usize, f64)> {
        let mut numbers = Vec::new();
        for (cell, part) in parts {
            let Some(mut truth) = self.truth.get(cell).cloned() else { continue };
            truth.add(part, 1.0);
            let of = self.measures.iter().enumerate().filter(|(_, (measure, _))| measure.column.is_some());
            numbers.extend(of.filter_map(|(m, (measure, _))| Some((m, truth.number(m, measure.aggregate)?))));
        }
        numbers
    }

    pub(crate) fn finish(mut self) -> Influence {
        let nothing = Part::default();
        let (mut moved, mut differ) = (Vec::new(), 0);
        for (place, cell) in self.published.cells.iter().enumerate() {
            let CellValue::Published(values) = &cell.value else { continue };
            for (m, (measure, _)) in self.measures.iter().enumerate() {
                let out = values.get(m).copied().flatten();
                if let Aggregate::Quantile(quantile) = measure.aggregate {
                    let (again, deleted, replaced) = self.ranks.replay((place, m), quantile);
                    differ += usize::from(change(out, again) > RECOUNT_ROUNDING);
                    let cell = crate::findings::key_text(cell);
                    moved.push(Moved { cell, measure: measure.name.clone(), deleted, replaced });
                    continue;
                }
                let again = self.recount.get(&place).unwrap_or(&nothing).number(m, measure.aggregate);
                let spread = measure.aggregate.is_spread();
                let rounding = if spread { RECOUNT_ROUNDING_SPREAD } else { RECOUNT_ROUNDING };
                differ += usize::from(change(out, again) > rounding);
                let (deleted, replaced) = self.most.get(&(place, m)).copied().unwrap_or_default();
                let cell = crate::findings::key_text(cell);
                moved.push(Moved { cell, measure: measure.name.clone(), deleted, replaced });
            }
        }
        let most = |m: &Moved| m.deleted.max(m.replaced);
        moved.sort_by(|a, b| most(b).total_cmp(&most(a)));
        Influence { table: self.published.name.clone(), moved, differ, left_out: 0 }
    }

    /// Every published cell.
    pub(crate) fn cells(&self) -> impl Iterator<Item = &Cell> {
        self.published.cells.iter().filter(|c| matches!(c.value, CellValue::Published(_)))
    }

    /// Place of a column that the plan reads.
    pub(crate) fn reads(&self, column: usize) -> bool {
        self.measures.iter().any(|(_, at)| *at == Some(column))
    }

    /// Aggregates of the plan's measures.
    pub(crate) fn aggregates(&self) -> impl Iterator<Item = Aggregate> {
        self.plan.measures.iter().map(|m| m.aggregate)
    }
}

/// The true statistics of the cells that are published.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn truth(plan: &Tabulation, cells: &Cells, places: &HashMap<Vec<Option<Key>>, usize>) -> HashMap<usize, Part> {
    let named = |(position, dimension): (&Option<u32>, &sluice_domain::contract::Dimension)| {
        position.and_then(|at| dimension.domain.get(at as usize)).map(|(key, _)| key.clone())
    };
    let empty = places.values().map(|place| (*place, Part::default()));
    let of = cells.iter().filter_map(|(key, stats)| {
        let key: Vec<Option<Key>> = key.iter().zip(&plan.dimensions).map(named).collect();
        let squares = |m: &MeasureStats| m.squares.map_or(0.0, |squares| squares.sum);
        let sums = |m: &MeasureStats| Sums { count: m.count as f64, sum: m.sum, squares: squares(m) };
        let measures = stats.measures.iter().map(sums).collect();
        Some((*places.get(&key)?, Part { rows: stats.rows as f64, units: stats.units as f64, measures }))
    });
    empty.chain(of).collect()
}

pub(crate) fn key(value: &Scalar) -> Option<Key> {
    match value {
        Scalar::Int(n) => Some(Key::Int(*n)),
        Scalar::Text(text) => Some(Key::Text(text.clone())),
        Scalar::Float(_) | Scalar::Day(_) => None,
    }
}

/// How far a number changes, as a share of what it was; wholly when it appears or goes.
pub(crate) fn change(from: Option<f64>, to: Option<f64>) -> f64 {
    match (from, to) {
        (None, None) => 0.0,
        (Some(from), Some(to)) if (from - to).abs() <= f64::EPSILON * from.abs().max(to.abs()) => 0.0,
        (Some(from), Some(to)) if from != 0.0 => ((to - from) / from).abs(),
        _ => 1.0,
    }
}
