//! The interval audit: what an attacker can bound, not only what they can solve for.
//!
//! For every withheld cell and every additive quantity (rows, units, values, sums, sums of squares),
//! a linear programme finds how low and how high the cell can be, given everything
//! that is published and where nothing is negative. The interval must not be a
//! point; for a count below k it must contain 0 and k; for an unsafe magnitude it
//! must reach p·x₁ to either side of the true value; for a count unsafe by its class
//! alone it must be k wide.
//!
//! The attacker is taken to know where contributions may be negative: an unknown is
//! free only if every cell over it has a negative one. Distinct units do not always add
//! up over cells; where the published counts contradict that they do, there is nothing
//! to audit.

use std::collections::{BTreeMap, BTreeSet};

use sluice_domain::{
    candidate::Reason,
    contract::{MeasureC, Part, TableC},
};

use super::{
    frame::Frame,
    primary::{Amount, JudgedCell, JudgedTable},
    programme::{Contradiction, FREE, System},
    room::{Room, Wanted},
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
    /// Of a quantity with negative contributions: which unknowns may be below zero.
    free: BTreeMap<Quantity<'a>, Vec<bool>>,
    /// Of each quantity in turn, points that may fit what is published.
    seen: Vec<Vec<Vec<f64>>>,
}

/// One cell's part in one quantity.
struct Watched<'a> {
    cell: usize,
    unknowns: &'a [u32],
    value: f64,
    sign: Sign,
    need: Need,
    shown: Shown,
}

/// Whether a contribution to a cell is negative.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    Mixed,
    NonNegative,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Not,
    WideEnough,
    /// Too narrow by what is out already.
    PastHelp,
}

impl<'a> Audit<'a> {
    /// An audit of `frame`, nothing shown yet.
    pub(super) fn of(frame: &'a Frame, tables: &[(&'a TableC, &'a JudgedTable)], rules: &Rules) -> Self {
        let mut quantities: BTreeMap<Quantity<'a>, Vec<Watched<'a>>> = BTreeMap::new();
        for (i, cell) in frame.cells.iter().enumerate() {
            let Some((table, judged)) = tables.get(cell.table) else { continue };
            let Some(judged) = judged.cells.get(cell.cell) else { continue };
            let mut seen = BTreeSet::new();
            for (measure, number) in table.plan.measures.iter().zip(&judged.numbers) {
                for amount in &number.amounts {
                    let quantity = quantity(measure, amount.part);
                    if seen.insert(quantity) {
                        quantities.entry(quantity).or_default().push(Watched {
                            cell: i,
                            unknowns: &cell.variables,
                            value: amount.value,
                            sign: if amount.any_negative { Sign::Mixed } else { Sign::NonNegative },
                            need: need(quantity, judged, amount, rules),
                            shown: Shown::Not,
                        });
                    }
                }
            }
        }
        // Where everybody has one row, rows and units are the same question.
        let same = |a: &Watched<'_>, b: &Watched<'_>| a.cell == b.cell && a.value == b.value && a.need == b.need;
        if let (Some(rows), Some(units)) = (quantities.get(&Quantity::Rows), quantities.get(&Quantity::Units))
            && rows.len() == units.len()
            && rows.iter().zip(units).all(|(a, b)| same(a, b))
        {
            quantities.remove(&Quantity::Units);
        }
        let free = quantities.iter().map(|(quantity, cells)| (*quantity, free(frame.variables, cells))).collect();
        Self { unknowns: frame.variables, quantities, free, seen: Vec::new() }
    }

    /// Some of the cells (positions in `frame.cells`) among `withheld` that can be
    /// bounded too closely from what is published; none only if there is none.
    /// `withheld` may only grow from call to call.
    pub(super) fn too_close(&mut self, withheld: &BTreeSet<usize>) -> Vec<Narrow> {
        let mut failing = Vec::new();
        for (at, (quantity, cells)) in self.quantities.iter_mut().enumerate() {
            let free = self.free.get(quantity).map_or(&[][..], Vec::as_slice);
            let seen = self.seen.get(at).map_or(&[][..], Vec::as_slice);
            let found = match narrow((self.unknowns, free), cells, withheld, seen) {
                Ok(found) => found,
                // Units that do not add up over cells cannot be subtracted either.
                Err(Contradiction) if *quantity == Quantity::Units => continue,
                Err(Contradiction) => {
                    cells.iter().filter(|c| withheld.contains(&c.cell)).map(|c| (c.cell, f64::INFINITY)).collect()
                }
            };
            failing.extend(found.into_iter().map(|(cell, up_to)| Narrow { cell, quantity: at, up_to }));
        }
        failing
    }

