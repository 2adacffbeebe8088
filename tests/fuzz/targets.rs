//! Every decoder that meets bytes from outside, as a plain function over bytes: none
//! may panic, whatever the bytes, and what decodes must encode to the same again where
//! a form is meant to be the only one.
//!
//! `decoders.rs` runs them in every test run, and `cargo fuzz` with a nightly compiler
//! (README.md). Decoders that need the heavy crates are in `decoders.rs` alone.

#[path = "held_letter.rs"]
pub mod held_letter;

use std::sync::LazyLock;

use sluice_domain::{
    Digest, Refusal,
    agreement::Agreement,
    artefact::{ARTEFACT_BYTES_MAX, Artefact, Content, Report},
    candidate::Candidate,
    catalogue::{CatalogueEntry, Key},
    contract::{Contract, Dimension, JobFile, Law, MeasureA, TableA},
    event::Entry,
    evidence::Evidence,
    held::{Held, Model, ModelKind},
    id::{JobId, PersonId, RunId},
    person::PublicKey,
    rulepack::RulePack,
    state::State,
};
use sluice_gate::{
    check::check_case,
    held::Fitted,
    intake::{OutputSchema, RawBatch, RawColumn, decode},
    lineage::Record,
    route_a::Reducer,
    route_d,
};
use sluice_ledger::{Checkpoint, Inclusion, verify};
use sluice_worker::{InspectLimits, Told, inspect, places::Places, wire};

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
    ("wire-told", wire_told),
    ("wire-call", wire_call),
    ("wire-place", wire_place),
    ("wire-update", wire_update),
    ("wire-compose", wire_compose),
    ("wire-artefacts", wire_artefacts),
    ("artefact", artefact),
    ("component", component),
    ("debug-lines", debug_lines),
    ("intake", intake),
    ("held", held),
    ("held-letter", held_letter::held_letter),
    ("evidence", evidence),
    ("released-record", released_record),
    ("candidate", candidate),
    ("job-file", job_file),
    ("catalogue", catalogue),
    ("agreement", agreement),
    ("contract", contract),
    ("ledger-entry", ledger_entry),
    ("ledger-export", ledger_export),
    ("ledger-inclusion", ledger_inclusion),
    ("gate-case", gate_case),
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

/// What a program for synthetic rows tells, and what a probe tried.
fn wire_told(bytes: &[u8]) {
    if let Ok((told, answer)) = wire::decode_told(bytes) {
        assert_eq!(wire::encode_told(told, answer).unwrap(), bytes);
        let _ = serde_json::from_slice::<Told>(told);
    }
    if let Ok(errno) = wire::decode_tried(bytes) {
        assert_eq!(wire::encode_tried(errno), bytes);
    }
    if let Ok(order) = wire::decode_probe(bytes) {
        assert_eq!(wire::encode_probe(order), bytes);
    }
}

/// One call's rows of all its inputs, as they lie in the ring.
fn wire_call(bytes: &[u8]) {
    let Ok(parts) = wire::decode_call(bytes) else { return };
    let number = |n: usize| u32::try_from(n).unwrap().to_le_bytes();
    let mut again = number(parts.len()).to_vec();
    for (input, part) in &parts {
        again.extend_from_slice(&input.to_le_bytes());
        let length = again.len();
        again.extend_from_slice(&[0; 4]);
        again.extend_from_slice(&part.rows.to_le_bytes());
        again.extend_from_slice(&number(part.columns.len()));
        for column in &part.columns {
            again.extend_from_slice(&column.nulls.to_le_bytes());
            again.push(u8::from(column.validity.is_some()) | u8::from(column.offsets.is_some()) << 1);
            for buffer in [column.validity, column.offsets, Some(column.data)].into_iter().flatten() {
                again.extend_from_slice(&number(buffer.len()));
                if buffer.len() >= wire::LARGE {
                    again.resize(again.len().next_multiple_of(wire::LINE), 0);
                }
                again.extend_from_slice(buffer);
            }
        }
        let body = number(again.len() - length - 4);
        again[length..length + 4].copy_from_slice(&body);
    }
    assert_eq!(again, bytes, "a call has one form");
}

/// Where in the ring a call lies.
fn wire_place(bytes: &[u8]) {
    if let Ok(place) = wire::decode_place(bytes) {
        assert_eq!(wire::encode_place(place), bytes);
    }
}

/// A round's cleared cells for an outer room.
fn wire_update(bytes: &[u8]) {
    if let Ok((round, state, cleared)) = wire::decode_update(bytes) {
        assert_eq!(wire::encode_update(round, state, &cleared).unwrap(), bytes);
    }
}

/// All cleared tables for an outer room.
fn wire_compose(bytes: &[u8]) {
    if let Ok((state, tables)) = wire::decode_compose(bytes) {
        assert_eq!(wire::encode_compose(state, &tables).unwrap(), bytes);
    }
}

/// What an outer room sends, on its way into a candidate.
fn wire_artefacts(bytes: &[u8]) {
    let Ok(sent) = wire::decode_artefacts(bytes) else { return };
    assert_eq!(wire::encode_artefacts(sent.iter().copied()).unwrap(), bytes);
    let sent: Vec<(String, Vec<u8>)> =
        sent.into_iter().map(|(name, bytes)| (name.to_owned(), bytes.to_vec())).collect();
    let report = Report::parse(&sent);
    let mut names: Vec<&str> = report.artefacts().iter().map(|a| a.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), report.artefacts().len(), "two artefacts of one name");
    report.artefacts().iter().for_each(harmless);
}

