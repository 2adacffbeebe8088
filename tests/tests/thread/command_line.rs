//! The binary as a person meets it: exit codes, streams, JSON.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Instant,
};

use sluice::demo::{city::City, pace::Pace};

use crate::town::{VISITS_REPORT, randhie, within};

/// The built binary. Tests run from `target/debug/deps`.
pub(crate) fn sluice() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    let path = exe.parent().unwrap().parent().unwrap().join("sluice");
    assert!(path.is_file(), "{}: run `cargo build --workspace` first", path.display());
    path
}

fn run(args: &[&str], folder: &Path) -> Output {
    Command::new(sluice())
        .args(args)
        .env_clear()
        .env("SLUICE_DOMAIN", "domain")
        .env("SLUICE_KEY_FILE", "domain.key")
        .env("SLUICE_PASSWORD_FILE", "password")
        .current_dir(folder)
        .output()
        .unwrap()
}

fn code(out: &Output) -> i32 {
    out.status.code().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_and_streams() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    drop(City::found(&at.join("domain"), &randhie(), &sluice::Output::silent()).await.unwrap());
    std::fs::write(at.join("password"), "sluice-demo\n").unwrap();
    std::fs::write(at.join("wrong"), "not the password\n").unwrap();

    let listed = run(&["--json", "job", "list", "--as", "chen-insurance"], at);
    assert_eq!(code(&listed), 0);
    let rows: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert!(rows.as_array().unwrap().is_empty(), "data is on stdout, as JSON");

    assert_eq!(code(&run(&["job", "nonsense"], at)), 2, "usage");
    let missing = run(&["job", "submit", "missing.toml", "--as", "chen-insurance"], at);
    assert_eq!((code(&missing), missing.stdout.len()), (2, 0));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("下一步"), "Chinese first");
    let english = run(&["--lang", "en", "job", "submit", "missing.toml", "--as", "chen-insurance"], at);
    assert!(String::from_utf8_lossy(&english.stderr).contains("next:"));

    std::fs::write(at.join("job.toml"), crate::town::VISITS_REPORT.replace("insurance-pricing-2026", "other")).unwrap();
    assert_eq!(code(&run(&["job", "submit", "job.toml", "--as", "chen-insurance"], at)), 3, "refused");
    let wrong = run(&["job", "list", "--as", "chen-insurance", "--password-file", "wrong"], at);
    assert_eq!(code(&wrong), 4, "sign-in");

    // Init in an occupied folder is refused; an export verifies, and a flipped byte does not.
    assert_eq!(code(&run(&["init", "--admin", "someone", "--password-file", "password"], at)), 3);
    assert_eq!(code(&run(&["audit", "export", "--out", "log.jsonl", "--as", "sun-auditor"], at)), 0);
    assert_eq!(code(&run(&["audit", "verify", "log.jsonl"], at)), 0);
    let mut bytes = std::fs::read(at.join("log.jsonl")).unwrap();
    let middle = bytes.len() / 3;
    bytes[middle] ^= 4;
    std::fs::write(at.join("bad.jsonl"), bytes).unwrap();
    let bad = run(&["audit", "verify", "bad.jsonl"], at);
    assert_eq!(code(&bad), 5, "verification failed");
    assert!(String::from_utf8_lossy(&bad.stderr).contains("audit."));

    // A new domain, from nothing, its key derived from a passphrase.
    let by_phrase = ["--domain", "city", "--key-file", "city.salt", "--passphrase-file", "password"];
    let fresh = run(
        &[&["--json", "init", "--admin", "first-bureau", "--password-file", "password"], &by_phrase[..]].concat(),
        at,
    );
    assert_eq!(code(&fresh), 0, "{}", String::from_utf8_lossy(&fresh.stderr));
    let made: serde_json::Value = serde_json::from_slice(&fresh.stdout).unwrap();
    assert_eq!(made["ledger_key"].as_str().unwrap().len(), 64);
    let list = ["product", "list", "--as", "first-bureau"];
    assert_eq!(code(&run(&[&list[..], &by_phrase].concat(), at)), 0);
    let other = ["--domain", "city", "--key-file", "city.salt", "--passphrase-file", "wrong"];
    assert_ne!(code(&run(&[&list[..], &other].concat(), at)), 0, "another passphrase opens nothing");
}

