//! The interval audit across jobs: what an attacker can bound with everything that was
//! ever released on these rows, not only what follows.
//!
//! The unknowns are the atoms of all published and withheld sets, none of them negative;
//! every published number is an equation. A number withheld for its own sake must keep
//! the interval that it has within one job ([`Need`]). An *empty* cell has no rows: its
//! unknowns are declared combinations, told apart by which published cells hold them by
//! contract ([`Place::kinds`]). That two cells of different contracts show the same
//! number says that what lies between them is empty, asked for or not; rows cannot tell.
//!
//! What a number may be is audited with the atoms that exist: an attacker who does not
//! know which combinations are empty knows less than that. What history alone bounds
//! too closely is not held against a new cell, and what hangs together with no new number
//! is not looked at. Above the work limit the new cells go to a person, and the answer
//! says so.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use roaring::RoaringBitmap;
use sluice_domain::contract::Combination;

use super::{Entry, Examined, History, People, Place, Quantity, Standing, Work, refine::Refinement};
use crate::route_c::{
    Switch,
    audit::Need,
    primary::amount,
    programme::{Contradiction, System},
};

/// The new cells to withhold so that nothing withheld is bounded too closely: one for
/// each number that is. To be asked again until there is none.
/// Of combinations that are `impossible` everybody knows that they are empty.
pub(crate) fn bounds(
    history: &History,
    new: &[(usize, Entry)],
    (people, impossible): (&People<'_>, &[Combination]),
    work: &Work,
) -> Examined {
    let mut examined = Examined::default();
    let quantities: BTreeSet<&Quantity> = new.iter().map(|(_, e)| &e.quantity).collect();
    for quantity in quantities.into_iter().filter(|q| q.adds_up()) {
        let old = history.entries.iter().map(AsRef::as_ref).filter(|e| e.quantity == *quantity);
        let sets = Sets { impossible, ..Sets::of(old, new.iter().filter(|(_, e)| e.quantity == *quantity)) };
        if sets.fresh.is_empty() {
            continue;
        }
        match sets.audit(quantity, people, work) {
            Ok(found) => examined.withhold.extend(found),
            Err(Unaudited) => {
                examined.limit_reached = true;
                examined.review.extend(sets.fresh.into_values());
            }
        }
    }
    examined
}

/// Most new numbers that are tried for one target.
const TRIES_MAX: usize = 32;

/// Too much work, or numbers that a solver's accuracy cannot hold together.
struct Unaudited;

impl From<Contradiction> for Unaudited {
    fn from(_: Contradiction) -> Self {
        Self
    }
}

/// One quantity's numbers.
#[derive(Default)]
struct Sets<'a> {
    /// What is published, each set and place once: history first.
    published: Vec<&'a Entry>,
    /// How many of them are history's.
    before: usize,
    /// Positions in `published` that are new, with their cells.
    fresh: BTreeMap<usize, usize>,
    /// What was withheld.
    secret: Vec<&'a Entry>,
    /// Of which everybody knows that nobody is there.
    impossible: &'a [Combination],
}

impl<'a> Sets<'a> {
    fn of(old: impl Iterator<Item = &'a Entry>, new: impl Iterator<Item = &'a (usize, Entry)>) -> Self {
        let mut sets = Self::default();
        let mut seen: HashSet<(Standing, _, Option<&Place>)> = HashSet::new();
        let numbers = old.map(|e| (None, e)).chain(new.map(|(cell, e)| (Some(*cell), e)));
        for (cell, entry) in numbers {
            if !seen.insert((entry.standing, entry.hash, entry.place.as_deref())) {
                continue;
            }
            match entry.standing {
                Standing::Published => {
                    match cell {
                        Some(cell) => drop(sets.fresh.insert(sets.published.len(), cell)),
                        None => sets.before += 1,
                    }
                    sets.published.push(entry);
                }
                Standing::Withheld | Standing::Differencing | Standing::Complement => sets.secret.push(entry),
            }
        }
        sets
    }

