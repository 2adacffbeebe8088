//! The worker's figures, each against its peer or its goal in the same run:
//! `cargo bench -p sluice-worker [-- SECTION… [--guest FILE] [--rows N]]`.
//!
//! Times are the best of several rounds: another program on the machine can only
//! make one longer. What one thread does is measured in processor time, and sections
//! that keep both cores busy also say it: others disturb it less. Fuel is left out here alone, to show what it costs; the
//! child programs have no such choice.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::allow_attributes,
    reason = "a benchmark prints, and may fail loudly"
)]

#[path = "../../tests/common/mod.rs"]
mod common;
mod guests;
mod inside;
mod rooms;

use std::time::{Duration, Instant};

/// A part of the benchmark, by name.
type Section = (&'static str, fn(&Options));

const SECTIONS: [Section; 7] = [
    ("rows-in", inside::rows_in),
    ("kernels", inside::kernels),
    ("path", rooms::path),
    ("first-row", rooms::first_row),
    ("persons", rooms::persons),
    ("idle", rooms::idle),
    ("growth", rooms::growth),
];

/// What the command line asks for.
pub(crate) struct Options {
    /// The guest of `first-row`, `persons` and `idle`.
    guest: std::path::PathBuf,
    /// Rows of the longest run of `growth`.
    rows: u64,
}

fn main() {
    let target = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
    let mut options = Options { guest: target.join("guests/spending_change.wasm"), rows: 10_000_000 };
    let (mut wanted, mut args) = (Vec::new(), std::env::args().skip(1));
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--bench" => {} // cargo's own
            "--guest" => options.guest = args.next().unwrap().into(),
            "--rows" => options.rows = args.next().unwrap().parse().unwrap(),
            section => wanted.push(section.to_owned()),
        }
    }
    for (name, run) in SECTIONS {
        if wanted.is_empty() || wanted.iter().any(|w| w == name) {
            println!("\n{name}");
            run(&options);
        }
    }
}

/// The shortest of `rounds` runs of `work`.
pub(crate) fn best(rounds: u32, mut work: impl FnMut()) -> Duration {
    let times = (0..rounds).map(|_| {
        let started = Instant::now();
        work();
        started.elapsed()
    });
    times.min().unwrap_or_default()
}

/// As [`best`], in the time that this thread had a processor: others on the machine do
/// not count, beyond what they leave of the caches.
pub(crate) fn best_here(rounds: u32, mut work: impl FnMut()) -> Duration {
    let times = (0..rounds).map(|_| {
        let before = cpu_time(libc::CLOCK_THREAD_CPUTIME_ID);
        work();
        cpu_time(libc::CLOCK_THREAD_CPUTIME_ID) - before
    });
    times.min().unwrap_or_default()
}

/// Processor time of this thread or this process so far.
#[expect(unsafe_code, reason = "the standard library has no clock of processor time")]
pub(crate) fn cpu_time(clock: libc::clockid_t) -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is live and of the type that is written.
    assert_eq!(unsafe { libc::clock_gettime(clock, &raw mut now) }, 0);
    Duration::new(now.tv_sec.cast_unsigned(), now.tv_nsec as u32)
}

/// One line: what, its figure, and what it is held against.
pub(crate) fn line(what: &str, figure: &str, against: &str) {
    println!("  {what:<44} {figure:>14}   {against}");
}

/// One line for a ratio with a goal.
pub(crate) fn ratio(what: &str, this: Duration, peer: Duration, goal: f64) {
    let ratio = this.as_secs_f64() / peer.as_secs_f64();
    let kept = if ratio <= goal { "kept" } else { "MISSED" };
    line(what, &format!("{ratio:.2}×"), &format!("goal ≤ {goal}× {kept}; {this:.1?} to {peer:.1?}"));
}
