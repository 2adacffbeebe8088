use super::{
    discrete::masses,
    law::{Law, SCALE_MAX, sqrt_up},
    *,
};
use crate::{
    fixtures::{output, table},
    route_a::Reducer,
};

fn answer(t: &TableA, values: &[(i64, f64)]) -> PreNoise {
    let mut reducer = Reducer::new(t, 1_000_000, 4096).unwrap();
    for (key, value) in values {
        reducer.add(Some(&output(&[(*key, &vec![*value; t.measures.len()])])));
    }
    reducer.finish().unwrap()
}

#[test]
fn checked_values_of_the_specification() {
    // Gaussian σ = 20, Δ₂ = 4 → ρ = 0.02: four keys of a 0/1…2 measure.
    let t = table(8, &[(0, 2, 1)], 4, 0.02);
    let m = Mechanism::for_table(&t).unwrap();
    assert_eq!((m.sigma(), m.rho()), (20.0, 0.02));
    // Laplace s = 20, Δ₁ = 10 → ε = 0.5, which is ρ = 0.125.
    let t = TableA { noise: Law::Laplace, ..table(8, &[(0, 2, 1)], 5, 0.125_000_000_001) };
    let m = Mechanism::for_table(&t).unwrap();
    assert!((m.noise.scale() - 20.0).abs() < 1e-9 && (m.rho() - 0.125).abs() < 1e-11 && m.rho() <= t.rho);
}

#[test]
fn the_design_example_gets_its_sigma() {
    let t = table(16, &[(0, 1, 1), (0, 1, 1)], 1, 0.02);
    let m = Mechanism::for_table(&t).unwrap();
    assert!((m.sigma() - 7.071_067_8).abs() < 1e-6);
    let noisy = m.draw(answer(&t, &[])).unwrap();
    assert_eq!(noisy.errors(), vec![(m.sigma(), 14.0); 2]);
}

#[test]
fn the_map_never_exceeds_the_contract_and_sigma_is_hardly_widened() {
    for hi in [1, 2, 3, 7, 10, 999, 123_457, 1 << 40] {
        for l0 in [1, 2, 3, 5] {
            for rho in [1e-9, 0.001, 0.02, 0.05, 1.0 / 3.0, 7.7] {
                let t = table(4, &[(-1, hi, 1), (0, hi / 2 + 1, 1)], l0, rho);
                let Ok(m) = Mechanism::for_table(&t) else {
                    assert!(t.sigma().unwrap() >= SCALE_MAX, "{hi} {l0} {rho}");
                    continue;
                };
                assert!(m.rho() <= rho, "{hi} {l0} {rho}");
                assert!(m.sigma() >= t.sigma().unwrap() && m.sigma() <= t.sigma().unwrap() * (1.0 + 1e-12));
            }
        }
    }
}

#[test]
fn laplace_keeps_its_cost_as_well() {
    for hi in [1, 2, 3, 7, 999, 123_457] {
        for (l0, rho) in [(1, 1e-6), (2, 0.001), (3, 0.02), (5, 0.05), (7, 1.0 / 3.0), (1, 2.0)] {
            let t = TableA { noise: Law::Laplace, ..table(8, &[(-1, hi, 1), (0, hi / 2 + 1, 1)], l0, rho) };
            let m = Mechanism::for_table(&t).unwrap();
            let formula = f64::from(l0) * (hi + hi / 2 + 1) as f64 / (2.0 * rho).sqrt();
            assert!(m.rho() <= rho, "{hi} {l0} {rho}");
            assert!(m.noise.scale() >= formula * (1.0 - 1e-12) && m.noise.scale() <= formula * (1.0 + 1e-12));
        }
    }
}

#[test]
fn contracts_without_a_mechanism_are_refused() {
    for rho in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(Mechanism::for_table(&table(1, &[(0, 1, 1)], 1, rho)).unwrap_err().code, "gate.table");
    }
    assert_eq!(Mechanism::for_table(&table(1, &[(0, 0, 1)], 1, 0.02)).unwrap_err().code, "gate.table");
    assert_eq!(Mechanism::for_table(&table(1, &[(0, i64::MAX, 1)], 1, 1e-9)).unwrap_err().code, "gate.table");
}

#[test]
fn an_answer_of_another_shape_is_not_noised() {
    let m = Mechanism::for_table(&table(2, &[(0, 1, 1)], 1, 0.02)).unwrap();
    let other = table(3, &[(0, 1, 1)], 1, 0.02);
    assert_eq!(m.draw(answer(&other, &[])).unwrap_err().code, "gate.host-fault");
}

