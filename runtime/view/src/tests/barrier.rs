//! The known leak, and that the barrier closes it (design.md, "A plain view leaks").

use std::sync::Arc;

use datafusion::{
    arrow::{array::RecordBatch, util::pretty::pretty_format_batches},
    datasource::{MemTable, TableProvider, ViewTable},
    prelude::{SessionConfig, SessionContext},
};
use sluice_domain::agreement::Mask;

use super::{ALL, Row, batch, granted, pseudonyms, row, seal, unseal};
use crate::{provider::AuthorisedView, session};

/// Two people of the view, and one whom the filter `age < 60` hides.
fn rows() -> Vec<Row> {
    vec![
        row(1, 30, "11", 1, "f", 1.0),
        row(5_551_212, 1_234_567, "secret-4711", 2, "m", 98_765_432.0),
        row(6_000_000, 40, "33", 3, "f", 2.0),
    ]
}

/// Things that betray the hidden row.
const TRACES: [&str; 5] = ["secret-4711", "1234567", "98765432", "5551212", "ivide by zero"];

/// Queries that would evaluate something of the asker's on every row that the scan gives.
const PROBES: [&str; 9] = [
    "SELECT id FROM v WHERE CAST(code AS bigint) >= 0",
    "SELECT id FROM v WHERE 1/(age-1234567) > -5",
    "SELECT id, CAST(code AS bigint) FROM v",
    "SELECT sum(CAST(code AS bigint)) FROM v WHERE 1/(age-1234567) > -5",
    "SELECT id FROM v WHERE age < 70 AND CAST(code AS bigint) >= 0 ORDER BY id LIMIT 5",
    "SELECT a.id FROM v a JOIN v b ON CAST(a.code AS bigint) = CAST(b.code AS bigint)",
    "SELECT id FROM v WHERE CASE WHEN age = 1234567 THEN CAST(code AS bigint) > 0 ELSE true END",
    "SELECT max(spend), max(age), max(id), count(*) FROM v",
    "EXPLAIN ANALYZE VERBOSE SELECT id FROM v WHERE age > 10 AND CAST(code AS bigint) >= 0",
];

async fn ask(session: &SessionContext, sql: &str) -> Result<String, String> {
    let frame = session.sql(sql).await.map_err(|e| e.to_string())?;
    let rows: Vec<RecordBatch> = frame.collect().await.map_err(|e| e.to_string())?;
    Ok(pretty_format_batches(&rows).unwrap().to_string())
}

fn betrays(answer: &Result<String, String>) -> bool {
    let (Ok(said) | Err(said)) = answer;
    TRACES.iter().any(|t| said.contains(t))
}

#[tokio::test]
async fn a_plain_view_leaks() {
    let session = SessionContext::new();
    let rows = batch(&rows());
    let base = MemTable::try_new(rows.schema(), vec![vec![rows]]).unwrap();
    session.register_table("base", Arc::new(base)).unwrap();
    let filtered = session.sql("SELECT * FROM base WHERE age < 60").await.unwrap();
    let view = ViewTable::new(filtered.logical_plan().clone(), None);
    session.register_table("v", Arc::new(view)).unwrap();
    let cast = ask(&session, PROBES[0]).await;
    assert!(cast.as_ref().unwrap_err().contains("secret-4711"), "{cast:?}");
    let division = ask(&session, PROBES[1]).await;
    assert!(division.as_ref().unwrap_err().contains("ivide by zero"), "{division:?}");
}

#[tokio::test]
async fn the_barrier_does_not_leak_whatever_the_session_asks() {
    let view = granted(&ALL, Some("age < 60"), &[]);
    let rows = batch(&rows());
    let dir = tempfile::tempdir().unwrap();
    seal(dir.path(), &rows);
    for partitions in [1, 2, 7] {
        // The most careless session there is: every rule and function of DataFusion's.
        let config = SessionConfig::new().with_target_partitions(partitions).with_information_schema(true);
        let session = SessionContext::new_with_config(config);
        let inner = session::inner(session::pool()).unwrap();
        let sealed = unseal(dir.path(), &rows.schema(), &view.view.columns);
        let provider = AuthorisedView::new(&view, sealed, &pseudonyms(), inner).unwrap();
        session.register_table("v", Arc::new(provider)).unwrap();
        for sql in PROBES {
            let answer = ask(&session, sql).await;
            assert!(!betrays(&answer), "{sql}: {answer:?}");
            assert!(answer.is_ok(), "an error arose from a hidden row: {sql}: {answer:?}");
        }
        assert!(ask(&session, "SELECT count(*) FROM v").await.unwrap().contains("| 2 "));
        let plan = ask(&session, "EXPLAIN SELECT id FROM v WHERE age > 10").await.unwrap();
        assert!(plan.contains("BarrierExec") && !plan.contains("parquet") && !plan.contains("FilterExec"), "{plan}");
    }
}

