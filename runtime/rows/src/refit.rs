//! A regression without each of its units in turn, and with another unit's rows in its
//! place: exact, from the whole one, without fitting again.
//!
//! With A = XᵀX and residuals r, rows Z of which W = −1 are left out and W = 1 put in
//! change the coefficients by A⁻¹Zᵀ(W + Z A⁻¹Zᵀ)⁻¹ r_Z (Sherman, Morrison and Woodbury;
//! for one row left out Cook 1977). It holds the rows that the fit was of.

use std::fmt;

use nalgebra::{DMatrix, DVector};

use crate::fit::{Products, Shape};

/// Most rows of one unit that are replayed: a block of so many is solved for each.
const ROWS_MAX: usize = 256;

/// A pivot below this is rounding: without the rows a term is no longer determined.
const PIVOT_MIN: f64 = 1e-9;

/// The rows of a regression, unit by unit.
pub struct Refit {
    shape: Shape,
    products: Products,
    units: Vec<Vec<Row>>,
    last: Option<u64>,
}

struct Row {
    numbers: Vec<f64>,
    levels: Vec<usize>,
    outcome: f64,
}

/// What the replays of a regression found.
pub struct Refitted {
    /// The coefficients again.
    pub coefficients: Vec<f64>,
    /// Distinct units.
    pub units: u64,
    /// Of each coefficient, the largest change by leaving a unit out.
    pub deleted: Vec<f64>,
    /// Of each coefficient, the largest change by putting the unit before in its place.
    pub replaced: Vec<f64>,
}

impl Refit {
    /// Nothing seen yet.
    pub fn new(shape: Shape) -> Self {
        Self { products: Products::new(shape.clone()), shape, units: Vec::new(), last: None }
    }

    /// A row of `unit`; a unit's rows come together.
    pub fn add(&mut self, unit: u64, numbers: &[f64], levels: &[usize], outcome: f64) {
        self.products.add(unit, numbers, levels, outcome);
        if self.last.replace(unit) != Some(unit) {
            self.units.push(Vec::new());
        }
        if let Some(rows) = self.units.last_mut() {
            rows.push(Row { numbers: numbers.to_vec(), levels: levels.to_vec(), outcome });
        }
    }

    /// Every replay; none where the regression has no solution.
    pub fn finish(self) -> Option<Refitted> {
        let Self { shape, products, units, .. } = self;
        let whole = products.solve().solved()?;
        let parameters = shape.parameters();
        let (mut deleted, mut replaced) = (vec![0.0f64; parameters], vec![0.0f64; parameters]);
        let more = |most: &mut Vec<f64>, change: Option<DVector<f64>>| {
            // Without these rows there is no solution: everything hangs on them.
            let change = change.unwrap_or_else(|| DVector::from_element(parameters, f64::INFINITY));
            most.iter_mut().zip(whole.back(&change).iter()).for_each(|(most, x)| *most = most.max(x.abs()));
        };
        let mut before: &[Row] = &[];
        for rows in &units {
            more(&mut deleted, whole.change(&shape, rows, &[]));
            more(&mut replaced, whole.change(&shape, rows, before));
            before = rows;
        }
        let coefficients = whole.coefficients().iter().copied().collect();
        Some(Refitted { coefficients, units: units.len() as u64, deleted, replaced })
    }
}

/// A solved regression, in shifted numbers.
pub(crate) struct Solved {
    pub(crate) inverse: DMatrix<f64>,
    pub(crate) beta: DVector<f64>,
    pub(crate) shift: Vec<f64>,
    pub(crate) middle: f64,
}

