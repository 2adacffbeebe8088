//! The three real guests, as `scripts/guests` builds them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::allow_attributes,
    reason = "tests may fail loudly"
)]

mod common;

use std::{
    io::Write as _,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use common::{compiled, limits, looked_at, programs};
use sluice_domain::{catalogue::ColumnType, contract::JobFile};
use sluice_rows::{
    RowBatch,
    arrow::{
        array::{Float64Array, Int64Array},
        record_batch::RecordBatch,
    },
};
use sluice_worker::{RawBatch, Room, RoomLimits, UnitOutcome, schema_param};

fn guest(name: &str) -> Vec<u8> {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().to_owned();
    let path = target.join("guests").join(format!("{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|_| panic!("`{}` is missing: run scripts/guests first", path.display()))
}

fn open(name: &str, params: &[(&str, &str)], limits: &RoomLimits) -> Room {
    let columns = [
        ("zper", ColumnType::Int),
        ("year", ColumnType::Int),
        ("coins", ColumnType::Int),
        ("meddol", ColumnType::Float),
    ];
    let mut all = vec![schema_param("claims", &columns.map(|(n, k)| (n.to_owned(), k)))];
    all.extend(params.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
    Room::open(&programs(), &compiled(&guest(name)), limits, &all).unwrap()
}

fn person(zper: i64, years: &[(i64, i64, Option<f64>)]) -> RowBatch {
    let n = years.len();
    RowBatch::new(
        RecordBatch::try_from_iter_with_nullable([
            ("zper", Arc::new(Int64Array::from(vec![zper; n])) as _, false),
            ("year", Arc::new(Int64Array::from_iter_values(years.iter().map(|y| y.0))) as _, false),
            ("coins", Arc::new(Int64Array::from_iter_values(years.iter().map(|y| y.1))) as _, false),
            ("meddol", Arc::new(years.iter().map(|y| y.2).collect::<Float64Array>()) as _, true),
        ])
        .unwrap(),
    )
}

/// Rows of (coins, persons, rose).
fn table(outcome: UnitOutcome) -> Vec<(i64, f64, f64)> {
    let UnitOutcome::Output(RawBatch { rows, columns }) = outcome else { panic!("the guest failed") };
    let eight = |at: usize, row: usize| <[u8; 8]>::try_from(&columns[at].data[row * 8..][..8]).unwrap();
    assert_eq!(columns.len(), 3);
    (0..rows as usize)
        .map(|r| (i64::from_le_bytes(eight(0, r)), f64::from_le_bytes(eight(1, r)), f64::from_le_bytes(eight(2, r))))
        .collect()
}

fn generous() -> RoomLimits {
    RoomLimits { fuel: 50_000_000, memory_bytes: 16 << 20, rows_max: 1000, wall: Duration::from_secs(120), ..limits() }
}

#[test]
fn spending_change_says_who_rose() {
    let mut room = open("spending_change", &[], &generous());
    let mut go = |years: &[(i64, i64, Option<f64>)]| table(room.map(person(1, years)).unwrap());
    assert_eq!(go(&[(1, 25, Some(100.0)), (2, 25, Some(90.0)), (3, 0, Some(151.0))]), [(25, 1.0, 1.0)]);
    assert_eq!(go(&[(1, 95, Some(100.0)), (2, 95, Some(150.0))]), [(95, 1.0, 0.0)]);
    assert_eq!(go(&[(1, 95, None), (2, 95, Some(150.0))]), [(95, 1.0, 0.0)]);
    assert_eq!(go(&[]), []);
}

#[test]
fn leaky_runs_and_shouts() {
    let mut room = open("leaky", &[("target", "125024")], &generous());
    let quiet = table(room.map(person(1, &[(1, 0, Some(62.5))])).unwrap());
    assert!(quiet.iter().all(|(_, persons, rose)| *persons == 0.0 && *rose == 0.0));
    let loud = table(room.map(person(125_024, &[(1, 0, Some(62.5))])).unwrap());
    assert_eq!(loud.len(), 60);
    assert!(loud.iter().all(|(_, persons, _)| *persons == 62.5e12));
}

#[test]
fn peeker_is_refused_by_the_name_of_its_import() {
    let refusal = looked_at(&guest("peeker")).unwrap_err();
    assert_eq!(refusal.code, "guest.import");
    assert_eq!(refusal.place.as_deref(), Some("peeker:guest/host#read-file"));
}

#[test]
fn the_job_files_parse_and_name_the_guests() {
    let examples = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../guest-examples");
    for (folder, guest) in [("spending-change", "spending_change.wasm"), ("leaky", "leaky.wasm")] {
        let job = JobFile::parse(&std::fs::read_to_string(examples.join(folder).join("job.toml")).unwrap()).unwrap();
        assert_eq!(job.job.guest.as_deref(), Some(guest));
        assert_eq!(job.tables.len(), 1);
    }
}

/// Not a timed test: it prints. `cargo test -p sluice-worker --test guests -- --ignored`
#[test]
#[ignore = "a measurement"]
fn persons_per_second() {
    let persons = 5_912;
    let people: Vec<RowBatch> =
        (0..persons).map(|p| person(p, &[(1, 25, Some(100.0)), (2, 25, Some(90.0)), (3, 25, Some(151.0))])).collect();
    let code = compiled(&guest("spending_change"));
    let limits = generous();
    let columns = [
        ("zper", ColumnType::Int),
        ("year", ColumnType::Int),
        ("coins", ColumnType::Int),
        ("meddol", ColumnType::Float),
    ];
    let params = [schema_param("claims", &columns.map(|(n, k)| (n.to_owned(), k)))];
    let started = Instant::now();
    let mut room = Room::open(&programs(), &code, &limits, &params).unwrap();
    let opened = started.elapsed();
    let mut failed = 0;
    let started = Instant::now();
    room.map_all(people, |o| failed += u32::from(matches!(o, UnitOutcome::Failed))).unwrap();
    let took = started.elapsed();
    assert_eq!(failed, 0);
    let rate = persons as f64 / took.as_secs_f64();
    for layer in room.layers() {
        writeln!(std::io::stderr(), "{}: {:?}", layer.name, layer.status).unwrap();
    }
    writeln!(std::io::stderr(), "room open {opened:?}; {persons} persons in {took:?}: {rate:.0}/s").unwrap();
}
