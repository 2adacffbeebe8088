//! Exact confidence limits of an error rate (Clopper and Pearson, 1934).

/// Limits of the rate behind `hits` of `trials` that miss it with a chance of at
/// most `miss`, half on either side.
pub(crate) fn clopper_pearson(hits: u32, trials: u32, miss: f64) -> (f64, f64) {
    let logs = log_factorials(trials);
    let low = if hits == 0 { 0.0 } else { solve(|p| 1.0 - below(&logs, hits - 1, trials, p) - miss / 2.0) };
    let high = if hits >= trials { 1.0 } else { solve(|p| miss / 2.0 - below(&logs, hits, trials, p)) };
    (low, high)
}

/// P(X ≤ k) of a binomial: the smaller side is summed, so nothing cancels.
fn below(logs: &[f64], k: u32, n: u32, p: f64) -> f64 {
    let log = |j: u32| {
        let at = |i: u32| logs.get(i as usize).copied().unwrap_or(0.0);
        at(n) - at(j) - at(n - j) + f64::from(j) * p.ln() + f64::from(n - j) * (-p).ln_1p()
    };
    if f64::from(k) < f64::from(n) * p { sum((0..=k).rev().map(log)) } else { 1.0 - sum((k + 1..=n).map(log)) }
}

/// Σ e^log for terms that fall from the first on; stops when they no longer matter.
fn sum(logs: impl Iterator<Item = f64>) -> f64 {
    let mut total = 0.0;
    for log in logs {
        let term = log.exp();
        total += term;
        if term < total * 1e-17 {
            break;
        }
    }
    total
}

/// The root of an increasing function on (0, 1), by bisection.
fn solve(f: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if f(middle) < 0.0 { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

fn log_factorials(n: u32) -> Vec<f64> {
    let mut logs = vec![0.0];
    let mut last = 0.0;
    for i in 1..=n {
        last += f64::from(i).ln();
        logs.push(last);
    }
    logs
}

#[cfg(test)]
mod tests {
    use super::clopper_pearson;

    #[test]
    fn limits_agree_with_published_values() {
        // 95 % limits of 5/20, of 0/10 and of 10/10 (R's binom.test).
        let close = |(a, b): (f64, f64), (c, d): (f64, f64)| (a - c).abs() < 1e-6 && (b - d).abs() < 1e-6;
        assert!(close(clopper_pearson(5, 20, 0.05), (0.086_571_5, 0.491_045_9)));
        assert!(close(clopper_pearson(0, 10, 0.05), (0.0, 0.308_497_1)));
        assert!(close(clopper_pearson(10, 10, 0.05), (0.691_502_9, 1.0)));
    }

    #[test]
    fn limits_of_large_samples_enclose_the_rate_and_narrow() {
        let (low, high) = clopper_pearson(5_000, 10_000, 0.005);
        assert!(low < 0.5 && 0.5 < high && high - low < 0.03);
    }
}
