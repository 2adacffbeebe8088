//! Post-processing that makes noised tables consistent. It reads noised numbers and
//! the contract's scales alone, so it costs no privacy (Dwork and Roth, The Algorithmic
//! Foundations of DP, 2014, proposition 2.1), and what it changed is marked as such.
//!
//! It never sees an exact number, and it hides nothing: the errors it states are those
//! of the numbers it returns.

use sluice_domain::candidate::SUB_GAUSSIAN_95;

/// Noised totals beside the noised cells that they are the sums of.
pub struct Totals<'a> {
    /// Noised cells.
    pub cells: &'a [f64],
    /// Per total: the cells it adds up, and its own noised value.
    pub totals: &'a [(Vec<usize>, f64)],
    /// Standard deviation of a cell's noise, in the cells' unit; above 0.
    pub cell_sigma: f64,
    /// Standard deviation of a total's noise; above 0.
    pub total_sigma: f64,
}

/// Numbers that add up.
pub struct Consistent {
    /// The cells; a total is the sum of its cells.
    pub cells: Vec<f64>,
    /// σ of each cell: never above what it was.
    pub cell_sigmas: Vec<f64>,
    /// σ of each total: never above what it was.
    pub total_sigmas: Vec<f64>,
}

/// Most totals: the work grows with their cube.
const TOTALS_MAX: usize = 500;

/// The nearest number that a count can be.
///
/// Truth x ≥ 0 implies |max(0, y) − x| ≤ |y − x|, for every y: the half-width of the
/// interval around y holds around max(0, y) as well. Only for measures whose range
/// starts at 0 or above.
pub fn non_negative(noised: f64) -> f64 {
    noised.max(0.0)
}

/// The 95 % half-width of a weighted sum of discrete Gaussians of standard deviation
/// `sigma`: each is sub-Gaussian with its own σ (Canonne, Kamath, Steinke 2020,
/// corollary 17), hence so is the sum, and P[|X| ≥ t] ≤ 2·e^(−t²/2σ²) is 5 % at
/// t = σ·√(2 ln 40). Valid for every weight; 1.39 times the normal's.
pub fn sub_gaussian_half_width(sigma: f64) -> f64 {
    SUB_GAUSSIAN_95 * sigma
}

/// Moves cells and totals to the nearest numbers that add up, in the least squares that
/// their variances weigh (Hay, Rastogi, Miklau and Suciu 2010): with cells y of
/// variance v, totals t of variance w and A the matrix of who adds up what,
/// x = y + v·Aᵀ·M⁻¹·(t − A·y) with M = v·A·Aᵀ + w·I. For one total over n cells that
/// is xᵢ = yᵢ + (t − Σy)·v/(nv + w).
///
/// The estimate is linear and unbiased, with variances v − v²·aᵢᵀM⁻¹aᵢ for a cell (aᵢ
/// the totals it is in) and w − w²·(M⁻¹)ⱼⱼ for a total: never above v and w.
///
/// `None` when a σ is not above 0, a total names a cell that is not there or names one
/// twice, or there are more than 500 totals.
pub fn adds_up(table: &Totals<'_>) -> Option<Consistent> {
    let (v, w) = (table.cell_sigma.powi(2), table.total_sigma.powi(2));
    let well_formed = v > 0.0 && w > 0.0 && v.is_finite() && w.is_finite() && table.totals.len() <= TOTALS_MAX;
    let mut member_of: Vec<Vec<usize>> = vec![vec![]; table.cells.len()];
    for (total, (cells, _)) in table.totals.iter().enumerate() {
        for cell in cells {
            let member = member_of.get_mut(*cell)?;
            if member.last() == Some(&total) {
                return None;
            }
            member.push(total);
        }
    }
    if !well_formed {
        return None;
    }
    let mut m = vec![vec![0.0; table.totals.len()]; table.totals.len()];
    for member in &member_of {
        for (i, j) in member.iter().flat_map(|i| member.iter().map(move |j| (*i, *j))) {
            *m.get_mut(i)?.get_mut(j)? += v;
        }
    }
    for (i, row) in m.iter_mut().enumerate() {
        *row.get_mut(i)? += w;
    }
    let inverse = inverted(m)?;
    let at = |i: usize, j: usize| inverse.get(i).and_then(|row| row.get(j)).copied().unwrap_or(0.0);
    let sum = |cells: &[usize]| cells.iter().filter_map(|c| table.cells.get(*c)).sum::<f64>();
    let gaps: Vec<f64> = table.totals.iter().map(|(cells, total)| total - sum(cells)).collect();
    let pull: Vec<f64> = inverse.iter().map(|row| row.iter().zip(&gaps).map(|(a, g)| a * g).sum()).collect();
    let pulled = |member: &[usize]| member.iter().filter_map(|t| pull.get(*t)).sum::<f64>();
    let known = |member: &[usize]| -> f64 { member.iter().flat_map(|i| member.iter().map(|j| at(*i, *j))).sum() };
    Some(Consistent {
        cells: table.cells.iter().zip(&member_of).map(|(y, member)| y + v * pulled(member)).collect(),
        cell_sigmas: member_of.iter().map(|member| (v - v * v * known(member)).max(0.0).sqrt()).collect(),
        total_sigmas: (0..inverse.len()).map(|t| (w - w * w * at(t, t)).max(0.0).sqrt()).collect(),
    })
}

