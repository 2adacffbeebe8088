//! No switch of what is shipped drops a layer. Everything that a person, an
//! environment, a file or a build can set is listed here with the reason why it may
//! be set; what is set and not listed, or listed and gone, fails.
//!
//! That a layer holds is shown elsewhere (`hostile`, the crates' own tests); here only
//! that nobody can turn it off.
#![expect(clippy::unwrap_used, reason = "tests may fail loudly")]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// Every option of every command, and why it may be there.
const OPTIONS: &[(&str, &str)] = &[
    ("--admin", "names the first account"),
    ("--agreement", "the terms of a rehearsal, which has synthetic rows only; or whose public schema is written"),
    ("--as", "who acts; a password proves it"),
    ("--catalogue", "which file describes the data"),
    ("--checkpoint", "what a restored domain is held against; only one that its key signed, and a newer kept one wins"),
    ("--comment", "words of a vote"),
    ("--data", "the demo's public data"),
    ("--decision", "a vote"),
    ("--detach", "who runs an accepted job, not how"),
    ("--domain", "which folder; its own key must fit"),
    ("--entries", "the entries that a restored domain lacks; they must continue its ledger"),
    ("--guest", "which component; inspected like any other"),
    ("--guests", "the demo's components; inspected like any other"),
    ("--help", "shows help"),
    ("--job", "a job file to check beside a guest"),
    ("--json", "form of what is printed"),
    ("--key", "pins a public key: verifies more, never less"),
    ("--key-file", "where the key-encryption key lies; only the right one opens"),
    ("--lang", "language of messages"),
    ("--listen", "address of the console; the demo's refuses all but loopback"),
    ("--name", "names a domain or person"),
    ("--new-password-file", "a new account's password"),
    ("--no-serve", "ends the demo early"),
    ("--org", "a new account's organisation"),
    ("--out", "where to put what may be had"),
    ("--passphrase-file", "another way to the key-encryption key"),
    ("--password-file", "the proof of who acts"),
    ("--reached-as", "the host name that forms must come from; one more is accepted, none is waived"),
    ("--receipt", "gives the verifier an older checkpoint: verifies more, never less"),
    ("--role", "a new account's role; only the bureau gives one"),
    ("--schema", "the public documents of a rehearsal, which has synthetic rows only"),
    ("--seed", "which synthetic rows a rehearsal draws; the noise has no seed"),
    ("--suggest", "words about a contract, computed without data"),
    ("--units", "how many synthetic units a rehearsal draws"),
    ("--version", "shows the version"),
];

/// Every variable that the programs read, and why.
const VARIABLES: &[(&str, &str)] = &[
    ("SLUICE_AS", "as --as"),
    ("SLUICE_DOMAIN", "as --domain"),
    ("SLUICE_GUEST_TOOLCHAIN", "which compilers an author builds with; what they make is inspected like any other"),
    ("SLUICE_KEY_FILE", "as --key-file"),
    ("SLUICE_LANG", "as --lang"),
    ("SLUICE_LOG", "how much the host's log says; what is logged cannot carry rows, by its types"),
    ("SLUICE_PASSPHRASE_FILE", "as --passphrase-file"),
    ("SLUICE_PASSWORD_FILE", "as --password-file"),
];

/// Every key of a domain's sluice.toml, and why.
const CONFIGURATION: &[(&str, &str)] =
    &[("accept_missing_layers", "gives up, by name, a layer that the host's kernel lacks; one that works stays on")];

