//! Random sequences of jobs on random people, checked by code that shares nothing with
//! the gate: no person, no handful of people and no cell withheld for its own sake
//! follows from everything released, by elimination modulo another prime.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may fail loudly")]

mod common;

use std::collections::BTreeSet;

use common::recoverable;
use proptest::prelude::*;
use serde_json::{Value, json};
use sluice_gate::check::check_case;

const K: usize = 3;

/// A person: three codes.
type Person = [u8; 3];

#[derive(Debug, Clone)]
struct Job {
    dimensions: BTreeSet<usize>,
    filter: Option<(usize, Vec<u8>)>,
    totals: &'static str,
    sum: bool,
}

fn job() -> impl Strategy<Value = Job> {
    let dimensions = prop::collection::btree_set(0usize..3, 0..3);
    let filter = prop::option::weighted(0.6, (0usize..3, prop::collection::vec(0u8..3, 1..3)));
    let totals = prop_oneof![Just("none"), Just("true")];
    (dimensions, filter, totals, any::<bool>()).prop_map(|(dimensions, filter, totals, sum)| Job {
        dimensions,
        filter,
        totals,
        sum,
    })
}

fn report(people: &[Person], jobs: &[Job]) -> Value {
    let mut csv = "id,c0,c1,c2,x\n".to_owned();
    for (i, [a, b, c]) in people.iter().enumerate() {
        csv += &format!("p{i},{a},{b},{c},{}\n", 5 + i * 7 % 11);
    }
    let jobs: Vec<Value> = jobs
        .iter()
        .enumerate()
        .map(|(i, job)| {
            let dimensions: Vec<String> = job.dimensions.iter().map(|d| format!("c{d}")).collect();
            let filter: serde_json::Map<String, Value> =
                job.filter.iter().map(|(d, codes)| (format!("c{d}"), json!(codes))).collect();
            let measure = if job.sum { json!({"agg": "sum", "column": "x"}) } else { json!({"agg": "count"}) };
            json!({"name": format!("j{i}"), "dimensions": dimensions, "measures": [measure], "filter": filter, "totals": job.totals})
        })
        .collect();
    let case = json!({
        "schema": "sluice-gate-case/1", "data": {"file": "f", "unit": "id"},
        "rules": {"threshold": K, "zeros": "unsafe"}, "jobs": jobs,
    });
    serde_json::to_value(check_case(&case.to_string(), |_| Ok(csv.into_bytes())).unwrap()).unwrap()
}

/// (published, withheld for its own sake) as 0/1 vectors over people, for one quantity.
fn vectors(people: &[Person], jobs: &[Job], report: &Value, sum: bool) -> (Vec<Vec<u64>>, Vec<Vec<u64>>) {
    let (mut published, mut withheld) = (Vec::new(), Vec::new());
    for (job, report) in jobs.iter().zip(report["jobs"].as_array().unwrap()).filter(|(job, _)| job.sum == sum) {
        for cell in report["cells"].as_array().unwrap() {
            let inside = |person: &Person| {
                let kept = job.filter.iter().all(|(d, codes)| codes.contains(&person[*d]));
                let keyed =
                    |d: usize| cell["key"].get(format!("c{d}")).is_none_or(|v| *v == json!(person[d].to_string()));
                kept && (0..3).all(keyed)
            };
            let vector: Vec<u64> = people.iter().map(|p| u64::from(inside(p))).collect();
            match cell["status"].as_str().unwrap() {
                "safe" | "review" => published.push(vector),
                "primary" if vector.contains(&1) => withheld.push(vector),
                _ => {}
            }
        }
    }
    (published, withheld)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn nobody_follows_from_everything_released(
        people in prop::collection::vec([0u8..3, 0u8..3, 0u8..2], 20..45),
        jobs in prop::collection::vec(job(), 2..6),
    ) {
        let report = report(&people, &jobs);
        for sum in [false, true] {
            let (published, withheld) = vectors(&people, &jobs, &report, sum);
            for vector in &published {
                prop_assert!(vector.iter().sum::<u64>() >= K as u64, "a cell below k is out");
            }
            for vector in &withheld {
                prop_assert!(!recoverable(&published, vector), "a withheld cell follows: {report}");
            }
            // Everybody alone, and every pair: nobody below k = 3 may follow.
            for i in 0..people.len() {
                for j in i..people.len() {
                    let vector: Vec<u64> = (0..people.len()).map(|p| u64::from(p == i || p == j)).collect();
                    prop_assert!(!recoverable(&published, &vector), "people {i} and {j} follow: {report}");
                }
            }
        }
    }
}

/// The test above can fail: without lineage, each job judged alone, people do follow.
#[test]
fn without_lineage_people_follow() {
    let mut people: Vec<Person> = (0..24u8).map(|i| [i % 3, i / 3 % 2, 0]).collect();
    people.push([0, 2, 1]);
    let all = Job { dimensions: BTreeSet::from([0]), filter: None, totals: "none", sum: false };
    let but_one = Job { filter: Some((2, vec![0])), ..all.clone() };
    let jobs = [all, but_one];
    let alone: Vec<Value> =
        jobs.iter().map(|job| report(&people, std::slice::from_ref(job))["jobs"][0].clone()).collect();
    let (published, _) = vectors(&people, &jobs, &json!({"jobs": alone}), false);
    let last: Vec<u64> = (0..people.len()).map(|p| u64::from(p == 24)).collect();
    assert!(recoverable(&published, &last));
    let (published, _) = vectors(&people, &jobs, &report(&people, &jobs), false);
    assert!(!recoverable(&published, &last));
}
