//! What must not compile: every file in `tests/forbidden` names the one error code
//! that the compiler must give for it, and `control_compiles` does the same things
//! right.
//!
//! The compiler is called directly on the libraries beside this test. (trybuild would
//! build the whole tree once more, OpenSSL and Arrow included; this takes seconds.)
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests may fail loudly")]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// What the files may name.
const CRATES: [&str; 5] = ["sluice_gate", "sluice_domain", "sluice_ledger", "sluice_rows", "serde"];

/// One library for each of [`CRATES`].
type Libraries = Vec<(&'static str, PathBuf)>;

fn deps() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().to_owned()
}

/// Builds of a crate beside this test, newest first: older ones may lie about.
fn builds(name: &str) -> Vec<PathBuf> {
    let files = std::fs::read_dir(deps()).unwrap().map(|entry| entry.unwrap().path());
    let mut ours: Vec<PathBuf> = files
        .filter(|path| {
            let file = path.file_name().unwrap().to_string_lossy();
            file.strip_prefix("lib").and_then(|f| f.strip_prefix(name)).is_some_and(|rest| rest.starts_with('-'))
                && file.ends_with(".rlib")
        })
        .collect();
    ours.sort_by_key(|path| std::cmp::Reverse(path.metadata().unwrap().modified().unwrap()));
    ours
}

/// The newest libraries that belong together: the first with which the control compiles.
fn libraries() -> Libraries {
    let mut choices: Vec<Libraries> = vec![vec![]];
    for name in CRATES {
        let builds = builds(name);
        choices = choices
            .iter()
            .flat_map(|chosen| builds.iter().map(move |path| [&chosen[..], &[(name, path.clone())]].concat()))
            .collect();
    }
    let mut said = "no builds were found".to_owned();
    for libraries in choices {
        let (codes, output) = compile(&forbidden().join("control_compiles.rs"), &libraries);
        if codes.is_empty() {
            return libraries;
        }
        said = output;
    }
    panic!("the control does not compile: {said}");
}

/// The error codes that compiling `source` gives, and what the compiler said.
fn compile(source: &Path, libraries: &Libraries) -> (Vec<String>, String) {
    let out = tempfile::tempdir().unwrap();
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["--edition=2024", "--crate-type=lib", "--emit=metadata", "--cap-lints=allow"])
        .arg("--out-dir")
        .arg(out.path())
        .arg("-L")
        .arg(format!("dependency={}", deps().display()))
        .args(libraries.iter().flat_map(|(name, path)| ["--extern".to_owned(), format!("{name}={}", path.display())]))
        .arg(source)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let codes = said.lines().filter_map(|line| Some(line.strip_prefix("error[")?.split_once(']')?.0.to_owned()));
    let codes: Vec<String> = codes.collect();
    assert_eq!(output.status.success(), codes.is_empty(), "the compiler failed otherwise: {said}");
    (codes, said)
}

fn forbidden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/forbidden")
}

#[test]
fn nothing_forbidden_compiles() {
    let libraries = libraries();
    let mut checked = 0;
    for entry in std::fs::read_dir(forbidden()).unwrap() {
        let path = entry.unwrap().path();
        let source = std::fs::read_to_string(&path).unwrap();
        let Some(wanted) = source.lines().next().unwrap().strip_prefix("//! error: ") else { continue };
        let (codes, said) = compile(&path, &libraries);
        assert_eq!(codes, [wanted], "{}: {said}", path.display());
        checked += 1;
    }
    assert_eq!(checked, 14, "a file lost its first line");
}
