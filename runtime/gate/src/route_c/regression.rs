//! The rules for a regression (gate.md §3): its degrees of freedom by units, the units
//! of every level, and how far one unit pulls its own fit.
//!
//! The cells that a regression gives away (the total, each level of a dimension) are
//! judged and protected as cells of tables; [`crate::clear()`] brings the two together.

use std::collections::BTreeSet;

use sluice_domain::{candidate::Reason, rulepack::Disclosure};
use sluice_rows::fit::Fit;

use super::{Rules, Switch};

/// The rules that are on. The product always uses [`RegressionRules::of`].
#[derive(Debug, Clone, PartialEq)]
pub struct RegressionRules {
    /// Unsafe when units less coefficients are fewer.
    pub degrees: Option<u64>,
    /// Unsafe when there are more coefficients per unit.
    pub parameters_share: Option<f64>,
    /// Unsafe when a level has fewer units.
    pub level_units: Option<u64>,
    /// Unsafe when a unit's leverage is above this.
    pub leverage: Option<f64>,
    /// Unsafe when the terms explain the outcome to the last digit.
    pub exact: Switch,
}

/// A share of unexplained squares below this is rounding.
const EXACT: f64 = 1e-9;

impl RegressionRules {
    /// Every rule on, with the rule pack's numbers; `rules` has the k of the view.
    pub fn of(pack: &Disclosure, rules: &Rules) -> Self {
        Self {
            degrees: Some(pack.regression_degrees),
            parameters_share: Some(pack.regression_parameters_share),
            level_units: rules.threshold,
            leverage: Some(pack.regression_leverage),
            exact: Switch::On,
        }
    }

    /// Every rule off: a start for naming the ones that are on.
    pub fn none() -> Self {
        Self { degrees: None, parameters_share: None, level_units: None, leverage: None, exact: Switch::Off }
    }

    /// The verdict on a regression with so many `parameters`.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    pub fn judge(&self, fit: &Fit, parameters: usize) -> BTreeSet<Reason> {
        let p = u64::try_from(parameters).unwrap_or(u64::MAX);
        let mut reasons = BTreeSet::new();
        let few = self.degrees.is_some_and(|least| fit.units.saturating_sub(p) < least);
        let many = self.parameters_share.is_some_and(|most| p as f64 > most * fit.units as f64);
        if few || many || fit.estimates.len() != parameters {
            reasons.insert(Reason::Degrees);
        }
        if self.level_units.is_some_and(|k| fit.units < k || fit.level_units.iter().any(|units| *units < k)) {
            reasons.insert(Reason::Threshold);
        }
        if self.leverage.is_some_and(|most| fit.leverage.is_nan() || fit.leverage > most) {
            reasons.insert(Reason::Leverage);
        }
        if self.exact == Switch::On && (fit.unexplained.is_nan() || fit.unexplained <= EXACT) {
            reasons.insert(Reason::AllSame);
        }
        reasons
    }
}

/// The published numbers of each coefficient: itself, its standard error and the number
/// of units, none where they are no numbers. Coefficients are rounded to a hundredth of
/// the power of ten in their error, the error to three digits: more says nothing about
/// the population and something about the sample.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub fn published(fit: &Fit) -> impl Iterator<Item = Vec<Option<f64>>> + '_ {
    fit.estimates.iter().map(|e| {
        let digits = 2.0 - e.std_error.log10().floor();
        let rounded = |x: f64| Some(round(x, digits)).filter(|x| x.is_finite());
        vec![rounded(e.coefficient), rounded(e.std_error), Some(fit.units as f64)]
    })
}

/// `x` to so many decimals, which may be below none.
fn round(x: f64, digits: f64) -> f64 {
    let scale = 10f64.powf(digits.abs());
    if digits >= 0.0 { (x * scale).round() / scale } else { (x / scale).round() * scale }
}

#[cfg(test)]
mod tests {
    use super::round;

    #[test]
    fn rounding_to_decimals_and_tens() {
        assert_eq!([round(1234.567, 2.0), round(1234.567, 0.0), round(1234.567, -2.0)], [1234.57, 1235.0, 1200.0]);
    }
}
