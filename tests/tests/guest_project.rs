//! An author's loop with no domain at hand: `sluice guest new`, `build`, `check`.
//! Runs the built binary with the toolchain that `scripts/guests` installed.
#![expect(clippy::unwrap_used, reason = "tests may fail loudly")]

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The built binary. Tests run from `target/debug/deps`; its toolchain lies above it.
fn sluice() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    let path = exe.parent().unwrap().parent().unwrap().join("sluice");
    assert!(path.is_file(), "{}: run `cargo build --workspace` first", path.display());
    path
}

fn run(args: &[&str], folder: &Path) -> Output {
    Command::new(sluice()).args(args).env("SLUICE_LANG", "en").current_dir(folder).output().unwrap()
}

fn ok(args: &[&str], folder: &Path) -> String {
    let out = run(args, folder);
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// What a person is told, and the exit code.
fn no(args: &[&str], folder: &Path) -> (i32, String) {
    let out = run(args, folder);
    (out.status.code().unwrap(), String::from_utf8(out.stderr).unwrap())
}

/// A new project builds as it is; what it builds is a guest.
fn builds(lang: &str) {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    ok(&["guest", "new", "--lang", lang, "first-try"], at);
    assert!(at.join("first-try/job.toml").is_file() && at.join("first-try/README.md").is_file());
    let built: serde_json::Value = serde_json::from_str(&ok(&["--json", "guest", "build", "first-try"], at)).unwrap();
    let checked: serde_json::Value =
        serde_json::from_str(&ok(&["--json", "guest", "check", "first-try/first_try.wasm"], at)).unwrap();
    assert_eq!(built.get("guest"), checked.get("guest"));
}

#[test]
fn a_new_rust_project_builds() {
    builds("rust");
}

#[test]
fn a_new_python_project_builds() {
    builds("python");
}

#[test]
fn a_new_javascript_project_builds() {
    builds("js");
}

#[test]
fn a_new_c_project_builds() {
    builds("c");
}

#[test]
fn c_gives_the_same_bytes_in_any_folder() {
    let build = || {
        let folder = tempfile::tempdir().unwrap();
        ok(&["guest", "new", "--lang", "c", "first-try"], folder.path());
        ok(&["guest", "build", "first-try"], folder.path());
        std::fs::read(folder.path().join("first-try/first_try.wasm")).unwrap()
    };
    assert_eq!(build(), build());
}

#[test]
fn what_does_not_compile_is_told_with_file_and_line() {
    for (lang, file, broken, line) in [
        ("c", "first_try.c", "#include \"sluice.h\"\nvoid oops(void) { nonsense; }\n", "first_try.c:2:"),
        ("js", "first_try.js", "const fine = 1;\nnonsense();\nexport default fine;\n", "first_try.js:2"),
        ("python", "first_try.py", "import sluice\nnonsense()\n", "first_try.py\", line 2"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        ok(&["guest", "new", "--lang", lang, "first-try"], at);
        std::fs::write(at.join("first-try").join(file), broken).unwrap();
        let (code, said) = no(&["guest", "build", "first-try"], at);
        assert_eq!(code, 3, "{said}");
        assert!(said.contains("guest.build") && said.contains(line), "{lang}: {said}");
        assert!(!at.join("first-try/first_try.wasm").exists());
    }
}

#[test]
fn a_bad_name_a_taken_one_and_an_empty_folder_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    assert_eq!(no(&["guest", "new", "--lang", "c", "../up"], at).0, 2);
    ok(&["guest", "new", "--lang", "c", "taken"], at);
    assert!(no(&["guest", "new", "--lang", "js", "taken"], at).1.contains("guest.exists"));
    assert!(no(&["guest", "build", "."], at).1.contains("guest.build"));
}
