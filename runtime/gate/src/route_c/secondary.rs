//! G6, secondary suppression over all route-C tables of a job at once.
//!
//! Per view, all tables are laid over common atoms (`frame`). Elimination decides which
//! cells may be published without giving a secret away (`span`), in the best of five
//! orders. Linear programmes choose what else is withheld so that no withheld cell can be
//! bounded too closely (`room`), and what turns out needless is given back; this is tried
//! from four starts, and then again from a part of the best (ruin and recreate: Schrimpf,
//! Schneider, Stamm-Wilbrandt and Dueck 2000). The interval audit (`audit`) judges what is left: where it still
//! finds a cell too narrow, one more goes. No withheld cell, primary or not, follows from
//! what is published.
//!
//! Secrets besides the unsafe cells themselves: unions of them along a line, plane or
//! table whose units may be fewer than k. And a contributor alone in a cell, who knows
//! their own value, must not be able to work out any other secret with it.

use std::collections::{BTreeMap, BTreeSet};

use sluice_domain::{Refusal, contract::TableC};
use sluice_rows::cells::CellKey;

use super::{
    audit::{Audit, Narrow},
    differencing::unsafe_differences,
    frame::{Axes, Frame, frames},
    primary::{JudgedCell, JudgedTable},
    room::Room,
    rules::{Rules, Switch},
    span::{Attacker, Fate, Guard, P, Sparse, indicator, mixed, sweep_asking, sweep_beyond, sweep_guarded},
};

/// Checks, from the contract alone, that a job's tables are small enough.
///
/// # Errors
/// `gate.too-many-cells`.
pub fn within_limits(tables: &[&TableC], cells_max: usize) -> Result<(), Refusal> {
    let mut by_view: BTreeMap<&str, Vec<&TableC>> = BTreeMap::new();
    for table in tables {
        by_view.entry(table.plan.view.as_str()).or_default().push(table);
    }
    by_view.into_values().try_for_each(|members| Axes::of(&members, cells_max).map(drop))
}

/// How far the protection goes. The product takes [`Depth::Audited`]; the others are
/// for comparisons, and for tests that show what each stage is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// No primary cell follows.
    Elimination,
    /// Nor a union of unsafe cells, nor what a lone contributor could subtract.
    Unions,
    /// Nor can a withheld cell be bounded too closely.
    Audited,
}

/// For each table, the cells (positions in its canonical order) that must be
/// withheld besides the ones with a primary reason.
///
/// # Errors
/// `gate.too-many-cells` above `cells_max` atoms.
pub fn secondary(
    tables: &[(&TableC, &JudgedTable)],
    rules: &Rules,
    cells_max: usize,
) -> Result<Vec<BTreeSet<usize>>, Refusal> {
    secondary_to(Depth::Audited, tables, rules, cells_max)
}

/// As [`secondary`], but no further than `depth`.
///
/// # Errors
/// As there.
pub fn secondary_to(
    depth: Depth,
    tables: &[(&TableC, &JudgedTable)],
    rules: &Rules,
    cells_max: usize,
) -> Result<Vec<BTreeSet<usize>>, Refusal> {
    let mut added = vec![BTreeSet::new(); tables.len()];
    for frame in frames(tables, cells_max)? {
        for i in suppress(depth, &frame, tables, rules) {
            let Some(cell) = frame.cells.get(i) else { continue };
            if let Some(cells) = added.get_mut(cell.table) {
                cells.insert(cell.cell);
            }
        }
    }
    Ok(added)
}

