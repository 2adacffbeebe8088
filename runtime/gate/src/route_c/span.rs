//! Elimination modulo a large prime: which cells may be published so that no
//! protected vector falls into the span of what is published.
//!
//! The method of GaussSuppression (Langsrud, 2024): candidates come in order, most
//! valuable first; each is reduced by the ones published before it, and is
//! suppressed exactly when some protected vector, reduced alike, is a multiple of
//! it. Modulo p = 2⁶¹ − 1 instead of over the rationals: a dependence over ℚ is one
//! modulo p too unless p divides a denominator, which the small 0/1 systems of
//! tables do not produce; no rounding can hide one, as it could with floats.

/// 2⁶¹ − 1, a Mersenne prime.
pub(crate) const P: u64 = (1 << 61) - 1;

/// Ascending positions with coefficients in 1..P.
pub(crate) type Sparse = Vec<(u32, u64)>;

/// A 0/1 vector over ascending `positions`.
pub(crate) fn indicator(positions: &[u32]) -> Sparse {
    positions.iter().map(|i| (*i, 1)).collect()
}

/// What becomes of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Published, and it says something new.
    Published,
    /// Published; it follows from the ones before.
    Redundant,
    /// Publishing it would give a protected vector away.
    Suppressed,
}

/// The fate of each of `candidates` in order, so that none of `protected` is in the
/// span of the published ones. `rows` is the vectors' length.
pub(super) fn sweep(candidates: &[Sparse], protected: &[Sparse], rows: usize) -> Vec<Fate> {
    sweep_beyond(0, candidates, protected, rows)
}

/// As [`sweep`], but the first `given` candidates are out already, whatever they give away.
pub(crate) fn sweep_beyond(given: usize, candidates: &[Sparse], protected: &[Sparse], rows: usize) -> Vec<Fate> {
    let mut vectors: Vec<Sparse> = candidates.iter().chain(protected).cloned().collect();
    // Which vectors may hold a row: entries go stale and are checked when used.
    let mut holders: Vec<Vec<usize>> = vec![Vec::new(); rows];
    for (i, vector) in vectors.iter().enumerate() {
        for (row, _) in vector {
            if let Some(holder) = holders.get_mut(*row as usize) {
                holder.push(i);
            }
        }
    }
    (0..candidates.len())
        .map(|candidate| {
            let vector = vectors.get_mut(candidate).map(std::mem::take).unwrap_or_default();
            // The row that the fewest vectors hold fills in the least.
            let fewest = |(row, _): &&(u32, u64)| holders.get(*row as usize).map_or(0, Vec::len);
            let Some((pivot, scale)) = vector.iter().min_by_key(fewest).copied() else { return Fate::Redundant };
            if candidate >= given && vectors.iter().skip(candidates.len()).any(|p| proportional(p, &vector)) {
                return Fate::Suppressed;
            }
            let touched = holders.get_mut(pivot as usize).map(std::mem::take).unwrap_or_default();
            for i in touched {
                let Some(other) = vectors.get_mut(i).filter(|_| i > candidate) else { continue };
                let Ok(at) = other.binary_search_by_key(&pivot, |(row, _)| *row) else { continue };
                let coefficient = other.get(at).map_or(0, |(_, c)| *c);
                let factor = times(P - coefficient, inverse(scale));
                *other = plus(other, &vector, factor, |new_row| {
                    if let Some(holder) = holders.get_mut(new_row as usize) {
                        holder.push(i);
                    }
                });
            }
            Fate::Published
        })
        .collect()
}

/// Whether two non-zero vectors are multiples of each other.
fn proportional(a: &Sparse, b: &Sparse) -> bool {
    let (Some((row_a, lead_a)), Some((row_b, lead_b))) = (a.first(), b.first()) else { return false };
    a.len() == b.len()
        && row_a == row_b
        && a.iter().zip(b).all(|((i, x), (j, y))| i == j && times(*x, *lead_b) == times(*y, *lead_a))
}

/// `a + factor·b`; tells `filled` about every row that `a` did not hold.
pub(crate) fn plus(a: &Sparse, b: &Sparse, factor: u64, mut filled: impl FnMut(u32)) -> Sparse {
    let mut sum = Sparse::with_capacity(a.len() + b.len());
    let (mut a, mut b) = (a.iter().copied().peekable(), b.iter().copied().peekable());
    loop {
        match (a.peek().copied(), b.peek().copied()) {
            (None, None) => return sum,
            (Some(left), right) if right.is_none_or(|r| left.0 < r.0) => {
                sum.push(left);
                a.next();
            }
            (left, Some((row, y))) if left.is_none_or(|l| row < l.0) => {
                filled(row);
                sum.push((row, times(factor, y)));
                b.next();
            }
            (Some((row, x)), Some((_, y))) => {
                let value = (x + times(factor, y)) % P;
                if value != 0 {
                    sum.push((row, value));
                }
                a.next();
                b.next();
            }
            // One of the guards above holds whenever one side is missing.
            (Some(_), None) | (None, Some(_)) => return sum,
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "both parts are below 2^61 by masking and shifting")]
pub(crate) fn times(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    let folded = (product as u64 & P) + (product >> 61) as u64;
    if folded >= P { folded - P } else { folded }
}

/// a⁻¹ = a^(P−2), for a ≠ 0.
pub(crate) fn inverse(a: u64) -> u64 {
    let (mut result, mut base, mut exponent) = (1, a, P - 2);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = times(result, base);
        }
        base = times(base, base);
        exponent >>= 1;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::{Fate::*, P, indicator, inverse, sweep, times};

    #[test]
    fn inverse_is_an_inverse() {
        for a in [1, 2, 3, P - 1, 123_456_789_123] {
            assert_eq!(times(a, inverse(a)), 1);
        }
    }

    #[test]
    fn a_cell_is_not_left_to_subtraction() {
        // A total of four and three of its cells would give the fourth away.
        let candidates = [vec![0, 1, 2, 3], vec![0], vec![1], vec![2]].map(|v| indicator(&v));
        assert_eq!(sweep(&candidates, &[indicator(&[3])], 4), [Published, Published, Published, Suppressed]);
        // Without the total nothing needs to go.
        assert_eq!(sweep(&candidates[1..], &[indicator(&[3])], 4), [Published; 3]);
    }

    #[test]
    fn a_vector_that_follows_already_is_harmless() {
        let candidates = [vec![0, 1], vec![0], vec![1]].map(|v| indicator(&v));
        assert_eq!(sweep(&candidates, &[indicator(&[2])], 3), [Published, Published, Redundant]);
    }
}
