//! SQL that is refused at planning: before any data is read, with a code.

use sluice_domain::{Kind, Lang, agreement::Mask};

use super::{ALL, batch, granted, row, run};
use crate::{plan_input, plan_table};

/// No reader exists in these tests: planning has nothing to read from.
const NEVER: [(&str, &str); 46] = [
    ("EXPLAIN SELECT age FROM people", "sql.statement"),
    ("EXPLAIN ANALYZE SELECT age FROM people", "sql.statement"),
    ("EXPLAIN VERBOSE SELECT age FROM people", "sql.statement"),
    ("DESCRIBE people", "sql.statement"),
    ("DESCRIBE SELECT age FROM people", "sql.statement"),
    ("SHOW TABLES", "sql.statement"),
    ("SHOW ALL", "sql.statement"),
    ("SHOW COLUMNS FROM people", "sql.statement"),
    ("SET datafusion.execution.batch_size = 1", "sql.statement"),
    ("RESET datafusion.execution.batch_size", "sql.statement"),
    ("CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '/etc'", "sql.statement"),
    ("CREATE TABLE t AS SELECT age FROM people", "sql.statement"),
    ("CREATE VIEW t AS SELECT age FROM people", "sql.statement"),
    ("CREATE FUNCTION f() RETURNS INT RETURN 1", "sql.statement"),
    ("COPY people TO '/tmp/out.csv'", "sql.statement"),
    ("COPY (SELECT age FROM people) TO '/tmp/out.parquet'", "sql.statement"),
    ("INSERT INTO people VALUES (1)", "sql.statement"),
    ("UPDATE people SET age = 1", "sql.statement"),
    ("DELETE FROM people", "sql.statement"),
    ("DROP TABLE people", "sql.statement"),
    ("PREPARE p AS SELECT age FROM people", "sql.statement"),
    ("BEGIN", "sql.statement"),
    ("SELECT age FROM people; SELECT age FROM people", "sql.statement"),
    ("", "sql.statement"),
    ("VALUES (1), (2)", "sql.clause"),
    ("SELECT 1", "sql.clause"),
    ("TABLE people", "sql.syntax"),
    ("SELECT * FROM information_schema.tables", "sql.unknown-view"),
    ("SELECT * FROM information_schema.df_settings", "sql.unknown-view"),
    ("SELECT * FROM generate_series(1, 10)", "sql.clause"),
    ("SELECT * FROM range(1, 10)", "sql.clause"),
    ("SELECT * FROM read_parquet('/etc/passwd')", "sql.clause"),
    ("SELECT * FROM 'file.parquet'", "sql.unknown-view"),
    ("SELECT * FROM '/srv/secret.csv'", "sql.unknown-view"),
    ("SELECT * FROM \"https://example.org/x.parquet\"", "sql.unknown-view"),
    ("SELECT * FROM claims", "sql.unknown-view"),
    ("SELECT * FROM public.people", "sql.unknown-view"),
    ("SELECT * FROM datafusion.public.people", "sql.unknown-view"),
    ("WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT n FROM r", "sql.clause"),
    ("WITH w AS (SELECT age FROM people) SELECT age FROM w", "sql.clause"),
    ("SELECT age FROM people UNION ALL SELECT age FROM people", "sql.clause"),
    ("SELECT p.age FROM people p JOIN people q ON p.id = q.id", "sql.clause"),
    ("SELECT p.age FROM people p, people q", "sql.clause"),
    ("SELECT x FROM (SELECT age AS x FROM people)", "sql.clause"),
    ("SELECT age FROM people TABLESAMPLE BERNOULLI (10)", "sql.clause"),
    ("SELECT age FROM people AS OF TIMESTAMP '2020-01-01'", "sql.syntax"),
];

