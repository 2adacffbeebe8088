//! What fuel is worth in time: the figures behind the engine's prices and the rule
//! pack's `[tick]` (docs/benchmarks.md). A measurement, not a check: run it by name,
//! with `--ignored`. That bulk operations are paid for by size is checked.

#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::allow_attributes,
    reason = "tests may fail loudly; figures are to read"
)]

mod common;

use std::time::{Duration, Instant};

use common::{OK, component, key, limits, module, open, programs, unit};
use sluice_worker::{InspectLimits, Profile, Room, RoomLimits, UnitOutcome, compile, inspect};

/// Long enough for the start of a call not to count.
const LONG: Duration = Duration::from_millis(200);
/// Memory of the measured guests: more than any cache.
const PAGES: u32 = 960;

/// What a loop that never ends does per turn, how often it is written out, and what it
/// starts with. Local 0 is an i32, 1 an i64, 2 an f64.
const LOOPS: [(&str, usize, &str, &str); 16] = [
    ("add", 64, "", "(local.set 0 (i32.add (local.get 0) (i32.const 7)))"),
    ("i64.div_s", 64, "(local.set 1 (i64.const -1))", "(local.set 1 (i64.div_s (local.get 1) (i64.const 1)))"),
    ("f64.sqrt", 64, "(local.set 2 (f64.const 3.7))", "(local.set 2 (f64.sqrt (local.get 2)))"),
    ("f64.div", 64, "(local.set 2 (f64.const 3.7))", "(local.set 2 (f64.div (f64.const 1.7) (local.get 2)))"),
    ("loads, each after the last, in 2 MiB", 64, CHAIN_2_MIB, "(local.set 0 (i32.load (local.get 0)))"),
    ("loads, each after the last, in 56 MiB", 64, CHAIN_56_MIB, "(local.set 0 (i32.load (local.get 0)))"),
    ("memory.fill of nothing", 64, "", "(memory.fill (local.get 0) (local.get 0) (local.get 0))"),
    ("memory.fill of 64 KiB", 1, "", "(memory.fill (i32.const 65536) (i32.const 0) (i32.const 65536))"),
    ("memory.fill of 32 MiB", 1, "", "(memory.fill (i32.const 65536) (i32.const 0) (i32.const 0x2000000))"),
    ("memory.copy of nothing", 64, "", "(memory.copy (local.get 0) (local.get 0) (local.get 0))"),
    ("memory.copy of 24 MiB", 1, "", "(memory.copy (i32.const 0) (i32.const 0x2000000) (i32.const 0x1800000))"),
    ("memory.grow by nothing", 64, "", "(drop (memory.grow (local.get 0)))"),
    ("memory.grow by too much", 64, "(local.set 0 (i32.const 9000))", "(drop (memory.grow (local.get 0)))"),
    ("table.fill of nothing", 64, "", "(table.fill 0 (local.get 0) (ref.null func) (local.get 0))"),
    ("table.fill of 10 000", 1, "", "(table.fill 0 (i32.const 0) (ref.null func) (i32.const 10000))"),
    ("table.grow by nothing", 64, "", "(drop (table.grow 0 (ref.null func) (local.get 0)))"),
];

/// Writes a chain of pointers, one per page of 4 KiB and each 2 MiB + 64 bytes on.
const CHAIN_2_MIB: &str = "(loop $w (i32.store (local.get 0)
    (i32.and (i32.add (i32.mul (local.get 0) (i32.const 5)) (i32.const 0x10040)) (i32.const 0x1fffc0)))
  (local.set 0 (i32.add (local.get 0) (i32.const 64))) (br_if $w (i32.lt_u (local.get 0) (i32.const 0x200000))))
  (local.set 0 (i32.const 64))";
const CHAIN_56_MIB: &str = "(loop $w (i32.store (local.get 0)
    (i32.rem_u (i32.add (i32.mul (local.get 0) (i32.const 5)) (i32.const 0x765040)) (i32.const 0x3800000)))
  (local.set 0 (i32.add (local.get 0) (i32.const 64))) (br_if $w (i32.lt_u (local.get 0) (i32.const 0x3800000))))
  (local.set 0 (i32.const 64))";

