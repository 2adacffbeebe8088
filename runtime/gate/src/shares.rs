//! Ratios of two noised sums, with an interval: post-processing, which costs no
//! privacy (Dwork and Roth, The Algorithmic Foundations of DP, 2014, prop. 2.1).
//!
//! With X within ±a and Y within ±b of their true values at once (95 %), the true
//! ratio of two counts lies between (X − a)/(Y + b) and (X + a)/(Y − b): wider than
//! the delta method's, and true for small Y as well.

use sluice_domain::{candidate::CandidateMeasure, contract::TableA};

/// Where a share's two measures stand, and how far off they may be.
struct Ratio<'a> {
    name: &'a str,
    of: usize,
    per: usize,
    errors: (f64, f64),
}

/// The shares of one table.
pub(crate) struct Shares<'a>(Vec<Ratio<'a>>);

impl<'a> Shares<'a> {
    /// The shares of `table`; `errors` per measure hold for any two at once.
    pub(crate) fn new(table: &'a TableA, errors: Vec<f64>) -> Self {
        let at = |name: &str| table.measures.iter().position(|m| m.name == name);
        let ratio = |share: &'a sluice_domain::contract::Share| {
            let (of, per) = (at(&share.of)?, at(&share.per)?);
            Some(Ratio { name: &share.name, of, per, errors: (*errors.get(of)?, *errors.get(per)?) })
        };
        Self(table.shares.iter().filter_map(ratio).collect())
    }

    /// Three columns a share: the ratio, and the ends of its 95 % interval.
    pub(crate) fn headings(&self) -> impl Iterator<Item = CandidateMeasure> {
        let named = |name: String| CandidateMeasure { name, sigma: None, error_95: None, made: None };
        self.0.iter().flat_map(move |r| ["", "_low95", "_high95"].map(|end| named(format!("{}{end}", r.name))))
    }

    /// The shares of one cell's noised numbers. Nothing where the noise could have
    /// made the lower sum zero.
    pub(crate) fn of(&self, noised: &[f64]) -> Vec<Option<f64>> {
        self.0.iter().flat_map(|r| r.of(noised)).collect()
    }
}

impl Ratio<'_> {
    fn of(&self, noised: &[f64]) -> [Option<f64>; 3] {
        let (Some(x), Some(y), (a, b)) = (noised.get(self.of), noised.get(self.per), self.errors) else {
            return [None; 3];
        };
        if y - b <= 0.0 {
            return [None; 3];
        }
        let low = (x - a).max(0.0) / (y + b);
        let high = (x + a).max(0.0) / (y - b);
        [Some(x.max(0.0) / y), Some(low), Some(high)]
    }
}

#[cfg(test)]
mod tests {
    use sluice_domain::contract::Share;

    use super::Shares;
    use crate::fixtures;

    #[test]
    fn a_share_lies_in_its_interval_and_small_sums_have_none() {
        let mut table = fixtures::table(2, &[(0, 1, 1), (0, 1, 1)], 1, 0.02);
        table.shares = vec![Share { name: "s".into(), of: "m1".into(), per: "m0".into() }];
        let shares = Shares::new(&table, vec![16.0, 16.0]);
        assert_eq!(shares.headings().map(|m| m.name).collect::<Vec<_>>(), ["s", "s_low95", "s_high95"]);
        let [share, low, high] = shares.of(&[400.0, 100.0])[..] else { panic!("three columns") };
        assert_eq!(share, Some(0.25));
        assert!(low.unwrap() < 0.25 && 0.25 < high.unwrap());
        assert_eq!(low, Some(84.0 / 416.0));
        assert_eq!(shares.of(&[16.0, 3.0]), [None, None, None]);
    }
}
