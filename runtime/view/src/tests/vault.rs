//! The whole way: a provider's file through the vault, an agreement through the
//! state, and rows out of the barrier.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{
            ArrayRef, AsArray, Decimal128Array, Int64Array, ListArray, ListBuilder, RecordBatch, StringArray,
            StringBuilder, TimestampMicrosecondArray,
        },
        datatypes::{Float64Type, Int64Type},
        util::display::array_value_to_string,
    },
    parquet::arrow::ArrowWriter,
};
use futures::StreamExt;
use sluice_domain::{
    Timestamp,
    agreement::Agreement,
    catalogue::CatalogueEntry,
    contract::Totals,
    event::{Actor, Entry, Event},
    id::{AgreementId, SnapshotId},
    rulepack::RulePack,
    state::{Authorised, GrantedView, State},
};
use sluice_rows::{ROW_COLUMN, UNIT_COLUMN};
use sluice_vault::{Kek, Staged, Vault};
use tempfile::TempDir;

use super::{Row, TOWN, batch, row};
use crate::{ViewError, ViewReader, plan_input, plan_table};

const AGREEMENT: &str = r#"
[agreement]
id = "agreement-1"
operator = "operator"
scenario = "scenario"
title = "Scenario"
purpose = "A test"
from = "2026-01-01"
to = "2026-12-31"
forms = ["data-report"]
rho_per_year = 0.1
contingency_plan = "Stop."

[view.people]
dataset = "people"
columns = ["id", "age", "plan", "sex", "visits"]
filter = "age < 60"
masks.id = "pseudonym"
masks.age.bin = { from = 0, to = 60, width = 20 }
"#;

fn town() -> Vec<Row> {
    vec![
        row(3, 30, "11", 1, "f", 1.0),
        row(1, 77, "secret-4711", 2, "m", 2.0),
        row(2, 40, "33", 3, "f", 3.0),
        row(3, 31, "11", 1, "f", 4.0),
    ]
}

/// A domain with one sealed snapshot and one agreement, and the vault's folder.
fn domain(agreement: &str) -> (TempDir, Vault, Authorised<Vec<GrantedView>>) {
    // A folder whose name needs escaping in an object store's path.
    let dir = tempfile::Builder::new().prefix("数闸 100%").tempdir().unwrap();
    let kek = Kek::generate_file(&dir.path().join("kek")).unwrap();
    let vault = Vault::create(dir.path(), kek).unwrap();
    let entry = CatalogueEntry::parse(TOWN).unwrap();
    let rows = batch(&town());
    let provided = rows.project(&(0..rows.num_columns() - 2).collect::<Vec<_>>()).unwrap();
    let source = dir.path().join("people.parquet");
    let mut writer = ArrowWriter::try_new(std::fs::File::create(&source).unwrap(), provided.schema(), None).unwrap();
    writer.write(&provided).unwrap();
    writer.close().unwrap();
    let snapshot = "snap-000002".parse().unwrap();
    let staged = vault.stage(&entry, &source, &snapshot, &mut |_, _| {}).unwrap();
    vault.publish(&snapshot).unwrap();

    let granted = authorised(entry, staged, Agreement::parse(agreement).unwrap(), snapshot);
    (dir, vault, granted)
}

/// What the agreement's operator may read of the one snapshot.
fn authorised(
    entry: CatalogueEntry,
    staged: Staged,
    agreement: Agreement,
    snapshot: SnapshotId,
) -> Authorised<Vec<GrantedView>> {
    let at = Timestamp::from_second(1_790_000_000).unwrap();
    let events = [
        Event::DatasetRegistered { entry: entry.clone() },
        Event::AgreementSigned { agreement },
        Event::SnapshotSealed {
            dataset: entry.dataset.id,
            snapshot,
            rows: staged.rows,
            roster_size: staged.roster_size,
            commitment: staged.commitment,
            sealed_file: staged.sealed_file,
        },
    ];
    let mut state = State::new(RulePack::shipped().unwrap());
    for (seq, event) in (0..).zip(events) {
        state.apply(&Entry { seq, at, actor: Actor::System, event });
    }
    state.authorise(&"agreement-1".parse::<AgreementId>().unwrap(), at).unwrap()
}

