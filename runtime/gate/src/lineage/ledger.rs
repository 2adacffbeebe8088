//! The release ledger of one dataset root as one run sees it: the snapshot's rows, and
//! what every earlier run on it cleared, whoever asked for it.
//!
//! A count of units is not a count of rows: people with several rows may be in several
//! cells. So counts of units are compared as sets of people, apart from counts of rows;
//! where everybody in a cell has one row there, the number stands in both. What a count
//! of rows minus a count of units tells is not looked at.

use std::{collections::BTreeSet, fmt};

use roaring::RoaringBitmap;
use sluice_domain::{
    candidate::Reason,
    contract::{MeasureC, Part, TableC},
    id::{DatasetId, SnapshotId, ViewId},
};
use sluice_rows::cells::{Cells, SnapshotRows};

use super::{Entry, History, Microdata, Named, Number, People, Quantity, Root, Standing};
use crate::route_c::{
    JudgedTable, Rules,
    primary::{JudgedCell, amount},
};

/// One dataset root, opened for one run.
pub struct Ledger {
    dataset: DatasetId,
    snapshot: SnapshotId,
    views: BTreeSet<ViewId>,
    columns: Vec<String>,
    data: Microdata,
    past: Vec<Number>,
}

/// A table of the job with what is known of it.
#[derive(Clone, Copy)]
pub(crate) struct Member<'a> {
    pub(crate) table: &'a TableC,
    pub(crate) cells: &'a Cells,
    pub(crate) judged: &'a JudgedTable,
    /// Withheld for other cells' sake.
    pub(crate) added: &'a BTreeSet<usize>,
}

impl Ledger {
    /// The ledger of `dataset`, read through `views`: all `rows` of the snapshot with
    /// the values of `columns`, the `key` of the set digest, and the numbers of every
    /// earlier run on the snapshot.
    pub fn new(
        (dataset, snapshot): (DatasetId, SnapshotId),
        views: BTreeSet<ViewId>,
        columns: Vec<String>,
        rows: SnapshotRows,
        key: impl Fn(u64) -> u128,
        past: Vec<Number>,
    ) -> Self {
        let data = Microdata::new(rows.units, rows.columns, key).with_zeros(rows.zeros);
        Self { dataset, snapshot, views, columns, data, past }
    }

    /// Whether the root is read through `view`.
    pub(crate) fn reads(&self, view: &ViewId) -> bool {
        self.views.contains(view)
    }

    /// Everything cleared before of what this run may ask for.
    pub(crate) fn history(&self, rules: &Rules) -> History {
        let mut history = History::default();
        history.enter(self.past.iter().filter_map(|n| self.entry(n, rules)));
        history
    }

    /// The rows and the rules that judge a difference.
    pub(crate) fn people<'a>(&'a self, rules: &'a Rules, dominance_n: usize) -> People<'a> {
        People { data: &self.data, rules, dominance_n }
    }

    /// A number as the examination takes it; none if no column of this run is behind it.
    pub(crate) fn entry(&self, number: &Number, rules: &Rules) -> Option<Entry> {
        let column = |name: &String| self.columns.iter().position(|c| c == name);
        let quantity = match &number.quantity {
            Named::Count => Quantity::Count,
            Named::Units => Quantity::Units,
            Named::Values(name) => Quantity::Values(column(name)?),
            Named::Total(name) => Quantity::Total(column(name)?),
            Named::Squares(name) => Quantity::Squares(column(name)?),
            Named::Quantile(name) => Quantity::Quantile(column(name)?),
        };
        Some(Entry::new(quantity, number.rows.clone(), number.value, number.standing, &self.data, rules.threshold))
    }

    /// What a table enters, each number with its cell.
    pub(crate) fn numbers(&self, member: Member<'_>, rules: &Rules, dominance_n: usize) -> Vec<(usize, Number)> {
        let mut numbers = Vec::new();
        for (i, cell) in member.judged.cells.iter().enumerate() {
            let rows = member.cells.rows(&cell.key);
            if rows.is_empty() {
                continue;
            }
            let published = cell.reasons.is_empty() && !member.added.contains(&i);
            let mut seen = BTreeSet::new();
            for measure in &member.table.plan.measures {
                for (part, quantity, rows_of) in self.sets(measure, &rows) {
                    let standing = match part {
                        Some(part) => self.standing(published, (measure, part), cell, &rows, rules, dominance_n),
                        // Nothing follows from a quantile, so only what is out is held against it.
                        None => published.then_some((Standing::Published, 0.0)),
                    };
                    let Some((standing, value)) = standing else { continue };
                    if seen.insert(quantity.clone()) {
                        numbers.push((i, Number { quantity, rows: rows_of, value, standing }));
                    }
                }
            }
        }
        numbers
    }

    /// What this run leaves behind on this root.
    pub(crate) fn root(&self, numbers: Vec<Number>) -> Root {
        Root { dataset: self.dataset.clone(), snapshot: self.snapshot.clone(), numbers }
    }

    /// Whether a number is out or a secret of its own, and its value; none for what is
    /// withheld for another's sake.
    fn standing(
        &self,
        published: bool,
        (measure, part): (&MeasureC, Part),
        cell: &JudgedCell,
        rows: &RoaringBitmap,
        rules: &Rules,
        dominance_n: usize,
    ) -> Option<(Standing, f64)> {
        let column = measure.column.as_ref().and_then(|name| self.columns.iter().position(|c| c == name));
        let (of_cell, of_measure) = self.data.stats_for(measure.aggregate, rows, column, dominance_n);
        let value = amount(part, &of_cell, &of_measure).value;
        if published {
            return Some((Standing::Published, value));
        }
        let class = part.is_count() && cell.reasons.contains(&Reason::Class);
        let own = class || !rules.judge_part(part, &of_cell, &of_measure).is_empty();
        own.then_some((Standing::Withheld, value))
    }

    /// The sets that a measure's numbers are the size or the total of, each with what
    /// adds up over it; a quantile is nothing that adds up.
    fn sets(&self, measure: &MeasureC, rows: &RoaringBitmap) -> Vec<(Option<Part>, Named, RoaringBitmap)> {
        let name = || measure.column.clone().unwrap_or_default();
        let one_each = || rows.len() == self.data.units(rows);
        if measure.aggregate.is_curved() {
            return vec![(None, Named::Quantile(name()), rows.clone())];
        }
        let of_part = |part: &Part| match part {
            Part::Rows | Part::Units if one_each() => {
                vec![(Some(*part), Named::Count, rows.clone()), (Some(*part), Named::Units, self.data.first_rows(rows))]
            }
            Part::Rows => vec![(Some(*part), Named::Count, rows.clone())],
            Part::Units => vec![(Some(*part), Named::Units, self.data.first_rows(rows))],
            Part::Values => vec![(Some(*part), Named::Values(name()), rows.clone())],
            Part::Total => vec![(Some(*part), Named::Total(name()), rows.clone())],
            Part::Squares => vec![(Some(*part), Named::Squares(name()), rows.clone())],
        };
        measure.aggregate.parts().iter().flat_map(of_part).collect()
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ledger({} numbers of {}, withheld)", self.past.len(), self.dataset)
    }
}
