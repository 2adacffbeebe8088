//! Poisson regression of doctor visits by noised Newton rounds. The inner room says,
//! for one person, the gradient and the curvature of the log-likelihood at the round's
//! coefficients; the outer room makes the next coefficients of their noised sums.
//!
//! A person counts once, however many years they have: rows are averaged. The state is
//! twelve floats: the coefficients, then a running sum of them and how many, because
//! the mean of the later rounds is steadier than the last.
#![forbid(unsafe_code)]
#![expect(
    clippy::indexing_slicing,
    clippy::needless_range_loop,
    reason = "matrices of three by three read best by index; a panic would be this person's default"
)]

use sluice_guest::{Artefact, Dimension, Error, Output, Report, Room, Table};

/// Names of the coefficients, as the job file declares them.
const TERMS: [&str; 3] = ["const", "coins", "female"];
/// Rounds that are still on their way and stay out of the mean.
const SETTLE: u32 = 3;
/// A rate beyond this is the noise's doing.
const RATE_MAX: f64 = 50.0;
/// Largest step of a coefficient in one round.
const STEP_MAX: f64 = 1.0;
/// Ridge, as a share of the curvature of the constant.
const RIDGE: f64 = 0.01;

/// One person: gradient and curvature at the state's coefficients.
///
/// # Errors
/// When the input lacks `coins`, `female` or `mdvis`.
pub fn contribution(room: &Room) -> Result<Output<1, 4>, Error> {
    let [beta, ..] = read(room.state());
    let rows = room.rows()?;
    let (mut gradient, mut curvature, mut years) = ([0.0; 3], [[0.0; 3]; 3], 0.0);
    for ((coins, female), visits) in rows.i64("coins")?.zip(rows.i64("female")?).zip(rows.i64("mdvis")?) {
        let (Some(coins), Some(female), Some(visits)) = (coins, female, visits) else { continue };
        #[expect(clippy::cast_precision_loss, reason = "small codes and counts")]
        let (x, y) = ([1.0, coins as f64 / 100.0, female as f64], visits as f64);
        let rate = dot(beta, x).exp().min(RATE_MAX);
        for i in 0..3 {
            gradient[i] += (y - rate) * x[i];
            for j in 0..3 {
                curvature[i][j] += rate * x[i] * x[j];
            }
        }
        years += 1.0;
    }
    let mut out = Output::new([Dimension::text("term")], ["gradient", "h_const", "h_coins", "h_female"]);
    if years > 0.0 {
        for (i, term) in TERMS.iter().enumerate() {
            let [a, b, c] = curvature[i].map(|h| h / years);
            out.add([(*term).into()], [gradient[i] / years, a, b, c])?;
        }
    }
    Ok(out)
}

/// The next coefficients: one damped, ridged Newton step on the noised sums. Columns:
/// term, gradient, h_coins, h_const, h_female.
///
/// # Errors
/// When the table has another shape.
pub fn step(round: u32, state: &[u8], cleared: &Table) -> Result<Vec<u8>, Error> {
    let column = |at| -> Result<[f64; 3], Error> {
        let numbers: Vec<f64> = cleared.floats_at(at)?.into_iter().map(|n| n.unwrap_or(0.0)).collect();
        numbers.try_into().map_err(|_| Error::new("three terms"))
    };
    let [mut beta, mut sum, mut count] = read(state);
    let gradient = column(1)?;
    let mut h = [column(3)?, column(2)?, column(4)?];
    let ridge = RIDGE * h[0][0].abs().max(1.0);
    for i in 0..3 {
        for j in 0..i {
            // The two noised halves of a symmetric matrix: their mean is better than either.
            let mean = (h[i][j] + h[j][i]) / 2.0;
            (h[i][j], h[j][i]) = (mean, mean);
        }
        h[i][i] = h[i][i].max(0.0) + ridge;
    }
    for (b, step) in beta.iter_mut().zip(solve(h, gradient)) {
        *b += if step.is_finite() { step.clamp(-STEP_MAX, STEP_MAX) } else { 0.0 };
    }
    if round >= SETTLE {
        sum.iter_mut().zip(beta).for_each(|(s, b)| *s += b);
        count[0] += 1.0;
    }
    Ok([beta, sum, count].concat().iter().flat_map(|n| n.to_le_bytes()).collect())
}

