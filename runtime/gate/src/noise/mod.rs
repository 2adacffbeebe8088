//! G8, noise: the gate's only impure part. It holds the opendp engine (discrete
//! Gaussian over integers, seeded by OpenSSL's generator) and nothing else does.
//!
//! [`Mechanism`] is the privacy claim of one route-A table as a value: its
//! constructor computes σ from the contract and then asks opendp's own privacy map
//! whether that σ keeps the contracted ρ. [`Mechanism::draw`] consumes the exact
//! answer, so one answer is noised once. Nothing can be seeded.
//!
//! It does not account budgets (the ledger does) and does not choose ρ.

pub mod advantage;
mod binomial;
pub mod discrete;

use std::fmt;

use opendp::{
    combinators::ConcentratedMeasure,
    core::Measurement,
    domains::{AtomDomain, VectorDomain},
    measurements::make_gaussian,
    measures::ZeroConcentratedDivergence,
    metrics::L2Distance,
};
use sluice_domain::{Refusal, contract::TableA};

use self::discrete::Coverage;
use crate::{refusals, route_a::PreNoise};

type Vector = VectorDomain<AtomDomain<i64>>;
type Engine = Measurement<Vector, L2Distance<f64>, ZeroConcentratedDivergence, Vec<i64>>;

/// Beyond this σ (grid units) noise could reach the limits of `i64`.
const SIGMA_MAX: f64 = (1u64 << 54) as f64;

/// Most steps of one unit in the last place that σ is widened by.
const WIDENINGS_MAX: usize = 64;

/// The discrete Gaussian mechanism of one route-A table.
pub struct Mechanism {
    table: TableA,
    engine: Engine,
    sigma: f64,
    rho: f64,
}

/// A noised table: may be seen, because the noise is what protects.
pub struct NoisyTable {
    table: TableA,
    sigma: f64,
    /// Cell-major, then measure; grid units.
    sums: Vec<i64>,
}

impl Mechanism {
    /// The mechanism that keeps `table`'s ρ: σ = Δ₂/√(2ρ) in grid units, widened by
    /// single steps until opendp's map says that Δ₂ costs no more than ρ.
    ///
    /// # Errors
    /// `gate.table` when ρ, the clamps or σ are out of range.
    pub fn for_table(table: &TableA) -> Result<Self, Refusal> {
        let bad = || {
            refusals::bad_table(
                &table.name,
                "ρ、截断范围或由此得出的噪声尺度超出允许范围",
                "rho, the clamps, or the noise scale that follows from them is out of range",
            )
        };
        let squared = table.sensitivity_l2_squared().filter(|s| *s > 0).ok_or_else(bad)?;
        if !(table.rho.is_finite() && table.rho > 0.0) {
            return Err(bad());
        }
        let bound = sqrt_up(squared);
        let mut sigma = table.sigma().ok_or_else(bad)?;
        for _ in 0..=WIDENINGS_MAX {
            if !(sigma > 0.0 && sigma < SIGMA_MAX) {
                return Err(bad());
            }
            let engine = engine(sigma).map_err(|_| refusals::noise(&table.name))?;
            let rho = engine.map(&bound).map_err(|_| refusals::noise(&table.name))?;
            if rho <= table.rho {
                return Ok(Self { table: table.clone(), engine, sigma, rho });
            }
            sigma = sigma.next_up();
        }
        Err(refusals::noise(&table.name))
    }

    /// σ in grid units.
    pub fn sigma(&self) -> f64 {
        self.sigma
    }

    /// What opendp's map says the table costs, zCDP; at most the contract's ρ.
    pub fn rho(&self) -> f64 {
        self.rho
    }

    /// Noises the exact answer, once: the answer is used up.
    ///
    /// # Errors
    /// `gate.host-fault` when the answer has another shape or the engine fails.
    pub fn draw(&self, answer: PreNoise) -> Result<NoisyTable, Refusal> {
        if !answer.fits(&self.table) {
            return Err(refusals::noise(&self.table.name));
        }
        let sums = self.noised(answer.sums())?;
        Ok(NoisyTable { table: self.table.clone(), sigma: self.sigma, sums })
    }

    /// Adds fresh noise to `sums`. Private to this module: everything that calls it
    /// either consumes its answer or holds the proof of a demo domain.
    fn noised(&self, sums: &[i64]) -> Result<Vec<i64>, Refusal> {
        // The engine's message could quote its input; it stops here.
        self.engine.invoke(&sums.to_vec()).map_err(|_| refusals::noise(&self.table.name))
    }
}

impl NoisyTable {
    /// Per cell in canonical order, per measure: the noised sum in the measure's own
    /// unit, unrounded and unclamped.
    pub(crate) fn values(&self) -> impl Iterator<Item = Vec<f64>> {
        let measures = &self.table.measures;
        self.sums.chunks(measures.len().max(1)).map(move |cell| {
            cell.iter()
                .zip(measures)
                .map(|(sum, m)| {
                    #[expect(clippy::cast_precision_loss, reason = "above 2^53 grid units the noise is far wider")]
                    let sum = *sum as f64;
                    sum / f64::from(m.grid)
                })
                .collect()
        })
    }

    /// Per measure: half-widths that hold for any two measures of a cell at once with
    /// 95 %, in the measure's own unit.
    pub(crate) fn joint_errors(&self) -> Vec<f64> {
        let half_width = discrete::half_width(self.sigma, Coverage::OneOfTwo);
        self.table.measures.iter().map(|m| half_width / f64::from(m.grid)).collect()
    }

    /// Per measure: (σ, half-width of the 95 % interval) in the measure's own unit.
    pub(crate) fn errors(&self) -> Vec<(f64, f64)> {
        let half_width = discrete::half_width(self.sigma, Coverage::One);
        self.table.measures.iter().map(|m| (self.sigma / f64::from(m.grid), half_width / f64::from(m.grid))).collect()
    }
}

/// ε at `delta` of a total cost of `rho` zCDP, by opendp's conversion (that of
/// `make_zCDP_to_approxDP`): for people to read, never for accounting.
///
/// # Errors
/// `gate.host-fault` when the conversion fails, e.g. for a negative ρ.
pub fn epsilon_at(rho: f64, delta: f64) -> Result<f64, Refusal> {
    ZeroConcentratedDivergence::convert(rho)
        .and_then(|profile| profile.epsilon(delta))
        .map_err(|_| refusals::noise("epsilon"))
}

fn engine(sigma: f64) -> opendp::error::Fallible<Engine> {
    let domain = VectorDomain::new(AtomDomain::<i64>::new_non_nan());
    make_gaussian(domain, L2Distance::<f64>::default(), sigma, None)
}

/// √n, rounded up: the sensitivity that the map is asked about is never too small.
fn sqrt_up(n: u128) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "rounded up below")]
    let root = (n as f64).sqrt();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a root of a u128 fits a u128")]
    let whole = root as u128;
    if root.fract() == 0.0 && whole.checked_mul(whole) == Some(n) { root } else { root.next_up().next_up() }
}

impl fmt::Debug for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mechanism({}, sigma {}, rho {})", self.table.name, self.sigma, self.rho)
    }
}

impl fmt::Debug for NoisyTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NoisyTable({}, values withheld)", self.table.name)
    }
}

#[cfg(test)]
mod tests;