    fn audit(&self, quantity: &Quantity, people: &People<'_>, work: &Work) -> Result<BTreeSet<usize>, Unaudited> {
        if self.published.len() > work.sets_max || self.secret.len() > work.sets_max {
            return Err(Unaudited);
        }
        let rows = self.published.iter().chain(&self.secret).map(|e| &e.rows);
        let rows: Vec<&RoaringBitmap> = rows.collect();
        if rows.iter().map(|set| set.len()).sum::<u64>() > work.rows_max {
            return Err(Unaudited);
        }
        // A sum that can be negative is bounded by nothing, but it may still follow.
        let negative = rows.iter().any(|set| people.any_negative(quantity, set));
        let Refinement { atoms, of_set } = Refinement::of(&rows);
        let (shown, hidden) = of_set.split_at(self.published.len());
        let mut found = BTreeSet::new();
        let full: Vec<Target> = self
            .secret
            .iter()
            .zip(hidden)
            .filter(|(entry, _)| !entry.rows.is_empty())
            .map(|(entry, unknowns)| Target { unknowns: unknowns.clone(), need: people.need(quantity, entry) })
            .collect();
        self.narrow(&vec![negative; atoms.len()], shown, full, &mut found, work)?;

        let (unknowns, shown, empty) = self.with_empty(atoms.len(), shown, quantity, people)?;
        self.narrow(&vec![negative; unknowns], &shown, empty, &mut found, work)?;
        Ok(found)
    }

    /// The same equations with the empty declared combinations as further unknowns, and
    /// what must be said of none of them: for the cells that were asked for what their
    /// interval must hold, for any other that nobody is there.
    fn with_empty(
        &self,
        atoms: usize,
        shown: &[Vec<u32>],
        quantity: &Quantity,
        people: &People<'_>,
    ) -> Result<(usize, Vec<Vec<u32>>, Vec<Target>), Unaudited> {
        let (count, nowhere) = (self.published.len(), Place::default());
        let empty = self.secret.iter().filter(|entry| entry.rows.is_empty());
        let places: Vec<&Place> =
            self.published.iter().chain(empty).map(|e| e.place.as_deref().unwrap_or(&nowhere)).collect();
        let peopled: HashSet<Vec<usize>> = holders(atoms, shown).into_iter().collect();
        let mut shown = shown.to_vec();
        let mut of_cell: BTreeMap<usize, Vec<u32>> = (count..places.len()).map(|i| (i, Vec::new())).collect();
        let (mut unknowns, mut targets) = (atoms, Vec::new());
        for kind in Place::kinds(&places, self.impossible).ok_or(Unaudited)? {
            let (holders, cells) = kind.split_at(kind.partition_point(|i| *i < count));
            if cells.is_empty() && (holders.is_empty() || peopled.contains(holders)) {
                continue;
            }
            let unknown = u32::try_from(unknowns).map_err(|_| Unaudited)?;
            unknowns += 1;
            for i in holders {
                if let Some(set) = shown.get_mut(*i) {
                    set.push(unknown);
                }
            }
            for cell in cells {
                of_cell.entry(*cell).or_default().push(unknown);
            }
            // A curve says where nobody left without the event: no secret then.
            let said = holders.iter().any(|i| self.published.get(*i).is_some_and(|e| e.rows.is_empty()));
            if cells.is_empty() && !said && quantity.column().is_none() && people.rules.zeros == Switch::On {
                targets.push(Target { unknowns: vec![unknown], need: Need::TwoCounts });
            }
        }
        targets.extend(of_cell.into_values().map(|unknowns| Target { unknowns, need: people.need_of_empty(quantity) }));
        Ok((unknowns, shown, targets))
    }

