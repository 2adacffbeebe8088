//! 出域: an approved candidate becomes a product. Render → seal → record → write:
//! a crash after the record is finished from the sealed copy.

use sluice_domain::{
    Digest, Refusal, Timestamp,
    approval::Approval,
    decide,
    event::Event,
    id::{ProductId, RunId},
    state::{Stage, State},
};
use sluice_ledger::Recorded;
use sluice_vault::{ObjectKind, VaultError};

use crate::{
    Service, copies,
    product::Bundle,
    receipt,
    record::{SYSTEM, io_fault, ledger_fault, vault_fault},
};

impl Service {
    /// Releases an approved run at or after its tick.
    ///
    /// # Errors
    /// `release.not-approved`, `release.before-tick`, `release.changed` when the
    /// candidate's bytes are not the approved ones.
    pub async fn release(&self, run: &RunId) -> Result<ProductId, Refusal> {
        let state = self.snapshot().await?;
        let product = decide::release(&state, run, Self::now())?;
        let approval = self.recorded_approval(&state, run).await?;
        let bundle = self.bundle(&state, run, &product, approval).await?;

        let files: Vec<(String, Digest)> = bundle.digests();
        self.record(SYSTEM, |state, now| {
            decide::release(state, run, now)?;
            Ok(Event::ProductReleased { product: product.clone(), run: run.clone(), files: files.clone() })
        })
        .await?;
        self.write_product(&product, &bundle)?;
        tracing::info!(product.id = %product, run.id = %run, "product {product} released");
        Ok(product)
    }

    /// Releases everything that is approved and whose tick has come.
    ///
    /// # Errors
    /// The first fault; what was released stays released.
    pub async fn release_due(&self) -> Result<Vec<ProductId>, Refusal> {
        let (state, now) = (self.snapshot().await?, Self::now());
        let mut released = Vec::new();
        // After a restore that took later entries in, a candidate may be gone for good.
        let there = |run: &RunId| self.vault.contains(ObjectKind::Candidate, run.as_str());
        for run in state.runs().filter(|r| r.stage == Stage::Approved && there(&r.id)) {
            if state.job(&run.job).map(decide::tick_of).is_some_and(|tick: Timestamp| tick <= now) {
                match self.release(&run.id).await {
                    Ok(product) => released.push(product),
                    Err(refusal) if refusal.code == "release.not-approved" => {} // released meanwhile
                    Err(refusal) => return Err(refusal),
                }
            }
        }
        Ok(released)
    }

    /// The approval is recomputed from the signed votes and must be the recorded one.
    async fn recorded_approval(&self, state: &State, run: &RunId) -> Result<Recorded<Approval>, Refusal> {
        let approval = Approval::of(state, run)?;
        let seq = state.run(run).and_then(|r| r.approved_at_seq).ok_or_else(crate::run::host_fault)?;
        self.ledger.recorded(seq, approval).await.map_err(ledger_fault)
    }

    /// The product's files, sealed in the vault before anything is recorded.
    async fn bundle(
        &self,
        state: &State,
        run: &RunId,
        product: &ProductId,
        approval: Recorded<Approval>,
    ) -> Result<Bundle, Refusal> {
        if self.vault.contains(ObjectKind::Product, product.as_str()) {
            return self.sealed_bundle(product); // rendered before a crash
        }
        let votes = approval.get().votes().to_vec();
        let quarantined = self.candidate(state, run)?;
        let released =
            quarantined.release(approval, &|bytes| self.commit_candidate(bytes)).map_err(|(_, refusal)| refusal)?;
        let job = state.run(run).and_then(|r| state.job(&r.job)).ok_or_else(crate::run::host_fault)?;
        let (mut bundle, marks) = copies::render(self, &released, job, product)?;
        let receipt = receipt::issue(self, state, run, product, &bundle, marks, votes).await?;
        bundle.push("receipt.json", receipt);
        match self.vault.seal(ObjectKind::Product, product.as_str(), &bundle.to_bytes()) {
            Ok(_) => Ok(bundle),
            Err(VaultError::Exists { .. }) => self.sealed_bundle(product), // another process was faster
            Err(fault) => Err(vault_fault(fault)),
        }
    }

    pub(crate) fn sealed_bundle(&self, product: &ProductId) -> Result<Bundle, Refusal> {
        let bytes = self.vault.unseal(ObjectKind::Product, product.as_str()).map_err(vault_fault)?;
        Bundle::from_bytes(&bytes).ok_or_else(crate::run::host_fault)
    }

    fn write_product(&self, product: &ProductId, bundle: &Bundle) -> Result<(), Refusal> {
        let fault = |e: std::io::Error| io_fault("product.write", &e);
        let half = tempfile::tempdir_in(self.home.products()).map_err(fault)?;
        for (name, bytes) in bundle.files() {
            std::fs::write(half.path().join(name), bytes).map_err(fault)?;
        }
        let done = self.home.product(product);
        if done.exists() {
            return Ok(());
        }
        match std::fs::rename(half.path(), &done) {
            Err(_) if done.exists() => Ok(()), // another process was faster
            renamed => renamed.map_err(fault),
        }
    }

    /// Products whose record was written just before a crash get their files now.
    pub(crate) async fn recover_products(&self) -> Result<(), Refusal> {
        let state = self.snapshot().await?;
        for product in state.products() {
            // It was sealed before it was recorded: only an old copy of the vault lacks it.
            let sealed = self.vault.contains(ObjectKind::Product, product.id.as_str());
            if sealed && !self.home.product(&product.id).exists() {
                let bundle = self.sealed_bundle(&product.id)?;
                if bundle.digests() != product.files {
                    return Err(crate::run::host_fault());
                }
                self.write_product(&product.id, &bundle)?;
            }
        }
        self.release_due().await?;
        Ok(())
    }
}
