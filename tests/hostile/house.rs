//! The house as it stands: inspection, the real room with its child process, the
//! gate's intake and reduction. What the operator could see at best is the exact sums,
//! which in truth only noise reads; here the commitment's function reads them.

use std::{cell::RefCell, sync::Arc, time::Duration};

use sluice_domain::{
    Digest, Refusal,
    catalogue::Key,
    contract::{Combine, Dimension, Law, MeasureA, TableA, TableB},
};
use sluice_gate::{
    Answer,
    intake::{OutputSchema, RawBatch, RawColumn, decode},
    route_a::Reducer,
    route_b,
};
use sluice_rows::{
    RowBatch,
    arrow::{
        array::{ArrayRef, Int64Array},
        record_batch::RecordBatch,
    },
};
use sluice_worker::{
    CacheKey, Compiled, InspectLimits, Inspected, Interface, LayerName, Profile, Programs, Room, RoomLimits,
    UnitOutcome, compile, inspect, inspect_for,
};
use zeroize::Zeroizing;

use crate::guest::Guest;

/// Units on the roster, most of which have no rows.
const ROSTER: u64 = 10;
/// Rows that one answer may have.
pub(crate) const ROWS_MAX: u32 = 100;
/// Linear memory of an instance, bytes.
const MEMORY: u64 = 4 << 20;
/// Highest contribution to one key, in grid units: 8, on a grid of eighths.
pub(crate) const CLAMP: i64 = 64;
/// The person everybody is after.
const TARGET: i64 = 7;

/// One unit's rows: its number, and a number that is nobody's business.
pub(crate) type Unit = (i64, i64);

/// Two neighbouring worlds, 0 and 1: the target's number differs, or (for a guest
/// whose header says `secret: presence`) whether somebody else is there.
pub(crate) fn world(guest: &Guest, secret: i64) -> Vec<Unit> {
    if guest.fields.get("secret").is_some_and(|s| s == "presence") {
        let other = (secret == 1).then_some((3, 0));
        return [(1, 10)].into_iter().chain(other).chain([(TARGET, 0), (2, 20)]).collect();
    }
    vec![(1, 10), (TARGET, secret), (2, 20)]
}

/// The rows of each call: a unit's own, or those of the units of a block.
pub(crate) fn calls(guest: &Guest, world: &[Unit]) -> Vec<Vec<Unit>> {
    if guest.has("route", "B") {
        // People are dealt out by a key that no guest knows; here by their numbers.
        let block = |wanted| world.iter().copied().filter(|(id, _)| id % 2 == wanted).collect();
        return vec![block(1), block(0)];
    }
    world.iter().map(|unit| vec![*unit]).collect()
}

/// World 0 without the target.
pub(crate) fn without_target(guest: &Guest) -> Vec<Unit> {
    world(guest, 0).into_iter().filter(|(id, _)| *id != TARGET).collect()
}

/// The contract's table: one dimension of four keys, one sum, one key per unit.
fn table_a(guest: &Guest) -> TableA {
    let text = guest.fields.get("dimension").is_some_and(|d| d == "text");
    let keys: Vec<Key> = if text {
        ["aa", "bb", "cc", "dd"].map(|k| Key::Text(k.into())).into()
    } else {
        (0..4).map(Key::Int).collect()
    };
    TableA {
        name: "t".into(),
        dimensions: vec![Dimension {
            name: "k".into(),
            title: "k".into(),
            domain: keys.into_iter().map(|k| (k.clone(), k.to_string())).collect(),
            base: None,
        }],
        measures: vec![MeasureA { name: "m".into(), lo: -CLAMP, hi: CLAMP, grid: 8 }],
        keys_per_unit: 1,
        rho: 0.02,
        noise: Law::Gaussian,
        shares: vec![],
        consistent: None,
    }
}

/// The same as blocks answer it: a mean over two of them.
fn table_b(guest: &Guest) -> TableB {
    let TableA { name, dimensions, measures, rho, .. } = table_a(guest);
    TableB { name, dimensions, measures, blocks: 2, combine: Combine::Mean, rho }
}

/// What the noise is made for: the table, or of route B the table of its sums.
pub(crate) fn table(guest: &Guest) -> TableA {
    if guest.has("route", "B") { table_b(guest).as_sums().unwrap() } else { table_a(guest) }
}

/// Inspection.
pub(crate) fn look_at(bytes: &[u8]) -> Result<Inspected, Refusal> {
    inspect(bytes, InspectLimits { bytes_max: 1 << 20, memory_bytes: MEMORY })
}

