//! Tests of the whole crate over real encrypted files. What they share: a small town
//! whose rows are known, and a writer of sealed snapshots.

mod barrier;
mod calls;
mod declared;
mod forbidden;
mod planning;
mod randhie;
mod regress;
mod survive;
mod tabulation;
mod total;
mod units;
mod vault;

use std::{path::Path, sync::Arc};

use datafusion::{
    arrow::{
        array::{
            ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray, UInt32Array,
            UInt64Array,
        },
        datatypes::{Field, Schema},
    },
    parquet::{
        arrow::ArrowWriter,
        encryption::{decrypt::FileDecryptionProperties, encrypt::FileEncryptionProperties},
        file::properties::{EnabledStatistics, WriterProperties},
    },
};
use futures::StreamExt;
use sluice_domain::{
    agreement::{Mask, View},
    catalogue::CatalogueEntry,
    state::GrantedView,
};
use sluice_rows::{ROW_COLUMN, RowBatch, UNIT_COLUMN};
use tempfile::TempDir;

use crate::{ViewError, ViewReader, mask::Pseudonyms, plan_input, sealed::Sealed};

/// The catalogue of the small town.
pub(super) const TOWN: &str = r#"
[dataset]
id = "people"
title = "People"
system = "register"
format = "parquet"
provider = "office"
sharing = "unconditional"
opening = "unconditional"
provision = "batch"
cycle = "yearly"
term = "none"
unit = "id"

[[column]]
name = "id"
title = "Person"
type = "int"
level = "L3"
role = "unit"

[[column]]
name = "age"
title = "Age"
type = "int"
level = "L2"

[[column]]
name = "code"
title = "Code"
type = "text"
level = "L4"
nullable = true

[[column]]
name = "plan"
title = "Plan"
type = "int"
level = "L1"
role = "dimension"
codes = [{ value = 1, label = "one" }, { value = 2, label = "two" }, { value = 3, label = "three" }]

[[column]]
name = "sex"
title = "Sex"
type = "text"
level = "L1"
role = "dimension"
codes = [{ value = "f", label = "female" }, { value = "m", label = "male" }]

[[column]]
name = "spend"
title = "Spending"
type = "float"
level = "L2"
role = "measure"
nullable = true

[[column]]
name = "visits"
title = "Visits"
type = "int"
level = "L2"
role = "measure"
grid = 0.5

[[column]]
name = "born"
title = "Day of birth"
type = "date"
level = "L3"
nullable = true

[[column]]
name = "flag"
title = "Flag"
type = "bool"
level = "L1"
nullable = true
"#;

/// One row of the small town.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) unit: u64,
    pub(super) age: i64,
    pub(super) code: Option<&'static str>,
    pub(super) plan: i64,
    pub(super) sex: &'static str,
    pub(super) spend: Option<f64>,
    pub(super) visits: i64,
}

pub(super) fn row(unit: u64, age: i64, code: &'static str, plan: i64, sex: &'static str, spend: f64) -> Row {
    Row { unit, age, code: Some(code), plan, sex, spend: Some(spend), visits: 1 }
}

fn born(age: i64) -> Option<i32> {
    (age != 1).then(|| i32::try_from(age.clamp(i32::MIN.into(), i32::MAX.into())).unwrap())
}

/// Rows as a snapshot has them.
pub(super) fn batch(rows: &[Row]) -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.unit.cast_signed() + 9000)))),
        ("age", Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.age)))),
        ("code", Arc::new(StringArray::from_iter(rows.iter().map(|r| r.code)))),
        ("plan", Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.plan)))),
        ("sex", Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.sex)))),
        ("spend", Arc::new(Float64Array::from_iter(rows.iter().map(|r| r.spend)))),
        ("visits", Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.visits)))),
        // Follow from the age, up to the ends of their types.
        ("born", Arc::new(Date32Array::from_iter(rows.iter().map(|r| born(r.age))))),
        ("flag", Arc::new(BooleanArray::from_iter(rows.iter().map(|r| (r.age != 0).then_some(r.age > 0))))),
        (ROW_COLUMN, Arc::new(UInt32Array::from_iter_values((0u32..).take(rows.len())))),
        (UNIT_COLUMN, Arc::new(UInt64Array::from_iter_values(rows.iter().map(|r| r.unit)))),
    ];
    let fields: Vec<_> =
        columns.iter().map(|(name, c)| Field::new(*name, c.data_type().clone(), !name.starts_with("__"))).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, c)| c).collect()).unwrap()
}