/// The cells of one frame to withhold besides the primary ones.
pub(crate) fn suppress(
    depth: Depth,
    frame: &Frame,
    tables: &[(&TableC, &JudgedTable)],
    rules: &Rules,
) -> BTreeSet<usize> {
    let judged = |i: usize| -> Option<&JudgedCell> {
        let cell = frame.cells.get(i)?;
        tables.get(cell.table)?.1.cells.get(cell.cell)
    };
    let all: BTreeSet<usize> = (0..frame.cells.len()).collect();
    let primary: BTreeSet<usize> =
        all.iter().copied().filter(|i| judged(*i).is_some_and(|c| !c.reasons.is_empty())).collect();
    let out: BTreeSet<usize> = all.iter().copied().filter(|i| judged(*i).is_some_and(JudgedCell::is_out)).collect();
    let secrets = Secrets::of(depth, frame, tables, &primary, rules, &out);
    let first = &primary | &unsafe_differences(frame, tables, rules);
    let orders = orders(frame, judged, &out);
    // Of as many cells, those with the fewest units.
    let worth = |withheld: &BTreeSet<usize>| -> (usize, u64) {
        let cells = withheld.iter().filter_map(|i| judged(*i));
        cells.fold((0, 0), |(worth, units), cell| (worth + cell.worth(), units + cell.units))
    };
    let swept = orders.iter().map(|order| &first | &secrets.give_away(order, &first));
    let Some(fewest) = swept.min_by_key(worth) else { return BTreeSet::new() };
    if depth < Depth::Audited {
        return &fewest - &primary;
    }
    // From what elimination withholds, or from nothing but the unsafe cells; the most
    // valuable seen to first, or last: none is the best for every table.
    let usual = orders.first().map_or(&[][..], Vec::as_slice);
    let turned: Vec<usize> = usual.iter().rev().copied().collect();
    let prices = prices(frame, judged, &out);
    let propose = |(start, seen): (&BTreeSet<usize>, &[usize])| {
        secrets.propose((usual, seen), (&first, start), Audit::of(frame, tables, rules), prices.clone())
    };
    let ways = [(&first, usual), (&first, &turned), (&fewest, usual), (&fewest, &turned)];
    let tried = ways.get(..if frame.cells.len() > LARGE { 1 } else { ways.len() }).unwrap_or_default();
    let least = |found: Vec<BTreeSet<usize>>| found.into_iter().min_by_key(worth);
    // Without a proposal nothing goes out.
    let mut withheld = least(side_by_side(tried, propose)).unwrap_or(all);
    let (cells, most) = AGAIN;
    for turn in (0..).take(most.min(cells / frame.cells.len().max(1))) {
        let ways = [2 * turn, 2 * turn + 1];
        let again = |way| secrets.again(way, (usual, &prices), (&first, &withheld), Audit::of(frame, tables, rules));
        let found = side_by_side(&ways, again);
        withheld = least(found).filter(|found| worth(found) <= worth(&withheld)).unwrap_or(withheld);
    }
    &withheld - &primary
}

/// `of` each item, on threads of their own where there can be some; less those that failed.
fn side_by_side<I: Copy + Send, O: Send>(items: &[I], of: impl Fn(I) -> O + Sync) -> Vec<O> {
    let of = &of;
    std::thread::scope(|scope| {
        let start = |item: &I| {
            let item = *item;
            (item, std::thread::Builder::new().spawn_scoped(scope, move || of(item)))
        };
        let started: Vec<_> = items.iter().map(start).collect();
        let finish = |(item, thread): (I, std::io::Result<std::thread::ScopedJoinHandle<'_, O>>)| match thread {
            Ok(thread) => thread.join().ok(),
            Err(_) => Some(of(item)),
        };
        started.into_iter().filter_map(finish).collect()
    })
}

/// What withholding each cell costs: its worth, and up to as much again for its units. A
/// cell that is out already cannot be withheld.
fn prices<'a>(frame: &Frame, judged: impl Fn(usize) -> Option<&'a JudgedCell>, out: &BTreeSet<usize>) -> Vec<f64> {
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    let cells: Vec<(f64, f64)> = (0..frame.cells.len())
        .map(|i| judged(i).map_or((1.0, 0.0), |c| (c.worth() as f64, ((1 + c.units) as f64).ln())))
        .collect();
    let most = cells.iter().fold(1.0, |most: f64, (_, units)| most.max(*units));
    let price = |(i, (worth, units)): (usize, &(f64, f64))| {
        if out.contains(&i) { f64::INFINITY } else { worth * (1.0 + units / most) }
    };
    cells.iter().enumerate().map(price).collect()
}

