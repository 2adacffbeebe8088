//! Whole ingests, from file to staged snapshot, and what a refused one leaves: nothing.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, sync::Arc};

use parquet::arrow::ArrowWriter;
use sluice_domain::Lang;
use sluice_rows::arrow::{
    array::{
        ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, FixedSizeListArray, Float64Array,
        Int64Array, ListArray, ListBuilder, StringArray, StringBuilder, TimestampMillisecondArray,
        TimestampNanosecondArray,
    },
    datatypes::{Float64Type, Int32Type},
    record_batch::RecordBatch,
};
use tempfile::TempDir;

use super::*;
use crate::vault::tests::new_vault;

/// A catalogue entry with a column of every type.
pub(crate) fn entry() -> CatalogueEntry {
    CatalogueEntry::parse(&format!(
        "{HEAD}unit = 'person'\n{}",
        [
            ("person", "int", "role = 'unit'"),
            ("district", "text", "role = 'dimension'\ncodes = [{value='N',label='n'},{value='S',label='s'}]"),
            ("cost", "float", "nullable = true"),
            ("note", "text", "nullable = true"),
            ("insured", "bool", ""),
            ("seen", "date", "nullable = true"),
            ("visits", "int", "nullable = true"),
            ("share", "float", ""),
        ]
        .map(|(name, kind, more)| format!(
            "[[column]]\nname = '{name}'\ntitle = 't'\ntype = '{kind}'\nlevel = 'L2'\n{more}\n"
        ))
        .concat()
    ))
    .unwrap()
}

/// The part of a catalogue file that no test here looks at.
pub(crate) const HEAD: &str = "[dataset]\nid = 'claims'\ntitle = 't'\nsystem = 's'\nformat = 'f'\nprovider = 'p'\n\
    sharing = 'unconditional'\nopening = 'unconditional'\nprovision = 'p'\ncycle = 'c'\nterm = 't'\n";

const HEADER: &str = "person,district,cost,note,insured,seen,visits,share\n";
const ROWS: &str = "7,N,0.1,\"a, \"\"b\"\"\",true,2024-02-29,3,0.5\n\
                    -2,S,,,FALSE,,,-0\n\
                    7,N,NaN,中文,false,1969-12-31,-9223372036854775808,1e-300\n\
                    9,S,inf,x,true,1970-01-01,0,2\n";

fn rows() -> Vec<(&'static str, ArrayRef)> {
    vec![
        // Not in the catalogue's order, on purpose.
        ("share", Arc::new(Float64Array::from(vec![0.5, -0.0, 1e-300, 2.0]))),
        ("visits", Arc::new(Int64Array::from(vec![Some(3), None, Some(i64::MIN), Some(0)]))),
        ("person", Arc::new(Int64Array::from(vec![7, -2, 7, 9]))),
        ("district", Arc::new(StringArray::from(vec!["N", "S", "N", "S"]))),
        ("cost", Arc::new(Float64Array::from(vec![Some(0.1), None, Some(f64::NAN), Some(f64::INFINITY)]))),
        ("note", Arc::new(StringArray::from(vec![Some("a, \"b\""), None, Some("中文"), Some("x")]))),
        ("insured", Arc::new(BooleanArray::from(vec![true, false, false, true]))),
        ("seen", Arc::new(Date32Array::from(vec![Some(19_782), None, Some(-1), Some(0)]))),
    ]
}

