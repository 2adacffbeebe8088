//! Influence of one unit on a quantile: what it would be without somebody, and with
//! somebody else of the cell in their place.
//!
//! Whom a quantile loses matters only by which side of it they are on, so a few losses
//! stand for all; whoever comes in moves it no further than the lowest or the highest of
//! the cell would.

use std::collections::BTreeMap;

use sluice_domain::contract::Quantile;

use super::influence::change;

/// What each unit comes to in a cell, by cell and measure.
#[derive(Default)]
pub(crate) struct Ranks {
    held: BTreeMap<(usize, usize), Vec<f64>>,
}

impl Ranks {
    /// One more unit, with what it comes to.
    pub(crate) fn take(&mut self, number: (usize, usize), value: f64) {
        self.held.entry(number).or_default().push(value);
    }

    /// The quantile again, and the most that it changes by leaving one unit out and by
    /// putting another in its place, as shares.
    pub(crate) fn replay(&mut self, number: (usize, usize), quantile: Quantile) -> (Option<f64>, f64, f64) {
        let sorted = self.held.entry(number).or_default();
        sorted.sort_by(f64::total_cmp);
        let (again, len) = (quantile.of_sorted(sorted), sorted.len());
        let (mut deleted, mut replaced) = (0.0f64, 0.0f64);
        let (before, _) = quantile.rank.sides(len as u64);
        let near = usize::try_from(before).unwrap_or(len);
        let ends = sorted.first().copied().into_iter().chain(sorted.last().copied());
        let lost = [0, near.saturating_sub(1), near, near + 1, len.saturating_sub(1)];
        for lost in lost.into_iter().filter(|at| *at < len) {
            let mut rest = sorted.clone();
            rest.remove(lost);
            deleted = deleted.max(change(again, quantile.of_sorted(&rest)));
            for end in ends.clone() {
                let mut with = rest.clone();
                with.insert(with.partition_point(|x| *x < end), end);
                replaced = replaced.max(change(again, quantile.of_sorted(&with)));
            }
        }
        (again, deleted, replaced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_domain::contract::{Grid, Rank};

    #[test]
    fn a_few_losses_stand_for_all() {
        for q in [0.1, 0.25, 0.5, 0.9] {
            let quantile = Quantile { rank: Rank::of(q).unwrap(), grid: Grid::try_from(0.5).unwrap() };
            let values: Vec<f64> = (0..41).map(|i| f64::from(i * i % 97) + 3.0).collect();
            let mut ranks = Ranks::default();
            values.iter().for_each(|x| ranks.take((0, 0), *x));
            let of = |mut values: Vec<f64>| {
                values.sort_by(f64::total_cmp);
                quantile.of_sorted(&values)
            };
            let whole = of(values.clone());
            let without = |i: usize| {
                let mut rest = values.clone();
                rest.remove(i);
                rest
            };
            let deleted = (0..41).map(|i| change(whole, of(without(i)))).fold(0.0, f64::max);
            let swapped = |i: usize| (0..41).map(move |j| (i, j));
            let with = |(i, j): (usize, usize)| of([without(i), vec![values[j]]].concat());
            let replaced = (0..41).flat_map(swapped).map(|pair| change(whole, with(pair))).fold(0.0, f64::max);
            assert_eq!(ranks.replay((0, 0), quantile), (whole, deleted, replaced));
            assert!(deleted > 0.0 && replaced >= deleted);
        }
    }
}
