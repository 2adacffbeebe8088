//! Random expressions over random rows: planning may refuse, reading never fails.

use futures::StreamExt;
use proptest::prelude::*;
use sluice_vault::plain_type;

use super::{ALL, Row, batch, granted, reader};
use crate::plan_input;

/// SQL of a number, text or condition, over the town's columns and awkward constants.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("age"),
        Just("visits"),
        Just("spend"),
        Just("code"),
        Just("sex"),
        Just("born"),
        Just("flag"),
        Just("0"),
        Just("-1"),
        Just("9223372036854775807"),
        Just("(-9223372036854775807 - 1)"),
        Just("0.0"),
        Just("1e308"),
        Just("'12'"),
        Just("'2020-01-01'"),
        Just("''"),
        Just("NULL"),
        Just("true"),
    ]
    .prop_map(str::to_owned);
    leaf.prop_recursive(4, 24, 3, |inner| {
        let operator =
            prop::sample::select(vec!["+", "-", "*", "/", "%", "=", "<>", "<", ">=", "AND", "OR", "IS DISTINCT FROM"]);
        let kind = prop::sample::select(vec![
            "BIGINT",
            "DOUBLE",
            "VARCHAR",
            "BOOLEAN",
            "DATE",
            "SMALLINT",
            "TIMESTAMP",
            "DECIMAL(10, 2)",
            "DECIMAL(38, 37)",
        ]);
        let wrapped = prop::sample::select(vec![
            "abs(@)",
            "-(@)",
            "NOT (@)",
            "(@) IS NULL",
            "(@) IS NOT TRUE",
            "(@) LIKE '%1_'",
            "(@) IN (1, 2, NULL)",
            "(@) BETWEEN 0 AND 5",
            "nullif(@, 0)",
            "coalesce(@, 1)",
            "CASE (@) WHEN 0 THEN 1 END",
        ]);
        prop_oneof![
            (inner.clone(), operator, inner.clone()).prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            (inner.clone(), kind).prop_map(|(a, kind)| format!("CAST({a} AS {kind})")),
            (inner.clone(), wrapped).prop_map(|(a, form)| form.replace('@', &a)),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("CASE WHEN {a} THEN {b} ELSE {c} END")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("coalesce({a}, nullif({b}, {a}))")),
        ]
    })
}

fn rows() -> Vec<Row> {
    let ages = [i64::MIN, i64::MAX, 0, -1, 1, 77, 60];
    let spends = [None, Some(f64::NAN), Some(f64::INFINITY), Some(-0.0), Some(f64::MIN), Some(5e-324), Some(1.5)];
    let codes = [
        None,
        Some(""),
        Some("99999999999999999999"),
        Some("1e999"),
        Some("true"),
        Some("-292278-01-01"),
        Some("é%_\\"),
    ];
    (0..49)
        .map(|n| Row {
            unit: n as u64,
            age: ages[n % 7],
            code: codes[n / 7],
            plan: 1,
            sex: "f",
            spend: spends[(n + n / 7) % 7],
            visits: ages[(n * 3 + 2) % 7],
        })
        .collect()
}

#[test]
fn no_expression_that_plans_can_fail() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let view = granted(&ALL, None, &[]);
    let (_dir, reader) = reader(&view, &batch(&rows()));
    let planned = std::cell::Cell::new(0usize);
    let config = ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(expr in expression())| {
        for sql in [
            format!("SELECT {expr} AS x FROM people"),
            format!("SELECT age FROM people WHERE ({expr}) IS NOT NULL"),
            format!("SELECT age FROM people WHERE age > 0 AND ({expr}) AND 1/(visits-77) > -5"),
        ] {
            let Ok(plan) = plan_input(std::slice::from_ref(&view), &sql) else { continue };
            planned.set(planned.get() + 1);
            let units: Vec<_> = runtime.block_on(reader.units(&plan, 10).collect());
            prop_assert!(units.iter().all(Result::is_ok), "{}: {:?}", sql, units);
            for unit in units.into_iter().flatten() {
                let found: Vec<_> = unit.schema().fields().iter().map(|f| plain_type(f.data_type())).collect();
                let told: Vec<_> = plan.columns.iter().map(|(_, kind)| Some(*kind)).collect();
                prop_assert_eq!(found, told, "{}", sql);
            }
        }
    });
    assert!(planned.get() > 500, "the generator makes too few expressions of fitting types: {}", planned.get());
}