/// Every line that touches the environment or the command line, and why.
const READS: &[(&str, &str)] = &[
    ("sdk/build/src/main.rs: let mut args = std::env::args_os().skip(1).map(PathBuf::from);", "a build tool"),
    ("sdk/build/src/toolchain.rs: let named = env::var_os(VARIABLE).map(PathBuf::from);", "SLUICE_GUEST_TOOLCHAIN"),
    (
        "sdk/build/src/toolchain.rs: let path = env::var_os(\"PATH\").unwrap_or_else(|| OsString::from(\"/usr/bin\"));",
        "where an author's compilers are",
    ),
    (
        "sdk/build/src/toolchain.rs: let home = env::var_os(\"CARGO_HOME\").map(PathBuf::from);",
        "paths that an author's guest does not carry with it",
    ),
    (
        "sdk/build/src/toolchain.rs: let home = home.or_else(|| env::var_os(\"HOME\").map(|home| Path::new(&home).join(\".cargo\")));",
        "the same",
    ),
    (
        "sdk/build/build.rs: let here = PathBuf::from(env::var_os(\"CARGO_MANIFEST_DIR\").ok_or(io::ErrorKind::NotFound)?);",
        "Cargo says where it is built",
    ),
    (
        "sdk/build/build.rs: fs::write(PathBuf::from(env::var_os(\"OUT_DIR\").ok_or(io::ErrorKind::NotFound)?).join(\"files.rs\"), code)",
        "Cargo says where to write",
    ),
    (
        "runtime/sluice/src/lib.rs: .with_env_filter(tracing_subscriber::EnvFilter::try_from_env(\"SLUICE_LOG\").unwrap_or_else(|_| \"off\".into()))",
        "the host's log",
    ),
    (
        "runtime/worker/src/jail.rs: must(&mut layers, LayerName::Environment, std::env::vars_os().next().is_none())?;",
        "the child insists on an empty environment",
    ),
];

/// Every conditional compilation but `test`, and why.
const CONDITIONS: &[(&str, &str)] = &[
    ("runtime/ledger/src/store.rs: #[cfg(unix)]", "the file's mode, where files have one"),
    (
        "runtime/worker/src/child/probe.rs: #[cfg(not(target_arch = \"x86_64\"))]",
        "such machines have no foreign call tables to try",
    ),
    ("runtime/worker/src/child/probe.rs: #[cfg(target_arch = \"x86_64\")]", "doctor tries foreign call tables"),
    ("runtime/worker/src/encode.rs: #[cfg(target_endian = \"big\")]", "refuses to compile"),
    ("sdk/rust/src/lib.rs: #[cfg(not(target_arch = \"wasm32\"))]", "checks a guest's type off wasm"),
    ("sdk/rust/src/lib.rs: #[cfg(target_arch = \"wasm32\")]", "exports a guest on wasm"),
    (
        "sdk/rust/src/outer.rs: #[cfg_attr(not(target_arch = \"wasm32\"), allow(dead_code, clippy::allow_attributes, reason = \"called by the ABI\"))]",
        "a lint",
    ),
];

/// Every build script, and why: it runs when we build, and could ask the environment.
const BUILD_SCRIPTS: &[(&str, &str)] = &[("sluice-guest-build", "lists the files that an author's project is made of")];