/// A grant of some columns of the town.
pub(super) fn granted(columns: &[&str], filter: Option<&str>, masks: &[(&str, Mask)]) -> GrantedView {
    GrantedView {
        id: "people".parse().unwrap(),
        view: View {
            dataset: "people".parse().unwrap(),
            columns: columns.iter().map(ToString::to_string).collect(),
            filter: filter.map(str::to_owned),
            masks: masks.iter().map(|(name, mask)| ((*name).to_owned(), mask.clone())).collect(),
            measures: std::collections::BTreeMap::new(),
        },
        entry: CatalogueEntry::parse(TOWN).unwrap(),
        snapshot: "snap-000001".parse().unwrap(),
        roster_size: 100,
    }
}

pub(super) const ALL: [&str; 9] = ["id", "age", "code", "plan", "sex", "spend", "visits", "born", "flag"];

/// The key of a column; `None` is the footer's.
fn key(column: Option<usize>) -> Vec<u8> {
    vec![column.map_or(255, |c| u8::try_from(c).unwrap()); 16]
}

/// Writes an encrypted snapshot in row groups of 1000 rows, one key per column.
pub(super) fn seal(dir: &Path, rows: &RecordBatch) {
    let schema = rows.schema();
    let names: Vec<_> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    let keys = (0..names.len()).map(|i| key(Some(i))).collect();
    let encryption = FileEncryptionProperties::builder(key(None)).with_column_keys(names, keys).unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(1000))
        .set_statistics_enabled(EnabledStatistics::Page)
        .with_file_encryption_properties(encryption.build().unwrap())
        .build();
    let file = std::fs::File::create(dir.join("snapshot.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, rows.schema(), Some(properties)).unwrap();
    writer.write(rows).unwrap();
    writer.close().unwrap();
}

/// Opens a snapshot of [`seal`]'s with the keys of `columns` and the unit's alone.
pub(super) fn unseal(dir: &Path, schema: &Schema, columns: &[String]) -> Sealed {
    let granted: Vec<&str> = columns.iter().map(String::as_str).chain([ROW_COLUMN, UNIT_COLUMN]).collect();
    let keys = granted.iter().map(|name| key(Some(schema.index_of(name).unwrap()))).collect();
    let keys = FileDecryptionProperties::builder(key(None)).with_column_keys(granted, keys).unwrap();
    Sealed { path: dir.join("snapshot.parquet"), keys: keys.build().unwrap() }
}

pub(super) fn pseudonyms() -> Pseudonyms {
    Arc::new(|value| format!("p{}", value.len()))
}

/// A reader over one granted view of these rows. The folder must outlive it.
pub(super) fn reader(view: &GrantedView, rows: &RecordBatch) -> (TempDir, ViewReader) {
    let dir = tempfile::tempdir().unwrap();
    seal(dir.path(), rows);
    let sealed = unseal(dir.path(), &rows.schema(), &view.view.columns);
    let reader = ViewReader::over(vec![(view, sealed)], &pseudonyms()).unwrap();
    (dir, reader)
}

/// The units of an input query.
pub(super) async fn run(view: &GrantedView, rows: &RecordBatch, sql: &str) -> Vec<Result<RowBatch, ViewError>> {
    let plan = plan_input(std::slice::from_ref(view), sql).unwrap();
    let (_dir, reader) = reader(view, rows);
    reader.units(&plan, 1000).collect().await
}
