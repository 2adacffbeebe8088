//! Integer noise at a proven cost: the discrete Gaussian and the discrete Laplace.
//!
//! [`Noise`] is built from a sensitivity and a ρ. The scale follows from the formula
//! and is then widened, one step of the last place at a time, until opendp's own map
//! says that the sensitivity costs no more than ρ: what is charged is never less than
//! what the engine proves.
//!
//! It knows no table, no key and no block; whoever calls it computes the sensitivity.

use opendp::{
    core::Measurement,
    domains::{AtomDomain, VectorDomain},
    measurements::{make_gaussian, make_laplace},
    measures::{MaxDivergence, ZeroConcentratedDivergence},
    metrics::{L1Distance, L2Distance},
};
pub(super) use sluice_domain::contract::Law;

use super::{
    account::{Cost, pure_epsilon},
    discrete::{self, Coverage},
};

type Vector = VectorDomain<AtomDomain<i64>>;

/// The engine behind a law.
enum Engine {
    Gaussian(Measurement<Vector, L2Distance<f64>, ZeroConcentratedDivergence, Vec<i64>>),
    Laplace(Measurement<Vector, L1Distance<f64>, MaxDivergence, Vec<i64>>),
}

/// Beyond this scale (grid units) noise could reach the limits of `i64`.
pub(crate) const SCALE_MAX: f64 = (1u64 << 54) as f64;

/// Most steps of one unit in the last place that a scale is widened by.
const WIDENINGS_MAX: usize = 64;

/// Independent integer noise for a vector, with its cost.
pub(crate) struct Noise {
    engine: Engine,
    law: Law,
    scale: f64,
    rho: f64,
}

impl Noise {
    /// Discrete Gaussian noise for a vector of l2-sensitivity √`squared` (grid units):
    /// σ = √(squared/2ρ), which is ρ-zCDP (Canonne, Kamath, Steinke 2020, theorem 4).
    /// `None` when a number is out of range.
    pub(crate) fn gaussian(squared: u128, rho: f64) -> Option<Self> {
        let bound = sqrt_up(squared);
        let start = bound / positive(2.0 * rho)?.sqrt();
        let (scale, (engine, rho)) = widened(start, rho, |scale| {
            let engine = gaussian_engine(scale)?;
            let rho = engine.map(&bound).ok()?;
            Some((engine, rho))
        })?;
        Some(Self { engine: Engine::Gaussian(engine), law: Law::Gaussian, scale, rho })
    }

    /// Discrete Laplace noise for a vector of l1-sensitivity `sensitivity` (grid
    /// units): s = Δ₁/ε with ε = √(2ρ), which is ε-DP and so ε²/2-zCDP (Bun and Steinke
    /// 2016, proposition 1.4). `None` when a number is out of range.
    pub(crate) fn laplace(sensitivity: u128, rho: f64) -> Option<Self> {
        let bound = float_up(sensitivity);
        let start = bound / pure_epsilon(positive(rho)?);
        let (scale, (engine, rho)) = widened(start, rho, |scale| {
            let engine = laplace_engine(scale)?;
            let rho = Cost::pure(engine.map(&bound).ok()?).rho;
            Some((engine, rho))
        })?;
        Some(Self { engine: Engine::Laplace(engine), law: Law::Laplace, scale, rho })
    }

    /// Which distribution.
    pub(crate) fn law(&self) -> Law {
        self.law
    }

    /// What the engine's map says it costs, zCDP.
    pub(crate) fn rho(&self) -> f64 {
        self.rho
    }

    /// Standard deviation, grid units.
    pub(crate) fn sigma(&self) -> f64 {
        sigma(self.law, self.scale)
    }

    /// The smallest whole w with P(|noise| ≤ w) at least `coverage`, grid units.
    pub(crate) fn half_width(&self, coverage: Coverage) -> f64 {
        half_width(self.law, self.scale, coverage)
    }

    /// `sums` with fresh noise. The engine's message could quote its input: it stops here.
    pub(crate) fn add(&self, sums: &[i64]) -> Option<Vec<i64>> {
        let sums = sums.to_vec();
        match &self.engine {
            Engine::Gaussian(engine) => engine.invoke(&sums).ok(),
            Engine::Laplace(engine) => engine.invoke(&sums).ok(),
        }
    }

    /// A noise of whatever scale, claiming whatever cost: what the tests must catch.
    #[cfg(test)]
    pub(super) fn mutant(law: Law, scale: f64, rho: f64) -> Self {
        let engine = match law {
            Law::Gaussian => Engine::Gaussian(gaussian_engine(scale).unwrap()),
            Law::Laplace => Engine::Laplace(laplace_engine(scale).unwrap()),
        };
        Self { engine, law, scale, rho }
    }

    /// The law's own parameter: σ of the Gaussian, s of the Laplace.
    #[cfg(test)]
    pub(super) fn scale(&self) -> f64 {
        self.scale
    }
}

/// The first scale from `start` on at which `engine_at` costs no more than `rho_max`,
/// with the engine and its cost.
pub(super) fn widened<E>(
    start: f64,
    rho_max: f64,
    engine_at: impl Fn(f64) -> Option<(E, f64)>,
) -> Option<(f64, (E, f64))> {
    let mut scale = start;
    for _ in 0..=WIDENINGS_MAX {
        if !(scale > 0.0 && scale < SCALE_MAX) {
            return None;
        }
        let (engine, rho) = engine_at(scale)?;
        if rho <= rho_max {
            return Some((scale, (engine, rho)));
        }
        scale = scale.next_up();
    }
    None
}

fn gaussian_engine(scale: f64) -> Option<Measurement<Vector, L2Distance<f64>, ZeroConcentratedDivergence, Vec<i64>>> {
    make_gaussian(vectors(), L2Distance::<f64>::default(), scale, None).ok()
}

/// Standard deviation of `law` at `scale`, grid units.
pub(super) fn sigma(law: Law, scale: f64) -> f64 {
    match law {
        Law::Gaussian => scale,
        Law::Laplace => discrete::laplace_sigma(scale),
    }
}

/// The smallest whole w with P(|noise| ≤ w) at least `coverage`, grid units.
pub(super) fn half_width(law: Law, scale: f64, coverage: Coverage) -> f64 {
    match law {
        Law::Gaussian => discrete::half_width(scale, coverage),
        Law::Laplace => discrete::laplace_half_width(scale, coverage),
    }
}

fn laplace_engine(scale: f64) -> Option<Measurement<Vector, L1Distance<f64>, MaxDivergence, Vec<i64>>> {
    make_laplace(vectors(), L1Distance::<f64>::default(), scale, None).ok()
}

fn vectors() -> Vector {
    VectorDomain::new(AtomDomain::<i64>::new_non_nan())
}

/// `x`, if it is a number above zero.
pub(super) fn positive(x: f64) -> Option<f64> {
    (x.is_finite() && x > 0.0).then_some(x)
}

/// n as a float that is not below it.
pub(super) fn float_up(n: u128) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "rounded up where it is not exact")]
    let float = n as f64;
    if n <= 1 << 53 { float } else { float.next_up() }
}

/// √n, rounded up: the sensitivity that the map is asked about is never too small.
pub(super) fn sqrt_up(n: u128) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "rounded up below")]
    let root = (n as f64).sqrt();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a root of a u128 fits a u128")]
    let whole = root as u128;
    if root.fract() == 0.0 && whole.checked_mul(whole) == Some(n) { root } else { root.next_up().next_up() }
}
