//! An author's loop with no domain at hand: `sluice guest new`, `build`, `check`, `try`,
//! and that a domain takes what came of it.
//! Runs the built binary with the toolchain that `scripts/guests` installed.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may fail loudly")]

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;
use sluice::demo::city::City;
use sluice_service::Guests;

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

fn json(args: &[&str], folder: &Path) -> Value {
    serde_json::from_str(&ok(&[&["--json"], args].concat(), folder)).unwrap()
}

/// A new project builds as it is, what it builds is a guest, and its job with its limits
/// passes each step that the project's README names, and a domain's own.
async fn is_good_as_it_is(lang: &str) {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("first-try");
    ok(&["guest", "new", "--lang", lang, "first-try"], folder.path());
    let readme = std::fs::read_to_string(at.join("README.md")).unwrap();
    for step in ["sluice guest build ", "sluice guest check first_try.wasm --job job.toml ", "sluice guest try "] {
        assert!(readme.contains(step), "{step}");
    }
    let built = json(&["guest", "build"], &at);
    let checked = json(&["guest", "check", "first_try.wasm", "--job", "job.toml"], &at);
    assert_eq!(built.get("guest"), checked.get("guest"));

    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/randhie.parquet");
    let city = City::found(&folder.path().join("domain"), &data, &sluice::Output::silent()).await.unwrap();
    let (job, component) = (at.join("job.toml"), at.join("first_try.wasm"));
    let (job, component) = (std::fs::read_to_string(job).unwrap(), std::fs::read(component).unwrap());
    let guests = Guests { inner: Some(&component), ..Guests::default() };
    let quoted = city.service.quote(&city.operator, &job, &guests).await.unwrap();
    if lang == "python" {
        return; // Tried below, once: its interpreter takes a while.
    }
    let tried = json(&["guest", "try", "--units", "60"], &at);
    assert_eq!(tried["verdict"], "would-pass");
    assert_eq!(tried["rehearsed"]["contract"], serde_json::to_value(quoted.digest()).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_rust_project_is_good_as_it_is() {
    is_good_as_it_is("rust").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_python_project_is_good_as_it_is() {
    is_good_as_it_is("python").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_javascript_project_is_good_as_it_is() {
    is_good_as_it_is("js").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_c_project_is_good_as_it_is() {
    is_good_as_it_is("c").await;
}

/// The template with a second table, which fails in the author's own code: `try` says
/// so with the file and the line, and the first table passes within its limits.
fn shows_where_it_fails(lang: &str, file: &str, breaks: impl Fn(String) -> String, place: &str) {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("first-try");
    ok(&["guest", "new", "--lang", lang, "first-try"], folder.path());
    let source = std::fs::read_to_string(at.join(file)).unwrap();
    let broken = breaks(source.clone());
    assert_ne!(source, broken, "the template changed");
    std::fs::write(at.join(file), &broken).unwrap();
    let job = std::fs::read_to_string(at.join("job.toml")).unwrap();
    let (start, end) = (job.find("[[table]]").unwrap(), job.find("[product]").unwrap());
    let table = job[start..end].replace("\"visits\"\nroute", "\"broken\"\nroute");
    // A second table takes as long again: a thousand seconds more are plenty.
    let rest = job[end..].replace("wall_seconds = ", "wall_seconds = 1");
    std::fs::write(at.join("job.toml"), format!("{}{table}{rest}", &job[..end])).unwrap();

    ok(&["guest", "build"], &at);
    let out = run(&["--json", "guest", "try", "--units", "20"], &at);
    assert_eq!(out.status.code(), Some(3), "{}", String::from_utf8_lossy(&out.stderr));
    let tried: Value = serde_json::from_slice(&out.stdout).unwrap();
    let [fine, failed] = tried["rehearsed"]["passes"].as_array().unwrap().as_slice() else { panic!("two: {tried}") };
    let fuel = tried["rehearsed"]["reserved"]["fuel"].as_u64().unwrap();
    for call in fine["calls"].as_array().unwrap() {
        assert!(call["end"]["end"] == "finished" && call["fuel"].as_u64().unwrap() <= fuel, "{call}");
    }
    let line = 1 + broken.lines().position(|line| line.contains("told to fail")).unwrap();
    let place = place.replace("LINE", &line.to_string());
    for call in failed["calls"].as_array().unwrap() {
        assert!(call["end"].to_string().contains(&place), "`{place}` is not in {call}");
    }
}

#[test]
fn a_python_exception_is_shown_with_file_and_line() {
    let broken = |source: String| {
        source
            + "\n\n@guest.table(dimensions={\"plan\": int}, measures=[\"persons\", \"visits\"])\ndef broken(room):\n    raise ValueError(\"told to fail\")\n"
    };
    shows_where_it_fails(
        "python",
        "first_try.py",
        broken,
        "ValueError: told to fail\\n    first_try.py:LINE in broken",
    );
}

#[test]
fn a_javascript_exception_is_shown_with_file_and_line() {
    let broken = |source: String| {
        let fails = "table({ dimensions: { plan: \"int\" }, measures: [\"persons\", \"visits\"] }, () => {\n  throw new Error(\"told to fail\");\n})";
        source.replace("export default table(", "const visits = table(")
            + &format!("\nconst broken = {fails};\nexport default {{ visits, broken }};\n")
    };
    shows_where_it_fails("js", "first_try.js", broken, "first_try.js:LINE");
}

#[test]
fn a_c_trap_is_shown_with_file_and_line() {
    let fails = "    if (sluice_is(sluice_param(room, \"table\"), \"broken\")) sluice_fail(); /* told to fail */\n";
    let broken = |source: String| source.replace("    int64_t first", &format!("{fails}    int64_t first"));
    shows_where_it_fails("c", "first_try.c", broken, "first_try.c:LINE");
}

#[test]
fn a_rust_panic_is_shown_with_file_and_line() {
    let fails = "    assert!(room.param(\"table\") != Some(\"broken\"), \"told to fail\");\n";
    let broken = |source: String| source.replace("    let rows = room", &format!("{fails}    let rows = room"));
    shows_where_it_fails("rust", "src/lib.rs", broken, "src/lib.rs:LINE");
}

#[test]
fn try_without_a_schema_says_whom_to_ask_and_a_bad_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("first-try");
    ok(&["guest", "new", "--lang", "c", "first-try"], folder.path());
    ok(&["guest", "build"], &at);
    let catalogue = at.join("schema/randhie.catalogue.toml");
    let broken = std::fs::read_to_string(&catalogue).unwrap().replace("level = \"L4\"", "level = \"L9\"");
    std::fs::write(&catalogue, broken).unwrap();
    let (code, said) = no(&["guest", "try"], &at);
    assert!(code == 2 && said.contains("randhie.catalogue.toml: line "), "{said}");
    std::fs::remove_dir_all(at.join("schema")).unwrap();
    let (code, said) = no(&["guest", "try"], &at);
    assert!(code == 2 && said.contains("try.schema") && said.contains("sluice data schema --agreement"), "{said}");
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
