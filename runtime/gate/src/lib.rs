//! 输出闸门: what a run may say, and the only way a product gets out.
//!
//! The way to read it: hostile bytes become integers ([`intake`]) → clamped sums
//! ([`route_a`], and [`route_b`] over blocks; [`route_d`] holds a whole answer) → noised sums ([`noise`]); true tabulations are judged and
//! suppressed ([`route_c`]); [`clear()`] composes all of it and alone makes a
//! [`Cleared`]; [`quarantine()`] holds it for review, with [`findings()`] beside it,
//! until [`Quarantined::release`] consumes a recorded approval.
//!
//! Pure, but for [`noise`]: no clock, no files, no network; keys come in as
//! functions. Nothing here is `Serialize` but what is told of synthetic answers ([`losses`]), no error or `Debug` carries a value.
//!
//! [`check`] runs the same rules, suppression and [`lineage`] on a microdata file, for
//! anybody; [`evidence`] is what reviewers of routes C and D are shown beside it.
#![forbid(unsafe_code)]

mod answer;
pub mod check;
mod clear;
mod disclosure;
pub mod evidence;
mod findings;
#[cfg(test)]
mod fixtures;
pub mod held;
pub mod intake;
pub mod lineage;
pub mod losses;
pub mod marks;
pub mod noise;
mod quarantine;
mod refusals;
pub mod route_a;
pub mod route_b;
pub mod route_c;
pub mod route_d;
mod shares;

pub use answer::{Answer, can_keep};
pub use clear::{Cleared, GateInput, clear, clear_round};
pub use findings::{Finding, Risk, findings, history_findings, reason_name};
pub use quarantine::{Quarantined, Released, quarantine};
pub use route_c::Sensitivity;
pub use route_d::Behind;
