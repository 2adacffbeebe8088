//! 数据水印: which copy of a product a found file was.
//!
//! Every recipient's copy of a released table has its counts and sums rounded to a
//! multiple of the contract's base, up or down at random but without bias, and the
//! random bits come from a keyed function of (recipient, product, table, measure,
//! cell). The protection is finished before: marks are drawn after approval, from
//! numbers that may leave, so copies of one product reveal nothing but those numbers
//! however many of them are compared (gate.md §7; unbiased random rounding: Fellegi,
//! *Controlled Random Rounding*, Survey Methodology 1, 1975).
//!
//! What a mark does not do: survive somebody who recomputes or rounds all numbers
//! again, or stop recipients who lay their copies side by side from finding the
//! marked cells. [`trace`] says how likely its finding is to be an accident.

use sluice_domain::{
    Digest,
    candidate::{Candidate, CandidateTable, Cell, CellValue},
    catalogue::Key,
    contract::{Contract, MarkPolicy, Regression, Survival, Table},
    id::ProductId,
};

use crate::Released;

/// A keyed function, of which only the vault knows the key.
pub type Prf<'a> = &'a dyn Fn(&[u8]) -> Digest;

/// What is rounded, and to what: it stands in the contract.
struct Rounding {
    base: f64,
    /// Per table: whether a number column is a count or a sum.
    columns: Vec<Vec<bool>>,
}

/// How the copies of one product are marked.
pub struct Marks<'a> {
    rounding: Rounding,
    product: &'a ProductId,
    prf: Prf<'a>,
}

/// How many bits tell two copies of `candidate` apart: −log₂ of the chance that two
/// recipients get the same numbers. None when the contract asks for no marks.
pub fn bits(contract: &Contract, candidate: &Candidate) -> Option<f64> {
    let rounding = Rounding::of(contract)?;
    let numbers = candidate.tables.iter().enumerate().flat_map(|(t, table)| rounding.numbers(t, table));
    let alike = numbers.map(|(_, _, x)| rounding.above(x)).map(|up| up * up + (1.0 - up) * (1.0 - up));
    // + 0.0: a sum of nothing is not minus zero.
    Some(alike.map(|p| -p.log2()).sum::<f64>() + 0.0)
}

impl<'a> Marks<'a> {
    /// The marks of `product`, if `contract` asks for any.
    pub fn of(contract: &Contract, product: &'a ProductId, prf: Prf<'a>) -> Option<Self> {
        Some(Self { rounding: Rounding::of(contract)?, product, prf })
    }

    /// The copy of `released` for `recipient`.
    pub fn copy(&self, released: &Released<Candidate>, recipient: &str) -> Candidate {
        self.mark(released.get(), recipient)
    }

    /// The tables of `recipient`'s copy again, for somebody who may see that copy.
    pub fn mark(&self, candidate: &Candidate, recipient: &str) -> Candidate {
        let mut copy = candidate.clone();
        for (t, table) in copy.tables.iter_mut().enumerate() {
            let name = table.name.clone();
            for cell in &mut table.cells {
                let key = cell.key.clone();
                let CellValue::Published(numbers) = &mut cell.value else { continue };
                for (m, number) in numbers.iter_mut().enumerate().filter(|(m, _)| self.rounding.is_marked(t, *m)) {
                    if let Some(x) = number {
                        let up = self.draw(recipient, &name, m, &key) < self.rounding.above(*x);
                        *x = self.rounding.down(*x) + if up { self.rounding.base } else { 0.0 };
                    }
                }
            }
        }
        copy
    }

    /// How far a marked number may stand from the approved one (exclusive); none where
    /// it must be exact.
    pub fn slack(&self, table: usize, measure: usize) -> Option<f64> {
        self.rounding.is_marked(table, measure).then_some(self.rounding.base)
    }

    /// A number in [0, 1) that only the holder of the key can foresee.
    fn draw(&self, recipient: &str, table: &str, measure: usize, key: &[Option<Key>]) -> f64 {
        // JSON, so that no two cells share an encoding.
        let cell = serde_json::to_vec(&(recipient, self.product, table, measure, key)).unwrap_or_default();
        let bytes = (self.prf)(&cell);
        let high = bytes.as_bytes().iter().take(6).fold(0u64, |n, byte| (n << 8) | u64::from(*byte));
        #[expect(clippy::cast_precision_loss, reason = "48 bits are exact in an f64")]
        let draw = high as f64 / (1u64 << 48) as f64;
        draw
    }
}

impl Rounding {
    fn of(contract: &Contract) -> Option<Self> {
        let MarkPolicy::Rounding(base) = contract.product.mark else { return None };
        Some(Self { base: f64::from(base), columns: contract.tables.iter().map(columns).collect() })
    }

    fn is_marked(&self, table: usize, measure: usize) -> bool {
        self.columns.get(table).and_then(|c| c.get(measure)).copied().unwrap_or(false)
    }

    fn down(&self, x: f64) -> f64 {
        (x / self.base).floor() * self.base
    }

