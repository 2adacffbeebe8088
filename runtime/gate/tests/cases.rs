//! The shared cases and our own (`tests/cases` at the top of the repository): microdata
//! with the verdict that the gate must reach, through the checker that people call.
//!
//! Whether a withheld cell follows from what is published is decided here by other
//! code: a dense elimination modulo another prime over the rows of the CSV itself.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may fail loudly")]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use common::recoverable;
use serde_json::{Value, json};
use sluice_gate::check::check_case;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases")
}

fn report(case: &Value) -> Value {
    let read = |file: &str| Ok(std::fs::read(folder().join(file)).unwrap());
    serde_json::to_value(check_case(&case.to_string(), read).unwrap()).unwrap()
}

fn string(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

type Key = BTreeMap<String, String>;

fn key(of: &Value) -> Key {
    of.as_object().unwrap().iter().map(|(d, v)| (d.clone(), string(v))).collect()
}

/// Inner cells: all dimensions are named.
fn inner<'a>(job: &'a Value, report: &'a Value) -> Vec<&'a Value> {
    let dimensions = job["dimensions"].as_array().map_or(0, Vec::len);
    let cells = report["cells"].as_array().unwrap().iter();
    cells.filter(|cell| cell["key"].as_object().unwrap().len() == dimensions).collect()
}

/// Compares everything that a case expects with what the checker says.
fn check(name: &str, case: &Value) {
    let report = report(case);
    let expected = &case["expected"];
    let jobs: BTreeMap<String, (&Value, &Value)> = case["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .zip(report["jobs"].as_array().unwrap())
        .map(|(job, report)| (string(&report["name"]), (job, report)))
        .collect();
    for wanted in expected["jobs"].as_array().unwrap() {
        let (job, report) = jobs[&string(&wanted["name"])];
        let of_list = |cells: Vec<&Value>, statuses: &[&str]| -> BTreeMap<Key, (String, BTreeSet<String>)> {
            let listed = cells.into_iter().filter(|c| statuses.contains(&c["status"].as_str().unwrap()));
            let reasons = |c: &Value| c["reasons"].as_array().unwrap().iter().map(string).collect();
            listed.map(|c| (key(&c["key"]), (string(&c["status"]), reasons(c)))).collect()
        };
        let primary = ["primary", "review"];
        assert_eq!(
            of_list(inner(job, report), &primary),
            of_list(wanted["cells"].as_array().unwrap().iter().collect(), &primary),
            "{name}: {report}"
        );
        if let Some(safe) = wanted["safe_cells"].as_u64() {
            let pass = inner(job, report).into_iter().filter(|c| !primary.contains(&c["status"].as_str().unwrap()));
            assert_eq!(pass.count() as u64, safe, "{name}: safe cells of {}", wanted["name"]);
        }
    }
    if let Some(status) = expected["status"].as_str() {
        assert_eq!(report["status"], status, "{name}");
    }
    for (job, status) in expected["jobs_status"].as_object().into_iter().flatten() {
        assert_eq!(&jobs[job].1["status"], status, "{name}: {job}: {}", jobs[job].1);
    }
    if expected["refused"] == true {
        assert!(report["jobs"].as_array().unwrap().iter().any(|job| job["refused"].is_string()), "{name}");
    }
    let first = report["jobs"].as_array().unwrap().iter().take(1).flat_map(|job| job["cells"].as_array().unwrap());
    assert!(first.into_iter().all(|cell| cell["status"] != "differencing"), "{name}: no history, no difference");
    let cells = report["jobs"].as_array().unwrap().iter().flat_map(|job| job["cells"].as_array().unwrap());
    if let Some(most) = expected["secondary_at_most"].as_u64() {
        let added = cells.filter(|cell| cell["status"] == "secondary").count() as u64;
        assert!(added <= most, "{name}: {added} cells were added");
    }
    for (field, keys) in expected.as_object().unwrap() {
        let Some(job) = field.strip_prefix("must_withhold_in_") else { continue };
        let (job, report) = jobs[job];
        let dimensions: Vec<String> = job["dimensions"].as_array().unwrap().iter().map(string).collect();
        for codes in keys.as_array().unwrap() {
            let codes: Key = dimensions.iter().cloned().zip(codes.as_array().unwrap().iter().map(string)).collect();
            let cell = report["cells"].as_array().unwrap().iter().find(|c| key(&c["key"]) == codes).unwrap();
            assert!(
                ["primary", "secondary", "differencing"].contains(&cell["status"].as_str().unwrap()),
                "{name}: {cell}"
            );
        }
    }
    for (job, keys) in expected["shown"].as_object().into_iter().flatten() {
        let cells = jobs[job].1["cells"].as_array().unwrap().iter().filter(|cell| cell["status"] == "safe");
        let wanted: BTreeSet<Key> = keys.as_array().unwrap().iter().map(key).collect();
        assert_eq!(cells.map(|cell| key(&cell["key"])).collect::<BTreeSet<_>>(), wanted, "{name}: {job}");
    }
    unrecoverable(name, case, &report);
}

/// No withheld cell that breaks a rule is a combination of published ones, of any job
/// of the case. Vectors are over the rows of the file.
fn unrecoverable(name: &str, case: &Value, report: &Value) {
    let csv = std::fs::read_to_string(folder().join(case["data"]["file"].as_str().unwrap())).unwrap();
    let mut lines = csv.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let rows: Vec<BTreeMap<&str, &str>> =
        lines.map(|line| header.iter().copied().zip(line.split(',')).collect()).collect();
    let (mut published, mut hidden) = (Vec::new(), Vec::new());
    for (job, report) in case["jobs"].as_array().unwrap().iter().zip(report["jobs"].as_array().unwrap()) {
        // A model has no cells over the file's columns.
        if job["measures"].is_null() {
            continue;
        }
        let holds = |row: &BTreeMap<&str, &str>, column: &str, wanted: &Value| match wanted {
            Value::Array(all) => all.iter().any(|v| row[column] == string(v)),
            one => row[column] == string(one),
        };
        for cell in report["cells"].as_array().unwrap() {
            let vector: Vec<u64> = rows
                .iter()
                .map(|row| {
                    let kept = job["filter"].as_object().into_iter().flatten().all(|(c, v)| holds(row, c, v));
                    u64::from(kept && key(&cell["key"]).iter().all(|(c, v)| row[c.as_str()] == v))
                })
                .collect();
            match cell["status"].as_str().unwrap() {
                "safe" => published.push(vector),
                "primary" if vector.contains(&1) => hidden.push(vector),
                _ => {}
            }
        }
    }
    // Merge rows that no vector tells apart, to keep the elimination small.
    let columns: BTreeSet<Vec<u64>> =
        (0..rows.len()).map(|r| published.iter().chain(&hidden).map(|v| v[r]).collect()).collect();
    let merged = |i: usize| columns.iter().map(|c| c[i]).collect::<Vec<u64>>();
    let out: Vec<Vec<u64>> = (0..published.len()).map(merged).collect();
    for i in published.len()..published.len() + hidden.len() {
        assert!(!recoverable(&out, &merged(i)), "{name}: a withheld cell follows from published ones");
    }
}

fn cases_in(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "json"));
    files.sort();
    files
}

