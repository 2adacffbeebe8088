//! Every decoder that meets bytes from outside, as a plain function over bytes: none
//! may panic, whatever the bytes, and what decodes must encode to the same again where
//! a form is meant to be the only one.
//!
//! `decoders.rs` runs them in every test run, and `cargo fuzz` with a nightly compiler
//! (README.md). Decoders that need the heavy crates are in `decoders.rs` alone.

use std::sync::LazyLock;

use sluice_domain::{
    Digest, Refusal,
    agreement::Agreement,
    candidate::Candidate,
    catalogue::{CatalogueEntry, Key},
    contract::{Contract, Dimension, JobFile, Law, MeasureA, TableA},
    event::Entry,
    id::{JobId, PersonId, RunId},
    person::PublicKey,
    rulepack::RulePack,
    state::State,
};
use sluice_gate::{
    intake::{OutputSchema, RawBatch, RawColumn, decode},
    route_a::Reducer,
};
use sluice_ledger::{Checkpoint, Inclusion, verify};
use sluice_worker::{InspectLimits, inspect, wire};

/// Longest frame that a target reads.
const FRAME_MAX: u32 = 64 << 10;
/// Rows that one answer may have.
const ROWS_MAX: u32 = 64;

/// A function that no bytes may make panic.
pub type Target = fn(&[u8]);

/// Every target by its name, which is also its folder in `corpus`.
pub const TARGETS: &[(&str, Target)] = &[
    ("wire-frames", wire_frames),
    ("wire-batch", wire_batch),
    ("wire-ready", wire_ready),
    ("wire-orders", wire_orders),
    ("component", component),
    ("intake", intake),
    ("candidate", candidate),
    ("job-file", job_file),
    ("catalogue", catalogue),
    ("agreement", agreement),
    ("contract", contract),
    ("ledger-entry", ledger_entry),
    ("ledger-export", ledger_export),
    ("ledger-inclusion", ledger_inclusion),
    ("names", names),
];

/// A stream of frames as a child writes them.
fn wire_frames(bytes: &[u8]) {
    let (mut from, mut body) = (bytes, Vec::new());
    while let Ok(Some(tag)) = wire::read_frame(&mut from, &mut body, FRAME_MAX) {
        assert!(body.len() <= FRAME_MAX as usize);
        let mut again = Vec::new();
        wire::write_frame(&mut again, tag, &body).unwrap();
        assert_eq!(again.len(), body.len() + wire::HEADER);
    }
}

/// An answer, or one unit's rows.
fn wire_batch(bytes: &[u8]) {
    if let Ok(batch) = wire::decode_batch(bytes) {
        let mut again = Vec::new();
        wire::encode_batch(&batch, &mut again).unwrap();
        assert_eq!(again, bytes, "a batch has one form");
    }
}

/// What a child says before its first unit.
fn wire_ready(bytes: &[u8]) {
    if let Ok(layers) = wire::decode_ready(bytes) {
        assert!(layers.len() <= bytes.len());
    }
    let _ = wire::decode_fault(bytes);
}

/// What a parent says first.
fn wire_orders(bytes: &[u8]) {
    if let Ok(start) = wire::decode_start(bytes) {
        assert_eq!(wire::encode_start(&start).unwrap(), bytes);
    }
    if let Ok(compile) = wire::decode_compile(bytes) {
        assert_eq!(wire::encode_compile(&compile).unwrap(), bytes);
    }
}

/// A guest before it is compiled.
fn component(bytes: &[u8]) {
    let limits = InspectLimits { bytes_max: 1 << 20, memory_bytes: 4 << 20 };
    match inspect(bytes, limits) {
        Ok(inspected) => assert_eq!(inspected.digest(), Digest::of(bytes)),
        Err(refusal) => {
            assert!(refusal.code.starts_with("guest."), "{}", refusal.code);
            // It is shown in terminals and pages.
            assert!(refusal.place.iter().all(|p| !p.chars().any(char::is_control)), "{refusal:?}");
        }
    }
}

