//! 归集: taking a provider's file in (R03). The file is read whole, every value
//! checked against the catalogue, rows put in order of their unit, and the result
//! written encrypted (R04) into a staging folder that nobody reads. Either all of
//! it is there at the end or none.
//!
//! A refusal says which row and column, and never what stood there; no library's
//! error text is passed on, because it may quote the data.
//!
//! The rows of one ingest are held in memory: about 8 bytes per number and the
//! bytes of every text. Sorting on disk is for a later day.

mod arrange;
mod commitment;
mod convert;
mod decimal;
mod impossible;
mod intake;
mod read_csv;
mod read_parquet;
mod refuse;
mod write;

pub use convert::{arrow_type, plain_type};
pub use impossible::Impossible;

use std::path::Path;

use sluice_domain::{Digest, Refusal, catalogue::CatalogueEntry, id::SnapshotId};

#[cfg(test)]
pub(crate) use self::write::properties;
pub(crate) use self::write::stored_schema;
use self::{intake::Intake, refuse::Broken};
use crate::{crypt::Key, dataset_key::IfAbsent, disk, error::VaultError, snapshot, vault::Vault};

/// Rows that are read, checked and written at a time. With texts of at most
/// [`TEXT_BYTES_MAX`] a batch's text column stays below Arrow's 2 GiB.
const BATCH_ROWS: usize = 65_536;
/// The longest text that is taken in.
const TEXT_BYTES_MAX: usize = 32_767;
/// The most values of one list; as many as make a text's longest in bytes.
const LIST_VALUES_MAX: usize = TEXT_BYTES_MAX / 8;
/// The most rows of one snapshot.
const ROWS_MAX: u64 = 200_000_000;

/// What was staged: everything that the ledger records of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staged {
    /// Rows taken in.
    pub rows: u64,
    /// Distinct units.
    pub roster_size: u64,
    /// Keyed commitment to schema and values in stored order; the same for the
    /// same data, whatever file it came in.
    pub commitment: Digest,
    /// SHA-256 of the encrypted file.
    pub sealed_file: Digest,
}

impl Vault {
    /// Reads `source` (`.csv` with a header and blanks for missing values, or
    /// `.parquet`) and stages it as `snapshot`. `progress` hears the rows read so
    /// far and their total, 0 when unknown.
    ///
    /// The catalogue's columns must all be there, and no others. Values keep their
    /// meaning bit for bit: nothing is trimmed, rounded or guessed. NaN is a value
    /// in a nullable float column and a missing one in any other.
    ///
    /// # Errors
    /// `ingest.*` with the row (1-based, of the data) and column; `vault.*` when
    /// the disk fails. Nothing is left behind.
    pub fn stage(
        &self,
        entry: &CatalogueEntry,
        source: &Path,
        snapshot: &SnapshotId,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Staged, Refusal> {
        if self.snapshot_dir(snapshot).exists() || self.staging_dir(snapshot).exists() {
            return Err(Broken::SnapshotExists.refusal().at(snapshot.as_str()));
        }
        let mut intake = Intake::new(entry, progress);
        match source.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase).as_deref() {
            Some("csv") => read_csv::read(source, &mut intake)?,
            Some("parquet") => read_parquet::read(source, &mut intake)?,
            _ => return Err(Broken::Extension.refusal()),
        }
        let batches = intake.finish()?;
        let order = arrange::by_unit(&self.unit_key(), entry, &batches)?;

        let what = "the staging folder";
        let staging = self.path("staging");
        let half = tempfile::Builder::new()
            .prefix(".half-")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .tempdir_in(&staging)
            .map_err(VaultError::disk(what))?;
        let path = half.path().join(snapshot::PART);
        let keys = self.snapshot_keys(&entry.dataset.id, snapshot, IfAbsent::Draw)?;
        let commitment = commitment::Commitment::new(&self.keys.commitments, entry, order.rows.len() as u64);
        let commitment = write::write(&path, entry, snapshot, &batches, &order, &keys, commitment)?;
        let sealed_file = disk::digest(&path, what)?;
        disk::sync_dir(half.path(), what)?;
        std::fs::rename(half.path(), self.staging_dir(snapshot)).map_err(VaultError::disk(what))?;
        let _ = half.keep(); // it has its name now: nothing to clean up
        disk::sync_dir(&staging, what)?;
        Ok(Staged { rows: order.rows.len() as u64, roster_size: order.units, commitment, sealed_file })
    }

    /// Key of the hidden unit column. One for the domain, so that a unit has the
    /// same number in every dataset and snapshot, and joins on it are possible.
    fn unit_key(&self) -> Key {
        self.keys.pseudonyms.derive(&[b"sluice unit column v1"])
    }
}

#[cfg(test)]
pub(crate) mod tests;
