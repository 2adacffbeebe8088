//! G6, secondary suppression over all route-C tables of a job at once.
//!
//! Per view, all tables are laid over common atoms (`frame`). Then, until
//! nothing changes: elimination decides which cells may be published without giving
//! a protected vector away (`span`); the interval audit looks for withheld
//! cells that can be bounded too closely (`audit`); where it finds one, one
//! more cell goes. Every cell that goes is itself protected from then on, so no
//! withheld cell, primary or not, follows from what is published.
//!
//! Protected besides the cells themselves: unions of unsafe cells along a line,
//! plane or table whose units may be fewer than k, and, because a contributor alone
//! in a cell knows their own value, the sum of such a cell and any other unsafe cell
//! of its lines. Order: margins first, then by units, so that little is lost.

use std::collections::{BTreeMap, BTreeSet};

use sluice_domain::{Refusal, contract::TableC};
use sluice_rows::cells::CellKey;

use super::{
    audit::Audit,
    differencing::unsafe_differences,
    frame::{Axes, Frame, frames},
    primary::{JudgedCell, JudgedTable},
    rules::Rules,
    span::{Fate, Sparse, indicator, sweep_beyond},
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
    let mut added = vec![BTreeSet::new(); tables.len()];
    for frame in frames(tables, cells_max)? {
        for i in suppress(&frame, tables, rules) {
            let Some(cell) = frame.cells.get(i) else { continue };
            if let Some(cells) = added.get_mut(cell.table) {
                cells.insert(cell.cell);
            }
        }
    }
    Ok(added)
}

/// The cells of one frame to withhold besides the primary ones.
pub(crate) fn suppress(frame: &Frame, tables: &[(&TableC, &JudgedTable)], rules: &Rules) -> BTreeSet<usize> {
    let judged = |i: usize| -> Option<&JudgedCell> {
        let cell = frame.cells.get(i)?;
        tables.get(cell.table)?.1.cells.get(cell.cell)
    };
    let all: BTreeSet<usize> = (0..frame.cells.len()).collect();
    let primary: BTreeSet<usize> =
        all.iter().copied().filter(|i| judged(*i).is_some_and(|c| !c.reasons.is_empty())).collect();
    let mut withheld = &primary | &unsafe_differences(frame, tables, rules);
    let unions = unions(frame, tables, &primary, rules);
    // What is out already first, then the most valuable: margins, cells with many units.
    let mut order: Vec<usize> = all.into_iter().collect();
    let out = |i: &usize| judged(*i).is_some_and(JudgedCell::is_out);
    order.sort_by_key(|i| {
        let cell = judged(*i);
        let margins = cell.map_or(0, |c| c.key.iter().filter(|part| part.is_none()).count());
        (std::cmp::Reverse(out(i)), std::cmp::Reverse(margins), std::cmp::Reverse(cell.map_or(0, |c| c.units)))
    });
    let given = order.iter().filter(|i| out(i)).count();
    let mut audit = Audit::of(frame, tables, rules);
    loop {
        withheld.extend(give_away(frame, (&order, given), &withheld, &unions));
        let extra: BTreeSet<usize> = audit
            .too_close(&withheld)
            .into_iter()
            .filter_map(|cell| one_more(frame, cell, &withheld, judged))
            .collect();
        if extra.is_empty() {
            return &withheld - &primary;
        }
        withheld.extend(extra);
    }
}

/// The cells whose publication would put a withheld cell or a protected union into
/// the span of what is published; the first `given` of them are out already.
fn give_away(
    frame: &Frame,
    (order, given): (&[usize], usize),
    withheld: &BTreeSet<usize>,
    unions: &[Sparse],
) -> Vec<usize> {
    let vector = |i: &usize| frame.cells.get(*i).map(|c| indicator(&c.variables)).unwrap_or_default();
    let candidates: Vec<usize> = order.iter().copied().filter(|i| !withheld.contains(i)).collect();
    let vectors: Vec<Sparse> = candidates.iter().map(vector).collect();
    // A cell without atoms (its filter excludes it) is empty by contract: no secret.
    let protected: Vec<Sparse> =
        withheld.iter().map(vector).chain(unions.iter().cloned()).filter(|v| !v.is_empty()).collect();
    let fates = sweep_beyond(given, &vectors, &protected, frame.variables);
    candidates.into_iter().zip(fates).filter(|(_, fate)| *fate == Fate::Suppressed).map(|(i, _)| i).collect()
}

/// The published cell whose loss loosens `cell` at the least cost: of the published
/// sums over it, the one with the fewest terms; there, the smallest other term that
/// is a cell; the sum itself when every other term is withheld already.
fn one_more<'a>(
    frame: &Frame,
    cell: usize,
    withheld: &BTreeSet<usize>,
    judged: impl Fn(usize) -> Option<&'a JudgedCell>,
) -> Option<usize> {
    let target = frame.cells.get(cell)?;
    let variables = |i: usize| frame.cells.get(i).map_or(&[][..], |c| c.variables.as_slice());
    let units = |i: &usize| judged(*i).map_or(0, |c| c.units);
    let holders = target.variables.iter().filter_map(|v| frame.cells_of.get(*v as usize)).flatten();
    let out = |i: &usize| judged(*i).is_some_and(JudgedCell::is_out);
    let sums: BTreeSet<usize> = holders.copied().filter(|i| !withheld.contains(i)).collect();
    let mut shortest: Vec<usize> = sums.iter().copied().collect();
    shortest.sort_by_key(|i| (variables(*i).len(), *i));
    shortest
        .iter()
        .find_map(|sum| {
            let terms = variables(*sum).iter().filter_map(|v| frame.cells_of.get(*v as usize)).flatten().copied();
            let inside = |i: &usize| {
                let part = variables(*i);
                part.len() < variables(*sum).len() && part.iter().all(|v| variables(*sum).binary_search(v).is_ok())
            };
            let free = |i: &usize| !withheld.contains(i) && !sums.contains(i) && !out(i);
            terms.filter(|i| free(i) && inside(i)).min_by_key(|i| (units(i), *i))
        })
        .or_else(|| shortest.iter().copied().find(|i| !out(i)))
}

/// Vectors to protect that are no cell of their own: see the module's text.
fn unions(frame: &Frame, tables: &[(&TableC, &JudgedTable)], primary: &BTreeSet<usize>, rules: &Rules) -> Vec<Sparse> {
    let safe: BTreeSet<&[u32]> = frame
        .cells
        .iter()
        .enumerate()
        .filter(|(i, _)| !primary.contains(i))
        .map(|(_, cell)| cell.variables.as_slice())
        .collect();
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
        let disjoint = units_add_up(table);
        for (margin, members) in groups {
            let units = members.iter().map(|(_, units)| *units);
            let fewest = if disjoint { units.sum() } else { units.max().unwrap_or(0) };
            if rules.threshold.is_some_and(|k| fewest < k) {
                unions.insert(join(members.iter().map(|(v, _)| *v)));
            }
            if margin.iter().filter(|part| part.is_none()).count() == 1 {
                let alone = members.iter().enumerate().filter(|(_, (_, units))| *units == 1);
                for (i, (own, _)) in alone {
                    let others = members.iter().enumerate().filter(|(j, _)| *j != i);
                    unions.extend(others.map(|(_, (other, _))| join([*own, *other].into_iter())));
                }
            }
        }
    }
    unions.into_iter().filter(|v| !v.is_empty() && !safe.contains(v.as_slice())).map(|v| indicator(&v)).collect()
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