impl Solved {
    /// How the coefficients change; none where they are no longer determined.
    fn change(&self, shape: &Shape, out: &[Row], into: &[Row]) -> Option<DVector<f64>> {
        let (out, into) = (out.get(..out.len().min(ROWS_MAX))?, into.get(..into.len().min(ROWS_MAX))?);
        let rows: Vec<(f64, &Row)> =
            out.iter().map(|row| (-1.0, row)).chain(into.iter().map(|row| (1.0, row))).collect();
        let vectors: Vec<DVector<f64>> =
            rows.iter().map(|(_, row)| shape.vector(&row.numbers, &row.levels, &self.shift)).collect();
        let z = DMatrix::from_columns(&vectors);
        let left = vectors.iter().zip(&rows).map(|(x, (_, row))| row.outcome - self.middle - x.dot(&self.beta));
        let left = DVector::from_iterator(rows.len(), left);
        let pulled = &self.inverse * &z;
        let mut inner = z.transpose() * &pulled;
        for (i, (weight, _)) in rows.iter().enumerate() {
            *inner.get_mut((i, i))? += weight;
        }
        let factors = inner.lu();
        let determined = factors.u().diagonal().iter().all(|pivot| pivot.abs() > PIVOT_MIN);
        let solved = factors.solve(&left).filter(|_| determined)?;
        let change = pulled * solved;
        change.iter().all(|x| x.is_finite()).then_some(change)
    }

    /// The same change where numbers are not shifted.
    fn back(&self, change: &DVector<f64>) -> DVector<f64> {
        let shifted: f64 = self.shift.iter().zip(change.iter().skip(1)).map(|(shift, x)| shift * x).sum();
        let mut change = change.clone();
        if let Some(constant) = change.get_mut(0) {
            *constant -= shifted;
        }
        change
    }

    fn coefficients(&self) -> DVector<f64> {
        let mut beta = self.back(&self.beta);
        if let Some(constant) = beta.get_mut(0) {
            *constant += self.middle;
        }
        beta
    }
}

impl fmt::Debug for Refit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Refit(withheld)")
    }
}

impl fmt::Debug for Refitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Refitted(withheld)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::Fit;

    type Seen = (u64, [f64; 1], [usize; 1], f64);

    fn people() -> Vec<Seen> {
        let of = |i: u64| (i / 2, [2000.0 + (i * 7 % 11) as f64], [(i % 3) as usize], 5.0 + (i * i % 17) as f64);
        (0..40).map(of).collect()
    }

    fn fit(rows: &[Seen]) -> Fit {
        let mut products = Products::new(Shape::new(1, vec![3]));
        rows.iter().for_each(|(unit, x, levels, y)| products.add(*unit, x, levels, *y));
        products.solve().finish()
    }

    #[test]
    fn every_replay_is_the_regression_fitted_again() {
        let rows = people();
        let mut refit = Refit::new(Shape::new(1, vec![3]));
        rows.iter().for_each(|(unit, x, levels, y)| refit.add(*unit, x, levels, *y));
        let found = refit.finish().unwrap();
        let whole: Vec<f64> = fit(&rows).estimates.iter().map(|e| e.coefficient).collect();
        assert_eq!((found.units, found.coefficients.len()), (20, 4));
        let (mut deleted, mut replaced) = (vec![0.0f64; 4], vec![0.0f64; 4]);
        for unit in 0..20 {
            let without: Vec<Seen> = rows.iter().filter(|r| r.0 != unit).copied().collect();
            let of_before = rows.iter().filter(|r| r.0 + 1 == unit).map(|r| (99, r.1, r.2, r.3));
            let with: Vec<Seen> = without.iter().copied().chain(of_before).collect();
            for (most, rows) in [(&mut deleted, &without), (&mut replaced, &with)] {
                let again = fit(rows).estimates;
                most.iter_mut()
                    .zip(again.iter().zip(&whole))
                    .for_each(|(m, (a, b))| *m = m.max((a.coefficient - b).abs()));
            }
        }
        let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-6 * b.abs().max(1.0));
        assert!(close(&found.coefficients, &whole), "{:?} {whole:?}", found.coefficients);
        assert!(close(&found.deleted, &deleted), "{:?} {deleted:?}", found.deleted);
        assert!(close(&found.replaced, &replaced), "{:?} {replaced:?}", found.replaced);
    }

    #[test]
    fn a_level_of_one_unit_hangs_on_them() {
        let mut refit = Refit::new(Shape::new(0, vec![2]));
        (0..20u64).for_each(|unit| refit.add(unit, &[], &[usize::from(unit == 3)], unit as f64));
        assert_eq!(refit.finish().unwrap().deleted[1], f64::INFINITY);
    }
}
