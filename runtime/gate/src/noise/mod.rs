//! G8, noise: the gate's only impure part. It holds the opendp engine (discrete
//! mechanisms over integers, seeded by OpenSSL's generator) and nothing else does.
//!
//! - [`law`]: integer noise at a proven cost, discrete Gaussian and Laplace;
//! - [`Mechanism`]: the privacy claim of one route-A table as a value;
//! - [`threshold`] and [`open`]: tables whose keys nobody declared;
//! - [`median`] and [`medians`]: the exponential mechanism over block answers of route B;
//! - [`account`]: what all of it costs together, in ρ and δ, and as ε(δ).
//!
//! Every constructor computes a scale from the contract and then asks opendp's own
//! privacy map whether that scale keeps the contracted ρ. Every draw consumes the exact
//! answer, so one answer is noised once. Nothing can be seeded.
//!
//! It does not keep budgets (the ledger does) and does not choose ρ.

pub mod account;
pub mod advantage;
pub(crate) mod binomial;
pub mod discrete;
mod law;
pub mod median;
pub mod medians;
pub mod open;
mod threshold;

use std::fmt;

use sluice_domain::{Refusal, contract::TableA};

use self::discrete::Coverage;
pub(crate) use self::law::Noise;
use crate::{refusals, route_a::PreNoise};

/// The mechanism of one route-A table with declared keys.
pub struct Mechanism {
    table: TableA,
    noise: Noise,
}

/// A noised table: may be seen, because the noise is what protects.
pub struct NoisyTable {
    table: TableA,
    /// Per measure in grid units: (σ, 95 % half-width, half-width for two at once).
    errors: [f64; 3],
    /// Cell-major, then measure; grid units.
    sums: Vec<i64>,
}

impl Mechanism {
    /// The mechanism that keeps `table`'s ρ: discrete Gaussian of σ = Δ₂/√(2ρ) or
    /// discrete Laplace of s = Δ₁/√(2ρ) in grid units, as the contract says, widened by
    /// single steps until opendp's map says that the sensitivity costs no more than ρ.
    ///
    /// # Errors
    /// `gate.table` when ρ, the clamps or the scale are out of range.
    pub fn for_table(table: &TableA) -> Result<Self, Refusal> {
        let noise = match table.noise {
            law::Law::Gaussian => {
                table.sensitivity_l2_squared().filter(|d| *d > 0).and_then(|d| Noise::gaussian(d, table.rho))
            }
            law::Law::Laplace => table.sensitivity_l1().filter(|d| *d > 0).and_then(|d| Noise::laplace(d, table.rho)),
        };
        let noise = noise.ok_or_else(|| {
            refusals::bad_table(
                &table.name,
                "ρ、截断范围或由此得出的噪声尺度超出允许范围",
                "rho, the clamps, or the noise scale that follows from them is out of range",
            )
        })?;
        Ok(Self { table: table.clone(), noise })
    }

    /// Standard deviation of the noise in grid units.
    pub fn sigma(&self) -> f64 {
        self.noise.sigma()
    }

    /// Half-width of the 95 % interval in grid units.
    pub fn error_95(&self) -> f64 {
        self.noise.half_width(Coverage::One)
    }

    /// What opendp's map says the table costs, zCDP; at most the contract's ρ.
    pub fn rho(&self) -> f64 {
        self.noise.rho()
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
        let errors =
            [self.noise.sigma(), self.noise.half_width(Coverage::One), self.noise.half_width(Coverage::OneOfTwo)];
        Ok(NoisyTable { table: self.table.clone(), errors, sums })
    }

    /// Adds fresh noise to `sums`. Private to this module: everything that calls it
    /// either consumes its answer or holds the proof of a demo domain.
    fn noised(&self, sums: &[i64]) -> Result<Vec<i64>, Refusal> {
        self.noise.add(sums).ok_or_else(|| refusals::noise(&self.table.name))
    }
}

impl NoisyTable {
    /// Per cell in canonical order, per measure: the noised sum in the measure's own
    /// unit, unrounded and unclamped.
    pub fn values(&self) -> impl Iterator<Item = Vec<f64>> {
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
        let [_, _, half_width] = self.errors;
        self.table.measures.iter().map(|m| half_width / f64::from(m.grid)).collect()
    }

    /// Per measure: (σ, half-width of the 95 % interval) in the measure's own unit.
    pub(crate) fn errors(&self) -> Vec<(f64, f64)> {
        let [sigma, half_width, _] = self.errors;
        self.table.measures.iter().map(|m| (sigma / f64::from(m.grid), half_width / f64::from(m.grid))).collect()
    }
}

impl fmt::Debug for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mechanism({}, sigma {}, rho {})", self.table.name, self.sigma(), self.rho())
    }
}

impl fmt::Debug for NoisyTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NoisyTable({}, values withheld)", self.table.name)
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tradeoff;