const NEVER_INPUT: [(&str, &str); 49] = [
    ("SELECT __row FROM people", "sql.unknown-column"),
    ("SELECT __unit FROM people", "sql.unknown-column"),
    ("SELECT \"__unit\" FROM people", "sql.unknown-column"),
    ("SELECT people.__unit FROM people", "sql.unknown-column"),
    ("SELECT age AS __unit FROM people", "sql.name"),
    ("SELECT age FROM people WHERE __unit = 1", "sql.unknown-column"),
    ("SELECT age FROM people ORDER BY age", "sql.clause"),
    ("SELECT age FROM people LIMIT 1", "sql.clause"),
    ("SELECT age FROM people OFFSET 1", "sql.clause"),
    ("SELECT age FROM people FETCH FIRST 1 ROWS ONLY", "sql.clause"),
    ("SELECT TOP 1 age FROM people", "sql.clause"),
    ("SELECT DISTINCT age FROM people", "sql.clause"),
    ("SELECT DISTINCT ON (age) age FROM people", "sql.clause"),
    ("SELECT plan FROM people GROUP BY plan", "sql.clause"),
    ("SELECT sum(age) AS s FROM people", "sql.aggregate"),
    ("SELECT count(*) AS n FROM people HAVING count(*) > 1", "sql.clause"),
    ("SELECT sum(age) OVER (PARTITION BY plan) AS s FROM people", "sql.clause"),
    ("SELECT row_number() OVER (ORDER BY age) AS n FROM people", "sql.function"),
    ("SELECT age FROM people QUALIFY row_number() OVER () = 1", "sql.clause"),
    ("SELECT age INTO t FROM people", "sql.clause"),
    ("SELECT age FROM people WHERE age IN (SELECT age FROM people)", "sql.expression"),
    ("SELECT age FROM people WHERE EXISTS (SELECT 1 FROM people)", "sql.expression"),
    ("SELECT (SELECT max(age) FROM people) AS m FROM people", "sql.function"),
    ("SELECT age FROM people WHERE age > ALL (SELECT 1 FROM people)", "sql.expression"),
    ("SELECT random() AS r FROM people", "sql.function"),
    ("SELECT now() AS n FROM people", "sql.function"),
    ("SELECT version() AS v FROM people", "sql.function"),
    ("SELECT repeat(code, 1000000) AS r FROM people", "sql.function"),
    ("SELECT md5(code) AS r FROM people", "sql.function"),
    ("SELECT regexp_like(code, '(a+)+$') AS r FROM people", "sql.function"),
    ("SELECT code || code AS r FROM people", "sql.expression"),
    ("SELECT code ~ 'x' AS r FROM people", "sql.expression"),
    ("SELECT code LIKE code AS r FROM people", "sql.expression"),
    ("SELECT code ILIKE 'x' AS r FROM people", "sql.expression"),
    ("SELECT @@version AS v FROM people", "sql.form"),
    ("SELECT $1 AS v FROM people", "sql.expression"),
    ("SELECT age + 1 FROM people", "sql.name"),
    ("SELECT age, plan AS age FROM people", "sql.name"),
    ("SELECT age, age FROM people", "sql.form"),
    ("SELECT age AS \"<script>\" FROM people", "sql.name"),
    ("SELECT CAST(age AS DECIMAL(10,2)) + 1 AS d FROM people", "sql.type"),
    ("SELECT CAST(age AS TIMESTAMP) AS d FROM people", "sql.type"),
    ("SELECT code + 1 AS c FROM people", "sql.form"),
    ("SELECT age FROM people WHERE age", "sql.form"),
    // arrow cannot write every date as text, and fails on the rest.
    ("SELECT CAST(born AS VARCHAR) AS b FROM people", "sql.type"),
    ("SELECT born - born AS d FROM people", "sql.type"),
    ("SELECT born + 1 AS d FROM people", "sql.type"),
    ("SELECT born + INTERVAL '1 day' AS d FROM people", "sql.type"),
    ("SELECT date_trunc('month', born) AS d FROM people", "sql.function"),
];

