//! Influence of one unit on what is no table of sums: a regression, a survival curve.
//!
//! Every unit is left out, and the unit before is put in its place. A coefficient's change
//! is told in standard errors, as a coefficient may well be near zero; the standard error
//! itself is not replayed. Of a curve every number is, at the steps that are shown.
//!
//! It does not replay whether a step is shown, or the regression goes out at all.

use std::collections::{BTreeMap, BTreeSet};

use sluice_domain::{
    candidate::{CandidateTable, Cell, CellValue},
    catalogue::Key,
    contract::{Contract, Dimension, Event, Regression, Survival, Table},
    id::ViewId,
};
use sluice_rows::{fit::Shape, refit::Refit};

use super::{
    influence::{Influence, Moved, RECOUNT_ROUNDING, change, key},
    values::Rows,
};
use crate::route_c::survival::{Point, estimate};

/// How far a coefficient may be from a recount, in standard errors: it was rounded to a
/// hundredth of the power of ten in its own.
const COEFFICIENT_ROUNDING: f64 = 0.01;
/// The most standard errors that are told.
const ERRORS_MAX: f64 = 1_000.0;
/// Bits of a number that is told whole.
const DOUBLE_BITS: f64 = 64.0;

/// What was computed of a view.
#[derive(Clone, Copy)]
pub enum Model<'a> {
    /// A regression.
    Regression(&'a Regression),
    /// Survival curves.
    Survival(&'a Survival),
}

/// A model of the contract with what would be published of it.
#[derive(Clone, Copy)]
pub struct Modelled<'a> {
    /// What was asked for.
    pub model: Model<'a>,
    /// The candidate's table.
    pub published: &'a CandidateTable,
}

impl<'a> Modelled<'a> {
    /// The models of a candidate of which something would be published.
    pub fn of(contract: &'a Contract, tables: &'a [CandidateTable]) -> Vec<Self> {
        let model = |table: &'a Table| match table {
            Table::Regression(r) => Some(Model::Regression(r)),
            Table::Survival(s) => Some(Model::Survival(s)),
            _ => None,
        };
        let models = contract.tables.iter().zip(tables).filter_map(|(t, published)| Some((model(t)?, published)));
        let out = |cell: &Cell| matches!(cell.value, CellValue::Published(_));
        let models = models.filter(|(_, published)| published.cells.iter().any(out));
        models.map(|(model, published)| Self { model, published }).collect()
    }

    /// The view that it reads.
    pub fn view(&self) -> &'a ViewId {
        match self.model {
            Model::Regression(r) => &r.view,
            Model::Survival(s) => &s.view,
        }
    }
}

/// One model's replays.
pub(crate) struct Curve<'a> {
    published: &'a CandidateTable,
    filter: Vec<(Option<usize>, &'a [Key])>,
    replays: Replays<'a>,
}

