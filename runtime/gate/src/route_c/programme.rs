//! Published equations over unknowns, most of them non-negative, and how far a sum of unknowns can
//! still move: the linear programmes behind [`super::audit`], solved by microlp.
//!
//! Plain consequences (an equation with one unknown, a sum of zero) are worked out
//! first, the rest falls into independent components, and every solution found is
//! kept: a point that the solver visited for one cell often settles the next one.
//! [`System::scout`] visits a few corners for that purpose alone.

use std::collections::{BTreeMap, BTreeSet};

use good_lp::{
    Expression, ProblemVariables, ResolutionError, Solution, SolverModel, Variable, constraint, microlp, variable,
};

use super::span::{Fate, indicator, sweep};

/// The solver's accuracy, relative to the largest number of a component.
const ACCURACY: f64 = 1e-9;

/// Rounding of a sum of floats, relative to its terms.
const ROUNDING: f64 = 1e-12;

/// How far below zero a free unknown may be, in units of the largest number around it.
pub(super) const FREE: f64 = 1e3;

/// Corners visited before single cells are asked about.
const SCOUTS: usize = 6;

/// The published numbers cannot all be sums of the same unknowns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Contradiction;

/// The equations of one quantity.
pub(crate) struct System {
    /// Unknowns that follow plainly.
    fixed: Vec<Option<f64>>,
    /// For every other unknown in an equation: its component and place in it.
    places: Vec<Option<(usize, usize)>>,
    components: Vec<Component>,
    /// Which unknowns may be below zero.
    free: Vec<bool>,
    /// Entries of the programmes solved so far.
    effort: u64,
}

/// Unknowns that hang together.
struct Component {
    /// The least that each may be, in units of `scale`.
    least: Vec<f64>,
    equations: Vec<(Vec<usize>, f64)>,
    /// Largest right-hand side; the programme is solved in units of it.
    scale: f64,
    /// Every feasible point found so far.
    points: Vec<Vec<f64>>,
}

/// An equation: these unknowns add up to this.
struct Equation {
    unknowns: Vec<u32>,
    value: f64,
    /// How far `value` may be off for rounding alone.
    rounding: f64,
    /// Whether it says something that the others do not.
    fate: Fate,
}

impl System {
    /// The system of `shown` equations over `unknowns` unknowns, non-negative but for
    /// those that are `free`.
    pub(crate) fn of(unknowns: usize, shown: &[(&[u32], f64)], free: &[bool]) -> Result<Self, Contradiction> {
        let vectors: Vec<_> = shown.iter().map(|(unknowns, _)| indicator(unknowns)).collect();
        let mut equations: Vec<Equation> = shown
            .iter()
            .zip(sweep(&vectors, &[], unknowns))
            .map(|((unknowns, value), fate)| Equation {
                unknowns: unknowns.to_vec(),
                value: *value,
                rounding: ROUNDING * value.abs(),
                fate,
            })
            .collect();
        let fixed = fix(unknowns, &mut equations, free)?;
        let mut system =
            Self { places: vec![None; unknowns], fixed, components: Vec::new(), free: free.to_vec(), effort: 0 };
        system.split(equations);
        Ok(system)
    }