/// An answer on its way through the gate's intake into the sums.
fn intake(bytes: &[u8]) {
    let Ok(batch) = wire::decode_batch(bytes) else { return };
    let columns = batch.columns.iter().map(|c| RawColumn {
        nulls: c.nulls,
        validity: c.validity.map(<[u8]>::to_vec),
        offsets: c.offsets.map(<[u8]>::to_vec),
        data: c.data.to_vec(),
    });
    let raw = RawBatch { rows: batch.rows, columns: columns.collect() };
    for keys in [(0..4).map(Key::Int).collect(), ["a", "市", "bc"].map(|k| Key::Text(k.into())).to_vec()] {
        let table = table(keys);
        let _ = decode(&raw, &OutputSchema::of(&table, ROWS_MAX).unwrap());
        let mut reducer = Reducer::new(&table, 1, ROWS_MAX).unwrap();
        reducer.add(Some(&raw));
        reducer.finish().unwrap().commitment(&|bytes| {
            let (_, sums) = bytes.split_at(bytes.len() - table.cells().unwrap() * 8);
            let sums = sums.chunks_exact(8).map(|w| i64::from_le_bytes(w.try_into().unwrap()));
            let moved: u128 = sums.map(|s| u128::from(s.unsigned_abs()).pow(2)).sum();
            assert!(moved <= table.sensitivity_l2_squared().unwrap(), "one unit moved the sums too far");
            Digest::of(bytes)
        });
    }
}

fn table(keys: Vec<Key>) -> TableA {
    let domain = keys.into_iter().map(|k| (k.clone(), k.to_string())).collect();
    TableA {
        name: "t".into(),
        dimensions: vec![Dimension { name: "k".into(), title: "k".into(), domain }],
        measures: vec![MeasureA { name: "m".into(), lo: -64, hi: 64, grid: 8 }],
        keys_per_unit: 1,
        rho: 0.02,
        noise: Law::Gaussian,
        shares: vec![],
        consistent: None,
    }
}

fn candidate(bytes: &[u8]) {
    if let Some(candidate) = Candidate::from_canonical_bytes(bytes) {
        assert_eq!(candidate.canonical_bytes(), bytes, "a candidate has one form");
    }
}

fn job_file(bytes: &[u8]) {
    if let Some(refusal) = text(bytes, JobFile::parse) {
        assert_eq!(refusal.code, "job.form");
    }
}

fn catalogue(bytes: &[u8]) {
    text(bytes, CatalogueEntry::parse);
}

fn agreement(bytes: &[u8]) {
    text(bytes, Agreement::parse);
}

/// Reads text if it is text; the refusal says where and what next.
fn text<T>(bytes: &[u8], parse: impl Fn(&str) -> Result<T, Refusal>) -> Option<Refusal> {
    let refusal = parse(std::str::from_utf8(bytes).ok()?).err()?;
    assert!(!refusal.next.zh.is_empty() && !refusal.next.en.is_empty(), "{refusal:?}");
    Some(refusal)
}

/// A contract as it stands in the ledger and in receipts.
fn contract(bytes: &[u8]) {
    if let Ok(contract) = serde_json::from_slice::<Contract>(bytes) {
        let _ = contract.digest();
        if let Some(table) = contract.table_a() {
            let _ = (table.cells(), table.sensitivity_l2_squared(), table.sigma());
        }
    }
}

/// Entries, one a line, folded into the state as a start-up does.
fn ledger_entry(bytes: &[u8]) {
    static RULES: LazyLock<RulePack> = LazyLock::new(|| RulePack::shipped().unwrap());
    let mut state = State::new(RULES.clone());
    for line in bytes.split(|b| *b == b'\n') {
        if let Ok(entry) = serde_json::from_slice::<Entry>(line) {
            state.apply(&entry);
        }
    }
}

fn ledger_export(bytes: &[u8]) {
    if let Err(fault) = verify::verify(bytes, None, None) {
        assert!(!fault.to_string().is_empty());
    }
}

/// A proof that an entry is in a log; its key is the first 64 digits.
fn ledger_inclusion(bytes: &[u8]) {
    let Some((key, proof)) = bytes.split_at_checked(66) else { return };
    let (Ok(key), Ok(proof)) = (serde_json::from_slice::<PublicKey>(key), serde_json::from_slice::<Inclusion>(proof))
    else {
        return;
    };
    let _ = verify::inclusion(&proof, &key);
    let _ = Checkpoint::verify(&proof.checkpoint, &key);
}

/// Digests and ids as people type them.
fn names(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(digest) = Digest::parse(text) {
        assert_eq!(digest.to_string(), text, "a digest has one spelling");
    }
    let ids = [
        text.parse::<PersonId>().map(|id| id.to_string()),
        text.parse::<JobId>().map(|id| id.to_string()),
        text.parse::<RunId>().map(|id| id.to_string()),
    ];
    for id in ids.into_iter().flatten() {
        // Ids become names of files.
        assert!(!id.is_empty() && !id.contains(['/', '\\', '\0']) && id != "." && id != "..", "{id:?}");
    }
}
