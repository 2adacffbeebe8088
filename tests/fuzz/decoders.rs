//! The decoders of `targets.rs`, and those that need the heavy crates, over the
//! committed corpus and over damaged copies of it: a few thousand each, in seconds.
//! `PROPTEST_CASES=100000` runs longer.
//!
//! The corpus holds valid seeds, and every input that once broke something.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::precedence,
    unreachable_pub,
    clippy::allow_attributes,
    reason = "tests may fail loudly"
)]

#[path = "../hostile/guest.rs"]
#[allow(dead_code, reason = "a seed is made of one of the hostile guests")]
mod guest;
mod mutate;
mod targets;

use std::{
    fs,
    path::{Path, PathBuf},
};

use mutate::{damaged, damages};
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use sluice_domain::catalogue::CatalogueEntry;
use sluice_vault::{Kek, Vault};

/// Damaged copies per target, unless PROPTEST_CASES says otherwise.
const CASES: u32 = 2_000;
/// The same where each costs files.
const CASES_ON_DISK: u32 = 150;
/// Stands for a person's value: no refusal may quote it.
const VALUE: &str = "4321987";

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{target} has no seeds");
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// Runs `decoder` on every seed, and on `cases` damaged ones.
fn run(target: &str, cases: u32, decoder: impl Fn(&[u8])) {
    let seeds = corpus(target);
    seeds.iter().for_each(|seed| decoder(seed));
    // The same damage every time, unless somebody asks for more: then another each time.
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok());
    let config = Config { cases: asked.unwrap_or(cases), failure_persistence: None, ..Config::default() };
    let mut runner = match asked {
        Some(_) => TestRunner::new(config),
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    };
    let result = runner.run(&(0..seeds.len(), damages()), |(seed, damages)| {
        decoder(&damaged(&seeds[seed], &seeds, &damages));
        Ok(())
    });
    if let Err(TestError::Fail(why, (seed, damages))) = result {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{target}-broken"));
        fs::write(&kept, damaged(&seeds[seed], &seeds, &damages)).unwrap();
        panic!("{target}: {why}; the smallest input found is {}", kept.display());
    }
    result.unwrap();
}

#[test]
fn no_bytes_make_a_decoder_panic() {
    std::thread::scope(|scope| {
        for (target, decoder) in targets::TARGETS {
            scope.spawn(move || run(target, CASES, decoder));
        }
    });
}

