//! G4, the primary rules as a value, and their verdict on one cell's statistics.
//!
//! Contributions are per unit, sorted by size; X is their sum, x₁ and x₂ the two
//! largest, N the units with a value. A rule that is `None` or off is not applied;
//! the product always uses [`Rules::of`], which has all of them on.

use std::collections::BTreeSet;

use sluice_domain::{
    candidate::Reason,
    contract::{Aggregate, Part, Rank},
    rulepack::Disclosure,
};
use sluice_rows::cells::{CellStats, MeasureStats, Squares};

/// How far a sum of floats may be off for rounding alone, relative to the sizes of its
/// terms: closer than this to a limit counts as exactly there, as it is in decimals.
const ROUNDING: f64 = 1e-14;

/// Whether the view holds a column of the highest level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sensitivity {
    /// No L4 column: k is `threshold_units`.
    Ordinary,
    /// An L4 column: k is `threshold_units_sensitive`.
    Sensitive,
}

/// A rule without a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// Applied.
    On,
    /// Left out, in comparisons and tests.
    Off,
}

/// The primary rules that are on.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// k: unsafe when N < k.
    pub threshold: Option<u64>,
    /// p: unsafe when (X − x₁ − x₂)/x₁ < p or x₁ = 0.
    pub p_percent: Option<f64>,
    /// Unsafe when the n largest make up this share; n is fixed by the tabulation.
    pub dominance_share: Option<f64>,
    /// Unsafe when x₁/X is above this.
    pub largest_share: Option<f64>,
    /// Unsafe when every unit has the same value.
    pub all_same: Switch,
    /// Unsafe when a cell of the declared domain is empty.
    pub zeros: Switch,
    /// Withheld when a contribution is negative, unless a threshold already does.
    pub negatives: Switch,
    /// Unsafe when a count is nearly all of its line ([`super::class`]).
    pub class: Option<Class>,
}

/// Class disclosure (G5): what a count says about everybody on its line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Class {
    /// Unsafe above this share of the line.
    pub share: f64,
    /// Unsafe when this many units of the line or fewer are elsewhere.
    pub minority_units: u64,
}

impl Rules {
    /// Every rule on, with the rule pack's numbers.
    pub fn of(pack: &Disclosure, sensitivity: Sensitivity) -> Self {
        let k = match sensitivity {
            Sensitivity::Ordinary => pack.threshold_units,
            Sensitivity::Sensitive => pack.threshold_units_sensitive,
        };
        Self {
            threshold: Some(k),
            p_percent: Some(pack.p_percent),
            dominance_share: Some(pack.dominance_share),
            largest_share: Some(pack.largest_share),
            all_same: Switch::On,
            zeros: Switch::On,
            negatives: Switch::On,
            class: Some(Class { share: pack.class_share, minority_units: pack.class_minority_units }),
        }
    }

    /// Every rule off: a start for naming the ones that are on.
    pub fn none() -> Self {
        Self {
            threshold: None,
            p_percent: None,
            dominance_share: None,
            largest_share: None,
            all_same: Switch::Off,
            zeros: Switch::Off,
            negatives: Switch::Off,
            class: None,
        }
    }

    /// Whether an empty cell is unsafe.
    pub(crate) fn judge_empty(&self) -> BTreeSet<Reason> {
        if self.zeros == Switch::On { BTreeSet::from([Reason::Zero]) } else { BTreeSet::new() }
    }

    /// The verdict on one measure of a cell that holds rows.
    pub(crate) fn judge(&self, aggregate: Aggregate, cell: &CellStats, stats: &MeasureStats) -> BTreeSet<Reason> {
        match aggregate {
            Aggregate::Quantile(quantile) => return self.judge_quantile(quantile.rank, stats),
            Aggregate::Fit => return self.below_threshold(stats.units).collect(),
            _ => {}
        }
        let parts = aggregate.parts().iter();
        let mut reasons: BTreeSet<Reason> = parts.flat_map(|part| self.judge_part(*part, cell, stats)).collect();
        // A spread of nothing gives every row's value away with the mean.
        let flat = stats.squares.is_some_and(|squares| squares.deviations == 0.0);
        if aggregate.is_spread() && self.all_same == Switch::On && flat {
            reasons.insert(Reason::AllSame);
        }
        reasons
    }

    /// The verdict on one of the sums that a measure is made of.
    pub(crate) fn judge_part(&self, part: Part, cell: &CellStats, stats: &MeasureStats) -> BTreeSet<Reason> {
        match part {
            Part::Rows | Part::Units => self.below_threshold(cell.units).collect(),
            Part::Values => self.below_threshold(stats.units).collect(),
            Part::Total => self.judge_magnitude(stats),
            Part::Squares => {
                let Squares { sum, top, top_n_sum, all_same, .. } = stats.squares.unwrap_or_default();
                let (abs_sum, any_negative) = (sum, false);
                self.judge_magnitude(&MeasureStats { sum, abs_sum, top, top_n_sum, all_same, any_negative, ..*stats })
            }
        }
    }

