//! Inputs of the inner room: one batch per unit, total, in order.

use datafusion::arrow::{
    array::{Array, AsArray},
    datatypes::{Float64Type, Int64Type},
};

use super::{ALL, Row, batch, granted, row, run};
use crate::ViewError;
use sluice_domain::agreement::Mask;

#[tokio::test]
async fn each_unit_comes_alone_and_whole() {
    // 2500 units of 1, 2 or 3 rows: units cross batches and row groups.
    let rows: Vec<Row> = (0..2500u64)
        .flat_map(|u| (0..=u % 3).map(move |n| row(u * 7 + 1, n.cast_signed(), "c", 1, "f", 0.5)))
        .collect();
    let units = run(&granted(&ALL, None, &[]), &batch(&rows), "SELECT id, age FROM people").await;
    assert_eq!(units.len(), 2500);
    for (u, unit) in units.into_iter().enumerate() {
        let unit = unit.unwrap();
        assert_eq!((unit.rows(), unit.columns().len()), (u % 3 + 1, 2));
        assert!(unit.schema().fields().iter().all(|f| f.name() != sluice_rows::UNIT_COLUMN));
        let ids = unit.columns()[0].as_primitive::<Int64Type>();
        assert!(ids.iter().all(|id| id == Some(u as i64 * 7 + 9001)));
        let order: Vec<i64> = unit.columns()[1].as_primitive::<Int64Type>().values().to_vec();
        assert_eq!(order, (0..unit.rows() as i64).collect::<Vec<_>>(), "the snapshot's order within a unit");
    }
}

#[tokio::test]
async fn nothing_of_a_hidden_row_comes_out_and_nothing_fails() {
    let rows = batch(&[
        row(1, 30, "11", 1, "f", 1.0),
        row(2, 77, "secret", 2, "m", 2.0),
        row(3, 40, "33", 1, "f", 3.0),
        row(3, 50, "oops", 1, "f", 0.0),
    ]);
    let view = granted(&ALL, Some("age < 60"), &[]);
    for sql in [
        "SELECT age FROM people WHERE CAST(code AS bigint) >= 0",
        "SELECT age FROM people WHERE 1/(age-77) > -5",
        "SELECT age FROM people WHERE 1/(age-30) > -5 OR age > 1",
    ] {
        for unit in run(&view, &rows, sql).await {
            let unit = unit.unwrap();
            assert!(unit.columns()[0].as_primitive::<Int64Type>().iter().all(|a| a != Some(77)), "{sql}");
        }
    }
    // A value of an authorised row that fails is NULL, and the row drops out of a WHERE.
    let units = run(&view, &rows, "SELECT age FROM people WHERE CAST(code AS bigint) >= 0").await;
    assert_eq!(units.iter().map(|u| u.as_ref().unwrap().rows()).collect::<Vec<_>>(), [1, 1]);
}

#[tokio::test]
async fn every_expression_is_total() {
    let extreme = |age, spend, code| Row { unit: 1, age, code, plan: 1, sex: "f", spend, visits: age };
    let rows = batch(&[
        extreme(i64::MIN, Some(f64::NAN), None),
        extreme(i64::MAX, Some(f64::INFINITY), Some("")),
        extreme(0, Some(-0.0), Some("9999999999999999999")),
        extreme(-1, Some(f64::MAX), Some("-292278-01-01")),
        extreme(1, None, Some("é\u{0}")),
    ]);
    let exprs = [
        "age / visits",
        "age % visits",
        "age / (-1)",
        "age % (-1)",
        "1 / 0",
        "1 % 0",
        "age / 0",
        "spend / 0.0",
        "spend / spend",
        "spend % 0",
        "age + visits",
        "age - 1 - visits",
        "age * visits * 3",
        "-age",
        "- (-9223372036854775807 - 1)",
        "abs(age)",
        "abs(spend)",
        "CAST(spend AS BIGINT)",
        "CAST(spend AS INT)",
        "CAST(spend AS VARCHAR)",
        "CAST(age AS SMALLINT)",
        "CAST(age AS DOUBLE)",
        "CAST(age AS BOOLEAN)",
        "CAST(code AS BIGINT)",
        "CAST(code AS DOUBLE)",
        "CAST(code AS BOOLEAN)",
        "CAST(code AS DATE)",
        "CAST(CAST(code AS DATE) AS DATE)",
        "CAST(age > 0 AS BIGINT)",
        "code > 5",
        "age = 1.5",
        "spend > age",
        "code = CAST(age AS VARCHAR)",
        "nullif(age, visits)",
        "coalesce(spend, age, 1)",
        "coalesce(NULL, age)",
        "CASE WHEN age / visits > 1 THEN code WHEN code LIKE '%é_' THEN 'x' END",
        "CASE age WHEN 0 THEN 1 / age ELSE 2 END",
        "spend BETWEEN age AND 3",
        "age NOT IN (1, 2, NULL)",
        "(spend > 1) IS NOT TRUE",
        "CAST('nonsense' AS BIGINT)",
        "DATE '2020-01-01' > CAST(code AS DATE)",
    ];
    let view = granted(&ALL, None, &[]);
    for expr in exprs {
        let units = run(&view, &rows, &format!("SELECT {expr} AS x FROM people")).await;
        assert!(matches!(units.as_slice(), [Ok(unit)] if unit.rows() == 5), "{expr}: {units:?}");
        let filtered = run(&view, &rows, &format!("SELECT id FROM people WHERE ({expr}) IS NOT NULL")).await;
        assert!(filtered.iter().all(Result::is_ok), "{expr}: {filtered:?}");
    }
}

