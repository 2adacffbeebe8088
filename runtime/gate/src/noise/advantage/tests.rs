use sluice_domain::{
    Digest,
    event::{Actor, DomainKind, Entry, Event},
    person::PublicKey,
    rulepack::RulePack,
    state::State,
};

use super::*;
use crate::{
    fixtures::{output, table},
    noise::Noise,
    route_a::Reducer,
};

fn domain(kind: DomainKind) -> State {
    let mut state = State::new(RulePack::shipped().unwrap());
    let event = Event::DomainCreated {
        name: "test".into(),
        kind,
        ledger_key: PublicKey::from_bytes([0; 32]),
        rulepack: "2026.2".into(),
        rulepack_digest: Digest::of(b""),
    };
    state.apply(&Entry { seq: 0, at: "2026-11-01T00:00:00Z".parse().unwrap(), actor: Actor::System, event });
    state
}

/// The answers with and without a unit that puts the full clamp on its keys.
fn neighbours(t: &TableA) -> (PreNoise, PreNoise) {
    let full: Vec<f64> = t.measures.iter().map(|m| m.hi as f64 / f64::from(m.grid)).collect();
    let rows: Vec<(i64, &[f64])> = (0..i64::from(t.keys_per_unit)).map(|k| (k, &full[..])).collect();
    let reduce = |target: Option<RawBatch>| {
        let mut r = Reducer::new(t, 100, 64).unwrap();
        r.add(Some(&output(&rows)));
        r.add(target.as_ref());
        r.finish().unwrap()
    };
    (reduce(Some(output(&rows))), reduce(None))
}

use crate::intake::RawBatch;

#[test]
fn only_a_demo_domain_can_be_measured() {
    assert!(domain(DomainKind::Production).demo().is_none());
    assert!(domain(DomainKind::Demo).demo().is_some());
}

#[test]
fn the_bound_is_the_total_variation_of_the_full_clamp() {
    // Δ₂²/σ² = 2ρ, so the continuous limit is 2Φ(√(2ρ)/2) − 1 = 0.0797 at ρ = 0.02.
    let t = table(16, &[(0, 1, 1), (0, 1, 1)], 1, 0.02);
    let (bound, kind) = bound(&t).unwrap();
    assert_eq!(kind, BoundKind::Exact);
    assert!((bound - 0.0797).abs() < 2e-4, "{bound}");
    // Too large a lattice to walk: the bound falls back, and is larger.
    let t = table(16, &[(0, 1_000_003, 1), (0, 999_983, 1)], 1, 0.02);
    assert_eq!(super::bound(&t).unwrap(), ((Mechanism::for_table(&t).unwrap().rho() / 2.0).sqrt(), BoundKind::Pinsker));
}

#[test]
fn an_honest_mechanism_stays_below_its_bound() {
    let t = table(16, &[(0, 1, 1), (0, 1, 1)], 1, 0.02);
    let (with, without) = neighbours(&t);
    let proof = domain(DomainKind::Demo).demo().unwrap();
    let a = estimate(&proof, &with, &without, &t, DRAWS_MIN).unwrap();
    assert!(a.low <= a.advantage && a.advantage <= a.high && a.high - a.low < 0.06);
    // The interval misses the truth in one run of a hundred; allow it one more time
    // its own width, so that the test does not fail by chance.
    let width = a.high - a.low;
    assert!(a.low - width < a.bound && a.bound < a.high + width, "{a:?}");
    assert!(estimate(&proof, &with, &without, &t, DRAWS_MIN - 1).is_err());
}

#[test]
fn equal_answers_cannot_be_told_apart() {
    let t = table(16, &[(0, 1, 1)], 1, 0.02);
    let (_, without) = neighbours(&t);
    let (_, again) = neighbours(&t);
    let a = measure(&Mechanism::for_table(&t).unwrap(), without.sums(), again.sums(), bound(&t).unwrap(), DRAWS_MIN);
    assert_eq!(a.unwrap().advantage, 0.0);
}

#[test]
fn a_mechanism_with_half_the_noise_is_caught() {
    let t = table(16, &[(0, 1, 1), (0, 1, 1)], 1, 0.02);
    let honest = Mechanism::for_table(&t).unwrap();
    let sigma = honest.sigma() / 2.0;
    let mutant = Mechanism { table: t.clone(), noise: Noise::mutant(Law::Gaussian, sigma, honest.rho()) };
    let (with, without) = neighbours(&t);
    let a = measure(&mutant, with.sums(), without.sums(), bound(&t).unwrap(), 20_000).unwrap();
    assert!(a.low > a.bound, "{a:?}");
}
