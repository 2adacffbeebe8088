//! What route C computes in a cell, and which sums over cells each of these gives away.
//!
//! The computation itself is the view's, the rules are the gate's.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Aggregates that route C knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aggregate {
    /// `count(*)`: rows.
    Rows,
    /// `count(DISTINCT unit)`: privacy units.
    Units,
    /// `count(column)`: rows with a value.
    Count,
    /// `sum(column)`.
    Sum,
    /// `avg(column)`: over rows with a value.
    Mean,
    /// `var_samp(column)`: over rows with a value, divided by their number less one.
    VarSamp,
    /// `var_pop(column)`: divided by their number.
    VarPop,
    /// `stddev(column)`: the root of `var_samp`.
    StddevSamp,
    /// `stddev_pop(column)`: the root of `var_pop`.
    StddevPop,
    /// `median(column)`, `quantile(column, q)`: over what the column comes to for each
    /// privacy unit in the cell, so that a unit with many rows has one place.
    Quantile(Quantile),
    /// What a regression reads of a column: no number of its own. No SQL asks for it.
    Fit,
}

/// Which quantile, and how it is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quantile {
    /// q.
    pub rank: Rank,
    /// The published value is a multiple of this.
    pub grid: Grid,
}

/// q of a quantile in ten-thousandths, above 0 and below 1: the ends would be one
/// person's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u16")]
pub struct Rank(u16);

/// The step to which a column's quantiles are rounded: finite and above zero.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64")]
pub struct Grid(f64);

/// What adds up over disjoint cells. Publishing an aggregate counts as publishing its
/// parts, for whoever has the others can work them out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Number of rows.
    Rows,
    /// Number of privacy units.
    Units,
    /// Number of rows with a value.
    Values,
    /// Sum of the values.
    Total,
    /// Sum of their squares.
    Squares,
}

impl Aggregate {
    /// The sums that it is made of; none for a quantile or a regression.
    pub fn parts(self) -> &'static [Part] {
        match self {
            Self::Rows => &[Part::Rows],
            Self::Units => &[Part::Units],
            Self::Count => &[Part::Values],
            // Whoever knows a mean is taken to know the count under it.
            Self::Sum | Self::Mean => &[Part::Total],
            Self::VarSamp | Self::VarPop | Self::StddevSamp | Self::StddevPop => {
                &[Part::Values, Part::Total, Part::Squares]
            }
            Self::Quantile(_) | Self::Fit => &[],
        }
    }

    /// Whether it is a count or a sum: numbers that may be rounded and stay useful.
    pub fn adds_up(self) -> bool {
        matches!(self, Self::Rows | Self::Units | Self::Count | Self::Sum)
    }

    /// Whether it is nothing that adds up, so that nothing can be subtracted from it
    /// and any change by a few units may show.
    pub fn is_curved(self) -> bool {
        matches!(self, Self::Quantile(_) | Self::Fit)
    }

    /// Whether it is a variance or a root of one.
    pub fn is_spread(self) -> bool {
        self.parts().contains(&Part::Squares)
    }
}

impl Part {
    /// Whether it is a number of something: it has no magnitude rules.
    pub fn is_count(self) -> bool {
        matches!(self, Self::Rows | Self::Units | Self::Values)
    }
}

impl Rank {
    /// Of one whole.
    const WHOLE: u16 = 10_000;
    /// The median's.
    pub const HALF: Self = Self(Self::WHOLE / 2);

    /// `q`; `None` unless it is above 0, below 1 and a whole number of ten-thousandths.
    pub fn of(q: f64) -> Option<Self> {
        let parts = (q * f64::from(Self::WHOLE)).round();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and below 10 000")]
        let rank = (parts >= 1.0 && parts < f64::from(Self::WHOLE)).then_some(Self(parts as u16));
        rank.filter(|rank| (rank.share() - q).abs() < 1e-9)
    }

    /// q as a share.
    pub fn share(self) -> f64 {
        f64::from(self.0) / f64::from(Self::WHOLE)
    }

    /// Of `units` sorted values, how many lie before the quantile and how many after it,
    /// it itself left out where it is one of them.
    pub fn sides(self, units: u64) -> (u64, u64) {
        let (whole, q) = (u128::from(Self::WHOLE), u128::from(self.0));
        let before = u128::from(units) * q / whole;
        let after = u128::from(units) * (whole - q) / whole;
        (u64::try_from(before).unwrap_or(u64::MAX), u64::try_from(after).unwrap_or(u64::MAX))
    }

