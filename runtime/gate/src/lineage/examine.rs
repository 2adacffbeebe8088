//! New cells against history: who must be withheld, who must be looked at.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use roaring::RoaringBitmap;
use sluice_domain::{
    Refusal,
    candidate::Reason,
    contract::{Aggregate, Part},
};
use sluice_rows::cells::CellStats;

use super::{
    Entry, History, Microdata, Origin, Quantity, SetHash, Standing,
    few::{ATOMS_MAX, Few},
    held,
    refine::{Published, Refinement, World},
};
use crate::{
    refusals,
    route_c::{
        Rules, Switch,
        span::{Fate, P, Sparse, indicator, sweep_beyond},
    },
};

/// The rules, and the rows that they judge.
pub struct People<'a> {
    /// The rows.
    pub data: &'a Microdata,
    /// The rules that are on.
    pub rules: &'a Rules,
    /// n of the dominance rule.
    pub dominance_n: usize,
}

/// Limits of one examination; beyond them the answer is a person's.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    /// Most rows over all sets that the refinement reads.
    pub rows_max: u64,
    /// Most published sets in the span, and most atoms.
    pub sets_max: usize,
    /// Most atoms over which unions of three are looked at.
    pub unions_max: usize,
    /// Most published sets, withheld ones, and unknowns in the linear programmes of bounds:
    /// of those that hang together with a new number.
    pub bounds_max: usize,
    /// Most entries of these programmes in all, unknowns by equations.
    pub bounds_effort_max: u64,
}

impl Default for Work {
    fn default() -> Self {
        Self {
            rows_max: 50_000_000,
            sets_max: 2_500,
            unions_max: 1_500,
            bounds_max: 2_000,
            bounds_effort_max: 30_000_000,
        }
    }
}

/// The answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Examined {
    /// Cells to withhold as *differencing*.
    pub withhold: BTreeSet<usize>,
    /// Cells that a person must look at.
    pub review: BTreeSet<usize>,
    /// Whether a work limit kept something from being looked at.
    pub limit_reached: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Safe,
    Review,
    Unsafe,
}

impl Quantity {
    /// What of which aggregate it is judged as.
    pub(super) fn part(&self) -> (Part, Aggregate) {
        match self {
            Self::Count | Self::Held => (Part::Rows, Aggregate::Rows),
            Self::Units | Self::HeldUnits => (Part::Units, Aggregate::Units),
            Self::Values(_) => (Part::Values, Aggregate::Count),
            Self::Total(_) | Self::Quantile(_) => (Part::Total, Aggregate::Sum),
            Self::Squares(_) => (Part::Squares, Aggregate::VarPop),
        }
    }

    /// Whether it adds up values and not rows.
    pub(super) fn is_magnitude(&self) -> bool {
        matches!(self, Self::Total(_) | Self::Squares(_))
    }
}

impl People<'_> {
    /// `rows` judged as if they were a cell of this quantity.
    fn judge(&self, quantity: &Quantity, rows: &RoaringBitmap) -> Verdict {
        let (part, aggregate) = quantity.part();
        let (cell, measure) = self.data.stats_for(aggregate, rows, quantity.column(), self.dominance_n);
        let mut reasons = self.rules.judge_part(part, &cell, &measure);
        let negative = reasons.remove(&Reason::Negative);
        match (reasons.is_empty(), negative) {
            (false, _) => Verdict::Unsafe,
            (true, true) => Verdict::Review,
            (true, false) => Verdict::Safe,
        }
    }

    /// Whether one cell of two snapshots may be published in both: either nothing of it
    /// changed, or the units that changed pass the rules by the size of their changes.
    fn may_change(&self, quantity: &Quantity, from: &RoaringBitmap, to: &RoaringBitmap) -> bool {
        let of = |x: f64| if matches!(quantity, Quantity::Squares(_)) { x * x } else { x };
        let changes = self.data.change((from, to), quantity.column(), of, self.dominance_n);
        let cell = CellStats { rows: changes.count, units: changes.units, measures: Vec::new() };
        let part = if quantity.is_magnitude() { Part::Total } else { quantity.part().0 };
        changes.units == 0 || self.rules.judge_part(part, &cell, &changes).is_empty()
    }

    pub(super) fn k(&self) -> u64 {
        self.rules.threshold.unwrap_or(0)
    }

    /// Whether a difference of many units can still be unsafe.
    fn judges_magnitudes(&self, quantity: &Quantity) -> bool {
        let rules = self.rules;
        let on = rules.p_percent.is_some() || rules.dominance_share.is_some() || rules.largest_share.is_some();
        quantity.is_magnitude() && (on || rules.all_same == Switch::On || rules.negatives == Switch::On)
    }
}

