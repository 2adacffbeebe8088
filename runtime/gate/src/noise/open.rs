//! The mechanism of a table whose keys nobody declared, in two steps.
//!
//! 1. Units per key through the threshold: a set of keys, at ρ₁ and δ.
//! 2. For those keys the sums, with the noise of a table whose keys are declared, at ρ₂.
//!
//! Step 2 takes the released keys as given, and for any fixed keys it is ρ₂-zCDP with
//! Δ₂² = L0·Σ M² (Δ₁ = L0·Σ M); adaptive composition gives (ρ₁ + ρ₂, δ). Without
//! measures step 1 has all of ρ.

use std::fmt;

use sluice_domain::{
    Refusal,
    catalogue::Key,
    contract::{MeasureA, OpenTable},
};

use super::{
    account::Cost,
    discrete::Coverage,
    law::{Law, Noise},
    threshold::{Counts, Threshold},
};
use crate::{refusals, route_a::open::PreNoise};

/// The mechanism of one open table.
pub struct OpenMechanism {
    table: OpenTable,
    threshold: Threshold,
    sums: Option<Noise>,
}

/// A noised open table: the keys that were released, in canonical order.
pub struct OpenNoisy {
    rows: Vec<OpenRow>,
    errors: Vec<(f64, f64)>,
}

/// One released key.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenRow {
    /// The key, as the guest put it.
    pub key: Key,
    /// Noised: units of the key, then the measures in their own units.
    pub values: Vec<f64>,
}

impl OpenMechanism {
    /// The mechanism that keeps `table`'s ρ and δ by opendp's own maps.
    ///
    /// # Errors
    /// `gate.table` when ρ, δ, the clamps or a scale are out of range.
    pub fn for_table(table: &OpenTable) -> Result<Self, Refusal> {
        Self::build(table).ok_or_else(|| {
            refusals::bad_table(
                &table.name,
                "ρ、δ、截断范围或由此得出的噪声尺度超出允许范围",
                "rho, delta, the clamps, or the noise scale that follows from them is out of range",
            )
        })
    }

    fn build(table: &OpenTable) -> Option<Self> {
        let rho = if table.measures.is_empty() { table.rho } else { table.rho / 2.0 };
        let threshold = Threshold::new(table.law, table.keys_per_unit, rho, table.delta)?;
        let sums = if table.measures.is_empty() { None } else { Some(sums_noise(table, rho)?) };
        Some(Self { table: table.clone(), threshold, sums })
    }

    /// A key is released when its noised number of units is above this.
    pub fn tau(&self) -> i64 {
        self.threshold.tau()
    }

    /// What opendp's maps say it costs; at most the contract's ρ and δ.
    pub fn cost(&self) -> Cost {
        let sums = self.sums.as_ref().map_or(Cost::ZERO, |noise| Cost::concentrated(noise.rho()));
        self.threshold.cost().and(sums)
    }

    /// Noises the exact answer, once: the answer is used up.
    ///
    /// # Errors
    /// `gate.host-fault` when the answer is another table's or the engine fails.
    pub fn draw(&self, answer: PreNoise) -> Result<OpenNoisy, Refusal> {
        let fault = || refusals::noise(&self.table.name);
        if !answer.fits(&self.table) {
            return Err(fault());
        }
        let totals: Vec<_> = answer.into_totals().into_iter().collect();
        let counts: Counts = (0u64..).zip(&totals).map(|(i, (_, total))| (i, total.units)).collect();
        let released = self.threshold.release(counts).ok_or_else(fault)?;
        // Numbers were given in canonical order of the keys: so the rows are sorted.
        let kept = || (0u64..).zip(&totals).filter_map(|(i, (key, total))| Some((key, *released.get(&i)?, total)));
        let exact = kept().flat_map(|(.., total)| total.sums.iter().map(|sum| i64::try_from(*sum)));
        let exact = exact.collect::<Result<Vec<i64>, _>>().map_err(|_| fault())?;
        let noised = self.sums.as_ref().map_or(Some(Vec::new()), |noise| noise.add(&exact)).ok_or_else(fault)?;
        let mut noised = noised.into_iter();
        let rows = kept()
            .map(|(key, units, _)| {
                let sums = self.table.measures.iter().zip(noised.by_ref());
                let values = std::iter::once(float(units)).chain(sums.map(|(m, sum)| float(sum) / f64::from(m.grid)));
                OpenRow { key: key.clone(), values: values.collect() }
            })
            .collect();
        Ok(OpenNoisy { rows, errors: self.errors() })
    }