    /// Whether the possible values of the sum of `unknowns` satisfy `met(low, high,
    /// slack)`, which must not fail on a wider interval when it holds on a narrower.
    pub(crate) fn allows(
        &mut self,
        unknowns: &[u32],
        met: impl Fn(f64, f64, f64) -> bool,
    ) -> Result<bool, Contradiction> {
        let mut known = 0.0;
        let (mut above, mut below) = (0.0, 0.0);
        let mut parts: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for unknown in unknowns {
            let at = *unknown as usize;
            match (self.fixed.get(at).copied().flatten(), self.places.get(at).copied().flatten()) {
                (Some(value), _) => known += value,
                (None, Some((component, place))) => parts.entry(component).or_default().push(place),
                (None, None) => {
                    above = f64::INFINITY;
                    if self.free.get(at) == Some(&true) {
                        below = f64::NEG_INFINITY;
                    }
                }
            }
        }
        let scales = parts.keys().filter_map(|c| self.components.get(*c)).map(|c| c.scale);
        let slack = ACCURACY * scales.fold(known.abs(), f64::max);
        let holds = |system: &Self| {
            let ranges = parts.iter().map(|(c, part)| system.components.get(*c).and_then(|c| c.visited(part)));
            let sum = ranges.into_iter().try_fold((known, known), |(low, high), range| {
                let (l, h) = range?;
                Some((low + l, high + h))
            });
            sum.is_some_and(|(low, high)| met(low + below, high + above, slack))
        };
        if holds(self) {
            return Ok(true);
        }
        for direction in [1.0, -1.0] {
            for (component, part) in &parts {
                let goal: Vec<(usize, f64)> = part.iter().map(|place| (*place, direction)).collect();
                if let Some(component) = self.components.get_mut(*component) {
                    component.visit(&goal)?;
                    self.effort += component.size();
                }
                if holds(self) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// A point that satisfies everything.
    pub(crate) fn point(&mut self) -> Result<Vec<f64>, Contradiction> {
        for component in self.components.iter_mut().filter(|c| c.points.is_empty()) {
            component.visit(&[])?;
        }
        Ok(self.corners().next().unwrap_or_else(|| self.fixed.iter().map(|fixed| fixed.unwrap_or(0.0)).collect()))
    }

    /// Points that satisfy everything, one visited in each component.
    pub(crate) fn corners(&self) -> impl Iterator<Item = Vec<f64>> {
        let most = self.components.iter().map(|c| c.points.len()).max().unwrap_or(0);
        (0..most).map(|turn| {
            let of_place = |(component, place): (usize, usize)| {
                let points = self.components.get(component).map(|c| &c.points)?;
                points.get(turn).or(points.first())?.get(place).copied()
            };
            let values = self.fixed.iter().zip(&self.places);
            values.map(|(fixed, place)| fixed.or(place.and_then(of_place)).unwrap_or(0.0)).collect()
        })
    }

    /// How much was solved so far: the sizes of its programmes, unknowns by equations.
    pub(crate) fn effort(&self) -> u64 {
        self.effort
    }

    /// Keeps `point` wherever it satisfies the equations.
    pub(crate) fn believe(&mut self, point: &[f64]) {
        let mut parts: Vec<Vec<f64>> = self.components.iter().map(|c| c.least.iter().map(|_| 0.0).collect()).collect();
        for (place, value) in self.places.iter().zip(point) {
            let slot = place.and_then(|(component, place)| parts.get_mut(component)?.get_mut(place));
            if let Some(slot) = slot {
                *slot = *value;
            }
        }
        for (component, part) in self.components.iter_mut().zip(parts) {
            if component.holds(&part) {
                component.points.push(part);
            }
        }
    }

    /// Visits a few corners of every component with many `targets`, in directions
    /// that mix them: each corner has most of its unknowns at zero, so a few corners
    /// settle most low ends.
    pub(crate) fn scout(&mut self, targets: &[&[u32]]) -> Result<(), Contradiction> {
        let mut wanted: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for unknown in targets.iter().copied().flatten() {
            if let Some((component, place)) = self.places.get(*unknown as usize).copied().flatten() {
                wanted.entry(component).or_default().insert(place);
            }
        }
        for (component, places) in wanted.into_iter().filter(|(_, places)| places.len() > 2 * SCOUTS) {
            let Some(component) = self.components.get_mut(component).filter(|c| c.points.is_empty()) else { continue };
            for turn in 0..SCOUTS {
                // Signs that repeat with a period of their own in every turn.
                let goal: Vec<(usize, f64)> = places
                    .iter()
                    .map(|place| (*place, if (place * (2 * turn + 3) + turn) % 7 < 3 { 1.0 } else { -1.0 }))
                    .collect();
                component.visit(&goal)?;
                self.effort += component.size();
            }
        }
        Ok(())
    }

    /// Sorts the equations into independent components.
    fn split(&mut self, equations: Vec<Equation>) {
        let mut parents: Vec<usize> = (0..self.fixed.len()).collect();
        for equation in &equations {
            let mut roots = equation.unknowns.iter().map(|u| root(&mut parents, *u as usize)).collect::<Vec<_>>();
            let first = roots.pop();
            for other in roots {
                if let (Some(first), Some(slot)) = (first, parents.get_mut(other)) {
                    *slot = first;
                }
            }
        }
        let mut numbers: BTreeMap<usize, usize> = BTreeMap::new();
        for equation in equations {
            let Some(lead) = equation.unknowns.first() else { continue };
            let next = numbers.len();
            let number = *numbers.entry(root(&mut parents, *lead as usize)).or_insert(next);
            if number == self.components.len() {
                self.components.push(Component { least: vec![], equations: vec![], scale: 0.0, points: vec![] });
            }
            let Some(component) = self.components.get_mut(number) else { continue };
            let places = equation.unknowns.iter().filter_map(|unknown| {
                let slot = self.places.get_mut(*unknown as usize)?;
                let (_, place) = *slot.get_or_insert_with(|| {
                    component.least.push(if self.free.get(*unknown as usize) == Some(&true) { -1.0 } else { 0.0 });
                    (number, component.least.len() - 1)
                });
                Some(place)
            });
            let places: Vec<usize> = places.collect();
            component.scale = component.scale.max(equation.value.abs());
            if equation.fate == Fate::Published {
                component.equations.push((places, equation.value));
            }
        }
        for component in self.components.iter_mut().filter(|c| c.least.iter().any(|least| *least < 0.0)) {
            component.scale = FREE * component.scale.max(f64::MIN_POSITIVE / ACCURACY);
        }
    }
}

impl Component {
    /// Unknowns by equations.
    fn size(&self) -> u64 {
        (self.least.len() as u64).saturating_mul(self.equations.len() as u64)
    }

    /// The range of a part's sum over the points visited so far.
    fn visited(&self, part: &[usize]) -> Option<(f64, f64)> {
        let sums = self.points.iter().map(|point| part.iter().filter_map(|i| point.get(*i)).sum::<f64>());
        sums.fold(None, |range, sum| {
            let (low, high) = range.unwrap_or((sum, sum));
            Some((low.min(sum), high.max(sum)))
        })
    }

    /// Whether `point` is one of its own, to the solver's accuracy.
    fn holds(&self, point: &[f64]) -> bool {
        let slack = ACCURACY * self.scale;
        let least = self.least.iter().map(|least| least * self.scale);
        point.iter().zip(least).all(|(value, least)| *value >= least - slack)
            && self.equations.iter().all(|(places, value)| {
                let sum: f64 = places.iter().filter_map(|i| point.get(*i)).sum();
                (sum - value).abs() <= slack
            })
    }

    /// Finds a point at which the weighted sum `goal` is as large as it can be.
    fn visit(&mut self, goal: &[(usize, f64)]) -> Result<(), Contradiction> {
        let mut unknowns = ProblemVariables::new();
        let handles: Vec<Variable> = self.least.iter().map(|least| unknowns.add(variable().min(*least))).collect();
        let sum = |terms: &mut dyn Iterator<Item = (usize, f64)>| {
            let mut sum = Expression::with_capacity(terms.size_hint().0);
            for (place, weight) in terms {
                if let Some(handle) = handles.get(place) {
                    sum.add_mul(weight, *handle);
                }
            }
            sum
        };
        let mut model = unknowns.maximise(sum(&mut goal.iter().copied())).using(microlp);
        for (places, value) in &self.equations {
            let left = sum(&mut places.iter().map(|place| (*place, 1.0)));
            model = model.with(constraint::eq(left, value / self.scale));
        }
        match model.solve() {
            Ok(solution) => {
                let values = handles.iter().zip(&self.least);
                self.points.push(values.map(|(h, least)| solution.value(*h).max(*least) * self.scale).collect());
                Ok(())
            }
            Err(ResolutionError::Infeasible) => Err(Contradiction),
            // Every unknown stands in an equation, so nothing is unbounded; a solver
            // that gives up has shown nothing, and the cell counts as too close.
            Err(_) => Ok(()),
        }
    }
}

/// Works out plain consequences: what they fix leaves the equations.
fn fix(count: usize, equations: &mut Vec<Equation>, free: &[bool]) -> Result<Vec<Option<f64>>, Contradiction> {
    let mut fixed: Vec<Option<f64>> = vec![None; count];
    loop {
        let mut changed = false;
        for Equation { unknowns, value: rest, rounding, .. } in equations.iter_mut() {
            let before = unknowns.len();
            unknowns.retain(|u| match fixed.get(*u as usize).copied().flatten() {
                Some(value) => {
                    *rest -= value;
                    *rounding += ROUNDING * value.abs();
                    false
                }
                None => true,
            });
            changed |= unknowns.len() < before;
            let bounded = !unknowns.iter().any(|u| free.get(*u as usize) == Some(&true));
            if (bounded && *rest < -*rounding) || (unknowns.is_empty() && *rest > *rounding) {
                return Err(Contradiction);
            }
            let follows = match unknowns.as_slice() {
                [_] if bounded => Some(rest.max(0.0)),
                [_] => Some(*rest),
                [_, ..] if bounded && *rest <= *rounding => Some(0.0),
                _ => None,
            };
            if let Some(value) = follows {
                for unknown in unknowns.drain(..) {
                    if let Some(slot) = fixed.get_mut(unknown as usize) {
                        *slot = Some(value);
                    }
                }
                changed = true;
            }
        }
        equations.retain(|e| !e.unknowns.is_empty());
        if !changed {
            return Ok(fixed);
        }
    }
}

fn root(parents: &mut [usize], of: usize) -> usize {
    let mut at = of;
    while let Some(parent) = parents.get(at).copied().filter(|p| *p != at) {
        at = parent;
    }
    if let Some(slot) = parents.get_mut(of) {
        *slot = at;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::{Contradiction, System};

    fn range(shown: &[(&[u32], f64)], n: usize, of: &[u32]) -> (f64, f64) {
        let mut system = System::of(n, shown, &[]).unwrap();
        let last = std::cell::Cell::new((f64::NAN, f64::NAN));
        let never = |low, high, _| {
            last.set((low, high));
            false
        };
        assert_eq!(system.allows(of, never), Ok(false));
        last.get()
    }

    #[test]
    fn a_two_by_two_table_with_totals_has_the_frechet_bounds() {
        // Rows 7 and 5, columns 4 and 8: the first cell lies in [0, 4].
        let shown: [(&[u32], f64); 4] = [(&[0, 1], 7.0), (&[2, 3], 5.0), (&[0, 2], 4.0), (&[1, 3], 8.0)];
        let (low, high) = range(&shown, 4, &[0]);
        assert!((low - 0.0).abs() < 1e-6 && (high - 4.0).abs() < 1e-6);
        let (low, high) = range(&shown, 4, &[1]);
        assert!((low - 3.0).abs() < 1e-6 && (high - 7.0).abs() < 1e-6);
    }

    #[test]
    fn plain_consequences_are_points() {
        assert_eq!(range(&[(&[0, 1], 5.0), (&[0], 2.0)], 2, &[1]), (3.0, 3.0));
        assert_eq!(range(&[(&[0, 1], 0.0)], 2, &[1]), (0.0, 0.0));
        assert_eq!(range(&[(&[0], 1.0)], 2, &[1]), (0.0, f64::INFINITY));
    }

    #[test]
    fn only_what_may_be_negative_is_free() {
        let mut system = System::of(3, &[(&[0, 1], 5.0), (&[1, 2], 7.0)], &[true, false, false]).unwrap();
        // Unknown 1 is at most 7 for the sake of 2, so 0 lies in [−2, 5].
        assert_eq!(system.allows(&[0], |low, high, slack| low <= -2.0 + slack && high >= 5.0 - slack), Ok(true));
        assert_eq!(system.allows(&[0], |low, high, slack| low < -2.0 - slack || high > 5.0 + slack), Ok(false));
    }

    #[test]
    fn numbers_that_cannot_be_are_a_contradiction() {
        assert!(matches!(System::of(2, &[(&[0, 1], 1.0), (&[0], 2.0)], &[]), Err(Contradiction)));
    }

    #[test]
    fn a_point_is_believed_only_where_it_fits() {
        let at_five = |point: &[f64]| {
            let mut system = System::of(2, &[(&[0, 1], 5.0)], &[]).unwrap();
            system.believe(point);
            system.components[0].visited(&[0])
        };
        assert_eq!(at_five(&[5.0, 0.0]), Some((5.0, 5.0)));
        assert_eq!(at_five(&[5.0, 1.0]), None);
        assert_eq!(at_five(&[6.0, -1.0]), None);
    }
}
