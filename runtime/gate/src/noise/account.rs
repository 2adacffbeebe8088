//! What mechanisms cost together, in (ρ, δ): approximate zero-concentrated
//! differential privacy (Bun and Steinke 2016, definition 8.1).
//!
//! Costs add: the sum bounds any adaptive sequence (lemma 8.2 there). Every operation
//! rounds up. ε(δ) is for people to read; budgets are kept in ρ, by the ledger.

use opendp::{combinators::ConcentratedMeasure, measures::ZeroConcentratedDivergence};
use sluice_domain::Refusal;

use crate::refusals;

/// δ-approximate ρ-zCDP.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Rényi slope: D_α ≤ ρα for every α > 1.
    pub rho: f64,
    /// Chance of an outcome that the bound does not hold for.
    pub delta: f64,
}

impl Cost {
    /// Nothing.
    pub const ZERO: Self = Self { rho: 0.0, delta: 0.0 };

    /// A mechanism that is ρ-zCDP.
    pub fn concentrated(rho: f64) -> Self {
        Self { rho, delta: 0.0 }
    }

    /// A mechanism that is ε-DP: ρ = ε²/2 (Bun and Steinke 2016, proposition 1.4).
    pub fn pure(epsilon: f64) -> Self {
        Self { rho: (epsilon * epsilon).next_up() / 2.0, delta: 0.0 }
    }

    /// The exponential mechanism with weights e^(−εu/2Δ): its loss has a range of ε, so
    /// ρ = ε²/8 (Cesar and Rogers 2021, lemma 3.1; Dong, Durfee and Rogers 2020).
    pub fn exponential(epsilon: f64) -> Self {
        Self { rho: (epsilon * epsilon).next_up() / 8.0, delta: 0.0 }
    }

    /// The same with `delta` more, as a threshold adds it.
    #[must_use]
    pub fn with_delta(self, delta: f64) -> Self {
        self.and(Self { rho: 0.0, delta })
    }

    /// Both, one after the other, the second chosen in the light of the first.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { rho: add_up(self.rho, other.rho), delta: add_up(self.delta, other.delta).min(1.0) }
    }

    /// The same, `rounds` times.
    #[must_use]
    pub fn times(self, rounds: u32) -> Self {
        (0..rounds).fold(Self::ZERO, |sum, _| sum.and(self))
    }

    /// ε at `delta`, by opendp's conversion (that of `make_zCDP_to_approxDP`) at what
    /// the thresholds leave of `delta`.
    ///
    /// # Errors
    /// `gate.host-fault` when the thresholds used up `delta`, or a number is out of range.
    pub fn epsilon(self, delta: f64) -> Result<f64, Refusal> {
        let left = if self.delta == 0.0 { delta } else { (delta - self.delta).next_down() };
        ZeroConcentratedDivergence::convert(self.rho)
            .and_then(|profile| profile.epsilon(left))
            .ok()
            .filter(|_| left > 0.0)
            .ok_or_else(|| refusals::noise("epsilon"))
    }
}

/// The whole of many costs: what a dataset root has paid since its first ingest.
impl std::iter::Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::ZERO, Self::and)
    }
}

/// The largest ε with ε²/2 ≤ `rho`, but for rounding.
pub(super) fn pure_epsilon(rho: f64) -> f64 {
    (2.0 * rho).sqrt()
}

/// a + b, not below the true sum.
fn add_up(a: f64, b: f64) -> f64 {
    let sum = a + b;
    // The addition was exact when it can be undone from both sides.
    if sum - a == b && sum - b == a { sum } else { sum.next_up() }
}

#[cfg(test)]
mod tests {
    use opendp::{
        combinators::make_composition, domains::AtomDomain, measurements::make_gaussian,
        measures::ZeroConcentratedDivergence, metrics::AbsoluteDistance,
    };

    use super::*;

    #[test]
    fn checked_values_of_the_conversion() {
        assert!((Cost::concentrated(0.02).epsilon(1e-7).unwrap() - 0.9951).abs() < 5e-5);
        // δ that a threshold used is not there for the conversion.
        let threshold = Cost::concentrated(0.02).with_delta(5e-8);
        assert_eq!(
            threshold.epsilon(1e-7).unwrap(),
            Cost::concentrated(0.02).epsilon((1e-7f64 - 5e-8).next_down()).unwrap()
        );
        assert!(threshold.epsilon(1e-7).unwrap() > Cost::concentrated(0.02).epsilon(1e-7).unwrap());
        assert!(threshold.epsilon(5e-8).is_err());
        assert!(Cost::concentrated(-1.0).epsilon(1e-7).is_err());
    }

    #[test]
    fn pure_and_exponential_costs_enter_as_the_theorems_say() {
        assert!((Cost::pure(0.5).rho - 0.125).abs() < 1e-15 && Cost::pure(0.5).rho >= 0.125);
        assert!((Cost::exponential(1.0).rho - 0.125).abs() < 1e-15 && Cost::exponential(1.0).rho >= 0.125);
    }

    #[test]
    fn composition_is_that_of_the_library_and_never_below_the_sum() {
        let one = |scale: f64| {
            let space = (AtomDomain::<i64>::new_non_nan(), AbsoluteDistance::<f64>::default());
            make_gaussian::<_, _, ZeroConcentratedDivergence>(space.0, space.1, scale, None).unwrap()
        };
        let theirs = make_composition(vec![one(3.0), one(7.0), one(11.0)]).unwrap().map(&1.0).unwrap();
        let ours: Cost = [3.0, 7.0, 11.0].iter().map(|s| Cost::concentrated(one(*s).map(&1.0).unwrap())).sum();
        assert!((ours.rho - theirs).abs() < 1e-15);
        let tenth = Cost { rho: 0.1, delta: 1e-9 };
        assert!(tenth.times(10).rho >= 1.0 && tenth.times(10).delta >= 1e-8);
        assert_eq!(tenth.times(0), Cost::ZERO);
    }
}
