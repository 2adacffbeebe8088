//! The examples that are not in Rust, as `scripts/guests` builds them, on people made
//! by hand. `guests.rs` has the Rust ones.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::allow_attributes,
    reason = "tests may fail loudly"
)]

mod common;

use std::{path::PathBuf, sync::Arc, time::Duration};

use common::{key, limits, programs};
use sluice_domain::catalogue::ColumnType;
use sluice_rows::{
    RowBatch,
    arrow::{
        array::{ArrayRef, Float64Array, Int64Array, StringArray},
        record_batch::RecordBatch,
    },
};
use sluice_worker::{InspectLimits, Profile, RawBatch, Room, RoomLimits, UnitOutcome, compile, inspect, schema_param};

fn open(name: &str, input: &str, columns: &[(&str, ColumnType)], params: &[(&str, &str)]) -> Room {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let path = target.parent().unwrap().join("guests").join(format!("{name}.wasm"));
    let bytes =
        std::fs::read(&path).unwrap_or_else(|_| panic!("`{}` is missing: run scripts/guests first", path.display()));
    let guest = inspect(&bytes, InspectLimits { bytes_max: 32 << 20, memory_bytes: 64 << 20 }).unwrap();
    let code = compile(&programs(), &guest, Profile::Standard, &target.join("forms"), &key()).unwrap();
    let columns: Vec<_> = columns.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect();
    let mut all = vec![schema_param(input, &columns)];
    all.extend(params.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
    let limits = RoomLimits {
        fuel: 500_000_000,
        memory_bytes: 64 << 20,
        unit_rows_max: 10_000,
        wall: Duration::from_secs(300),
        ..limits()
    };
    Room::open(&programs(), &code, &limits, &all).unwrap()
}

fn ints(values: &[Option<i64>]) -> ArrayRef {
    Arc::new(values.iter().copied().collect::<Int64Array>())
}

fn floats(values: &[Option<f64>]) -> ArrayRef {
    Arc::new(values.iter().copied().collect::<Float64Array>())
}

fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(values.iter().copied().collect::<StringArray>())
}

fn unit<const N: usize>(columns: [(&str, ArrayRef); N]) -> RowBatch {
    let columns = columns.map(|(name, values)| (name, values, true));
    RowBatch::new(RecordBatch::try_from_iter_with_nullable(columns).unwrap())
}

/// Number of rows, and the bytes of each column.
fn answer(room: &mut Room, rows: RowBatch) -> (u32, Vec<Vec<u8>>) {
    let UnitOutcome::Output(RawBatch { rows, columns }) = room.map(rows).unwrap() else { panic!("the guest failed") };
    (rows, columns.into_iter().map(|c| c.data).collect())
}

fn number(value: f64) -> Vec<u8> {
    value.to_le_bytes().to_vec()
}

#[test]
fn ratio_adds_up_the_years_that_have_both_amounts() {
    let kinds = [
        ("year", ColumnType::Int),
        ("coins", ColumnType::Int),
        ("outpdol", ColumnType::Float),
        ("meddol", ColumnType::Float),
    ];
    let mut room = open("ratio", "claims", &kinds, &[]);
    let mut go = |years: &[Option<i64>], coins: &[Option<i64>], out: &[Option<f64>], all: &[Option<f64>]| {
        let rows = [("year", ints(years)), ("coins", ints(coins)), ("outpdol", floats(out)), ("meddol", floats(all))];
        answer(&mut room, unit(rows))
    };
    let got = go(
        &[Some(2), Some(1), Some(3)],
        &[Some(50), Some(25), Some(95)],
        &[Some(10.0), Some(20.5), Some(40.0)],
        &[Some(100.0), Some(50.0), None],
    );
    let coins = 25i64.to_le_bytes().to_vec();
    assert_eq!(got, (1, vec![coins, number(150.0), number(30.5)]), "all, then outpatient: alphabetical");
    assert_eq!(go(&[], &[], &[], &[]).0, 0, "nobody observed contributes nothing");
    assert_eq!(go(&[None], &[Some(0)], &[Some(1.0)], &[Some(1.0)]).0, 0, "nor does an undated year");
}

#[test]
fn weeks_worked_counts_people_of_working_age() {
    let kinds = [("age", ColumnType::Int), ("education", ColumnType::Text), ("weeks_worked", ColumnType::Int)];
    let mut room = open("weeks_worked", "persons", &kinds, &[("youngest", "25"), ("oldest", "64")]);
    let mut go = |age, weeks| {
        let rows =
            [("age", ints(&[age])), ("education", texts(&[Some("10th grade")])), ("weeks_worked", ints(&[weeks]))];
        answer(&mut room, unit(rows))
    };
    let counted = |weeks| (1, vec![b"10th grade".to_vec(), number(1.0), number(weeks)]);
    assert_eq!(go(Some(25), Some(52)), counted(52.0));
    assert_eq!(go(Some(64), Some(0)), counted(0.0));
    for (age, weeks) in [(Some(24), Some(52)), (Some(65), Some(52)), (None, Some(52)), (Some(30), None)] {
        assert_eq!(go(age, weeks).0, 0, "{age:?} {weeks:?}");
    }
}

#[test]
fn wage_gap_is_the_median_of_all_differences_in_a_block() {
    let mut room = open("wage_gap", "persons", &[("sex", ColumnType::Text), ("wage_per_hour", ColumnType::Int)], &[]);
    let mut go = |people: &[(&str, i64)]| {
        let sexes: Vec<_> = people.iter().map(|p| Some(p.0)).collect();
        let wages: Vec<_> = people.iter().map(|p| Some(p.1)).collect();
        answer(&mut room, unit([("sex", texts(&sexes)), ("wage_per_hour", ints(&wages))]))
    };
    let block = [("Male", 900), ("Female", 500), ("Male", 700), ("Female", 600), ("Male", 999_900), ("Male", 0)];
    assert_eq!(go(&block), (1, vec![number(3.5)]));
    assert_eq!(go(&block[..1]).0, 0, "one sex only: no answer");
}
