//! What a grant opens, and what it does not: with parquet's own reader and the
//! way `view` reads, through DataFusion.

use std::{
    collections::HashMap,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use parquet::{
    arrow::{
        ArrowWriter, ProjectionMask,
        arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder},
    },
    file::properties::WriterProperties,
};
use sluice_rows::arrow::{
    array::{Array as _, ArrayRef, AsArray as _, Float64Array, Int64Array, StringArray, UInt64Array},
    compute::concat_batches,
    datatypes::{DataType, UInt64Type},
    record_batch::RecordBatch,
};
use tempfile::TempDir;

use super::*;
use crate::{
    dataset_key::tests::UNWRAPPED,
    ingest::tests::{HEAD, put_parquet, snap},
    vault::tests::new_vault,
};

mod through_datafusion;

/// Canaries: random bits that nothing compresses, extreme enough to become the
/// statistics of their columns.
const RARE_INT: i64 = 0x7a3f_91c4_d85e_02b7;
const RARE_FLOAT: f64 = 8.123_456_789_012_345e301;
const RARE_TEXT: &str = "zqX7-kV9w_Lm3T";
const RARE_ID: i64 = 0x6b1d_44f0_937c_a85e;

fn entry() -> CatalogueEntry {
    let column = |name: &str, kind: &str, more: &str| {
        format!("[[column]]\nname = '{name}'\ntitle = 't'\ntype = '{kind}'\nlevel = 'L3'\n{more}\n")
    };
    let columns = [
        column("person", "int", "role = 'unit'"),
        column("age", "int", ""),
        column("cost", "float", "nullable = true"),
        column("name", "text", ""),
    ];
    CatalogueEntry::parse(&format!("{HEAD}unit = 'person'\n{}", columns.concat())).unwrap()
}

fn source(rows: i64) -> Vec<(&'static str, ArrayRef)> {
    let numbers = || 0..rows;
    let int = |f: fn(i64) -> i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values(numbers().map(f))) };
    vec![
        ("person", int(|n| if n == 3 { RARE_ID } else { n / 2 })),
        ("age", int(|n| if n == 3 { RARE_INT } else { n % 90 })),
        (
            "cost",
            Arc::new(
                numbers()
                    .map(|n| (n % 5 != 0).then_some(if n == 3 { RARE_FLOAT } else { n as f64 }))
                    .collect::<Float64Array>(),
            ),
        ),
        (
            "name",
            Arc::new(StringArray::from_iter_values(
                numbers().map(|n| if n == 3 { RARE_TEXT.to_owned() } else { format!("p{n}") }),
            )),
        ),
    ]
}

fn published(rows: i64) -> (TempDir, Vault, CatalogueEntry) {
    let (dir, vault) = new_vault();
    let path = put_parquet(&dir, "source.parquet", source(rows));
    vault.stage(&entry(), &path, &snap(1), &mut |_, _| {}).unwrap();
    vault.publish(&snap(1)).unwrap();
    (dir, vault, entry())
}

fn granted(vault: &Vault, columns: &[&str]) -> Result<ColumnGrant, VaultError> {
    vault.grant(&entry(), &snap(1), &columns.iter().map(|c| (*c).to_owned()).collect())
}

/// Reads `columns` with parquet's Arrow reader.
fn read(path: &Path, keys: Arc<FileDecryptionProperties>, columns: &[&str]) -> Result<RecordBatch, ParquetError> {
    let options = ArrowReaderOptions::new().with_file_decryption_properties(keys);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(File::open(path)?, options)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
    let batches: Result<Vec<_>, _> = builder.with_projection(mask).build()?.collect();
    let batches = batches?;
    Ok(concat_batches(&batches[0].schema(), &batches)?)
}

/// Stands between a reader and the grant and writes down what was asked.
struct Spy {
    keys: Arc<GrantedKeys>,
    asked: Mutex<BTreeMap<String, BTreeSet<bool>>>,
}

impl KeyRetriever for Spy {
    fn retrieve_key(&self, key_metadata: &[u8]) -> Result<Vec<u8>, ParquetError> {
        let answer = self.keys.retrieve_key(key_metadata);
        let name = match named(key_metadata) {
            Some(Opens::Column(name)) => name.to_owned(),
            Some(Opens::Footer) => "footer".to_owned(),
            None => "?".to_owned(),
        };
        self.asked.lock().unwrap().entry(name).or_default().insert(answer.is_ok());
        answer
    }
}

impl Spy {
    fn on(grant: &ColumnGrant) -> Arc<Self> {
        Arc::new(Self { keys: Arc::clone(&grant.keys), asked: Mutex::default() })
    }

