//! How far each number of a held product moves when one unit is left out, and when
//! another takes its place so that the number of units stays: by running the guest again.

use sluice_domain::{candidate::CandidateTable, held::Held};

use super::{real, variation::Variation};
use crate::findings::key_text;

/// How one number moves, as a share of its declared range.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Number {
    pub(super) cell: String,
    pub(super) measure: String,
    /// The furthest that leaving one unit out moves it.
    pub(super) deleted: f64,
    /// The furthest that another unit in its place does.
    pub(super) replaced: f64,
}

/// What the replays of one table say.
#[derive(Debug, Default)]
pub(super) struct Moved {
    /// The most moved first.
    pub(super) numbers: Vec<Number>,
    /// Units that were left out, and replaced.
    pub(super) units: usize,
    /// Such replays in which the guest gave no answer that its contract allows.
    pub(super) failed: usize,
    /// How many times as far as three units in four the furthest one moves a number, when
    /// it is left out and when it is replaced.
    pub(super) alone: (f64, f64),
    /// Numbers that move typically much further when somebody is missing than when
    /// somebody is replaced: the guest answers otherwise when it misses one.
    pub(super) otherwise: usize,
}

/// A typical move that is this many times the other kind's, and this many steps of the
/// grid, is another answer.
const OTHERWISE_TIMES: f64 = 8.0;
const OTHERWISE_STEPS: f64 = 16.0;

/// Quarters of the replays.
const HALF: usize = 2;
const UPPER_QUARTILE: usize = 3;

/// Distances of each number from the product's, in steps of its grid, replay by replay.
type Distances = Vec<Vec<f64>>;

/// Compares `product`, whose numbers are `base`, with what the guest answered.
pub(super) fn moved(
    product: &CandidateTable,
    base: &[Option<i64>],
    held: &Held,
    said: &[(&Variation, Option<&[Option<i64>]>)],
) -> Moved {
    let is_deleted = |v: &Variation| matches!(v, Variation::Without(_));
    let is_replaced = |v: &Variation| matches!(v, Variation::Replaced(..) | Variation::Planted(..));
    let deleted = distances(base, held, said.iter().filter(|(v, _)| is_deleted(v)).map(|(_, n)| *n));
    let replaced = distances(base, held, said.iter().filter(|(v, _)| is_replaced(v)).map(|(_, n)| *n));
    let mut found = Moved {
        units: said.iter().filter(|(v, _)| is_deleted(v)).count(),
        failed: said.iter().filter(|(v, n)| v.members().is_none() && n.is_none()).count(),
        alone: (alone(&deleted, held), alone(&replaced, held)),
        ..Moved::default()
    };
    let width = held.measures.len().max(1);
    for (at, (deleted, replaced)) in deleted.iter().zip(&replaced).enumerate() {
        let (Some(measure), Some(cell)) = (held.measures.get(at % width), product.cells.get(at / width)) else {
            continue;
        };
        let (without, with) = (up_to(deleted, HALF), up_to(replaced, HALF));
        // Where nobody was replaced there is nothing to compare with.
        let told_apart =
            !replaced.is_empty() && without >= OTHERWISE_STEPS && without > OTHERWISE_TIMES * with.max(1.0);
        found.otherwise += usize::from(told_apart);
        let share = |steps: &[f64]| most(steps) / steps_of(measure);
        found.numbers.push(Number {
            cell: key_text(cell),
            measure: measure.name.clone(),
            deleted: share(deleted),
            replaced: share(replaced),
        });
    }
    let furthest = |n: &Number| n.deleted.max(n.replaced);
    found.numbers.sort_by(|a, b| furthest(b).total_cmp(&furthest(a)));
    found
}

fn distances<'a>(
    base: &[Option<i64>],
    held: &Held,
    replays: impl Iterator<Item = Option<&'a [Option<i64>]>>,
) -> Distances {
    let mut all: Distances = base.iter().map(|_| Vec::new()).collect();
    for numbers in replays.flatten() {
        let pairs = base.iter().zip(numbers).zip(held.measures.iter().cycle());
        for (steps, ((was, is), measure)) in all.iter_mut().zip(pairs) {
            steps.push(match (was, is) {
                #[expect(clippy::cast_precision_loss, reason = "a distance")]
                (Some(was), Some(is)) => was.abs_diff(*is) as f64,
                (None, None) => 0.0,
                // It appears or goes: as far as it can move.
                _ => steps_of(measure),
            });
        }
    }
    all
}

/// How many times as far as three replays in four the furthest moves a number. A number
/// that most replays do not move is taken together with the others of its measure.
fn alone(distances: &Distances, held: &Held) -> f64 {
    let width = held.measures.len().max(1);
    let replays = distances.first().map_or(0, Vec::len);
    let mut pooled = vec![vec![0.0f64; replays]; width];
    let times = |steps: &[f64]| most(steps) / up_to(steps, UPPER_QUARTILE).max(1.0);
    let mut highest = 0.0f64;
    for (at, steps) in distances.iter().enumerate() {
        if up_to(steps, HALF) > 0.0 {
            highest = highest.max(times(steps));
        } else if let Some(of_measure) = pooled.get_mut(at % width) {
            of_measure.iter_mut().zip(steps).for_each(|(furthest, step)| *furthest = furthest.max(*step));
        }
    }
    pooled.iter().map(|steps| times(steps)).fold(highest, f64::max)
}

/// Steps of the grid from one end of a measure to the other.
#[expect(clippy::cast_precision_loss, reason = "a width")]
fn steps_of(measure: &sluice_domain::contract::MeasureA) -> f64 {
    measure.hi.abs_diff(measure.lo).max(1) as f64
}

fn most(steps: &[f64]) -> f64 {
    steps.iter().copied().fold(0.0, f64::max)
}

/// The distance that so many in four stay within.
fn up_to(steps: &[f64], quarters: usize) -> f64 {
    let mut sorted = steps.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get((sorted.len() * quarters).div_ceil(4).saturating_sub(1)).copied().unwrap_or(0.0)
}

impl Moved {
    /// The furthest that any number moves: left out, replaced.
    pub(super) fn furthest(&self) -> (f64, f64) {
        let of = |share: fn(&Number) -> f64| self.numbers.iter().map(share).fold(0.0, f64::max);
        (of(|n| n.deleted), of(|n| n.replaced))
    }

    /// The share of all units that was replayed.
    pub(super) fn chance(&self, units: usize) -> f64 {
        real(self.units) / real(units.max(1))
    }
}
