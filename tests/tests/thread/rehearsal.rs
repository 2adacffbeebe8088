//! `sluice guest check` and `sluice guest try`, as an author meets them: no domain,
//! published documents, synthetic people.

use std::{path::PathBuf, process::Command};

use serde_json::Value;

use crate::{command_line::sluice, town::SPENDING_CHANGE};

struct Tried {
    code: i32,
    out: String,
    said: String,
}

fn built(file: &str) -> PathBuf {
    std::env::current_exe().unwrap().ancestors().nth(3).unwrap().join("guests").join(file)
}

fn call(args: &[&str]) -> Tried {
    let out = Command::new(sluice()).args(["--lang", "en"]).args(args).output().unwrap();
    Tried {
        code: out.status.code().unwrap(),
        out: String::from_utf8(out.stdout).unwrap(),
        said: String::from_utf8(out.stderr).unwrap(),
    }
}

fn attempt(job: &str, guest: Option<&str>, more: &[&str]) -> Tried {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("job.toml");
    std::fs::write(&file, job).unwrap();
    let here = |path: &str| {
        PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .unwrap()
            .join("guest-examples/domain")
            .join(path)
            .display()
            .to_string()
    };
    let guest = guest.map(|guest| built(guest).display().to_string());
    let (catalogue, agreement, file) =
        (here("randhie.toml"), here("insurance-pricing-2026.toml"), file.display().to_string());
    let mut args = vec!["guest", "try", &file, "--catalogue", &catalogue, "--agreement", &agreement, "--units", "120"];
    args.extend(guest.iter().flat_map(|guest| ["--guest", guest.as_str()]));
    args.extend(more);
    call(&args)
}

#[test]
fn an_honest_job_would_pass_and_the_same_seed_says_the_same() {
    let first = attempt(SPENDING_CHANGE, Some("spending_change.wasm"), &["--json", "--seed", "3"]);
    assert_eq!(first.code, 0, "{}", first.said);
    assert!(first.said.contains("NOTE: all of this is about synthetic data"), "{}", first.said);
    let report: Value = serde_json::from_str(&first.out).unwrap();
    assert_eq!(report["verdict"], "would-pass");
    assert!(report["synthetic"]["zh"].as_str().unwrap().contains("合成数据"), "in each output: {report}");
    let units = report["rehearsed"]["units"].as_array().unwrap();
    assert_eq!(units.len(), 120);
    assert!(units.iter().all(|u| u["end"]["end"] == "finished" && u["fuel"].as_u64().unwrap() > 0));
    let noise = report["rehearsed"]["tables"][0]["noise"][0][1].as_f64().unwrap();
    assert!((noise - 50_f64.sqrt()).abs() < 0.1, "sigma of the contract: {noise}");
    let again = attempt(SPENDING_CHANGE, Some("spending_change.wasm"), &["--json", "--seed", "3"]);
    let again: Value = serde_json::from_str(&again.out).unwrap();
    assert_eq!(again["rehearsed"]["units"], report["rehearsed"]["units"]);
    let other = attempt(SPENDING_CHANGE, Some("spending_change.wasm"), &["--json", "--seed", "4"]);
    let other: Value = serde_json::from_str(&other.out).unwrap();
    assert_ne!(other["rehearsed"]["units"], report["rehearsed"]["units"]);
}

#[test]
fn a_trap_is_shown_with_its_function_and_file() {
    let job = SPENDING_CHANGE
        .replace("rose = { sum = [0, 1], grid = 1 }, ", "")
        .replace("shares = { rose_share = [\"rose\", \"persons\"] }\n", "");
    let tried = attempt(&job, Some("stumbler.wasm"), &[]);
    assert_eq!(tried.code, 3, "{}", tried.said);
    // The function that tripped, by name, and the file it was called from.
    assert!(tried.out.contains("stumbler4band") && tried.out.contains("stumbler/src/lib.rs:"), "{}", tried.out);
    assert!(tried.out.contains("trapped") && tried.said.contains("try.units-failed"), "{}{}", tried.out, tried.said);
}

#[test]
fn too_little_fuel_is_told_with_what_it_takes() {
    let job = SPENDING_CHANGE.replace("[limits]", "[limits]\nfuel = 20000");
    let tried = attempt(&job, Some("spending_change.wasm"), &[]);
    assert_eq!(tried.code, 3, "{}{}", tried.out, tried.said);
    assert!(tried.out.contains("the contract reserves 20000"), "{}", tried.out);
    assert!(tried.out.contains("advised fuel >= "), "{}", tried.out);
}

#[test]
fn an_import_is_refused_by_name_and_a_job_by_line() {
    let tried = attempt(SPENDING_CHANGE, Some("peeker.wasm"), &[]);
    assert_eq!(tried.code, 3);
    assert!(tried.said.contains("guest.import") && tried.said.contains("the guest imports `"), "{}", tried.said);

    let job = SPENDING_CHANGE.replace("rho = 0.02", "rho = 7.0");
    let line = job.lines().position(|l| l.starts_with("rho")).unwrap() + 1;
    let tried = attempt(&job, Some("spending_change.wasm"), &[]);
    assert_eq!(tried.code, 3);
    assert!(tried.said.contains("job.rho") && tried.said.contains(&format!("job.toml:{line} ")), "{}", tried.said);

    let tried = attempt(&SPENDING_CHANGE.replace("coins, meddol", "coins, salary"), Some("spending_change.wasm"), &[]);
    let line = SPENDING_CHANGE.lines().position(|l| l.starts_with("sql")).unwrap() + 1;
    assert!(tried.said.contains(&format!("job.toml:{line} ")) && tried.said.contains("salary"), "{}", tried.said);
}

#[test]
fn check_names_exports_memories_and_the_jobs_line() {
    let guest = built("spending_change.wasm").display().to_string();
    let checked = call(&["--json", "guest", "check", &guest]);
    let report: Value = serde_json::from_str(&checked.out).unwrap();
    assert_eq!((checked.code, report["findings"].as_array().unwrap().len()), (0, 0));
    assert!(
        report["exports"][0].as_str().unwrap().starts_with("start: func(") && report["memories"][0].as_u64() > Some(0)
    );

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("job.toml");
    std::fs::write(&file, SPENDING_CHANGE.replace("[limits]", "[limits]\nmemory_mib = 1000000")).unwrap();
    let line = SPENDING_CHANGE.lines().position(|l| l.starts_with("[limits]")).unwrap() + 2;
    let checked = call(&[
        "--json",
        "guest",
        "check",
        &built("peeker.wasm").display().to_string(),
        "--job",
        &file.display().to_string(),
    ]);
    assert_eq!(checked.code, 3);
    let report: Value = serde_json::from_str(&checked.out).unwrap();
    let codes: Vec<_> = report["findings"].as_array().unwrap().iter().map(|f| f["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["job.limits", "guest.import"]);
    assert!(report["findings"][0]["place"].as_str().unwrap().contains(&format!("job.toml:{line} ")), "{report}");
}
