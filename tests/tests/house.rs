//! The house's own rules: who may depend on whom, who alone owns which library,
//! and that the README says what is true.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may fail loudly")]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// The crate table of docs/architecture.md: (crate, what of ours it may depend on).
const MAY_DEPEND: [(&str, &[&str]); 10] = [
    ("sluice-domain", &[]),
    ("sluice-rows", &[]),
    ("sluice-ledger", &["sluice-domain"]),
    ("sluice-vault", &["sluice-domain", "sluice-rows"]),
    ("sluice-view", &["sluice-domain", "sluice-rows", "sluice-vault"]),
    ("sluice-worker", &["sluice-domain", "sluice-rows"]),
    ("sluice-gate", &["sluice-domain", "sluice-rows", "sluice-ledger"]),
    (
        "sluice-service",
        &[
            "sluice-domain",
            "sluice-rows",
            "sluice-ledger",
            "sluice-vault",
            "sluice-view",
            "sluice-worker",
            "sluice-gate",
        ],
    ),
    ("sluice-console", &["sluice-domain", "sluice-service"]),
    ("sluice-guest", &[]),
];

/// Libraries with one owner each (`sluice-tests` may use any).
const OWNED: [(&str, &[&str]); 12] = [
    ("arrow", &["sluice-rows"]),
    ("sqlx", &["sluice-ledger"]),
    ("signed_note", &["sluice-ledger"]),
    ("aes-gcm", &["sluice-vault"]),
    ("rand", &["sluice-vault"]),
    ("argon2", &["sluice-vault"]),
    ("datafusion", &["sluice-view"]),
    ("wasmtime", &["sluice-worker"]),
    ("opendp", &["sluice-gate"]),
    ("good_lp", &["sluice-gate"]),
    ("axum", &["sluice-console"]),
    ("clap", &["sluice"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Crate → names of its normal dependencies.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let out =
        Command::new(cargo).args(["metadata", "--format-version=1", "--no-deps"]).current_dir(root()).output().unwrap();
    assert!(out.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&out.stderr));
    let metadata: Value = serde_json::from_slice(&out.stdout).unwrap();
    let name = |v: &Value| v["name"].as_str().unwrap().to_owned();
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages
        .map(|p| {
            let normal = p["dependencies"].as_array().unwrap().iter().filter(|d| d["kind"].is_null());
            (name(p), normal.map(name).collect())
        })
        .collect()
}

#[test]
fn the_crate_table_holds() {
    let all = dependencies();
    for (krate, allowed) in MAY_DEPEND {
        let ours: BTreeSet<_> = all[krate].iter().filter(|d| d.starts_with("sluice")).map(String::as_str).collect();
        let allowed: BTreeSet<_> = allowed.iter().copied().collect();
        assert!(ours.is_subset(&allowed), "{krate} may depend on {allowed:?}, not on {ours:?}");
    }
    let console_may_not = ["arrow", "parquet", "datafusion", "wasmtime"];
    assert!(console_may_not.iter().all(|d| !all["sluice-console"].contains(*d)));
}

#[test]
fn every_crate_of_the_runtime_is_in_the_table() {
    let listed: BTreeSet<_> = MAY_DEPEND.iter().map(|(name, _)| (*name).to_owned()).collect();
    let free = ["sluice", "sluice-tests", "sluice-guest-build"];
    for krate in dependencies().into_keys().filter(|k| k.starts_with("sluice")) {
        assert!(listed.contains(&krate) || free.contains(&krate.as_str()), "{krate} is not in the crate table");
    }
}

#[test]
fn libraries_have_one_owner() {
    for (krate, deps) in dependencies().into_iter().filter(|(k, _)| k != "sluice-tests") {
        for (library, owners) in OWNED {
            assert!(
                !deps.contains(library) || owners.contains(&krate.as_str()),
                "{krate} uses {library}, which {owners:?} alone owns"
            );
        }
    }
}

#[test]
fn the_readme_is_true() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    for command in ["scripts/demo", "scripts/test"] {
        assert!(readme.contains(&format!("./{command}")), "the README names ./{command}");
        assert!(root().join(command).exists());
    }
    let ci = std::fs::read_to_string(root().join(".ci/run")).unwrap();
    assert!(ci.contains("scripts/test"), ".ci/run calls the README's test command");
    // Every link and every folder of the map exists.
    let links = readme.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let map = readme.split('`').filter(|word| word.ends_with('/') && !word.contains(' '));
    for target in links.filter(|l| !l.contains("://") && !l.starts_with('#')).chain(map) {
        assert!(root().join(target).exists(), "the README points at `{target}`, which does not exist");
    }
    let chinese_first = readme.find("数闸").unwrap() < readme.find("English").unwrap();
    assert!(chinese_first, "the README is Chinese first");
}

#[test]
fn the_documents_name_files_that_exist() {
    for name in ["architecture.md", "gate.md", "operations.md", "decisions/README.md"] {
        let page = std::fs::read_to_string(root().join("docs").join(name)).unwrap();
        for word in page.split('`').filter(|w| w.ends_with(".rs") && w.contains('/') && !w.contains(' ')) {
            let found = [root().join(word), root().join("runtime").join(word)].iter().any(|p| p.exists());
            assert!(found, "docs/{name} names `{word}`, which does not exist");
        }
    }
}

/// The children obey their two pipes alone: no code of theirs reads an argument or a
/// variable (that there is none is itself a layer), and nothing but the four
/// programs and the guests' build tool is ever built to be shipped.
#[test]
fn the_rooms_programs_listen_to_nothing_but_their_pipes() {
    for file in rust_files(&root().join("runtime/worker/src")) {
        let code = std::fs::read_to_string(&file).unwrap();
        let code = code.split("#[cfg(test)]").next().unwrap().replace("std::env::vars_os().next().is_none()", "");
        for asks in ["env::var", "env::args", "env!(", "getenv", "auxv", "cfg!("] {
            assert!(!code.contains(asks), "{} asks for `{asks}`", file.display());
        }
    }
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let out = Command::new(cargo).args(["metadata", "--format-version=1", "--no-deps"]).current_dir(root()).output();
    let metadata: Value = serde_json::from_slice(&out.unwrap().stdout).unwrap();
    let targets = metadata["packages"].as_array().unwrap().iter().flat_map(|p| p["targets"].as_array().unwrap());
    let programs: BTreeSet<_> =
        targets.filter(|t| t["kind"][0] == "bin").map(|t| t["name"].as_str().unwrap()).collect();
    assert_eq!(programs, ["guest-build", "sluice", "sluice-compile", "sluice-run", "sluice-try"].into());
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

/// Rows may be shown only where they were drawn from documents: one file vouches for
/// them, and the program that runs jobs has no code that could tell.
#[test]
fn only_the_rehearsal_vouches_for_rows() {
    let mut vouching = Vec::new();
    for file in rust_files(&root().join("runtime")).into_iter().chain(rust_files(&root().join("operator-console"))) {
        let code = std::fs::read_to_string(&file).unwrap();
        let defines = file.ends_with("rows/src/synthetic.rs");
        if !defines && code.contains("Synthetic::vouch") {
            vouching.push(file.strip_prefix(root()).unwrap().to_owned());
        }
    }
    assert_eq!(vouching, [Path::new("runtime/service/src/rehearse/mod.rs")]);
    for child in ["run.rs", "guest.rs"] {
        let code = std::fs::read_to_string(root().join("runtime/worker/src/child").join(child)).unwrap();
        assert!(!code.contains("explain") && !code.contains("traceable") && !code.contains("Told"), "{child}");
    }
}
