//! Where a domain keeps its things on disk. Names only; nothing is read here.

use std::path::{Path, PathBuf};

use sluice_domain::id::{JobId, ProductId};

/// The folder of a domain.
#[derive(Debug, Clone)]
pub struct Home(PathBuf);

impl Home {
    /// The domain in `folder`.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// The ledger's database.
    pub fn ledger(&self) -> PathBuf {
        self.0.join("ledger.sqlite")
    }

    /// Compiled guests, under a MAC.
    pub fn compiled(&self) -> PathBuf {
        self.0.join("compiled")
    }

    /// Where the locks lie.
    pub fn locks(&self) -> PathBuf {
        self.0.join("locks")
    }

    /// Held by whoever takes data in.
    pub fn ingest_lock(&self) -> PathBuf {
        self.locks().join("ingest")
    }

    /// Held from reading the release ledger of route C until what a run adds is recorded.
    pub fn lineage_lock(&self) -> PathBuf {
        self.locks().join("lineage")
    }

    /// Held while the newest checkpoint is noted beside the folder.
    pub fn witness_lock(&self) -> PathBuf {
        self.locks().join("witness")
    }

    /// Held by whoever executes `job`; free again when that process ends.
    pub fn lock(&self, job: &JobId) -> PathBuf {
        self.locks().join(job.as_str())
    }

    /// Released products.
    pub fn products(&self) -> PathBuf {
        self.0.join("products")
    }

    /// The files of one released product.
    pub fn product(&self, id: &ProductId) -> PathBuf {
        self.products().join(id.as_str())
    }
}
