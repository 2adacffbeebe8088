//! The SDKs' files as they were when this program was built, and the writing of them.

use std::{fs, path::Path};

use crate::BuildError;

/// Every file below `sdk/`, by its path there.
static FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// The workspace's manifest: versions, lints and the guest profile of the Rust SDK.
pub(crate) const MANIFEST: &str = include_str!("../../../Cargo.toml");
/// The workspace's lock file: a guest's dependencies are those that were tested.
pub(crate) const LOCK: &str = include_str!("../../../Cargo.lock");
/// The ABI.
pub(crate) const WIT: &str = include_str!("../../wit/sluice-job.wit");

/// The files below `folder`, with their paths relative to it.
pub(crate) fn below(folder: &str) -> impl Iterator<Item = (&'static str, &'static str)> + '_ {
    FILES.iter().filter_map(move |(path, text)| Some((path.strip_prefix(folder)?.strip_prefix('/')?, *text)))
}

/// Writes the files below `folder` into `to`.
pub(crate) fn unpack(folder: &str, to: &Path) -> Result<(), BuildError> {
    below(folder).try_for_each(|(path, text)| write(&to.join(path), text.as_bytes()))
}

/// Writes a file and the folders above it.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), BuildError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).and_then(|()| fs::write(path, bytes)).map_err(BuildError::file(path))
}