    /// What the withheld cells of `frame` need, where withholding a cell costs `price`.
    /// A quantity that does not add up over all cells takes no part.
    pub(super) fn room(&self, frame: &'a Frame, price: Vec<f64>) -> Room<'a> {
        let mut room = Room::of(frame, price);
        for (quantity, cells) in &self.quantities {
            let free = self.free.get(quantity).map_or(&[][..], Vec::as_slice);
            let wanted: Vec<Wanted<'a>> = cells.iter().map(|c| (c.cell, c.unknowns, c.need)).collect();
            let shown: Vec<(&[u32], f64)> = cells.iter().map(|c| (c.unknowns, c.value)).collect();
            let point = System::of(self.unknowns, &shown, free).and_then(|mut system| system.point());
            match point {
                Ok(point) => {
                    let most = cells.iter().fold(0.0, |most: f64, c| most.max(c.value.abs()));
                    let least = |i: usize| if free.get(i) == Some(&true) { -FREE * most } else { 0.0 };
                    room.add(&wanted, point, least, !matches!(quantity, Quantity::Total(_) | Quantity::Squares(_)));
                }
                Err(Contradiction) => room.add(&[], vec![0.0; self.unknowns], |_| 0.0, false),
            }
        }
        room
    }

    /// Takes the points of `room` for possible, where they are.
    pub(super) fn shown(mut self, room: &Room<'_>) -> Self {
        self.seen = (0..self.quantities.len()).map(|at| room.points(at)).collect();
        self
    }

    /// Names `narrow` no more: nothing that could still be withheld would widen it.
    pub(super) fn past_help(&mut self, narrow: Narrow) {
        let cells = self.quantities.values_mut().nth(narrow.quantity).into_iter().flatten();
        cells.filter(|cell| cell.cell == narrow.cell).for_each(|cell| cell.shown = Shown::PastHelp);
    }

    /// By position in `frame.cells`, the values of the quantity that `narrow` is about.
    pub(super) fn values(&self, narrow: Narrow) -> BTreeMap<usize, f64> {
        let cells = self.quantities.values().nth(narrow.quantity).into_iter().flatten();
        cells.map(|cell| (cell.cell, cell.value)).collect()
    }
}

/// A cell whose interval is not wide enough.
#[derive(Debug, Clone, Copy)]
pub(super) struct Narrow {
    /// Its position in `frame.cells`.
    pub(super) cell: usize,
    quantity: usize,
    /// What its interval must reach.
    pub(super) up_to: f64,
}

/// Which unknowns may be below zero: those whose every cell has a negative contribution.
fn free(unknowns: usize, cells: &[Watched<'_>]) -> Vec<bool> {
    let mut free = vec![false; unknowns];
    for sign in [Sign::Mixed, Sign::NonNegative] {
        for unknown in cells.iter().filter(|cell| cell.sign == sign).flat_map(|cell| cell.unknowns) {
            if let Some(slot) = free.get_mut(*unknown as usize) {
                *slot = sign == Sign::Mixed;
            }
        }
    }
    free
}

fn narrow(
    (unknowns, free): (usize, &[bool]),
    cells: &mut [Watched<'_>],
    withheld: &BTreeSet<usize>,
    seen: &[Vec<f64>],
) -> Result<Vec<(usize, f64)>, Contradiction> {
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
    let mut system = System::of(unknowns, &published, free)?;
    seen.iter().for_each(|point| system.believe(point));
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
            narrow.push((cell.cell, need.up_to(cell.value)));
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
pub(crate) enum Need {
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
        (Quantity::Total(_) | Quantity::Squares(_), _, Some(p)) if cell.is_unsafe() && amount.largest > 0.0 => {
            let least = if amount.any_negative { f64::NEG_INFINITY } else { 0.0 };
            Need::reach(amount.value, p * amount.largest, least)
        }
        (Quantity::Total(_) | Quantity::Squares(_), ..) => Need::Width,
    }
}

impl Need {
    /// How high the interval around `value` should reach.
    fn up_to(self, value: f64) -> f64 {
        match self {
            Self::TwoCounts | Self::Width => value + 1.0,
            Self::Wide(width) => value + width,
            Self::Reach { high, .. } => high,
        }
    }

    /// `reach` to either side of `value`, but not below `least`.
    pub(crate) fn reach(value: f64, reach: f64, least: f64) -> Self {
        Self::Reach { low: (value - reach).max(least), high: value + reach }
    }

    /// Where `value` may be anything from `low` to `high` and that is not enough: changes
    /// of it of which one is needed.
    pub(super) fn step(self, value: f64, low: f64, high: f64, slack: f64) -> Vec<f64> {
        let either = |by: f64| if value - by >= -slack { vec![by, -by] } else { vec![by] };
        match self {
            Self::TwoCounts => either(1.0 + value.ceil() - value),
            Self::Width => either(1e3 * slack),
            Self::Wide(width) => either(width),
            Self::Reach { high: at_least, .. } if high < at_least - slack => vec![at_least - value],
            Self::Reach { low: at_most, .. } if low > at_most + slack => vec![at_most - value],
            Self::Reach { .. } => Vec::new(),
        }
    }

    /// Whether [low, high] holds it; `slack` is the solver's accuracy. Widening the
    /// interval never turns a yes into a no.
    pub(crate) fn met(self, low: f64, high: f64, slack: f64) -> bool {
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
