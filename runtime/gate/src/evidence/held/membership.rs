//! Membership inference over shadows (Carlini et al. 2022, "Membership inference attacks
//! from first principles", the offline attack): who was among the people that a model was
//! made of, told from how well the model explains them.
//!
//! Each unit has one shadow as its target. Its score is how much smaller the logarithm of
//! its loss is there than it is on average in the other shadows that it is not in. In its
//! target a unit is as likely a member as not, and it is counted once, so that the errors
//! of different units are as independent as the models allow.

use super::{mean_loss, real};
use crate::{
    held::{Example, Fitted},
    noise::binomial::clopper_pearson,
};

/// The false-positive rate that is asked for.
pub(super) const FALSE_POSITIVES: f64 = 0.001;
/// Odds that a confidence interval misses.
const MISS: f64 = 0.05;
/// A loss below this is none.
const LOSS_MIN: f64 = 1e-18;
/// Shadows without a unit that its usual loss is learnt from, at least.
const OUT_MIN: usize = 2;

/// What an attacker could tell.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Membership {
    /// Units that were members of their target.
    pub(super) members: usize,
    /// Units that were not.
    pub(super) others: usize,
    /// The false-positive rate: 0.1 %, or 1 in `others` where they are fewer than 1000.
    pub(super) false_positives: f64,
    /// The share of members that is told at it.
    pub(super) told: f64,
    /// Its 95 % limits (Clopper and Pearson 1934).
    pub(super) limits: (f64, f64),
    /// Area under the curve.
    pub(super) area: f64,
    /// Its standard error where nothing can be told.
    pub(super) area_error: f64,
    /// Points of the curve: (false positives, members told).
    pub(super) curve: Vec<(f64, f64)>,
}

/// False-positive rates at which the curve is drawn.
const RATES: [f64; 8] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2];

/// The attack on models of random halves; none where there are too few of anything.
pub(super) fn infer(examples: &[Vec<Example>], shadows: &[(&[bool], Fitted)]) -> Option<Membership> {
    let (mut members, mut others) = (Vec::new(), Vec::new());
    for (unit, rows) in examples.iter().enumerate() {
        let at = unit.checked_rem(shadows.len())?;
        let logs = shadows.iter().map(|(_, fitted)| mean_loss(fitted, rows).map(|loss| loss.max(LOSS_MIN).ln()));
        let Some(logs) = logs.collect::<Option<Vec<f64>>>() else { continue };
        let within = |shadow: usize| shadows.get(shadow).and_then(|(who, _)| who.get(unit)).copied().unwrap_or(false);
        let out: Vec<f64> =
            logs.iter().enumerate().filter(|(s, _)| *s != at && !within(*s)).map(|(_, log)| *log).collect();
        let Some(own) = logs.get(at).filter(|_| out.len() >= OUT_MIN) else { continue };
        let score = out.iter().sum::<f64>() / real(out.len()) - own;
        if within(at) { members.push(score) } else { others.push(score) }
    }
    (!members.is_empty() && !others.is_empty()).then(|| measured(members, others))
}

fn measured(mut members: Vec<f64>, mut others: Vec<f64>) -> Membership {
    members.sort_by(f64::total_cmp);
    others.sort_by(f64::total_cmp);
    let false_positives = FALSE_POSITIVES.max(1.0 / real(others.len()));
    let told = told(&members, &others, false_positives);
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let limits = clopper_pearson(count(told), count(members.len()), MISS);
    let (n, m) = (real(members.len()), real(others.len()));
    let below = |x: &f64| others.partition_point(|o| o.total_cmp(x).is_lt());
    let up_to = |x: &f64| others.partition_point(|o| o.total_cmp(x).is_le());
    let pairs: f64 = members.iter().map(|x| f64::midpoint(real(below(x)), real(up_to(x)))).sum();
    let curve = RATES.into_iter().filter(|rate| *rate >= false_positives);
    Membership {
        members: members.len(),
        others: others.len(),
        false_positives,
        told: real(told) / n,
        limits,
        area: pairs / (n * m),
        // Of the rank sum, without ties: Mann and Whitney 1947.
        area_error: ((n + m + 1.0) / (12.0 * n * m)).sqrt(),
        curve: curve.map(|rate| (rate, real(self::told(&members, &others, rate)) / n)).collect(),
    }
}

/// How many members score above all but a share `rate` of the others. Both ascend.
fn told(members: &[f64], others: &[f64], rate: f64) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count")]
    let allowed = (rate * real(others.len()) + 1e-9).floor() as usize;
    let Some(threshold) = others.iter().rev().nth(allowed) else { return members.len() };
    members.len() - members.partition_point(|x| x.total_cmp(threshold).is_le())
}

#[cfg(test)]
mod tests {
    use super::measured;

    fn to(n: u32) -> impl Iterator<Item = f64> {
        (0..n).map(f64::from)
    }

    #[test]
    fn the_rate_is_met_to_the_unit() {
        // 2000 others score 0 to 1999: two may be taken for members at 0.1 %.
        let found = measured(vec![1996.5, 1997.5, 1998.5, 5000.0], to(2000).collect());
        assert_eq!((found.told, found.false_positives), (0.75, 0.001));
        // 400 others allow one: the least rate that they can show.
        let found = measured(vec![397.5, 398.5, 5000.0, 0.5], to(400).collect());
        assert_eq!((found.told, found.false_positives), (0.5, 0.0025));
        assert!(found.limits.0 < 0.5 && found.limits.1 > 0.5);
    }

    #[test]
    fn the_area_is_a_half_for_equals_and_whole_for_the_told_apart() {
        let alike = measured(to(300).collect(), to(300).collect());
        assert!((alike.area - 0.5).abs() < 1e-9 && alike.told < 0.01, "{alike:?}");
        let apart = measured(to(300).map(|x| x + 1000.0).collect(), to(300).collect());
        assert!((apart.area - 1.0).abs() < 1e-9 && apart.told == 1.0 && apart.limits.0 > 0.98, "{apart:?}");
        let tied = measured(vec![0.0; 300], vec![0.0; 300]);
        assert!((tied.area - 0.5).abs() < 1e-9 && tied.told == 0.0);
    }
}