#[tokio::test]
async fn a_sealed_snapshot_is_read_through_its_agreement() {
    let (_dir, vault, granted) = domain(AGREEMENT);
    let reader = ViewReader::open(&vault, &granted).unwrap();
    let plan = plan_input(granted.get(), "SELECT id, age, visits FROM people").unwrap();
    let units: Vec<_> = reader.units(&plan, 100).map(Result::unwrap).collect().await;
    let key = vault.pseudonym_key(granted.agreement());
    let mut sizes: Vec<_> =
        units.iter().map(|unit| (unit.columns()[0].as_string::<i32>().value(0).to_owned(), unit.rows())).collect();
    sizes.sort();
    let mut expected = vec![(key.pseudonym(b"9003"), 2), (key.pseudonym(b"9002"), 1)];
    expected.sort();
    assert_eq!(sizes, expected);

    let sql = "SELECT plan, count(*), count(DISTINCT id), sum(visits) FROM people GROUP BY plan";
    let plan = plan_table(granted.get(), sql).unwrap();
    let cells = reader.tabulate(&plan, Totals::True, 2).await.unwrap();
    let seen: Vec<_> = cells.iter().map(|(key, c)| (key[0], c.rows, c.units, c.measures[2].sum)).collect();
    assert_eq!(seen, [(Some(0), 2, 1, 2.0), (Some(2), 1, 1, 1.0), (None, 3, 2, 3.0)]);
}

#[tokio::test]
async fn the_key_of_an_ungranted_column_is_not_there() {
    let (_dir, vault, granted) = domain(AGREEMENT);
    let view = &granted.get()[0];
    let columns = view.view.columns.iter().cloned().collect();
    let grant = vault.grant(&view.entry, &view.snapshot, &columns).unwrap();
    let open: Vec<String> = grant.schema().fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(open, ["id", "age", "plan", "sex", "visits", ROW_COLUMN, UNIT_COLUMN]);
    // Even a reader that asks for more columns than its grant gets nothing of them.
    let greedy = GrantedView { view: super::granted(&super::ALL, None, &[]).view, ..view.clone() };
    let sealed = crate::sealed::Sealed { path: grant.path().to_owned(), keys: grant.decryption().unwrap() };
    let reader = ViewReader::over(vec![(&greedy, sealed)], &super::pseudonyms()).unwrap();
    for (sql, opens) in
        [("SELECT age FROM people", true), ("SELECT code FROM people", false), ("SELECT spend FROM people", false)]
    {
        let plan = plan_input(std::slice::from_ref(&greedy), sql).unwrap();
        let units: Vec<_> = reader.units(&plan, 100).collect().await;
        assert_eq!(units.iter().all(Result::is_ok), opens, "{sql}: {units:?}");
    }
}

#[tokio::test]
async fn a_missing_or_changed_file_cannot_be_opened() {
    let (dir, vault, granted) = domain(AGREEMENT);
    let view = &granted.get()[0];
    let columns = view.view.columns.iter().cloned().collect();
    let path = vault.grant(&view.entry, &view.snapshot, &columns).unwrap().path().to_owned();
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 20;
    bytes[last] ^= 1;
    std::fs::remove_file(&path).unwrap();
    assert_eq!(ViewReader::open(&vault, &granted).unwrap_err(), ViewError::Open);
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(ViewReader::open(&vault, &granted).unwrap_err(), ViewError::Open);
    assert!(path.starts_with(dir.path()));
}

#[tokio::test]
async fn a_plan_of_another_agreement_reads_nothing() {
    let (_dir, vault, granted) = domain(AGREEMENT);
    let reader = ViewReader::open(&vault, &granted).unwrap();
    let mut plan = plan_input(granted.get(), "SELECT age FROM people").unwrap();
    plan.view = "another".parse().unwrap();
    let units: Vec<_> = reader.units(&plan, 100).collect().await;
    assert!(matches!(units.as_slice(), [Err(ViewError::NotGranted)]));
}