/// One artefact: its name, a line end, its bytes.
fn artefact(bytes: &[u8]) {
    let Some(end) = bytes.iter().position(|b| *b == b'\n') else { return };
    let (name, content) = (std::str::from_utf8(&bytes[..end]), &bytes[end + 1..]);
    if let Some(artefact) = name.ok().and_then(|name| Artefact::parse(name, content)) {
        harmless(&artefact);
    }
}

/// A file name that stays in its folder, a text without orders to a terminal, numbers
/// that can be drawn; and the same again when it is read back.
fn harmless(artefact: &Artefact) {
    let name = &artefact.name;
    assert!(!name.starts_with('.') && !name.contains("..") && name.len() < 64, "{name:?}");
    assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b)), "{name:?}");
    let shown = |text: &str| assert!(!text.chars().any(|c| c.is_control() && c != '\n' && c != '\t'), "{text:?}");
    match &artefact.content {
        Content::Text(text) => shown(text),
        Content::Chart(chart) => {
            let words = chart.labels.iter().chain(chart.series.iter().map(|s| &s.name)).chain([&chart.title]);
            words.for_each(|word| shown(word));
            let numbers = chart.series.iter().flat_map(|s| s.values.iter().flatten());
            assert!(numbers.into_iter().all(|n| n.is_finite()), "{chart:?}");
        }
    }
    if artefact.bytes().len() <= ARTEFACT_BYTES_MAX {
        assert_eq!(Artefact::parse(name, &artefact.bytes()).as_ref(), Some(artefact));
    }
}

/// A case file of the checker and, after a zero byte, its data as CSV.
fn gate_case(bytes: &[u8]) {
    let (case, csv) = bytes.split_at(bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len()));
    let csv = csv.get(1..).unwrap_or_default();
    let Ok(case) = std::str::from_utf8(case) else { return };
    if let Err(refusal) = check_case(case, |_| Ok(csv.to_vec())) {
        assert!(!refusal.next.zh.is_empty() && !refusal.next.en.is_empty(), "{refusal:?}");
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

/// The lines of a guest's source by its own debug information, as an author is shown them.
fn debug_lines(bytes: &[u8]) {
    let places = Places::of(bytes);
    for offset in (0..bytes.len() as u64).step_by(61) {
        let _ = places.find(offset);
    }
}

/// An answer as the parent passes it on.
pub fn raw(bytes: &[u8]) -> Option<RawBatch> {
    let batch = wire::decode_batch(bytes).ok()?;
    let columns = batch.columns.iter().map(|c| RawColumn {
        nulls: c.nulls,
        validity: c.validity.map(<[u8]>::to_vec),
        offsets: c.offsets.map(<[u8]>::to_vec),
        data: c.data.to_vec(),
    });
    Some(RawBatch { rows: batch.rows, columns: columns.collect() })
}

/// An answer on its way through the gate's intake into the sums.
fn intake(bytes: &[u8]) {
    let Some(raw) = raw(bytes) else { return };
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
        dimensions: vec![Dimension { name: "k".into(), title: "k".into(), domain, base: None }],
        measures: vec![MeasureA { name: "m".into(), lo: -64, hi: 64, grid: 8 }],
        keys_per_unit: 1,
        rho: 0.02,
        noise: Law::Gaussian,
        shares: vec![],
        consistent: None,
    }
}

/// An answer to a held table: cells, a line, a tree. What reads as a model can be asked.
fn held(bytes: &[u8]) {
    let Some(raw) = raw(bytes) else { return };
    for held in held_tables() {
        let mut reducer = route_d::Reducer::new(&held, ROWS_MAX).unwrap();
        reducer.add(Some(&raw));
        let Ok(exact) = reducer.finish() else { continue };
        let ranges = held.measures.iter().cycle();
        for (number, measure) in exact.numbers().iter().zip(ranges) {
            assert!(number.is_none_or(|n| (measure.lo..=measure.hi).contains(&n)), "out of its range");
        }
        let Some(model) = &held.model else { continue };
        let Ok(fitted) = Fitted::read(&held, model, exact.numbers()) else { continue };
        assert!(fitted.parameters() as usize <= exact.numbers().len());
        for features in [[0.0, -0.0], [1e308, -1e308], [f64::NAN, f64::INFINITY]] {
            assert!(fitted.loss(&features, 1.0) >= 0.0);
            assert!(fitted.leaf(&features).is_none_or(|leaf| leaf < fitted.leaves()));
        }
    }
}

/// Tables of each kind that a held answer may be for.
pub fn held_tables() -> [Held; 3] {
    let measure = |name: &str, grid| MeasureA { name: name.into(), lo: -640, hi: 640, grid };
    let model = |kind| Model { kind, features: vec!["a".into(), "b".into()], outcome: "y".into() };
    let (line, tree) = (model(ModelKind::Logistic), model(ModelKind::Tree));
    let table = |name: &str, dimension: Dimension, measures, model| Held {
        name: name.into(),
        dimensions: vec![dimension],
        measures,
        model,
    };
    [
        table("cells", Model::nodes(4), vec![measure("m", 8)], None),
        table("line", line.terms(), vec![measure(Model::COEFFICIENT, 8)], Some(line)),
        table("tree", Model::nodes(5), Model::TREE.map(|name| measure(name, 1)).to_vec(), Some(tree)),
    ]
}

/// What reviewers are shown beside a candidate.
fn evidence(bytes: &[u8]) {
    if let Some(evidence) = Evidence::from_canonical_bytes(bytes) {
        assert_eq!(evidence.canonical_bytes(), bytes, "evidence has one form");
    }
}

/// What a run left in the release ledger.
fn released_record(bytes: &[u8]) {
    if let Some(record) = Record::from_bytes(bytes) {
        assert_eq!(record.to_bytes().as_deref(), Some(bytes), "a record has one form");
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