#[test]
fn bulk_operations_are_paid_for_by_size_and_by_call() {
    // What each of ten turns costs, without the loop around it.
    for (turn, least) in [
        ("(memory.fill (i32.const 0) (i32.const 0) (i32.const 60000))", 60_000),
        ("(memory.copy (i32.const 0) (i32.const 1000) (i32.const 60000))", 60_000),
        ("(table.fill 0 (local.get 1) (ref.null func) (i32.const 9000))", 9000),
        ("(table.copy (local.get 1) (local.get 1) (i32.const 9000))", 9000),
        ("(drop (memory.grow (i32.const 9000)))", 100),
        ("(drop (memory.grow (local.get 1)))", 100),
        ("(drop (table.grow 0 (ref.null func) (local.get 1)))", 100),
    ] {
        let finish = format!(
            "(local i32 i32) (loop $again {turn} (local.set 0 (i32.add (local.get 0) (i32.const 1)))
             (br_if $again (i32.lt_u (local.get 0) (i32.const 10)))) (i32.const 1024)"
        );
        let answers = |fuel| matches!(roomy(&large(&finish), fuel).map(unit(&[1])).unwrap(), UnitOutcome::Output(_));
        assert!(!answers(10 * least), "{turn}");
        assert!(answers(10 * least + 1000), "{turn}");
    }
}

#[test]
#[ignore = "a measurement: docs/benchmarks.md"]
fn fuel_and_time() {
    for (name, times, before, turn) in LOOPS {
        let finish =
            format!("(local i32 i64 f64) {before} (loop $again {} (br $again)) (unreachable)", turn.repeat(times));
        let wat = large(&finish);
        let mut fuel = 20_000_000;
        let took = loop {
            let mut room = roomy(&wat, fuel);
            room.map(unit(&[1])).unwrap();
            let before = cpu_time(&room);
            room.map(unit(&[1])).unwrap();
            let took = cpu_time(&room) - before;
            if took > LONG {
                break took;
            }
            fuel *= 2;
        };
        println!("{name}: {:.1} fuel per microsecond", fuel as f64 / micros(took));
    }
    let mut room = open(&module("", OK, OK), &limits());
    let start = Instant::now();
    let calls = room.map_all((0..10_000).map(|n| unit(&[n])), |_| ()).unwrap();
    println!("an invocation without work: {:.1} microseconds", micros(start.elapsed()) / calls as f64);
    // Every page of the memory, written to for the first time.
    let touch = "(local i32) (loop $w (i32.store (local.get 0) (i32.const 1))
        (local.set 0 (i32.add (local.get 0) (i32.const 4096)))
        (br_if $w (i32.lt_u (local.get 0) (i32.const 0x3c00000)))) (i32.const 1024)";
    let mut room = roomy(&large(touch), 10_000_000);
    room.map(unit(&[1])).unwrap();
    let before = cpu_time(&room);
    (0..20).for_each(|_| drop(room.map(unit(&[1])).unwrap()));
    let each = micros(cpu_time(&room) - before) / 20.0;
    println!("an invocation that touches 60 MiB: {each:.0} microseconds, {:.0} per MiB", each / 60.0);
}

/// Time that the child has had a processor: others on the machine do not count.
fn cpu_time(room: &Room) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/schedstat", room.pid())).unwrap();
    Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
}

fn micros(took: Duration) -> f64 {
    took.as_secs_f64() * 1e6
}

/// A guest with a memory larger than any cache, and a table.
fn large(finish: &str) -> String {
    module("(table 10000 funcref)", OK, finish)
        .replace("(memory (export \"memory\") 2)", &format!("(memory (export \"memory\") {PAGES})"))
}

fn roomy(wat: &str, fuel: u64) -> Room {
    let memory_bytes = u64::from(PAGES) << 16;
    let guest = inspect(&component(wat), InspectLimits { bytes_max: 1 << 20, memory_bytes }).unwrap();
    let cache = tempfile::tempdir().unwrap();
    let code = compile(&programs(), &guest, Profile::Standard, cache.path(), &key()).unwrap();
    Room::open(&programs(), &code, &RoomLimits { fuel, memory_bytes, ..limits() }, &[]).unwrap()
}