const NEVER_TABLE: [(&str, &str); 48] = [
    ("SELECT plan, quantile(visits, 0) FROM people GROUP BY plan", "sql.quantile"),
    ("SELECT plan, quantile(visits, 1.0) FROM people GROUP BY plan", "sql.quantile"),
    ("SELECT plan, quantile(visits, spend) FROM people GROUP BY plan", "sql.expression"),
    ("SELECT plan, quantile(DISTINCT visits, 0.5) FROM people GROUP BY plan", "sql.distinct"),
    ("SELECT plan, approx_percentile_cont(visits, 0.99) FROM people GROUP BY plan", "sql.quantile"),
    ("SELECT plan, stddev(age) FROM people GROUP BY plan", "sql.measure"),
    ("SELECT plan, var_samp(spend + 1) FROM people GROUP BY plan", "sql.measure-expression"),
    ("SELECT plan, min(spend) FROM people GROUP BY plan", "sql.extreme"),
    ("SELECT plan, max(spend) FROM people GROUP BY plan", "sql.extreme"),
    ("SELECT plan, first_value(spend) FROM people GROUP BY plan", "sql.single-value"),
    ("SELECT plan, median(spend) FROM people GROUP BY plan", "sql.grid"),
    ("SELECT plan, array_agg(spend) FROM people GROUP BY plan", "sql.value-list"),
    ("SELECT plan, string_agg(code, ',') FROM people GROUP BY plan", "sql.value-list"),
    ("SELECT plan, corr(spend, visits) FROM people GROUP BY plan", "sql.function"),
    ("SELECT plan, sum(DISTINCT spend) FROM people GROUP BY plan", "sql.distinct"),
    ("SELECT plan, count(DISTINCT age) FROM people GROUP BY plan", "sql.distinct"),
    ("SELECT plan, sum(spend) FILTER (WHERE age > 3) FROM people GROUP BY plan", "sql.aggregate-filter"),
    ("SELECT plan, sum(spend + 1) FROM people GROUP BY plan", "sql.measure-expression"),
    ("SELECT plan, sum(spend) / count(*) FROM people GROUP BY plan", "sql.measure-expression"),
    ("SELECT plan, sum(spend) + 0 AS s FROM people GROUP BY plan", "sql.measure-expression"),
    ("SELECT plan + 1 AS p, count(*) FROM people GROUP BY plan", "sql.expression"),
    ("SELECT plan + 1 AS p, count(*) FROM people GROUP BY plan + 1", "sql.group-expression"),
    ("SELECT plan AS p, count(*) FROM people GROUP BY plan", "sql.name"),
    ("SELECT plan, sum(age) FROM people GROUP BY plan", "sql.measure"),
    ("SELECT plan, sum(id) FROM people GROUP BY plan", "sql.measure"),
    ("SELECT plan, avg(plan) FROM people GROUP BY plan", "sql.measure"),
    ("SELECT plan, count(code) FROM people GROUP BY plan", "sql.measure"),
    ("SELECT age, count(*) FROM people GROUP BY age", "sql.dimension"),
    ("SELECT id, count(*) FROM people GROUP BY id", "sql.dimension"),
    ("SELECT spend, count(*) FROM people GROUP BY spend", "sql.dimension"),
    ("SELECT __unit, count(*) FROM people GROUP BY __unit", "sql.unknown-column"),
    ("SELECT count(DISTINCT __unit) FROM people", "sql.unknown-column"),
    ("SELECT count(*) FROM people GROUP BY plan", "sql.group-by"),
    ("SELECT plan FROM people GROUP BY plan", "sql.measure"),
    ("SELECT plan FROM people", "sql.measure"),
    ("SELECT * FROM people", "sql.measure"),
    ("SELECT plan, count(*) FROM people GROUP BY plan HAVING count(*) > 3", "sql.having"),
    ("SELECT DISTINCT plan, count(*) FROM people GROUP BY plan", "sql.distinct"),
    ("SELECT plan, count(*) AS n FROM people GROUP BY plan ORDER BY n LIMIT 1", "sql.order"),
    ("SELECT plan, count(*) FROM people GROUP BY ALL", "sql.rollup"),
    ("SELECT plan, sex, count(*) FROM people GROUP BY ROLLUP (plan, sex)", "sql.rollup"),
    ("SELECT plan, sum(spend) OVER () FROM people GROUP BY plan, spend", "sql.window"),
    ("SELECT plan, count(*) FROM people WHERE id = 9001 GROUP BY plan", "sql.filter-unit"),
    ("SELECT plan, count(*) FROM people WHERE age > 30 GROUP BY plan", "sql.filter-range"),
    ("SELECT plan, count(*) FROM people WHERE plan = 1 OR sex = 'f' GROUP BY plan", "sql.filter-or"),
    ("SELECT plan, count(*) FROM people WHERE plan = 9 GROUP BY plan", "sql.code"),
    ("SELECT plan, count(*) FROM people WHERE plan = 1 AND plan = 2 GROUP BY plan", "sql.filter"),
    ("SELECT plan, count(*), count(*) AS \"count\" FROM people GROUP BY plan", "sql.name"),
];

#[test]
fn inputs_are_refused_at_planning() {
    let views = [granted(&ALL, None, &[])];
    for (sql, code) in NEVER.iter().chain(&NEVER_INPUT) {
        let refusal = plan_input(&views, sql).expect_err(sql);
        assert_eq!((refusal.code, refusal.kind), (*code, Kind::Refused), "{sql}: {}", refusal.line(Lang::En));
        assert!(refusal.place.is_some() && !refusal.next.zh.is_empty() && !refusal.next.en.is_empty(), "{sql}");
    }
}