    fn decryption(self: &Arc<Self>, grant: &ColumnGrant) -> Arc<FileDecryptionProperties> {
        properties(&grant.snapshot, Arc::clone(self) as Arc<dyn KeyRetriever>).unwrap()
    }

    /// Which names were asked for, and whether their key was given: always or never.
    fn answers(&self) -> Vec<(String, bool)> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|(name, given)| (name.clone(), *given == BTreeSet::from([true]))).collect()
    }
}

fn answers(of: &[(&str, bool)]) -> Vec<(String, bool)> {
    of.iter().map(|(name, given)| ((*name).to_owned(), *given)).collect()
}

#[test]
fn an_ungranted_columns_key_is_never_unwrapped() {
    let (_dir, vault, _) = published(1_000);
    UNWRAPPED.take();
    let grant = granted(&vault, &["age", "cost"]).unwrap();
    let mut unwrapped = UNWRAPPED.take();
    unwrapped.sort();
    assert_eq!(unwrapped, ["", ROW_COLUMN, UNIT_COLUMN, "age", "cost"]); // "" is the footer's
    assert_eq!(format!("{grant:?}"), "ColumnGrant(4 columns of snap-000001, keys withheld)");
    let names: Vec<_> = grant.schema().fields().iter().map(|f| (f.name().clone(), f.data_type().clone())).collect();
    let want = [
        ("age", DataType::Int64),
        ("cost", DataType::Float64),
        (ROW_COLUMN, DataType::UInt32),
        (UNIT_COLUMN, DataType::UInt64),
    ];
    assert_eq!(names, want.map(|(n, t)| (n.to_owned(), t)));

    let spy = Spy::on(&grant);
    let rows = read(grant.path(), spy.decryption(&grant), &["age", UNIT_COLUMN]).unwrap();
    assert_eq!((rows.num_rows(), rows.num_columns()), (1_000, 2));
    let asked = [
        (ROW_COLUMN, true),
        (UNIT_COLUMN, true),
        ("age", true),
        ("cost", true),
        ("footer", true),
        ("name", false),
        ("person", false),
    ];
    assert_eq!(spy.answers(), answers(&asked));
    // Reading unwrapped nothing at all: the grant has no key to do it with.
    assert_eq!(UNWRAPPED.take(), Vec::<String>::new());

    for column in ["name", "person"] {
        let refused = catch_unwind(AssertUnwindSafe(|| read(grant.path(), grant.decryption().unwrap(), &[column])));
        assert!(refused.is_err() || refused.unwrap().is_err(), "{column}");
    }
}

#[test]
fn values_come_back_and_units_are_adjacent() {
    let (_dir, vault, _) = published(1_000);
    let grant = granted(&vault, &["person", "age", "cost", "name"]).unwrap();
    let all = ["person", "age", "cost", "name", UNIT_COLUMN];
    let rows = read(grant.path(), grant.decryption().unwrap(), &all).unwrap();
    let original = RecordBatch::try_from_iter(source(1_000)).unwrap();
    let key = |batch: &RecordBatch, row: usize| {
        let cost = batch.column(2).as_primitive::<sluice_rows::arrow::datatypes::Float64Type>();
        (
            batch.column(0).as_primitive::<sluice_rows::arrow::datatypes::Int64Type>().value(row),
            batch.column(1).as_primitive::<sluice_rows::arrow::datatypes::Int64Type>().value(row),
            cost.is_valid(row).then(|| cost.value(row).to_bits()),
            batch.column(3).as_string::<i32>().value(row).to_owned(),
        )
    };
    let sorted = |batch: &RecordBatch| {
        let mut all: Vec<_> = (0..batch.num_rows()).map(|row| key(batch, row)).collect();
        all.sort();
        all
    };
    assert_eq!(sorted(&rows), sorted(&original));
    let units = rows.column(4).as_primitive::<UInt64Type>();
    assert!(units.values().windows(2).all(|w| w[0] <= w[1]));
    let pairs: BTreeSet<_> = (0..1_000).map(|row| (key(&rows, row).0, units.value(row))).collect();
    let people: BTreeSet<_> = pairs.iter().map(|(person, _)| person).collect();
    assert_eq!(pairs.len(), people.len());
}