    /// Probability of rounding up: then the mean of a copy is the number itself.
    fn above(&self, x: f64) -> f64 {
        (x - self.down(x)) / self.base
    }

    /// The marked numbers of a table that carry information.
    fn numbers<'c>(&'c self, t: usize, table: &'c CandidateTable) -> impl Iterator<Item = (&'c Cell, usize, f64)> + 'c {
        table.cells.iter().flat_map(move |cell| {
            let numbers = match &cell.value {
                CellValue::Published(numbers) => numbers.as_slice(),
                CellValue::Withheld(_) => &[],
            };
            let marked = numbers.iter().enumerate().filter(move |(m, _)| self.is_marked(t, *m));
            marked.filter_map(move |(m, x)| Some((cell, m, (*x)?))).filter(|(_, _, x)| self.above(*x) > 0.0)
        })
    }
}

fn columns(table: &Table) -> Vec<bool> {
    match table {
        // Shares follow the measures and are exact.
        Table::A(a) => vec![true; a.measures.len()],
        // Means and medians of blocks are exact too.
        Table::B(b) => vec![false; b.measures.len()],
        // The number of units, then the sums.
        Table::Open(o) => vec![true; o.measures.len() + 1],
        // Coefficients and their errors are exact.
        Table::Regression(_) => vec![false; Regression::MEASURES.len()],
        // A curve with a number rounded would be no function of its other numbers.
        Table::Survival(_) => vec![false; Survival::MEASURES.len()],
        Table::D(held) => vec![false; held.measures.len()],
        Table::C(c) => c.plan.measures.iter().map(|m| m.aggregate.adds_up()).collect(),
    }
}

/// What a found file says about one recipient.
#[derive(Debug, Clone, PartialEq)]
pub struct Suspicion {
    /// The recipient.
    pub recipient: String,
    /// Marked cells that the file shows.
    pub compared: usize,
    /// How many of them are as in this recipient's copy.
    pub agreeing: usize,
    /// log₁₀ of the chance that a copy made for somebody else agrees as often, at most.
    pub log10_odds: f64,
}

/// A found file's number for a cell's key and a measure, where it shows one.
pub type Seen<'a> = &'a dyn Fn(&[Option<Key>], usize) -> Option<f64>;

/// Compares what a file shows of `table` with the copies of `recipients`, the most
/// suspect first.
pub fn trace(
    marks: &Marks<'_>,
    candidate: &Candidate,
    table: usize,
    recipients: &[String],
    seen: Seen<'_>,
) -> Vec<Suspicion> {
    let rounding = &marks.rounding;
    let Some(shown) = candidate.tables.get(table) else { return Vec::new() };
    let found: Vec<_> =
        rounding.numbers(table, shown).filter_map(|(cell, m, x)| Some((cell, m, x, seen(&cell.key, m)?))).collect();
    // How likely a stranger's copy shows what the file shows.
    let by_chance: Vec<f64> = found
        .iter()
        .map(|(_, _, x, seen)| {
            let up = rounding.above(*x);
            let is = |wanted: f64| (seen - wanted).abs() < rounding.base * 1e-9;
            if is(rounding.down(*x)) {
                1.0 - up
            } else if is(rounding.down(*x) + rounding.base) {
                up
            } else {
                0.0
            }
        })
        .collect();
    let suspicion = |recipient: &String| {
        let agrees = |(cell, m, x, seen): &(&Cell, usize, f64, f64)| {
            let up = marks.draw(recipient, &shown.name, *m, &cell.key) < rounding.above(*x);
            let copy = rounding.down(*x) + if up { rounding.base } else { 0.0 };
            (seen - copy).abs() < rounding.base * 1e-9
        };
        let agreeing = found.iter().filter(|f| agrees(f)).count();
        Suspicion {
            recipient: recipient.clone(),
            compared: found.len(),
            agreeing,
            log10_odds: log10_tail(&by_chance, agreeing),
        }
    };
    let mut all: Vec<_> = recipients.iter().map(suspicion).collect();
    all.sort_by(|a, b| a.log10_odds.total_cmp(&b.log10_odds));
    all
}

/// log₁₀ of an upper bound on P(at least `least` of the independent events happen),
/// the i-th with probability `p[i]`: Chernoff's, min over t ≥ 0 of Π(1 − pᵢ + pᵢeᵗ)/e^{t·least}
/// (Chernoff 1952).
fn log10_tail(p: &[f64], least: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a table has far fewer than 2⁵³ cells")]
    let least_f = least as f64;
    if least == 0 {
        return 0.0;
    }
    let bound = |t: f64| p.iter().map(|p| (1.0 - p + p * t.exp()).ln()).sum::<f64>() - t * least_f;
    // The bound is convex in t: golden sections would do, thirds are plainer.
    let (mut low, mut high) = (0.0_f64, 50.0_f64);
    for _ in 0..200 {
        let (a, b) = (low + (high - low) / 3.0, high - (high - low) / 3.0);
        if bound(a) < bound(b) { high = b } else { low = a }
    }
    bound(low).min(0.0) / std::f64::consts::LN_10
}

#[cfg(test)]
mod tests;
