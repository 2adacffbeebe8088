//! G4 on a whole table: every cell of the declared domain is present and judged.
//!
//! An empty cell is judged too (it would say that nobody is there), unless the catalogue
//! says that nobody can be: that is published as it is known. A cell takes the
//! union of its measures' reasons and is withheld as a whole. The order of cells is
//! canonical: inner cells row-major by code list, then margins, fewest summed
//! dimensions first. Only class disclosure ([`class`]) looks at a neighbouring cell.

use std::{collections::BTreeSet, fmt};

use sluice_domain::{
    Refusal,
    candidate::Reason,
    contract::{Aggregate, Part, TableC, Totals},
};
use sluice_rows::cells::{CellKey, CellStats, Cells, MeasureStats};

use super::{class, frame::Axes, rules::Rules};
use crate::refusals;

/// A table of route C with its true values and verdicts: inside the domain only.
pub struct JudgedTable {
    pub(crate) cells: Vec<JudgedCell>,
    /// Whether each unit is in one inner cell only, whatever the rows.
    pub(crate) disjoint: bool,
}

/// One judged cell.
pub(crate) struct JudgedCell {
    pub(crate) key: CellKey,
    pub(crate) units: u64,
    pub(crate) reasons: BTreeSet<Reason>,
    /// One per measure, in SELECT order.
    pub(crate) numbers: Vec<Number>,
    /// Whether all its numbers are out already: withholding it protects nothing.
    pub(crate) known: bool,
    /// Whether nobody can be in it, by the catalogue.
    pub(crate) impossible: bool,
    /// Whether a person is asked to look at it: others are withheld in its place where they can be.
    pub(crate) looked_at: bool,
}

impl JudgedCell {
    /// Whether it is out already and nothing speaks against that.
    pub(crate) fn is_out(&self) -> bool {
        self.known && self.reasons.is_empty()
    }

    /// What it counts for where as little as can be is withheld.
    pub(crate) fn worth(&self) -> usize {
        if self.looked_at { 3 } else { 1 }
    }

    /// Whether it is withheld for its own sake, and not because it was in an earlier run.
    pub(crate) fn is_unsafe(&self) -> bool {
        self.reasons.iter().any(|r| *r != Reason::AsBefore)
    }
}

/// What is known of one measure in one cell.
pub(crate) struct Number {
    /// The number that would be published.
    pub(crate) value: Option<f64>,
    /// What of it adds up over cells.
    pub(crate) amounts: Vec<Amount>,
}

/// One sum over a cell.
pub(crate) struct Amount {
    pub(crate) part: Part,
    pub(crate) value: f64,
    /// Largest contribution of one unit.
    pub(crate) largest: f64,
    pub(crate) any_negative: bool,
}

impl JudgedTable {
    /// Number of cells, margins included.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether there is no cell; a declared domain always has one.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Each cell's key (positions in the declared domains) and the primary reasons
    /// to withhold it. For the gate's reports and tests: reasons, no numbers.
    pub fn verdicts(&self) -> impl Iterator<Item = (&CellKey, &BTreeSet<Reason>)> {
        self.cells.iter().map(|c| (&c.key, &c.reasons))
    }
}

/// Judges every cell of `table` by itself.
///
/// # Errors
/// `gate.host-fault` when the tabulation does not fit the table: unknown or repeated
/// keys, or a wrong number of measures.
pub fn primary(table: &TableC, tabulated: &Cells, rules: &Rules) -> Result<JudgedTable, Refusal> {
    let sizes = sizes(table);
    let mut found = std::collections::HashMap::new();
    for (key, stats) in tabulated.iter() {
        let inside =
            key.len() == sizes.len() && key.iter().zip(&sizes).all(|(part, size)| part.is_none_or(|i| i < *size));
        let fits = inside && stats.measures.len() == table.plan.measures.len();
        if !fits || found.insert(key.as_slice(), stats).is_some() {
            return Err(refusals::host_fault(
                &table.name,
                "制表结果与合约不符",
                "the tabulation does not fit the contract",
            ));
        }
    }
    let empty = CellStats::default();
    let mut cells: Vec<JudgedCell> = keys(&sizes, table.totals)
        .map(|key| {
            let stats = found.get(key.as_slice()).copied().unwrap_or(&empty);
            judge(table, key, stats, rules)
        })
        .collect();
    if !table.plan.impossible.is_empty() {
        spare_impossible(table, &mut cells)?;
    }
    if let Some(class) = &rules.class {
        class::judge(table, &mut cells, class);
    }
    Ok(JudgedTable { cells, disjoint: false })
}

/// Of each cell of `table`, in canonical order, whether nobody can be in it by the catalogue.
///
/// # Errors
/// `gate.host-fault` when one name stands for two domains.
pub(crate) fn impossible(table: &TableC) -> Result<Vec<bool>, Refusal> {
    let axes = Axes::of(&[table], usize::MAX)?;
    Ok(keys(&sizes(table), table.totals).map(|key| axes.is_impossible(table, &key)).collect())
}

