//! A new guest project: a job, a README, a working function, and its SDK's sources
//! beside it, so that editors, tests and builds need nothing but the folder (and, for
//! Rust, the crates that its lock file names).

use std::{fmt, path::Path};

use crate::{BuildError, files};

/// The published schema that the templates' jobs are written for.
const SCHEMA: [(&str, &str); 2] = [
    ("randhie.catalogue.toml", include_str!("../../../guest-examples/domain/randhie.toml")),
    (
        "insurance-pricing-2026.agreement.toml",
        include_str!("../../../guest-examples/domain/insurance-pricing-2026.toml"),
    ),
];

/// What a guest can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Rust.
    Rust,
    /// Python.
    Python,
    /// JavaScript.
    JavaScript,
    /// C.
    C,
}

impl Language {
    /// The folder of its template.
    fn folder(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::JavaScript => "js",
            Self::C => "c",
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rust => "Rust",
            Self::Python => "Python",
            Self::JavaScript => "JavaScript",
            Self::C => "C",
        })
    }
}

/// A project's name: lower-case words joined by `-`, good for a file, a crate and a
/// module in each of the languages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// Reads a name.
    pub fn parse(text: &str) -> Option<Self> {
        let word = |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let first = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
        // Modules of these names are the SDK's own.
        let free = !["sluice", "sluice-main", "test"].contains(&text);
        (first && free && text.len() <= 40 && text.split('-').all(word)).then(|| Self(text.to_owned()))
    }

    /// The name as an identifier.
    fn ident(&self) -> String {
        self.0.replace('-', "_")
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Writes a new project `name` into `folder`, which must not exist.
///
/// # Errors
/// [`BuildError::Exists`]; [`BuildError::File`].
pub fn create(folder: &Path, name: &Name, language: Language) -> Result<(), BuildError> {
    if folder.exists() {
        return Err(BuildError::Exists(folder.to_owned()));
    }
    let fill = |text: &str| text.replace("@name@", &name.0).replace("@ident@", &name.ident());
    let own = format!("build/templates/{}", language.folder());
    for (path, text) in files::below("build/templates/all").chain(files::below(&own)) {
        let path = fill(path.strip_suffix(".template").unwrap_or(path));
        files::write(&folder.join(path), fill(text).as_bytes())?;
    }
    for (file, text) in SCHEMA {
        files::write(&folder.join("schema").join(file), text.as_bytes())?;
    }
    match language {
        Language::Rust => rust(folder, name),
        Language::Python | Language::JavaScript | Language::C => files::unpack(language.folder(), folder),
    }
}

/// The SDK's crate as it stands in our workspace, in a workspace of the project's own
/// that gives it the same versions, lints and profile.
fn rust(folder: &Path, name: &Name) -> Result<(), BuildError> {
    files::unpack("rust", &folder.join("sdk/rust"))?;
    files::unpack("wit", &folder.join("sdk/wit"))?;
    files::write(&folder.join("Cargo.lock"), files::LOCK.as_bytes())?;
    let ours: toml::Table = files::MANIFEST.parse().map_err(|e| BuildError::Module(format!("Cargo.toml: {e}")))?;
    let workspace = |key: &str| ours.get("workspace").and_then(|w| w.get(key)).cloned();
    let sdk = files::below("rust").find(|(path, _)| *path == "Cargo.toml").map(|(_, text)| text).unwrap_or_default();
    let sdk: toml::Table = sdk.parse().map_err(|e| BuildError::Module(format!("sdk/rust/Cargo.toml: {e}")))?;
    let listed =
        |table: &toml::Table| table.get("dependencies").and_then(|d| d.as_table()).cloned().unwrap_or_default();
    // Those of one target alone too: the allocator is for wasm.
    let targets = sdk.get("target").and_then(|t| t.as_table()).into_iter().flat_map(toml::Table::values);
    let tables = std::iter::once(&sdk).chain(targets.filter_map(toml::Value::as_table));
    let versions = workspace("dependencies").unwrap_or(toml::Value::Table(toml::Table::new()));
    let needed = tables.flat_map(listed).map(|(name, _)| name);
    let dependencies: toml::Table =
        needed.filter_map(|name| Some((name.clone(), versions.get(&name)?.clone()))).collect();

    let mut own = toml::Table::new();
    own.insert("resolver".to_owned(), "3".into());
    own.insert("members".to_owned(), vec!["sdk/rust"].into());
    own.insert("dependencies".to_owned(), dependencies.into());
    for key in ["package", "lints"] {
        own.extend(workspace(key).map(|value| (key.to_owned(), value)));
    }
    let profile = ours.get("profile").and_then(|p| p.get("guest")).cloned();
    let mut profile: toml::Table = profile.map(|guest| ("guest".to_owned(), guest)).into_iter().collect();
    // `sluice guest try` names the line of a trap by these; a room does not look at them.
    if let Some(guest) = profile.get_mut("guest").and_then(toml::Value::as_table_mut) {
        guest.insert("debug".to_owned(), "line-tables-only".into());
        guest.insert("strip".to_owned(), "none".into());
    }
    let rest: toml::Table =
        [("workspace".to_owned(), own.into()), ("profile".to_owned(), profile.into())].into_iter().collect();
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\npublish = false\n\n[lib]\ncrate-type = [\"cdylib\", \"rlib\"]\n\n[dependencies]\nsluice-guest = {{ path = \"sdk/rust\" }}\n\n# What follows belongs to the SDK in `sdk/`.\n{rest}"
    );
    files::write(&folder.join("Cargo.toml"), manifest.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::Name;

    #[test]
    fn a_name_is_good_for_files_crates_and_modules() {
        for good in ["a", "wage-gap", "a1-b2"] {
            assert!(Name::parse(good).is_some(), "{good}");
        }
        for bad in ["", "-", "a-", "-a", "a--b", "1a", "A", "a_b", "a/b", "..", "数", "sluice", &"a".repeat(41)] {
            assert!(Name::parse(bad).is_none(), "{bad}");
        }
    }
}