#[test]
fn asks_for_known_columns_of_published_snapshots_only() {
    let (_dir, vault, entry) = published(10);
    assert!(matches!(granted(&vault, &["salary"]), Err(VaultError::Column(_))));
    assert!(matches!(granted(&vault, &[UNIT_COLUMN]), Err(VaultError::Column(_))));
    assert_eq!(granted(&vault, &[]).unwrap().schema().fields().len(), 2);
    assert!(matches!(vault.grant(&entry, &snap(2), &BTreeSet::new()), Err(VaultError::Missing { .. })));
    // The catalogue moved on and says another type: the snapshot does not follow.
    let mut changed = entry.clone();
    changed.columns[1].kind = sluice_domain::catalogue::ColumnType::Text;
    let refused = vault.grant(&changed, &snap(1), &BTreeSet::from(["age".to_owned()]));
    assert!(matches!(refused, Err(VaultError::Column(_))));
    // Another dataset's key does not open it.
    let mut other = entry;
    other.dataset.id = "firms".parse().unwrap();
    assert!(matches!(vault.grant(&other, &snap(1), &BTreeSet::new()), Err(VaultError::Missing { .. })));
}

#[test]
fn a_file_under_another_snapshots_name_does_not_open() {
    let (dir, vault, entry) = published(10);
    let snapshots = dir.path().join("vault/snapshots");
    fs::create_dir(snapshots.join("snap-000002")).unwrap();
    fs::copy(snapshots.join("snap-000001/part-0.parquet"), snapshots.join("snap-000002/part-0.parquet")).unwrap();
    assert!(matches!(vault.grant(&entry, &snap(2), &BTreeSet::new()), Err(VaultError::Tampered { .. })));
}

#[test]
fn a_flipped_byte_never_gives_other_rows() {
    let (_dir, vault, _) = published(40);
    let all = ["person", "age", "cost", "name", UNIT_COLUMN];
    let path = vault.part_path(&snap(1));
    let whole = fs::read(&path).unwrap();
    let digest = disk_digest(&path);
    let read_all = || {
        let grant = granted(&vault, &all[..4]).map_err(|e| ParquetError::General(e.to_string()))?;
        read(grant.path(), grant.decryption().unwrap(), &all)
    };
    let right = read_all().unwrap();
    std::panic::set_hook(Box::new(|_| {})); // the library may panic on damaged lengths; see below
    let mut noticed = 0;
    let tried: Vec<usize> = (0..whole.len()).filter(|at| at % 3 == 0 || at + 150 > whole.len()).collect();
    for at in &tried {
        let mut bytes = whole.clone();
        bytes[*at] ^= 1;
        fs::write(&path, &bytes).unwrap();
        // An error or a panic is a refusal. A few framing bytes are neither used
        // nor authenticated by the reader (the mark at the head, the lengths of
        // data pages); then the rows must be the right ones.
        match catch_unwind(AssertUnwindSafe(read_all)) {
            Ok(Ok(rows)) => assert_eq!(rows, right, "byte {at}"),
            Ok(Err(_)) | Err(_) => noticed += 1,
        }
        assert!(matches!(vault.verify_snapshot(&snap(1), &digest), Err(VaultError::Tampered { .. })), "byte {at}");
    }
    let _ = std::panic::take_hook();
    assert!(noticed * 10 > tried.len() * 9, "{noticed} of {}", tried.len());
    fs::write(&path, &whole).unwrap();
    vault.verify_snapshot(&snap(1), &digest).unwrap();
}

fn disk_digest(path: &Path) -> sluice_domain::Digest {
    sluice_domain::Digest::of(&fs::read(path).unwrap())
}