fn sizes(table: &TableC) -> Vec<u32> {
    table.plan.dimensions.iter().map(|d| u32::try_from(d.domain.len()).unwrap_or(u32::MAX)).collect()
}

/// Takes the reasons of cells where nobody can be, by the catalogue; but redacted margins
/// stay so.
fn spare_impossible(table: &TableC, cells: &mut [JudgedCell]) -> Result<(), Refusal> {
    let impossible = impossible(table)?;
    for (cell, _) in cells.iter_mut().zip(impossible).filter(|(_, impossible)| *impossible) {
        // Ingest refuses such a row: somebody is in it by a fault of ours.
        if cell.units > 0 {
            return Err(refusals::host_fault(
                &table.name,
                "目录声明为不可能的组合中有数据",
                "there are rows of a combination that the catalogue says is impossible",
            ));
        }
        cell.reasons.retain(|reason| *reason == Reason::Redacted);
        cell.impossible = true;
    }
    Ok(())
}

fn judge(table: &TableC, key: CellKey, cell: &CellStats, rules: &Rules) -> JudgedCell {
    let absent = MeasureStats::default();
    let measures = || table.plan.measures.iter().enumerate().map(|(i, m)| (m, cell.measures.get(i).unwrap_or(&absent)));
    let mut reasons: BTreeSet<Reason> = if cell.units == 0 {
        rules.judge_empty()
    } else {
        measures().flat_map(|(m, stats)| rules.judge(m.aggregate, cell, stats)).collect()
    };
    if table.totals == Totals::Redacted && key.iter().any(Option::is_none) {
        reasons.insert(Reason::Redacted);
    }
    let numbers = measures().map(|(m, stats)| number(m.aggregate, cell, stats)).collect();
    JudgedCell { key, units: cell.units, reasons, numbers, known: false, looked_at: false, impossible: false }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub(crate) fn number(aggregate: Aggregate, cell: &CellStats, stats: &MeasureStats) -> Number {
    let values = stats.count as f64;
    let deviations = stats.squares.map(|squares| squares.deviations);
    let over = |least: u64, divisor: f64| deviations.filter(|_| stats.count >= least).map(|d| d / divisor);
    let value = match aggregate {
        Aggregate::Rows => Some(cell.rows as f64),
        Aggregate::Units => Some(cell.units as f64),
        Aggregate::Count => Some(values),
        Aggregate::Sum => Some(stats.sum),
        Aggregate::Mean => (stats.count > 0).then(|| stats.sum / values),
        Aggregate::VarSamp => over(2, values - 1.0),
        Aggregate::StddevSamp => over(2, values - 1.0).map(f64::sqrt),
        Aggregate::VarPop => over(1, values),
        Aggregate::StddevPop => over(1, values).map(f64::sqrt),
        Aggregate::Quantile(_) => stats.quantile,
        Aggregate::Fit => None,
    };
    // A sum that overflowed to infinity is not a number to publish; −0 is 0.
    let value = value.filter(|v| v.is_finite()).map(|v| v + 0.0);
    Number { value, amounts: aggregate.parts().iter().map(|part| amount(*part, cell, stats)).collect() }
}

/// One of the sums that a measure is made of.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub(crate) fn amount(part: Part, cell: &CellStats, stats: &MeasureStats) -> Amount {
    let squares = stats.squares.unwrap_or_default();
    let (value, top) = match part {
        Part::Rows => (cell.rows as f64, stats.top),
        Part::Units => (cell.units as f64, stats.top),
        Part::Values => (stats.count as f64, stats.top),
        Part::Total => (stats.sum, stats.top),
        Part::Squares => (squares.sum, squares.top),
    };
    let any_negative = stats.any_negative && part != Part::Squares;
    Amount { part, value, largest: top.first().map_or(0.0, |x| x.abs()), any_negative }
}

/// Every key in canonical order. The number of keys was bounded by
/// [`super::secondary::within_limits`].
fn keys(sizes: &[u32], totals: Totals) -> impl Iterator<Item = CellKey> {
    let last_pattern = if totals == Totals::None { 0 } else { (1u32 << sizes.len().min(31)) - 1 };
    // Bit i of a pattern: dimension i is summed.
    let mut patterns: Vec<u32> = (0..=last_pattern).collect();
    patterns.sort_by_key(|pattern| pattern.count_ones());
    patterns.into_iter().flat_map(move |pattern| {
        sizes.iter().enumerate().fold(vec![CellKey::new()], |keys, (dimension, size)| {
            let summed = pattern >> dimension & 1 == 1;
            let parts: Vec<Option<u32>> = if summed { vec![None] } else { (0..*size).map(Some).collect() };
            keys.iter().flat_map(|key| parts.iter().map(|part| [key.as_slice(), &[*part]].concat())).collect()
        })
    })
}

impl fmt::Debug for JudgedTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JudgedTable({} cells, withheld)", self.cells.len())
    }
}