#[test]
fn tables_are_refused_at_planning() {
    let views = [granted(&ALL, None, &[])];
    for (sql, code) in NEVER.iter().chain(&NEVER_TABLE) {
        let refusal = plan_table(&views, sql).expect_err(sql);
        // A clause has a code of its own in a table.
        let finer = ["sql.subquery", "sql.set-operation", "sql.join"].contains(&refusal.code);
        let code = if *code == "sql.clause" && finer { refusal.code } else { code };
        assert_eq!((refusal.code, refusal.kind), (code, Kind::Refused), "{sql}: {}", refusal.line(Lang::En));
        assert!(refusal.place.is_some() && !refusal.next.zh.is_empty() && !refusal.next.en.is_empty(), "{sql}");
    }
}

/// A table's WHERE, SELECT item or whole statement; the code; where it stands in the
/// statement; and a part of the next step.
const NEAREST: [(&str, &str, &str, &str); 22] = [
    ("SELECT plan, max(spend) FROM people GROUP BY plan", "sql.extreme", "line 1, column 14: max(spend)", "avg(spend)"),
    (
        "SELECT plan,\n  any_value(spend) FROM people GROUP BY plan",
        "sql.single-value",
        "line 2, column 3: any",
        "avg(spend)",
    ),
    ("SELECT array_agg(spend) FROM people", "sql.value-list", "line 1, column 8: array_agg", "GROUP BY plan"),
    (
        "SELECT plan, sum(spend + visits) FROM people GROUP BY plan",
        "sql.measure-expression",
        "line 1, column 14",
        "write sum(spend), sum(visits)",
    ),
    (
        "SELECT plan, sum(spend) / count(spend) FROM people GROUP BY plan",
        "sql.measure-expression",
        "line 1, column 14",
        "write avg(spend)",
    ),
    (
        "SELECT plan, sum(spend) / count(*) AS x FROM people GROUP BY plan",
        "sql.measure-expression",
        "line 1, column 14",
        "write sum(spend), count(*)",
    ),
    ("SELECT count(DISTINCT age) FROM people", "sql.distinct", "line 1, column 8", "use count(DISTINCT id)"),
    ("SELECT sum(DISTINCT spend) FROM people", "sql.distinct", "line 1, column 8", "use sum(spend)"),
    (
        "SELECT sum(spend) FILTER (WHERE sex = 'f') FROM people",
        "sql.aggregate-filter",
        "line 1, column 8",
        "sum(spend) FROM people WHERE sex = 'f'",
    ),
    ("SELECT sum(spend) OVER (PARTITION BY plan) FROM people", "sql.window", "line 1, column 8", "write `sum(spend)`"),
    (
        "SELECT plan, count(*) FROM people GROUP BY plan HAVING count(*) > 10",
        "sql.having",
        "line 1, column 49: HAVING",
        "cells under k are withheld anyway",
    ),
    (
        "SELECT plan, count(*) AS n FROM people GROUP BY plan ORDER BY n LIMIT 3",
        "sql.order",
        "line 1, column 54: ORDER BY",
        "every cell",
    ),
    (
        "SELECT count(*) FROM people UNION SELECT count(*) FROM people",
        "sql.set-operation",
        "line 1, column 29: UNION",
        "[[table]]",
    ),
    ("SELECT count(*) FROM people p JOIN people q ON p.id = q.id", "sql.join", "line 1, column 31: JOIN", "bureau"),
    (
        "SELECT count(*) FROM people WHERE plan IN (SELECT plan FROM people)",
        "sql.subquery",
        "line 1, column 35",
        "codes",
    ),
    ("SELECT count(*) FROM people WHERE id IN (3, 4)", "sql.filter-unit", "line 1, column 35: id", "plan, sex"),
    ("SELECT count(*) FROM people WHERE plan > 1", "sql.filter-range", "line 1, column 35: plan", "`plan IN (2, 3)`"),
    (
        "SELECT count(*) FROM people WHERE plan BETWEEN 1 AND 2",
        "sql.filter-range",
        "line 1, column 35",
        "`plan IN (1, 2)`",
    ),
    ("SELECT count(*) FROM people WHERE NOT plan = 2", "sql.filter-not", "line 1, column 39", "`plan IN (1, 3)`"),
    ("SELECT count(*) FROM people WHERE sex <> 'f'", "sql.filter-not", "line 1, column 35", "`sex IN ('m')`"),
    (
        "SELECT count(*) FROM people WHERE plan = 1 OR 3 = plan",
        "sql.filter-or",
        "line 1, column 35",
        "`plan IN (1, 3)`",
    ),
    ("SELECT plan, count(*) FROM people GROUP BY CUBE (plan)", "sql.rollup", "line 1, column 50", "totals"),
];