/// Examines new numbers, each with the number of its cell, against history.
///
/// # Errors
/// `gate.host-fault` when the same rows give another number than before.
pub fn examine(
    history: &History,
    new: &[(usize, Entry)],
    people: &People<'_>,
    work: &Work,
) -> Result<Examined, Refusal> {
    let mut examined = Examined::default();
    let mut by_quantity: BTreeMap<&Quantity, Vec<&(usize, Entry)>> = BTreeMap::new();
    for number in new {
        by_quantity.entry(&number.1.quantity).or_default().push(number);
    }
    for (quantity, new) in by_quantity {
        let of = |test: &dyn Fn(&Quantity) -> bool| -> Vec<&Entry> {
            history.entries.iter().map(AsRef::as_ref).filter(|e| test(&e.quantity)).collect()
        };
        // A quantile is compared with everything on its column, and everything with it;
        // a derived measure with the columns behind it, and they with it; a held input,
        // of which nobody knows what was said, with whatever reads a column.
        let held = |q: &Quantity| matches!(q, Quantity::Held | Quantity::HeldUnits);
        let curved = |q: &Quantity| {
            if held(q) || held(quantity) {
                let read = |a: &Quantity, b: &Quantity| *a == Quantity::Held && b.column().is_some();
                return q == quantity || read(q, quantity) || read(quantity, q);
            }
            let quantile = matches!(q, Quantity::Quantile(_)) || matches!(quantity, Quantity::Quantile(_));
            match (q.column(), quantity.column()) {
                (Some(a), Some(b)) if a == b => quantile,
                (Some(a), Some(b)) => people.data.related(a, b),
                _ => false,
            }
        };
        let curved = of(&curved);
        for (apart, _, (cell, _)) in near(&curved, &new, people) {
            if apart > 0 {
                examined.withhold.insert(*cell);
            }
        }
        if quantity.adds_up() {
            linear(quantity, &of(&|q| q == quantity), &new, people, work, &mut examined)?;
        }
    }
    curved_together(new, people, &mut examined);
    held::together(history, new, people, work, &mut examined);
    let withhold = examined.withhold.clone();
    examined.review.retain(|cell| !withhold.contains(cell));
    Ok(examined)
}

/// Within one job: a quantile and anything else on its column that differ in fewer than
/// k units. The later cell goes.
fn curved_together(new: &[(usize, Entry)], people: &People<'_>, examined: &mut Examined) {
    let curved = |e: &Entry| matches!(e.quantity, Quantity::Quantile(_));
    for (at, (cell, entry)) in new.iter().enumerate().filter(|(_, (_, e))| curved(e)) {
        let later = |i: usize, other: &Entry| i > at || !curved(other);
        let others = new.iter().enumerate();
        let same_column = others.filter(|(i, (_, e))| later(*i, e) && e.quantity.column() == entry.quantity.column());
        let others: Vec<&(usize, Entry)> = same_column.map(|(_, other)| other).collect();
        let near = near(&[entry], &others, people).into_iter().filter(|(apart, ..)| *apart > 0);
        if entry.is_published() {
            examined.withhold.extend(near.map(|(_, _, (other, _))| *other.max(cell)));
        }
    }
}

/// Pairs of a published old and a published new set that differ in fewer than k units:
/// (units of the difference, the old one, the new one with its cell). Sets that differ in
/// fewer units than they have blocks agree on a block, so equal blocks find them all.
fn near<'a>(
    old: &[&'a Entry],
    new: &[&'a (usize, Entry)],
    people: &People<'_>,
) -> Vec<(u64, &'a Entry, &'a (usize, Entry))> {
    let k = people.k();
    let blocks = Blocks::of(new);
    let exhaustive = k > super::BLOCKS_MAX as u64;
    let mut found = Vec::new();
    for entry in old.iter().filter(|e| e.is_published()) {
        let mut looked: Vec<(usize, SetHash)> = Vec::new();
        let agreeing = entry.blocks.iter().enumerate().flat_map(|(block, print)| blocks.holders(block, *print));
        let all = new.iter().filter(|n| exhaustive && n.1.is_published()).copied();
        for number in agreeing.chain(all) {
            let (cell, other) = number;
            // |A△B| ≥ ||A|−|B||, so the sizes rule most pairs out. A cell may have two sets.
            if entry.units.abs_diff(other.units) >= k || looked.contains(&(*cell, other.hash)) {
                continue;
            }
            looked.push((*cell, other.hash));
            let apart = people.data.units(&(&entry.rows ^ &other.rows));
            if apart < k {
                found.push((apart, *entry, number));
            }
        }
    }
    found
}

/// The new sets by the fingerprints of their blocks.
struct Blocks<'a> {
    /// For each block, which low 16 bits occur: most old sets stop here.
    occurring: Vec<Vec<u64>>,
    holders: HashMap<(usize, u32), Vec<&'a (usize, Entry)>>,
}