/// Cells above which one way of choosing is tried, not four.
const LARGE: usize = 3_000;

/// Cells over all turns in which what was chosen is chosen again, and the most turns.
const AGAIN: (usize, usize) = (3_000, 10);

/// A number from 0 to 1, as good as chance and always the same.
#[expect(clippy::cast_precision_loss, reason = "53 bits of it will do")]
fn chance(way: u64, cell: usize) -> f64 {
    mixed(way << 32 | cell as u64) as f64 / P as f64
}

/// What must not follow from the published cells of a frame.
struct Secrets<'a> {
    frame: &'a Frame,
    /// Unsafe cells, then unions of them.
    vectors: Vec<Sparse>,
    /// The contributors who are alone in one of them, and so know what is in it.
    alone: Vec<Attacker>,
    /// Cells that are out already: to withhold them would protect nothing.
    out: &'a BTreeSet<usize>,
}

impl<'a> Secrets<'a> {
    fn of(
        depth: Depth,
        frame: &'a Frame,
        tables: &[(&TableC, &JudgedTable)],
        primary: &BTreeSet<usize>,
        rules: &Rules,
        out: &'a BTreeSet<usize>,
    ) -> Self {
        // A cell without atoms (its filter excludes it) is empty by contract: no secret.
        let cells = primary.iter().filter_map(|i| frame.cells.get(*i)).filter(|cell| !cell.variables.is_empty());
        let mut units: BTreeMap<&[u32], u64> = BTreeMap::new();
        for cell in cells {
            let of_cell = tables.get(cell.table).and_then(|(_, table)| table.cells.get(cell.cell));
            units.insert(&cell.variables, of_cell.map_or(0, |c| c.units));
        }
        let mut vectors: Vec<Sparse> = units.keys().map(|variables| indicator(variables)).collect();
        if depth < Depth::Unions {
            return Self { frame, vectors, alone: Vec::new(), out };
        }
        vectors.extend(unions(frame, tables, primary, rules));
        // Where it is no secret that nobody else is there, a larger cell of the same one is theirs too.
        let theirs = |own: &[u32], (of, units): (&&[u32], &u64)| {
            rules.zeros == Switch::Off && *units == 1 && (within(own, of) || within(of, own))
        };
        let attacker = |(knows, (own, _)): (usize, (&&[u32], &u64))| {
            let cells = units.iter().enumerate().filter(|(i, of)| *i != knows && !theirs(own, *of)).map(|(i, _)| i);
            Attacker { knows, kept_from: cells.chain(units.len()..vectors.len()).collect() }
        };
        let alone = units.iter().enumerate().filter(|(_, (_, units))| **units == 1).map(attacker).collect();
        Self { frame, vectors, alone, out }
    }

    /// The cells whose publication, in `order`, would give a secret away while
    /// `withheld` are. What is found is itself no combination of what is published: it
    /// is a secret's multiple modulo that.
    fn give_away(&self, order: &[usize], withheld: &BTreeSet<usize>) -> BTreeSet<usize> {
        let candidates: Vec<usize> = order.iter().copied().filter(|i| !withheld.contains(i)).collect();
        // What went for another reason than a secret is kept from following as well.
        let others = withheld.iter().map(|i| self.vector(*i)).filter(|v| !v.is_empty());
        let vectors: Vec<Sparse> = self.vectors.iter().cloned().chain(others).collect();
        let given = candidates.iter().take_while(|i| self.out.contains(i)).count();
        self.betraying(given, &candidates, &vectors)
    }

    /// `start` and what else is withheld so that nothing follows and no interval is too
    /// narrow, their needs seen to in the order of `seen`; what is needless in the end is
    /// given back, in `order`.
    fn propose(
        &self,
        (order, seen): (&[usize], &[usize]),
        (first, start): (&BTreeSet<usize>, &BTreeSet<usize>),
        audit: Audit<'_>,
        prices: Vec<f64>,
    ) -> BTreeSet<usize> {
        let mut room = audit.room(self.frame, prices);
        let mut withheld = start.clone();
        loop {
            withheld = room.make(withheld, seen);
            let more = self.give_away(order, &withheld);
            if more.is_empty() {
                break;
            }
            withheld.extend(more);
        }
        let withheld = self.give_back(order, first, withheld, &mut room);
        let withheld = self.widen(order, withheld, audit.shown(&room));
        &withheld - &self.following(&withheld, first)
    }