#[test]
fn a_refusal_points_at_the_text_and_writes_the_nearest_form() {
    let views = [granted(&ALL, None, &[])];
    for (sql, code, place, next) in NEAREST {
        let refusal = plan_table(&views, sql).expect_err(sql);
        assert_eq!(refusal.code, code, "{sql}");
        assert!(refusal.place.as_deref().unwrap_or_default().starts_with(place), "{sql}: {:?}", refusal.place);
        assert!(refusal.next.en.contains(next), "{sql}: {}", refusal.next.en);
    }
}

#[test]
fn what_is_proposed_for_a_filter_is_taken() {
    let views = [granted(&ALL, None, &[])];
    for (sql, code, _, _) in NEAREST.iter().filter(|(_, code, ..)| code.starts_with("sql.filter-")) {
        let next = plan_table(&views, sql).expect_err(sql).next.en.clone();
        let Some(proposed) = next.split('`').nth(1).filter(|p| p.contains(" IN ")) else { continue };
        let again = format!("SELECT count(*) FROM people WHERE {proposed}");
        assert!(plan_table(&views, &again).is_ok(), "{code}: {again}");
    }
}

#[test]
fn a_dropped_or_ungranted_column_does_not_exist() {
    let views = [granted(&["age", "plan", "spend"], Some("spend > 1"), &[("spend", Mask::Drop)])];
    for sql in ["SELECT spend FROM people", "SELECT code FROM people", "SELECT age FROM people WHERE spend > 0"] {
        assert_eq!(plan_input(&views, sql).unwrap_err().code, "sql.unknown-column", "{sql}");
    }
    assert_eq!(plan_table(&views, "SELECT sum(spend) FROM people").unwrap_err().code, "sql.unknown-column");
}

#[test]
fn a_view_that_does_not_fit_is_refused() {
    let bin = Mask::Bin { from: 0, to: 9, width: 3 };
    let sql = "SELECT plan FROM people";
    let code = |view| plan_input(&[view], sql).unwrap_err().code;
    assert_eq!(code(granted(&["plan", "nonsense"], None, &[])), "view.column");
    assert_eq!(code(granted(&["plan", "code"], None, &[("code", bin)])), "view.mask");
    for filter in ["age > (SELECT 1)", "nonsense = 1", "age", "age > 1; DROP TABLE x", "age > 1 AND", "random() > 0.5"]
    {
        assert_eq!(code(granted(&["plan", "age"], Some(filter), &[])), "view.filter", "{filter}");
    }
}

#[test]
fn depth_and_length_are_bounded() {
    let views = [granted(&ALL, None, &[])];
    let deep = format!("SELECT age FROM people WHERE {}age{} > 1", "(".repeat(300), ")".repeat(300));
    assert_eq!(plan_input(&views, &deep).unwrap_err().code, "sql.syntax");
    let long = format!("SELECT age FROM people WHERE age IN ({})", "1,".repeat(10_000) + "1");
    assert_eq!(plan_input(&views, &long).unwrap_err().code, "sql.too-long");
    let chain = |n: usize| format!("SELECT age FROM people WHERE age{}", "+1".repeat(n) + " > 0");
    assert_eq!(plan_input(&views, &chain(7_000)).unwrap_err().code, "sql.too-long");
    let nested = format!("SELECT {}age{} AS a FROM people", "coalesce(".repeat(20), ", 1)".repeat(20));
    assert!(plan_input(&views, &nested).is_ok());
}

#[tokio::test]
async fn the_deepest_that_is_taken_runs_on_an_ordinary_stack() {
    let view = granted(&ALL, None, &[]);
    let rows = batch(&[row(1, 1, "c", 1, "f", 0.5)]);
    for (first, link) in [
        ("age", "+1"),
        ("age > 0", " AND age > 0"),
        ("age", "/2"),
        ("age", " IS NULL"),
        ("age", "::BIGINT"),
        ("age", "%3"),
    ] {
        let sql = |n: usize| format!("SELECT age FROM people WHERE ({first}{}) IS NOT NULL", link.repeat(n));
        let plans = |n: usize| plan_input(std::slice::from_ref(&view), &sql(n));
        let most = (0..70).rev().find(|n| plans(*n).is_ok()).unwrap();
        assert!(most > 30, "{link}: {most}");
        assert!(run(&view, &rows, &sql(most)).await.iter().all(Result::is_ok), "{link}");
        assert_eq!(plans(most + 1).unwrap_err().code, "sql.too-deep", "{link}");
        for n in (70..600).step_by(97) {
            assert!(matches!(plans(n).unwrap_err().code, "sql.too-deep" | "sql.too-long"), "{link}");
        }
    }
}
