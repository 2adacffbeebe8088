//! How long 400 new cells take against 1 000 released tables of 400 cells: the time
//! as a ratio to the limit of one second, and the memory of the history.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints, and may fail loudly")]

use std::time::Instant;

use roaring::RoaringBitmap;
use sluice_gate::{
    lineage::{Entry, History, Microdata, People, Quantity, Standing, Work, examine},
    route_c::Rules,
};

const UNITS: u32 = 100_000;
const TABLES: u64 = 1_000;
const CELLS: u64 = 400;
const K: u64 = 10;
const LIMIT_SECONDS: f64 = 1.0;

/// A number from two, well mixed.
fn mix(a: u64, b: u64) -> u64 {
    let x = (a ^ b.wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (x ^ (x >> 29)).wrapping_mul(0x94D0_49BB_1331_11EB) >> 11
}

/// The cells of one table: a partition of everybody.
fn table(number: u64) -> Vec<RoaringBitmap> {
    let mut cells = vec![RoaringBitmap::new(); usize::try_from(CELLS).unwrap()];
    for unit in 0..UNITS {
        let cell = usize::try_from(mix(u64::from(unit), number) % CELLS).unwrap();
        cells.get_mut(cell).unwrap().insert(unit);
    }
    cells
}

fn main() {
    let data =
        Microdata::new((0..UNITS).collect(), vec![], |row| u128::from(mix(row, 1)) << 64 | u128::from(mix(row, 2)));
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    let entry = |rows: RoaringBitmap| {
        let value = rows.len() as f64;
        Entry::new(Quantity::Count, rows, value, Standing::Published, &data, Some(K))
    };
    let mut history = History::default();
    for number in 0..TABLES {
        history.enter(table(number).into_iter().map(entry));
    }
    let mut cells = table(TABLES);
    // One cell is an old one without one unit: it must be found.
    let old = table(0).swap_remove(7);
    let without: RoaringBitmap = old.iter().skip(1).collect();
    *cells.get_mut(7).unwrap() = without;
    let new: Vec<(usize, Entry)> = cells.into_iter().map(entry).enumerate().collect();

    let rules = Rules { threshold: Some(K), ..Rules::none() };
    let people = People { data: &data, rules: &rules, dominance_n: 2 };
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let begin = Instant::now();
        let examined = examine(&history, &new, &people, &Work::default()).unwrap();
        best = best.min(begin.elapsed().as_secs_f64());
        assert!(examined.withhold.contains(&7), "the planted difference is found");
    }
    println!(
        "lineage: {CELLS} cells against {TABLES} tables of {CELLS} cells over {UNITS} units: {best:.3} s, \
         ratio to the limit {:.2}; history {} MB",
        best / LIMIT_SECONDS,
        history.bytes() / 1_000_000
    );
}
