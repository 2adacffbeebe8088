//! One test run against every guest form: the same table in Rust, Python, JavaScript
//! and C (`tests/forms`), as `scripts/guests` builds them, on the same units.
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
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use common::{key, limits, programs};
use sluice_domain::catalogue::ColumnType;
use sluice_rows::{
    RowBatch,
    arrow::{
        array::{
            ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Float64Builder, Int64Array,
            Int64Builder, ListBuilder, NullArray, StringArray, StringBuilder, TimestampMicrosecondArray,
        },
        record_batch::RecordBatch,
    },
};
use sluice_worker::{
    Compiled, InspectLimits, Invocation, Profile, RawBatch, Room, RoomLimits, UnitOutcome, compile, inspect,
    schema_param,
};

/// The forms, with the least fuel and memory (MiB) that docs/guests.md gives for each.
const FORMS: [(&str, u64, u64); 4] = [
    ("form_rust", 20_000_000, 16),
    ("form_python", 200_000_000, 64),
    ("form_js", 50_000_000, 16),
    ("form_c", 20_000_000, 16),
];

/// Compiled once for all the tests: an interpreter takes a while.
static CODE: LazyLock<Vec<Compiled>> = LazyLock::new(|| FORMS.map(compiled).into());

/// From the cache, where it has been compiled before.
fn compiled((name, _, memory): (&str, u64, u64)) -> Compiled {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let path = target.parent().unwrap().join("guests").join(format!("{name}.wasm"));
    let bytes =
        std::fs::read(&path).unwrap_or_else(|_| panic!("`{}` is missing: run scripts/guests first", path.display()));
    let guest = inspect(&bytes, InspectLimits { bytes_max: 32 << 20, memory_bytes: memory << 20 }).unwrap();
    compile(&programs(), &guest, Profile::Standard, &target.join("forms"), &key()).unwrap()
}

/// The columns of the first input.
fn people() -> [(String, ColumnType); 5] {
    [
        ("t", ColumnType::Text),
        ("n", ColumnType::Int),
        ("x", ColumnType::Float),
        ("b", ColumnType::Bool),
        ("d", ColumnType::Date),
    ]
    .map(|(name, kind)| (name.to_owned(), kind))
}

/// A room for each form, by name.
fn rooms(params: &[(&str, &str)]) -> Vec<(&'static str, Room)> {
    rooms_of(params, |limits| limits)
}

