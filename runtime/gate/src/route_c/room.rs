//! Which cells must go so that every withheld one keeps the interval it needs, found by
//! linear programmes: the heuristic of cell suppression of Kelly, Golden and Assad
//! (1992), as in Fischetti and Salazar (2001).
//!
//! A *move* is a change of the unknowns that leaves every published sum as it is and
//! nothing below zero. For a withheld cell that must be able to go up or down by so
//! much, the cheapest move is asked for that does it: one that changes a published sum
//! pays for it, in parts, so that few are changed. What it changes is withheld, and the
//! move is kept: it is the proof of this cell's interval, and often of others'.
//!
//! What is chosen here is a proposal. That it is enough is for the audit to say
//! ([`super::audit`], which is shown the moves), and for elimination ([`super::span`]).

use std::collections::{BTreeMap, BTreeSet};

use good_lp::{Expression, ProblemVariables, Solution, SolverModel, Variable, constraint, microlp, variable};

use super::{audit::Need, frame::Frame};

/// What a move pays for each withheld cell that it changes: next to nothing, but short
/// moves are best.
const CHANGE: f64 = 1e-4;

/// A change that is less than this part of what was asked for is the solver's rounding.
const NOTHING: f64 = 1e-7;

/// Turns in which a programme is solved again with dearer small changes (Candès, Wakin
/// and Boyd 2008: a weighted sum of changes comes close to their number).
const TURNS: usize = 2;

/// Most moves that one cell is given at a time: up, down, and what rounding left.
const STEPS_MAX: usize = 4;

/// What is watched of one quantity: cell, its unknowns, what its interval must hold.
pub(super) type Wanted<'a> = (usize, &'a [u32], Need);

/// How much room the withheld cells have, and what it takes to make more.
pub(super) struct Room<'a> {
    frame: &'a Frame,
    fields: Vec<Field<'a>>,
    /// By cell: what withholding it costs; nothing if it is withheld, and never where
    /// it is infinite.
    price: Vec<f64>,
}

/// One quantity.
struct Field<'a> {
    wanted: Vec<Option<(&'a [u32], Need)>>,
    /// Values that fit all cells.
    start: Vec<f64>,
    /// How far below its start each unknown may go.
    down: Vec<f64>,
    scale: f64,
    whole: bool,
    moves: Vec<Move>,
}

/// A change of unknowns, and of the cells that it changes.
struct Move {
    unknowns: Vec<(u32, f64)>,
    cells: Vec<(usize, f64)>,
}

impl Move {
    /// By how much it changes `cell`.
    fn of(&self, cell: usize) -> f64 {
        let at = self.cells.binary_search_by_key(&cell, |(i, _)| *i).ok();
        at.and_then(|at| self.cells.get(at)).map_or(0.0, |(_, by)| *by)
    }
}

impl<'a> Room<'a> {
    /// Room in `frame` where withholding a cell costs `price`.
    pub(super) fn of(frame: &'a Frame, price: Vec<f64>) -> Self {
        Self { frame, fields: Vec::new(), price }
    }

