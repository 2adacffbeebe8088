//! What fuel is worth in time: the figures behind the rule pack's `[tick]`
//! (docs/benchmarks.md). A measurement, not a check: run it by name, with `--ignored`.

mod common;

use std::time::Instant;

use common::{OK, limits, module, open, unit};
use sluice_worker::RoomLimits;

/// Loops that never end: what they do per turn.
const LOOPS: [(&str, &str); 4] = [
    ("add", "(local.set 0 (i32.add (local.get 0) (i32.const 7)))"),
    ("division", "(local.set 0 (i32.div_u (i32.const -1) (i32.or (local.get 0) (i32.const 3))))"),
    (
        "loads far apart",
        "(local.set 0 (i32.and (i32.add (i32.mul (local.get 0) (i32.const 1103515245)) (i32.const 12345)) (i32.const 0x1ffffc)))
         (local.set 0 (i32.add (local.get 0) (i32.load (local.get 0))))
         (local.set 0 (i32.and (local.get 0) (i32.const 0x1ffffc)))",
    ),
    ("memory.fill of 64 KiB", "(memory.fill (i32.const 65536) (i32.const 0) (i32.const 65536))"),
];

#[test]
#[ignore = "a measurement: docs/benchmarks.md"]
fn fuel_and_time() {
    for (name, turn) in LOOPS {
        let fuel = if name.starts_with("memory") { 200_000 } else { 400_000_000 };
        let finish = format!("(local i32) (loop $again {turn} (br $again)) (unreachable)");
        let wat = module("", OK, &finish).replace("(memory (export \"memory\") 2)", "(memory (export \"memory\") 60)");
        let mut room = open(&wat, &RoomLimits { fuel, ..limits() });
        room.map(unit(&[1])).unwrap();
        let start = Instant::now();
        room.map(unit(&[1])).unwrap();
        #[expect(clippy::cast_precision_loss, reason = "a figure to read")]
        let rate = fuel as f64 / start.elapsed().as_secs_f64() / 1e6;
        println!("{name}: {rate:.1} fuel per microsecond");
    }
    let mut room = open(&module("", OK, OK), &limits());
    let start = Instant::now();
    let calls = room.map_all((0..10_000).map(|n| unit(&[n])), |_| ()).unwrap();
    #[expect(clippy::cast_precision_loss, reason = "a figure to read")]
    let each = start.elapsed().as_secs_f64() * 1e6 / calls as f64;
    println!("an invocation without work: {each:.1} microseconds");
}