/// As [`rooms`], with other limits.
fn rooms_of(params: &[(&str, &str)], change: fn(RoomLimits) -> RoomLimits) -> Vec<(&'static str, Room)> {
    let mut all = vec![schema_param("people", &people())];
    all.extend(params.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
    let open = |((name, fuel, memory), code): (&(&'static str, u64, u64), &Compiled)| {
        let limits = RoomLimits {
            fuel: *fuel,
            memory_bytes: memory << 20,
            rows_max: 1000,
            unit_rows_max: 10_000,
            wall: Duration::from_secs(300),
            ..limits()
        };
        (*name, Room::open(&programs(), code, &change(limits), &all).unwrap())
    };
    FORMS.iter().zip(CODE.iter()).map(open).collect()
}

type Row<'a> = (Option<&'a str>, Option<i64>, Option<f64>, Option<bool>, Option<i32>);

fn unit(rows: &[Row<'_>]) -> RowBatch {
    let columns: [(&str, ArrayRef, bool); 5] = [
        ("t", Arc::new(rows.iter().map(|r| r.0).collect::<StringArray>()), true),
        ("n", Arc::new(rows.iter().map(|r| r.1).collect::<Int64Array>()), true),
        ("x", Arc::new(rows.iter().map(|r| r.2).collect::<Float64Array>()), true),
        ("b", Arc::new(rows.iter().map(|r| r.3).collect::<BooleanArray>()), true),
        ("d", Arc::new(rows.iter().map(|r| r.4).collect::<Date32Array>()), true),
    ];
    RowBatch::new(RecordBatch::try_from_iter_with_nullable(columns).unwrap())
}

/// Rows of (t, n, days, flag, x), or `None` for a failed unit.
fn table(outcome: UnitOutcome) -> Option<Vec<(String, i64, f64, f64, f64)>> {
    let UnitOutcome::Output(RawBatch { rows, columns }) = outcome else { return None };
    assert_eq!(columns.len(), 5);
    assert!(columns.iter().all(|c| c.nulls == 0 && c.validity.is_none()));
    let ends: Vec<_> = columns[0].offsets.as_ref().unwrap().as_chunks::<4>().0.to_vec();
    assert_eq!(ends.len(), rows as usize + 1, "an empty text column has one offset");
    let end = |row: usize| usize::try_from(i32::from_le_bytes(ends[row])).unwrap();
    let text = |row: usize| String::from_utf8(columns[0].data[end(row)..end(row + 1)].to_vec()).unwrap();
    let eight = |at: usize, row: usize| columns[at].data.as_chunks::<8>().0[row];
    let number = |at: usize, row: usize| f64::from_le_bytes(eight(at, row));
    let row = |row| (text(row), i64::from_le_bytes(eight(1, row)), number(2, row), number(3, row), number(4, row));
    Some((0..rows as usize).map(row).collect())
}

/// Every type, with and without a value, across more than one byte of a bitmap.
fn mixed() -> Vec<Row<'static>> {
    let words = ["a", "数闸 é", "", "🦦 otter", "\u{0}"];
    (0..19i64)
        .map(|i| {
            let there = |every: i64| i % every != 0;
            (
                there(7).then_some(words[i as usize % words.len()]),
                there(5).then_some(if i == 1 { i64::MIN } else { i64::MAX - i }),
                there(3).then_some(i as f64 / 7.0),
                there(4).then_some(i % 2 == 0),
                there(6).then_some(i as i32 * -400),
            )
        })
        .collect()
}

fn expected(rows: &[Row<'_>]) -> Vec<(String, i64, f64, f64, f64)> {
    let one = |&(t, n, x, b, d): &Row<'_>| {
        let flag = b.map_or(3.0, |b| if b { 1.0 } else { 2.0 });
        Some((t?.to_owned(), n?, f64::from(d.unwrap_or(0)), flag, x.unwrap_or(-0.5)))
    };
    rows.iter().filter_map(one).collect()
}

#[test]
fn every_form_gives_the_same_answer_to_the_same_rows() {
    for (name, mut room) in rooms(&[]) {
        let got = table(room.map(unit(&mixed())).unwrap());
        assert_eq!(got, Some(expected(&mixed())), "{name}");
        assert_eq!(table(room.map(unit(&[])).unwrap()), Some(vec![]), "{name}: a unit without rows");
        let nulls = [(None, None, None, None, None); 3];
        assert_eq!(table(room.map(unit(&nulls)).unwrap()), Some(vec![]), "{name}: nulls only");
    }
}

/// One row of every other type, twice each: with a value and without.
fn wide() -> RowBatch {
    let mut ints = ListBuilder::new(Int64Builder::new());
    let mut floats = ListBuilder::new(Float64Builder::new());
    let mut words = ListBuilder::new(StringBuilder::new());
    for (i, f, w) in
        [(vec![], vec![0.5], vec!["数", ""]), (vec![7, -9], vec![], vec![]), (vec![1], vec![2.0, 4.0], vec!["é"])]
    {
        ints.append_value(i.into_iter().map(Some));
        floats.append_value(f.into_iter().map(Some));
        words.append_value(w.into_iter().map(Some));
    }
    ints.append_null();
    floats.append_null();
    words.append_null();
    let c = Decimal128Array::from(vec![Some(1230), Some(-5), Some(i128::from(i64::MAX)), None]);
    let columns: [(&str, ArrayRef, bool); 6] = [
        ("m", Arc::new(TimestampMicrosecondArray::from(vec![Some(-1_500_000), Some(1 << 50), Some(0), None])), true),
        ("c", Arc::new(c.with_precision_and_scale(20, 2).unwrap()), true),
        ("i", Arc::new(ints.finish()), true),
        ("f", Arc::new(floats.finish()), true),
        ("w", Arc::new(words.finish()), true),
        ("z", Arc::new(NullArray::new(4)), true),
    ];
    RowBatch::new(RecordBatch::try_from_iter_with_nullable(columns).unwrap())
}

#[test]
fn every_form_reads_every_type_from_several_batches_of_several_inputs() {
    let kinds = ["timestamp", "decimal-20-2", "list-int", "list-float", "list-text", "null"];
    let schema = ["m", "c", "i", "f", "w", "z"].iter().zip(kinds).map(|(n, k)| format!("{n}:{k}"));
    let params = [("input.wide", schema.collect::<Vec<_>>().join(","))];
    let known = mixed();
    let row = |t: &str, n, x, flag, days| (t.to_owned(), n, days, flag, x);
    let of_wide = [
        row("[数][]", 1230, 0.5, 12.3, -1_500_000.0),
        row("", -5, -2000.0, -0.05, (1i64 << 50) as f64),
        row("[é]", i64::MAX, 1006.0, i64::MAX as f64 / 100.0, 0.0),
        row("无", -1, 0.75, -1.0, -1.0),
    ];
    let mut wanted = expected(&known);
    wanted.extend(of_wide.iter().chain(&of_wide[1..]).chain([&row("空", 7, 0.0, 0.0, 0.0)]).cloned());
    for (name, mut room) in rooms(&params.each_ref().map(|(k, v)| (*k, v.as_str()))) {
        let parts =
            vec![(0, unit(&known[..3])), (1, wide()), (0, unit(&[])), (1, wide().slice(1, 3)), (0, unit(&known[3..]))];
        let mut got = None;
        room.map_all([Invocation::new(parts)], |outcome| got = table(outcome)).unwrap();
        assert_eq!(got.as_ref(), Some(&wanted), "{name}");
    }
}

#[test]
fn an_error_or_a_trap_fails_its_unit_and_no_other() {
    let row = |t: &'static str| (Some(t), Some(1), Some(2.5), Some(true), Some(9));
    let good = Some(vec![("好".to_owned(), 1, 9.0, 1.0, 2.5)]);
    for (name, mut room) in rooms(&[("fail", "坏"), ("spin", "转")]) {
        let mut go = |t| table(room.map(unit(&[row(t)])).unwrap());
        assert_eq!(go("好"), good, "{name}");
        assert_eq!(go("坏"), None, "{name}: an error");
        assert_eq!(go("好"), good, "{name}: after an error");
        assert_eq!(go("转"), None, "{name}: out of fuel");
        assert_eq!(go("好"), good, "{name}: after a trap");
    }
}

/// Rust and C have no such key; of an answer that is wrapped around nobody would know.
#[test]
fn a_key_beyond_64_bits_fails_its_unit() {
    let row = |t: &'static str| (Some(t), Some(1), Some(2.5), Some(true), Some(9));
    for (name, mut room) in rooms(&[("beyond", "大")]) {
        let mut go = |t| table(room.map(unit(&[row(t)])).unwrap());
        let python_or_js = ["form_python", "form_js"].contains(&name);
        assert_eq!(go("大").is_none(), python_or_js, "{name}");
        assert!(go("小").is_some(), "{name}");
    }
}

#[test]
fn recursion_without_end_fails_its_unit_and_no_other() {
    let row = |t: &'static str| (Some(t), Some(1), Some(2.5), Some(true), Some(9));
    for (name, mut room) in rooms(&[("deep", "深")]) {
        let mut go = |t| table(room.map(unit(&[row(t)])).unwrap());
        assert_eq!(go("深"), None, "{name}");
        assert_eq!(go("好"), Some(vec![("好".to_owned(), 1, 9.0, 1.0, 2.5)]), "{name}: after it");
    }
}

#[test]
fn what_a_module_keeps_is_kept_for_one_unit_alone() {
    let row = (Some("见"), Some(100), Some(0.5), None, None);
    for (name, mut room) in rooms(&[("seen", "见")]) {
        for _ in 0..2 {
            let seen = table(room.map(unit(&[row; 3])).unwrap()).unwrap();
            assert_eq!(seen.iter().map(|row| row.1).collect::<Vec<_>>(), [1, 2, 3], "{name}");
        }
    }
}

#[test]
fn every_form_takes_thousands_of_rows_and_long_texts() {
    let long = "长é𠮷".repeat(30_000);
    let texts = [long.as_str(), "", "短"];
    let mut rows: Vec<Row<'_>> = mixed().into_iter().cycle().take(3000).collect();
    for (at, text) in texts.iter().enumerate() {
        rows[at * 1400] = (Some(text), Some(-7), None, Some(false), Some(-719_162));
    }
    let large = |limits| RoomLimits {
        fuel: 20_000_000_000,
        memory_bytes: 128 << 20,
        rows_max: 5000,
        output_bytes_max: 8 << 20,
        unit_bytes_max: 8 << 20,
        ..limits
    };
    for (name, mut room) in rooms_of(&[], large) {
        let got = table(room.map(unit(&rows)).unwrap()).unwrap_or_else(|| panic!("{name}: failed"));
        assert!(got == expected(&rows), "{name}: {} rows of {}", got.len(), expected(&rows).len());
    }
}

#[test]
fn every_form_gives_the_same_bytes_twice() {
    let bytes = |outcome| match outcome {
        UnitOutcome::Output(RawBatch { columns, .. }) => columns.into_iter().map(|c| (c.offsets, c.data)).collect(),
        UnitOutcome::Failed => vec![],
    };
    let run = || -> Vec<_> {
        let both = |(_, mut room): (_, Room)| [0; 2].map(|_| bytes(room.map(unit(&mixed())).unwrap()));
        rooms(&[]).into_iter().map(both).collect()
    };
    let (first, second) = (run(), run());
    assert_eq!(first, second, "in another process");
    assert!(first.iter().all(|[a, b]| !a.is_empty() && a == b), "in the same one");
}

/// Not a timed test: it prints what docs/guests.md says.
/// `cargo test --release -p sluice-worker --test forms -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn units_per_second() {
    let few: Vec<Row<'_>> = mixed().into_iter().take(5).collect();
    for (name, mut room) in rooms(&[]) {
        for (what, rows, count) in [("5 rows", few.clone(), 200), ("1 000 rows", few.repeat(200), 4)] {
            let count = if name == "form_rust" || name == "form_c" { count * 10 } else { count };
            let started = Instant::now();
            let mut failed = 0;
            let units = (0..count).map(|_| unit(&rows));
            room.map_all(units, |o| failed += u32::from(matches!(o, UnitOutcome::Failed))).unwrap();
            let rate = count as f64 / started.elapsed().as_secs_f64();
            writeln!(std::io::stderr(), "{name}, {what}: {rate:.0} units/s, {failed} failed").unwrap();
        }
    }
}

