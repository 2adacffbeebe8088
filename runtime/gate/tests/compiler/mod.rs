//! Asks the compiler what it says to a file, with the libraries that lie beside the
//! running test. (trybuild would build the whole tree once more, OpenSSL and Arrow
//! included; this takes seconds.)

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// One library for each crate that the files may name.
type Libraries = Vec<(&'static str, PathBuf)>;

/// Compiles every file of `folder` whose first line is `//! error: CODE`: that code must
/// be all that the compiler says. Answers how many there were.
pub(crate) fn check(folder: &Path, crates: &[&'static str]) -> usize {
    let libraries = libraries(folder, crates);
    let mut checked = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let source = std::fs::read_to_string(&path).unwrap();
        let Some(wanted) = source.lines().next().unwrap().strip_prefix("//! error: ") else { continue };
        let (codes, said) = compile(&path, &libraries);
        assert_eq!(codes, [wanted], "{}: {said}", path.display());
        checked += 1;
    }
    checked
}

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

/// The newest libraries that belong together: the first with which `folder`'s control
/// compiles.
fn libraries(folder: &Path, crates: &[&'static str]) -> Libraries {
    let mut choices: Vec<Libraries> = vec![vec![]];
    for name in crates {
        let builds = builds(name);
        choices = choices
            .iter()
            .flat_map(|chosen| builds.iter().map(move |path| [&chosen[..], &[(*name, path.clone())]].concat()))
            .collect();
    }
    let mut said = "no builds were found".to_owned();
    for libraries in choices {
        let (codes, output) = compile(&folder.join("control_compiles.rs"), &libraries);
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
