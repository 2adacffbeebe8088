//! The private median of block answers: the exponential mechanism over the grid
//! points of a declared range (McSherry and Talwar 2007; Smith 2011).
//!
//! A candidate c among l answers has the score u(c) = max(0, 2·#(x < c) − l,
//! 2·#(x > c) − l): zero at a median and only there. One unit changes one block, so
//! every score moves by at most 2. opendp's `make_private_quantile` scores by
//! |#(x < c) − #(x > c)| instead, which prefers points *beside* a median that many
//! blocks share; its engine for the choice (`make_noisy_max`) is the one used here.
//!
//! **Refusal rule.** l ≥ (8/ε)(ln|C| + ln 1/β), β = 5 %. A candidate is drawn with
//! weight e^(−u/S), S = 4/ε, so P[u ≥ t] ≤ |C|·e^(−t/S) (McSherry and Talwar, theorem
//! 6), which is β at t = S(ln|C| + ln 1/β) ≤ l/2. Then at most three quarters of the
//! blocks lie on either side: with 95 % the median lies between the quartiles of the
//! block answers. Fewer blocks promise nothing, and the contract is refused.

use opendp::{
    core::Measurement,
    domains::{AtomDomain, VectorDomain},
    measurements::make_noisy_max,
    measures::ZeroConcentratedDivergence,
    metrics::LInfDistance,
};
use sluice_domain::Refusal;

use super::law::{positive, widened};
use crate::refusals;

type Engine = Measurement<VectorDomain<AtomDomain<i64>>, LInfDistance<i64>, ZeroConcentratedDivergence, usize>;

/// Most candidates: grid points of the range.
const CANDIDATES_MAX: usize = 1 << 16;

/// β: how often the median may lie outside the quartiles.
const MISS: f64 = 0.05;

/// By how much one block moves a score.
const SENSITIVITY: i64 = 2;

/// The private median over one measure's grid.
pub struct Median {
    name: String,
    engine: Engine,
    lo: i64,
    hi: i64,
    blocks: u32,
    scale: f64,
    rho: f64,
}

impl Median {
    /// The mechanism for `blocks` answers in lo..=hi (grid units) at `rho` zCDP, for
    /// the table `name`: ε = √(8ρ).
    ///
    /// # Errors
    /// `gate.table` when a number is out of range; `gate.blocks` when there are too
    /// few blocks for the candidates.
    pub fn new(name: &str, (lo, hi): (i64, i64), blocks: u32, rho: f64) -> Result<Self, Refusal> {
        let bad = || {
            refusals::bad_table(
                name,
                "中位数的取值范围为空、网格点过多，或 ρ 超出允许范围",
                "the median's range is empty, has too many grid points, or rho is out of range",
            )
        };
        let candidates = hi
            .checked_sub(lo)
            .and_then(|width| usize::try_from(width).ok()?.checked_add(1))
            .filter(|n| *n <= CANDIDATES_MAX)
            .ok_or_else(bad)?;
        let epsilon = (8.0 * positive(rho).ok_or_else(bad)?).sqrt();
        let needed = blocks_needed(candidates, epsilon);
        if f64::from(blocks) < needed {
            return Err(refusals::too_few_blocks(name, needed));
        }
        let (scale, (engine, rho)) = widened(4.0 / epsilon, rho, |scale| {
            let engine = engine(candidates, scale)?;
            let rho = engine.map(&SENSITIVITY).ok()?;
            Some((engine, rho))
        })
        .ok_or_else(bad)?;
        Ok(Self { name: name.into(), engine, lo, hi, blocks, scale, rho })
    }

    /// What opendp's map says it costs, zCDP; at most the contract's ρ.
    pub fn rho(&self) -> f64 {
        self.rho
    }

    /// How far off the rank may be: with 95 %, no more than half the blocks and this
    /// many lie on either side of the published value.
    pub fn rank_error_95(&self) -> f64 {
        self.scale * (ln(self.candidates()) - MISS.ln()) / 2.0
    }

    /// The private median; uses the answers (grid units, one a block) up.
    ///
    /// # Errors
    /// `gate.host-fault` when there is not one answer a block, or the engine fails.
    pub fn draw(&self, answers: Vec<i64>) -> Result<i64, Refusal> {
        let fault = || refusals::noise(&self.name);
        if u32::try_from(answers.len()) != Ok(self.blocks) {
            return Err(fault());
        }
        let chosen = self.engine.invoke(&self.scores(answers)).map_err(|_| fault())?;
        i64::try_from(chosen).ok().and_then(|i| self.lo.checked_add(i)).filter(|c| *c <= self.hi).ok_or_else(fault)
    }

    fn candidates(&self) -> usize {
        usize::try_from(self.hi.abs_diff(self.lo)).unwrap_or(usize::MAX).saturating_add(1)
    }

