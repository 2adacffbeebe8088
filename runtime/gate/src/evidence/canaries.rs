//! Canaries: people who do not exist, each drawn column by column from the real values
//! (measured ones between two of them) under a secret seed, planted one at a time. If the product shows one of them better than
//! it shows others drawn alike, it would show a real person as well.
//!
//! Exposure (Carlini et al. 2019, "The Secret Sharer"): log₂|R| − log₂ rank, where the rank
//! is that of the planted one among |R| drawn alike, by how near its values come to some
//! published number. Without memory ranks are uniform and the mean exposure is log₂ e.

use sluice_domain::{Digest, evidence::EvidenceRules};

use super::{
    influence::Tabulated,
    values::{Rows, Sample, Scalar, nobody},
};

/// How exposed the planted people are.
#[derive(Debug)]
pub struct Exposure {
    /// log₂|R| − log₂ rank of each.
    pub bits: Vec<f64>,
    /// |R|.
    pub among: u32,
}

impl Exposure {
    /// Their mean; 0 where nobody was planted.
    pub fn mean(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a few dozen")]
        let of = self.bits.len().max(1) as f64;
        self.bits.iter().sum::<f64>() / of
    }

    /// How many standard errors the mean lies above what chance gives. Exposure is then
    /// exponential: mean and standard deviation are both log₂ e.
    pub fn errors_above_chance(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a few dozen")]
        let root = (self.bits.len().max(1) as f64).sqrt();
        (self.mean() - std::f64::consts::LOG2_E) / (std::f64::consts::LOG2_E / root)
    }
}

/// A deterministic stream of draws under a seed: four from each digest.
pub(crate) struct Draws {
    seed: Digest,
    drawn: u64,
    now: Digest,
}

impl Draws {
    pub(crate) fn new(seed: &Digest) -> Self {
        Self { seed: *seed, drawn: 0, now: *seed }
    }

    /// A whole number below `most`; 64 bits modulo a small number.
    pub(crate) fn below(&mut self, most: usize) -> usize {
        let part = usize::try_from(self.drawn % 4).unwrap_or(0);
        if part == 0 {
            self.now = Digest::of(&[self.seed.as_bytes().as_slice(), &self.drawn.to_le_bytes()].concat());
        }
        self.drawn += 1;
        let eight = self.now.as_bytes().chunks_exact(8).nth(part).and_then(|c| c.first_chunk());
        let bits = u64::from_le_bytes(*eight.unwrap_or(&[0; 8]));
        usize::try_from(bits % most.max(1) as u64).unwrap_or(0)
    }
}

/// log₂|R| − log₂ rank of the first of `distances` among all; ties count half.
pub(crate) fn exposure(distances: &[f64]) -> Option<f64> {
    let (planted, others) = distances.split_first()?;
    let nearer = others.iter().filter(|d| *d < planted).count();
    let level = others.iter().filter(|d| *d == planted).count();
    #[expect(clippy::cast_precision_loss, reason = "a thousand or so")]
    let (rank, among) = (1.0 + nearer as f64 + level as f64 / 2.0, distances.len() as f64);
    Some(among.log2() - rank.log2())
}

/// Plants each canary by itself and ranks it.
pub(crate) fn expose(tables: &[Tabulated<'_>], sample: &Sample, seed: &Digest, rules: &EvidenceRules) -> Exposure {
    let among = rules.canary_candidates.max(2);
    let mut bits = Vec::new();
    let marginals = sample.marginals(|column| tables.iter().any(|t| t.reads(column)));
    if !marginals.is_empty() {
        let mut draws = Draws::new(seed);
        let others: Vec<Rows> = (1..among).map(|_| nobody(&marginals, |n| draws.below(n))).collect();
        let numbers = Numbers::of(tables);
        let far: Vec<Vec<f64>> = others.iter().map(|rows| numbers.distances(tables, rows, &[])).collect();
        for _ in 0..rules.canaries {
            let planted = nobody(&marginals, |n| draws.below(n));
            let now: Vec<f64> = tables.iter().flat_map(|t| t.with(&t.parts(&planted))).map(|(_, x)| x).collect();
            let own = total(&numbers.distances(tables, &planted, &now));
            let others = others.iter().zip(&far).map(|(rows, far)| {
                let near = values(tables, rows).zip(far).map(|(x, far)| distance(x, &now).min(*far));
                total(&near.collect::<Vec<_>>())
            });
            let all: Vec<f64> = std::iter::once(own).chain(others).collect();
            bits.extend(exposure(&all));
        }
    }
    Exposure { bits, among }
}

/// Every published number of a measure column, ascending.
struct Numbers(Vec<f64>);

impl Numbers {
    fn of(tables: &[Tabulated<'_>]) -> Self {
        let mut all = Vec::new();
        for table in tables {
            for cell in table.cells() {
                let sluice_domain::candidate::CellValue::Published(values) = &cell.value else { continue };
                let of_columns = values.iter().zip(&table.measures).filter(|(_, (m, _))| m.column.is_some());
                all.extend(of_columns.filter_map(|(x, _)| *x));
            }
        }
        all.sort_by(f64::total_cmp);
        Self(all)
    }

    /// How far each value of `rows` is from a published number, or one of `more`.
    fn distances(&self, tables: &[Tabulated<'_>], rows: &Rows, more: &[f64]) -> Vec<f64> {
        let near = |x: f64| {
            let at = self.0.partition_point(|n| *n < x);
            let around = self.0.get(at.saturating_sub(1)..(at + 1).min(self.0.len())).unwrap_or_default();
            distance(x, around).min(distance(x, more))
        };
        values(tables, rows).map(near).collect()
    }
}

/// The values of one synthetic person that some table reads; zero tells nobody apart.
fn values<'a>(tables: &'a [Tabulated<'_>], rows: &'a Rows) -> impl Iterator<Item = f64> + 'a {
    let read = rows.columns().enumerate().filter(|(at, _)| tables.iter().any(|t| t.reads(*at)));
    read.flat_map(|(_, values)| values.iter().flatten().filter_map(Scalar::number)).filter(|x| *x != 0.0)
}

/// The smallest distance of `x` from `numbers`, as a share of `x`; one at most.
fn distance(x: f64, numbers: &[f64]) -> f64 {
    numbers.iter().map(|n| ((n - x) / x).abs()).fold(1.0, f64::min)
}

/// The mean distance; somebody without a value is as far as can be.
#[expect(clippy::cast_precision_loss, reason = "a few columns")]
fn total(distances: &[f64]) -> f64 {
    if distances.is_empty() { 1.0 } else { distances.iter().sum::<f64>() / distances.len() as f64 }
}

#[cfg(test)]
mod tests {
    use super::exposure;

    #[test]
    fn the_nearest_of_many_is_exposed_and_one_among_equals_is_not() {
        let nearest = exposure(&[vec![0.0], vec![0.5; 1023]].concat()).unwrap();
        assert!((nearest - 10.0).abs() < 1e-9);
        let among_equals = exposure(&[0.5; 1024]).unwrap();
        assert!((among_equals - 1.0).abs() < 0.01, "{among_equals}");
        let last = exposure(&[vec![0.9], vec![0.5; 1023]].concat()).unwrap();
        assert!(last.abs() < 1e-9);
        assert_eq!(exposure(&[]), None);
    }
}
