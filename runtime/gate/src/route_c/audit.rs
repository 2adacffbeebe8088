//! The interval audit: what an attacker can bound, not only what they can solve for.
//!
//! For every withheld cell and every additive quantity (rows, units, values, sums, sums of squares),
//! a linear programme finds how low and how high the cell can be, given everything
//! that is published and that nothing is negative. The interval must not be a
//! point; for a count below k it must contain 0 and k; for an unsafe magnitude it
//! must reach p·x₁ to either side of the true value; for a count unsafe by its class
//! alone it must be k wide (gate.md §3).
//!
//! A quantity that is negative somewhere is not bounded by anything, so for it
//! [`super::span`] alone decides. Distinct units do not always add up over cells;
//! where the published counts contradict that they do, there is nothing to audit.

use std::collections::{BTreeMap, BTreeSet};

use sluice_domain::{
    candidate::Reason,
    contract::{MeasureC, Part, TableC},
};

use super::{
    frame::Frame,
    primary::{Amount, JudgedCell, JudgedTable},
    programme::{Contradiction, System},
    rules::Rules,
};

/// Most cells that one call names per quantity: the ones after them may be wide enough
/// once something was done about these.
const NAMED_MAX: usize = 6;

/// What adds up over cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Quantity<'a> {
    Rows,
    Units,
    Values(&'a str),
    Total(&'a str),
    Squares(&'a str),
}

/// Every quantity of one frame's cells, and what has been shown so far. Withholding
/// more only widens intervals, so what is shown once stays shown.
pub(super) struct Audit<'a> {
    unknowns: usize,
    quantities: BTreeMap<Quantity<'a>, Vec<Watched<'a>>>,
}

/// One cell's part in one quantity.
struct Watched<'a> {
    cell: usize,
    unknowns: &'a [u32],
    value: f64,
    need: Need,
    shown: Shown,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Not,
    WideEnough,
}

impl<'a> Audit<'a> {
    /// An audit of `frame`, nothing shown yet.
    pub(super) fn of(frame: &'a Frame, tables: &[(&'a TableC, &'a JudgedTable)], rules: &Rules) -> Self {
        let mut quantities: BTreeMap<Quantity<'a>, Vec<Watched<'a>>> = BTreeMap::new();
        let mut negative: BTreeSet<Quantity<'a>> = BTreeSet::new();
        for (i, cell) in frame.cells.iter().enumerate() {
            let Some((table, judged)) = tables.get(cell.table) else { continue };
            let Some(judged) = judged.cells.get(cell.cell) else { continue };
            let mut seen = BTreeSet::new();
            for (measure, number) in table.plan.measures.iter().zip(&judged.numbers) {
                for amount in &number.amounts {
                    let quantity = quantity(measure, amount.part);
                    if amount.any_negative {
                        negative.insert(quantity);
                    }
                    if seen.insert(quantity) {
                        quantities.entry(quantity).or_default().push(Watched {
                            cell: i,
                            unknowns: &cell.variables,
                            value: amount.value,
                            need: need(quantity, judged, amount, rules),
                            shown: Shown::Not,
                        });
                    }
                }
            }
        }
        quantities.retain(|quantity, _| !negative.contains(quantity));
        // Where everybody has one row, rows and units are the same question.
        let same = |a: &Watched<'_>, b: &Watched<'_>| a.cell == b.cell && a.value == b.value && a.need == b.need;
        if let (Some(rows), Some(units)) = (quantities.get(&Quantity::Rows), quantities.get(&Quantity::Units))
            && rows.len() == units.len()
            && rows.iter().zip(units).all(|(a, b)| same(a, b))
        {
            quantities.remove(&Quantity::Units);
        }
        Self { unknowns: frame.variables, quantities }
    }

    /// Some of the cells (positions in `frame.cells`) among `withheld` that can be
    /// bounded too closely from what is published; none only if there is none.
    /// `withheld` may only grow from call to call.
    pub(super) fn too_close(&mut self, withheld: &BTreeSet<usize>) -> BTreeSet<usize> {
        let mut failing = BTreeSet::new();
        for (quantity, cells) in &mut self.quantities {
            match narrow(self.unknowns, cells, withheld) {
                Ok(cells) => failing.extend(cells),
                // Units that do not add up over cells cannot be subtracted either.
                Err(Contradiction) if *quantity == Quantity::Units => {}
                Err(Contradiction) => failing.extend(cells.iter().map(|c| c.cell).filter(|c| withheld.contains(c))),
            }
        }
        failing
    }
}