impl<'a> Blocks<'a> {
    fn of(new: &[&'a (usize, Entry)]) -> Self {
        let (mut occurring, mut holders): (Vec<Vec<u64>>, HashMap<_, Vec<_>>) = (Vec::new(), HashMap::new());
        for number in new.iter().copied().filter(|n| n.1.is_published()) {
            for (block, print) in number.1.blocks.iter().enumerate() {
                if occurring.len() <= block {
                    occurring.resize(block + 1, vec![0; 1 << 10]);
                }
                if let Some(word) = occurring.get_mut(block).and_then(|words| words.get_mut(Self::word(*print))) {
                    *word |= 1 << (print & 63);
                }
                holders.entry((block, *print)).or_default().push(number);
            }
        }
        Self { occurring, holders }
    }

    fn word(print: u32) -> usize {
        (print >> 6 & 0x3FF) as usize
    }

    fn holders(&self, block: usize, print: u32) -> impl Iterator<Item = &'a (usize, Entry)> {
        let word = self.occurring.get(block).and_then(|words| words.get(Self::word(print)));
        let occurs = word.is_some_and(|word| word >> (print & 63) & 1 == 1);
        let found = if occurs { self.holders.get(&(block, print)) } else { None };
        found.into_iter().flatten().copied()
    }
}

