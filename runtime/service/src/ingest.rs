//! 归集: a provider's file becomes an immutable, encrypted snapshot.

use std::path::Path;

use sluice_domain::{
    Refusal,
    catalogue::CatalogueEntry,
    decide,
    event::Event,
    id::{DatasetId, SnapshotId},
    person::Role,
};

use crate::{
    Service, SignedIn,
    record::{Decided, vault_fault},
};

/// What an ingest took in.
#[derive(Debug)]
pub struct Ingested {
    /// The dataset.
    pub dataset: DatasetId,
    /// The new snapshot.
    pub snapshot: SnapshotId,
    /// Rows.
    pub rows: u64,
    /// Units on the roster.
    pub roster_size: u64,
}

impl Service {
    /// Registers the catalogue entry and ingests `source` (CSV or Parquet). The
    /// rows are sealed in a staging folder nobody reads, recorded, then published.
    ///
    /// # Errors
    /// `catalogue.*`; `ingest.*` with row and column, never a value. Nothing is
    /// half-written.
    pub async fn ingest(
        &self,
        who: &SignedIn,
        catalogue_toml: &str,
        source: &Path,
        mut progress: impl FnMut(u64, u64) + Send + 'static,
    ) -> Result<Ingested, Refusal> {
        let mut entry = CatalogueEntry::parse(catalogue_toml)?;
        entry.dataset.roster_size = None;
        let _alone = self.lock(&self.home.ingest_lock(), "ingest.busy")?;
        let by = who.person().id.clone();
        decide::require(&self.snapshot().await?, &by, &[Role::Provider, Role::Bureau])?;
        self.record(who.actor(), |state, _| decide::register_dataset(state, &by, entry.clone())).await?;

        let dataset = entry.dataset.id.clone();
        let snapshot = SnapshotId::numbered(self.snapshot().await?.next_seq());
        let (vault, file, name) = (self.vault.clone(), source.to_owned(), snapshot.clone());
        let staged = tokio::task::spawn_blocking(move || vault.stage(&entry, &file, &name, &mut progress))
            .await
            .map_err(|_| crate::run::host_fault())??;

        let recorded = self
            .record(who.actor(), |_, _| {
                let event = Event::SnapshotSealed {
                    dataset: dataset.clone(),
                    snapshot: snapshot.clone(),
                    rows: staged.rows,
                    roster_size: staged.roster_size,
                    commitment: staged.commitment,
                    sealed_file: staged.sealed_file,
                };
                Ok(Decided((), event))
            })
            .await;
        if recorded.is_err() {
            self.vault.discard(&snapshot).map_err(vault_fault)?;
        }
        recorded?;
        self.vault.publish(&snapshot).map_err(vault_fault)?;
        tracing::info!(dataset.id = %dataset, snapshot.id = %snapshot, "snapshot {snapshot} of {dataset} published");
        Ok(Ingested { dataset, snapshot, rows: staged.rows, roster_size: staged.roster_size })
    }

    /// Finishes or discards ingests that a crash interrupted: what was recorded is
    /// published, the rest was never there. An ingest that is under way in another
    /// process is left alone.
    pub(crate) async fn recover_ingests(&self) -> Result<(), Refusal> {
        let Ok(_alone) = self.lock(&self.home.ingest_lock(), "ingest.busy") else { return Ok(()) };
        self.vault.sweep().map_err(vault_fault)?;
        let state = self.snapshot().await?;
        for staged in self.vault.staged().map_err(vault_fault)? {
            let recorded = state.datasets().any(|d| d.snapshots.iter().any(|s| s.id == staged));
            if recorded { self.vault.publish(&staged) } else { self.vault.discard(&staged) }.map_err(vault_fault)?;
        }
        Ok(())
    }
}
