//! A sealed snapshot as DataFusion reads it: an encrypted Parquet file, opened with
//! the keys of a grant and no others.
//!
//! DataFusion's own Parquet source is used, with an encryption factory that answers
//! for this one file: pruning, prefetch and the page decoder stay the library's. The
//! columns outside the grant have no key; their metadata stays sealed, and the reader
//! passes over it. The page index is left alone, because the library reads it for all
//! columns of a file or for none.

use std::{fmt, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use datafusion::{
    arrow::datatypes::SchemaRef,
    config::EncryptionFactoryOptions,
    datasource::{
        listing::PartitionedFile,
        physical_plan::{FileScanConfigBuilder, ParquetSource},
        source::DataSourceExec,
    },
    error::Result,
    execution::{object_store::ObjectStoreUrl, parquet_encryption::EncryptionFactory},
    object_store::{ObjectStoreExt, local::LocalFileSystem, path::Path},
    parquet::encryption::{decrypt::FileDecryptionProperties, encrypt::FileEncryptionProperties},
    physical_expr::PhysicalExpr,
    physical_plan::ExecutionPlan,
};

/// One snapshot's file and the keys that were granted for it.
pub(crate) struct Sealed {
    /// Where the encrypted file stands.
    pub(crate) path: PathBuf,
    /// Opens the granted columns and the unit column.
    pub(crate) keys: Arc<FileDecryptionProperties>,
}

impl Sealed {
    /// Scans the file's `columns` (indices into `schema`, the granted part of the
    /// file's schema), in file order, in one partition. `prune` may skip row groups
    /// in which no row can fulfil it; it does not filter rows.
    pub(crate) async fn scan(
        &self,
        schema: SchemaRef,
        columns: Vec<usize>,
        prune: Option<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let location = Path::from_absolute_path(&self.path)?;
        let file = LocalFileSystem::new().head(&location).await?;
        let keys = GrantedKeys { location, keys: Arc::clone(&self.keys) };
        let mut source = ParquetSource::new(schema)
            .with_encryption_factory(Arc::new(keys))
            .with_enable_page_index(false)
            .with_bloom_filter_on_read(false);
        if let Some(prune) = prune {
            source = source.with_predicate(prune);
        }
        let scan = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), Arc::new(source))
            .with_file(PartitionedFile::new_from_meta(file))
            .with_projection_indices(Some(columns))?
            .with_preserve_order(true)
            .build();
        Ok(DataSourceExec::from_data_source(scan))
    }
}

/// Answers for one file only.
struct GrantedKeys {
    location: Path,
    keys: Arc<FileDecryptionProperties>,
}

#[async_trait]
impl EncryptionFactory for GrantedKeys {
    async fn get_file_encryption_properties(
        &self,
        _config: &EncryptionFactoryOptions,
        _schema: &SchemaRef,
        _file_path: &Path,
    ) -> Result<Option<Arc<FileEncryptionProperties>>> {
        Ok(None)
    }

    async fn get_file_decryption_properties(
        &self,
        _config: &EncryptionFactoryOptions,
        file_path: &Path,
    ) -> Result<Option<Arc<FileDecryptionProperties>>> {
        Ok((*file_path == self.location).then(|| Arc::clone(&self.keys)))
    }
}

impl fmt::Debug for GrantedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GrantedKeys(withheld)")
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(file and keys withheld)")
    }
}