#[tokio::test]
async fn failures_are_null_and_sums_wrap() {
    let rows = batch(&[Row { visits: -1, age: i64::MIN, ..row(1, 0, "x", 1, "f", 2.0) }]);
    let sql = "SELECT age / visits AS a, age % visits AS b, abs(age) AS c, -age AS d, age - 1 AS e, spend / 0 AS f, \
               7 / visits AS g FROM people";
    let units = run(&granted(&ALL, None, &[]), &rows, sql).await;
    let unit = units[0].as_ref().unwrap();
    let int = |i: usize| unit.columns()[i].as_primitive::<Int64Type>().iter().next().unwrap();
    assert_eq!([int(0), int(1), int(2), int(3), int(4)], [None, None, None, None, Some(i64::MAX)]);
    assert!(unit.columns()[5].as_primitive::<Float64Type>().is_null(0));
    assert_eq!(int(6), Some(-7));
}

#[tokio::test]
async fn masks_are_what_a_guest_sees() {
    let rows = batch(&[
        row(1, -5, "abc", 1, "f", 1.5),
        row(2, 0, "abcd", 1, "f", 19.99),
        row(3, 39, "x", 1, "f", 20.0),
        row(4, 40, "x", 1, "f", 1e9),
        row(5, 400, "x", 1, "f", f64::NAN),
    ]);
    let masks = [
        ("age", Mask::Bin { from: 0, to: 50, width: 20 }),
        ("spend", Mask::Bin { from: 0, to: 30, width: 10 }),
        ("code", Mask::Pseudonym),
        ("id", Mask::Pseudonym),
    ];
    let units = run(&granted(&ALL, None, &masks), &rows, "SELECT age, spend, code, id FROM people").await;
    let seen: Vec<_> = units
        .iter()
        .map(|unit| {
            let columns = unit.as_ref().unwrap().columns();
            let int = |i: usize| columns[i].as_primitive::<Int64Type>().iter().next().unwrap();
            let text = |i: usize| columns[i].as_string::<i32>().value(0).to_owned();
            (int(0), int(1), text(2), text(3))
        })
        .collect();
    let expected =
        [(0, Some(0), "p3"), (0, Some(10), "p4"), (20, Some(20), "p1"), (40, Some(20), "p1"), (40, None, "p1")];
    let expected = expected.map(|(age, spend, code)| (Some(age), spend, code.to_owned(), "p4".to_owned()));
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_unit_that_is_too_long_is_cut_one_row_after_the_limit() {
    let rows: Vec<Row> = (0..1500).map(|n| row(1, n, "c", 1, "f", 0.5)).chain([row(2, 1, "c", 1, "f", 0.5)]).collect();
    let units = run(&granted(&ALL, None, &[]), &batch(&rows), "SELECT age FROM people").await;
    assert_eq!(units.iter().map(|u| u.as_ref().unwrap().rows()).collect::<Vec<_>>(), [1001, 1]);
}

#[tokio::test]
async fn lost_order_is_an_error() {
    let rows = batch(&[row(2, 1, "c", 1, "f", 0.5), row(1, 2, "c", 1, "f", 0.5), row(2, 3, "c", 1, "f", 0.5)]);
    let units = run(&granted(&ALL, None, &[]), &rows, "SELECT age FROM people").await;
    assert!(matches!(units.as_slice(), [Err(ViewError::Order)]), "{units:?}");
}

#[tokio::test]
async fn nothing_prints_rows() {
    let rows = batch(&[row(1, 4711, "c", 1, "f", 0.5)]);
    let view = granted(&ALL, None, &[]);
    let (_dir, reader) = super::reader(&view, &rows);
    assert_eq!(format!("{reader:?}"), "ViewReader(1 views, rows withheld)");
    let units = run(&view, &rows, "SELECT age FROM people").await;
    assert!(!format!("{units:?}").contains("4711"));
}