#[test]
fn seeds_are_what_they_should_be() {
    // A target whose seeds no longer decode would fuzz nothing but its first check.
    use sluice_domain::{agreement::Agreement, candidate::Candidate, contract::JobFile};
    use sluice_worker::wire;
    let utf8 = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let any = |target: &str, good: &dyn Fn(&[u8]) -> bool| {
        assert!(corpus(target).iter().any(|seed| good(seed)), "{target}: no seed decodes");
    };
    any("wire-batch", &|b| wire::decode_batch(b).is_ok());
    any("wire-ready", &|b| wire::decode_ready(b).is_ok());
    any("wire-orders", &|b| wire::decode_start(b).is_ok());
    any("wire-call", &|b| wire::decode_call(b).is_ok_and(|parts| parts.len() == 2));
    any("wire-call", &|b| wire::decode_call(b).is_ok_and(|parts| parts[0].1.columns[0].data.len() >= wire::LARGE));
    any("wire-told", &|b| {
        wire::decode_told(b).is_ok_and(|(told, _)| serde_json::from_slice::<sluice_worker::Told>(told).is_ok())
    });
    any("debug-lines", &|b| {
        let places = sluice_worker::places::Places::of(b);
        (0..b.len() as u64).any(|offset| places.find(offset).is_some_and(|line| line.contains(".c:")))
    });
    for table in targets::held_tables() {
        any("held", &|b| {
            let mut reducer = sluice_gate::route_d::Reducer::new(&table, 64).unwrap();
            reducer.add(targets::raw(b).as_ref());
            let Ok(exact) = reducer.finish() else { return false };
            let reads = |model| sluice_gate::held::Fitted::read(&table, model, exact.numbers()).is_ok();
            table.model.as_ref().is_none_or(reads)
        });
    }
    use sluice_domain::held::ModelKind;
    for (kind, leaves) in [(None, 0), (Some(ModelKind::Linear), 0), (Some(ModelKind::Tree), 3)] {
        any("held-letter", &|b| targets::held_letter::leaves(kind, b) == Some(leaves));
    }
    any("evidence", &|b| sluice_domain::evidence::Evidence::from_canonical_bytes(b).is_some());
    any("released-record", &|b| sluice_gate::lineage::Record::from_bytes(b).is_some());
    any("wire-place", &|b| wire::decode_place(b).is_ok());
    any("wire-update", &|b| wire::decode_update(b).is_ok());
    any("wire-compose", &|b| wire::decode_compose(b).is_ok_and(|(_, tables)| tables.len() == 2));
    any("wire-artefacts", &|b| wire::decode_artefacts(b).is_ok_and(|sent| sent.len() == 2));
    any("artefact", &|b| {
        utf8(b.to_vec()).split_once('\n').is_some_and(|(name, rest)| {
            name.ends_with(".chart.json") && sluice_domain::artefact::Artefact::parse(name, rest.as_bytes()).is_some()
        })
    });
    any("gate-case", &|b| {
        let text = utf8(b.to_vec());
        let (case, csv) = text.split_once('\0').unwrap();
        sluice_gate::check::check_case(case, |_| Ok(csv.as_bytes().to_vec())).is_ok()
    });
    any("job-file", &|b| JobFile::parse(&utf8(b.to_vec())).is_ok_and(|job| job.rounds.is_some()));
    any("component", &|b| {
        sluice_worker::inspect(b, sluice_worker::InspectLimits { bytes_max: 1 << 20, memory_bytes: 4 << 20 }).is_ok()
    });
    any("candidate", &|b| Candidate::from_canonical_bytes(b).is_some());
    any("job-file", &|b| JobFile::parse(&utf8(b.to_vec())).is_ok());
    any("catalogue", &|b| CatalogueEntry::parse(&utf8(b.to_vec())).is_ok());
    any("agreement", &|b| Agreement::parse(&utf8(b.to_vec())).is_ok());
    any("contract", &|b| serde_json::from_slice::<sluice_domain::contract::Contract>(b).is_ok());
    any("ledger-export", &|b| sluice_ledger::verify::verify(b, None, None).is_ok());
    any("receipt", &|b| sluice_service::verify_receipt(b, None, None).is_ok());
    any("ledger-inclusion", &|b| {
        let (key, proof) = b.split_at(66);
        let proof = serde_json::from_slice(proof).unwrap();
        sluice_ledger::verify::inclusion(&proof, &serde_json::from_slice(key).unwrap()).is_ok()
    });
}

/// A receipt as anybody may hand it to the verifier: none but the original passes.
#[test]
fn no_receipt_makes_the_verifier_panic() {
    let originals: Vec<serde_json::Value> =
        corpus("receipt").iter().filter_map(|r| serde_json::from_slice(r).ok()).collect();
    run("receipt", CASES, |bytes| {
        if sluice_service::verify_receipt(bytes, None, None).is_ok() {
            let same = serde_json::from_slice(bytes).is_ok_and(|value| originals.contains(&value));
            assert!(same, "a receipt that nobody signed");
        }
    });
}

/// A provider's file: it is staged or refused, and no refusal quotes its rows. (Of a
/// header that knows some of the catalogue's columns, the others are named.)
#[test]
fn no_file_of_a_provider_makes_the_ingest_panic() {
    for kind in ["csv", "parquet"] {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let kek = Kek::generate_file(&at.join("kek")).unwrap();
        fs::create_dir(at.join("domain")).unwrap();
        let vault = Vault::create(&at.join("domain"), kek).unwrap();
        let catalogue = CatalogueEntry::parse(include_str!("ingest.toml")).unwrap();
        let (source, next) = (at.join(format!("data.{kind}")), std::cell::Cell::new(0u64));
        run(&format!("ingest-{kind}"), CASES_ON_DISK, |bytes| {
            fs::write(&source, bytes).unwrap();
            next.set(next.get() + 1);
            let snapshot = sluice_domain::id::SnapshotId::numbered(next.get());
            if let Err(refusal) = vault.stage(&catalogue, &source, &snapshot, &mut |_, _| {}) {
                let said = format!("{refusal:?} {}", refusal.line(sluice_domain::Lang::En));
                let header = bytes.split(|b| matches!(b, b'\n' | b'\r')).next().unwrap_or_default();
                let in_header = kind == "csv" && String::from_utf8_lossy(header).contains(VALUE);
                assert!(in_header || !said.contains(VALUE), "{said}");
            }
        });
    }
}