/// Every wider type: a provider's file, the vault, an agreement, SQL, and out.
#[tokio::test]
async fn every_type_comes_through_as_it_went_in() {
    let dir = TempDir::new().unwrap();
    let vault = Vault::create(dir.path(), Kek::generate_file(&dir.path().join("kek")).unwrap()).unwrap();
    let (head, _) = TOWN.split_once("[[column]]").unwrap();
    let column = |(name, kind): (&str, &str)| {
        let role = if name == "id" { "unit" } else { "attribute" };
        let nullable = name != "id";
        format!(
            "[[column]]\nname = '{name}'\ntitle = 't'\ntype = '{kind}'\nlevel = 'L1'\nrole = '{role}'\nnullable = {nullable}\n"
        )
    };
    let columns = [
        ("id", "int"),
        ("d", "decimal-6-2"),
        ("t", "timestamp"),
        ("n", "null"),
        ("li", "list-int"),
        ("lf", "list-float"),
        ("lt", "list-text"),
    ];
    let entry = CatalogueEntry::parse(&format!("{head}{}", columns.map(column).concat())).unwrap();

    let mut words = ListBuilder::new(StringBuilder::new());
    words.append_value([Some("数"), Some("")]);
    words.append_null();
    words.append_value(Vec::<Option<&str>>::new());
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![1, 1, 1])),
        Arc::new(Decimal128Array::from(vec![Some(1230), None, Some(-1)]).with_precision_and_scale(6, 2).unwrap()),
        Arc::new(TimestampMicrosecondArray::from(vec![Some(-1), None, Some(i64::MAX)])),
        Arc::new(StringArray::from(vec![None::<&str>; 3])),
        Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(vec![Some(vec![Some(1)]), Some(vec![]), None])),
        Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(vec![
            None,
            Some(vec![Some(-0.0), Some(2.5)]),
            Some(vec![]),
        ])),
        Arc::new(words.finish()),
    ];
    let file = dir.path().join("wide.parquet");
    let named = columns.iter().map(|(name, _)| *name).zip(arrays.clone());
    let rows = RecordBatch::try_from_iter_with_nullable(named.map(|(n, a)| (n, a, true))).unwrap();
    let mut writer = ArrowWriter::try_new(std::fs::File::create(&file).unwrap(), rows.schema(), None).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
    let snapshot: SnapshotId = "snap-000002".parse().unwrap();
    let staged = vault.stage(&entry, &file, &snapshot, &mut |_, _| {}).unwrap();
    vault.publish(&snapshot).unwrap();

    let agreement = AGREEMENT
        .replace(
            "[\"id\", \"age\", \"plan\", \"sex\", \"visits\"]",
            "[\"id\", \"d\", \"t\", \"n\", \"li\", \"lf\", \"lt\"]",
        )
        .replace("filter = \"age < 60\"\n", "")
        .replace("masks.age.bin = { from = 0, to = 60, width = 20 }\n", "");
    let granted = authorised(entry, staged, Agreement::parse(&agreement).unwrap(), snapshot);
    let reader = ViewReader::open(&vault, &granted).unwrap();
    let plan = plan_input(granted.get(), "SELECT d, t, n, li, lf, lt, coalesce(d, 0) > 0 AS paid FROM people WHERE id IS NOT NULL AND (t IS NULL OR t <> TIMESTAMP '2000-01-01 00:00:00')").unwrap();
    let told: Vec<String> = plan.columns.iter().map(|(_, kind)| kind.to_string()).collect();
    assert_eq!(told, ["decimal-6-2", "timestamp", "null", "list-int", "list-float", "list-text", "bool"]);
    let units: Vec<_> = reader.units(&plan, 10).collect().await;
    let [Ok(unit)] = units.as_slice() else { panic!("one unit: {units:?}") };
    for (at, array) in arrays.iter().enumerate().skip(1) {
        // Compared as what is shown: the file's inner field has another name.
        let shown = |a: &ArrayRef| (0..3).map(|row| array_value_to_string(a, row).unwrap()).collect::<Vec<_>>();
        assert_eq!(shown(&unit.columns()[at - 1]), shown(array), "{told:?} {at}");
    }
    for refused in
        ["SELECT d + 1 AS x FROM people", "SELECT li = li AS x FROM people", "SELECT CAST(t AS DATE) AS x FROM people"]
    {
        assert_eq!(plan_input(granted.get(), refused).unwrap_err().code, "sql.type", "{refused}");
    }
}