    /// One more quantity: values that fit all its cells, and the least of each unknown.
    pub(super) fn add(&mut self, wanted: &[Wanted<'a>], start: Vec<f64>, least: impl Fn(usize) -> f64, whole: bool) {
        let mut by_cell = vec![None; self.frame.cells.len()];
        for (cell, unknowns, need) in wanted {
            if let Some(slot) = by_cell.get_mut(*cell) {
                *slot = Some((*unknowns, *need));
            }
        }
        let down = start.iter().enumerate().map(|(i, value)| value - least(i)).collect();
        let scale = start.iter().fold(1.0, |most: f64, value| most.max(value.abs()));
        self.fields.push(Field { wanted: by_cell, start, down, scale, whole, moves: Vec::new() });
    }

    /// Withholds `cells` and what their intervals need; says all that is withheld. `order`
    /// is that in which they are seen to.
    pub(super) fn make(&mut self, cells: BTreeSet<usize>, order: &[usize]) -> BTreeSet<usize> {
        cells.iter().for_each(|cell| self.set_price(*cell, 0.0));
        let mut waiting: Vec<usize> = order.iter().copied().filter(|i| cells.contains(i)).collect();
        let mut all = cells;
        while !waiting.is_empty() {
            let mut more = Vec::new();
            let fields = self.fields.len();
            for (cell, at) in waiting.iter().flat_map(|cell| (0..fields).map(|at| (*cell, at))) {
                more.extend(self.widen(at, cell).into_iter().filter(|touched| all.insert(*touched)));
            }
            waiting = more;
        }
        all
    }

    /// Whether `cell` can be published again, and all others of `withheld` keep their
    /// intervals; then it is.
    pub(super) fn spare(&mut self, cell: usize, withheld: &BTreeSet<usize>) -> bool {
        self.set_price(cell, f64::INFINITY);
        let mut lost: Vec<(usize, Vec<Move>)> = Vec::new();
        let fields = 0..self.fields.len();
        let spared = fields.into_iter().all(|at| {
            let Some(field) = self.fields.get_mut(at) else { return true };
            let gone: Vec<Move> = field.moves.extract_if(.., |m| m.of(cell) != 0.0).collect();
            let others = if gone.is_empty() { None } else { Some(withheld.iter().filter(|other| **other != cell)) };
            lost.push((field.moves.len(), gone));
            others.into_iter().flatten().all(|other| self.keep(at, *other))
        });
        if !spared {
            for (field, (kept, gone)) in self.fields.iter_mut().zip(lost) {
                field.moves.truncate(kept);
                field.moves.extend(gone);
            }
            self.set_price(cell, 0.0);
        }
        spared
    }

    fn set_price(&mut self, cell: usize, price: f64) {
        if let Some(slot) = self.price.get_mut(cell) {
            *slot = price;
        }
    }

    /// Gives `cell` its interval in quantity `at`; the cells that are withheld for it.
    fn widen(&mut self, at: usize, cell: usize) -> Vec<usize> {
        let mut touched = Vec::new();
        let (frame, price) = (self.frame, &mut self.price);
        let Some(field) = self.fields.get_mut(at) else { return touched };
        for _ in 0..STEPS_MAX {
            let Some((unknowns, either)) = field.wanting(cell) else { break };
            let paid = |m: &Move| m.cells.iter().filter(|(i, _)| costs(price, *i)).count();
            let found = either.iter().filter_map(|by| field.cheapest(frame, price, unknowns, *by));
            // A step that nothing makes possible is for the audit to name.
            let Some(best) = found.min_by_key(paid) else { break };
            for (i, _) in &best.cells {
                if let Some(price) = price.get_mut(*i).filter(|price| **price > 0.0) {
                    *price = 0.0;
                    touched.push(*i);
                }
            }
            field.moves.push(best);
        }
        touched
    }

    /// Whether `cell` has its interval in quantity `at` or can be given it by what is
    /// withheld.
    fn keep(&mut self, at: usize, cell: usize) -> bool {
        let Some(field) = self.fields.get_mut(at) else { return true };
        let mut fixed: Option<Vec<f64>> = None;
        for _ in 0..STEPS_MAX {
            let Some((unknowns, either)) = field.wanting(cell) else { return true };
            let fixed = fixed.get_or_insert_with(|| {
                let dear = |price: &f64| if *price > 0.0 { f64::INFINITY } else { 0.0 };
                self.price.iter().map(dear).collect()
            });
            let Some(found) = either.iter().find_map(|by| field.solve(self.frame, fixed, unknowns, *by)) else {
                return false;
            };
            field.moves.push(found);
        }
        field.wanting(cell).is_none()
    }

    /// Every point found, by quantity.
    pub(super) fn points(&self, at: usize) -> Vec<Vec<f64>> {
        let Some(field) = self.fields.get(at) else { return Vec::new() };
        let moved = field.moves.iter().map(|m| {
            let mut point = field.start.clone();
            for (i, by) in &m.unknowns {
                if let Some(value) = point.get_mut(*i as usize) {
                    *value += by;
                }
            }
            point
        });
        moved.chain([field.start.clone()]).collect()
    }
}

/// Whether a published cell of finite or infinite price is meant.
fn costs(price: &[f64], cell: usize) -> bool {
    price.get(cell).is_some_and(|price| *price > 0.0)
}

impl<'a> Field<'a> {
    /// A step that `cell` must still be able to make, one way or the other.
    fn wanting(&self, cell: usize) -> Option<(&'a [u32], Vec<f64>)> {
        let (unknowns, need) = self.wanted.get(cell).copied().flatten().filter(|(u, _)| !u.is_empty())?;
        let value: f64 = unknowns.iter().filter_map(|u| self.start.get(*u as usize)).sum();
        let steps = self.moves.iter().map(|m| m.of(cell));
        let (low, high) = steps.fold((value, value), |(low, high), by| (low.min(value + by), high.max(value + by)));
        let slack = 1e-9 * self.scale;
        if need.met(low, high, slack) {
            return None;
        }
        Some((unknowns, need.step(value, low, high, slack)))
    }