    /// Half of `withheld` is given up and chosen again, at other prices and in another
    /// order. `way` is all the chance there is: the same tables have the same answer.
    fn again(
        &self,
        way: u64,
        (usual, prices): (&[usize], &[f64]),
        (first, withheld): (&BTreeSet<usize>, &BTreeSet<usize>),
        audit: Audit<'_>,
    ) -> BTreeSet<usize> {
        let chance = |cell: usize, what: u64| chance(4 * way + what, cell);
        let kept = withheld.iter().copied().filter(|i| chance(*i, 0) < 0.5).collect();
        let prices = prices.iter().enumerate().map(|(i, price)| price * (0.5 + chance(i, 1))).collect();
        let (mut order, mut seen) = (usual.to_vec(), usual.to_vec());
        let out = |i: &usize| !self.out.contains(i);
        order.sort_by(|a, b| out(a).cmp(&out(b)).then(chance(*a, 2).total_cmp(&chance(*b, 2))));
        seen.sort_by(|a, b| chance(*a, 3).total_cmp(&chance(*b, 3)));
        self.propose((&order, &seen), (first, &(first | &kept)), audit, prices)
    }

    /// `withheld` and what else must go until no interval is too narrow: the audit's word
    /// on what was proposed.
    fn widen(&self, order: &[usize], mut withheld: BTreeSet<usize>, mut audit: Audit<'_>) -> BTreeSet<usize> {
        loop {
            withheld.extend(self.give_away(order, &withheld));
            let narrow = audit.too_close(&withheld);
            if narrow.is_empty() {
                return withheld;
            }
            let mut extra = BTreeSet::new();
            for cell in narrow {
                match self.one_more(cell, &withheld, &audit.values(cell)) {
                    Some(more) => drop(extra.insert(more)),
                    None => audit.past_help(cell),
                }
            }
            withheld.extend(extra);
        }
    }

    /// Of `candidates`, the ones after the first `given` that must stay withheld.
    fn betraying(&self, given: usize, candidates: &[usize], vectors: &[Sparse]) -> BTreeSet<usize> {
        let of_candidates: Vec<Sparse> = candidates.iter().map(|i| self.vector(*i)).collect();
        let guard = Guard { vectors, attackers: &self.alone };
        let fates = sweep_guarded(given, &of_candidates, guard, self.frame.variables);
        candidates.iter().zip(fates).filter(|(_, fate)| *fate == Fate::Suppressed).map(|(i, _)| *i).collect()
    }

    /// `withheld` without the cells that can be published after all, most valuable
    /// first: what went early is often spared by what went later. Cells of `first` stay.
    fn give_back(
        &self,
        order: &[usize],
        first: &BTreeSet<usize>,
        mut withheld: BTreeSet<usize>,
        room: &mut Room<'_>,
    ) -> BTreeSet<usize> {
        let mut candidates: Vec<usize> = order.iter().copied().filter(|i| !withheld.contains(i)).collect();
        let given = candidates.len();
        candidates.extend(order.iter().copied().filter(|i| withheld.contains(i) && !first.contains(i)));
        let of_candidates: Vec<Sparse> = candidates.iter().map(|i| self.vector(*i)).collect();
        let of_first = first.iter().map(|i| self.vector(*i)).filter(|v| !v.is_empty());
        let vectors: Vec<Sparse> = self.vectors.iter().cloned().chain(of_first).collect();
        let guard = Guard { vectors: &vectors, attackers: &self.alone };
        sweep_asking(given, &of_candidates, guard, self.frame.variables, |at| {
            candidates.get(at).is_some_and(|cell| room.spare(*cell, &withheld) && withheld.remove(cell))
        });
        withheld
    }