/// The inverse of a symmetric positive definite matrix, by Gauss–Jordan elimination;
/// no pivoting is needed for one.
fn inverted(mut m: Vec<Vec<f64>>) -> Option<Vec<Vec<f64>>> {
    let n = m.len();
    for (i, row) in m.iter_mut().enumerate() {
        row.extend((0..n).map(|j| f64::from(u8::from(i == j))));
    }
    for pivot in 0..n {
        let mut row = m.get(pivot)?.clone();
        let scale = row.get(pivot).copied().filter(|p| *p > 0.0)?;
        row.iter_mut().for_each(|x| *x /= scale);
        for (i, other) in m.iter_mut().enumerate() {
            if i == pivot {
                other.clone_from(&row);
            } else {
                let factor = other.get(pivot).copied()?;
                other.iter_mut().zip(&row).for_each(|(x, p)| *x -= factor * p);
            }
        }
    }
    Some(m.into_iter().map(|row| row.into_iter().skip(n).collect()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn one_total_follows_the_closed_form() {
        let totals = [((0..4).collect(), 120.0)];
        let table = Totals { cells: &[10.0, 20.0, 30.0, 40.0], totals: &totals, cell_sigma: 2.0, total_sigma: 4.0 };
        let fit = adds_up(&table).unwrap();
        // (120 − 100)·4/(4·4 + 16) = 2.5 more for each.
        assert!(fit.cells.iter().zip([12.5, 22.5, 32.5, 42.5]).all(|(a, b)| near(*a, b)));
        assert!(near(fit.cell_sigmas[0].powi(2), 4.0 - 16.0 / 32.0));
        assert!(near(fit.total_sigmas[0].powi(2), 16.0 * 16.0 / 32.0));
    }

    /// Two-way margins: the normal equations hold, and no consistent table is nearer.
    #[test]
    fn margins_meet_the_least_squares_conditions() {
        let cells: Vec<f64> = (0..12).map(|i| f64::from(i * i % 7) + 0.3).collect();
        let rows = (0..3).map(|r| ((0..4).map(|c| 4 * r + c).collect::<Vec<_>>(), 20.0 + r as f64));
        let columns = (0..4).map(|c| ((0..3).map(|r| 4 * r + c).collect::<Vec<_>>(), 14.0 - c as f64));
        let totals: Vec<_> = rows.chain(columns).collect();
        let table = Totals { cells: &cells, totals: &totals, cell_sigma: 3.0, total_sigma: 5.0 };
        let fit = adds_up(&table).unwrap();
        for (i, (x, y)) in fit.cells.iter().zip(&cells).enumerate() {
            let pulls: f64 = totals
                .iter()
                .filter(|(members, _)| members.contains(&i))
                .map(|(members, total)| (total - members.iter().map(|m| fit.cells[*m]).sum::<f64>()) / 25.0)
                .sum();
            assert!(near((x - y) / 9.0, pulls), "the gradient in cell {i} is not zero");
        }
        assert!(fit.cell_sigmas.iter().all(|s| *s < 3.0) && fit.total_sigmas.iter().all(|s| *s < 5.0));
    }

    #[test]
    fn what_cannot_add_up_is_refused() {
        let table = |totals: &[(Vec<usize>, f64)], cell_sigma| {
            adds_up(&Totals { cells: &[1.0, 2.0], totals, cell_sigma, total_sigma: 1.0 }).is_some()
        };
        assert!(table(&[(vec![0, 1], 3.0)], 1.0));
        assert!(!table(&[(vec![0, 2], 3.0)], 1.0) && !table(&[(vec![0, 0], 3.0)], 1.0));
        assert!(!table(&[(vec![0, 1], 3.0)], 0.0) && !table(&[(vec![0, 1], 3.0)], f64::NAN));
    }

    /// Over many draws the stated intervals hold at least as often as they say, the
    /// stated σ is the one that is measured, and counting from zero only helps.
    #[test]
    fn stated_errors_hold_over_draws() {
        use crate::noise::Noise;
        let noise = Noise::gaussian(1, 0.02).unwrap(); // σ = 5
        let (truth, runs) = ([0.0, 3.0, 8.0, 40.0], 4_000u32);
        let totals = |total: f64| [((0..4).collect::<Vec<_>>(), total)];
        let (mut inside, mut from_zero, mut squares) = (0u32, 0u32, 0.0);
        for _ in 0..runs {
            let drawn = noise.add(&[0, 3, 8, 40, 51]).unwrap();
            let [cells @ .., total] = &drawn.iter().map(|n| *n as f64).collect::<Vec<_>>()[..] else { panic!() };
            let fit = adds_up(&Totals {
                cells,
                totals: &totals(*total),
                cell_sigma: noise.sigma(),
                total_sigma: noise.sigma(),
            });
            let fit = fit.unwrap();
            let error = fit.cells[1] - truth[1];
            inside += u32::from(error.abs() <= sub_gaussian_half_width(fit.cell_sigmas[1]));
            squares += error * error;
            from_zero += u32::from((non_negative(cells[0]) - truth[0]).abs() <= 10.0);
        }
        // σ² = 25 − 625/125 = 20; a mean of 4 000 squares is off by 2.2 % (one σ).
        assert!((squares / f64::from(runs) / 20.0 - 1.0).abs() < 0.15, "{squares}");
        // Six σ of a binomial rate of 95 % over 4 000 runs is 2.1 %.
        assert!(f64::from(inside) > 0.929 * f64::from(runs) && f64::from(from_zero) > 0.929 * f64::from(runs));
    }
}