    /// The cheapest move that changes the sum of `target` by `by`.
    fn cheapest(&self, frame: &Frame, price: &[f64], target: &[u32], by: f64) -> Option<Move> {
        let mut dearer: Vec<f64> = price.to_vec();
        let mut best: Option<(usize, Move)> = None;
        for _ in 0..=TURNS {
            let Some(found) = self.solve(frame, &dearer, target, by) else { break };
            let paid: Vec<(usize, f64)> =
                found.cells.iter().copied().filter(|(i, _)| price.get(*i).is_some_and(|p| *p > 0.0)).collect();
            let fewer = best.as_ref().is_none_or(|(count, _)| paid.len() < *count);
            let stop = paid.len() <= 1;
            for (slot, price) in dearer.iter_mut().zip(price) {
                *slot = if price.is_finite() { price * 10.0 } else { *price };
            }
            for (i, change) in &paid {
                if let (Some(slot), Some(price)) = (dearer.get_mut(*i), price.get(*i)) {
                    *slot = price / (change.abs() / by.abs() + 0.1);
                }
            }
            if fewer {
                best = Some((paid.len(), found));
            }
            if stop {
                break;
            }
        }
        best.map(|(_, found)| found)
    }

    /// In units of `by`: the target moves by one.
    fn solve(&self, frame: &Frame, price: &[f64], target: &[u32], by: f64) -> Option<Move> {
        let size = by.abs();
        let own = |unknown: usize| {
            let cells = frame.cells_of.get(unknown).into_iter().flatten().copied();
            let single = |i: &usize| self.wanted.get(*i).copied().flatten().is_some_and(|(u, _)| u.len() == 1);
            cells.filter(single).filter_map(|i| price.get(i)).sum::<f64>()
        };
        let mut columns = ProblemVariables::new();
        let mut cost = Expression::with_capacity(2 * self.start.len());
        let mut pair = |columns: &mut ProblemVariables, price: f64, down: f64| -> [Option<Variable>; 2] {
            if price.is_infinite() {
                return [None, None];
            }
            let up = columns.add(variable().min(0.0));
            let down = (down > NOTHING * size).then(|| columns.add(variable().min(0.0).max(down / size)));
            cost.add_mul(price, up);
            if let Some(down) = down {
                cost.add_mul(price, down);
            }
            [Some(up), down]
        };
        let unknowns: Vec<[Option<Variable>; 2]> =
            self.down.iter().enumerate().map(|(i, down)| pair(&mut columns, own(i) + CHANGE, *down)).collect();
        let sums: Vec<(&[u32], [Option<Variable>; 2])> = self
            .wanted
            .iter()
            .zip(price)
            .filter_map(|(wanted, price)| Some(((*wanted)?.0, *price)))
            .filter(|(of, price)| of.len() > 1 && *price > 0.0)
            .map(|(of, price)| (of, pair(&mut columns, price, f64::MAX)))
            .collect();
        let sum = |of: &[u32], minus: [Option<Variable>; 2]| {
            let mut sum = Expression::with_capacity(2 * of.len() + 2);
            for [up, down] in of.iter().filter_map(|u| unknowns.get(*u as usize)) {
                up.iter().for_each(|up| sum.add_mul(1.0, *up));
                down.iter().for_each(|down| sum.add_mul(-1.0, *down));
            }
            let [up, down] = minus;
            up.iter().for_each(|up| sum.add_mul(-1.0, *up));
            down.iter().for_each(|down| sum.add_mul(1.0, *down));
            sum
        };
        let mut model = columns.minimise(cost).using(microlp);
        model = model.with(constraint::eq(sum(target, [None, None]), by.signum()));
        for (of, changes) in sums {
            model = model.with(constraint::eq(sum(of, changes), 0.0));
        }
        let solution = model.solve().ok()?;
        let value = |of: &Option<Variable>| of.map_or(0.0, |of| solution.value(of));
        let exact = |x: f64| if self.whole && (x - x.round()).abs() < NOTHING * size { x.round() } else { x };
        let moved: Vec<(u32, f64)> = (0u32..)
            .zip(&unknowns)
            .map(|(i, [up, down])| (i, exact(size * (value(up) - value(down)))))
            .filter(|(_, change)| change.abs() > NOTHING * size)
            .collect();
        let mut cells: BTreeMap<usize, f64> = BTreeMap::new();
        for (unknown, change) in &moved {
            for cell in frame.cells_of.get(*unknown as usize).into_iter().flatten() {
                *cells.entry(*cell).or_insert(0.0) += change;
            }
        }
        let has = |cell: &usize| self.wanted.get(*cell).is_some_and(Option::is_some);
        let cells = cells.into_iter().filter(|(cell, change)| has(cell) && change.abs() > NOTHING * size).collect();
        Some(Move { unknowns: moved, cells })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Need, Room, Wanted};
    use crate::route_c::frame::{Frame, FrameCell};