    /// The cells of `withheld` besides `first` that follow from what is published:
    /// nothing is kept by keeping them.
    fn following(&self, withheld: &BTreeSet<usize>, first: &BTreeSet<usize>) -> BTreeSet<usize> {
        let published = (0..self.frame.cells.len()).filter(|i| !withheld.contains(i));
        let published: Vec<Sparse> = published.map(|i| self.vector(i)).collect();
        let others: Vec<usize> = withheld.difference(first).copied().collect();
        let vectors: Vec<Sparse> = others.iter().map(|i| self.vector(*i)).collect();
        let candidates: Vec<Sparse> = published.iter().chain(&vectors).cloned().collect();
        let fates = sweep_beyond(published.len(), &candidates, &vectors, self.frame.variables);
        let of_others = others.iter().zip(fates.into_iter().skip(published.len()));
        of_others.filter(|(_, fate)| *fate == Fate::Redundant).map(|(i, _)| *i).collect()
    }

    /// The published cell whose loss loosens a narrow one at the least cost. A published sum
    /// over it is the tighter, the less is left over when all published cells inside are
    /// taken out. Of the tightest, the smallest other term goes that fills what is wanting,
    /// or the largest if none does; the sum itself when it has no other.
    fn one_more(&self, narrow: Narrow, withheld: &BTreeSet<usize>, values: &BTreeMap<usize, f64>) -> Option<usize> {
        let variables = |i: usize| self.frame.cells.get(i).map_or(&[][..], |c| c.variables.as_slice());
        let value = |i: &usize| values.get(i).copied().unwrap_or(0.0);
        let of_cell = variables(narrow.cell);
        let holders = of_cell.iter().filter_map(|v| self.frame.cells_of.get(*v as usize)).flatten();
        let sums: BTreeSet<usize> = holders.copied().filter(|i| !withheld.contains(i)).collect();
        let rest = |sum: usize| {
            let inside = variables(sum).iter().filter_map(|v| self.frame.cells_of.get(*v as usize)).flatten().copied();
            let mut terms: Vec<usize> = inside
                .collect::<BTreeSet<usize>>()
                .into_iter()
                .filter(|i| !withheld.contains(i) && !sums.contains(i) && within(variables(*i), variables(sum)))
                .collect();
            terms.sort_by_key(|i| std::cmp::Reverse(variables(*i).len()));
            let mut taken: BTreeSet<u32> = BTreeSet::new();
            let mut rest = value(&sum);
            for term in &terms {
                if variables(*term).iter().all(|v| !taken.contains(v)) {
                    taken.extend(variables(*term).iter().copied());
                    rest -= value(term);
                }
            }
            (rest, sum, terms)
        };
        let free = |i: &usize| !self.out.contains(i);
        let mut sums: Vec<(f64, usize, Vec<usize>)> = sums.iter().map(|sum| rest(*sum)).collect();
        sums.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        sums.into_iter().find_map(|(left, sum, mut terms)| {
            terms.retain(free);
            terms.sort_by(|a, b| value(a).total_cmp(&value(b)).then(a.cmp(b)));
            let wanting = narrow.up_to - left;
            let term = terms.iter().copied().find(|term| value(term) >= wanting).or(terms.last().copied());
            term.or(free(&sum).then_some(sum))
        })
    }

    fn vector(&self, cell: usize) -> Sparse {
        self.frame.cells.get(cell).map(|c| indicator(&c.variables)).unwrap_or_default()
    }
}

