//! 隐私账: what a dataset root has paid, this year and since its first ingest, and what
//! that is worth as ε(δ). Charges stand in the ledger and never go away: who restores an
//! old copy of the domain's files keeps the charges that the copy's ledger holds, and
//! the missing ones show as a broken checkpoint to whoever holds a receipt.

use serde::{Deserialize, Serialize};
use sluice_domain::{
    Refusal, Timestamp,
    agreement::Agreement,
    day_of, decide,
    id::{AgreementId, DatasetId, OrgId},
    person::Role,
    state::{Spent, State},
};
use sluice_gate::noise::account::Cost;

use crate::{
    Service, SignedIn, inbox,
    pages::{AccountPage, AgreementLine, Bits, RootLine},
};

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
    // A receipt is the operator's: what is set aside counts as charged, for when a job starts
    // tells how long others took.
    let aside = decide::set_aside(state, root, None, now);
    let (mut of_year, mut ever) = (state.spent(root, year), state.spent_ever(root));
    of_year += aside;
    ever += aside;
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
    /// The account of every dataset root and of every agreement over it, for the bureau
    /// and auditors.
    ///
    /// # Errors
    /// `account.role`; a record of the release ledger that cannot be read.
    pub async fn accounts(&self, who: &SignedIn) -> Result<AccountPage, Refusal> {
        let (state, now) = (self.snapshot().await?, Self::now());
        decide::require(&state, &who.person().id, &[Role::Bureau, Role::Auditor])?;
        let (year, budget) = (day_of(now).year(), &state.rulepack().budget);
        let mut roots = Vec::new();
        for dataset in state.datasets() {
            let root = &dataset.entry.dataset.id;
            let over = state.agreements().filter(|a| a.views.values().any(|v| v.dataset == *root));
            let delta_of_year = state.spent(root, year).delta;
            roots.push(RootLine {
                title: dataset.entry.dataset.title.clone(),
                account: of(&state, root, now),
                delta_of_year,
                delta_left: (budget.delta_per_root_and_year - delta_of_year).max(0.0),
                allotted: state.allotted(root, year),
                agreements: over.map(|a| self.agreement_line(&state, a, now)).collect::<Result<_, _>>()?,
            });
        }
        Ok(AccountPage { year, roots })
    }

    fn agreement_line(&self, state: &State, agreement: &Agreement, now: Timestamp) -> Result<AgreementLine, Refusal> {
        let (terms, today) = (&agreement.agreement, day_of(now));
        let charged = state.spent_under(&terms.id, today.year());
        let roots = agreement.views.values().map(|v| of(state, &v.dataset, now).rho_left);
        Ok(AgreementLine {
            id: terms.id.clone(),
            operator: terms.operator.clone(),
            term: (terms.from, terms.to),
            in_force: terms.from <= today && today <= terms.to,
            allotted: terms.rho_per_year,
            charged,
            left: roots.fold((terms.rho_per_year - charged).max(0.0), f64::min),
            bits: self.bits(state, &terms.id, &terms.operator, today.year())?,
        })
    }

    /// What refusals under `agreement` in `year`, and the withheld places of all runs of
    /// `operator`, may have told.
    ///
    /// # Errors
    /// A record of the release ledger that cannot be read.
    pub(crate) fn bits(
        &self,
        state: &State,
        agreement: &AgreementId,
        operator: &OrgId,
        year: i16,
    ) -> Result<Bits, Refusal> {
        let rules = &state.rulepack().refusals;
        let told = inbox::refusals(state, agreement, year, Self::now()).len();
        Ok(Bits {
            refusals: told.min(rules.bits_max),
            refusals_max: rules.bits_max,
            pattern: self.pattern_bits(state, operator)?,
            pattern_alert: rules.pattern_bits_alert,
        })
    }
}
