//! Write a Sluice job in Rust: typed rows in, contributions out.
//!
//! A guest is one function over the rows of one privacy unit:
//!
//! ```
//! use sluice_guest::{Dimension, Error, Output, Room};
//!
//! fn visits(room: &Room) -> Result<Output<1, 1>, Error> {
//!     let rows = room.rows()?;
//!     let mut out = Output::new([Dimension::int("plan")], ["visits"]);
//!     for (plan, visits) in rows.i64("plan")?.zip(rows.f64("mdvis")?) {
//!         if let (Some(plan), Some(visits)) = (plan, visits) {
//!             out.add([plan.into()], [visits])?;
//!         }
//!     }
//!     Ok(out)
//! }
//!
//! sluice_guest::inner!(visits);
//! ```
//!
//! The same function compiles natively, so its logic has plain unit tests
//! ([`Room::of`] builds one by hand). In the room there is no clock, no
//! randomness, no file, no network and no memory of the unit before; the text of
//! an [`Error`] never leaves it. `sdk/wit/sluice-job.wit` is the ABI beneath.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::allow_attributes,
        reason = "tests may fail loudly"
    )
)]

// The generated code names this crate from wherever a guest expands it.
extern crate self as sluice_guest;

#[doc(hidden)]
pub mod abi;
#[cfg(target_arch = "wasm32")]
mod heap;
mod outer;
mod output;
mod room;
mod rows;

use std::fmt;

pub use outer::{Artefact, Chart, Report, Table};
pub use output::{Dimension, Key, Output};
pub use room::Room;
pub use rows::{Column, Decimal, Rows, Type};

/// What went wrong, for the author's own tests. The host replaces the unit's
/// contribution by its declared default and shows this text to nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(String);

impl Error {
    /// An error that says `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// Makes a function `fn(&Room) -> Result<Output<_, _>, Error>` the guest of this
/// crate. The crate is a `cdylib`; use the macro once.
#[macro_export]
macro_rules! inner {
    ($job:path) => {
        // Off wasm there is no component to export from; the line keeps the
        // function in use and its type checked.
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn(&$crate::Room) = |room| drop($job(room).map($crate::Output::into_batch));

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct SluiceGuest;
            impl $crate::abi::InnerRoom for SluiceGuest {
                fn start(params: Vec<(String, String)>, state: Vec<u8>) -> Result<(), String> {
                    $crate::abi::start(params, state)
                }
                fn process(input: u32, rows: $crate::abi::Batch) -> Result<(), String> {
                    $crate::abi::process(input, rows)
                }
                fn finish() -> Result<$crate::abi::Batch, String> {
                    $crate::abi::finish(|room| $job(room).map($crate::Output::into_batch))
                }
            }
    $crate::abi::bindings::export!(SluiceGuest with_types_in $crate::abi::bindings);
        };
    };
}

/// Makes functions over cleared cells the outer-room guest of this crate:
/// `update = f` with `fn(u32, &[u8], &Table) -> Result<Vec<u8>, Error>`,
/// `compose = g` with `fn(&Report) -> Result<Vec<Artefact>, Error>`, or both. May
/// stand beside [`inner!`]: one component then serves both rooms.
#[macro_export]
macro_rules! outer {
    (update = $update:path) => {
        $crate::outer!(update = $update, compose = $crate::Report::nothing);
    };
    (compose = $compose:path) => {
        $crate::outer!(update = $crate::Table::keep_state, compose = $compose);
    };
    (update = $update:path, compose = $compose:path) => {
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn(u32, &[u8], &$crate::Table, &$crate::Report) = |round, state, table, report| {
            drop(($update(round, state, table), $compose(report)));
        };

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct SluiceOuterGuest;
            impl $crate::abi::OuterRoom for SluiceOuterGuest {
                fn update(round: u32, state: Vec<u8>, cleared: $crate::abi::OuterBatch) -> Result<Vec<u8>, String> {
                    $crate::abi::update(round, state, cleared, $update)
                }
                fn compose(
                    state: Vec<u8>,
                    tables: Vec<(String, $crate::abi::OuterBatch)>,
                ) -> Result<Vec<(String, Vec<u8>)>, String> {
                    $crate::abi::compose(state, tables, $compose)
                }
            }
    $crate::abi::outer_bindings::export!(SluiceOuterGuest with_types_in $crate::abi::outer_bindings);
        };
    };
}
