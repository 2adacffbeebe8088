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
    let units = report["rehearsed"]["passes"][0]["calls"].as_array().unwrap();
    assert_eq!(units.len(), 120);
    assert!(units.iter().all(|u| u["end"]["end"] == "finished" && u["fuel"].as_u64().unwrap() > 0));
    let noise = report["rehearsed"]["tables"][0]["noise"][0][1].as_f64().unwrap();
    assert!((noise - 50_f64.sqrt()).abs() < 0.1, "sigma of the contract: {noise}");
    let again = attempt(SPENDING_CHANGE, Some("spending_change.wasm"), &["--json", "--seed", "3"]);
    let again: Value = serde_json::from_str(&again.out).unwrap();
    assert_eq!(again["rehearsed"]["passes"], report["rehearsed"]["passes"]);
    let other = attempt(SPENDING_CHANGE, Some("spending_change.wasm"), &["--json", "--seed", "4"]);
    let other: Value = serde_json::from_str(&other.out).unwrap();
    assert_ne!(other["rehearsed"]["passes"], report["rehearsed"]["passes"]);
}

#[test]
fn a_trap_is_shown_with_its_function_and_line() {
    let job = SPENDING_CHANGE
        .replace("rose = { sum = [0, 1], grid = 1 }, ", "")
        .replace("shares = { rose_share = [\"rose\", \"persons\"] }\n", "");
    let tried = attempt(&job, Some("stumbler.wasm"), &[]);
    assert_eq!(tried.code, 3, "{}", tried.said);
    // The function that tripped, by name, and the line of the index that did it.
    let source = include_str!("../../../guest-examples/stumbler/src/lib.rs");
    let line = source.lines().position(|l| l.contains("bands[at]")).unwrap() + 1;
    let tripped = format!("stumbler/src/lib.rs:{line}");
    let of_band = tried.out.lines().find(|l| l.contains("stumbler4band"));
    assert!(of_band.is_some_and(|l| l.contains(&tripped)), "{tripped}: {}", tried.out);
    assert!(tried.out.contains("trapped") && tried.said.contains("try.calls-failed"), "{}{}", tried.out, tried.said);
}

#[test]
fn too_little_fuel_is_told_with_what_it_takes() {
    let job = SPENDING_CHANGE.replace("[limits]", "[limits]\nfuel = 20000");
    let tried = attempt(&job, Some("spending_change.wasm"), &[]);
    assert_eq!(tried.code, 3, "{}{}", tried.out, tried.said);
    assert!(tried.out.contains("the contract reserves 20000"), "{}", tried.out);
    assert!(tried.out.contains("advised: [limits] fuel = "), "{}", tried.out);
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
    assert!(tried.said.contains("job.rho") && tried.said.contains(&format!("job.toml:{line}:")), "{}", tried.said);

    let tried = attempt(&SPENDING_CHANGE.replace("coins, meddol", "coins, salary"), Some("spending_change.wasm"), &[]);
    let line = SPENDING_CHANGE.lines().position(|l| l.starts_with("sql")).unwrap() + 1;
    assert!(tried.said.contains(&format!("job.toml:{line}:")) && tried.said.contains("salary"), "{}", tried.said);
}

/// A job as it lies in the repository, with the agreement and catalogue it names.
fn example(folder: &str, agreement: &str, catalogue: &str, more: &[&str]) -> Value {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("guest-examples");
    let place = tempfile::tempdir().unwrap();
    let source = root.join(folder);
    let job = place.path().join("job.toml");
    std::fs::copy(if source.is_dir() { source.join("job.toml") } else { source }, &job).unwrap();
    for guest in
        std::fs::read_dir(built("")).unwrap().flatten().filter(|f| f.path().extension() == Some("wasm".as_ref()))
    {
        std::os::unix::fs::symlink(guest.path(), place.path().join(guest.file_name())).unwrap();
    }
    let here = |path: &str| root.join("domain").join(path).display().to_string();
    let (job, catalogue, agreement) = (job.display().to_string(), here(catalogue), here(agreement));
    let mut args = vec!["--json", "guest", "try", &job, "--catalogue", &catalogue, "--agreement", &agreement];
    args.extend(more);
    let tried = call(&args);
    let report: Value = serde_json::from_str(&tried.out).unwrap_or_else(|_| panic!("{}", tried.said));
    assert_eq!((tried.code, &report["verdict"]), (0, &"would-pass".into()), "{}{}", tried.out, tried.said);
    report["rehearsed"].clone()
}

#[test]
fn rounds_are_told_round_by_round_with_the_outer_guests_calls() {
    let told = example("poisson-visits", "insurance-pricing-2026.toml", "randhie.toml", &["--units", "40"]);
    let passes = told["passes"].as_array().unwrap();
    let rounds: Vec<_> = passes.iter().map(|p| p["round"].as_u64().unwrap()).collect();
    assert_eq!(rounds, [0, 1, 2, 3, 4, 5]);
    // Fuel differs between rounds: the later ones begin with a state.
    assert_ne!(passes[0]["calls"], passes[1]["calls"]);
    let outer: Vec<_> = told["outer"].as_array().unwrap().iter().map(|o| o["round"].as_u64()).collect();
    assert_eq!(outer, [Some(0), Some(1), Some(2), Some(3), Some(4), Some(5), None]);
    assert!(!told["artefacts"].as_array().unwrap().is_empty(), "the report: {told}");
}