fn narrow(unknowns: usize, cells: &mut [Watched<'_>], withheld: &BTreeSet<usize>) -> Result<Vec<usize>, Contradiction> {
    let published: Vec<(&[u32], f64)> =
        cells.iter().filter(|c| !withheld.contains(&c.cell)).map(|c| (c.unknowns, c.value)).collect();
    // A cell without unknowns (its filter excludes it) is empty by contract.
    let mut open: Vec<&mut Watched<'_>> = cells
        .iter_mut()
        .filter(|c| withheld.contains(&c.cell) && c.shown == Shown::Not && !c.unknowns.is_empty())
        .collect();
    if open.is_empty() {
        return Ok(Vec::new());
    }
    let mut system = System::of(unknowns, &published)?;
    system.scout(&open.iter().map(|c| c.unknowns).collect::<Vec<_>>())?;
    // Not in order: neighbours tend to fail together, and one remedy serves both.
    open.sort_by_key(|c| (c.cell % 7, c.cell));
    let mut narrow = Vec::new();
    for cell in &mut open {
        if narrow.len() == NAMED_MAX {
            break;
        }
        let need = cell.need;
        if system.allows(cell.unknowns, |low, high, slack| need.met(low, high, slack))? {
            cell.shown = Shown::WideEnough;
        } else {
            narrow.push(cell.cell);
        }
    }
    Ok(narrow)
}

fn quantity(measure: &MeasureC, part: Part) -> Quantity<'_> {
    let column = measure.column.as_deref().unwrap_or_default();
    match part {
        Part::Rows => Quantity::Rows,
        Part::Units => Quantity::Units,
        Part::Values => Quantity::Values(column),
        Part::Total => Quantity::Total(column),
        Part::Squares => Quantity::Squares(column),
    }
}

/// What an interval must hold.
#[derive(Clone, Copy, PartialEq)]
enum Need {
    /// Two different whole numbers.
    TwoCounts,
    /// More than one value.
    Width,
    /// At least this far from end to end.
    Wide(f64),
    /// Both of these.
    Reach { low: f64, high: f64 },
}

fn need(quantity: Quantity<'_>, cell: &JudgedCell, amount: &Amount, rules: &Rules) -> Need {
    let small = cell.reasons.contains(&Reason::Threshold) || cell.reasons.contains(&Reason::Zero);
    match (quantity, rules.threshold, rules.p_percent) {
        #[expect(clippy::cast_precision_loss, reason = "k is small")]
        (Quantity::Rows | Quantity::Units | Quantity::Values(_), Some(k), _) if small => {
            Need::Reach { low: 0.0, high: k as f64 }
        }
        #[expect(clippy::cast_precision_loss, reason = "k is small")]
        (Quantity::Rows | Quantity::Units | Quantity::Values(_), Some(k), _)
            if cell.reasons.contains(&Reason::Class) =>
        {
            Need::Wide(k as f64)
        }
        (Quantity::Rows | Quantity::Units | Quantity::Values(_), ..) => Need::TwoCounts,
        (Quantity::Total(_) | Quantity::Squares(_), _, Some(p)) if !cell.reasons.is_empty() && amount.largest > 0.0 => {
            let reach = p * amount.largest;
            Need::Reach { low: (amount.value - reach).max(0.0), high: amount.value + reach }
        }
        (Quantity::Total(_) | Quantity::Squares(_), ..) => Need::Width,
    }
}

impl Need {
    /// Whether [low, high] holds it; `slack` is the solver's accuracy. Widening the
    /// interval never turns a yes into a no.
    fn met(self, low: f64, high: f64, slack: f64) -> bool {
        match self {
            Self::TwoCounts => (high + slack).floor() - (low - slack).ceil() >= 1.0,
            Self::Width => high - low > 4.0 * slack,
            Self::Wide(least) => high - low >= least - slack,
            Self::Reach { low: at_most, high: at_least } => {
                let wide = high - low >= 0.5 * (at_least - at_most);
                wide && low <= at_most + slack && high >= at_least - slack
            }
        }
    }
}