fn put(dir: &TempDir, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.path().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

pub(crate) fn put_parquet(dir: &TempDir, name: &str, columns: Vec<(&str, ArrayRef)>) -> PathBuf {
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    put(dir, name, writer.into_inner().unwrap())
}

pub(crate) fn snap(n: u64) -> SnapshotId {
    SnapshotId::numbered(n)
}

fn stage(vault: &Vault, path: &Path, n: u64) -> Result<Staged, Refusal> {
    vault.stage(&entry(), path, &snap(n), &mut |_, _| {})
}

/// Every file under the vault but the keyring.
fn files(dir: &TempDir) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![dir.path().join("vault")];
    while let Some(folder) = folders.pop() {
        for item in fs::read_dir(folder).unwrap() {
            let path = item.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.retain(|path| !path.ends_with("keyring"));
    found
}

#[test]
fn csv_and_parquet_of_the_same_data_give_the_same_commitment() {
    let (dir, vault) = new_vault();
    let mut heard = Vec::new();
    let csv = put(&dir, "a.csv", format!("\u{feff}{HEADER}{ROWS}"));
    let csv = vault.stage(&entry(), &csv, &snap(1), &mut |done, total| heard.push((done, total))).unwrap();
    let parquet = put_parquet(&dir, "a.parquet", rows());
    let parquet = vault.stage(&entry(), &parquet, &snap(2), &mut |done, total| heard.push((done, total))).unwrap();
    assert_eq!(heard, [(4, 0), (4, 4)]);
    assert_eq!((csv.rows, csv.roster_size), (4, 3));
    assert_eq!((parquet.rows, parquet.roster_size, parquet.commitment), (4, 3, csv.commitment));
    assert_ne!(parquet.sealed_file, csv.sealed_file);

    // One bit of one value, one null, one order within a unit: another commitment.
    let other = [
        ROWS.replace("0.1,", "0.10000000000000002,"),
        ROWS.replace("-0\n", "0\n"),
        ROWS.replace(",x,", ",,"),
        ROWS.replace("-2,S", "-3,S"),
        ROWS.replace("2024-02-29,3", "2024-02-29,4"),
        ROWS.replace("1969-12-31", "2024-02-29").replacen("2024-02-29", "1969-12-31", 1),
    ];
    for (n, text) in other.iter().enumerate() {
        let path = put(&dir, "b.csv", format!("{HEADER}{text}"));
        assert_ne!(stage(&vault, &path, n as u64 + 10).unwrap().commitment, csv.commitment, "{n}");
    }
    let (_other_dir, other) = new_vault();
    let path = put(&dir, "a.csv", format!("{HEADER}{ROWS}"));
    assert_ne!(stage(&other, &path, 1).unwrap().commitment, csv.commitment);
}

#[test]
fn a_refused_file_is_named_by_row_and_column_and_leaves_nothing() {
    let (dir, vault) = new_vault();
    let row = |bad: &str| format!("{HEADER}{ROWS}{bad}\n");
    let long = "x".repeat(TEXT_BYTES_MAX + 1);
    let cases = [
        (row("SECRET,N,1,n,true,,1,1"), "ingest.unreadable-value", "row 5, column person"),
        (row(",N,1,n,true,,1,1"), "ingest.missing-value", "row 5, column person"),
        (row("1,SECRET,1,n,true,,1,1"), "ingest.unknown-code", "row 5, column district"),
        (row("1,N,SECRET,n,true,,1,1"), "ingest.unreadable-value", "row 5, column cost"),
        (row("1,N,8123e999,n,true,,1,1"), "ingest.lossy-value", "row 5, column cost"),
        (row("1,N,9007199254740993,n,true,,1,1"), "ingest.lossy-value", "row 5, column cost"),
        (row(&format!("1,N,1,{long},true,,1,1")), "ingest.text-too-long", "row 5, column note"),
        (row("1,N,1,n,SECRET,,1,1"), "ingest.unreadable-value", "row 5, column insured"),
        (row("1,N,1,n,true,2023-02-29,1,1"), "ingest.unreadable-value", "row 5, column seen"),
        (row("1,N,1,n,true,,1.5,1"), "ingest.unreadable-value", "row 5, column visits"),
        (row("1,N,1,n,true,,9223372036854775808,1"), "ingest.unreadable-value", "row 5, column visits"),
        (row("1,N,1,n,true,,1,nan"), "ingest.missing-value", "row 5, column share"),
        (row("1,N,1,n,true,,SECRET,\n,N,1,n,true,,1,1"), "ingest.unreadable-value", "row 5, column visits"),
        (row("1,N,1,n,true,,1"), "ingest.row-shape", "row 5"),
        (row("1,N,1,n,true,,1,1,SECRET"), "ingest.row-shape", "row 5"),
        (row("1,N,1,n,true,,SECRET,1\n1,N"), "ingest.unreadable-value", "row 5, column visits"),
        (ROWS.to_owned(), "ingest.header", ""),
        (HEADER.to_owned(), "ingest.empty", ""),
        (String::new(), "ingest.header", ""),
        (format!("extra,{HEADER}"), "ingest.column-unknown", "column extra"),
        (format!("33020019990101,{HEADER}"), "ingest.column-unknown", "column number 1"),
        (format!("person,{HEADER}"), "ingest.column-twice", "column person"),
        (HEADER.replace("note,", ""), "ingest.column-missing", "column note"),
        (HEADER.replace("person", "Person"), "ingest.column-unknown", "column Person"),
    ];
    for (n, (text, code, place)) in cases.into_iter().enumerate() {
        let path = put(&dir, "a.csv", text);
        let refusal = stage(&vault, &path, 1).unwrap_err();
        assert_eq!((refusal.code, refusal.place.as_deref().unwrap_or("")), (code, place), "case {n}");
        let said = format!("{refusal:?} {refusal} {} {}", refusal.line(Lang::Zh), refusal.line(Lang::En));
        for secret in ["SECRET", "8123", "9007199254740993", "2023-02-29", "9223372036854775808", "330200", "xxx"] {
            assert!(!said.contains(secret), "case {n} tells {secret}: {said}");
        }
    }
    let bytes = [HEADER.as_bytes(), b"1,N,1,\xff\xfe,true,,1,1\n"].concat();
    let refusal = stage(&vault, &put(&dir, "a.csv", bytes), 1).unwrap_err();
    assert_eq!((refusal.code, refusal.place.as_deref()), ("ingest.text-encoding", Some("row 1, column note")));
    for (name, code) in [("a.xlsx", "ingest.source-format"), ("a.parquet", "ingest.source-unreadable")] {
        assert_eq!(stage(&vault, &put(&dir, name, "not this"), 1).unwrap_err().code, code);
    }
    assert_eq!(stage(&vault, &dir.path().join("none.csv"), 1).unwrap_err().code, "ingest.source-unreadable");
    assert_eq!(files(&dir), Vec::<PathBuf>::new());
    assert_eq!(fs::read_dir(dir.path().join("vault/staging")).unwrap().count(), 0);
    assert_eq!(vault.staged().unwrap(), []);
}

#[test]
fn a_row_that_cannot_be_is_refused_by_its_columns() {
    let (dir, vault) = new_vault();
    let bins = |name: &str, more: &str| {
        format!("[[column.binning]]\nname = '{name}'\ntitle = 't'\n{more}\nmissing = 'unknown'\n")
    };
    let columns = [
        ("person", "int", "role = 'unit'".to_owned()),
        ("district", "text", "role = 'dimension'\ncodes = [{value='N',label='n'},{value='S',label='s'}]".to_owned()),
        ("cost", "float", format!("nullable = true\n{}", bins("dear", "edges = [10]\nlabels = ['no', 'yes']"))),
        (
            "seen",
            "date",
            format!("nullable = true\n{}", bins("when", "edges = ['2020-01-01']\nlabels = ['old', 'new']")),
        ),
    ];
    let columns = columns.map(|(name, kind, more)| {
        format!("[[column]]\nname = '{name}'\ntitle = 't'\ntype = '{kind}'\nlevel = 'L2'\n{more}\n")
    });
    let never = "[[impossible]]\nbasis = 'b'\ncodes = { district = ['S'], dear = ['yes', 'unknown'] }\n\
                 [[impossible]]\nbasis = 'b'\ncodes = { when = ['old'] }\n";
    let entry = CatalogueEntry::parse(&format!("{HEAD}unit = 'person'\n{}{never}", columns.concat())).unwrap();
    let take = |rows: &str, n: u64| {
        let path = put(&dir, "a.csv", format!("person,district,cost,seen\n{rows}"));
        vault.stage(&entry, &path, &snap(n), &mut |_, _| {})
    };
    assert_eq!(take("1,N,10,2020-01-01\n2,S,9.99,\n3,N,,2024-02-29\n", 1).unwrap().rows, 3);
    for (rows, place) in [
        ("1,N,10,\n2,S,10,\n", "row 2, column dear × district"),
        ("2,S,nan,\n", "row 1, column dear × district"),
        ("2,S,,\n", "row 1, column dear × district"),
        ("1,N,10,2019-12-31\n2,S,10,\n", "row 1, column when"),
        ("2,S,10,\n1,SECRET,10,\n", "row 1, column dear × district"),
    ] {
        let refusal = take(rows, 2).unwrap_err();
        assert_eq!((refusal.code, refusal.place.as_deref()), ("ingest.impossible", Some(place)), "{rows}");
    }
    assert_eq!(take("1,SECRET,10,\n2,S,10,\n", 2).unwrap_err().code, "ingest.unknown-code");
}

#[test]
fn a_parquet_file_is_held_to_the_same_rules() {
    let (dir, vault) = new_vault();
    let with = |name: &str, array: ArrayRef| {
        let mut columns = rows();
        columns.retain(|(n, _)| *n != name);
        columns.push((Box::leak(name.to_owned().into_boxed_str()), array));
        put_parquet(&dir, "a.parquet", columns)
    };
    let floats = |values: [f64; 4]| -> ArrayRef { Arc::new(Float64Array::from(values.to_vec())) };
    let texts = |values: [&str; 4]| -> ArrayRef { Arc::new(StringArray::from(values.to_vec())) };
    let cases: [(&str, ArrayRef, &str, &str); 7] = [
        ("visits", floats([1.0, 2.0, 8.25, 3.5]), "ingest.lossy-value", "row 3, column visits"),
        ("visits", floats([1.0, f64::NAN, 8.25, 3.5]), "ingest.lossy-value", "row 2, column visits"),
        ("person", texts(["1", "2", "3", "4"]), "ingest.column-type", "column person"),
        ("district", texts(["N", "N", "N", "SECRET"]), "ingest.unknown-code", "row 4, column district"),
        ("share", floats([1.0, f64::NAN, 1.0, 1.0]), "ingest.missing-value", "row 2, column share"),
        ("extra", floats([1.0; 4]), "ingest.column-unknown", "column extra"),
        (
            "person",
            Arc::new(Int64Array::from(vec![Some(1), None, Some(1), Some(1)])),
            "ingest.missing-value",
            "row 2, column person",
        ),
    ];
    for (name, array, code, place) in cases {
        let refusal = stage(&vault, &with(name, array), 1).unwrap_err();
        assert_eq!((refusal.code, refusal.place.as_deref()), (code, Some(place)));
    }
    assert_eq!(files(&dir), Vec::<PathBuf>::new());
    // Whole floats are an int without loss.
    let base = stage(&vault, &put_parquet(&dir, "b.parquet", rows()), 1).unwrap();
    let person = stage(&vault, &with("person", floats([7.0, -2.0, 7.0, 9.0])), 2).unwrap();
    assert_eq!(base.commitment, person.commitment);
}

#[test]
fn staged_then_published_or_discarded() {
    let (dir, vault) = new_vault();
    let path = put(&dir, "a.csv", format!("{HEADER}{ROWS}"));
    let (staging, published) = (dir.path().join("vault/staging"), dir.path().join("vault/snapshots"));
    let staged = stage(&vault, &path, 1).unwrap();
    stage(&vault, &path, 2).unwrap();
    assert_eq!(vault.staged().unwrap(), [snap(1), snap(2)]);
    assert_eq!(fs::read_dir(&published).unwrap().count(), 0);
    assert_eq!(stage(&vault, &path, 1).unwrap_err().code, "ingest.snapshot-exists");

    let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&staging.join("snap-000001")), 0o700);
    assert_eq!(mode(&staging.join("snap-000001/part-0.parquet")), 0o600);

    assert!(matches!(vault.verify_snapshot(&snap(1), &staged.sealed_file), Err(VaultError::Missing { .. })));
    vault.publish(&snap(1)).unwrap();
    vault.publish(&snap(1)).unwrap();
    vault.verify_snapshot(&snap(1), &staged.sealed_file).unwrap();
    assert!(matches!(vault.verify_snapshot(&snap(1), &Digest::of(b"")), Err(VaultError::Tampered { .. })));
    assert_eq!(vault.staged().unwrap(), [snap(2)]);
    assert_eq!(stage(&vault, &path, 1).unwrap_err().code, "ingest.snapshot-exists");

    vault.discard(&snap(2)).unwrap();
    vault.discard(&snap(2)).unwrap();
    vault.discard(&snap(1)).unwrap(); // published: stays
    assert_eq!(fs::read_dir(&staging).unwrap().count(), 0);
    assert_eq!(fs::read_dir(&published).unwrap().count(), 1);
    assert!(matches!(vault.publish(&snap(2)), Err(VaultError::Missing { .. })));

    // What a crash left.
    fs::create_dir_all(staging.join(".half-x")).unwrap();
    fs::write(staging.join(".half-x/part-0.parquet"), b"half").unwrap();
    stage(&vault, &path, 3).unwrap();
    assert_eq!(vault.staged().unwrap(), [snap(3)]);
    vault.sweep().unwrap();
    assert_eq!(vault.staged().unwrap(), [snap(3)]);
    assert_eq!(fs::read_dir(&staging).unwrap().count(), 1);
}

