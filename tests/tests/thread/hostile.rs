//! `leaky`, with its layers left out and with them. Left out in test code only: the
//! room is asked directly and its bytes are believed.

use std::sync::Arc;

use sluice_domain::{contract::JobFile, rulepack::RulePack};
use sluice_rows::{
    RowBatch,
    arrow::{
        array::{ArrayRef, Float64Array, Int64Array, RecordBatch},
        datatypes::{DataType, Field, Schema},
    },
};
use sluice_worker::{CacheKey, InspectLimits, LayerName, Profile, Programs, Room, RoomLimits, UnitOutcome};
use zeroize::Zeroizing;

use crate::town::{Town, guest};

const LEAKY: &str = include_str!("../../../guest-examples/leaky/job.toml");
/// What the target of the job file spent, for the guest to shout.
const SPENT: f64 = 4_321.25;

fn targets_rows() -> RowBatch {
    let fields = ["zper", "year", "coins"].map(|name| Field::new(name, DataType::Int64, true));
    let schema = Schema::new([&fields[..], &[Field::new("meddol", DataType::Float64, true)]].concat());
    let ints = [125_024, 1, 100].map(|n| Arc::new(Int64Array::from(vec![n])) as ArrayRef);
    let spent = Arc::new(Float64Array::from(vec![SPENT])) as ArrayRef;
    RowBatch::new(RecordBatch::try_new(Arc::new(schema), [&ints[..], &[spent]].concat()).unwrap())
}

/// Without the gate: whoever adds up what the guest says learns the target's spending.
#[test]
fn without_clamp_and_noise_leaky_gives_its_target_away() {
    let folder = tempfile::tempdir().unwrap();
    let rules = RulePack::shipped().unwrap();
    let inspected = sluice_worker::inspect(
        &guest("leaky.wasm"),
        InspectLimits { bytes_max: rules.limits.guest_bytes_max, memory_bytes: 16 << 20 },
    )
    .unwrap();
    let programs = Programs::beside_current_exe().unwrap().accepting_missing(&LayerName::ALL);
    let key = CacheKey::new(Zeroizing::new([7; 32]));
    let compiled = sluice_worker::compile(&programs, &inspected, Profile::Standard, folder.path(), &key).unwrap();
    let limits = RoomLimits {
        fuel: 20_000_000,
        memory_bytes: 16 << 20,
        stack_bytes: 1 << 20,
        rows_max: 64,
        output_bytes_max: 64 << 10,
        unit_rows_max: 1_000,
        unit_bytes_max: 4 << 20,
        wall: std::time::Duration::from_secs(60),
        profile: Profile::Standard,
    };
    let schema = "zper:int,year:int,coins:int,meddol:float".to_owned();
    let params = [("target".to_owned(), "125024".to_owned()), ("input.claims".to_owned(), schema)];
    let mut room = Room::open(&programs, &compiled, &limits, &params).unwrap();
    let UnitOutcome::Output(said) = room.map(targets_rows()).unwrap() else { panic!("it answers") };
    room.close();
    let believed: f64 = said.columns[1].data.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).sum();
    let per_row = believed / f64::from(said.rows) / 1e12;
    assert!((per_row - SPENT).abs() < 1e-6, "the spending follows from the sum: {per_row}");
}

/// With it: the same guest over the real data, and every released number is what the
/// noise alone could be.
#[tokio::test(flavor = "multi_thread")]
async fn with_them_its_table_says_nothing() {
    let town = Town::start().await;
    let bytes = guest("leaky.wasm");
    let mut job = JobFile::parse(LEAKY).unwrap();
    job.params.insert("target".to_owned(), "125024".to_owned());
    let job = toml::to_string(&job).unwrap();
    let product = town.product(&job, Some(&bytes)).await;
    let mut table = csv::Reader::from_path(town.city.home.product(&product).join("rose.csv")).unwrap();
    for line in table.deserialize::<std::collections::BTreeMap<String, String>>() {
        let line = line.unwrap();
        for measure in ["persons", "rose"] {
            let number: f64 = line[measure].parse().unwrap();
            assert!(number.abs() < 8.0 * 7.08 + 1.0, "{measure}: {number} is more than noise and one clamp");
        }
    }
}