    /// A square of `side` cells each way, its line totals and column totals after it.
    fn square(side: u32) -> Frame {
        let line = |i: u32| (0..side).map(|j| i * side + j).collect();
        let column = |j: u32| (0..side).map(|i| i * side + j).collect();
        let single = (0..side * side).map(|i| vec![i]);
        let sets: Vec<Vec<u32>> = single.chain((0..side).map(line)).chain((0..side).map(column)).collect();
        let variables = (side * side) as usize;
        let holders = |v: u32| sets.iter().enumerate().filter(|(_, s)| s.contains(&v)).map(|(i, _)| i).collect();
        let cells_of = (0u32..).take(variables).map(holders).collect();
        let cells = sets.iter().cloned().enumerate().map(|(cell, variables)| FrameCell { table: 0, cell, variables });
        Frame { variables, cells: cells.collect(), cells_of }
    }

    /// Room for a first cell of 2 among others of 30, which must be able to be 0 and 10.
    fn room(frame: &Frame) -> Room<'_> {
        let need = |cell: usize| if cell == 0 { Need::Reach { low: 0.0, high: 10.0 } } else { Need::TwoCounts };
        let wanted: Vec<Wanted<'_>> =
            frame.cells.iter().enumerate().map(|(i, c)| (i, c.variables.as_slice(), need(i))).collect();
        let start = (0..frame.variables).map(|i| if i == 0 { 2.0 } else { 30.0 }).collect();
        // Margins cost more than one another of these would.
        let prices = frame.cells.iter().map(|c| if c.variables.len() > 1 { 9.0 } else { 1.0 }).collect();
        let mut room = Room::of(frame, prices);
        room.add(&wanted, start, |_| 0.0, true);
        room
    }

    #[test]
    fn a_small_cell_takes_three_others_with_it() {
        let frame = square(3);
        let mut room = room(&frame);
        let order: Vec<usize> = (0..frame.cells.len()).collect();
        let mut withheld = room.make(BTreeSet::from([0]), &order);
        assert_eq!(withheld.len(), 4, "{withheld:?}");
        assert!(withheld.iter().all(|cell| *cell < 9));
        // None of them is needless; a fifth is.
        assert!(withheld.iter().skip(1).all(|cell| !room.spare(*cell, &withheld)));
        let fifth = (1..9).find(|cell| !withheld.contains(cell)).unwrap();
        withheld.insert(fifth);
        assert!(room.spare(fifth, &withheld));
    }
}