/// The guest as a room takes it.
pub(crate) fn compiled(guest: &Guest, interface: Interface) -> (Programs, Compiled) {
    let cache = tempfile::tempdir().unwrap();
    let key = CacheKey::new(Zeroizing::new([3; 32]));
    // A container that cannot unshare must still show what the room itself stops.
    let programs = Programs::beside_current_exe().unwrap().accepting_missing(&LayerName::ALL);
    let limits = InspectLimits { bytes_max: 1 << 20, memory_bytes: MEMORY };
    let inspected = inspect_for(interface, &guest.bytes(), limits).unwrap_or_else(|e| panic!("{}: {e:?}", guest.file));
    let compiled = compile(&programs, &inspected, Profile::Standard, cache.path(), &key).unwrap();
    (programs, compiled)
}

/// What every call is held to.
pub(crate) fn limits() -> RoomLimits {
    RoomLimits {
        fuel: 2_000_000,
        stack_bytes: 1 << 20,
        memory_bytes: MEMORY,
        rows_max: ROWS_MAX,
        output_bytes_max: 64 << 10,
        unit_rows_max: 50,
        unit_bytes_max: 1 << 20,
        wall: Duration::from_secs(60),
        profile: Profile::Standard,
    }
}

/// What the room answers for each call of each world.
pub(crate) fn answers(guest: &Guest, worlds: &[Vec<Unit>]) -> Vec<Vec<Option<RawBatch>>> {
    let (programs, compiled) = compiled(guest, Interface::Inner);
    let limits = limits();
    let params = [("input.t".to_owned(), "id:int,n:int".to_owned())];
    let state = guest.fields.get("state").map(String::as_bytes).unwrap_or_default();
    let mut room = Room::open_in_round(&programs, &compiled, &limits, &params, state).unwrap();
    let mut ask = |units: &Vec<Unit>| {
        let mut answers = Vec::new();
        let calls = calls(guest, units);
        room.map_all(calls.iter().map(|units| rows(units)), |outcome| answers.push(into_gate(outcome))).unwrap();
        answers
    };
    worlds.iter().map(&mut ask).collect()
}

fn rows(units: &[Unit]) -> RowBatch {
    let column = |of: fn(&Unit) -> i64| Arc::new(units.iter().map(of).collect::<Int64Array>()) as ArrayRef;
    RowBatch::new(RecordBatch::try_from_iter([("id", column(|u| u.0)), ("n", column(|u| u.1))]).unwrap())
}

/// The same bytes under the gate's name; none of a call that failed.
pub(crate) fn into_gate(outcome: UnitOutcome) -> Option<RawBatch> {
    let UnitOutcome::Output(batch) = outcome else { return None };
    let columns = batch.columns.into_iter();
    let columns = columns.map(|c| RawColumn { nulls: c.nulls, validity: c.validity, offsets: c.offsets, data: c.data });
    Some(RawBatch { rows: batch.rows, columns: columns.collect() })
}

/// Whether each unit's answer passes intake.
pub(crate) fn accepted(guest: &Guest, answers: &[Option<RawBatch>]) -> Vec<bool> {
    let schema = OutputSchema::of(&table(guest), ROWS_MAX).unwrap();
    answers.iter().map(|a| a.as_ref().is_some_and(|raw| decode(raw, &schema).is_some())).collect()
}

/// The exact sums, one per key.
pub(crate) fn sums(guest: &Guest, answers: &[Option<RawBatch>]) -> Vec<i64> {
    let exact: Answer = if guest.has("route", "B") {
        let mut reducer = route_b::Reducer::new(&table_b(guest), ROWS_MAX).unwrap();
        answers.iter().for_each(|answer| reducer.add(answer.as_ref()));
        reducer.finish().unwrap()
    } else {
        let mut reducer = Reducer::new(&table(guest), ROSTER, ROWS_MAX).unwrap();
        answers.iter().for_each(|answer| reducer.add(answer.as_ref()));
        reducer.finish().unwrap().into()
    };
    let seen = RefCell::new(Vec::new());
    exact.commitment(&|bytes| {
        let (_, sums) = bytes.split_at(bytes.len() - 4 * 8);
        seen.replace(sums.chunks_exact(8).map(|word| i64::from_le_bytes(word.try_into().unwrap())).collect());
        Digest::of(bytes)
    });
    seen.into_inner()
}

/// The squared distance of two tables.
pub(crate) fn distance_squared(a: &[i64], b: &[i64]) -> u128 {
    a.iter().zip(b).map(|(a, b)| u128::from(a.abs_diff(*b)).pow(2)).sum()
}
