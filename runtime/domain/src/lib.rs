//! The vocabulary of Sluice: what exists, what may happen, and who may do it.
//!
//! Everything here is pure: no files, no network, no clock, no randomness, no
//! rows. Times and signatures come in as arguments. The way to read it:
//! [`catalogue`] (what data there is) → [`agreement`] (who may see which view) →
//! [`job_file`] and [`contract`] (what a job promises to put out) → [`event`] (what happened) →
//! [`state`] (what that means now) → [`decide`] (what may happen next) →
//! [`approval`] (two people said yes to the same bytes).
#![forbid(unsafe_code)]

mod aggregate;
pub mod agreement;
pub mod approval;
pub mod artefact;
pub mod binning;
pub mod candidate;
pub mod catalogue;
mod column_type;
pub mod contract;
pub mod decide;
pub mod digest;
pub mod event;
pub mod evidence;
pub mod held;
pub mod id;
pub mod impossible;
pub mod job_file;
pub mod lang;
pub mod person;
pub mod refusal;
mod regression;
pub mod rulepack;
pub mod state;
mod survival;
pub mod visible;

pub use digest::Digest;
pub use lang::{Lang, Text, text};
pub use refusal::{Kind, Refusal};

/// A moment, UTC. Always passed in: nothing in this crate reads a clock.
pub type Timestamp = jiff::Timestamp;
/// A calendar day in the domain's own time zone (UTC+8).
pub type Date = jiff::civil::Date;

/// The calendar day a moment falls on in UTC+8, the zone of agreements and terms.
pub fn day_of(at: Timestamp) -> Date {
    at.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(8))).date()
}
