//! A grant: one snapshot's file, and the keys of the granted columns of it and of
//! no other (R06). The keys are unwrapped once, when the grant is made, one by
//! one; the dataset's key, which could unwrap the rest, does not go along. So
//! whatever a reader asks a grant for, it cannot get another column's key.
//!
//! How a Parquet reader takes this (parquet-rs 59.3, read and tested): while it
//! loads the footer it asks for the key of every column's metadata; a refusal
//! leaves that column's metadata empty and is no error. Reading a page of such a
//! column is one. The page index knows no such leniency, which is why our files
//! have none (see `ingest/write.rs`).
//!
//! What a grant does tell about the other columns: their names and types, the
//! number of rows, and how many bytes they take.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    fs::File,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use parquet::{
    arrow::parquet_to_arrow_schema,
    encryption::decrypt::{FileDecryptionProperties, KeyRetriever},
    errors::ParquetError,
    file::metadata::{PageIndexPolicy, ParquetMetaDataReader},
};
use sluice_domain::{catalogue::CatalogueEntry, id::SnapshotId};
use sluice_rows::{
    ROW_COLUMN, UNIT_COLUMN,
    arrow::datatypes::{Schema, SchemaRef},
};

use crate::{
    crypt::Key,
    dataset_key::{IfAbsent, Opens, SnapshotKeys, named},
    error::VaultError,
    ingest::stored_schema,
    snapshot,
    vault::Vault,
};

/// Reads some columns of one snapshot and the hidden unit column.
pub struct ColumnGrant {
    snapshot: SnapshotId,
    path: PathBuf,
    schema: SchemaRef,
    keys: Arc<GrantedKeys>,
}

impl Vault {
    /// Unwraps the keys of `columns` and of the hidden unit column in a published
    /// snapshot. Whether the caller may have them was decided before, by `domain`.
    ///
    /// # Errors
    /// [`VaultError::Column`] for a column that the catalogue entry or the file
    /// lacks, or holds in another type; [`VaultError::Tampered`] when the footer
    /// or a wrapped key does not authenticate; [`VaultError::Missing`].
    pub fn grant(
        &self,
        entry: &CatalogueEntry,
        snapshot: &SnapshotId,
        columns: &BTreeSet<String>,
    ) -> Result<ColumnGrant, VaultError> {
        if let Some(unknown) = columns.iter().find(|name| entry.column(name).is_none()) {
            return Err(VaultError::Column(unknown.clone()));
        }
        let mut wanted = columns.clone();
        wanted.extend([ROW_COLUMN, UNIT_COLUMN].map(str::to_owned));
        let opener = Arc::new(Opener {
            keys: self.snapshot_keys(&entry.dataset.id, snapshot, IfAbsent::Refuse)?,
            wanted,
            opened: Mutex::default(),
        });
        let path = self.part_path(snapshot);
        let file_schema = read_schema(&path, snapshot, Arc::clone(&opener) as Arc<dyn KeyRetriever>)?;
        let opened = std::mem::take(&mut *opener.opened.lock().unwrap_or_else(PoisonError::into_inner));

        // The file's own schema, narrowed to the grant; it must agree with the catalogue.
        let stored = stored_schema(entry);
        let mut fields = Vec::new();
        for field in file_schema.fields().iter().filter(|f| opener.wanted.contains(f.name())) {
            if stored.field_with_name(field.name()).ok().map(|f| f.data_type()) != Some(field.data_type()) {
                return Err(VaultError::Column(field.name().clone()));
            }
            fields.push(Arc::clone(field));
        }
        for name in &opener.wanted {
            if !fields.iter().any(|f| f.name() == name) {
                return Err(VaultError::Column(name.clone()));
            }
            if !opened.keys().any(|metadata| named(metadata) == Some(Opens::Column(name))) {
                return Err(VaultError::Tampered { what: "a column's key" });
            }
        }
        let (schema, keys) = (Arc::new(Schema::new(fields)), Arc::new(GrantedKeys(opened)));
        Ok(ColumnGrant { snapshot: snapshot.clone(), path, schema, keys })
    }
}

impl ColumnGrant {
    /// The encrypted file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The snapshot.
    pub fn snapshot(&self) -> &SnapshotId {
        &self.snapshot
    }

    /// The granted columns in the file's order, then the hidden row and unit columns.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// What a Parquet reader needs to read the granted columns. Every other
    /// column's key is refused.
    ///
    /// # Errors
    /// [`VaultError::Parquet`].
    pub fn decryption(&self) -> Result<Arc<FileDecryptionProperties>, VaultError> {
        properties(&self.snapshot, Arc::clone(&self.keys) as Arc<dyn KeyRetriever>)
    }
}

impl fmt::Debug for ColumnGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ColumnGrant({} columns of {}, keys withheld)", self.schema.fields().len(), self.snapshot)
    }
}

/// The keys of a grant, by the key metadata that the file gives.
struct GrantedKeys(BTreeMap<Vec<u8>, Key>);

impl KeyRetriever for GrantedKeys {
    fn retrieve_key(&self, key_metadata: &[u8]) -> Result<Vec<u8>, ParquetError> {
        self.0.get(key_metadata).map(|key| key.bytes().to_vec()).ok_or_else(refused)
    }
}

/// Sits in for a reader while the grant is made: is shown every column's wrapped
/// key, and unwraps the wanted ones.
struct Opener {
    keys: SnapshotKeys,
    wanted: BTreeSet<String>,
    opened: Mutex<BTreeMap<Vec<u8>, Key>>,
}

impl KeyRetriever for Opener {
    fn retrieve_key(&self, key_metadata: &[u8]) -> Result<Vec<u8>, ParquetError> {
        let opens = named(key_metadata).ok_or_else(refused)?;
        if let Opens::Column(name) = opens
            && !self.wanted.contains(name)
        {
            return Err(refused());
        }
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = opened.get(key_metadata) {
            return Ok(key.bytes().to_vec());
        }
        let key = self.keys.unwrap(opens, key_metadata).ok_or_else(refused)?;
        let bytes = key.bytes().to_vec();
        opened.insert(key_metadata.to_vec(), key);
        Ok(bytes)
    }
}

fn refused() -> ParquetError {
    ParquetError::General("this key was not granted".to_owned())
}

fn properties(snapshot: &SnapshotId, keys: Arc<dyn KeyRetriever>) -> Result<Arc<FileDecryptionProperties>, VaultError> {
    FileDecryptionProperties::with_key_retriever(keys)
        .with_aad_prefix(snapshot::aad_prefix(snapshot))
        .build()
        .map_err(|_| VaultError::Parquet { what: "read" })
}

fn read_schema(path: &Path, snapshot: &SnapshotId, keys: Arc<dyn KeyRetriever>) -> Result<Schema, VaultError> {
    let tampered = |_: ParquetError| VaultError::Tampered { what: "the snapshot's footer" };
    let file = File::open(path).map_err(VaultError::disk("the snapshot"))?;
    let metadata = ParquetMetaDataReader::new()
        .with_page_index_policy(PageIndexPolicy::Skip)
        .with_decryption_properties(Some(properties(snapshot, keys)?))
        .parse_and_finish(&file)
        .map_err(tampered)?;
    let metadata = metadata.file_metadata();
    parquet_to_arrow_schema(metadata.schema_descr(), metadata.key_value_metadata()).map_err(tampered)
}

#[cfg(test)]
mod tests;