    /// Adds, for each target that is bounded too closely, the new cell to withhold; `free`
    /// tells which unknowns may be below zero.
    fn narrow(
        &self,
        free: &[bool],
        shown: &[Vec<u32>],
        mut targets: Vec<Target>,
        found: &mut BTreeSet<usize>,
        work: &Work,
    ) -> Result<(), Unaudited> {
        let held_by = holders(free.len(), shown);
        let fresh = self.fresh.keys().filter_map(|i| shown.get(*i)).flatten();
        let touched = reached(fresh, shown, &held_by);
        targets.retain(|target| target.unknowns.iter().any(|unknown| touched.contains(unknown)));
        let reached = reached(touched.iter().chain(targets.iter().flat_map(|t| &t.unknowns)), shown, &held_by);
        let asked = |i: &usize| shown.get(*i).and_then(|set| set.first()).is_some_and(|u| reached.contains(u));
        let asked: Vec<usize> = (0..shown.len()).filter(asked).collect();
        if targets.is_empty() {
            return Ok(());
        }
        if [asked.len(), targets.len(), reached.len()].into_iter().any(|size| size > work.bounds_max) {
            return Err(Unaudited);
        }
        let system = |holds: &dyn Fn(usize) -> bool| {
            let equations = asked.iter().filter(|i| holds(**i)).filter_map(|i| {
                let (set, entry) = shown.get(*i).zip(self.published.get(*i))?;
                Some((set.as_slice(), entry.value))
            });
            System::of(free.len(), &equations.collect::<Vec<_>>(), free)
        };
        let mut now = system(&|_| true)?;
        now.scout(&targets.iter().map(|t| t.unknowns.as_slice()).collect::<Vec<_>>())?;
        // What fits all that is published fits a part of it as well.
        let loosened = |holds: &dyn Fn(usize) -> bool, now: &System| {
            let mut system = system(holds)?;
            now.corners().for_each(|corner| system.believe(&corner));
            Ok::<_, Contradiction>(system)
        };
        let (mut before, mut tried) = (None, 0);
        for target in &targets {
            let met = |low, high, slack| target.need.met(low, high, slack);
            let effort = now.effort() + before.as_ref().map_or(0, System::effort) + tried;
            if effort > work.bounds_effort_max {
                return Err(Unaudited);
            }
            // What a cell found already holds may be wide enough without that cell.
            if now.allows(&target.unknowns, met)? || self.loosened(target, shown, found) {
                continue;
            }
            let before = match &mut before {
                Some(before) => before,
                none => none.insert(loosened(&|i| i < self.before, &now)?),
            };
            if !before.allows(&target.unknowns, met)? {
                continue;
            }
            let nearest = self.nearest(target, shown);
            let mut chosen = nearest.first().copied();
            // Of the nearest, the first whose loss is enough.
            for i in nearest.into_iter().take(TRIES_MAX) {
                let mut without = loosened(&|other| other != i, &now)?;
                let enough = without.allows(&target.unknowns, met)?;
                tried += without.effort();
                if enough {
                    chosen = Some(i);
                    break;
                }
            }
            found.extend(chosen.and_then(|i| self.fresh.get(&i)).copied());
        }
        Ok(())
    }

    /// Whether a cell that goes already is in a published sum over `target`.
    fn loosened(&self, target: &Target, shown: &[Vec<u32>], found: &BTreeSet<usize>) -> bool {
        self.fresh.iter().any(|(i, cell)| found.contains(cell) && shown.get(*i).is_some_and(|set| target.touches(set)))
    }

    /// Positions of new numbers, first those that share an unknown with the target, with
    /// the fewest units first.
    fn nearest(&self, target: &Target, shown: &[Vec<u32>]) -> Vec<usize> {
        let size = |i: &usize| self.published.get(*i).map_or(0, |e| e.units);
        let apart = |i: &usize| !shown.get(*i).is_some_and(|set| target.touches(set));
        let mut nearest: Vec<usize> = self.fresh.keys().copied().collect();
        nearest.sort_by_key(|i| (apart(i), size(i), *i));
        nearest
    }
}

/// The sets of `shown` that hold each of `count` unknowns, ascending.
fn holders(count: usize, shown: &[Vec<u32>]) -> Vec<Vec<usize>> {
    let mut held_by = vec![Vec::new(); count];
    for (i, set) in shown.iter().enumerate() {
        for unknown in set {
            if let Some(holders) = held_by.get_mut(*unknown as usize) {
                holders.push(i);
            }
        }
    }
    held_by
}

