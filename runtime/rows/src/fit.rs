//! Ordinary least squares over rows that come sorted by unit, in two passes: cross
//! products, then residuals and leverage by unit. Nothing of the rows is kept.
//!
//! Numbers are shifted to their first row's values and the normal equations are scaled
//! to a unit diagonal before they are solved, so that a year beside a share does no harm.

use std::fmt;

use nalgebra::{DMatrix, DVector};

use crate::refit::Solved;

/// A pivot of the scaled equations below this: one term follows from the others.
const PIVOT_MIN: f64 = 1e-10;

/// What a regression came to: inside the domain only.
pub struct Fit {
    /// Rows with every value.
    pub rows: u64,
    /// Distinct units with such a row.
    pub units: u64,
    /// Distinct units with such a row, of every level of every dimension.
    pub level_units: Vec<u64>,
    /// The largest leverage of one unit: the sum over its rows of xᵀ(XᵀX)⁻¹x, which is
    /// no less than its largest pull on its own fit (MacKinnon, Nielsen and Webb 2023).
    pub leverage: f64,
    /// What is left of the squared deviations of the outcome from its mean, as a share.
    pub unexplained: f64,
    /// One per coefficient; empty where a term follows from the others.
    pub estimates: Vec<Estimate>,
}

/// One coefficient.
#[derive(Clone, Copy)]
pub struct Estimate {
    /// Its value.
    pub coefficient: f64,
    /// Its standard error, robust to what rows of one unit share (CR1: Liang and Zeger
    /// 1986, with the factor G/(G−1) · (N−1)/(N−p)).
    pub std_error: f64,
}

/// One row: 1, the numbers, a 1 for its level of each dimension unless it is the first.
#[derive(Debug, Clone)]
pub struct Shape {
    numbers: usize,
    levels: Vec<usize>,
}

/// The first pass.
pub struct Products {
    shape: Shape,
    first: Option<(Vec<f64>, f64)>,
    xx: DMatrix<f64>,
    xy: DVector<f64>,
    y: [f64; 2],
    rows: u64,
    units: u64,
    last: Option<u64>,
    level_units: Vec<(Option<u64>, u64)>,
}

/// The second pass.
pub struct Residuals {
    products: Products,
    solved: Option<(DMatrix<f64>, DVector<f64>)>,
    open: Option<(u64, DVector<f64>, f64)>,
    meat: DMatrix<f64>,
    leverage: f64,
    squares: f64,
}

impl Shape {
    /// So many numbers, and dimensions of so many levels.
    pub fn new(numbers: usize, levels: Vec<usize>) -> Self {
        Self { numbers, levels }
    }

    /// How many coefficients there are.
    pub fn parameters(&self) -> usize {
        1 + self.numbers + self.levels.iter().map(|n| n.saturating_sub(1)).sum::<usize>()
    }

    /// The row as a vector: `levels` are places in the dimensions' levels.
    pub(crate) fn vector(&self, numbers: &[f64], levels: &[usize], shift: &[f64]) -> DVector<f64> {
        let mut x = vec![1.0];
        x.extend(numbers.iter().zip(shift).map(|(value, shift)| value - shift));
        for (level, of) in levels.iter().zip(&self.levels) {
            x.extend((1..*of).map(|i| if i == *level { 1.0 } else { 0.0 }));
        }
        DVector::from_vec(x)
    }
}

impl Products {
    /// Nothing seen yet.
    pub fn new(shape: Shape) -> Self {
        let p = shape.parameters();
        let level_units = vec![(None, 0); shape.levels.iter().sum()];
        Self {
            shape,
            first: None,
            xx: DMatrix::zeros(p, p),
            xy: DVector::zeros(p),
            y: [0.0; 2],
            rows: 0,
            units: 0,
            last: None,
            level_units,
        }
    }

