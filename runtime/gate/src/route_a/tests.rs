use proptest::prelude::*;

use super::*;
use crate::fixtures::{output, table};

fn reduce(table: &TableA, roster: u64, outputs: &[Option<RawBatch>]) -> Vec<i64> {
    let mut reducer = Reducer::new(table, roster, 64).unwrap();
    for output in outputs {
        reducer.add(output.as_ref());
    }
    reducer.finish().unwrap().sums
}

#[test]
fn rows_of_a_key_are_summed_before_they_are_clamped() {
    let t = table(2, &[(0, 10, 1)], 2, 0.02);
    // Clamped row by row this would be 20, and 6 − 10 clamped to 0 first would be 6.
    let one = output(&[(0, &[10.0]), (0, &[10.0]), (1, &[-4.0]), (1, &[10.0])]);
    assert_eq!(reduce(&t, 9, &[Some(one)]), [10, 6]);
}

#[test]
fn extreme_values_cannot_overflow() {
    let t = table(1, &[(-5, 5, 1)], 1, 0.02);
    let rows: Vec<(i64, &[f64])> = vec![(0, &[f64::INFINITY]); 64];
    assert_eq!(reduce(&t, 3, &[Some(output(&rows)), Some(output(&rows))]), [10]);
    // i64::MAX and i64::MIN in turn leave −1 per pair: far from wrapping.
    let rows: Vec<(i64, &[f64])> =
        (0..64).map(|i| (0, if i % 2 == 0 { &[1e300][..] } else { &[-1e300][..] })).collect();
    assert_eq!(reduce(&t, 3, &[Some(output(&rows))]), [-5]);
}

#[test]
fn only_the_first_keys_in_domain_order_count() {
    let t = table(4, &[(0, 9, 1)], 2, 0.02);
    let one = output(&[(3, &[1.0]), (2, &[1.0]), (0, &[1.0]), (9, &[1.0])]);
    assert_eq!(reduce(&t, 9, &[Some(one)]), [1, 0, 1, 0]);
}

#[test]
fn a_failed_unit_adds_nothing_and_changes_nothing_else() {
    let t = table(2, &[(1, 9, 1)], 1, 0.02);
    let good = || Some(output(&[(1, &[4.0])]));
    let broken = || {
        let mut b = output(&[(0, &[4.0])]);
        b.columns[1].data.pop();
        Some(b)
    };
    assert_eq!(reduce(&t, 9, &[good(), None, broken(), good()]), reduce(&t, 9, &[good(), good()]));
    // A unit without rows contributes 0 even where the range starts above it.
    assert_eq!(reduce(&t, 9, &[Some(output(&[]))]), [0, 0]);
}

#[test]
fn contracts_that_cannot_be_kept_are_refused() {
    let refused = |t: TableA, roster: u64| Reducer::new(&t, roster, 64).unwrap_err().code;
    let clamp = (1i64 << 62) / 1000;
    assert!(Reducer::new(&table(1, &[(0, clamp - 1, 1)], 1, 0.02), 1000, 64).is_ok());
    assert_eq!(refused(table(1, &[(0, clamp + 1, 1)], 1, 0.02), 1000), "gate.table");
    assert_eq!(refused(table(1, &[(i64::MIN, 0, 1)], 1, 0.02), 1), "gate.table");
    assert_eq!(refused(table(1, &[(2, 1, 1)], 1, 0.02), 1), "gate.table");
    assert_eq!(refused(table(1, &[(0, 1, 1)], 0, 0.02), 1), "gate.table");
    assert_eq!(refused(table(1, &[], 1, 0.02), 1), "gate.table");
}

#[test]
fn more_invocations_than_units_void_the_answer() {
    let mut reducer = Reducer::new(&table(1, &[(0, 1, 1)], 1, 0.02), 1, 64).unwrap();
    reducer.add(None);
    reducer.add(None);
    assert_eq!(reducer.finish().unwrap_err().code, "gate.host-fault");
}

#[test]
fn a_commitment_tells_answers_apart_and_debug_tells_nothing() {
    let t = table(1, &[(0, 9, 1)], 1, 0.02);
    let answer = |v: f64| {
        let mut r = Reducer::new(&t, 9, 64).unwrap();
        r.add(Some(&output(&[(0, &[v])])));
        r.finish().unwrap()
    };
    let plain = |bytes: &[u8]| Digest::of(bytes);
    assert_eq!(answer(7.0).commitment(&plain), answer(7.0).commitment(&plain));
    assert_ne!(answer(7.0).commitment(&plain), answer(8.0).commitment(&plain));
    assert_eq!(format!("{:?}", answer(7.0)), "PreNoise(t, sums withheld)");
}

fn unit() -> impl Strategy<Value = Vec<(i64, [f64; 2])>> {
    let value = || prop_oneof![-30.0..30.0f64, Just(f64::NAN), Just(f64::INFINITY), Just(-1e18)];
    prop::collection::vec((-1i64..5, [value(), value()]), 0..12)
}

proptest! {
    /// The claim that the noise rests on: taking one unit's rows away moves the
    /// answer by at most Δ₂, whatever the guest put out.
    #[test]
    fn neighbours_are_within_the_sensitivity(units in prop::collection::vec(unit(), 1..5), leave_out in 0usize..5) {
        let t = table(4, &[(-3, 20, 2), (1, 7, 1)], 2, 0.02);
        let as_output = |u: &Vec<(i64, [f64; 2])>| {
            Some(if u.is_empty() { output(&[(9, &[0.0, 0.0])]) } else { output(&u.iter().map(|(k, v)| (*k, &v[..])).collect::<Vec<_>>()) })
        };
        let all = reduce(&t, 9, &units.iter().map(as_output).collect::<Vec<_>>());
        let without: Vec<_> = units.iter().enumerate().map(|(i, u)| if i == leave_out { None } else { as_output(u) }).collect();
        let without = reduce(&t, 9, &without);
        let moved: u128 = all.iter().zip(&without).map(|(a, b)| u128::from(a.abs_diff(*b)).pow(2)).sum();
        prop_assert!(moved <= t.sensitivity_l2_squared().unwrap());
    }

    /// The answer does not depend on the order of units or of a unit's rows.
    #[test]
    fn order_does_not_matter(units in prop::collection::vec(unit(), 1..5)) {
        let t = table(4, &[(-3, 20, 2), (1, 7, 1)], 2, 0.02);
        let as_output = |u: &Vec<(i64, [f64; 2])>| (!u.is_empty()).then(|| output(&u.iter().map(|(k, v)| (*k, &v[..])).collect::<Vec<_>>()));
        let forth: Vec<_> = units.iter().map(as_output).collect();
        let back: Vec<_> = units.iter().rev().map(|u| as_output(&u.iter().rev().copied().collect())).collect();
        prop_assert_eq!(reduce(&t, 9, &forth), reduce(&t, 9, &back));
    }
}