/// Where a room may be told to do without a layer, and where a demo domain is made.
const RELAXED: &[(&str, &str)] = &[
    (
        "runtime/sluice/src/commands/mod.rs: Ok(Programs::beside_current_exe().map_err(|e| e.refusal())?.accepting_missing(&accepted))",
        "what sluice.toml names",
    ),
    (
        "runtime/sluice/src/commands/guest_try.rs: let programs = programs.accepting_missing(&missing);",
        "a rehearsal, over rows that it draws itself, which says so",
    ),
    (
        "runtime/sluice/src/demo/city.rs: let programs = programs.accepting_missing(&missing);",
        "the demo, over public data, which says so",
    ),
    (
        "runtime/service/src/rehearse/mod.rs: let service = Service::init(&home, kek, \"rehearsal\", DomainKind::Demo, programs).await?;",
        "a rehearsal's own folder, gone when it ends",
    ),
    (
        "runtime/sluice/src/demo/city.rs: let service = Service::init(folder, kek.map_err(Refusal::from)?, \"demo\", DomainKind::Demo, programs).await?;",
        "the demo's own folder",
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Compares, and says what to do.
#[track_caller]
fn exactly(what: &str, found: &BTreeSet<String>, listed: &[(&str, &str)]) {
    let listed: BTreeSet<String> = listed.iter().map(|(name, _)| (*name).to_owned()).collect();
    let unlisted: Vec<_> = found.difference(&listed).collect();
    assert!(unlisted.is_empty(), "{what} without a reason in switches.rs (may it drop a layer?): {unlisted:#?}");
    let gone: Vec<_> = listed.difference(found).collect();
    assert!(gone.is_empty(), "{what} in switches.rs that are gone: {gone:#?}");
}

/// Runs `sluice` with nothing of our environment.
fn sluice(args: &[&str], folder: &Path) -> (i32, String) {
    let exe = std::env::current_exe().unwrap();
    let path = exe.parent().unwrap().parent().unwrap().join("sluice");
    assert!(path.is_file(), "{}: run `cargo build --workspace` first", path.display());
    let out = Command::new(path).args(args).env_clear().current_dir(folder).output().unwrap();
    let words = [out.stdout, out.stderr].concat();
    (out.status.code().unwrap(), String::from_utf8(words).unwrap())
}

/// The help of every command, by its words.
fn helps() -> BTreeMap<Vec<String>, String> {
    let (mut found, mut open) = (BTreeMap::new(), vec![Vec::<String>::new()]);
    while let Some(command) = open.pop() {
        let args: Vec<&str> = command.iter().map(String::as_str).chain(["--help"]).collect();
        let (code, help) = sluice(&args, Path::new("/"));
        assert_eq!(code, 0, "{args:?}");
        let listed = help.lines().skip_while(|l| *l != "Commands:").skip(1).take_while(|l| !l.is_empty());
        // A command's name stands behind two blanks; a longer text goes on further right.
        let names = listed.filter(|l| l.starts_with("  ") && !l.starts_with("   "));
        for name in names.filter_map(|l| l.split_whitespace().next()).filter(|n| *n != "help") {
            open.push([&command[..], &[name.to_owned()]].concat());
        }
        found.insert(command, help);
    }
    found
}

#[test]
fn no_option_drops_a_layer() {
    let helps = helps();
    assert!(helps.len() > 25, "the commands are gone: {:?}", helps.keys());
    let (mut options, mut variables) = (BTreeSet::new(), BTreeSet::new());
    for help in helps.values() {
        for line in help.lines().map(str::trim_start).filter(|l| l.starts_with('-')) {
            options.extend(line.split([' ', ',', '=']).filter(|w| w.starts_with("--")).map(str::to_owned));
        }
        // A long line is broken anywhere, also inside the brackets.
        let flat = help.split_whitespace().collect::<Vec<_>>().join(" ");
        variables.extend(flat.split("[env: ").skip(1).filter_map(|v| v.split('=').next()).map(str::to_owned));
    }
    variables.extend(["SLUICE_GUEST_TOOLCHAIN", "SLUICE_LOG"].map(str::to_owned)); // READS has them
    exactly("options", &options, OPTIONS);
    exactly("variables", &variables, VARIABLES);
    // An option that help does not show would not have been found.
    for (place, line) in code() {
        assert!(!line.contains("hide") || !line.contains("arg("), "{place}: a hidden option");
        assert!(!line.contains("allow_hyphen_values") && !line.contains("trailing_var_arg"), "{place}: {line}");
    }
}

#[test]
fn no_key_of_the_configuration_drops_a_layer() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::write(at.join("password"), "correct horse battery").unwrap();
    assert_eq!(sluice(&["init", "--admin", "lin", "--password-file", "password"], at).0, 0);
    let listed = |toml: &str| {
        std::fs::write(at.join("sluice-domain/sluice.toml"), toml).unwrap();
        sluice(&["--lang", "en", "job", "list", "--as", "lin", "--password-file", "password"], at)
    };
    assert_eq!(listed("").0, 0);
    let (code, words) = listed("no_such_key = true\n");
    assert_ne!(code, 0, "an unknown key is taken");
    let (_, expected) = words.split_once("expected").unwrap();
    let expected = expected.split(';').next().unwrap_or_default(); // what follows is the next step
    let keys = expected.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    exactly("keys of sluice.toml", &keys, CONFIGURATION);
    assert_ne!(listed("accept_missing_layers = [\"all\"]\n").0, 0, "layers are given up by name alone");
}

#[test]
fn no_variable_is_read_unseen() {
    let reads = ["env::var", "env::args", "option_env!", "from_env", "getenv", "dotenv", "/proc/self/environ"];
    let lines = code().into_iter().filter(|(_, line)| reads.iter().any(|r| line.contains(r)));
    exactly("reads of the environment", &lines.map(|(place, line)| format!("{place}: {line}")).collect(), READS);
}

#[test]
fn no_build_drops_a_layer() {
    let conditions = code().into_iter().filter(|(_, line)| {
        let asks = line.contains("cfg(") || line.contains("cfg!(") || line.contains("cfg_attr(");
        asks && !line.contains("cfg(test)") && !line.contains("cfg_attr(test")
    });
    let conditions = conditions.map(|(place, line)| format!("{place}: {line}")).collect();
    exactly("conditions of compilation", &conditions, CONDITIONS);
    for (place, line) in code() {
        assert!(!line.contains("debug_assert"), "{place} differs between profiles: {line}");
    }
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let out =
        Command::new(cargo).args(["metadata", "--format-version=1", "--no-deps"]).current_dir(root()).output().unwrap();
    let metadata: Value = serde_json::from_slice(&out.stdout).unwrap();
    let mut scripts = BTreeSet::new();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        assert_eq!(package["features"].as_object().unwrap().len(), 0, "{name} defines a feature");
        let optional = package["dependencies"].as_array().unwrap().iter().find(|d| d["optional"] == true);
        assert!(optional.is_none(), "{name} has an optional dependency");
        let script = package["targets"].as_array().unwrap().iter().any(|t| t["kind"][0] == "custom-build");
        scripts.extend(script.then(|| name.to_owned()));
    }
    exactly("build scripts", &scripts, BUILD_SCRIPTS);
}

