//! The discrete Gaussian as a table of masses and the discrete Laplace in closed form,
//! for what is said *about* the noise: interval widths, spreads and total-variation
//! distances. It draws nothing.
//!
//! P[X = x] = e^(−x²/2σ²) / Σ e^(−y²/2σ²) over the integers (Canonne, Kamath,
//! Steinke: The Discrete Gaussian for Differential Privacy, 2020).

/// Standard deviations after which the tail (below 1e-18) is left out.
const TAIL: f64 = 9.0;

/// Above this σ the table is replaced by its continuous limit (see `half_width`).
const SIGMA_TABLE_MAX: f64 = 65_536.0;

/// Most points of a lattice distribution.
const POINTS_MAX: usize = 4_000_000;

/// Most multiplications of all convolutions together.
const WORK_MAX: usize = 400_000_000;

/// Masses of |x| = 0, 1, 2, …: one-sided, so that mass(0) + 2·Σ mass(x>0) = 1.
pub(crate) fn masses(sigma: f64) -> Vec<f64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "callers bound σ")]
    let last = (TAIL * sigma).ceil() as u64 + 1;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let weights: Vec<f64> = (0..=last).map(|x| (-(x as f64).powi(2) / (2.0 * sigma * sigma)).exp()).collect();
    let total = 2.0 * weights.iter().skip(1).rev().sum::<f64>() + 1.0;
    weights.into_iter().map(|w| w / total).collect()
}

/// How surely an interval holds its number.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Coverage {
    /// 95 %: one number.
    One,
    /// 97.5 %: two numbers at once hold with 95 % (Bonferroni).
    OneOfTwo,
}

impl Coverage {
    fn probability(self) -> f64 {
        match self {
            Self::One => 0.95,
            Self::OneOfTwo => 0.975,
        }
    }

    /// The standard normal's two-sided quantile.
    fn normal(self) -> f64 {
        match self {
            Self::One => 1.959_963_984_540_054,
            Self::OneOfTwo => 2.241_402_727_604_947,
        }
    }
}

/// The smallest whole w with P(|X| ≤ w) at least `coverage`, in grid units.
///
/// Summed from the masses up to σ = 65 536; above that the normal's quantile times σ,
/// rounded up, which differs by less than one grid unit in 100 000.
pub(crate) fn half_width(sigma: f64, coverage: Coverage) -> f64 {
    if sigma > SIGMA_TABLE_MAX {
        return (coverage.normal() * sigma).ceil();
    }
    let mut inside = 0.0;
    let mut width = 0.0;
    for (x, mass) in masses(sigma).into_iter().enumerate() {
        inside += if x == 0 { mass } else { 2.0 * mass };
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let here = x as f64;
        width = here;
        if inside >= coverage.probability() {
            break;
        }
    }
    width
}

/// Standard deviation of the discrete Laplace of scale s, P[X = x] ∝ p^|x| with
/// p = e^(−1/s): √(2p)/(1 − p) (Inusah and Kozubowski 2006).
pub(crate) fn laplace_sigma(scale: f64) -> f64 {
    (2.0 * (-1.0 / scale).exp()).sqrt() / -(-1.0 / scale).exp_m1()
}

/// [`half_width`] of the discrete Laplace: P(|X| > w) = 2p^(w+1)/(1 + p).
pub(crate) fn laplace_half_width(scale: f64, coverage: Coverage) -> f64 {
    let outside = (1.0 - coverage.probability()) * (1.0 + (-1.0 / scale).exp()) / 2.0;
    (-scale * outside.ln() - 1.0).ceil().max(0.0)
}

/// The total-variation distance between independent discrete Gaussians of scale
/// `sigma` around 0 and around `shifts` (grid units), from the masses.
///
/// The likelihood ratio of the two depends on W = Σ dᵢXᵢ alone and is monotone in
/// it, so the distance is P(−D/2 < W ≤ D/2) with D = Σ dᵢ². The law of W is found
/// by convolution on the lattice of the shifts' greatest common divisor. `None`
/// when that lattice is too large to walk.
pub(crate) fn total_variation(shifts: &[u64], sigma: f64) -> Option<f64> {
    let divisor = shifts.iter().copied().fold(0, gcd);
    if divisor == 0 {
        return Some(0.0);
    }
    if sigma > SIGMA_TABLE_MAX {
        return None;
    }
    let masses = masses(sigma);
    let mut law = vec![1.0]; // masses of W/divisor at −half..=half
    let mut work = 0usize;
    for shift in shifts.iter().filter(|d| **d > 0) {
        let stride = usize::try_from(shift / divisor).ok()?;
        work = law.len().checked_mul(masses.len())?.checked_mul(2)?.checked_add(work)?;
        let points = masses.len().checked_mul(2)?.checked_mul(stride)?.checked_add(law.len())?;
        if work > WORK_MAX || points > POINTS_MAX {
            return None;
        }
        law = convolve(&law, &masses, stride);
    }
    let squares =
        shifts.iter().try_fold(0u128, |acc, d| acc.checked_add(u128::from(*d).checked_mul(u128::from(*d))?))?;
    let (squares, divisor) = (i128::try_from(squares).ok()?, i128::from(divisor));
    let half = i128::try_from(law.len() / 2).ok()?;
    let between = law.iter().zip(-half..).filter(|(_, w)| {
        let twice = 2 * divisor * *w;
        -squares < twice && twice <= squares
    });
    Some(between.map(|(mass, _)| mass).sum::<f64>().min(1.0))
}