    /// Per column: (σ, half-width of the 95 % interval) in its own unit.
    fn errors(&self) -> Vec<(f64, f64)> {
        let units = (self.threshold.sigma(), self.threshold.half_width(Coverage::One));
        let sums = self.sums.iter().flat_map(|noise| {
            let (sigma, width) = (noise.sigma(), noise.half_width(Coverage::One));
            self.table.measures.iter().map(move |m| (sigma / f64::from(m.grid), width / f64::from(m.grid)))
        });
        std::iter::once(units).chain(sums).collect()
    }
}

impl OpenNoisy {
    /// The released keys, in canonical order.
    pub fn rows(&self) -> &[OpenRow] {
        &self.rows
    }

    /// Per column, units first: (σ, half-width of the 95 % interval). The number of
    /// units of a *released* key came out above τ, so it leans upwards: an interval
    /// for it holds with 95 % before the release is known, not given it.
    pub fn errors(&self) -> &[(f64, f64)] {
        &self.errors
    }
}

/// The noise of the sums: every released key is like a declared one.
fn sums_noise(table: &OpenTable, rho: f64) -> Option<Noise> {
    let keys = u128::from(table.keys_per_unit);
    let bound = |m: &MeasureA| u128::from(m.lo.unsigned_abs().max(m.hi.unsigned_abs()));
    let total = |of: fn(u128) -> Option<u128>| {
        let sum = table.measures.iter().try_fold(0u128, |acc, m| acc.checked_add(of(bound(m))?))?;
        sum.checked_mul(keys).filter(|d| *d > 0)
    };
    match table.law {
        Law::Gaussian => Noise::gaussian(total(|m| m.checked_mul(m))?, rho),
        Law::Laplace => Noise::laplace(total(Some)?, rho),
    }
}

#[expect(clippy::cast_precision_loss, reason = "above 2^53 grid units the noise is far wider")]
fn float(n: i64) -> f64 {
    n as f64
}

impl fmt::Debug for OpenMechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenMechanism({}, tau {})", self.table.name, self.tau())
    }
}

impl fmt::Debug for OpenNoisy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenNoisy(values withheld)")
    }
}

#[cfg(test)]
mod tests {
    use sluice_domain::contract::KeyKind;

    use super::*;
    use crate::{
        fixtures::output,
        route_a::open::{Reducer, tests::open_table},
    };

    #[test]
    fn keys_of_many_are_released_with_their_sums_and_keys_of_few_are_not() {
        for law in [Law::Gaussian, Law::Laplace] {
            let table = OpenTable { law, ..open_table(KeyKind::Int, 1, 2) };
            let mechanism = OpenMechanism::for_table(&table).unwrap();
            assert!(mechanism.cost().rho <= table.rho && mechanism.cost().delta <= table.delta);
            let mut reducer = Reducer::new(&table, 5_000, 8).unwrap();
            for unit in 0..5_000 {
                reducer.add(Some(&output(&[(-1, &[10.0]), (unit, &[10.0])])));
            }
            let noisy = mechanism.draw(reducer.finish().unwrap()).unwrap();
            let [row] = noisy.rows() else { panic!("{law:?}: only the shared key, P = 1 − 5000·δ/L0: {noisy:?}") };
            let [(s0, _), (s1, _)] = noisy.errors() else { panic!() };
            assert_eq!(row.key, Key::Int(-1));
            assert!((row.values[0] - 5_000.0).abs() < 30.0 * s0 && (row.values[1] - 50_000.0).abs() < 30.0 * s1);
        }
    }

    #[test]
    fn another_tables_answer_is_not_noised() {
        let mechanism = OpenMechanism::for_table(&open_table(KeyKind::Int, 1, 1)).unwrap();
        let mut other = open_table(KeyKind::Int, 1, 1);
        other.name = "other".into();
        let answer = Reducer::new(&other, 1, 8).unwrap().finish().unwrap();
        assert_eq!(mechanism.draw(answer).unwrap_err().code, "gate.host-fault");
        assert!(OpenMechanism::for_table(&OpenTable { delta: 0.0, ..other }).is_err());
    }
}