#[test]
fn every_shared_case_reaches_its_verdict() {
    let files = cases_in(&folder());
    assert!(files.len() >= 8, "the shared cases are there");
    for file in files {
        let case: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        check(&file.display().to_string(), &case);
    }
}

/// Our own cases, verdicts worked out by hand: each file of `own/` holds several.
#[test]
fn every_case_of_our_own_reaches_its_verdict() {
    let mut seen = 0;
    for file in cases_in(&folder().join("own")) {
        let cases: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        for case in cases.as_array().unwrap() {
            let mut case = case.clone();
            case["schema"] = json!("sluice-gate-case/1");
            check(&format!("{}: {}", file.display(), case["title"]), &case);
            seen += 1;
        }
    }
    assert!(seen >= 20, "{seen} cases");
}

#[test]
fn a_bad_case_is_told_where_it_is_bad() {
    let csv = b"g,u,x\na,1,5\nb,2,oops\n".to_vec();
    let place = |json: &str| {
        let refusal = check_case(json, |_| Ok(csv.clone())).unwrap_err();
        (refusal.code, refusal.place.unwrap().to_string())
    };
    let with = |jobs: &str| {
        format!(
            r#"{{"schema":"sluice-gate-case/1","data":{{"file":"f","unit":"u"}},"rules":{{"threshold":1}},"jobs":[{jobs}]}}"#
        )
    };
    assert_eq!(place("{\n \"schema\": 7"), ("case.form", "line 2, column 12".into()));
    assert_eq!(place(&with("").replace("case/1", "case/2")), ("case.form", "/schema".into()));
    assert_eq!(place(&with("")).1, "/jobs");
    let at = |job: &str| place(&with(job)).1;
    assert_eq!(at(r#"{"dimensions":["no"],"measures":[{"agg":"count"}]}"#), "/jobs/0/dimensions/0");
    assert_eq!(at(r#"{"dimensions":["g"],"measures":[{"agg":"sum"}]}"#), "/jobs/0/measures/0");
    assert_eq!(at(r#"{"dimensions":["g"],"measures":[{"agg":"sum","column":"no"}]}"#), "/jobs/0/measures/0/column");
    assert_eq!(at(r#"{"dimensions":["g"],"measures":[{"agg":"sum","column":"x"}]}"#), "f line 3");
    assert_eq!(at(r#"{"dimensions":["g","g"],"measures":[{"agg":"count"}]}"#), "/jobs/0/dimensions");
    assert_eq!(at(r#"{"measures":[{"agg":"count"}],"filter":{"no":1}}"#), "/jobs/0/filter/no");
    assert_eq!(at(r#"{"measures":[{"agg":"count"}],"filter":{"g":{}}}"#), "/jobs/0/filter/g");
    assert_eq!(at(r#"{"dimensions":["g"],"measures":[{"agg":"count"}],"domain":{"g":["a","a"]}}"#), "/jobs/0/domain/g");
    assert_eq!(at(r#"{"measures":[]}"#), "/jobs/0/measures");
    assert_eq!(at(r#"{"measures":[{"agg":"quantile","column":"u","q":2,"grid":1}]}"#), "/jobs/0/measures/0");
}

/// What a program would take for a number is none in a table of people, and a column that
/// is there twice is nobody's.
#[test]
fn data_that_can_be_read_in_two_ways_are_refused() {
    let case =
        r#"{"schema":"sluice-gate-case/1","data":{"file":"f"},"jobs":[{"measures":[{"agg":"sum","column":"x"}]}]}"#;
    let place = |csv: &str| check_case(case, |_| Ok(csv.into())).unwrap_err().place.unwrap().to_string();
    for value in ["NaN", "inf", "-Infinity", "1e400", "1e200", "1_000", "\"1,000\"", "0x10"] {
        assert_eq!(place(&format!("g,x\na,1\nb,{value}\n")), "f line 3", "{value}");
    }
    assert_eq!(place("x,x\n1,2\n"), "/jobs/0/measures/0/column");
    assert!(check_case(case, |_| Ok("g,x\na, 1.5e2 \nb,\n".into())).is_ok());
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 400, failure_persistence: None, ..Default::default() })]

    /// Whatever the files hold, the checker answers: a verdict or a refusal.
    #[test]
    fn broken_files_are_refused_and_never_panic(
        cut in 0usize..600, put in proptest::collection::vec(proptest::arbitrary::any::<u8>(), 0..4), of_data: bool,
    ) {
        let json = r#"{"schema":"sluice-gate-case/1","data":{"file":"f","unit":"u"},"rules":{"threshold":1,"dominance":{"n":2,"k":0.9},"zeros":"unsafe","missing":"review"},"jobs":[{"name":"a","dimensions":["g"],"measures":[{"agg":"sum","column":"x"},{"agg":"quantile","column":"x","q":0.5,"grid":5}],"domain":{"g":["a","b"]},"totals":"true"},{"name":"b","dimensions":["g"],"measures":[{"agg":"count"}],"filter":{"u":["1",2]}}]}"#;
        let csv = "g,u,x\na,1,5\nb,2,7\na,3,-1\nb,2,\n";
        let spoil = |text: &str| {
            let mut bytes = text.as_bytes().to_vec();
            let at = cut % bytes.len();
            bytes.splice(at..at + 1, put.iter().copied());
            bytes
        };
        let (json, csv) = if of_data {
            (json.to_owned(), spoil(csv))
        } else {
            (String::from_utf8_lossy(&spoil(json)).into_owned(), csv.as_bytes().to_vec())
        };
        let _ = check_case(&json, |_| Ok(csv));
    }
}
