//! Route C: host tabulation under statistical disclosure control (gate.md §3).
//!
//! Stages, each a public function over plain values:
//! [`rules`] (which rules are on) → [`primary()`] (every cell of the declared domain,
//! judged by itself) → [`secondary()`] (what else must be withheld so that no withheld
//! cell follows from what is published). None of them makes anything `Cleared`.
//!
//! Route C claims no differential privacy. It does not look at earlier releases
//! (that is [`crate::lineage`]) and does not compare tables over different views.

pub(crate) mod audit;
mod class;
mod differencing;
pub(crate) mod frame;
pub(crate) mod impossible;
pub mod primary;
pub(crate) mod programme;
pub mod regression;
mod room;
pub mod rules;
pub mod secondary;
pub(crate) mod span;
pub mod survival;

pub use primary::{JudgedTable, primary};
pub use rules::{Class, Rules, Sensitivity, Switch};
pub use secondary::{Depth, secondary, secondary_to};
