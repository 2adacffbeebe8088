//! Keys that nobody declared: counts of units are noised, and a key is released only
//! when its noised count is **above** τ (Rogers 2023, arXiv 2309.09170; opendp's
//! `make_gaussian_threshold`, `make_laplace_threshold`).
//!
//! τ is the smallest whole number at which opendp's map says δ: with L0 keys a unit
//! and one unit a key, δ = 1 − (1 − δ₁)^L0 and δ₁ = P[noise > τ − 1]. opendp's filter
//! keeps a noised count *equal* to τ as well, which would be P[noise ≥ τ − 1]: such a
//! key is dropped here.
//!
//! It works on numbered keys. What a key is called, and the sums that go with it, are
//! [`super::open`]'s.

use std::collections::HashMap;

use opendp::{
    core::Measurement,
    domains::{AtomDomain, MapDomain},
    measurements::{make_gaussian_threshold, make_laplace_threshold},
    measures::{Approximate, MaxDivergence, ZeroConcentratedDivergence},
    metrics::{AbsoluteDistance, L0PInfDistance, L01InfDistance, L02InfDistance},
};

use super::{
    account::{Cost, pure_epsilon},
    discrete::Coverage,
    law::{self, Law, float_up, positive, sqrt_up, widened},
};

/// Units per numbered key.
pub(super) type Counts = HashMap<u64, i64>;

type Map = MapDomain<AtomDomain<u64>, AtomDomain<i64>>;
type Distance = AbsoluteDistance<i64>;

/// The engine behind a law.
enum Engine {
    Gaussian(Measurement<Map, L02InfDistance<Distance>, Approximate<ZeroConcentratedDivergence>, Counts>),
    Laplace(Measurement<Map, L01InfDistance<Distance>, Approximate<MaxDivergence>, Counts>),
}

/// τ is looked for below this many standard deviations, and then some.
const TAU_MAX: i64 = 1 << 40;

/// The threshold mechanism over counts of units.
pub(crate) struct Threshold {
    engine: Engine,
    law: Law,
    scale: f64,
    tau: i64,
    cost: Cost,
}

impl Threshold {
    /// The mechanism for units of at most `keys_per_unit` keys, at ρ and δ.
    /// `None` when a number is out of range.
    pub(crate) fn new(law: Law, keys_per_unit: u32, rho: f64, delta: f64) -> Option<Self> {
        let delta = positive(delta).filter(|d| *d < 1.0)?;
        let root = sqrt_up(u128::from(keys_per_unit));
        let start = match law {
            Law::Gaussian => root / positive(2.0 * rho)?.sqrt(),
            Law::Laplace => float_up(u128::from(keys_per_unit)) / pure_epsilon(positive(rho)?),
        };
        let at = |scale: f64, tau: i64| {
            let engine = Engine::new(law, scale, tau)?;
            let cost = engine.cost(keys_per_unit)?;
            Some((engine, cost))
        };
        // The map's ρ does not depend on τ: any will do while the scale is looked for.
        let (scale, _) = widened(start, rho, |scale| at(scale, TAU_MAX).map(|(engine, cost)| (engine, cost.rho)))?;
        let tau = first(1, TAU_MAX, |tau| at(scale, tau).is_some_and(|(_, cost)| cost.delta <= delta))?;
        let (engine, cost) = at(scale, tau)?;
        Some(Self { engine, law, scale, tau, cost })
    }

    /// A key is released when its noised count is above this.
    pub(crate) fn tau(&self) -> i64 {
        self.tau
    }

    /// What the engine's map says it costs.
    pub(crate) fn cost(&self) -> Cost {
        self.cost
    }

    /// Standard deviation of a count, in units.
    pub(crate) fn sigma(&self) -> f64 {
        law::sigma(self.law, self.scale)
    }

    /// Half-width of a count's interval, in units, over all draws. A *released* count
    /// is one that came out high: its own interval leans, and the contract says so.
    pub(crate) fn half_width(&self, coverage: Coverage) -> f64 {
        law::half_width(self.law, self.scale, coverage)
    }

    /// The keys above τ with their noised counts; uses the counts up.
    pub(super) fn release(&self, counts: Counts) -> Option<Counts> {
        let mut kept = self.engine.invoke(&counts)?;
        kept.retain(|_, noised| *noised > self.tau);
        Some(kept)
    }

    /// What the engine alone would keep: those equal to τ as well.
    #[cfg(test)]
    pub(super) fn release_unfiltered(&self, counts: &Counts) -> Counts {
        self.engine.invoke(counts).unwrap()
    }

    /// Which distribution.
    #[cfg(test)]
    pub(super) fn law(&self) -> Law {
        self.law
    }

    /// The law's own parameter.
    #[cfg(test)]
    pub(super) fn scale(&self) -> f64 {
        self.scale
    }

    /// The mechanism with whatever numbers, as a test wants it.
    #[cfg(test)]
    pub(super) fn with(law: Law, keys_per_unit: u32, scale: f64, tau: i64) -> Self {
        let engine = Engine::new(law, scale, tau).unwrap();
        let cost = engine.cost(keys_per_unit).unwrap();
        Self { engine, law, scale, tau, cost }
    }
}