/// Writes the seeds in binary forms: frames, components, Parquet.
/// `cargo test --workspace --test decoders -- --ignored`
#[test]
#[ignore = "writes into the corpus"]
fn write_binary_seeds() {
    use std::sync::Arc;

    use parquet::arrow::ArrowWriter;
    use sluice_rows::arrow::{
        array::{ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, StringArray},
        record_batch::RecordBatch,
    };
    use sluice_worker::{
        Layer, LayerName, LayerStatus, Profile,
        wire::{self, Tag},
    };
    let put = |target: &str, name: &str, bytes: &[u8]| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), bytes).unwrap();
    };
    for (name, batch) in batches() {
        put("wire-batch", name, &batch);
        put("intake", name, &batch);
    }
    let layers: Vec<Layer> =
        LayerName::ALL.into_iter().map(|name| Layer { name, status: LayerStatus::Missing(1) }).collect();
    let ready = wire::encode_ready(&layers);
    put("wire-ready", "all", &ready);
    put("wire-ready", "fault", &[3]);
    let mut stream = Vec::new();
    wire::write_frame(&mut stream, Tag::Ready, &ready).unwrap();
    for (_, batch) in batches() {
        wire::write_frame(&mut stream, Tag::Output, &batch).unwrap();
        wire::write_frame(&mut stream, Tag::Failed, &[]).unwrap();
    }
    put("wire-frames", "a-run", &stream);
    let start = wire::Start {
        profile: Profile::Standard,
        fuel: 20_000_000,
        memory_bytes: 16 << 20,
        rows_max: 64,
        output_bytes_max: 65_536,
        stack_bytes: 1 << 16,
        state: &[],
        cpu_seconds: 61,
        params: vec![("input.t", "id:int,n:float"), ("target", "数闸")],
        code: b"code",
    };
    put("wire-orders", "start", &wire::encode_start(&start).unwrap());
    let compile = wire::Compile { profile: Profile::Reproducible, component: b"component" };
    put("wire-orders", "compile", &wire::encode_compile(&compile).unwrap());
    put_outer(&put);
    put_told(&put);
    put_gate(&put);

    let value: i64 = VALUE.parse().unwrap();
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("person", Arc::new(Int64Array::from(vec![7, value])), false),
        ("district", Arc::new(StringArray::from(vec!["N", "S"])), false),
        ("cost", Arc::new(Float64Array::from(vec![Some(0.1), None])), true),
        ("note", Arc::new(StringArray::from(vec![Some(VALUE), None])), true),
        ("insured", Arc::new(BooleanArray::from(vec![true, false])), false),
        ("seen", Arc::new(Date32Array::from(vec![Some(19_782), None])), true),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    put("ingest-parquet", "good.parquet", &file);

    for (name, wat) in [
        ("empty", "(component)"),
        ("import", r#"(component (type u32) (import "i" (instance (export "f" (func)))))"#),
        ("nested", "(component (component (core module (memory 1) (func)) (core instance (instantiate 0))))"),
    ] {
        put("component", name, &wat::parse_str(wat).unwrap());
    }
    let whole = guest::guests().into_iter().find(|g| g.file == "16_trap.wat").unwrap();
    put("component", "whole", &whole.bytes());
}

/// Seeds of what the programs that tell and try send.
fn put_told(put: &dyn Fn(&str, &str, &[u8])) {
    use sluice_worker::{Attempt, End, Told, explain::Frame, step::Step, wire};
    let frame = Frame { function: Some("process".into()), offset: Some(612), place: None };
    let trap = End::Trap { call: Step::Process, reason: "unreachable".into(), frames: vec![frame] };
    for (name, end) in [("trap", trap), ("answer", End::Finished { rows: 3, columns: 2, nulls: 0 })] {
        let told = Told { end, fuel: 12_345, memory_bytes: 65_536, memory_refused: Some(1 << 32) };
        let told = serde_json::to_vec(&told).unwrap();
        put("wire-told", name, &wire::encode_told(&told, &batches()[1].1).unwrap());
    }
    put("wire-told", "tried", &wire::encode_tried(13));
    put("wire-told", "probe", &wire::encode_probe(Some((Attempt::ALL[0], 4))));
}