/// Orders of candidates: what is out already, what a person looks at, then the most
/// valuable first (by units, by the first number, margins before units), and simply from
/// either end of the table, which leaves what is withheld close together. None is the best
/// for every table, so the gate sweeps all.
fn orders<'a>(
    frame: &Frame,
    judged: impl Fn(usize) -> Option<&'a JudgedCell>,
    out: &BTreeSet<usize>,
) -> [Vec<usize>; 5] {
    let units = |i: &usize| judged(*i).map_or(0, |c| c.units);
    let number = |i: &usize| {
        judged(*i).and_then(|c| c.numbers.first()?.amounts.first()).map_or(0.0, |amount| amount.value.abs())
    };
    let terms = |i: &usize| frame.cells.get(*i).map_or(0, |c| c.variables.len());
    let margins = |i: &usize| judged(*i).map_or(0, |c| c.key.iter().filter(|part| part.is_none()).count());
    let ordered = |before: &dyn Fn(&usize, &usize) -> std::cmp::Ordering| {
        let mut order: Vec<usize> = (0..frame.cells.len()).collect();
        let last = |i: &usize| (!out.contains(i), judged(*i).is_none_or(|c| !c.looked_at));
        order.sort_by(|a, b| last(a).cmp(&last(b)).then(before(b, a)).then(terms(b).cmp(&terms(a))).then(a.cmp(b)));
        order
    };
    [
        ordered(&|a, b| margins(a).cmp(&margins(b)).then(units(a).cmp(&units(b)))),
        ordered(&|a, b| units(a).cmp(&units(b))),
        ordered(&|a, b| number(a).total_cmp(&number(b))),
        ordered(&|a, b| margins(a).cmp(&margins(b)).then(a.cmp(b))),
        ordered(&|a, b| margins(a).cmp(&margins(b)).then(b.cmp(a))),
    ]
}

/// Whether the ascending `part` lies in the ascending `whole` and is less.
fn within(part: &[u32], whole: &[u32]) -> bool {
    part.len() < whole.len() && part.iter().all(|v| whole.binary_search(v).is_ok())
}

/// Vectors to protect that are no cell of their own: see the module's text.
fn unions(frame: &Frame, tables: &[(&TableC, &JudgedTable)], primary: &BTreeSet<usize>, rules: &Rules) -> Vec<Sparse> {
    // A union that is a cell is safe, or a secret already.
    let cells: BTreeSet<&[u32]> = frame.cells.iter().map(|cell| cell.variables.as_slice()).collect();
    let mut unions: BTreeSet<Vec<u32>> = BTreeSet::new();
    for (t, (_, table)) in tables.iter().enumerate() {
        let mut groups: BTreeMap<CellKey, Vec<(&[u32], u64)>> = BTreeMap::new();
        for cell in primary.iter().filter_map(|i| frame.cells.get(*i)).filter(|c| c.table == t) {
            let Some(judged) = table.cells.get(cell.cell) else { continue };
            if judged.key.iter().all(Option::is_some) {
                for above in margins_above(&judged.key) {
                    groups.entry(above).or_default().push((&cell.variables, judged.units));
                }
            }
        }
        let disjoint = table.disjoint || units_add_up(table);
        for members in groups.into_values() {
            let units = members.iter().map(|(_, units)| *units);
            let fewest = if disjoint { units.sum() } else { units.max().unwrap_or(0) };
            if rules.threshold.is_some_and(|k| fewest < k) {
                unions.insert(join(members.iter().map(|(v, _)| *v)));
            }
        }
    }
    unions.into_iter().filter(|v| !v.is_empty() && !cells.contains(v.as_slice())).map(|v| indicator(&v)).collect()
}

/// Every margin over `key`, the grand total included.
fn margins_above(key: &[Option<u32>]) -> impl Iterator<Item = CellKey> {
    (1..1u32 << key.len())
        .map(move |pattern| key.iter().enumerate().map(|(i, part)| part.filter(|_| pattern >> i & 1 == 0)).collect())
}

/// Whether each unit is known to be in one inner cell only: the inner cells' units
/// add up to the grand total's.
fn units_add_up(table: &JudgedTable) -> bool {
    let total = table.cells.iter().find(|c| c.key.iter().all(Option::is_none)).map(|c| c.units);
    let inner = table.cells.iter().filter(|c| c.key.iter().all(Option::is_some)).map(|c| c.units).sum::<u64>();
    total == Some(inner)
}

fn join<'a>(sets: impl Iterator<Item = &'a [u32]>) -> Vec<u32> {
    sets.flatten().copied().collect::<BTreeSet<u32>>().into_iter().collect()
}
