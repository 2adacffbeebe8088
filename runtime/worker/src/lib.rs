//! 内室: where an operator's code meets people's rows.
//!
//! The way to read it: [`inspect()`] refuses a guest that could ask for anything,
//! before it is compiled → [`compile()`] makes machine code of it in a child that
//! sees no data → [`Room`] is a second child that runs it, one fresh instance per
//! privacy unit, and answers with raw bytes or "failed" → the gate's intake
//! decides what the bytes mean. [`OuterRoom`] is the same kind of child for a guest
//! that sees cleared cells only. Nothing here believes a guest, and nothing a
//! guest says in words leaves the child.
//!
//! Not here: which rows a unit has (`view`), what an output may be (`gate`).
//! `child` is the code of the two child programs and `jail` is how they lock
//! themselves in; the parent calls neither. `doctor` asks them what they can still do.
#![deny(unsafe_code)]

pub mod attempt;
#[doc(hidden)]
pub mod child;
pub mod compile;
pub mod doctor;
mod encode;
pub mod error;
pub mod explain;
pub mod inspect;
#[doc(hidden)]
pub mod jail;
mod keeper;
pub mod layer;
pub mod limits;
pub mod outer;
#[doc(hidden)]
pub mod places;
pub mod programs;
pub mod raw;
pub mod ring;
pub mod room;
pub mod rooms;
pub mod step;
pub mod wire;

pub use attempt::Attempt;
pub use compile::{CacheKey, Compiled, Origin, cached, compile};
pub use doctor::{Child, Outcome, Report, doctor, layers};
pub use encode::schema_param;
pub use error::WorkerError;
pub use explain::{End, Explained, Explainer, SyntheticCall, Told};
pub use inspect::{InspectLimits, Inspected, Interface, inspect, inspect_for};
pub use layer::{Layer, LayerName, LayerStatus};
pub use limits::{Profile, RoomLimits};
pub use outer::{OuterRoom, Table};
pub use programs::Programs;
pub use raw::{RawBatch, RawColumn, UnitOutcome};
pub use room::{Invocation, Room};
pub use rooms::Rooms;
