//! Writing that survives a crash: a file is there whole or not at all, and a
//! folder entry is on the disk before anybody is told so. Nothing here knows
//! what it writes.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Read as _, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::Path,
};

use sha2::{Digest as _, Sha256};
use sluice_domain::Digest;

use crate::error::VaultError;

/// Makes a folder that only its owner may enter, and its parents.
pub(crate) fn make_dir(path: &Path, what: &'static str) -> Result<(), VaultError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(VaultError::disk(what))?;
    path.parent().map_or(Ok(()), |parent| sync_dir(parent, what))
}

/// Writes `bytes` to `path` once: mode 0600, through a temporary file in the
/// same folder, synced before and after it gets its name. Refuses to overwrite.
pub(crate) fn write_once(path: &Path, bytes: &[u8], what: &'static str) -> Result<(), VaultError> {
    let disk = VaultError::disk(what);
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder).map_err(&disk)?;
    file.write_all(bytes).map_err(&disk)?;
    file.as_file().sync_all().map_err(&disk)?;
    file.persist_noclobber(path).map_err(|e| disk(e.error))?;
    sync_dir(folder, what)
}

/// Reads a whole file of at most `bytes_max` bytes.
pub(crate) fn read(path: &Path, bytes_max: u64, what: &'static str) -> Result<Vec<u8>, VaultError> {
    let disk = VaultError::disk(what);
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(bytes_max + 1).read_to_end(&mut bytes)).map_err(disk)?;
    if bytes.len() as u64 > bytes_max { Err(VaultError::TooLarge { what }) } else { Ok(bytes) }
}

/// Makes a folder's entries durable.
pub(crate) fn sync_dir(path: &Path, what: &'static str) -> Result<(), VaultError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(VaultError::disk(what))
}

/// SHA-256 of a file, read in pieces.
pub(crate) fn digest(path: &Path, what: &'static str) -> Result<Digest, VaultError> {
    let mut hash = Sha256::new();
    let mut file = File::open(path).map_err(VaultError::disk(what))?;
    let mut piece = vec![0; 1 << 16];
    loop {
        let n = file.read(&mut piece).map_err(VaultError::disk(what))?;
        match piece.get(..n) {
            Some([]) | None => return Ok(Digest::from_bytes(hash.finalize().into())),
            Some(bytes) => hash.update(bytes),
        }
    }
}

/// Removes a folder and all in it; nothing happens when it is not there.
pub(crate) fn remove_dir(path: &Path, what: &'static str) -> Result<(), VaultError> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(VaultError::disk(what)(e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn writes_once_privately_and_leaves_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        make_dir(&dir.path().join("a/b"), "x").unwrap();
        let path = dir.path().join("a/b/c");
        write_once(&path, b"one", "x").unwrap();
        assert!(matches!(write_once(&path, b"two", "x"), Err(VaultError::Exists { .. })));
        assert_eq!(read(&path, 3, "x").unwrap(), b"one");
        assert!(matches!(read(&path, 2, "x"), Err(VaultError::TooLarge { .. })));
        assert_eq!(digest(&path, "x").unwrap(), Digest::of(b"one"));
        assert_eq!(fs::read_dir(dir.path().join("a/b")).unwrap().count(), 1);
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&dir.path().join("a")), mode(&dir.path().join("a/b")), mode(&path)), (0o700, 0o700, 0o600));
        remove_dir(&dir.path().join("a"), "x").unwrap();
        remove_dir(&dir.path().join("a"), "x").unwrap();
    }
}
