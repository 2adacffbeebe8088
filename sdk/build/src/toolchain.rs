//! Where the languages' compilers are. It finds them and installs nothing:
//! `scripts/guests` does that, and `docs/guests.md` says how by hand.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{BuildError, Language};

/// Names a folder laid out as `scripts/guests` does it.
const VARIABLE: &str = "SLUICE_GUEST_TOOLCHAIN";

/// The folder that `scripts/guests` installs into, if there is one; everything that is
/// not in it is looked for on the path.
#[derive(Debug, Clone, Default)]
pub struct Toolchain {
    folder: Option<PathBuf>,
}

impl Toolchain {
    /// `$SLUICE_GUEST_TOOLCHAIN`, or `guest-toolchain` beside or above the running program.
    pub fn find() -> Self {
        let named = env::var_os(VARIABLE).map(PathBuf::from);
        let program = env::current_exe().ok();
        let around = program.iter().flat_map(|p| p.ancestors().skip(1).take(2)).map(|p| p.join("guest-toolchain"));
        Self { folder: named.into_iter().chain(around).find(|folder| folder.is_dir()) }
    }

    /// componentize-py, from PyPI.
    pub(crate) fn python(&self) -> Result<Command, BuildError> {
        self.command("python/bin/componentize-py", &["componentize-py"], Language::Python)
    }

    /// componentize-qjs, from npm: a script for Node.
    pub(crate) fn js(&self) -> Result<Command, BuildError> {
        let script = self.inside("js/node_modules/componentize-qjs/bin/componentize-qjs");
        let Some(script) = script else {
            return self.command("", &["componentize-qjs"], Language::JavaScript);
        };
        let mut node = self.command("js/node", &["node", "nodejs"], Language::JavaScript)?;
        node.arg(script);
        Ok(node)
    }

    /// clang, with its linker for wasm.
    pub(crate) fn c(&self) -> Result<Command, BuildError> {
        self.command("", &["clang-19", "clang-20", "clang-21", "clang"], Language::C)
    }

    /// cargo for the project `name` in `folder`, with what it takes to reach a standard
    /// library for wasm: that of the toolchain at hand, or the sysroot in our folder.
    /// A component names its sources by the project, not by where it lies on this host.
    pub(crate) fn cargo(&self, folder: &Path, name: &str) -> Result<Command, BuildError> {
        let ours = self.inside("rustflags").and_then(|file| std::fs::read_to_string(file).ok());
        let mut cargo = match &ours {
            Some(_) => {
                let mut cargo = Command::new("/usr/bin/cargo");
                cargo.env("RUSTC", "/usr/bin/rustc");
                cargo
            }
            None => self.command("", &["cargo"], Language::Rust)?,
        };
        let mut flags: Vec<String> = ours.iter().flat_map(|f| f.split_whitespace()).map(str::to_owned).collect();
        flags.push(format!("--remap-path-prefix={}={name}", folder.display()));
        let home = env::var_os("CARGO_HOME").map(PathBuf::from);
        let home = home.or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")));
        flags.extend(home.map(|home| format!("--remap-path-prefix={}=/cargo", home.display())));
        cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
        cargo.env_remove("RUSTFLAGS").env_remove("CARGO_TARGET_DIR");
        Ok(cargo)
    }

    fn inside(&self, path: &str) -> Option<PathBuf> {
        let found = self.folder.as_ref()?.join(path);
        found.is_file().then_some(found)
    }

    fn command(&self, inside: &str, names: &[&'static str], language: Language) -> Result<Command, BuildError> {
        let found = self.inside(inside).or_else(|| names.iter().find_map(|name| on_path(name)));
        let missing = || BuildError::NoTool { tool: names.first().copied().unwrap_or_default(), language };
        found.map(Command::new).ok_or_else(missing)
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/bin"));
    env::split_paths(&path).map(|folder| folder.join(name)).find(|file| Path::is_file(file))
}