/// A catalogue entry with the wider types, and their rows as a careless writer has them.
pub(crate) fn wide_entry() -> CatalogueEntry {
    let column = |(name, kind, more): (&str, &str, &str)| {
        format!("[[column]]\nname = '{name}'\ntitle = 't'\ntype = '{kind}'\nlevel = 'L2'\n{more}\n")
    };
    let columns = [
        ("person", "int", "role = 'unit'"),
        ("paid", "decimal-8-2", "nullable = true\nrange = [-5, 100000]"),
        ("at", "timestamp", "nullable = true"),
        ("word", "text", "nullable = true"),
        ("nothing", "null", "nullable = true"),
        ("ints", "list-int", "nullable = true"),
        ("floats", "list-float", ""),
        ("words", "list-text", "nullable = true"),
    ];
    CatalogueEntry::parse(&format!("{HEAD}unit = 'person'\n{}", columns.map(column).concat())).unwrap()
}

pub(crate) fn wide_rows() -> Vec<(&'static str, ArrayRef)> {
    let mut words = ListBuilder::new(StringBuilder::new());
    words.append_value([Some("数"), Some("")]);
    words.append_null();
    words.append_value(Vec::<Option<&str>>::new());
    let words: ArrayRef = Arc::new(words.finish());
    let word: DictionaryArray<Int32Type> = vec![Some("b"), None, Some("a")].into_iter().collect();
    vec![
        ("person", Arc::new(Int64Array::from(vec![1, 2, 3]))),
        (
            "paid",
            Arc::new(
                Decimal128Array::from(vec![Some(12_300), None, Some(-10)]).with_precision_and_scale(20, 3).unwrap(),
            ),
        ),
        ("at", Arc::new(TimestampMillisecondArray::from(vec![Some(-1), None, Some(2)]).with_timezone("UTC"))),
        ("word", Arc::new(word)),
        ("nothing", Arc::new(StringArray::from(vec![None::<&str>; 3]))),
        (
            "ints",
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(vec![
                Some(vec![Some(1), Some(-2)]),
                None,
                Some(vec![]),
            ])),
        ),
        (
            "floats",
            Arc::new(FixedSizeListArray::from_iter_primitive::<Float64Type, _, _>(
                vec![Some(vec![Some(0.5)]), Some(vec![Some(-0.0)]), Some(vec![Some(1e300)])],
                1,
            )),
        ),
        ("words", words),
    ]
}