    /// A row of `unit`; a unit's rows come together.
    pub fn add(&mut self, unit: u64, numbers: &[f64], levels: &[usize], outcome: f64) {
        let (shift, middle) = self.first.get_or_insert_with(|| (numbers.to_vec(), outcome));
        let x = self.shape.vector(numbers, levels, shift);
        let y = outcome - *middle;
        self.xx.ger(1.0, &x, &x, 1.0);
        self.xy.axpy(y, &x, 1.0);
        self.y = [self.y[0] + y, self.y[1] + y * y];
        self.rows += 1;
        self.units += u64::from(self.last.replace(unit) != Some(unit));
        let mut base = 0;
        for (level, of) in levels.iter().zip(&self.shape.levels) {
            if let Some((last, units)) = self.level_units.get_mut(base + level) {
                *units += u64::from(last.replace(unit) != Some(unit));
            }
            base += of;
        }
    }

    /// Solves the equations and begins the second pass, over the same rows.
    pub fn solve(self) -> Residuals {
        let p = self.shape.parameters();
        let scale = self.xx.diagonal().map(|d| if d > 0.0 { 1.0 / d.sqrt() } else { 0.0 });
        let scaled = DMatrix::from_fn(p, p, |i, j| {
            let (a, b) = (scale.get(i).copied().unwrap_or(0.0), scale.get(j).copied().unwrap_or(0.0));
            self.xx.get((i, j)).copied().unwrap_or(0.0) * a * b
        });
        let factor = scaled.cholesky().filter(|c| c.l_dirty().diagonal().iter().all(|d| d * d > PIVOT_MIN));
        let solved = factor.map(|factor| {
            let inverse = DMatrix::from_diagonal(&scale) * factor.inverse() * DMatrix::from_diagonal(&scale);
            let beta = &inverse * &self.xy;
            (inverse, beta)
        });
        Residuals { products: self, solved, open: None, meat: DMatrix::zeros(p, p), leverage: 0.0, squares: 0.0 }
    }
}

impl Residuals {
    /// The solution, for [`crate::refit`]; none where a term follows from the others.
    pub(crate) fn solved(self) -> Option<Solved> {
        let ((inverse, beta), (shift, middle)) = self.solved.zip(self.products.first)?;
        Some(Solved { inverse, beta, shift, middle })
    }

    /// The row again.
    pub fn add(&mut self, unit: u64, numbers: &[f64], levels: &[usize], outcome: f64) {
        if self.open.as_ref().is_some_and(|(open, ..)| *open != unit) {
            self.close();
        }
        let (Some((inverse, beta)), Some((shift, middle))) = (&self.solved, &self.products.first) else { return };
        let x = self.products.shape.vector(numbers, levels, shift);
        let residual = outcome - middle - x.dot(beta);
        let pull = x.dot(&(inverse * &x));
        self.squares += residual * residual;
        let zero = || (unit, DVector::zeros(x.len()), 0.0);
        let (_, score, leverage) = self.open.get_or_insert_with(zero);
        score.axpy(residual, &x, 1.0);
        *leverage += pull;
    }

    fn close(&mut self) {
        if let Some((_, score, leverage)) = self.open.take() {
            self.meat.ger(1.0, &score, &score, 1.0);
            self.leverage = self.leverage.max(leverage);
        }
    }

    /// The regression.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    pub fn finish(mut self) -> Fit {
        self.close();
        let Self { products, solved, meat, leverage, squares, .. } = self;
        let (n, g, p) = (products.rows as f64, products.units as f64, products.shape.parameters());
        let spread = products.y[1] - products.y[0] * products.y[0] / n.max(1.0);
        let mut estimates = Vec::new();
        if let (Some((inverse, beta)), Some((shift, middle))) = (solved, products.first) {
            // Back from the shift: the constant is where every number is zero.
            let mut back = DMatrix::identity(p, p);
            for (i, shift) in shift.iter().enumerate() {
                if let Some(entry) = back.get_mut((0, i + 1)) {
                    *entry = -shift;
                }
            }
            let free = (g / (g - 1.0)) * ((n - 1.0) / (n - p as f64));
            let variance = &back * (&inverse * meat * &inverse) * back.transpose() * free;
            let beta = back * beta;
            estimates = beta.iter().zip(variance.diagonal().iter()).map(|(b, v)| estimate(*b, *v)).collect();
            if let Some(constant) = estimates.first_mut() {
                constant.coefficient += middle;
            }
        }
        Fit {
            rows: products.rows,
            units: products.units,
            level_units: products.level_units.iter().map(|(_, units)| *units).collect(),
            leverage,
            unexplained: if spread > 0.0 { squares / spread } else { 0.0 },
            estimates,
        }
    }
}