/// Not a test either: inspection, the compiled code from the cache, a room, one answer.
#[test]
#[ignore = "a measurement"]
fn first_answer() {
    LazyLock::force(&CODE);
    for form in FORMS {
        let started = Instant::now();
        let code = compiled(form);
        let loaded = started.elapsed();
        let (_, fuel, memory) = form;
        let limits = RoomLimits { fuel, memory_bytes: memory << 20, ..limits() };
        let mut room = Room::open(&programs(), &code, &limits, &[schema_param("people", &people())]).unwrap();
        let opened = started.elapsed();
        assert!(table(room.map(unit(&mixed()[..5])).unwrap()).is_some());
        let answered = started.elapsed();
        writeln!(std::io::stderr(), "{}: code {loaded:.0?}, room {opened:.0?}, answer {answered:.0?}", form.0).unwrap();
    }
}

/// Not a test: the least fuel and memory with which each form answers five rows.
#[test]
#[ignore = "a measurement"]
fn least_limits() {
    let rows: Vec<Row<'_>> = mixed().into_iter().take(5).collect();
    let params = [schema_param("people", &people())];
    for ((name, ..), code) in FORMS.iter().zip(CODE.iter()) {
        let answers = |fuel: u64, memory_bytes: u64| {
            let limits = RoomLimits { fuel, memory_bytes, ..limits() };
            let room = Room::open(&programs(), code, &limits, &params);
            room.is_ok_and(|mut room| room.map(unit(&rows)).is_ok_and(|o| table(o).is_some()))
        };
        let fuel = (10..31).map(|bits| 1u64 << bits).find(|fuel| answers(*fuel, 256 << 20));
        let memory = (0..9).map(|bits| 1u64 << bits).find(|mib| answers(1 << 31, mib << 20));
        writeln!(std::io::stderr(), "{name}: fuel {fuel:?}, memory {memory:?} MiB").unwrap();
    }
}