/// The fit as a text of one line per term: name, coefficient.
///
/// # Errors
/// None.
pub fn report(report: &Report) -> Result<Vec<Artefact>, Error> {
    let [last, sum, count] = read(&report.state);
    let fit = if count[0] > 0.0 { sum.map(|s| s / count[0]) } else { last };
    let lines = TERMS.iter().zip(fit).map(|(term, b)| format!("{term} {b:.4}\n"));
    Ok(vec![Artefact::text("coefficients.txt", lines.collect::<String>())])
}

/// Coefficients, sums, and the count in the first place of the third.
fn read(state: &[u8]) -> [[f64; 3]; 3] {
    let mut numbers = state.chunks_exact(8).filter_map(|b| b.try_into().ok().map(f64::from_le_bytes));
    [(); 3].map(|()| [(); 3].map(|()| numbers.next().unwrap_or(0.0)))
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Cramer's rule for three unknowns.
fn solve(m: [[f64; 3]; 3], v: [f64; 3]) -> [f64; 3] {
    let determinant = |m: [[f64; 3]; 3]| {
        let minor = |a: usize, b: usize| m[1][a] * m[2][b] - m[1][b] * m[2][a];
        m[0][0] * minor(1, 2) - m[0][1] * minor(0, 2) + m[0][2] * minor(0, 1)
    };
    let whole = determinant(m);
    [0, 1, 2].map(|column| {
        let mut with = m;
        (0..3).for_each(|row| with[row][column] = v[row]);
        determinant(with) / whole
    })
}

sluice_guest::inner!(contribution);
sluice_guest::outer!(update = step, compose = report);

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::allow_attributes, reason = "tests may fail loudly")]
mod tests {
    use sluice_guest::{Column, Room, Rows, Table};

    use super::{contribution, read, solve, step};

    #[test]
    fn three_equations_are_solved() {
        let [a, b, c] = solve([[2.0, 0.0, 0.0], [0.0, 4.0, 0.0], [1.0, 0.0, 1.0]], [2.0, 8.0, 4.0]);
        assert!((a - 1.0).abs() < 1e-12 && (b - 2.0).abs() < 1e-12 && (c - 3.0).abs() < 1e-12);
    }

    #[test]
    fn a_persons_years_are_averaged() {
        let ints = |v: &[i64]| Column::Int(v.iter().copied().map(Some).collect());
        let rows = Rows::of(vec![("coins", ints(&[0, 0])), ("female", ints(&[1, 1])), ("mdvis", ints(&[3, 5]))]);
        let out = contribution(&Room::of(&[], vec![("claims", rows.unwrap())])).unwrap();
        // At zero coefficients the rate is 1: mean residual (2 + 4) / 2.
        assert_eq!(out.rows()[0].1, [3.0, 1.0, 0.0, 1.0]);
        assert_eq!(out.rows()[1].1, [0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn rounds_converge_on_the_rate_of_one_group() {
        // 100 people with 4 visits and no covariates: the constant goes to ln 4.
        let mut state = Vec::new();
        for round in 0..12 {
            let [[b, ..], ..] = read(&state);
            let rate = 100.0 * b.exp();
            let zero: &[f64] = &[0.0; 3];
            let columns = [
                ("term", zero),
                ("gradient", &[400.0 - rate, 0.0, 0.0]),
                ("h_coins", zero),
                ("h_const", &[rate, 0.0, 0.0]),
                ("h_female", zero),
            ];
            state = step(round, &state, &Table::of_floats(&columns)).unwrap();
        }
        assert!((read(&state)[0][0] - 4f64.ln()).abs() < 1e-3);
    }
}
