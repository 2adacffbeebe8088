//! Nested cells of tables that differ in their filter: their difference is a cell
//! that nobody declared and that still must be safe.
//!
//! "Everybody" and "everybody but year 5" are each large; subtracted, they show year
//! 5. The difference was never tabulated, so only bounds are known of it: at least
//! |A| − |B| units, exactly X_A − X_B, no contribution above A's largest. When these
//! bounds cannot show it safe, the smaller cell is withheld. Differences that need
//! three or more published cells are not looked at here, nor are earlier releases
//! ([`crate::lineage`]).

use std::collections::BTreeSet;

use sluice_domain::contract::{Part, TableC};

use super::{
    frame::{Frame, FrameCell},
    primary::{JudgedCell, JudgedTable},
    rules::Rules,
};

/// The cells (positions in `frame.cells`) to withhold on account of a larger one.
pub(super) fn unsafe_differences(frame: &Frame, tables: &[(&TableC, &JudgedTable)], rules: &Rules) -> BTreeSet<usize> {
    let declared: BTreeSet<&[u32]> = frame.cells.iter().map(|c| c.variables.as_slice()).collect();
    let at = |cell: &FrameCell| -> Option<(&TableC, &JudgedCell)> {
        let (table, judged) = tables.get(cell.table)?;
        let judged = judged.cells.get(cell.cell)?;
        judged.reasons.is_empty().then_some((*table, judged))
    };
    let mut found = BTreeSet::new();
    for (i, small) in frame.cells.iter().enumerate().filter(|(_, cell)| at(cell).is_none_or(|(_, c)| !c.is_out())) {
        let Some(holders) = small.variables.first().and_then(|v| frame.cells_of.get(*v as usize)) else { continue };
        for large in holders.iter().filter_map(|j| frame.cells.get(*j)) {
            let (Some(inner), Some(outer)) = (at(small), at(large)) else { continue };
            // Of what is said to be empty, every part is.
            if inner.0.plan.filter == outer.0.plan.filter || outer.1.units == 0 {
                continue;
            }
            let Some(rest) = difference(&large.variables, &small.variables) else { continue };
            if !rest.is_empty() && !declared.contains(rest.as_slice()) && !surely_safe(inner, outer, rules) {
                found.insert(i);
            }
        }
    }
    found
}

/// `large` without `small`, if `small` lies inside it.
fn difference(large: &[u32], small: &[u32]) -> Option<Vec<u32>> {
    let inside = small.len() < large.len() && small.iter().all(|v| large.binary_search(v).is_ok());
    inside.then(|| large.iter().copied().filter(|v| small.binary_search(v).is_err()).collect())
}

fn surely_safe(inner: (&TableC, &JudgedCell), outer: (&TableC, &JudgedCell), rules: &Rules) -> bool {
    let units = outer.1.units.saturating_sub(inner.1.units);
    if rules.threshold.is_some_and(|k| units < k) {
        return false;
    }
    let sums = |(table, cell): (&TableC, &JudgedCell)| -> Vec<(Option<String>, Part, f64, f64)> {
        let measures = table.plan.measures.iter().zip(&cell.numbers);
        let amounts = measures.flat_map(|(m, n)| n.amounts.iter().map(|a| (m.column.clone(), a)));
        amounts.filter(|(_, a)| !a.part.is_count()).map(|(column, a)| (column, a.part, a.value, a.largest)).collect()
    };
    let inner = sums(inner);
    sums(outer).iter().all(|(column, part, total, largest)| {
        let shared = inner.iter().filter(|(other, of, ..)| other == column && of == part);
        shared.into_iter().all(|(_, _, amount, _)| rules.surely_safe(units, total - amount, *largest))
    })
}
