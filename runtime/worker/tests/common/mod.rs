//! Small guests written by hand, and a room to put them in. They need no wasm
//! toolchain: the core module is text, and the world is embedded from `sdk/wit`.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::allow_attributes,
    reason = "shared by several test programs, each of which uses a part; tests may fail loudly"
)]

use std::{path::Path, sync::Arc, time::Duration};

use sluice_domain::Refusal;
use sluice_rows::{
    RowBatch,
    arrow::{
        array::{ArrayRef, Int64Array},
        record_batch::RecordBatch,
    },
};
use sluice_worker::{
    CacheKey, Compiled, InspectLimits, Inspected, LayerName, Profile, Programs, RawBatch, Room, RoomLimits,
    UnitOutcome, WorkerError, compile, inspect,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

pub const WIT: &str = include_str!("../../../../sdk/wit/sluice-job.wit");

/// `ok` of `result<_, string>`: zeros at 1024.
pub const OK: &str = "(i32.const 1024)";
/// `ok` of one row, one column: the eight bytes at 3000.
pub const ONE_VALUE: &str = "
    (i32.store (i32.const 1028) (i32.const 1))
    (i32.store (i32.const 1032) (i32.const 2048))
    (i32.store (i32.const 1036) (i32.const 1))
    (i32.store (i32.const 2076) (i32.const 3000))
    (i32.store (i32.const 2080) (i32.const 8))
    (i32.const 1024)";

/// A core module with the ABI's exports and these bodies. Locals of `process`:
/// 0 input, 1 rows, 2 columns, 3 their number.
pub fn module(extra: &str, process: &str, finish: &str) -> String {
    module_with(extra, OK, process, finish)
}

/// As [`module`], with a body for `start`: 0, 1 params; 2, 3 state.
pub fn module_with(extra: &str, start: &str, process: &str, finish: &str) -> String {
    let room = "sluice:job/inner-room@0.1.0";
    format!(
        r#"(module
            {extra}
            (memory (export "memory") 2)
            (global $heap (mut i32) (i32.const 8192))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local i32)
                (local.set 4 (global.get $heap))
                (global.set $heap (i32.and (i32.add (i32.add (local.get 4) (local.get 3)) (i32.const 7)) (i32.const -8)))
                (local.get 4))
            (func (export "{room}#start") (param i32 i32 i32 i32) (result i32) {start})
            (func (export "{room}#process") (param i32 i32 i32 i32) (result i32) {process})
            (func (export "{room}#finish") (result i32) {finish}))"#
    )
}

/// The component of a core module for `world` of `wit`.
pub fn component_for(wat: &str, wit: &str, world: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("guest.wit", wit).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    let mut module = wat::parse_str(wat).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
}

/// The component of a core module for world `inner`.
pub fn component(wat: &str) -> Vec<u8> {
    component_for(wat, WIT, "inner")
}

pub fn programs() -> Programs {
    let here = Path::new(env!("CARGO_BIN_EXE_sluice-run")).parent().unwrap();
    // Tests must pass in a container that cannot unshare; the layers' own test says what is there.
    Programs::in_folder(here).unwrap().accepting_missing(&LayerName::ALL)
}

pub fn limits() -> RoomLimits {
    RoomLimits {
        fuel: 1_000_000,
        memory_bytes: 4 << 20,
        stack_bytes: 1 << 20,
        rows_max: 100,
        output_bytes_max: 64 << 10,
        unit_rows_max: 50,
        unit_bytes_max: 1 << 20,
        wall: Duration::from_secs(60),
        profile: Profile::Standard,
    }
}

pub fn looked_at(bytes: &[u8]) -> Result<Inspected, Refusal> {
    inspect(bytes, InspectLimits { bytes_max: 1 << 20, memory_bytes: 4 << 20 })
}

pub fn key() -> CacheKey {
    CacheKey::new(zeroize::Zeroizing::new([3; 32]))
}

pub fn compiled(component: &[u8]) -> Compiled {
    let cache = tempfile::tempdir().unwrap();
    compile(&programs(), &looked_at(component).unwrap(), Profile::Standard, cache.path(), &key()).unwrap()
}

pub fn open(wat: &str, limits: &RoomLimits) -> Room {
    Room::open(&programs(), &compiled(&component(wat)), limits, &[("input.t".to_owned(), "n:int".to_owned())]).unwrap()
}

/// One unit with one int column.
pub fn unit(values: &[i64]) -> RowBatch {
    let column: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
    RowBatch::new(RecordBatch::try_from_iter([("n", column)]).unwrap())
}

/// The bytes of the only column, or `None` for a failure.
pub fn bytes(outcome: UnitOutcome) -> Option<Vec<u8>> {
    match outcome {
        UnitOutcome::Failed => None,
        UnitOutcome::Output(RawBatch { columns, .. }) => Some(columns.into_iter().next().unwrap().data),
    }
}

/// The only value, or `None` for a failure.
pub fn value(outcome: UnitOutcome) -> Option<i64> {
    bytes(outcome).map(|b| i64::from_le_bytes(b.try_into().unwrap()))
}

/// Runs one unit after the other through [`Room::map`].
pub fn values(room: &mut Room, units: &[i64]) -> Result<Vec<Option<i64>>, WorkerError> {
    units.iter().map(|n| room.map(unit(&[*n])).map(value)).collect()
}
