//! G5, class disclosure: a count that is nearly all of its line says something about
//! everybody on it, though it is large.
//!
//! A line is the inner cells that differ in one dimension only. Its largest cell is
//! unsafe when it holds more than the allowed share of the line's units, or when so
//! few units of the line are elsewhere that each of them knows where all others are.
//! A line of which only one cell can hold anybody says nothing: a dimension of one code, or
//! where the catalogue declares the others impossible. Tables without a count are not
//! judged.

use std::collections::BTreeMap;

use sluice_domain::{
    candidate::Reason,
    contract::{Aggregate, TableC},
};
use sluice_rows::cells::CellKey;

use super::{primary::JudgedCell, rules::Class};

/// Adds [`Reason::Class`] to the cells that are nearly all of a line of `table`.
pub(super) fn judge(table: &TableC, cells: &mut [JudgedCell], class: &Class) {
    let counts = |a: Aggregate| matches!(a, Aggregate::Rows | Aggregate::Units | Aggregate::Count);
    if !table.plan.measures.iter().any(|m| counts(m.aggregate)) {
        return;
    }
    let mut lines: BTreeMap<CellKey, Vec<usize>> = BTreeMap::new();
    for (i, cell) in cells.iter().enumerate().filter(|(_, c)| !c.impossible && c.key.iter().all(Option::is_some)) {
        for axis in 0..cell.key.len() {
            let line = cell.key.iter().enumerate().map(|(at, part)| part.filter(|_| at != axis)).collect();
            lines.entry(line).or_default().push(i);
        }
    }
    for line in lines.into_values().filter(|line| line.len() > 1) {
        let units = |i: &usize| cells.get(*i).map_or(0, |cell| cell.units);
        let total: u64 = line.iter().map(units).sum();
        let Some(largest) = line.iter().copied().max_by_key(units).filter(|i| units(i) > 0) else { continue };
        let elsewhere = total - units(&largest);
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
        let share = units(&largest) as f64 / total as f64;
        if (share > class.share || elsewhere <= class.minority_units)
            && let Some(cell) = cells.get_mut(largest)
        {
            cell.reasons.insert(Reason::Class);
        }
    }
}