/// Seeds of what the gate reads beside the answers of routes A and B.
fn put_gate(put: &dyn Fn(&str, &str, &[u8])) {
    use sluice_domain::{
        artefact::{Chart, ChartKind, Series},
        evidence::{Check, CheckKind, Evidence, Grade},
        lang::text,
    };
    use sluice_gate::lineage::{Named, Number, Place, Record, Root, Standing};
    use sluice_worker::wire::{BatchRef, ColumnRef, encode_batch};
    // Keys, then each measure's values.
    let answer = |name: &str, offsets: Option<&[u8]>, keys: &[u8], measures: &[&[f64]]| {
        let plain = |data| ColumnRef { nulls: 0, validity: None, offsets: None, data };
        let values: Vec<Vec<u8>> = measures.iter().map(|m| m.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
        let columns = [ColumnRef { offsets, ..plain(keys) }].into_iter().chain(values.iter().map(|v| plain(v)));
        let mut body = Vec::new();
        encode_batch(&BatchRef { rows: measures[0].len() as u32, columns: columns.collect() }, &mut body).unwrap();
        put("held", name, &body);
    };
    let nodes: Vec<u8> = (0..5i64).flat_map(|n| n.to_le_bytes()).collect();
    answer("cells", None, &nodes[..16], &[&[0.5, -3.25]]);
    let ends: Vec<u8> = [0i32, 5, 6, 7].iter().flat_map(|v| v.to_le_bytes()).collect();
    answer("line", Some(&ends), b"constab", &[&[0.5, -3.25, 8.0]]);
    // Node 0 asks, 1 and 2 are leaves, 3 and 4 are not used.
    let (leaf, blank) = ([-1.0, -1.0], [-1.0; 2]);
    let [feature, left, right] = [1.0, 1.0, 2.0].map(|root| [&[root][..], &leaf, &blank].concat());
    let [threshold, value] = [[7.0, 0.0, 0.0, 0.0, 0.0], [0.0, 3.0, -4.0, 0.0, 0.0]];
    answer("tree", None, &nodes, &[&feature, &left, &right, &threshold, &value]);

    // A byte for the key of a row and one for each of its numbers, of which 0x80 is none and 255 is -1.
    let leaf = |node: u8, value: u8| vec![node, 255, 255, 255, 0, value];
    let split = |node: u8, feature: u8, left: u8| vec![node, feature, left, left + 1, 3, 0];
    let tree = [split(0, 1, 1), leaf(1, 5), split(2, 0, 3), leaf(3, 0), leaf(4, 9), leaf(5, 0), leaf(6, 0)];
    put("held-letter", "cells", &[4, 1, 0x80, 0, 0x85, 2]);
    put("held-letter", "line", &[0, 1, 1, 0x86, 2, 255]);
    put("held-letter", "tree", &tree.concat());

    let same = |word: &str| text(word, word);
    let series = vec![Series { name: "n".into(), values: vec![Some(1.5), None] }];
    let check = Check {
        kind: CheckKind::Influence,
        table: Some("visits".into()),
        grade: Grade::Look,
        finding: text("一个人", "one person"),
        cannot: same("-"),
        headings: vec![same("plan"), same("change")],
        rows: vec![vec![same("1"), same("0.5")]],
        plot: Some(Chart { kind: ChartKind::Line, title: "t".into(), labels: vec!["a".into(), "b".into()], series }),
    };
    put("evidence", "one-check", &Evidence::new("run-000001".parse().unwrap(), vec![check]).canonical_bytes());
    let number = |quantity, rows: std::ops::Range<u32>, standing| Number {
        quantity,
        rows: rows.collect(),
        value: 2.5,
        standing,
        place: Place::default(),
    };
    let numbers = vec![
        number(Named::Rows, 0..9, Standing::Published),
        number(Named::Sum("paid".into()), 70_000..70_002, Standing::Withheld),
    ];
    let root = Root { dataset: "d".parse().unwrap(), snapshot: "snap-000001".parse().unwrap(), numbers };
    let record = Record { roots: vec![root], review: vec![(0, 7)], limit_reached: false, pattern_bits: 1.5 };
    put("released-record", "two-numbers", &record.to_bytes().unwrap());
}

/// Seeds of what goes to an outer room and comes back, of a call, and of text forms.
fn put_outer(put: &dyn Fn(&str, &str, &[u8])) {
    use sluice_worker::wire;
    let batches = batches();
    let batch = |name: &str| batches.iter().find(|(n, _)| *n == name).unwrap().1.as_slice();
    let [ints, text] = ["ints", "text"].map(batch);
    let mut call = 2u32.to_le_bytes().to_vec();
    for (input, body) in [(0u32, ints), (1, text)] {
        call.extend_from_slice(&input.to_le_bytes());
        call.extend_from_slice(&u32::try_from(body.len()).unwrap().to_le_bytes());
        call.extend_from_slice(body);
    }
    put("wire-call", "two-inputs", &call);
    // One column of 5 000 bytes: it begins on a line.
    let mut large = vec![0; 64];
    let bytes = 5000u32.to_le_bytes();
    for (at, number) in [1u32, 0, 5000 + 64 - 12, 625, 1, 0].into_iter().enumerate() {
        large[4 * at..4 * at + 4].copy_from_slice(&number.to_le_bytes());
    }
    large[25..29].copy_from_slice(&bytes);
    large.extend((0..5000u32).map(|n| n as u8));
    put("wire-call", "a-large-column", &large);
    put("wire-place", "second", &[64, 0, 0, 0, 200, 1, 0, 0]);
    let [ints, text] = [ints, text].map(|b| wire::decode_batch(b).unwrap());
    put("wire-update", "first-round", &wire::encode_update(0, b"state", &ints).unwrap());
    let tables = [("params", text), ("visits-by-plan", ints)];
    put("wire-compose", "two-tables", &wire::encode_compose(b"state", &tables).unwrap());

    let chart = r#"{"kind":"line","title":"数","labels":["a","b"],"series":[{"name":"n","values":[1.5,null]},{"name":"m","values":[-2,0]}]}"#;
    let sent = [("summary.txt", "一、<b>\n".as_bytes()), ("a.chart.json", chart.as_bytes())];
    put("wire-artefacts", "two", &wire::encode_artefacts(sent.into_iter()).unwrap());
    for (name, content) in sent {
        put("artefact", name, &[name.as_bytes(), b"\n", content].concat());
    }
    let here = |path: &str| fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let examples = ["poisson-visits/job.toml", "visits-report/report.toml", "wage-gap/job.toml", "ratio/job.toml"];
    for example in examples {
        put("job-file", &example.replace('/', "-"), &here(&format!("../guest-examples/{example}")));
    }
    let case = r#"{"schema":"sluice-gate-case/1","data":{"file":"d.csv","unit":"who"},"rules":{"threshold":2,"dominance":{"n":1,"k":50},"p_percent":10,"zeros":"unsafe","missing":"review"},"jobs":[{"name":"first","dimensions":["area","sex"],"measures":[{"agg":"count"},{"agg":"sum","column":"paid"}],"totals":"true"},{"dimensions":["area"],"measures":[{"agg":"quantile","column":"paid","q":0.5}],"filter":{"sex":"f"}}]}"#;
    let csv = "who,area,sex,paid\na,N,f,1.5\nb,N,m,2\nc,S,f,30\nd,S,f,4\na,S,m,\n";
    put("gate-case", "two-jobs", &[case.as_bytes(), b"\0", csv.as_bytes()].concat());
}

/// Answers of every shape that intake takes.
fn batches() -> Vec<(&'static str, Vec<u8>)> {
    use sluice_worker::wire::{BatchRef, ColumnRef, encode_batch};
    let ints = |values: &[i64]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let floats = |values: &[f64]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let offsets: Vec<u8> = [0i32, 1, 4, 6].iter().flat_map(|v| v.to_le_bytes()).collect();
    let plain = |data| ColumnRef { nulls: 0, validity: None, offsets: None, data };
    let encoded = |rows: u32, columns: Vec<ColumnRef<'_>>| {
        let mut out = Vec::new();
        encode_batch(&BatchRef { rows, columns }, &mut out).unwrap();
        out
    };
    let (keys, values) = (ints(&[0, 3, 9]), floats(&[1.0, -0.0, 1e300]));
    let (many_keys, many_values) = (ints(&(0..40).collect::<Vec<_>>()), floats(&[0.5; 40]));
    vec![
        ("empty", encoded(0, vec![])),
        ("ints", encoded(3, vec![plain(&keys), plain(&values)])),
        (
            "nulls",
            encoded(
                3,
                vec![plain(&keys), ColumnRef { nulls: 1, validity: Some(&[0b101]), offsets: None, data: &values }],
            ),
        ),
        (
            "text",
            encoded(
                3,
                vec![
                    ColumnRef { nulls: 0, validity: None, offsets: Some(&offsets), data: "a市bc".as_bytes() },
                    plain(&values),
                ],
            ),
        ),
        ("many-rows", encoded(40, vec![plain(&many_keys), plain(&many_values)])),
    ]
}
