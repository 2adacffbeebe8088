//! The generated bindings of `sdk/wit`, and the glue from its three calls to one
//! function. Guests reach it through [`crate::inner!`] only.

use std::cell::RefCell;

use crate::{Artefact, Error, Report, Room, Table, room::Collector};

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

/// What `wit-bindgen` makes of world `outer`.
#[allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    clippy::allow_attributes,
    clippy::all,
    reason = "generated; which lints it meets changes with the generator"
)]
pub mod outer_bindings {
    wit_bindgen::generate!({
        path: "../wit",
        world: "outer",
        runtime_path: "::sluice_guest::abi::wit_bindgen::rt",
        default_bindings_module: "sluice_guest::abi::outer_bindings",
        pub_export_macro: true,
    });
}

pub use bindings::exports::sluice::job::inner_room::{Batch, Column, Guest as InnerRoom};
pub use outer_bindings::exports::sluice::job::outer_room::{Batch as OuterBatch, Guest as OuterRoom};
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

/// `update` of the ABI.
///
/// # Errors
/// The job's own, or cells that do not read.
pub fn update(
    round: u32,
    state: Vec<u8>,
    cleared: OuterBatch,
    job: impl FnOnce(u32, &[u8], &Table) -> Result<Vec<u8>, Error>,
) -> Result<Vec<u8>, String> {
    let table = Table::of_batch(Vec::new(), cleared).map_err(|e| e.to_string())?;
    job(round, &state, &table).map_err(|e| e.to_string())
}

/// `compose` of the ABI.
///
/// # Errors
/// The job's own, or tables that do not read.
pub fn compose(
    state: Vec<u8>,
    tables: Vec<(String, OuterBatch)>,
    job: impl FnOnce(&Report) -> Result<Vec<Artefact>, Error>,
) -> Result<Vec<(String, Vec<u8>)>, String> {
    let report = Report::of_batches(state, tables).map_err(|e| e.to_string())?;
    let artefacts = job(&report).map_err(|e| e.to_string())?;
    Ok(artefacts.into_iter().map(Artefact::into_parts).collect())
}
