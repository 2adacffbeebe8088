//! The whole thread on real data, through the same verbs that people use.
//! Needs the guests: run `scripts/guests` first (`scripts/test` does).
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may fail loudly"
)]

mod bad_input;
mod blocks;
mod canary;
mod command_line;
mod crash;
mod evidence;
mod exact;
mod frozen;
mod held;
mod hostile;
mod impossible;
mod impostor;
mod languages;
mod limits;
mod lineage;
mod marks;
mod operator;
mod people;
mod preflight;
mod quantiles;
mod queue;
mod raw;
mod rehearsal;
mod released_keys;
mod rounds;
mod schema;
mod seeds;
mod survival;
mod tamper;
mod town;
