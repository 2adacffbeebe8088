//! The life of a snapshot's folder: staged, then published by one rename, or
//! discarded. What is staged nobody reads; what is published never changes.
//!
//! A crash leaves either a staged folder, whole, which the service publishes or
//! discards by what the ledger says ([`Vault::staged`]), or a half-written one,
//! which [`Vault::sweep`] removes.

use std::{fs, path::PathBuf};

use sluice_domain::{Digest, id::SnapshotId};

use crate::{disk, error::VaultError, vault::Vault};

const WHAT: &str = "the snapshot";

/// The one file of a snapshot.
pub(crate) const PART: &str = "part-0.parquet";

/// What every encrypted module of the file is bound to: its own name. It is not
/// stored in the file, so a file under another snapshot's name does not open.
pub(crate) fn aad_prefix(snapshot: &SnapshotId) -> Vec<u8> {
    format!("{snapshot}/{PART}").into_bytes()
}

impl Vault {
    /// Makes a staged snapshot visible. Done already is done.
    ///
    /// # Errors
    /// [`VaultError::Missing`] when it was never staged, [`VaultError::Exists`]
    /// when another one of that name is there.
    pub fn publish(&self, snapshot: &SnapshotId) -> Result<(), VaultError> {
        let (from, to) = (self.staging_dir(snapshot), self.snapshot_dir(snapshot));
        match (from.exists(), to.exists()) {
            (true, true) => return Err(VaultError::Exists { what: WHAT }),
            (true, false) => fs::rename(&from, &to).map_err(VaultError::disk(WHAT))?,
            (false, true) => {}
            (false, false) => return Err(VaultError::Missing { what: WHAT }),
        }
        disk::sync_dir(&self.path("snapshots"), WHAT)?;
        disk::sync_dir(&self.path("staging"), WHAT)
    }

    /// Removes a staged snapshot. A published one is not touched.
    ///
    /// # Errors
    /// [`VaultError::Disk`].
    pub fn discard(&self, snapshot: &SnapshotId) -> Result<(), VaultError> {
        // First out of sight, then gone: a crash in between leaves nothing that
        // looks staged.
        let gone = self.path("staging").join(format!(".gone-{snapshot}"));
        disk::remove_dir(&gone, WHAT)?;
        match fs::rename(self.staging_dir(snapshot), &gone) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(VaultError::disk(WHAT))?,
        }
        disk::remove_dir(&gone, WHAT)?;
        disk::sync_dir(&self.path("staging"), WHAT)
    }

    /// What is staged, whole, and not published: after a crash, for the service to
    /// settle.
    ///
    /// # Errors
    /// [`VaultError::Disk`].
    pub fn staged(&self) -> Result<Vec<SnapshotId>, VaultError> {
        let mut found: Vec<SnapshotId> = self.staging_names()?.iter().filter_map(|name| name.parse().ok()).collect();
        found.sort();
        Ok(found)
    }

    /// Removes what a crash left half-written. For start-up only: an ingest that
    /// runs meanwhile would lose its work.
    ///
    /// # Errors
    /// [`VaultError::Disk`].
    pub fn sweep(&self) -> Result<(), VaultError> {
        for name in self.staging_names()?.iter().filter(|name| name.starts_with('.')) {
            disk::remove_dir(&self.path("staging").join(name), WHAT)?;
        }
        disk::sync_dir(&self.path("staging"), WHAT)
    }

    /// Whether the published file is, byte for byte, the one that the ledger
    /// recorded. Reads all of it. A read authenticates every piece it uses, so a
    /// changed file never gives other rows; but parquet-rs 59.3 overlooks a few
    /// framing bytes, and may panic or ask for much memory on others. Where that
    /// matters (start-up, audit, restore, before a run) this comes first.
    ///
    /// # Errors
    /// [`VaultError::Tampered`], [`VaultError::Missing`].
    pub fn verify_snapshot(&self, snapshot: &SnapshotId, sealed_file: &Digest) -> Result<(), VaultError> {
        let digest = disk::digest(&self.part_path(snapshot), WHAT)?;
        if digest == *sealed_file { Ok(()) } else { Err(VaultError::Tampered { what: WHAT }) }
    }

    pub(crate) fn staging_dir(&self, snapshot: &SnapshotId) -> PathBuf {
        self.path("staging").join(snapshot.as_str())
    }

    pub(crate) fn snapshot_dir(&self, snapshot: &SnapshotId) -> PathBuf {
        self.path("snapshots").join(snapshot.as_str())
    }

    pub(crate) fn part_path(&self, snapshot: &SnapshotId) -> PathBuf {
        self.snapshot_dir(snapshot).join(PART)
    }

    fn staging_names(&self) -> Result<Vec<String>, VaultError> {
        let disk = VaultError::disk(WHAT);
        let mut names = Vec::new();
        for item in fs::read_dir(self.path("staging")).map_err(&disk)? {
            names.extend(item.map_err(&disk)?.file_name().into_string());
        }
        Ok(names)
    }
}