    /// Fewest values of which at least `k` lie to either side ([`Self::sides`]).
    pub fn units_needed(self, k: u64) -> u64 {
        let (whole, q) = (u128::from(Self::WHOLE), u128::from(self.0));
        let needed = (u128::from(k) * whole).div_ceil(q.min(whole - q));
        u64::try_from(needed).unwrap_or(u64::MAX)
    }
}

impl Grid {
    /// The multiple of the grid that is nearest to `x`.
    pub fn round(self, x: f64) -> f64 {
        (x / self.0).round() * self.0
    }
}

impl Quantile {
    /// The quantile of `sorted` values (ascending), rounded: the average of the two in
    /// the middle where q falls between two (Hyndman and Fan 1996, definition 2), which
    /// for q = ½ is SQL's median. `None` without values.
    pub fn of_sorted(self, sorted: &[f64]) -> Option<f64> {
        let (before, after) = self.rank.sides(u64::try_from(sorted.len()).ok()?);
        let low = sorted.get(usize::try_from(before).ok()?.min(sorted.len().checked_sub(1)?))?;
        let low = if before + after == sorted.len() as u64 && before > 0 {
            let below = sorted.get(usize::try_from(before - 1).ok()?)?;
            f64::midpoint(*below, *low)
        } else {
            *low
        };
        Some(self.grid.round(low))
    }
}

impl TryFrom<u16> for Rank {
    type Error = &'static str;

    fn try_from(parts: u16) -> Result<Self, Self::Error> {
        (1..Self::WHOLE).contains(&parts).then_some(Self(parts)).ok_or("a rank lies between 0 and 1")
    }
}

impl TryFrom<f64> for Grid {
    type Error = &'static str;

    fn try_from(step: f64) -> Result<Self, Self::Error> {
        (step.is_finite() && step > 0.0).then_some(Self(step)).ok_or("a grid is a number above zero")
    }
}

// Never NaN, so equality is one.
impl Eq for Grid {}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::{Grid, Quantile, Rank};

    fn quantile(q: f64, grid: f64, values: &[f64]) -> Option<f64> {
        Quantile { rank: Rank::of(q).unwrap(), grid: Grid::try_from(grid).unwrap() }.of_sorted(values)
    }

    #[test]
    fn quantiles_by_hand() {
        let ten: Vec<f64> = (1..=10).map(f64::from).collect();
        assert_eq!(quantile(0.5, 0.5, &ten), Some(5.5));
        assert_eq!(quantile(0.5, 1.0, &ten[..9]), Some(5.0));
        assert_eq!(quantile(0.25, 1.0, &ten), Some(3.0));
        assert_eq!(quantile(0.2, 0.5, &ten), Some(2.5));
        assert_eq!(quantile(0.9999, 1.0, &ten), Some(10.0));
        assert_eq!(quantile(0.0001, 1.0, &ten), Some(1.0));
        assert_eq!(quantile(0.5, 5.0, &[12.6]), Some(15.0));
        assert_eq!(quantile(0.5, 5.0, &[]), None);
    }

    #[test]
    fn a_rank_is_never_an_end() {
        for q in [0.0, 1.0, -0.5, 1.5, 0.000_01, 0.333_33, f64::NAN, f64::INFINITY] {
            assert_eq!(Rank::of(q), None, "{q}");
        }
        assert_eq!(Rank::of(0.1).unwrap().sides(100), (10, 90));
        assert_eq!(Rank::HALF.sides(19), (9, 9));
    }

    #[test]
    fn one_unit_less_than_needed_is_too_few() {
        assert_eq!(Rank::HALF.units_needed(10), 20);
        assert_eq!(Rank::of(0.05).unwrap().units_needed(10), 200);
        for q in [0.0001, 0.05, 0.25, 0.3333, 0.5, 0.9, 0.9999] {
            let rank = Rank::of(q).unwrap();
            let enough = |units: u64| {
                let (before, after) = rank.sides(units);
                before.min(after) >= 10
            };
            let needed = rank.units_needed(10);
            assert!(enough(needed) && !enough(needed - 1), "{q}");
        }
    }
}
