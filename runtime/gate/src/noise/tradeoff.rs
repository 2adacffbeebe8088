//! Every mechanism against its own promise, by drawing.
//!
//! For neighbouring data P and Q, every ε of a grid from 0 upward and a family of
//! events E: p = P(E) ≤ e^ε·q + δ(ε), with δ(ε) = Σ max(0, P − e^ε·Q) summed from the
//! exact masses. The most telling event is {P > e^ε·Q} (Neyman and Pearson); others
//! look for what a broken mechanism would do. p and q get Clopper–Pearson limits at
//! MISS divided by the number of all tests (Bonferroni): an honest mechanism fails
//! with a chance of 10⁻⁹, and each mutant must be caught.

use std::collections::HashMap;

use super::{
    binomial::clopper_pearson,
    discrete,
    law::{Law, Noise},
    median::{self, Median},
    threshold::{Counts, Threshold},
};

/// Draws on either side: of an honest mechanism, whose bound must hold tightly.
const DRAWS: u32 = 100_000;

/// Draws on either side of a mutant, which is further off.
const MUTANT_DRAWS: u32 = 20_000;

/// Chance that an honest mechanism fails.
const MISS: f64 = 1e-9;

/// ε from 0 upward.
const GRID: [f64; 7] = [0.0, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0];

/// How often each outcome came.
type Tally<T> = HashMap<T, u32>;

/// An event: whether it holds of an outcome.
type EventOf<T> = Box<dyn Fn(&T) -> bool>;

fn tally<T: Eq + std::hash::Hash>(draws: u32, mut draw: impl FnMut() -> T) -> Tally<T> {
    let mut tally = HashMap::new();
    (0..draws).for_each(|_| *tally.entry(draw()).or_insert(0) += 1);
    tally
}

/// The worst excess of p over e^ε·q + δ(ε), after limits: above 0 is a violation.
/// `p` and `q` are exact masses of each outcome; `support` all that have any.
fn excess<T: Eq + std::hash::Hash + Clone + 'static>(
    support: &[T],
    (p, q): (impl Fn(&T) -> f64, impl Fn(&T) -> f64),
    (with, without): (&Tally<T>, &Tally<T>),
    further: &[EventOf<T>],
) -> f64 {
    let tests = (GRID.len() * (1 + further.len())) as f64;
    let hits = |tally: &Tally<T>, event: &dyn Fn(&T) -> bool| -> u32 {
        tally.iter().filter(|(outcome, _)| event(outcome)).map(|(_, n)| n).sum()
    };
    let draws = |tally: &Tally<T>| tally.values().sum::<u32>();
    let mut worst = f64::NEG_INFINITY;
    for epsilon in GRID {
        let factor = epsilon.exp();
        let delta: f64 = support.iter().map(|x| (p(x) - factor * q(x)).max(0.0)).sum();
        let likely = |x: &T| p(x) > factor * q(x);
        let all = further.iter().map(|e| e.as_ref() as &dyn Fn(&T) -> bool).chain([&likely as &dyn Fn(&T) -> bool]);
        for event in all {
            let (low, _) = clopper_pearson(hits(with, event), draws(with), MISS / tests);
            let (_, high) = clopper_pearson(hits(without, event), draws(without), MISS / tests);
            worst = worst.max(low - factor * high - delta);
        }
    }
    worst
}

/// The mass of a law at x.
fn mass(law: Law, scale: f64) -> impl Fn(i64) -> f64 {
    let gaussian = discrete::masses(scale);
    let ratio = (-1.0 / scale).exp();
    move |x| match law {
        Law::Gaussian => gaussian.get(x.unsigned_abs() as usize).copied().unwrap_or(0.0),
        Law::Laplace => (1.0 - ratio) / (1.0 + ratio) * ratio.powi(i32::try_from(x.abs()).unwrap()),
    }
}

/// Two cells; the unit adds `shift`. What the *claimed* noise promises, against what
/// `draw` does.
fn of_two_cells(draws: u32, claimed: &Noise, shift: [i64; 2], draw: impl Fn(&[i64]) -> Vec<i64>) -> f64 {
    let reach = (12.0 * claimed.sigma()) as i64 + 10;
    let mass = mass(claimed.law(), claimed.scale());
    let support: Vec<(i64, i64)> = (-reach..=reach).flat_map(|x| (-reach..=reach).map(move |y| (x, y))).collect();
    let pair = |answer: [i64; 2]| {
        let seen = draw(&answer);
        (seen[0], seen[1])
    };
    let (with, without) = (tally(draws, || pair(shift)), tally(draws, || pair([0, 0])));
    // What one draw for all cells would show: the difference of the two cells.
    let further: Vec<EventOf<(i64, i64)>> =
        (-1..=1).map(|c| Box::new(move |s: &(i64, i64)| s.0 - s.1 > c) as EventOf<(i64, i64)>).collect();
    let (p, q) = (|s: &(i64, i64)| mass(s.0 - shift[0]) * mass(s.1 - shift[1]), |s: &(i64, i64)| mass(s.0) * mass(s.1));
    excess(&support, (p, q), (&with, &without), &further)
}