#[test]
fn no_value_and_no_statistic_stands_in_any_file() {
    let (dir, vault, _) = published(1_000);
    let grant = granted(&vault, &["person", "age", "cost", "name"]).unwrap();
    let all = ["person", "age", "cost", "name", UNIT_COLUMN];
    let rows = read(grant.path(), grant.decryption().unwrap(), &all).unwrap();
    let units = rows.column(4).as_primitive::<UInt64Type>();
    let (first, last) = (units.value(0), units.value(units.len() - 1)); // the column's statistics
    let mut canaries: Vec<Vec<u8>> = vec![RARE_TEXT.into(), b"p997".to_vec(), b"p998".to_vec()];
    for number in [
        RARE_INT.to_le_bytes(),
        RARE_ID.to_le_bytes(),
        RARE_FLOAT.to_le_bytes(),
        first.to_le_bytes(),
        last.to_le_bytes(),
    ] {
        canaries.push(number.to_vec());
        canaries.push(number.iter().rev().copied().collect());
    }
    let holds = |bytes: &[u8], canary: &[u8]| bytes.windows(canary.len()).any(|w| w == canary);

    // The search is able to find: the same rows, written the same way but for the
    // encryption, show the statistics of every column.
    let mut plain =
        ArrowWriter::try_new(Vec::new(), rows.schema(), Some(crate::ingest::properties(&rows.schema()).build()))
            .unwrap();
    plain.write(&rows).unwrap();
    let plain = plain.into_inner().unwrap();
    for canary in [
        RARE_TEXT.as_bytes(),
        &RARE_INT.to_le_bytes(),
        &RARE_ID.to_le_bytes(),
        &RARE_FLOAT.to_le_bytes(),
        &first.to_le_bytes(),
        &last.to_le_bytes(),
    ] {
        assert!(holds(&plain, canary), "{canary:x?}");
    }
    assert!(holds(&plain, b"person") && holds(&plain, b"cost"));

    // Uncompressed, too, so that nothing is hidden by the compression alone.
    let open = WriterProperties::builder().set_dictionary_enabled(false).build();
    let mut open = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(open)).unwrap();
    open.write(&rows).unwrap();
    assert!(holds(&open.into_inner().unwrap(), b"p998"));

    let mut folders = vec![dir.path().join("vault")];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for item in fs::read_dir(folder).unwrap() {
            let path = item.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            seen += 1;
            let bytes = fs::read(&path).unwrap();
            for canary in &canaries {
                assert!(!holds(&bytes, canary), "{canary:x?} in {}", path.display());
            }
            // Column names are public, but the footer that holds them is sealed.
            assert!(!holds(&bytes, b"person"));
        }
    }
    assert_eq!(seen, 3); // keyring, dataset key, snapshot
}

#[test]
fn randhie_comes_in_whole() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/randhie.parquet");
    let original = ParquetRecordBatchReaderBuilder::try_new(File::open(&source).unwrap()).unwrap();
    let original: Vec<_> = original.build().unwrap().map(Result::unwrap).collect();
    let original = concat_batches(&original[0].schema(), &original).unwrap();
    let mut toml = format!("{HEAD}unit = 'zper'\n");
    for (field, column) in original.schema().fields().iter().zip(original.columns()) {
        let kind = if *field.data_type() == DataType::Int64 { "int" } else { "float" };
        let role = if field.name() == "zper" { "unit" } else { "attribute" };
        let (name, nullable) = (field.name(), column.null_count() > 0);
        toml += &format!(
            "[[column]]\nname = '{name}'\ntitle = 't'\ntype = '{kind}'\nlevel = 'L3'\nrole = '{role}'\nnullable = {nullable}\n"
        );
    }
    let entry = CatalogueEntry::parse(&toml).unwrap();
    let (_dir, vault) = new_vault();
    let staged = vault.stage(&entry, &source, &snap(1), &mut |_, _| {}).unwrap();
    assert_eq!((staged.rows, staged.roster_size), (20_190, 5_912));
    vault.publish(&snap(1)).unwrap();

    // Every value, bit for bit, in the provider's order within a unit.
    let columns: BTreeSet<String> = entry.columns.iter().map(|c| c.name.clone()).collect();
    let grant = vault.grant(&entry, &snap(1), &columns).unwrap();
    let mut names: Vec<&str> = entry.columns.iter().map(|c| c.name.as_str()).collect();
    names.push(UNIT_COLUMN);
    let stored = read(grant.path(), grant.decryption().unwrap(), &names).unwrap();
    assert_eq!(stored.num_rows(), 20_190);
    assert_eq!(by_person(&stored), by_person(&original));
    let ghindx = stored.column_by_name("ghindx").unwrap();
    assert_eq!(ghindx.null_count(), 5_223);
}

/// Each person's rows in order, each row as the bits of its values.
fn by_person(batch: &RecordBatch) -> HashMap<i64, Vec<Vec<Option<u64>>>> {
    use sluice_rows::arrow::datatypes::{Float64Type, Int64Type};
    let mut people: HashMap<i64, Vec<Vec<Option<u64>>>> = HashMap::new();
    let person = batch.column_by_name("zper").unwrap().as_primitive::<Int64Type>();
    for row in 0..batch.num_rows() {
        let columns = batch.columns().iter().filter(|c| c.as_any().downcast_ref::<UInt64Array>().is_none());
        let bits = columns.map(|column| {
            column.is_valid(row).then(|| match column.data_type() {
                DataType::Int64 => column.as_primitive::<Int64Type>().value(row).cast_unsigned(),
                _ => column.as_primitive::<Float64Type>().value(row).to_bits(),
            })
        });
        people.entry(person.value(row)).or_default().push(bits.collect());
    }
    people
}