#[tokio::test]
async fn masks_are_below_the_barrier() {
    let masks = [
        ("code", Mask::Pseudonym),
        ("age", Mask::Bin { from: 0, to: 60, width: 20 }),
        ("spend", Mask::Drop),
        ("id", Mask::Pseudonym),
    ];
    let view = granted(&ALL, Some("spend > 1.5"), &masks);
    let rows = batch(&rows());
    let dir = tempfile::tempdir().unwrap();
    seal(dir.path(), &rows);
    let session = SessionContext::new();
    let inner = session::inner(session::pool()).unwrap();
    let sealed = unseal(dir.path(), &rows.schema(), &view.view.columns);
    let provider = AuthorisedView::new(&view, sealed, &pseudonyms(), inner).unwrap();
    assert_eq!(provider.schema().fields().len(), ALL.len() - 1 + 2);
    session.register_table("v", Arc::new(provider)).unwrap();
    // The raw values of masked columns are nowhere, also not for a filter that is pushed down.
    let all = ask(&session, "SELECT code, age, id, plan FROM v WHERE age >= 40 ORDER BY plan").await.unwrap();
    assert!(all.contains("p11") && all.contains("| 40 ") && all.contains("p7") && !all.contains("4711"), "{all}");
    assert!(!ask(&session, "SELECT code FROM v WHERE code = 'secret-4711'").await.unwrap().contains("p11"));
    assert!(!ask(&session, "SELECT code FROM v WHERE age = 1234567").await.unwrap().contains("p11"));
    assert!(ask(&session, "SELECT spend FROM v").await.is_err());
    assert!(ask(&session, "SELECT count(*) FROM v").await.unwrap().contains("| 2 "));
}

#[tokio::test]
async fn a_broken_file_says_nothing() {
    let view = granted(&ALL, None, &[]);
    let rows = batch(&rows());
    let dir = tempfile::tempdir().unwrap();
    seal(dir.path(), &rows);
    let path = dir.path().join("snapshot.parquet");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[60] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let answers = {
        let sealed = unseal(dir.path(), &rows.schema(), &view.view.columns);
        let reader = crate::ViewReader::over(vec![(&view, sealed)], &pseudonyms()).unwrap();
        let plan = crate::plan_input(std::slice::from_ref(&view), "SELECT * FROM people").unwrap();
        futures::StreamExt::collect::<Vec<_>>(reader.units(&plan, 10)).await
    };
    assert!(matches!(answers.as_slice(), [Err(crate::ViewError::Read)]), "{answers:?}");
}

#[tokio::test]
async fn a_column_without_a_key_stays_shut_and_does_not_hinder() {
    let view = granted(&["plan", "visits"], None, &[]);
    let rows = batch(&rows());
    let dir = tempfile::tempdir().unwrap();
    seal(dir.path(), &rows);
    // A view definition that claims more than its keys: nothing comes out.
    let greedy = granted(&["plan", "visits", "code"], None, &[]);
    let sealed = unseal(dir.path(), &rows.schema(), &view.view.columns);
    let reader = crate::ViewReader::over(vec![(&greedy, sealed)], &pseudonyms()).unwrap();
    let ask = async |sql: &str| {
        let plan = crate::plan_input(std::slice::from_ref(&greedy), sql).unwrap();
        futures::StreamExt::collect::<Vec<_>>(reader.units(&plan, 10)).await
    };
    assert_eq!(ask("SELECT plan FROM people WHERE visits > 0").await.into_iter().filter(Result::is_ok).count(), 3);
    let shut = ask("SELECT code FROM people").await;
    assert!(matches!(shut.as_slice(), [Err(crate::ViewError::Read)]), "{shut:?}");
}
