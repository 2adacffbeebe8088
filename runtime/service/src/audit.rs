//! 来源可溯、去向可查: the ledger exported for an auditor, and a product walked
//! back to its sources.

use std::io::Write;

use serde::Serialize;
use sluice_domain::{
    Digest, Refusal, Timestamp, decide,
    event::Event,
    id::{AgreementId, DatasetId, JobId, OrgId, PersonId, ProductId, RunId, ScenarioId, SnapshotId},
    person::Role,
    text,
};

use crate::{Service, SignedIn, record::ledger_fault};

/// A product walked back to its sources, one step a field.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trace {
    /// The product.
    pub product: ProductId,
    /// When it was released.
    pub released: Timestamp,
    /// Its files.
    pub files: Vec<(String, Digest)>,
    /// Who approved it.
    pub reviewers: Vec<PersonId>,
    /// The run it came from.
    pub run: RunId,
    /// The job.
    pub job: JobId,
    /// SHA-256 of its contract.
    pub contract: Digest,
    /// SHA-256 of its guest.
    pub guest: Option<Digest>,
    /// Who submitted it.
    pub person: PersonId,
    /// For whom.
    pub operator: OrgId,
    /// Under which agreement.
    pub agreement: AgreementId,
    /// For which scenario.
    pub scenario: ScenarioId,
    /// What it read: dataset, snapshot, provider, keyed commitment, time of ingest.
    pub sources: Vec<Source>,
    /// ρ charged per dataset root.
    pub charges: Vec<(DatasetId, f64)>,
}

/// One source of a product.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Source {
    /// The dataset.
    pub dataset: DatasetId,
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// Who provided it.
    pub provider: OrgId,
    /// Keyed commitment to its content.
    pub commitment: Digest,
    /// When it was taken in.
    pub ingested: Timestamp,
}

impl Service {
    /// Writes the whole ledger for an auditor. The export is recorded first and is
    /// its own last entry.
    ///
    /// # Errors
    /// `account.role`; a fault of the ledger or of `out`.
    pub async fn export_ledger(&self, who: &SignedIn, out: &mut (dyn Write + Send)) -> Result<u64, Refusal> {
        let by = &who.person().id;
        self.record(who.actor(), |state, _| {
            decide::require(state, by, &[Role::Auditor, Role::Bureau])?;
            Ok(Event::LedgerExported { entries: state.next_seq() })
        })
        .await?;
        self.ledger.export(out).await.map_err(ledger_fault)
    }

    /// Walks `product` back to its sources.
    ///
    /// # Errors
    /// `product.unknown`, also for another operator's product.
    pub async fn trace(&self, who: &SignedIn, product: &ProductId) -> Result<Trace, Refusal> {
        let state = self.snapshot().await?;
        let product = decide::may_see_product(&state, &who.person().id, product)?;
        let gone = || {
            Refusal::failed(
                "audit.broken",
                text("溯源链不完整", "the chain of provenance is broken"),
                text("以 `sluice audit verify` 核验日志", "verify the log with `sluice audit verify`"),
            )
        };
        let run = state.run(&product.run).ok_or_else(gone)?;
        let job = state.job(&run.job).ok_or_else(gone)?;
        let sources = run.snapshots.iter().map(|(id, snapshot)| {
            let dataset = state.dataset(id)?;
            let found = dataset.snapshots.iter().find(|s| s.id == *snapshot)?;
            Some(Source {
                dataset: id.clone(),
                snapshot: snapshot.clone(),
                provider: dataset.entry.dataset.provider.clone(),
                commitment: found.commitment,
                ingested: found.at,
            })
        });
        Ok(Trace {
            product: product.id.clone(),
            released: product.at,
            files: product.files.clone(),
            reviewers: run.votes.iter().map(|v| v.reviewer.clone()).collect(),
            run: run.id.clone(),
            job: job.id.clone(),
            contract: job.contract_digest,
            guest: job.contract.guest,
            person: job.person.clone(),
            operator: job.operator.clone(),
            agreement: job.contract.agreement.clone(),
            scenario: job.contract.scenario.clone(),
            sources: sources.collect::<Option<_>>().ok_or_else(gone)?,
            charges: run.charges.clone(),
        })
    }
}
