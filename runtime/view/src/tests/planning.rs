//! What planning makes of allowed SQL.

use sluice_domain::{
    agreement::Mask,
    catalogue::{ColumnType, Key},
    contract::{Aggregate, MeasureC, Quantile, Rank},
};

use super::{ALL, granted};
use crate::{ViewRole, plan_input, plan_table, view_schema};

#[test]
fn an_input_has_its_types_before_it_runs() {
    let views = [granted(&ALL, None, &[])];
    let sql = "SELECT id, p.age + 1.5 AS a, CASE WHEN sex = 'f' THEN 1 ELSE 0 END AS f, code LIKE 'x%' AS x, \
               CAST(code AS INT) AS n, CAST(code AS DATE) AS d, coalesce(spend, 0) AS s, abs(-age) AS b, \
               nullif(plan, 1) AS q, age IS NULL AS m, age / 2 AS h, age % 2 AS r, CAST(age AS VARCHAR) AS t \
               FROM people AS p WHERE age BETWEEN 20 AND 60 AND NOT plan IN (1, 2)";
    let plan = plan_input(&views, sql).unwrap();
    let types: Vec<_> = plan.columns.iter().map(|(name, kind)| (name.as_str(), *kind)).collect();
    use ColumnType::{Bool, Date, Float, Int, Text};
    assert_eq!(
        types,
        [
            ("id", Int),
            ("a", Float),
            ("f", Int),
            ("x", Bool),
            ("n", Int),
            ("d", Date),
            ("s", Float),
            ("b", Int),
            ("q", Int),
            ("m", Bool),
            ("h", Int),
            ("r", Int),
            ("t", Text)
        ]
    );
    assert_eq!(plan.view.as_str(), "people");
    let all = plan_input(&views, "select * from People").unwrap();
    assert_eq!(all.columns.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>(), ALL);
}

#[test]
fn no_cast_or_division_survives_that_can_fail() {
    let views = [granted(&ALL, None, &[])];
    let sql = "SELECT CAST(code AS BIGINT) / age AS a, code = 5 AS b, 7 % age AS c FROM people WHERE 1/(age-77) > -5";
    let plan = plan_input(&views, sql).unwrap();
    let shown = format!("{:?} {:?}", plan.outputs, plan.filter);
    for unsafe_form in ["op: Divide", "op: Modulo", " Cast(", "(Cast("] {
        assert!(!shown.contains(unsafe_form), "{unsafe_form}: {shown}");
    }
    assert!(shown.contains("TryCast") && shown.contains("total_divide") && shown.contains("total_remainder"));
}

#[test]
fn a_table_is_reduced_to_dimensions_measures_and_filter() {
    let views = [granted(&ALL, None, &[("age", Mask::Bin { from: 0, to: 50, width: 20 })])];
    let sql = "SELECT sex, age, count(*), count(DISTINCT id), count(spend), sum(visits) AS v, avg(spend) FROM people \
               WHERE plan IN (3, 1, 3) AND 'f' = sex AND age = 20 GROUP BY age, sex";
    let plan = plan_table(&views, sql).unwrap();
    assert_eq!(plan.dimensions.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(), ["sex", "age"]);
    let ages: Vec<_> = plan.dimensions[1].domain.clone();
    let age = |n, label: &str| (Key::Int(n), label.to_owned());
    assert_eq!(ages, [age(0, "0–20"), age(20, "20–40"), age(40, "40–50")]);
    let measure = |name: &str, aggregate, column: Option<&str>| MeasureC {
        name: name.to_owned(),
        aggregate,
        column: column.map(str::to_owned),
    };
    assert_eq!(
        plan.measures,
        [
            measure("count", Aggregate::Rows, None),
            measure("units", Aggregate::Units, None),
            measure("count_spend", Aggregate::Count, Some("spend")),
            measure("v", Aggregate::Sum, Some("visits")),
            measure("avg_spend", Aggregate::Mean, Some("spend")),
        ]
    );
    let named = plan_table(&views, "SELECT count(*) AS n, count(DISTINCT id) AS people, count(*) FROM people").unwrap();
    assert_eq!(named.measures.iter().map(|m| m.name.as_str()).collect::<Vec<_>>(), ["n", "people", "count"]);
    let filter: Vec<_> = plan.filter.iter().map(|(d, keys)| (d.name.as_str(), keys.clone())).collect();
    let expected = [
        ("age", vec![Key::Int(20)]),
        ("plan", vec![Key::Int(1), Key::Int(3)]),
        ("sex", vec![Key::Text("f".to_owned())]),
    ];
    assert_eq!(filter, expected);
}

#[test]
fn spreads_and_quantiles_are_measures_of_their_own() {
    let views = [granted(&ALL, None, &[])];
    let sql = "SELECT var_samp(spend), var_pop(spend), stddev(spend), stddev_pop(spend), median(visits), \
               quantile(visits, 0.25), quantile(visits, 0.9) AS p90 FROM people";
    let measures = plan_table(&views, sql).unwrap().measures;
    let quantile = |q| Aggregate::Quantile(Quantile { rank: Rank::of(q).unwrap(), grid: 0.5.try_into().unwrap() });
    let found: Vec<_> = measures.iter().map(|m| (m.name.as_str(), m.aggregate)).collect();
    assert_eq!(
        found,
        [
            ("var_spend", Aggregate::VarSamp),
            ("var_pop_spend", Aggregate::VarPop),
            ("stddev_spend", Aggregate::StddevSamp),
            ("stddev_pop_spend", Aggregate::StddevPop),
            ("median_visits", quantile(0.5)),
            ("quantile_visits", quantile(0.25)),
            ("p90", quantile(0.9)),
        ]
    );
    // No grid, no quantile; the nearest form is in the refusal.
    let refused = plan_table(&views, "SELECT median(spend) FROM people").unwrap_err();
    assert_eq!(refused.code, "sql.grid");
    assert!(refused.next.en.contains("use avg(spend) and stddev(spend)"), "{}", refused.next.en);
    let end = plan_table(&views, "SELECT quantile(visits, 0.0) FROM people").unwrap_err();
    assert!(end.next.en.contains("quantile(visits, 0.05)"), "{}", end.next.en);
}

#[test]
fn units_can_be_counted_without_a_grant_of_their_ids() {
    let views = [granted(&["plan"], None, &[])];
    let plan = plan_table(&views, "SELECT plan, count(DISTINCT id) FROM people GROUP BY plan").unwrap();
    assert_eq!(plan.measures[0].aggregate, Aggregate::Units);
    assert_eq!(plan_input(&views, "SELECT id FROM people").unwrap_err().code, "sql.unknown-column");
}

#[test]
fn masks_change_type_and_role() {
    let masks = [
        ("code", Mask::Pseudonym),
        ("age", Mask::Bin { from: 0, to: 50, width: 20 }),
        ("visits", Mask::Drop),
        ("spend", Mask::Bin { from: 0, to: 10, width: 5 }),
    ];
    let columns = view_schema(&granted(&ALL, None, &masks)).unwrap();
    let shown: Vec<_> = columns.iter().map(|c| (c.name.as_str(), c.kind, c.dimension().is_some())).collect();
    use ColumnType::{Bool, Date, Int, Text};
    let expected = [
        ("id", Int, false),
        ("age", Int, true),
        ("code", Text, false),
        ("plan", Int, true),
        ("sex", Text, true),
        // Nullable: a missing value has no bin.
        ("spend", Int, false),
        ("born", Date, false),
        ("flag", Bool, false),
    ];
    assert_eq!(shown, expected);
    assert_eq!(columns[0].role, ViewRole::Unit);
}