fn known_keys(law: Law) {
    // L0 = 2 keys, a clamp of 1.
    let honest = match law {
        Law::Gaussian => Noise::gaussian(2, 0.5).unwrap(),
        Law::Laplace => Noise::laplace(2, 0.5).unwrap(),
    };
    let check = |draws, noise: &Noise| of_two_cells(draws, &honest, [1, 1], |sums| noise.add(sums).unwrap());
    let fair = check(DRAWS, &honest);
    assert!(fair <= 0.0, "{law:?}: {fair}");
    // Half the noise.
    let half = check(MUTANT_DRAWS, &Noise::mutant(law, honest.scale() / 2.0, honest.rho()));
    assert!(half > 0.0, "{law:?}: {half}");
    // A sensitivity that forgets L0: the noise of a unit with one key.
    let one = match law {
        Law::Gaussian => Noise::gaussian(1, 0.5).unwrap(),
        Law::Laplace => Noise::laplace(1, 0.5).unwrap(),
    };
    let forgetful = check(MUTANT_DRAWS, &one);
    assert!(forgetful > 0.0, "{law:?}: {forgetful}");
    // One draw for all cells: the same where both move, plain where one does.
    let once = of_two_cells(MUTANT_DRAWS, &honest, [1, 0], |sums| {
        let noise = honest.add(&[0]).unwrap()[0];
        sums.iter().map(|sum| sum + noise).collect()
    });
    assert!(once > 0.0, "{law:?}: {once}");
}

#[test]
fn gaussian_noise_keeps_its_trade_off() {
    known_keys(Law::Gaussian);
}

#[test]
fn laplace_noise_keeps_its_trade_off() {
    known_keys(Law::Laplace);
}

/// One key with a unit and without: `None` is a key that is not released. δ is made
/// large, so that what it allows can be seen.
fn of_one_key(draws: u32, claimed: &Threshold, counts: [Option<i64>; 2], release: impl Fn(Counts) -> Counts) -> f64 {
    let (law, scale, tau) = (claimed.law(), claimed.scale(), claimed.tau());
    let mass = mass(law, scale);
    let top = tau + 30 + (12.0 * scale) as i64;
    let above = |count: Option<i64>, y: i64| count.map_or(0.0, |c| mass(y - c));
    let of = |count: Option<i64>, seen: &Option<i64>| match seen {
        Some(y) if *y > tau => above(count, *y),
        Some(_) => 0.0,
        None => 1.0 - (tau + 1..=top).map(|y| above(count, y)).sum::<f64>(),
    };
    let draw = |count: Option<i64>| release(count.map(|c| (1, c)).into_iter().collect()).get(&1).copied();
    let support: Vec<Option<i64>> = (tau..=top).map(Some).chain([None]).collect();
    let (with, without) = (tally(draws, || draw(counts[0])), tally(draws, || draw(counts[1])));
    let further: Vec<EventOf<Option<i64>>> = vec![Box::new(Option::is_some), Box::new(Option::is_none)];
    excess(&support, (|x: &_| of(counts[0], x), |x: &_| of(counts[1], x)), (&with, &without), &further)
}

fn unknown_keys(law: Law) {
    let honest = Threshold::new(law, 1, 0.5, 0.05).unwrap();
    assert!(honest.cost().delta > 0.01, "δ is large enough to be seen");
    let fair = |counts| of_one_key(DRAWS, &honest, counts, |c| honest.release(c).unwrap());
    // A key that only this unit has, and one that comes above τ or not.
    let middle = [Some(honest.tau() + 1), Some(honest.tau())];
    for counts in [[Some(1), None], middle] {
        let excess = fair(counts);
        assert!(excess <= 0.0, "{law:?} {counts:?}: {excess}");
    }
    let absent = [Some(1), None];
    // Keeping a count equal to τ, as the engine alone would.
    let at_tau = of_one_key(MUTANT_DRAWS, &honest, absent, |c| honest.release_unfiltered(&c));
    assert!(at_tau > 0.0, "{law:?}: {at_tau}");
    // Less noise shows where the counts are near τ.
    let half = Threshold::with(law, 1, honest.scale() / 2.0, honest.tau());
    let half = of_one_key(MUTANT_DRAWS, &honest, middle, |c| half.release(c).unwrap());
    assert!(half > 0.0, "{law:?}: {half}");
}

#[test]
fn gaussian_threshold_keeps_its_trade_off() {
    unknown_keys(Law::Gaussian);
}

#[test]
fn laplace_threshold_keeps_its_trade_off() {
    unknown_keys(Law::Laplace);
}

#[test]
fn the_median_keeps_its_trade_off_and_its_distribution() {
    // 40 blocks at a large ρ, so that the choice is not almost uniform.
    let honest = Median::new("t", (0, 4), 40, 2.0).unwrap();
    let scale = median::tests::scale(&honest);
    let with: Vec<i64> = (0..40).map(|i| if i < 20 { 1 } else { 3 }).collect();
    let without: Vec<i64> = (0..40).map(|i| if i < 21 { 1 } else { 3 }).collect();
    let (p, q) = (median::tests::masses(&honest, &with, scale), median::tests::masses(&honest, &without, scale));
    let check = |draws, drawn: &Median| {
        let draw = |answers: &Vec<i64>| usize::try_from(drawn.draw(answers.clone()).unwrap()).unwrap();
        let (with, without) = (tally(draws, || draw(&with)), tally(draws, || draw(&without)));
        let excess = excess(&[0, 1, 2, 3, 4], (|x: &usize| p[*x], |x: &usize| q[*x]), (&with, &without), &[]);
        let expected = |x: usize| q[x] * f64::from(draws);
        let seen = |x: &usize| f64::from(without.get(x).copied().unwrap_or(0));
        let statistic: f64 = (0..5).map(|x| (seen(&x) - expected(x)).powi(2) / expected(x)).sum();
        (excess, statistic)
    };
    // χ² with 4 degrees of freedom is above 51 once in 2·10⁹.
    let (fair, statistic) = check(DRAWS, &honest);
    assert!(fair <= 0.0 && statistic < 51.0, "{fair} {statistic}");
    let (half, statistic) = check(MUTANT_DRAWS, &median::tests::mutant(&honest, scale / 2.0));
    assert!(half > 0.0 && statistic > 51.0, "{half} {statistic}");
}
