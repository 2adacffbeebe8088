//! The generated bindings of `sdk/wit`, and the glue from its three calls to one
//! function. Guests reach it through [`crate::inner!`] only.

use std::cell::RefCell;

use crate::{Error, Room, room::Collector};

/// What `wit-bindgen` makes of world `inner`.
#[allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    clippy::allow_attributes,
    clippy::all,
    reason = "generated; which lints it meets changes with the generator"
)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../wit",
        world: "inner",
        runtime_path: "::sluice_guest::abi::wit_bindgen::rt",
        default_bindings_module: "sluice_guest::abi::bindings",
        pub_export_macro: true,
    });
}

pub use bindings::exports::sluice::job::inner_room::{Batch, Column, Guest as InnerRoom};
pub use wit_bindgen;

thread_local! {
    /// One instance lives for one unit, so this starts empty for each of them.
    static COLLECTOR: RefCell<Collector> = RefCell::default();
}

/// `start` of the ABI.
///
/// # Errors
/// When a schema parameter does not read.
pub fn start(params: Vec<(String, String)>, state: Vec<u8>) -> Result<(), String> {
    COLLECTOR.with_borrow_mut(|c| c.start(params, state)).map_err(|e| e.to_string())
}

/// `process` of the ABI.
///
/// # Errors
/// When the batch does not fit the announced schema.
pub fn process(input: u32, rows: Batch) -> Result<(), String> {
    COLLECTOR.with_borrow_mut(|c| c.process(input, rows)).map_err(|e| e.to_string())
}

/// `finish` of the ABI: runs the job.
///
/// # Errors
/// The job's own.
pub fn finish(job: impl FnOnce(&Room) -> Result<Batch, Error>) -> Result<Batch, String> {
    job(&COLLECTOR.take().finish()).map_err(|e| e.to_string())
}
