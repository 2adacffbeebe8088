//! 隐私账: what a dataset root has paid, this year and since its first ingest, and what
//! that is worth as ε(δ). Charges stand in the ledger and never go away: who restores an
//! old copy of the domain's files keeps the charges that the copy's ledger holds, and
//! the missing ones show as a broken checkpoint to whoever holds a receipt.

use serde::{Deserialize, Serialize};
use sluice_domain::{
    Refusal, Timestamp, day_of, decide,
    id::DatasetId,
    person::Role,
    state::{Spent, State},
};
use sluice_gate::noise::account::Cost;

use crate::{Service, SignedIn};

/// The account of one dataset root.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootAccount {
    /// The root.
    pub root: DatasetId,
    /// The calendar year.
    pub year: i16,
    /// ρ spent in it.
    pub rho_of_year: f64,
    /// ρ left in it.
    pub rho_left: f64,
    /// ρ spent since the first ingest.
    pub rho: f64,
    /// δ spent since the first ingest.
    pub delta: f64,
    /// ε of all of it at `epsilon_delta`; none when δ has used that up.
    pub epsilon: Option<f64>,
    /// δ at which ε is stated.
    pub epsilon_delta: f64,
}

/// The account of `root` at `now`.
pub(crate) fn of(state: &State, root: &DatasetId, now: Timestamp) -> RootAccount {
    let (year, budget) = (day_of(now).year(), &state.rulepack().budget);
    let (of_year, ever) = (state.spent(root, year), state.spent_ever(root));
    RootAccount {
        root: root.clone(),
        year,
        rho_of_year: of_year.rho,
        rho_left: (budget.rho_per_root_and_year - of_year.rho).max(0.0),
        rho: ever.rho,
        delta: ever.delta,
        epsilon: epsilon(ever, budget.delta),
        epsilon_delta: budget.delta,
    }
}

/// ε at `delta`; nothing spent is ε = 0.
pub(crate) fn epsilon(spent: Spent, delta: f64) -> Option<f64> {
    if spent == Spent::default() {
        return Some(0.0);
    }
    Cost::concentrated(spent.rho).with_delta(spent.delta).epsilon(delta).ok()
}

impl Service {
    /// The account of every dataset root, for the bureau and auditors.
    ///
    /// # Errors
    /// `account.role`.
    pub async fn accounts(&self, who: &SignedIn) -> Result<Vec<RootAccount>, Refusal> {
        let (state, now) = (self.snapshot().await?, Self::now());
        decide::require(&state, &who.person().id, &[Role::Bureau, Role::Auditor])?;
        Ok(state.datasets().map(|d| of(&state, &d.entry.dataset.id, now)).collect())
    }
}