/// The unknowns that hang together with those of `from` through what is shown.
fn reached<'a>(from: impl Iterator<Item = &'a u32>, shown: &[Vec<u32>], held_by: &[Vec<usize>]) -> HashSet<u32> {
    let mut open: Vec<u32> = from.copied().collect();
    let (mut reached, mut seen) = (HashSet::new(), HashSet::new());
    while let Some(unknown) = open.pop() {
        if reached.insert(unknown) {
            let sets = held_by.get(unknown as usize).into_iter().flatten().filter(|set| seen.insert(**set));
            open.extend(sets.filter_map(|set| shown.get(*set)).flatten());
        }
    }
    reached
}

/// A withheld number, and what its interval must hold.
struct Target {
    unknowns: Vec<u32>,
    need: Need,
}

impl Target {
    fn touches(&self, set: &[u32]) -> bool {
        self.unknowns.iter().any(|unknown| set.binary_search(unknown).is_ok())
    }
}

impl People<'_> {
    /// What the interval of a withheld number must hold.
    fn need(&self, quantity: &Quantity, entry: &Entry) -> Need {
        let (part, aggregate) = quantity.part();
        let (cell, measure) = self.data.stats_for(aggregate, &entry.rows, quantity.column(), self.dominance_n);
        if !quantity.is_magnitude() {
            let few = self.rules.threshold.is_some_and(|k| cell.units < k);
            return if entry.standing == Standing::Complement { Need::TwoCounts } else { self.count(few) };
        }
        let own = !self.rules.judge_part(part, &cell, &measure).is_empty();
        let largest = amount(part, &cell, &measure).largest;
        match self.rules.p_percent {
            Some(p) if own && largest > 0.0 => {
                let least = if self.any_negative(quantity, &entry.rows) { f64::NEG_INFINITY } else { 0.0 };
                Need::reach(entry.value, p * largest, least)
            }
            _ => Need::Width,
        }
    }

    /// Whether what `rows` come to may be less than what a part of them does.
    fn any_negative(&self, quantity: &Quantity, rows: &RoaringBitmap) -> bool {
        matches!(quantity, Quantity::Total(column) if self.data.any_negative(rows, *column))
    }

    fn need_of_empty(&self, quantity: &Quantity) -> Need {
        if quantity.is_magnitude() { Need::Width } else { self.count(true) }
    }

    /// A count below k may be anything from 0 to k; any other may be k different ones.
    fn count(&self, few: bool) -> Need {
        #[expect(clippy::cast_precision_loss, reason = "k is small")]
        match (self.rules.threshold, few) {
            (Some(k), true) => Need::Reach { low: 0.0, high: k as f64 },
            (Some(k), false) => Need::Wide(k as f64),
            (None, _) => Need::TwoCounts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{lineage::Microdata, route_c::Rules};

    /// Rows 0..20, a person each; k = 5.
    fn bounded(work: &Work) -> Examined {
        let data = Microdata::new((0..20).collect(), vec![], |row| u128::from(row + 1) << 64 | u128::from(row + 1));
        let rules = Rules { threshold: Some(5), ..Rules::none() };
        let people = People { data: &data, rules: &rules, dominance_n: 2 };
        let entry = |rows: std::ops::Range<u32>, standing| {
            let value = f64::from(rows.end - rows.start);
            Entry::new(Quantity::Count, rows.collect(), value, standing, &data, rules.threshold)
        };
        let mut history = History::default();
        let (out, held) = (Standing::Published, Standing::Withheld);
        // Ten and three of them, which may be 0 to 10; and eight of others.
        history.enter([entry(0..10, out), entry(0..3, held), entry(10..18, out)]);
        bounds(&history, &[(0, entry(0..9, out))], (&people, &[]), work)
    }

    #[test]
    fn above_the_work_limit_a_person_looks_at_what_is_new() {
        let audited = bounded(&Work::default());
        assert_eq!(audited, Examined::default(), "0 to 9 holds 0 to 5");
        for work in [Work { bounds_max: 1, ..Work::default() }, Work { sets_max: 1, ..Work::default() }] {
            let audited = bounded(&work);
            assert!(audited.limit_reached && audited.review.contains(&0) && audited.withhold.is_empty());
        }
    }

    #[test]
    fn only_what_hangs_together_with_something_new_counts() {
        // Two sets over three unknowns: the third set is of other people.
        assert!(!bounded(&Work { bounds_max: 3, ..Work::default() }).limit_reached);
    }
}
