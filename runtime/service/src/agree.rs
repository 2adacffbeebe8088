//! 协议签订: the bureau signs an agreement.

use sluice_domain::{
    Refusal,
    agreement::Agreement,
    decide,
    id::{AgreementId, SnapshotId},
    state::{GrantedView, State},
};

use crate::{Service, SignedIn};

impl Service {
    /// Signs the agreement in `toml`.
    ///
    /// # Errors
    /// `agreement.*` with the field; `account.role`.
    pub async fn sign_agreement(&self, who: &SignedIn, toml: &str) -> Result<AgreementId, Refusal> {
        let agreement = Agreement::parse(toml)?;
        let by = who.person().id.clone();
        check_views(&self.snapshot().await?, &agreement)?;
        self.record(who.actor(), |state, _| decide::sign_agreement(state, &by, agreement.clone())).await?;
        Ok(agreement.agreement.id)
    }
}

/// The views must be servable before anybody relies on them: their filters and
/// masks are planned over the catalogue's schema. Reads no data.
fn check_views(state: &State, agreement: &Agreement) -> Result<(), Refusal> {
    for (id, view) in &agreement.views {
        let Some(dataset) = state.dataset(&view.dataset) else { continue }; // `decide` names it
        if view.columns.iter().any(|c| dataset.entry.column(c).is_none()) {
            continue; // so here
        }
        let granted = GrantedView {
            id: id.clone(),
            view: view.clone(),
            entry: dataset.entry.clone(),
            snapshot: SnapshotId::numbered(0),
            roster_size: 0,
        };
        let column = sluice_view::view_schema(&granted)?.into_iter().next().map(|c| c.name).unwrap_or_default();
        sluice_view::plan_input(&[granted], &format!("SELECT {column} FROM \"{id}\""))?;
    }
    Ok(())
}