/// The law of V + stride·X, for V given by masses at −half..=half.
fn convolve(law: &[f64], masses: &[f64], stride: usize) -> Vec<f64> {
    let reach = (masses.len() - 1) * stride;
    let mut out = vec![0.0; law.len() + 2 * reach];
    for (x, mass) in masses.iter().enumerate() {
        let mut add = |offset: usize| {
            for (slot, v) in out.iter_mut().skip(offset).zip(law) {
                *slot += v * mass;
            }
        };
        add(reach + x * stride);
        if x > 0 {
            add(reach - x * stride);
        }
    }
    out
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::{Coverage, half_width, laplace_half_width, laplace_sigma, masses, total_variation};

    fn half_width_95(sigma: f64) -> f64 {
        half_width(sigma, Coverage::One)
    }

    #[test]
    fn masses_sum_to_one_and_have_the_right_variance() {
        for sigma in [0.3, 1.0, 7.1, 400.0] {
            let m = masses(sigma);
            let total = m[0] + 2.0 * m[1..].iter().sum::<f64>();
            assert!((total - 1.0).abs() < 1e-12);
            if sigma >= 1.0 {
                let var: f64 = 2.0 * m.iter().enumerate().map(|(x, p)| (x * x) as f64 * p).sum::<f64>();
                assert!((var / (sigma * sigma) - 1.0).abs() < 1e-6, "{sigma}: {var}");
            }
        }
    }

    #[test]
    fn the_half_width_is_the_first_that_covers_95_percent() {
        assert_eq!(half_width_95(20.0), 39.0);
        assert_eq!(half_width_95(7.0710678), 14.0);
        assert_eq!(half_width_95(0.05), 0.0);
        let (below, above) = (half_width_95(65_536.0), half_width_95(65_537.0));
        assert!(below <= above && above - below <= 4.0);
    }

    #[test]
    fn the_laplace_closed_forms_agree_with_its_masses() {
        for scale in [0.2f64, 1.0, 5.0, 400.0] {
            let p = (-1.0 / scale).exp();
            let mass = |x: i32| (1.0 - p) / (1.0 + p) * p.powi(x.abs());
            let last = (40.0 * scale) as i32 + 40;
            let variance: f64 = (-last..=last).map(|x| f64::from(x).powi(2) * mass(x)).sum();
            assert!((laplace_sigma(scale).powi(2) / variance - 1.0).abs() < 1e-9, "{scale}");
            let width = laplace_half_width(scale, Coverage::One) as i32;
            let inside = |w: i32| (-w..=w).map(mass).sum::<f64>();
            assert!(inside(width) >= 0.95 - 1e-12 && (width == 0 || inside(width - 1) < 0.95), "{scale}");
        }
    }

    #[test]
    fn total_variation_agrees_with_the_definition_in_two_dimensions() {
        let (sigma, shifts) = (2.0, [3u64, 1u64]);
        let m = masses(sigma);
        let p = |x: i64| m.get(usize::try_from(x.abs()).unwrap()).copied().unwrap_or(0.0);
        let mut distance = 0.0;
        for x in -40..=40i64 {
            for y in -40..=40i64 {
                distance += (p(x) * p(y) - p(x - 3) * p(y - 1)).max(0.0);
            }
        }
        let got = total_variation(&shifts, sigma).unwrap();
        assert!((got - distance).abs() < 1e-12, "{got} {distance}");
        assert_eq!(total_variation(&[0, 0], sigma), Some(0.0));
        assert_eq!(total_variation(&[1_000_003, 999_983], 4e6), None);
    }

    #[test]
    fn a_smaller_shift_never_tells_more() {
        for sigma in [0.4, 1.0, 5.0] {
            for b in 0..4 {
                let series: Vec<f64> = (0..6).map(|a| total_variation(&[a, b], sigma).unwrap()).collect();
                assert!(series.windows(2).all(|w| w[0] <= w[1] + 1e-12), "{series:?}");
            }
        }
    }
}
