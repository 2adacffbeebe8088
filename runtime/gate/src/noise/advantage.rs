//! What an attacker gains: the measured advantage beside the exact bound. For the
//! demo only.
//!
//! The attacker knows the two exact answers that a dataset gives with and without
//! one unit, sees one noised answer, and says which it came from. *Advantage* is
//! true-positive rate minus false-positive rate; no test can have more than the
//! total-variation distance of the two noised answers. [`estimate`] draws the
//! table's own mechanism on both answers, uses the best possible test (the
//! likelihood ratio, Neyman and Pearson), and sets an exact 99 % interval beside the
//! bound. Nothing is assumed about the noise: a mechanism with too little of it
//! shows an interval above its bound.
//!
//! Measuring needs both exact answers to be read many times, which would be a
//! breach on real data: [`estimate`] asks for the proof of a demo domain.

use sluice_domain::{Refusal, contract::TableA, state::DemoDomain};

use super::{Mechanism, binomial::clopper_pearson, discrete::total_variation, law::Law};
use crate::{refusals, route_a::PreNoise};

/// Fewest draws on each answer.
pub const DRAWS_MIN: u32 = 10_000;

/// Chance that the interval misses the true advantage.
const MISS: f64 = 0.01;

/// The result of [`estimate`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Advantage {
    /// Measured: true-positive rate minus false-positive rate.
    pub advantage: f64,
    /// Lower end of the 99 % interval.
    pub low: f64,
    /// Upper end of the 99 % interval.
    pub high: f64,
    /// What no attacker can exceed for any pair of neighbouring datasets under the
    /// contract's σ.
    pub bound: f64,
    /// How the bound was found.
    pub bound_kind: BoundKind,
    /// Draws on each of the two answers.
    pub draws: u32,
}

/// How an upper bound on the advantage was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoundKind {
    /// The total-variation distance itself, summed from the masses.
    Exact,
    /// √(KL/2) ≥ TV (Pinsker), where the masses are too many to sum.
    Pinsker,
}

/// Measures the advantage of the best attacker between the exact answers `with` and
/// `without` one unit, from `draws` draws on each.
///
/// Coordinates in which the answers agree carry independent noise and tell nothing;
/// they are not drawn.
///
/// The two error rates get exact limits of 99.5 % each, so that the interval of
/// their difference holds with 99 % (Bonferroni).
///
/// # Errors
/// `gate.table` when the contract has no valid mechanism; `gate.host-fault` when the
/// answers are not answers to `table`, or fewer than [`DRAWS_MIN`] draws are asked.
pub fn estimate(
    _proof: &DemoDomain,
    with: &PreNoise,
    without: &PreNoise,
    table: &TableA,
    draws: u32,
) -> Result<Advantage, Refusal> {
    if !with.fits(table) || !without.fits(table) || draws < DRAWS_MIN {
        return Err(refusals::host_fault(
            &table.name,
            "两份答案与合约不符，或抽样次数不足",
            "the answers do not fit the contract, or too few draws were asked for",
        ));
    }
    measure(&Mechanism::for_table(table)?, with.sums(), without.sums(), bound(table)?, draws)
}

/// The exact maximum, over all neighbours, of the attacker's advantage at the
/// contract's own σ.
///
/// One unit may move each of min(L0, cells) keys by at most M_m in measure m. The
/// full clamp on all of them is the worst case, exactly: a discrete Gaussian is
/// log-concave, so for one coordinate and every weight t the best test is a
/// half-line and its value is max over c of F(c) − t·F(c−d), which does not fall as
/// d grows; for several coordinates apply this to one after another, the others
/// held fixed.
///
/// # Errors
/// `gate.table` when the contract has no valid mechanism.
pub fn bound(table: &TableA) -> Result<(f64, BoundKind), Refusal> {
    let mechanism = Mechanism::for_table(table)?;
    let keys = usize::try_from(table.keys_per_unit).unwrap_or(usize::MAX).min(table.cells().unwrap_or(usize::MAX));
    let clamps = table.measures.iter().map(|m| m.lo.unsigned_abs().max(m.hi.unsigned_abs()));
    let shifts: Vec<u64> = clamps.flat_map(|clamp| std::iter::repeat_n(clamp, keys)).collect();
    let distance = match mechanism.noise.law() {
        Law::Gaussian => total_variation(&shifts, mechanism.sigma()),
        Law::Laplace => None,
    };
    Ok(match distance {
        Some(distance) => (distance, BoundKind::Exact),
        // ρ-zCDP bounds the divergence by ρ (α → 1).
        None => ((mechanism.rho() / 2.0).sqrt().min(1.0), BoundKind::Pinsker),
    })
}

fn measure(
    mechanism: &Mechanism,
    with: &[i64],
    without: &[i64],
    (bound, bound_kind): (f64, BoundKind),
    draws: u32,
) -> Result<Advantage, Refusal> {
    let differ = |side: &[i64]| -> Vec<i64> {
        let pairs = with.iter().zip(without).zip(side);
        pairs.filter(|((a, b), _)| a != b).map(|(_, value)| *value).collect()
    };
    let (with, without) = (differ(with), differ(without));
    let says_with = |side: &[i64]| -> Result<u32, Refusal> {
        let mut count = 0;
        for _ in 0..draws {
            let seen = mechanism.noised(side)?;
            count += u32::from(likelier_with(mechanism.noise.law(), &seen, &with, &without));
        }
        Ok(count)
    };
    let (true_positives, false_positives) = (says_with(&with)?, says_with(&without)?);
    let (tp_low, tp_high) = clopper_pearson(true_positives, draws, MISS / 2.0);
    let (fp_low, fp_high) = clopper_pearson(false_positives, draws, MISS / 2.0);
    Ok(Advantage {
        advantage: (f64::from(true_positives) - f64::from(false_positives)) / f64::from(draws),
        low: tp_low - fp_high,
        high: tp_high - fp_low,
        bound,
        bound_kind,
        draws,
    })
}

/// Whether the likelihood ratio speaks for `with`: Σ dᵢ(2yᵢ − aᵢ − bᵢ) > 0 for the
/// Gaussian, Σ |yᵢ − bᵢ| − |yᵢ − aᵢ| > 0 for the Laplace.
fn likelier_with(law: Law, seen: &[i64], with: &[i64], without: &[i64]) -> bool {
    let terms = seen.iter().zip(with).zip(without).map(|((y, a), b)| {
        let (y, a, b) = (i128::from(*y), i128::from(*a), i128::from(*b));
        match law {
            // |a|, |b| < 2⁶² and |y| < 2⁶³: one term stays below 2¹²⁷.
            Law::Gaussian => (a - b).saturating_mul(2 * y - a - b),
            Law::Laplace => (y - b).abs() - (y - a).abs(),
        }
    });
    terms.fold(0i128, i128::saturating_add) > 0
}

#[cfg(test)]
mod tests;