/// Everything that adds up.
fn linear(
    quantity: &Quantity,
    old: &[&Entry],
    new: &[&(usize, Entry)],
    people: &People<'_>,
    work: &Work,
    examined: &mut Examined,
) -> Result<(), Refusal> {
    let published = Entry::is_published;
    let asked: HashSet<_> = new.iter().map(|n| n.1.hash).collect();
    let again = old.iter().filter(|e| published(e) && asked.contains(&e.hash));
    let known: HashMap<_, f64> = again.map(|e| (e.hash, e.value)).collect();
    for (_, entry) in new.iter().filter(|n| published(&n.1)) {
        let before = known.get(&entry.hash);
        if before.is_some_and(|before| (before - entry.value).abs() > 1e-9 * before.abs().max(1.0)) {
            return Err(refusals::host_fault(
                "lineage",
                "同一批数据前后给出了不同的数",
                "the same rows gave another number than before",
            ));
        }
    }
    // Rows that were published already add nothing, and an empty set has nobody.
    let adds = |n: &&&(usize, Entry)| published(&n.1) && !known.contains_key(&n.1.hash) && !n.1.rows.is_empty();
    let fresh: Vec<&(usize, Entry)> = new.iter().filter(adds).copied().collect();
    if fresh.is_empty() {
        return Ok(());
    }
    let unsafe_pairs = pairs(quantity, old, &fresh, people, examined);

    // One set is one equation, however many cells it was.
    let mut sets = HashSet::new();
    let once = |e: &&Entry| !e.rows.is_empty() && sets.insert((e.hash, e.standing));
    let old = old.iter().copied().filter(once).collect::<Vec<_>>();
    let secret = old.iter().copied().filter(|e| !published(e));
    let out: Vec<&Entry> = old.iter().copied().filter(|e| published(e)).collect();
    if out.len() + fresh.len() > work.sets_max {
        give_up(out.len(), &unsafe_pairs, &fresh, examined);
        return Ok(());
    }
    let held = new.iter().map(|n| &n.1).filter(|e| !published(e) && !e.rows.is_empty());
    let secret: Vec<&Entry> = secret.chain(held).collect();
    let mut fresh = fresh;
    // Most valuable first; the last to complete a combination is the one to go.
    fresh.sort_by_key(|(cell, entry)| (std::cmp::Reverse(entry.units), *cell));
    let sets: Vec<&RoaringBitmap> = out
        .iter()
        .map(|e| &e.rows)
        .chain(fresh.iter().map(|n| &n.1.rows))
        .chain(secret.iter().map(|e| &e.rows))
        .chain(unsafe_pairs.iter().map(|(_, rest)| rest))
        .chain(new.iter().map(|n| &n.1).filter(|e| published(e)).map(|e| &e.rows))
        .collect();
    let size: u64 = sets.iter().map(|s| s.len()).sum();
    if size > work.rows_max {
        give_up(out.len(), &unsafe_pairs, &fresh, examined);
        return Ok(());
    }
    let refined = Refinement::of(&sets);
    if refined.atoms.len() > work.sets_max {
        give_up(out.len(), &unsafe_pairs, &fresh, examined);
        return Ok(());
    }
    let (of_out, rest) = refined.of_set.split_at(out.len());
    let (of_fresh, rest) = rest.split_at(fresh.len());
    let (targets, of_new) = rest.split_at(secret.len() + unsafe_pairs.len());
    let mut elimination = Published::default();
    of_out.iter().for_each(|set| elimination.add(set));
    let before = elimination.world(refined.atoms.len());
    of_fresh.iter().for_each(|set| elimination.add(set));
    let after = elimination.world(refined.atoms.len());
    let mut by_themselves = Published::default();
    of_new.iter().for_each(|set| by_themselves.add(set));
    let alone = by_themselves.world(refined.atoms.len());

    let told = |set: &[u32]| after.tells(set.iter().copied()) && !before.tells(set.iter().copied());
    // A cell withheld for another's sake hides one that may be empty, which has no rows
    // here: what its own tables tell of it was for suppression to weigh.
    let weighed = |i: usize, set: &[u32]| {
        secret.get(i).is_some_and(|e| e.standing == Standing::Complement) && alone.tells(set.iter().copied())
    };
    let follows = targets.iter().enumerate().filter(|(i, set)| told(set) && !weighed(*i, set));
    let mut hits: BTreeSet<Vec<u32>> = follows.map(|(_, set)| set.clone()).collect();
    let (unions, complete) = unions(quantity, &refined, &before, &after, people, work);
    for union in unions {
        let rows = union.iter().filter_map(|i| refined.atoms.get(*i as usize)).fold(RoaringBitmap::new(), |a, b| a | b);
        // What the new table tells by itself was for its own suppression to weigh; only
        // too few units are never let through.
        let weighed = alone.tells(union.iter().copied()) && people.data.units(&rows) >= people.k();
        if !weighed && people.judge(quantity, &rows) == Verdict::Unsafe {
            hits.insert(union);
        }
    }
    let mut protected: Vec<Sparse> = hits.iter().map(|set| indicator(set)).collect();
    let mut complete = complete;
    if let Some(few) = Few::of(&refined, people) {
        let worlds = (0u64..).take(ATOMS_MAX + 1).map(|i| elimination.another_world(refined.atoms.len(), i));
        let (told, all) = few.told(&before, &worlds.collect::<Vec<_>>(), people);
        protected.extend(told);
        complete &= all;
    }
    if !complete {
        examined.limit_reached = true;
        examined.review.extend(fresh.iter().map(|(cell, _)| *cell));
    }
    let cells: Vec<usize> = fresh.iter().map(|(cell, _)| *cell).collect();
    examined.withhold.extend(last_to_complete((of_out, of_fresh), &protected, refined.atoms.len(), &cells));
    Ok(())
}

/// Of the new sets `of_fresh`, each of a cell of `cells`, those that complete a protected
/// combination with the old ones and the new ones before them: their cells.
pub(super) fn last_to_complete(
    (of_out, of_fresh): (&[Vec<u32>], &[Vec<u32>]),
    protected: &[Sparse],
    atoms: usize,
    cells: &[usize],
) -> Vec<usize> {
    if protected.is_empty() {
        return Vec::new();
    }
    let candidates: Vec<Sparse> = of_out.iter().chain(of_fresh).map(|set| indicator(set)).collect();
    let fates = sweep_beyond(of_out.len(), &candidates, protected, atoms);
    let lost = fates.into_iter().skip(of_out.len()).zip(cells).filter(|(fate, _)| *fate == Fate::Suppressed);
    lost.map(|(_, cell)| *cell).collect()
}

/// The work limit: what is known to be unsafe is withheld, the rest is for a person.
/// Where nothing was released before, suppression within the table has said it all.
fn give_up(out: usize, known: &[(usize, RoaringBitmap)], fresh: &[&(usize, Entry)], examined: &mut Examined) {
    if out == 0 {
        return;
    }
    examined.limit_reached = true;
    examined.withhold.extend(known.iter().map(|(cell, _)| *cell));
    examined.review.extend(fresh.iter().map(|(cell, _)| *cell));
}