    /// The verdict on the quantile of units' contributions: k units to either side.
    pub(crate) fn judge_quantile(&self, rank: Rank, stats: &MeasureStats) -> BTreeSet<Reason> {
        let (before, after) = rank.sides(stats.units);
        let mut reasons = BTreeSet::new();
        if self.threshold.is_some_and(|k| before.min(after) < k) {
            reasons.insert(Reason::Threshold);
        } else if stats.any_negative && self.negatives == Switch::On {
            return BTreeSet::from([Reason::Negative]);
        }
        if self.all_same == Switch::On && stats.all_same {
            reasons.insert(Reason::AllSame);
        }
        reasons
    }

    fn below_threshold(&self, units: u64) -> impl Iterator<Item = Reason> {
        self.threshold.filter(|k| units < *k).map(|_| Reason::Threshold).into_iter()
    }

    fn judge_magnitude(&self, stats: &MeasureStats) -> BTreeSet<Reason> {
        let mut reasons: BTreeSet<Reason> = self.below_threshold(stats.units).collect();
        if stats.any_negative && self.negatives == Switch::On && reasons.is_empty() {
            // Shares of a sum with mixed signs mean nothing: a person must look.
            return BTreeSet::from([Reason::Negative]);
        }
        let (total, [first, second]) = (stats.sum, stats.top);
        let (rest, slack) = (total - first - second, ROUNDING * stats.abs_sum);
        let nothing = first == 0.0;
        if self.p_percent.is_some_and(|p| nothing || (rest - p * first) * first.signum() < -slack) {
            reasons.insert(Reason::PPercent);
        }
        if total > slack {
            if self.dominance_share.is_some_and(|share| stats.top_n_sum >= share * total - slack) {
                reasons.insert(Reason::Dominance);
            }
            if self.largest_share.is_some_and(|share| first > share * total + slack) {
                reasons.insert(Reason::LargestShare);
            }
        }
        if self.all_same == Switch::On && stats.all_same {
            reasons.insert(Reason::AllSame);
        }
        reasons
    }

    /// Whether a cell could pass of which only bounds are known: at least `units`
    /// units, a sum of `total`, no contribution above `most`. Errs on the unsafe side.
    pub(super) fn surely_safe(&self, units: u64, total: f64, most: f64) -> bool {
        let top_two = (2.0 * most).min(total);
        self.threshold.is_none_or(|k| units >= k)
            && self.p_percent.is_none_or(|p| most > 0.0 && total - 2.0 * most >= p * most)
            && self.dominance_share.is_none_or(|share| total > 0.0 && top_two / total < share)
            && self.largest_share.is_none_or(|share| total > 0.0 && most / total <= share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(values: &[f64]) -> MeasureStats {
        let mut sorted = values.to_vec();
        sorted.sort_by(|a, b| b.abs().total_cmp(&a.abs()));
        let top = [sorted.first().copied().unwrap_or(0.0), sorted.get(1).copied().unwrap_or(0.0)];
        MeasureStats {
            count: values.len() as u64,
            units: values.len() as u64,
            sum: values.iter().sum(),
            abs_sum: values.iter().map(|v| v.abs()).sum(),
            top,
            top_n_sum: top[0] + top[1],
            any_negative: values.iter().any(|v| *v < 0.0),
            all_same: values.iter().all(|v| *v == values[0]),
            squares: None,
            quantile: None,
        }
    }

    fn reasons(values: &[f64]) -> Vec<Reason> {
        let pack = sluice_domain::rulepack::RulePack::shipped().unwrap();
        let rules = Rules::of(&pack.disclosure, Sensitivity::Ordinary);
        rules.judge(Aggregate::Sum, &CellStats::default(), &stats(values)).into_iter().collect()
    }

    #[test]
    fn each_rule_fires_on_its_own_case() {
        let many = |n: usize, v: f64| vec![v; n];
        let with = |head: &[f64], tail: Vec<f64>| [head, &tail].concat();
        let varied: Vec<f64> = (1..=20).map(f64::from).collect();
        assert_eq!(reasons(&varied), []);
        assert_eq!(reasons(&varied[..9]), [Reason::Threshold]);
        assert_eq!(reasons(&many(20, 5.0)), [Reason::AllSame]);
        assert_eq!(reasons(&many(20, 0.0)), [Reason::PPercent, Reason::AllSame]);
        assert_eq!(reasons(&with(&[-3.0], varied.clone())), [Reason::Negative]);
        assert_eq!(
            reasons(&[-3.0, 4.0]),
            [Reason::Threshold, Reason::Dominance, Reason::PPercent, Reason::LargestShare]
        );
        // x₁ = x₂ = 50, nine of 1.2: (X − x₁ − x₂)/x₁ = 0.216; the two make up 0.90…
        assert_eq!(reasons(&with(&[50.0, 50.0], many(9, 1.2))), [Reason::Dominance]);
        assert_eq!(reasons(&with(&[50.0, 5.0], many(9, 4.0))), [Reason::LargestShare]);
        assert_eq!(
            reasons(&with(&[500.0, 50.0], many(9, 4.0))),
            [Reason::Dominance, Reason::PPercent, Reason::LargestShare]
        );
    }
}
