//! `sluice gate check` as people call it: the shared cases through the command itself,
//! its exit codes and its one line of JSON.
#![expect(clippy::unwrap_used, reason = "tests may fail loudly")]

use std::{
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

fn sluice(arguments: &[&str]) -> Output {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases");
    Command::new(env!("CARGO_BIN_EXE_sluice")).args(arguments).current_dir(cases).output().unwrap()
}

#[test]
fn the_exit_code_carries_the_verdict() {
    let shared =
        ["freq", "minmax", "negatives", "secondary", "synthetic_2d", "two_geographies", "units_not_rows", "zeros"];
    for case in shared {
        let file = format!("{case}.json");
        let out = sluice(&["gate", "check", &file, "--json"]);
        let report: Value = serde_json::from_slice(&out.stdout).unwrap();
        let pass = case == "synthetic_2d";
        assert_eq!(report["status"], if pass { "pass" } else { "fail" }, "{case}");
        assert_eq!(out.status.code(), Some(if pass { 0 } else { 3 }), "{case}");
        assert!(out.stderr.is_empty(), "{case}");
        let job = &report["jobs"][0];
        assert_eq!(job["refused"].is_null(), case != "minmax", "{case}: {job}");
        if case == "units_not_rows" {
            let unsafe_cell = job["cells"].as_array().unwrap().iter().find(|c| c["status"] != "safe").unwrap();
            let wanted = r#"{"key":{"grant_type":"R/G"},"reasons":["threshold"],"status":"primary"}"#;
            assert_eq!(*unsafe_cell, serde_json::from_str::<Value>(wanted).unwrap());
        }
    }
}

#[test]
fn people_read_it_in_their_language_and_a_bad_file_is_told_its_place() {
    let out = sluice(&["gate", "check", "two_geographies.json"]);
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(text.contains("hours=>30 sex=male\t与此前发布相减") && text.ends_with("不通过\n"), "{text}");
    let out = sluice(&["--lang", "en", "gate", "check", "README.md"]);
    assert_eq!(out.status.code(), Some(2));
    let words = String::from_utf8(out.stderr).unwrap();
    assert!(words.starts_with("case.form [line 1, column 1]"), "{words}");
}