enum Replays<'a> {
    Regression { columns: Vec<Option<usize>>, levels: Vec<(Option<usize>, &'a [Key])>, refit: Refit },
    Survival(Followed<'a>),
}

impl<'a> Curve<'a> {
    pub(crate) fn new(modelled: Modelled<'a>, columns: &[String]) -> Self {
        let at = |name: &str| columns.iter().position(|c| c == name);
        let (filter, replays) = match modelled.model {
            Model::Regression(r) => {
                let levels: Vec<(Option<usize>, &[Key])> =
                    r.levels().map(|l| (at(&l.dimension.name), l.kept.as_slice())).collect();
                let shape = Shape::new(r.columns().len() - 1, levels.iter().map(|(_, kept)| kept.len()).collect());
                let columns = r.columns().into_iter().map(at).collect();
                (&r.filter, Replays::Regression { columns, levels, refit: Refit::new(shape) })
            }
            Model::Survival(s) => (&s.filter, Replays::Survival(Followed::new(s, at))),
        };
        let filter = filter.iter().map(|(d, keys)| (at(&d.name), keys.as_slice())).collect();
        Self { published: modelled.published, filter, replays }
    }

    /// Takes the rows of the next unit.
    pub(crate) fn unit(&mut self, unit: u64, rows: &Rows) {
        let kept = |row: usize| {
            self.filter.iter().all(|(at, keys)| coded(rows, *at, row).is_some_and(|key| keys.contains(&key)))
        };
        let kept: Vec<usize> = (0..rows.len()).filter(|row| kept(*row)).collect();
        match &mut self.replays {
            Replays::Survival(followed) => followed.unit(rows, &kept),
            Replays::Regression { columns, levels, refit } => {
                for row in kept {
                    let values = columns.iter().map(|at| rows.get((*at)?, row)?.number()).collect::<Option<Vec<_>>>();
                    let place = |(at, kept): &(Option<usize>, &[Key])| {
                        let code = coded(rows, *at, row)?;
                        kept.iter().position(|key| *key == code)
                    };
                    let places = levels.iter().map(place).collect::<Option<Vec<usize>>>();
                    if let (Some((outcome, numbers)), Some(places)) =
                        (values.as_deref().and_then(<[f64]>::split_first), places)
                    {
                        refit.add(unit, numbers, &places, *outcome);
                    }
                }
            }
        }
    }

    /// Name, published numbers, and the bits that they can be.
    pub(crate) fn bits(&self) -> (String, u64, f64) {
        let numbers = |cell: &Cell| if let CellValue::Published(of) = &cell.value { of.len() as u64 } else { 0 };
        let numbers: u64 = self.published.cells.iter().map(numbers).sum();
        #[expect(clippy::cast_precision_loss, reason = "a number of cells")]
        let bits = numbers as f64 * DOUBLE_BITS;
        (self.published.name.clone(), numbers, bits)
    }

    pub(crate) fn finish(self) -> Influence {
        let (mut moved, differ, left_out) = match self.replays {
            Replays::Regression { refit, .. } => refitted(self.published, refit),
            Replays::Survival(followed) => followed.finish(self.published),
        };
        let most = |m: &Moved| m.deleted.max(m.replaced);
        moved.sort_by(|a, b| most(b).total_cmp(&most(a)));
        Influence { table: self.published.name.clone(), moved, differ, left_out }
    }
}

fn coded(rows: &Rows, column: Option<usize>, row: usize) -> Option<Key> {
    key(rows.get(column?, row)?)
}

/// Each published coefficient beside its replays.
fn refitted(published: &CandidateTable, refit: Refit) -> (Vec<Moved>, usize, usize) {
    let found = refit.finish();
    let (mut moved, mut differ, mut left_out) = (Vec::new(), 0, 0);
    for (i, cell) in published.cells.iter().enumerate() {
        let CellValue::Published(numbers) = &cell.value else { continue };
        let [Some(coefficient), Some(error), Some(units)] = numbers.as_slice() else { continue };
        left_out += 1;
        let Some(found) = &found else {
            differ += 2;
            continue;
        };
        let of = |changes: &[f64]| {
            let errors = changes.get(i).map_or(f64::INFINITY, |change| change / error);
            if errors.is_finite() { errors.min(ERRORS_MAX) } else { ERRORS_MAX }
        };
        let again = found.coefficients.get(i).map_or(f64::INFINITY, |again| (again - coefficient).abs() / error);
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
        let all = found.units as f64;
        differ += usize::from(again.is_nan() || again > COEFFICIENT_ROUNDING) + usize::from(all != *units);
        let cell = crate::findings::key_text(cell);
        let measure = "coefficient ÷ std_error".to_owned();
        moved.push(Moved { cell: cell.clone(), measure, deleted: of(&found.deleted), replaced: of(&found.replaced) });
        let measure = Regression::MEASURES.last().map_or_else(String::new, ToString::to_string);
        moved.push(Moved { cell, measure, deleted: 1.0 / all.max(1.0), replaced: 0.0 });
    }
    (moved, differ, left_out)
}

/// Where a unit ended: its group, and its fate at the declared steps.
type End = (usize, usize);

/// Counts of ends, by other code than the tabulation's.
struct Followed<'a> {
    plan: &'a Survival,
    time: Option<usize>,
    event: Option<usize>,
    by: Vec<(Option<usize>, &'a Dimension)>,
    counts: BTreeMap<usize, Vec<u64>>,
    /// Who was put in whose place.
    pairs: BTreeSet<(End, Option<End>)>,
    last: Option<End>,
}

impl<'a> Followed<'a> {
    fn new(plan: &'a Survival, at: impl Fn(&str) -> Option<usize>) -> Self {
        let by = plan.by.iter().map(|d| (at(&d.name), d)).collect();
        let (time, event) = (at(&plan.time), at(plan.event.column()));
        Self { plan, time, event, by, counts: BTreeMap::new(), pairs: BTreeSet::new(), last: None }
    }

    fn unit(&mut self, rows: &Rows, kept: &[usize]) {
        let end = self.end(rows, kept);
        let fates = 2 * self.plan.steps.len() + 1;
        if let Some((group, fate)) = end {
            let counts = self.counts.entry(group).or_insert_with(|| vec![0; fates]);
            if let Some(count) = counts.get_mut(fate) {
                *count += 1;
            }
            self.pairs.insert(((group, fate), self.last));
        }
        self.last = end;
    }

    fn end(&self, rows: &Rows, kept: &[usize]) -> Option<End> {
        let seen = |row: &usize| {
            let time = rows.get(self.time?, *row)?.number().filter(|time| *time >= 0.0)?;
            let said = rows.get(self.event?, *row)?;
            let event = match &self.plan.event {
                Event::Measure(_) => said.number().filter(|x| *x >= 0.0)? > 0.0,
                Event::Codes(_, codes) => codes.contains(&key(said)?),
            };
            Some((*row, time, event))
        };
        let seen: Vec<(usize, f64, bool)> = kept.iter().filter_map(seen).collect();
        // The first of those with the smallest time; the last event-free one from the back.
        let first = seen.iter().filter(|s| s.2).min_by(|a, b| a.1.total_cmp(&b.1));
        let longest = seen.iter().rev().max_by(|a, b| a.1.total_cmp(&b.1));
        let (row, time, event) = *first.or(longest)?;
        let group = self.by.iter().try_fold(0, |group, (at, dimension)| {
            let code = coded(rows, *at, row)?;
            let place = dimension.domain.iter().position(|(key, _)| *key == code)?;
            Some(group * dimension.domain.len() + place)
        })?;
        let step = self.plan.steps.iter().position(|step| *step >= time);
        Some((group, step.map_or(2 * self.plan.steps.len(), |step| 2 * step + usize::from(!event))))
    }

    fn finish(self, published: &CandidateTable) -> (Vec<Moved>, usize, usize) {
        let steps = self.plan.steps.len();
        let (mut moved, mut differ) = (Vec::new(), 0);
        for (group, cells) in published.cells.chunks(steps.max(1)).enumerate() {
            let shown: Vec<(usize, &Cell, &Vec<Option<f64>>)> = cells
                .iter()
                .enumerate()
                .filter_map(|(step, cell)| match &cell.value {
                    CellValue::Published(numbers) => Some((step, cell, numbers)),
                    CellValue::Withheld(_) => None,
                })
                .collect();
            let ends: Vec<usize> = shown.iter().map(|(step, ..)| *step).collect();
            let counts = self.counts.get(&group).cloned().unwrap_or_else(|| vec![0; 2 * steps + 1]);
            let whole = numbers(&counts, &ends);
            let mut most = vec![vec![(0.0f64, 0.0f64); Survival::MEASURES.len()]; ends.len()];
            for (out, into) in &self.pairs {
                let without = (out.0 == group).then(|| shifted(&counts, Some(out.1), None));
                let both = shifted(
                    &counts,
                    (out.0 == group).then_some(out.1),
                    into.filter(|into| into.0 == group).map(|into| into.1),
                );
                let deleted = without.map_or_else(|| whole.clone(), |counts| numbers(&counts, &ends));
                let replaced = numbers(&both, &ends);
                for (at, most) in most.iter_mut().enumerate() {
                    let of = |all: &[Vec<Option<f64>>], m: usize| all.get(at).and_then(|n| n.get(m).copied().flatten());
                    for (m, most) in most.iter_mut().enumerate() {
                        most.0 = most.0.max(change(of(&whole, m), of(&deleted, m)));
                        most.1 = most.1.max(change(of(&whole, m), of(&replaced, m)));
                    }
                }
            }
            for (((_, cell, out), again), most) in shown.into_iter().zip(&whole).zip(most) {
                for (m, (name, (deleted, replaced))) in Survival::MEASURES.iter().zip(most).enumerate() {
                    let number = |all: &[Option<f64>]| all.get(m).copied().flatten();
                    differ += usize::from(change(number(out), number(again)) > RECOUNT_ROUNDING);
                    let cell = crate::findings::key_text(cell);
                    moved.push(Moved { cell, measure: (*name).to_owned(), deleted, replaced });
                }
            }
        }
        (moved, differ, 0)
    }
}

/// The counts with one less and one more.
fn shifted(counts: &[u64], out: Option<usize>, into: Option<usize>) -> Vec<u64> {
    let moved = |(at, count): (usize, &u64)| {
        let less = count.saturating_sub(u64::from(out == Some(at)));
        less + u64::from(into == Some(at))
    };
    counts.iter().enumerate().map(moved).collect()
}

/// What a curve over these counts says at the steps `ends`.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn numbers(counts: &[u64], ends: &[usize]) -> Vec<Vec<Option<f64>>> {
    let mut merged = vec![0; 2 * ends.len() + 1];
    for (fate, count) in counts.iter().enumerate() {
        let place = match ends.iter().position(|end| *end >= fate / 2) {
            Some(interval) => 2 * interval + fate % 2,
            None => 2 * ends.len(),
        };
        if let Some(sum) = merged.get_mut(place) {
            *sum += count;
        }
    }
    let said = |p: Point| {
        let counts = [p.at_risk, p.events, p.censored].map(|n| Some(n as f64));
        [Some(p.survival), p.std_error].into_iter().chain(counts).collect()
    };
    estimate(&merged).into_iter().map(said).collect()
}
