//! Attacks 33, 39–42, 48 and 51 of the gate's red team: an extreme percentile, differencing, trackers, linked
//! tables, snapshots, the pattern of withheld cells, colluding recipients. Each leaks
//! with lineage (or class disclosure) left out, and is stopped with it. Leaving a layer
//! out is done here alone, by judging every job against an empty ledger.
//!
//! Here by the checker, over row sets; in `jobs` through the whole gate, with every rule;
//! in `sequences` by random jobs against a linear programme that shares nothing with it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    reason = "tests may fail loudly, over small numbers"
)]

#[path = "../../runtime/gate/tests/common/mod.rs"]
mod common;
mod held_together;
mod jobs;
mod office;
mod sequences;

mod regression;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sluice_domain::contract::{Grid, Quantile, Rank};
use sluice_gate::check::check_case;

/// 60 people in three regions of 20: id, region, sex, whether all but the first are
/// meant, and whether they were there in the first snapshot.
fn people() -> Vec<[String; 5]> {
    let row = |i: usize| {
        let (region, sex) = (["A", "B", "C"][i / 20], if i.is_multiple_of(2) { "m" } else { "f" });
        [format!("p{i:02}"), region.into(), sex.into(), u8::from(i != 0).to_string(), u8::from(i != 59).to_string()]
    };
    (0..60).map(row).collect()
}

fn csv() -> Vec<u8> {
    let lines: Vec<String> = people().iter().map(|row| row.join(",")).collect();
    format!("id,region,sex,other,before\n{}\n", lines.join("\n")).into_bytes()
}

fn check(jobs: &[Value]) -> Value {
    let case = json!({
        "schema": "sluice-gate-case/1",
        "data": {"file": "people.csv", "unit": "id"},
        "rules": {"threshold": 5, "zeros": "unsafe"},
        "jobs": jobs,
    });
    serde_json::to_value(check_case(&case.to_string(), |_| Ok(csv())).unwrap()).unwrap()
}

/// Every job judged alone: what the gate would say without lineage.
fn each_alone(jobs: &[Value]) -> Vec<Value> {
    jobs.iter().map(|job| check(std::slice::from_ref(job))["jobs"][0].clone()).collect()
}

fn count(name: &str, dimensions: &[&str], filter: Value) -> Value {
    json!({"name": name, "dimensions": dimensions, "measures": [{"agg": "count"}], "filter": filter})
}

/// The count that an attacker reads in a published cell; none where it is withheld.
fn read(job: &Value, report: &Value, key: &[(&str, &str)]) -> Option<usize> {
    let wanted: BTreeMap<&str, &str> = key.iter().copied().collect();
    let cell = report["cells"].as_array().unwrap().iter().find(|cell| cell["key"] == json!(wanted)).unwrap();
    let columns = ["id", "region", "sex", "other", "before"];
    let holds =
        |row: &[String; 5], column: &str, value: &str| row[columns.iter().position(|c| *c == column).unwrap()] == value;
    let filter = job["filter"].as_object().unwrap();
    let inside = |row: &&[String; 5]| {
        wanted.iter().all(|(c, v)| holds(row, c, v))
            && filter.iter().all(|(c, v)| holds(row, c, &v.as_str().map_or(v.to_string(), str::to_owned)))
    };
    (cell["status"] == "safe").then(|| people().iter().filter(inside).count())
}

/// The numbers at `keys`, one per job, by the reports given.
fn numbers(jobs: &[Value], reports: &[Value], keys: &[&[(&str, &str)]]) -> Option<Vec<usize>> {
    jobs.iter().zip(reports).zip(keys).map(|((job, report), key)| read(job, report, key)).collect()
}

fn with_lineage(jobs: &[Value]) -> Vec<Value> {
    check(jobs)["jobs"].as_array().unwrap().clone()
}

#[test]
fn attack_33_an_extreme_percentile_is_one_person() {
    // The 99th percentile of sixty incomes is the highest, to the unit of the grid.
    let incomes: Vec<f64> = (0..60).map(|i| if i == 17 { 4_711.0 } else { 100.0 + f64::from(i) }).collect();
    let lines: Vec<String> = incomes.iter().enumerate().map(|(i, x)| format!("p{i:02},{x}")).collect();
    let csv = format!("id,income\n{}\n", lines.join("\n")).into_bytes();
    let status = |q: f64, rules: Value| {
        let case = json!({
            "schema": "sluice-gate-case/1",
            "data": {"file": "people.csv", "unit": "id"},
            "rules": rules,
            "jobs": [{"measures": [{"agg": "quantile", "column": "income", "q": q, "grid": 1}]}],
        });
        let report = check_case(&case.to_string(), |_| Ok(csv.clone())).unwrap();
        serde_json::to_value(report).unwrap()["jobs"][0]["cells"][0]["status"].clone()
    };
    let mut sorted = incomes.clone();
    sorted.sort_by(f64::total_cmp);
    let p99 = Quantile { rank: Rank::of(0.99).unwrap(), grid: Grid::try_from(1.0).unwrap() };
    assert_eq!(p99.of_sorted(&sorted), Some(4_711.0), "what is published is the richest person's income");
    assert_eq!(status(0.99, json!({})), "safe", "without the rule it is out");
    let rules = json!({"threshold": 5});
    assert_eq!(status(0.99, rules.clone()), "primary");
    // Five on either side are enough: 60 · 0.08 is four, 60 · 0.09 is five.
    assert_eq!(
        [status(0.92, rules.clone()), status(0.91, rules.clone()), status(0.5, rules)],
        ["primary", "safe", "safe"]
    );
}