/// docs/operations.md, as a city would do it: every step by the command line, in a
/// production domain, from nothing to a verified product.
#[test]
fn a_city_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::write(at.join("password"), "correct horse battery").unwrap();
    let here = |path: &str| Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path).display().to_string();
    let ok = |args: &[&str]| {
        let out = run(args, at);
        assert_eq!(code(&out), 0, "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    };

    let began = Instant::now();
    let key = ok(&["init", "--name", "ningan", "--admin", "lin", "--password-file", "password"]);
    for (id, org, role) in [
        ("wang", "health-bureau", "provider"),
        ("chen", "ning-an-insurance", "operator"),
        ("zhao", "review-panel", "reviewer"),
        ("qian", "review-panel", "reviewer"),
        ("sun", "audit-office", "auditor"),
    ] {
        let person = ["person", "add", id, "--as", "lin", "--name", id, "--org", org, "--role", role];
        ok(&[&person[..], &["--new-password-file", "password"]].concat());
    }
    let catalogue = here("guest-examples/domain/randhie.toml");
    let data = randhie().display().to_string();
    let ingested = ok(&["data", "ingest", "--as", "wang", "--catalogue", &catalogue, &data]);
    assert!(ingested.ends_with("20190\t5912"), "{ingested}");
    ok(&["agreement", "sign", "--as", "lin", &here("guest-examples/domain/insurance-pricing-2026.toml")]);

    let pace = Pace::of_founding(began.elapsed());
    std::fs::write(at.join("job.toml"), pace.fits(&within(VISITS_REPORT, 12)).unwrap()).unwrap();
    let job = ok(&["job", "submit", "job.toml", "--as", "chen"]);
    let waiting = ok(&["review", "list", "--as", "zhao"]);
    let candidate = waiting.split('\t').next().unwrap();
    assert_eq!(ok(&["review", "vote", candidate, "--as", "zhao", "--decision", "approve"]), "counted");
    assert_eq!(ok(&["review", "vote", candidate, "--as", "qian", "--decision", "approve"]), "released");
    assert!(ok(&["job", "list", "--as", "chen"]).contains(&job));

    let product = ok(&["product", "list", "--as", "chen"]).split('\t').next().unwrap().to_owned();
    ok(&["product", "fetch", &product, "--as", "chen", "--out", "got"]);
    assert!(ok(&["receipt", "verify", "got/receipt.json", "--key", &key]).starts_with("ok"));
    let trace: serde_json::Value = serde_json::from_str(&ok(&["audit", "trace", &product, "--as", "sun"])).unwrap();
    assert_eq!(trace["sources"][0]["provider"], "health-bureau");
    ok(&["audit", "export", "--as", "sun", "--out", "log.jsonl"]);
    ok(&["audit", "verify", "log.jsonl", "--key", &key, "--receipt", "got/receipt.json"]);

    // A changed file beside the receipt, or another city's key, is found.
    std::fs::write(at.join("got/visits-by-plan.csv"), "plan,year\n").unwrap();
    assert_eq!(code(&run(&["receipt", "verify", "got/receipt.json", "--key", &key], at)), 5);
    assert_eq!(code(&run(&["audit", "verify", "log.jsonl", "--key", &"0".repeat(64)], at)), 5);
}

/// The README's first command: its summary says what the issue of the house promises.
#[test]
fn the_demo_ends_well_and_says_so_in_one_object() {
    let folder = tempfile::tempdir().unwrap();
    let guests = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().join("guests").display().to_string();
    let data = randhie().display().to_string();
    let out = run(&["--json", "demo", "here", "--no-serve", "--data", &data, "--guests", &guests], folder.path());
    assert_eq!(code(&out), 0, "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout).unwrap();
    let summary: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let products = summary["products"].as_array().unwrap();
    assert_eq!(products.len(), 2);
    for product in products {
        let folder = Path::new(product["folder"].as_str().unwrap());
        assert!(folder.join("receipt.json").exists() && folder.join("report.html").exists());
    }
    assert_eq!(summary["refused"][0]["guest"], "peeker");
    assert_eq!(summary["refused"][0]["reason"], "guest.import");
    let attack = &summary["attacks"][0];
    let (advantage, bound) = (attack["advantage"].as_f64().unwrap(), attack["bound"].as_f64().unwrap());
    // leaky reaches its bound (0.0796 at ρ = 0.02), within what 50 000 draws can tell.
    assert!(0.07 < bound && bound < 0.09 && (advantage - bound).abs() < 0.02, "{attack}");
    assert_eq!(summary["ledger"]["verified"], true);
    assert_eq!(summary["ledger"]["tamper_found"], true);
    assert!(summary["ledger"]["entries"].as_u64().unwrap() > 30 && summary["seconds"].is_object());
}