#[test]
fn layers_are_given_up_where_listed_alone() {
    let lines = code().into_iter().filter(|(_, line)| {
        (line.contains("accepting_missing(") || line.contains("DomainKind::Demo,")) && !line.contains("fn ")
    });
    exactly("relaxations", &lines.map(|(place, line)| format!("{place}: {line}")).collect(), RELAXED);
}

/// Every line of shipped code that is neither a comment nor inside a test module, with
/// its file.
fn code() -> Vec<(String, String)> {
    let root = root();
    let mut files = Vec::new();
    for folder in ["runtime", "operator-console", "sdk"] {
        rust_files(&root.join(folder), &mut files);
    }
    assert!(files.len() > 100, "the sources are gone");
    let mut lines = Vec::new();
    for file in files {
        let place = file.strip_prefix(&root).unwrap().display().to_string();
        let text = std::fs::read_to_string(&file).unwrap();
        // A test module is the last thing in its file.
        let shipped = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        // A condition may begin on the line after its bracket.
        let shipped = shipped.replace("cfg_attr(\n    ", "cfg_attr(");
        let code = shipped.lines().map(str::trim).filter(|l| !l.starts_with("//"));
        lines.extend(code.map(|line| (place.clone(), line.to_owned())));
    }
    lines
}

/// Sources that end up in a program: not `tests`, `benches` or `examples`.
fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let not_shipped = ["tests", "tests.rs", "fixtures.rs", "benches", "examples", "target", "node_modules"];
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        if not_shipped.contains(&name) {
            continue;
        }
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}