impl Engine {
    fn new(law: Law, scale: f64, tau: i64) -> Option<Self> {
        let domain = || MapDomain::new(AtomDomain::<u64>::default(), AtomDomain::<i64>::new_non_nan());
        let distance = Distance::default();
        Some(match law {
            Law::Gaussian => {
                Self::Gaussian(make_gaussian_threshold(domain(), L0PInfDistance(distance), scale, tau, None).ok()?)
            }
            Law::Laplace => {
                Self::Laplace(make_laplace_threshold(domain(), L0PInfDistance(distance), scale, tau, None).ok()?)
            }
        })
    }

    /// The cost when one unit changes `keys` counts by one each. The engine takes the
    /// l2-distance to be at most √keys by itself.
    fn cost(&self, keys: u32) -> Option<Cost> {
        let distance = (keys, i64::from(keys), 1i64);
        Some(match self {
            Self::Gaussian(engine) => {
                let (rho, delta) = engine.map(&distance).ok()?;
                Cost { rho, delta }
            }
            Self::Laplace(engine) => {
                let (epsilon, delta) = engine.map(&distance).ok()?;
                Cost { delta, ..Cost::pure(epsilon) }
            }
        })
    }

    fn invoke(&self, counts: &Counts) -> Option<Counts> {
        match self {
            Self::Gaussian(engine) => engine.invoke(counts).ok(),
            Self::Laplace(engine) => engine.invoke(counts).ok(),
        }
    }
}

/// The first n in low..=high of which `holds` is true, if it stays true from there on.
fn first(low: i64, high: i64, holds: impl Fn(i64) -> bool) -> Option<i64> {
    let (mut low, mut high) = (low, high);
    if !holds(high) {
        return None;
    }
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) { high = middle } else { low = middle + 1 }
    }
    Some(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: f64, wanted: f64) -> bool {
        (got / wanted - 1.0).abs() < 5e-3
    }

    #[test]
    fn checked_values_of_the_specification() {
        // Laplace s = 5, τ = 75, (5, 5, 1) → (1.0, 8.41e-7); ε = 1 is ρ = 1/2.
        let laplace = Threshold::with(Law::Laplace, 5, 5.0, 75).cost();
        assert!(close(laplace.rho, 0.5) && close(laplace.delta, 8.41e-7), "{laplace:?}");
        // Gaussian σ = 8, τ = 50, (4, 2, 1) → (0.03125, 1.81e-9).
        let gaussian = Threshold::with(Law::Gaussian, 4, 8.0, 50).cost();
        assert!(close(gaussian.rho, 0.031_25) && close(gaussian.delta, 1.81e-9), "{gaussian:?}");
    }

    /// The exact tail of the discrete law: δ₁ = P[noise > τ − 1], and with "equal to τ"
    /// kept it would be P[noise ≥ τ − 1], which the map does not cover.
    #[test]
    fn the_map_covers_the_exact_tail_above_tau_and_not_the_one_at_tau() {
        let all = |single: f64, keys: i32| 1.0 - (1.0 - single).powi(keys);
        let p = (-1.0f64 / 5.0).exp();
        let laplace = |from: i32| p.powi(from) / (1.0 + p); // P[X ≥ from]
        let cost = Threshold::with(Law::Laplace, 5, 5.0, 75).cost();
        assert!(close(all(laplace(75), 5), 8.41e-7) && close(all(laplace(74), 5), 1.03e-6));
        assert!(cost.delta >= all(laplace(75), 5) * (1.0 - 1e-9) && cost.delta < all(laplace(74), 5));
        let masses = crate::noise::discrete::masses(8.0);
        let gaussian = |from: usize| masses[from..].iter().rev().sum::<f64>();
        let cost = Threshold::with(Law::Gaussian, 4, 8.0, 50).cost();
        assert!(cost.delta >= all(gaussian(50), 4) && cost.delta < all(gaussian(49), 4), "{cost:?}");
    }

    #[test]
    fn tau_is_the_smallest_that_keeps_delta() {
        for law in [Law::Gaussian, Law::Laplace] {
            for (keys, rho, delta) in [(1, 0.02, 1e-7), (5, 0.05, 1e-9), (64, 0.01, 1e-6)] {
                let t = Threshold::new(law, keys, rho, delta).unwrap();
                assert!(t.cost().rho <= rho && t.cost().delta <= delta, "{law:?} {keys}");
                let below = Threshold::with(law, keys, t.scale, t.tau - 1).cost();
                assert!(below.delta > delta, "{law:?} {keys}: τ = {} is not the smallest", t.tau);
            }
        }
    }

    #[test]
    fn numbers_out_of_range_have_no_mechanism() {
        for (keys, rho, delta) in [(0, 0.02, 1e-7), (1, 0.0, 1e-7), (1, 0.02, 0.0), (1, 0.02, 1.0), (1, f64::NAN, 1e-7)]
        {
            assert!(Threshold::new(Law::Gaussian, keys, rho, delta).is_none(), "{keys} {rho} {delta}");
        }
    }

    #[test]
    fn a_count_equal_to_tau_is_dropped() {
        // Almost no noise: the count is τ itself.
        let t = Threshold::with(Law::Gaussian, 1, 1e-3, 20);
        let counts = || Counts::from([(1, 20), (2, 21), (3, 19)]);
        assert_eq!(t.release_unfiltered(&counts()).len(), 2, "the engine keeps τ: if not, the host need not drop it");
        assert_eq!(t.release(counts()).unwrap(), Counts::from([(2, 21)]));
    }
}