#[test]
fn published_numbers_are_noised_sums_over_the_grid() {
    // So much budget that σ is 778 grid units, 97 units of the measure: 10⁶ is 10 000 σ.
    let t = table(1, &[(0, 1 << 40, 8)], 1, 1e18);
    let m = Mechanism::for_table(&t).unwrap();
    assert!(m.sigma() < 800.0);
    let noisy = m.draw(answer(&t, &[(0, 1_000_000_000.125)])).unwrap();
    let value = noisy.values().next().unwrap()[0];
    assert!((value - 1e9).abs() < 1e6 && (value * 8.0).fract() == 0.0);
}

/// root² ≥ n without rounding: a double is m·2^e, so m² is compared with n·2^(−2e).
#[test]
fn the_sensitivity_is_never_rounded_down() {
    let at_least = |root: f64, n: u128| {
        let (mantissa, exponent) = (root.to_bits() & ((1 << 52) - 1) | 1 << 52, (root.to_bits() >> 52) as i32 - 1075);
        let squared = u128::from(mantissa).pow(2);
        if exponent >= 0 {
            squared >= n >> (2 * exponent).min(127)
        } else {
            squared >> (-2 * exponent).min(127) as u32 >= n
        }
    };
    for n in (1..2000u128).chain([10u128.pow(12) + 1, (1 << 60) + 3, 999_999_999_999_999_999]) {
        assert!(at_least(sqrt_up(n), n), "{n}");
        assert!(sqrt_up(n) <= (n as f64).sqrt() * (1.0 + 1e-15), "{n}");
    }
    assert_eq!(sqrt_up(16), 4.0);
    assert!(at_least(sqrt_up(2), 2) && !at_least(std::f64::consts::SQRT_2.next_down(), 2));
}

/// Drawn noise against the exact masses: Pearson's χ² over bins of 20 expected draws
/// and more. The limit is the 1 − 10⁻⁹ quantile (Wilson and Hilferty): a test with a
/// generator that cannot be seeded must hardly ever fail by chance.
#[test]
fn drawn_noise_follows_the_discrete_laws() {
    let gaussian = |scale| {
        let masses = masses(scale);
        move |x: i64| masses.get(x.unsigned_abs() as usize).copied().unwrap_or(0.0)
    };
    let laplace = |scale: f64| {
        let p = (-1.0 / scale).exp();
        move |x: i64| (1.0 - p) / (1.0 + p) * p.powi(x.abs() as i32)
    };
    for law in [Law::Gaussian, Law::Laplace] {
        let t = TableA { noise: law, ..table(20_000, &[(0, 3, 1)], 1, 0.5) }; // scale 3
        let m = Mechanism::for_table(&t).unwrap();
        let noisy = m.draw(answer(&t, &[])).unwrap();
        let draws: Vec<i64> = noisy.values().map(|v| v[0] as i64).collect();
        let against = |scale: f64| match law {
            Law::Gaussian => chi_squared(&draws, gaussian(scale)),
            Law::Laplace => chi_squared(&draws, laplace(scale)),
        };
        let scale = m.noise.scale();
        let (statistic, limit) = against(scale);
        assert!(statistic < limit, "{law:?}: χ² {statistic} is above {limit}");
        // The test can fail: the same draws do not fit a scale that is 10 % off.
        let (statistic, limit) = against(scale * 1.1);
        assert!(statistic > limit, "{law:?}: χ² {statistic} is below {limit}");
    }
}

fn chi_squared(draws: &[i64], mass: impl Fn(i64) -> f64) -> (f64, f64) {
    let n = draws.len() as f64;
    let edge = (0i64..).find(|x| mass(*x) * n < 20.0).unwrap();
    let mut bins: Vec<(f64, f64)> =
        (-edge + 1..edge).map(|x| (draws.iter().filter(|d| **d == x).count() as f64, mass(x) * n)).collect();
    let inside: f64 = bins.iter().map(|b| b.1).sum();
    bins.push((draws.iter().filter(|d| d.abs() >= edge).count() as f64, n - inside));
    let statistic = bins.iter().map(|(seen, expected)| (seen - expected).powi(2) / expected).sum();
    let freedom = (bins.len() - 1) as f64;
    let limit = freedom * (1.0 - 2.0 / (9.0 * freedom) + 6.0 * (2.0 / (9.0 * freedom)).sqrt()).powi(3);
    (statistic, limit)
}

#[test]
fn two_draws_differ_because_nothing_can_be_seeded() {
    let t = table(50, &[(0, 100, 1)], 1, 0.02);
    let m = Mechanism::for_table(&t).unwrap();
    let draw = || m.draw(answer(&t, &[])).unwrap().sums;
    assert_ne!(draw(), draw());
}