#[test]
fn attack_39_two_jobs_are_subtracted() {
    let jobs = [count("all", &["region"], json!({})), count("but-one", &["region"], json!({"other": 1}))];
    let keys: [&[(&str, &str)]; 2] = [&[("region", "A")], &[("region", "A")]];
    let leak = numbers(&jobs, &each_alone(&jobs), &keys).unwrap();
    assert_eq!(leak[0] - leak[1], 1, "without lineage the first person is seen");
    assert_eq!(numbers(&jobs, &with_lineage(&jobs), &keys), None);
}

#[test]
fn attack_40_a_tracker_of_three_queries() {
    // Everybody − women − the men but the first = the first.
    let jobs = [
        count("everybody", &[], json!({})),
        count("women", &[], json!({"sex": "f"})),
        count("men-but-one", &[], json!({"sex": "m", "other": 1})),
    ];
    let keys: [&[(&str, &str)]; 3] = [&[], &[], &[]];
    let leak = numbers(&jobs, &each_alone(&jobs), &keys).unwrap();
    assert_eq!(leak[0] - leak[1] - leak[2], 1);
    let reports = with_lineage(&jobs);
    assert_eq!(numbers(&jobs, &reports, &keys), None);
    assert!(reports[2]["refused"].is_string(), "nothing is left of the third");
}

#[test]
fn attack_41_complement_and_linked_tables() {
    // By region and sex among `other`, then by region: region A without the first person
    // by its two parts, against the whole region.
    let jobs = [count("parts", &["region", "sex"], json!({"other": 1})), count("region", &["region"], json!({}))];
    let alone = each_alone(&jobs);
    let parts: usize =
        ["m", "f"].iter().map(|s| read(&jobs[0], &alone[0], &[("region", "A"), ("sex", s)]).unwrap()).sum();
    assert_eq!(read(&jobs[1], &alone[1], &[("region", "A")]).unwrap() - parts, 1);
    let reports = with_lineage(&jobs);
    assert_eq!(read(&jobs[1], &reports[1], &[("region", "A")]), None);
    // Its neighbours add nothing that was not known and stay.
    assert_eq!(read(&jobs[1], &reports[1], &[("region", "B")]), Some(20));
}

#[test]
fn attack_42_two_snapshots_that_differ_by_one() {
    // Rows that did not change keep their number, so a snapshot is a set of rows: the
    // earlier one lacks the last person.
    let jobs = [count("before", &["region"], json!({"before": 1})), count("now", &["region"], json!({}))];
    let keys: [&[(&str, &str)]; 2] = [&[("region", "C")], &[("region", "C")]];
    let leak = numbers(&jobs, &each_alone(&jobs), &keys).unwrap();
    assert_eq!(leak[1] - leak[0], 1);
    assert_eq!(numbers(&jobs, &with_lineage(&jobs), &keys), None);
}

#[test]
fn attack_48_what_a_withheld_cell_and_a_refusal_say() {
    // To the reader of a product the three kinds of withheld cell look the same; that a
    // difference was the reason is only in the report for reviewers. Asking again gives
    // the same pattern, so asking again says nothing more.
    let jobs = [count("all", &["region"], json!({})), count("but-one", &["region"], json!({"other": 1})), {
        let mut again = count("again", &["region"], json!({"other": 1}));
        again["name"] = json!("again");
        again
    }];
    let reports = with_lineage(&jobs);
    assert_eq!(reports[1]["cells"], reports[2]["cells"], "the same question, the same pattern");
    assert_ne!(each_alone(&jobs)[1]["cells"], reports[1]["cells"], "without lineage nothing is withheld");
}

#[test]
fn attack_51_colluding_recipients() {
    // Two operators ask for one part each and a third for the whole without one person.
    // Lineage knows no operators: the order of the three does not matter either.
    let jobs = [
        count("first-operator", &[], json!({"sex": "m"})),
        count("second-operator", &[], json!({"sex": "f"})),
        count("third-operator", &[], json!({"other": 1})),
    ];
    let keys: [&[(&str, &str)]; 3] = [&[], &[], &[]];
    let leak = numbers(&jobs, &each_alone(&jobs), &keys).unwrap();
    assert_eq!(leak[0] + leak[1] - leak[2], 1);
    for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0]] {
        let jobs: Vec<Value> = order.iter().map(|i| jobs[*i].clone()).collect();
        assert_eq!(numbers(&jobs, &with_lineage(&jobs), &keys), None, "{order:?}");
    }
}
