//! Products of route D against what several numbers say together. What a guest says of its
//! rows is not known, so it is taken to be a total of whatever the others are totals of:
//! with the totals of parts of its rows it would tell that of the rest, and with those of a
//! larger set that of what it left out.
//!
//! One system of equations per column whose totals, squares or counts are out, with the rows
//! of every held input that have a value there; and one of the held inputs alone. As for
//! cells ([`super::examine`]): no atom of the partition refinement, no union of two or three,
//! and nothing about the rows of fewer than k units may follow that did not before. Larger
//! sets are not judged: no rule but the threshold has a meaning for a number that nobody knows.

use std::collections::{BTreeSet, HashSet};

use roaring::RoaringBitmap;

use super::{
    Entry, Examined, History, People, Quantity, Work,
    examine::{last_to_complete, unions},
    few::{ATOMS_MAX, Few},
    refine::{Published, Refinement},
};
use crate::route_c::span::{Sparse, indicator};

/// Withholds the new numbers that complete such a combination; none without a held product.
pub(super) fn together(
    history: &History,
    new: &[(usize, Entry)],
    people: &People<'_>,
    work: &Work,
    examined: &mut Examined,
) {
    let all = || history.entries.iter().map(AsRef::as_ref).chain(new.iter().map(|(_, entry)| entry));
    if !all().any(|entry| entry.quantity == Quantity::Held) {
        return;
    }
    let added: BTreeSet<&Quantity> =
        all().map(|entry| &entry.quantity).filter(|q| q.adds_up() && q.column().is_some()).collect();
    for quantity in added.into_iter().map(Some).chain([None]) {
        let system = System::of(quantity, history, new, people);
        if system.is_mixed {
            system.examine(people, work, examined);
        }
    }
}

/// Published sets of rows, each once.
struct System {
    old: Vec<RoaringBitmap>,
    /// With their cells, the largest first.
    fresh: Vec<(usize, RoaringBitmap)>,
    /// Whether something new stands beside a held product, or is one.
    is_mixed: bool,
}

impl System {
    fn of(quantity: Option<&Quantity>, history: &History, new: &[(usize, Entry)], people: &People<'_>) -> Self {
        let column = quantity.and_then(Quantity::column);
        let is_held = |entry: &Entry| entry.quantity == Quantity::Held;
        let mut seen = HashSet::new();
        let mut once = |entry: &Entry| {
            let asked = entry.is_published() && (is_held(entry) || Some(&entry.quantity) == quantity);
            let rows = asked.then(|| match column {
                Some(column) if is_held(entry) => people.data.valued(&entry.rows, column),
                _ => entry.rows.clone(),
            })?;
            (!rows.is_empty() && seen.insert(people.data.sketch(&rows, 0).0)).then_some(rows)
        };
        let mut held = history.entries.iter().any(|entry| is_held(entry));
        let old = history.entries.iter().filter_map(|entry| once(entry)).collect();
        let mut fresh: Vec<_> = new.iter().filter_map(|(cell, entry)| Some((*cell, once(entry)?))).collect();
        fresh.sort_by_key(|(cell, rows)| (std::cmp::Reverse(people.data.units(rows)), *cell));
        held |= new.iter().any(|(_, entry)| is_held(entry));
        Self { is_mixed: held && !fresh.is_empty(), old, fresh }
    }

    fn examine(&self, people: &People<'_>, work: &Work, examined: &mut Examined) {
        let sets: Vec<&RoaringBitmap> = self.old.iter().chain(self.fresh.iter().map(|(_, rows)| rows)).collect();
        let within = sets.len() <= work.sets_max && sets.iter().map(|s| s.len()).sum::<u64>() <= work.rows_max;
        let Some(refined) = within.then(|| Refinement::of(&sets)).filter(|r| r.atoms.len() <= work.sets_max) else {
            return self.give_up(examined);
        };
        let (of_old, of_fresh) = refined.of_set.split_at(self.old.len());
        let atoms = refined.atoms.len();
        let mut published = Published::default();
        of_old.iter().for_each(|set| published.add(set));
        let before = published.world(atoms);
        of_fresh.iter().for_each(|set| published.add(set));
        let (found, mut complete) = unions(&Quantity::Held, &refined, &before, &published.world(atoms), people, work);
        let units = |union: &[u32]| {
            let rows = union.iter().filter_map(|atom| refined.atoms.get(*atom as usize));
            people.data.units(&rows.fold(RoaringBitmap::new(), |all, atom| all | atom))
        };
        let small = found.iter().filter(|union| units(union) < people.k());
        let mut protected: Vec<Sparse> = small.map(|union| indicator(union)).collect();
        if let Some(few) = Few::of(&refined, people) {
            let worlds = (0u64..).take(ATOMS_MAX + 1).map(|number| published.another_world(atoms, number));
            let (told, all) = few.told(&before, &worlds.collect::<Vec<_>>(), people);
            protected.extend(told);
            complete &= all;
        }
        if !complete {
            self.give_up(examined);
        }
        let cells: Vec<usize> = self.fresh.iter().map(|(cell, _)| *cell).collect();
        examined.withhold.extend(last_to_complete((of_old, of_fresh), &protected, atoms, &cells));
    }

    /// The work limit: pairs were compared, the rest is for a person.
    fn give_up(&self, examined: &mut Examined) {
        examined.limit_reached = true;
        examined.review.extend(self.fresh.iter().map(|(cell, _)| *cell));
    }
}