    /// u of every candidate; answers outside the range count as its nearest end.
    fn scores(&self, mut answers: Vec<i64>) -> Vec<i64> {
        answers.iter_mut().for_each(|x| *x = (*x).clamp(self.lo, self.hi));
        answers.sort_unstable();
        let blocks = i64::from(self.blocks);
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        (self.lo..=self.hi)
            .map(|c| {
                let below = count(answers.partition_point(|x| *x < c));
                let above = blocks - count(answers.partition_point(|x| *x <= c));
                (2 * below.max(above) - blocks).max(0)
            })
            .collect()
    }
}

/// (8/ε)(ln|C| + ln 1/β): the fewest blocks that a median is computed from.
fn blocks_needed(candidates: usize, epsilon: f64) -> f64 {
    (8.0 / epsilon * (ln(candidates) - MISS.ln())).ceil()
}

fn ln(n: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "at most 2^16")]
    let n = n as f64;
    n.ln()
}

fn engine(candidates: usize, scale: f64) -> Option<Engine> {
    let domain = VectorDomain::new(AtomDomain::<i64>::new_non_nan()).with_size(candidates);
    // The lowest score is the best one.
    make_noisy_max(domain, LInfDistance::default(), ZeroConcentratedDivergence, scale, true).ok()
}

impl std::fmt::Debug for Median {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Median({}, {} blocks, rho {})", self.name, self.blocks, self.rho)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use opendp::{measurements::make_private_quantile, measures::MaxDivergence, metrics::SymmetricDistance};

    use super::*;

    /// The law of the mechanism: e^(−u/S), normalised.
    pub(in super::super) fn masses(median: &Median, answers: &[i64], scale: f64) -> Vec<f64> {
        let weights: Vec<f64> =
            median.scores(answers.to_vec()).into_iter().map(|u| (-(u as f64) / scale).exp()).collect();
        let total: f64 = weights.iter().sum();
        weights.into_iter().map(|w| w / total).collect()
    }

    pub(in super::super) fn scale(median: &Median) -> f64 {
        median.scale
    }

    /// The same with another scale: too little noise for its claim.
    pub(in super::super) fn mutant(median: &Median, scale: f64) -> Median {
        let engine = engine(median.candidates(), scale).unwrap();
        Median { name: "mutant".into(), engine, scale, ..*median }
    }

    #[test]
    fn checked_value_of_the_specification() {
        // opendp's own quantile at s = 2 → ε = 1, for a known number of answers.
        let domain = VectorDomain::new(AtomDomain::<i64>::new_non_nan()).with_size(400);
        let theirs =
            make_private_quantile(domain, SymmetricDistance, MaxDivergence, (0..9).collect(), 0.5, 2.0).unwrap();
        assert_eq!(theirs.map(&2).unwrap(), 1.0);
        // Ours at the same ε: S = 4/ε on scores twice as large, ρ = ε²/8.
        let ours = Median::new("t", (0, 8), 400, 0.125).unwrap();
        assert_eq!((ours.scale, ours.rho), (4.0, 0.125));
    }

    #[test]
    fn too_few_blocks_are_refused_at_the_bound() {
        let needed = blocks_needed(101, (8.0f64 * 0.02).sqrt());
        assert_eq!(needed, (20.0 * (101f64.ln() + 20f64.ln())).ceil());
        let at = |blocks: f64| Median::new("t", (0, 100), blocks as u32, 0.02);
        assert_eq!(at(needed - 1.0).unwrap_err().code, "gate.blocks");
        let median = at(needed).unwrap();
        // The rule is what keeps the rank error within a quarter of the blocks.
        assert!(median.rank_error_95() <= needed / 4.0 && median.rank_error_95() > needed / 4.0 - 1.0);
        for bad in [
            Median::new("t", (1, 0), 400, 0.02),
            Median::new("t", (0, 1 << 20), 400, 0.02),
            Median::new("t", (0, 9), 400, 0.0),
        ] {
            assert_eq!(bad.unwrap_err().code, "gate.table");
        }
    }

    #[test]
    fn one_block_moves_no_score_by_more_than_the_sensitivity() {
        let median = Median::new("t", (0, 20), 400, 0.05).unwrap();
        let mut seed = 1u64;
        let mut next = |n: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % n
        };
        for _ in 0..200 {
            let answers: Vec<i64> = (0..400).map(|_| next(25) as i64 - 2).collect();
            let mut other = answers.clone();
            other[next(400) as usize] = next(25) as i64 - 2;
            let pairs = median.scores(answers).into_iter().zip(median.scores(other));
            assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() <= SENSITIVITY));
        }
    }

    #[test]
    fn a_value_that_most_blocks_share_is_the_median() {
        let median = Median::new("t", (0, 1000), 1000, 0.05).unwrap();
        let answers: Vec<i64> = (0..1000).map(|i| if i < 600 { 0 } else { 1000 }).collect();
        let scores = median.scores(answers.clone());
        assert!(scores[0] == 0 && scores[1..1000].iter().all(|u| *u == 200));
        assert_eq!(median.draw(answers).unwrap(), 0, "weight e^-(200·ε/4) each: 1e-11 in all");
        assert_eq!(median.draw(vec![0; 999]).unwrap_err().code, "gate.host-fault");
    }
}
