//! The interval audit: what an attacker can bound, not only what they can solve for.
//!
//! For every withheld cell and every additive quantity (rows, units, values, sums),
//! a linear programme finds how low and how high the cell can be, given everything
//! that is published and that nothing is negative. The interval must not be a
//! point; for a count below k it must contain 0 and k; for an unsafe magnitude it
//! must reach p·x₁ to either side of the true value (gate.md §3).
//!
//! A quantity that is negative somewhere is not bounded by anything, so for it
//! [`super::span`] alone decides. Distinct units do not always add up over cells;
//! where the published counts contradict that they do, there is nothing to audit.

use std::collections::{BTreeMap, BTreeSet};

use sluice_domain::{
    candidate::Reason,
    contract::{Aggregate, MeasureC, TableC},
};

use super::{
    frame::{Frame, FrameCell},
    primary::{JudgedCell, JudgedTable, Number},
    programme::{Contradiction, System},
    rules::Rules,
};

/// What adds up over cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Quantity<'a> {
    Rows,
    Units,
    Values(&'a str),
    Total(&'a str),
}

/// The cells (positions in `frame.cells`) among `withheld` that can be bounded too
/// closely from all the others.
pub(super) fn too_close(
    frame: &Frame,
    tables: &[(&TableC, &JudgedTable)],
    withheld: &BTreeSet<usize>,
    rules: &Rules,
) -> BTreeSet<usize> {
    let mut quantities: BTreeMap<Quantity<'_>, Vec<(usize, &FrameCell, &JudgedCell, &Number)>> = BTreeMap::new();
    for (i, cell) in frame.cells.iter().enumerate() {
        let Some((table, judged)) = tables.get(cell.table) else { continue };
        let Some(judged) = judged.cells.get(cell.cell) else { continue };
        let mut seen = BTreeSet::new();
        for (measure, number) in table.plan.measures.iter().zip(&judged.numbers) {
            let quantity = quantity(measure);
            if seen.insert(quantity) {
                quantities.entry(quantity).or_default().push((i, cell, judged, number));
            }
        }
    }
    let mut failing = BTreeSet::new();
    for (quantity, cells) in quantities {
        if cells.iter().any(|(.., number)| number.any_negative) {
            continue;
        }
        let (hidden, shown): (Vec<_>, Vec<_>) = cells.into_iter().partition(|(i, ..)| withheld.contains(i));
        let shown: Vec<_> =
            shown.iter().map(|(_, cell, _, number)| (cell.variables.as_slice(), number.additive)).collect();
        let narrow = System::of(frame.variables, &shown).and_then(|mut system| {
            let mut narrow = Vec::new();
            for (i, cell, judged, number) in hidden.iter().filter(|(_, cell, ..)| !cell.variables.is_empty()) {
                let need = need(quantity, judged, number, rules);
                if !system.allows(&cell.variables, |low, high, slack| need.met(low, high, slack))? {
                    narrow.push(*i);
                }
            }
            Ok(narrow)
        });
        match narrow {
            Ok(cells) => failing.extend(cells),
            Err(Contradiction) if quantity == Quantity::Units => {}
            Err(Contradiction) => failing.extend(hidden.iter().map(|(i, ..)| *i)),
        }
    }
    failing
}

fn quantity(measure: &MeasureC) -> Quantity<'_> {
    let column = measure.column.as_deref().unwrap_or_default();
    match measure.aggregate {
        Aggregate::Rows => Quantity::Rows,
        Aggregate::Units => Quantity::Units,
        Aggregate::Count => Quantity::Values(column),
        // Whoever knows a mean is taken to know the count under it.
        Aggregate::Sum | Aggregate::Mean => Quantity::Total(column),
    }
}

/// What an interval must hold.
#[derive(Clone, Copy)]
enum Need {
    /// Two different whole numbers.
    TwoCounts,
    /// More than one value.
    Width,
    /// Both of these.
    Reach { low: f64, high: f64 },
}

fn need(quantity: Quantity<'_>, cell: &JudgedCell, number: &Number, rules: &Rules) -> Need {
    let small = cell.reasons.contains(&Reason::Threshold) || cell.reasons.contains(&Reason::Zero);
    match (quantity, rules.threshold, rules.p_percent) {
        #[expect(clippy::cast_precision_loss, reason = "k is small")]
        (Quantity::Rows | Quantity::Units | Quantity::Values(_), Some(k), _) if small => {
            Need::Reach { low: 0.0, high: k as f64 }
        }
        (Quantity::Rows | Quantity::Units | Quantity::Values(_), ..) => Need::TwoCounts,
        (Quantity::Total(_), _, Some(p)) if !cell.reasons.is_empty() && number.largest > 0.0 => {
            let reach = p * number.largest;
            Need::Reach { low: (number.additive - reach).max(0.0), high: number.additive + reach }
        }
        (Quantity::Total(_), ..) => Need::Width,
    }
}

impl Need {
    /// Whether [low, high] holds it; `slack` is the solver's accuracy. Widening the
    /// interval never turns a yes into a no.
    fn met(self, low: f64, high: f64, slack: f64) -> bool {
        match self {
            Self::TwoCounts => (high + slack).floor() - (low - slack).ceil() >= 1.0,
            Self::Width => high - low > 4.0 * slack,
            Self::Reach { low: at_most, high: at_least } => {
                let wide = high - low >= 0.5 * (at_least - at_most);
                wide && low <= at_most + slack && high >= at_least - slack
            }
        }
    }
}
