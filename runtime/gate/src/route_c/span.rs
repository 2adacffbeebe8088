//! Elimination modulo a large prime: which cells may be published so that no
//! protected vector falls into the span of what is published.
//!
//! The method of GaussSuppression (Langsrud, 2024): candidates come in order, most
//! valuable first; each is reduced by the ones published before it, and is
//! suppressed exactly when some protected vector, reduced alike, is a multiple of
//! it. Modulo p = 2⁶¹ − 1 instead of over the rationals: a dependence over ℚ is one
//! modulo p too unless p divides a denominator, which the small 0/1 systems of
//! tables do not produce; no rounding can hide one, as it could with floats. What one
//! attacker knows besides ([`Guard`]) is held against every combination, not only
//! within a line.

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

/// What must not follow from what is published.
#[derive(Clone, Copy, Default)]
pub(crate) struct Guard<'a> {
    /// None of these.
    pub(crate) vectors: &'a [Sparse],
    /// Nor, for somebody who knows one of them, what they are kept from.
    pub(crate) attackers: &'a [Attacker],
}

/// Somebody who knows something: places in [`Guard::vectors`].
#[derive(Clone)]
pub(crate) struct Attacker {
    pub(crate) knows: usize,
    /// No multiples of what they know.
    pub(crate) kept_from: Vec<usize>,
}

/// The fate of each of `candidates` in order, so that none of `protected` is in the
/// span of the published ones. `rows` is the vectors' length.
pub(super) fn sweep(candidates: &[Sparse], protected: &[Sparse], rows: usize) -> Vec<Fate> {
    sweep_beyond(0, candidates, protected, rows)
}

/// As [`sweep`], but the first `given` candidates are out already, whatever they give away.
pub(crate) fn sweep_beyond(given: usize, candidates: &[Sparse], protected: &[Sparse], rows: usize) -> Vec<Fate> {
    sweep_guarded(given, candidates, Guard { vectors: protected, ..Guard::default() }, rows)
}

/// As [`sweep_beyond`], against attackers who know a vector of their own too.
///
/// *Why three sketches do.* Let an attacker know e, and let t be a target that is no
/// multiple of e modulo what is published. Publishing v gives t away to them exactly
/// when v lies in the plane of e and t, so when v, e and t are dependent. Dependent
/// vectors have dependent images under every linear map, so the determinant of their
/// sketches, three linear forms each, is then zero: no betrayal is missed. One that is
/// zero by chance (odds of about 2⁻⁶¹) costs a cell and nothing else.
pub(super) fn sweep_guarded(given: usize, candidates: &[Sparse], guard: Guard<'_>, rows: usize) -> Vec<Fate> {
    sweep_asking(given, candidates, guard, rows, |_| true)
}

/// As [`sweep_guarded`], where a candidate that could be published is, if `may` says so
/// of its place.
pub(super) fn sweep_asking(
    given: usize,
    candidates: &[Sparse],
    guard: Guard<'_>,
    rows: usize,
    mut may: impl FnMut(usize) -> bool,
) -> Vec<Fate> {
    let mut vectors: Vec<Sparse> = candidates.iter().chain(guard.vectors).cloned().collect();
    let mut sketches: Vec<Sketch> = vectors.iter().map(sketch).collect();
    let n = candidates.len();
    // Which vectors may hold a row: entries go stale and are checked when used.
    let mut holders: Vec<Vec<usize>> = vec![Vec::new(); rows];
    for (i, vector) in vectors.iter().enumerate() {
        for (row, _) in vector {
            if let Some(holder) = holders.get_mut(*row as usize) {
                holder.push(i);
            }
        }
    }
    (0..n)
        .map(|candidate| {
            let vector = vectors.get_mut(candidate).map(std::mem::take).unwrap_or_default();
            let own_sketch = sketches.get(candidate).copied().unwrap_or_default();
            // The row that the fewest vectors hold fills in the least.
            let fewest = |(row, _): &&(u32, u64)| holders.get(*row as usize).map_or(0, Vec::len);
            let Some((pivot, scale)) = vector.iter().min_by_key(fewest).copied() else { return Fate::Redundant };
            let of = |place: usize| sketches.get(n + place);
            let betrays = |attacker: &Attacker| {
                let plane = of(attacker.knows).map(|known| cross(&own_sketch, known)).unwrap_or_default();
                attacker.kept_from.iter().filter_map(|target| of(*target)).any(|target| dot(&plane, target) == 0)
            };
            if candidate >= given
                && (vectors.iter().skip(n).any(|p| proportional(p, &vector))
                    || guard.attackers.iter().any(betrays)
                    || !may(candidate))
            {
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
                for (part, of_vector) in sketches.get_mut(i).into_iter().flatten().zip(own_sketch) {
                    *part = (*part + times(factor, of_vector)) % P;
                }
            }
            Fate::Published
        })
        .collect()
}

/// Three linear forms of a vector.
type Sketch = [u64; 3];

fn sketch(vector: &Sparse) -> Sketch {
    vector.iter().fold([0; 3], |sums, (row, coefficient)| {
        let at = |form: u64| times(*coefficient, mixed(u64::from(*row) * 3 + form));
        [(sums[0] + at(0)) % P, (sums[1] + at(1)) % P, (sums[2] + at(2)) % P]
    })
}

/// A fixed coefficient that looks like chance (the finaliser of SplitMix64; Steele, Lea
/// and Flood 2014).
pub(super) fn mixed(n: u64) -> u64 {
    let z = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) % P
}

fn cross(a: &Sketch, b: &Sketch) -> Sketch {
    let minor = |x: u64, y: u64, z: u64, w: u64| (times(x, y) + P - times(z, w)) % P;
    [minor(a[1], b[2], a[2], b[1]), minor(a[2], b[0], a[0], b[2]), minor(a[0], b[1], a[1], b[0])]
}

fn dot(a: &Sketch, b: &Sketch) -> u64 {
    a.iter().zip(b).fold(0, |sum, (x, y)| (sum + times(*x, *y)) % P)
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
    use super::{Attacker, Fate::*, Guard, P, indicator, inverse, sweep, sweep_guarded, times};

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

    /// Cells 0 to 3 in a square with all sums known but for one cell withheld in each
    /// line: nothing follows, but who knows cell 0 knows cell 3.
    #[test]
    fn who_knows_one_corner_does_not_learn_the_other() {
        let sums = [vec![0, 1], vec![2, 3], vec![0, 2], vec![1, 3]].map(|v| indicator(&v));
        let secret = [0, 3].map(|i| indicator(&[i]));
        assert_eq!(sweep(&sums, &secret, 4), [Published, Published, Published, Redundant]);
        let attackers = [Attacker { knows: 0, kept_from: vec![1] }];
        let guard = Guard { vectors: &secret, attackers: &attackers };
        assert_eq!(sweep_guarded(0, &sums, guard, 4), [Published, Published, Suppressed, Suppressed]);
    }
}