/// The unsafe differences of nested pairs, with the new cell of each; overlaps and negative differences are
/// marked for a person.
fn pairs(
    quantity: &Quantity,
    old: &[&Entry],
    fresh: &[&(usize, Entry)],
    people: &People<'_>,
    examined: &mut Examined,
) -> Vec<(usize, RoaringBitmap)> {
    let mut found = Vec::new();
    let mut look = |entry: &Entry, cell: usize, rows: &RoaringBitmap, examined: &mut Examined| {
        let (inner, outer) = if entry.rows.len() < rows.len() { (&entry.rows, rows) } else { (rows, &entry.rows) };
        if !inner.is_subset(outer) {
            return false;
        }
        let rest = outer - inner;
        match people.judge(quantity, &rest) {
            Verdict::Unsafe => found.push((cell, rest)),
            Verdict::Review => {
                examined.review.insert(cell);
            }
            Verdict::Safe => {}
        }
        true
    };
    if people.judges_magnitudes(quantity) {
        for entry in old.iter().filter(|e| e.is_published()) {
            for (cell, number) in fresh {
                let may_nest = |a: &RoaringBitmap, b: &RoaringBitmap| a.min().is_some_and(|row| b.contains(row));
                if may_nest(&entry.rows, &number.rows) || may_nest(&number.rows, &entry.rows) {
                    look(entry, *cell, &number.rows, examined);
                }
            }
        }
    }
    for (apart, entry, (cell, number)) in near(old, fresh, people) {
        if look(entry, *cell, &number.rows, examined) || apart == 0 {
            continue;
        }
        match entry.of {
            Origin::Current => drop(examined.review.insert(*cell)),
            // Between two snapshots it is whoever changed; how much of one cell did is below.
            Origin::Earlier if entry.place == number.place => {}
            Origin::Earlier => drop(examined.withhold.insert(*cell)),
        }
    }
    changed(quantity, old, fresh, people, examined);
    found
}

/// Withholds new cells of which too few changed since an earlier snapshot on which the
/// same cell was published.
fn changed(
    quantity: &Quantity,
    old: &[&Entry],
    fresh: &[&(usize, Entry)],
    people: &People<'_>,
    examined: &mut Examined,
) {
    let earlier = old.iter().filter(|e| e.of == Origin::Earlier && e.is_published());
    let mut at: HashMap<_, Vec<&Entry>> = HashMap::new();
    for entry in earlier {
        at.entry(entry.place.as_deref()).or_default().push(entry);
    }
    for (cell, number) in fresh {
        let before = at.get(&number.place.as_deref()).into_iter().flatten();
        if before.into_iter().any(|e| !people.may_change(quantity, &e.rows, &number.rows)) {
            examined.withhold.insert(*cell);
        }
    }
}

/// Atoms and unions of two and three atoms that follow only with the new sets, and
/// whether all of them were looked at.
pub(super) fn unions(
    quantity: &Quantity,
    refined: &Refinement,
    before: &World,
    after: &World,
    people: &People<'_>,
    work: &Work,
) -> (BTreeSet<Vec<u32>>, bool) {
    let count = refined.atoms.len();
    // An atom that follows by itself is looked at by itself: added to another set that follows
    // it is one of two safe cells, and together these have no fewer units and no larger shares.
    let mut members: Vec<u32> = (0u32..).take(count).filter(|a| after.of(*a as usize) != 0).collect();
    let mut complete = true;
    if members.len() > work.unions_max {
        // Only small atoms can add up to fewer than k units; a sum of many can be unsafe.
        complete = !people.judges_magnitudes(quantity);
        let small = |i: &u32| refined.atoms.get(*i as usize).is_some_and(|a| people.data.units(a) < people.k());
        members.retain(small);
        if members.len() > work.unions_max {
            members.truncate(0);
            complete = false;
        }
    }
    let mut at: HashMap<u64, Vec<u32>> = HashMap::new();
    for atom in &members {
        at.entry(after.of(*atom as usize)).or_default().push(*atom);
    }
    let missing = |sum: u64| (P - sum) % P;
    let mut found = BTreeSet::new();
    let mut keep = |union: Vec<u32>| {
        if !before.tells(union.iter().copied()) {
            found.insert(union);
        }
    };
    for atom in (0u32..).take(count).filter(|a| after.of(*a as usize) == 0) {
        keep(vec![atom]);
    }
    for (i, a) in members.iter().enumerate() {
        let first = after.of(*a as usize);
        for c in at.get(&missing(first)).into_iter().flatten().filter(|c| *c > a) {
            keep(vec![*a, *c]);
        }
        for b in members.iter().skip(i + 1) {
            let sum = (first + after.of(*b as usize)) % P;
            for c in at.get(&missing(sum)).into_iter().flatten().filter(|c| *c > b) {
                keep(vec![*a, *b, *c]);
            }
        }
    }
    (found, complete)
}
