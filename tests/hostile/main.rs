//! Hostile guests, one per attack, against the house as it stands and against the
//! house with the layer left out that stops them.
//!
//! `guests/*.wat` begin with a header: `attack` (its row in docs/red-team.md), what it
//! `tries`, the `layer` that stops it, what is left out to show that it leaks
//! `without` it, and the `verdict` that it meets. Both are checked here for each.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::allow_attributes,
    reason = "tests may fail loudly"
)]

mod guest;
mod held;
mod house;
mod lesioned;
mod outer;
mod table;

use std::{
    panic::catch_unwind,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use guest::{Guest, Verdict, guests};
use house::{accepted, answers, distance_squared, look_at, sums, table, without_target, world};
use lesioned::{Seen, seen};

/// Runs `check` over all guests, on as many threads as there are processors, and
/// names every guest for which it fails.
fn each(check: impl Fn(&Guest) + Sync + std::panic::RefUnwindSafe) {
    let (guests, next) = (guests(), AtomicUsize::new(0));
    assert!(guests.len() > 60, "the guests are gone");
    let work = || {
        let mut failed = Vec::new();
        while let Some(guest) = guests.get(next.fetch_add(1, Ordering::Relaxed)) {
            if catch_unwind(std::panic::AssertUnwindSafe(|| check(guest))).is_err() {
                failed.push(guest.file.clone());
            }
        }
        failed
    };
    let threads = thread::available_parallelism().map_or(2, usize::from);
    let failed: Vec<String> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|w| w.join().unwrap()).collect()
    });
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn every_guest_meets_its_verdict() {
    each(|guest| {
        let name = &guest.file;
        if let Verdict::Refused(code) = guest.verdict() {
            let refusal = look_at(&guest.bytes()).expect_err(name);
            assert_eq!(refusal.code, code, "{name}");
            return;
        }
        if guest.is_outer() {
            return outer::meets_its_verdict(guest);
        }
        let worlds = [world(guest, 0), world(guest, 1), without_target(guest)];
        let answers = answers(guest, &worlds);
        let [honest, hostile, absent] = [0, 1, 2].map(|w| sums(guest, &answers[w]));
        match guest.verdict() {
            Verdict::Refused(_) | Verdict::Failed => unreachable!("handled above"),
            Verdict::Default => {
                assert_eq!(hostile, absent, "{name}: the target counts");
                assert_ne!(honest, absent, "{name}: the guest never answers, so the test says nothing");
                let others = accepted(guest, &answers[1]).iter().filter(|ok| **ok).count();
                assert_eq!(others, 2, "{name}: somebody else's answer changed");
            }
            Verdict::DefaultAlways => {
                assert!(answers.iter().all(|a| accepted(guest, a).iter().all(|ok| !ok)), "{name}: it was believed");
            }
            Verdict::Same => {
                let all = [0, 1].iter().all(|w| accepted(guest, &answers[*w]).iter().all(|ok| *ok));
                assert!(all, "{name}: an answer was refused, so the test says nothing");
                assert_eq!(honest, hostile, "{name}");
            }
            Verdict::Bounded => {
                let moved = distance_squared(&honest, &hostile);
                assert!(moved > 0, "{name}: it does not even try");
                assert!(moved <= table(guest).sensitivity_l2_squared().unwrap(), "{name}: {honest:?} {hostile:?}");
            }
        }
    });
}

#[test]
fn every_guest_leaks_where_its_layer_is_left_out() {
    each(|guest| {
        let name = &guest.file;
        match (seen(guest, 0), seen(guest, 1)) {
            (Seen::Table(a), Seen::Table(b)) => {
                let covered = table(guest).sensitivity_l2_squared().unwrap();
                assert!(distance_squared(&a, &b) > covered, "{name}: the noise would cover {a:?} {b:?}");
            }
            (Seen::Loaded, Seen::Loaded) => {}
            (Seen::Waiting, Seen::Waiting) => assert_eq!(guest.verdict(), Verdict::DefaultAlways, "{name}"),
            (a, b) => assert_ne!(a, b, "{name}: without `{}` the worlds still look the same", guest.field("without")),
        }
    });
}