#[test]
fn a_table_of_blocks_is_told_block_by_block() {
    let job = SPENDING_CHANGE
        .replace("rose = { sum = [0, 1], grid = 1 }, ", "")
        .replace("shares = { rose_share = [\"rose\", \"persons\"] }\n", "");
    let blocks: String = job
        .lines()
        .map(|line| match line.split('=').next().unwrap().trim() {
            "route" => "route = \"B\"\nblocks = 5\n".to_owned(),
            "measures" => "measures = { persons = { range = [0, 100] } }\n".to_owned(),
            "keys_per_unit" | "noise" => String::new(),
            _ => format!("{line}\n"),
        })
        .collect();
    let tried = attempt(&blocks, Some("stumbler.wasm"), &["--json"]);
    let report: Value = serde_json::from_str(&tried.out).unwrap_or_else(|_| panic!("{blocks}{}", tried.said));
    let pass = &report["rehearsed"]["passes"][0];
    assert_eq!((&pass["route"], pass["calls"].as_array().unwrap().len()), (&"B".into(), 5), "{report}");
}

#[test]
fn a_held_table_is_told_with_its_one_call_and_without_a_promise() {
    let told = example("visits-tree", "insurance-models-2026.toml", "randhie.toml", &["--units", "400"]);
    let pass = &told["passes"][0];
    assert_eq!((&pass["route"], pass["calls"].as_array().unwrap().len()), (&"D".into(), 1), "{told}");
    assert_eq!((&told["tables"][0]["cells"], told["rho"].as_f64()), (&15.into(), Some(0.0)), "{told}");
}

#[test]
fn what_voids_a_held_run_is_told_on_synthetic_people() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("job.toml");
    let job = include_str!("../../../guest-examples/visits-tree/job.toml").replace("nodes = 15", "nodes = 7");
    std::fs::write(&file, job).unwrap();
    std::fs::copy(built("visits_tree.wasm"), folder.path().join("visits_tree.wasm")).unwrap();
    let domain = PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("guest-examples/domain");
    let [catalogue, agreement] =
        ["randhie.toml", "insurance-models-2026.toml"].map(|name| domain.join(name).display().to_string());
    let file = file.display().to_string();
    let tried = call(&["guest", "try", &file, "--catalogue", &catalogue, "--agreement", &agreement, "--units", "400"]);
    assert_eq!(tried.code, 3, "{}{}", tried.out, tried.said);
    for words in ["with no privacy guarantee", "node = 14 is no key of this table", "any of this but rounding voids"] {
        assert!(tried.out.contains(words), "{words}: {}{}", tried.out, tried.said);
    }
    assert!(tried.said.contains("gate.held-answer"), "{}", tried.said);
}

#[test]
fn what_a_real_run_drops_or_clamps_in_silence_is_told_with_table_key_and_measure() {
    let told = |job: &str, what: &str| {
        let tried = attempt(job, Some("spending_change.wasm"), &[]);
        // None of it is an error: a real run would end the same way and say nothing.
        assert_eq!(tried.code, 0, "{}{}", tried.out, tried.said);
        let told = |line: &str| line.starts_with("  table rose, round 0, ") && line.ends_with(what);
        assert_eq!(tried.out.lines().filter(|line| told(line)).count(), 1, "{}", tried.out);
    };
    let foreign = SPENDING_CHANGE.replace("dimensions = [\"coins\"]", "dimensions = [\"plan\"]");
    told(&foreign, "calls: plan = 95 is no key of this table, its rows do not count");
    let narrow = SPENDING_CHANGE.replace("persons = { sum = [0, 1]", "persons = { sum = [2, 3]");
    told(&narrow, "calls: a sum of persons is outside its declared range and counts as the bound");
}

#[test]
fn route_c_is_judged_by_stand_in_parameters_that_are_named_as_such() {
    let job = include_str!("../../../guest-examples/visits-report/job.toml");
    let tried = attempt(job, None, &[]);
    assert_eq!(tried.code, 0, "{}{}", tried.out, tried.said);
    assert!(tried.out.contains("public stand-in parameters, not by a domain's own"), "{}", tried.out);
}

#[test]
fn a_report_is_composed_of_tables_of_route_c() {
    let told = example("visits-report/report.toml", "insurance-pricing-2026.toml", "randhie.toml", &[]);
    assert_eq!((told["outer"].as_array().unwrap().len(), told["passes"].as_array().unwrap().len()), (1, 0), "{told}");
    assert_eq!(told["outer"][0]["told"]["end"]["end"], "sent");
}

#[test]
fn check_judges_clamps_and_says_what_it_cannot() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("job.toml");
    let guest = built("spending_change.wasm").display().to_string();
    let check = |job: String| {
        std::fs::write(&file, job).unwrap();
        call(&["guest", "check", &guest, "--job", &file.display().to_string()])
    };
    let checked = check(SPENDING_CHANGE.to_owned());
    assert_eq!(checked.code, 0, "{}", checked.said);
    assert!(checked.said.contains("not judged: SQL, columns"), "{}", checked.said);
    let checked = check(SPENDING_CHANGE.replace("rose = { sum = [0, 1]", "rose = { sum = [1, 0]"));
    let line = SPENDING_CHANGE.lines().position(|l| l.contains("rose = { sum")).unwrap() + 1;
    assert_eq!(checked.code, 3);
    assert!(checked.out.contains("job.clamp") && checked.out.contains(&format!("job.toml:{line}:")), "{}", checked.out);
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
    assert!(report["findings"][0]["place"].as_str().unwrap().contains(&format!("job.toml:{line}:")), "{report}");
}