fn estimate(coefficient: f64, variance: f64) -> Estimate {
    Estimate { coefficient, std_error: variance.max(0.0).sqrt() }
}

impl fmt::Debug for Fit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fit(withheld)")
    }
}

#[cfg(test)]
mod tests {
    use super::{Fit, Products, Shape};

    fn fit(shape: &Shape, rows: &[(u64, Vec<f64>, Vec<usize>, f64)]) -> Fit {
        let mut products = Products::new(shape.clone());
        rows.iter().for_each(|(unit, x, levels, y)| products.add(*unit, x, levels, *y));
        let mut residuals = products.solve();
        rows.iter().for_each(|(unit, x, levels, y)| residuals.add(*unit, x, levels, *y));
        residuals.finish()
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-9 * b.abs().max(1.0)
    }

    #[test]
    fn a_line_by_hand() {
        // x = 1…4, y = 2, 1, 4, 5: slope 6/5 and constant 0; residuals .8, −1.4, .4, .2.
        let rows: Vec<_> =
            [2.0, 1.0, 4.0, 5.0].iter().zip(1u64..).map(|(y, i)| (i, vec![1e6 + i as f64], vec![], *y)).collect();
        let fit = fit(&Shape::new(1, vec![]), &rows);
        let [constant, slope] = fit.estimates[..] else { panic!("two coefficients") };
        assert!(close(slope.coefficient, 1.2) && (constant.coefficient + 1.2e6).abs() < 1e-3);
        // Leverage of the ends: 1/4 + 2.25/5.
        assert!(close(fit.leverage, 0.7));
        // Σ(x−x̄)²e² = 2.25·.64 + .25·1.96 + .25·.16 + 2.25·.04 = 2.06; · 4/3 · 3/2 / 25.
        assert!((slope.std_error - (2.06f64 * 2.0 / 25.0).sqrt()).abs() < 1e-6, "{}", slope.std_error);
        assert!(close(fit.unexplained, 2.8 / 10.0));
    }

    #[test]
    fn dummies_are_means_and_rows_of_a_unit_belong_together() {
        let of = [(0, 4.0), (0, 6.0), (1, 9.0), (1, 9.0), (1, 12.0), (1, 10.0)];
        let rows: Vec<_> = of.iter().zip([1, 2, 3, 3, 4, 5]).map(|((l, y), u)| (u, vec![], vec![*l], *y)).collect();
        let fit = fit(&Shape::new(0, vec![2]), &rows);
        assert!(close(fit.estimates[0].coefficient, 5.0) && close(fit.estimates[1].coefficient, 5.0));
        assert_eq!((fit.rows, fit.units, fit.level_units.as_slice()), (6, 5, &[2, 3][..]));
        assert!(close(fit.leverage, 0.5));
    }

    #[test]
    fn a_term_that_follows_has_no_estimate() {
        let rows: Vec<_> =
            (1..9u64).map(|i| (i, vec![i as f64, 3.0 * i as f64 + 1.0], vec![], (i * i) as f64)).collect();
        assert!(fit(&Shape::new(2, vec![]), &rows).estimates.is_empty());
        assert!(fit(&Shape::new(0, vec![]), &[]).estimates.is_empty());
    }
}