#[test]
fn the_wider_types_are_taken_in_without_loss_or_by_row_and_column_refused() {
    let (dir, vault) = new_vault();
    let take = |n: u64, columns: Vec<(&str, ArrayRef)>| {
        vault.stage(&wide_entry(), &put_parquet(&dir, "w.parquet", columns), &snap(n), &mut |_, _| {})
    };
    let good = take(1, wide_rows()).unwrap();
    assert_eq!((good.rows, good.roster_size), (3, 3));
    let changed = |name: &str, array: ArrayRef| {
        let mut rows = wide_rows();
        rows.iter_mut().find(|(n, _)| *n == name).unwrap().1 = array;
        rows
    };
    let lists = |values: Vec<Option<Vec<Option<i32>>>>| -> ArrayRef {
        Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(values))
    };
    let floats = |v: f64| -> ArrayRef {
        Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(vec![
            Some(vec![Some(1.0)]),
            Some(vec![]),
            Some(vec![Some(0.5), Some(v)]),
        ]))
    };
    let paid = |v: i128| -> ArrayRef {
        Arc::new(Decimal128Array::from(vec![Some(1000), Some(v), None]).with_precision_and_scale(20, 3).unwrap())
    };
    // One value of a list, or an empty list for a missing one: another commitment.
    let other = [
        ("ints", lists(vec![Some(vec![Some(1), Some(-3)]), None, Some(vec![])])),
        ("ints", lists(vec![Some(vec![Some(1), Some(-2)]), Some(vec![]), Some(vec![])])),
        ("ints", lists(vec![Some(vec![Some(1)]), None, Some(vec![Some(-2)])])),
        ("paid", paid(1000)),
    ];
    for (n, (name, array)) in other.into_iter().enumerate() {
        assert_ne!(take(n as u64 + 2, changed(name, array)).unwrap().commitment, good.commitment, "{n}");
    }
    let long: Vec<_> = (0..i32::try_from(LIST_VALUES_MAX).unwrap() + 1).map(Some).collect();
    let cases: [(&str, ArrayRef, &str, &str); 11] = [
        ("paid", paid(1001), "ingest.lossy-value", "row 2, column paid"),
        ("paid", paid(10_i128.pow(12)), "ingest.lossy-value", "row 2, column paid"),
        ("paid", paid(-5010), "ingest.out-of-range", "row 2, column paid"),
        ("paid", Arc::new(Float64Array::from(vec![1.0; 3])), "ingest.column-type", "column paid"),
        (
            "at",
            Arc::new(TimestampNanosecondArray::from(vec![1000, 2000, 3001])),
            "ingest.lossy-value",
            "row 3, column at",
        ),
        (
            "nothing",
            Arc::new(Int64Array::from(vec![None, Some(1), None])),
            "ingest.lossy-value",
            "row 2, column nothing",
        ),
        ("ints", lists(vec![None, Some(vec![Some(1), None]), None]), "ingest.missing-value", "row 2, column ints"),
        ("ints", lists(vec![None, None, Some(long)]), "ingest.list-too-long", "row 3, column ints"),
        ("ints", Arc::new(Int64Array::from(vec![1, 2, 3])), "ingest.column-type", "column ints"),
        ("floats", floats(f64::NAN), "ingest.missing-value", "row 3, column floats"),
        ("words", lists(vec![None, None, None]), "ingest.column-type", "column words"),
    ];
    for (n, (name, array, code, place)) in cases.into_iter().enumerate() {
        let refusal = take(90, changed(name, array)).unwrap_err();
        assert_eq!((refusal.code, refusal.place.as_deref()), (code, Some(place)), "case {n}");
    }
    let csv = put(&dir, "w.csv", "person,paid,at,word,nothing,ints,floats,words\n");
    let refusal = vault.stage(&wide_entry(), &csv, &snap(91), &mut |_, _| {}).unwrap_err();
    assert_eq!((refusal.code, refusal.place.as_deref()), ("ingest.csv-list", Some("column ints")));
}

#[test]
fn decimals_timestamps_and_nulls_are_the_same_from_csv_and_parquet() {
    let (dir, vault) = new_vault();
    let mut entry = wide_entry();
    entry.columns.truncate(5);
    let csv =
        "person,paid,at,word,nothing\n1,12.3,1969-12-31T23:59:59.999Z,b,\n2,,,,\n3,-0.010,1970-01-01 00:00:00.002,a,\n";
    let csv = vault.stage(&entry, &put(&dir, "w.csv", csv), &snap(1), &mut |_, _| {}).unwrap();
    let mut rows = wide_rows();
    rows.truncate(5);
    let parquet = vault.stage(&entry, &put_parquet(&dir, "w.parquet", rows), &snap(2), &mut |_, _| {}).unwrap();
    assert_eq!(csv.commitment, parquet.commitment);
}
