//! 佐证: the evidence for a run's reviewers, made inside the run before anybody reviews it.
//!
//! The rows of every view that a table of route C reads go through the gate's checks once,
//! unit by unit. What comes out is sealed in the vault and committed to in `RunFinished`;
//! reviewers alone are shown it, and a candidate whose evidence is missing or changed can
//! be neither opened nor voted on. Tables of routes A and B get none: judging them on
//! exact values would void their guarantee. What there is for a held product is in `again`.

use futures::StreamExt;
use sluice_domain::{
    Digest, Refusal,
    candidate::Candidate,
    contract::Contract,
    evidence::{Check, Evidence},
    id::RunId,
    rulepack::RulePack,
    state::{GrantedView, State},
};
use sluice_gate::{
    Sensitivity,
    evidence::{Asked, Modelled, Replay, asked},
    route_c::Rules,
};
use sluice_rows::cells::Cells;
use sluice_vault::ObjectKind;
use sluice_view::{plan_input, view_schema};

use crate::{
    Service,
    again::Standing,
    answer::Work,
    record::vault_fault,
    run::{Fault, host_fault},
};

/// A run's candidate with everything that the checks look at.
pub(crate) struct Subject<'a> {
    pub(crate) contract: &'a Contract,
    pub(crate) rules: &'a RulePack,
    pub(crate) views: &'a [GrantedView],
    pub(crate) sensitivity: Sensitivity,
    pub(crate) work: &'a Work<'a>,
    pub(crate) tabulated: &'a [Cells],
    pub(crate) candidate: &'a Candidate,
}

impl Service {
    /// Makes and seals the evidence of `run`; none without a table of routes C and D. Of a
    /// held product it rests on who is behind it.
    pub(crate) async fn evidence(
        &self,
        run: &RunId,
        subject: &Subject<'_>,
        held: Option<Standing<'_>>,
    ) -> Result<Option<Digest>, Fault> {
        let asked = asked(subject.contract, subject.tabulated, &subject.candidate.tables)?;
        let models = Modelled::of(subject.contract, &subject.candidate.tables);
        let reads = |v: &&GrantedView| {
            asked.iter().any(|a| a.table.plan.view == v.id) || models.iter().any(|m| *m.view() == v.id)
        };
        let mut checks = Vec::new();
        for view in subject.views.iter().filter(reads) {
            let seed = self.vault.commit("canaries", format!("{run} {}", view.id).as_bytes());
            checks.extend(of_view(subject, (&asked, &models), view, seed).await?);
        }
        if let Some(standing) = held {
            checks.extend(self.held_evidence(run, subject, standing).await?);
        }
        if checks.is_empty() {
            return Ok(None);
        }
        let bytes = Evidence::new(run.clone(), checks).canonical_bytes();
        self.vault.seal(ObjectKind::Evidence, run.as_str(), &bytes).map_err(vault_fault)?;
        Ok(Some(self.vault.commit("evidence", &bytes)))
    }

    /// The evidence about a run, as it was committed to; none where there is none.
    ///
    /// # Errors
    /// `host.fault` when it is missing or changed.
    pub(crate) fn evidence_of(&self, state: &State, run: &RunId) -> Result<Option<Evidence>, Refusal> {
        let Some(recorded) = state.run(run).and_then(|r| r.evidence) else { return Ok(None) };
        let bytes = self.vault.unseal(ObjectKind::Evidence, run.as_str()).map_err(vault_fault)?;
        let whole = self.vault.commit("evidence", &bytes) == recorded;
        let evidence = whole.then(|| Evidence::from_canonical_bytes(&bytes)).flatten();
        evidence.filter(|e| e.run == *run).map(Some).ok_or_else(host_fault)
    }
}

/// The checks over the rows of one view.
async fn of_view(
    subject: &Subject<'_>,
    asked: (&[Asked<'_>], &[Modelled<'_>]),
    view: &GrantedView,
    seed: Digest,
) -> Result<Vec<Check>, Fault> {
    let Subject { rules, candidate, .. } = subject;
    let columns: Vec<String> = view_schema(view)?.into_iter().map(|column| column.name).collect();
    let quoted: Vec<String> = columns.iter().map(|name| format!("\"{name}\"")).collect();
    let plan = plan_input(subject.views, &format!("SELECT {} FROM \"{}\"", quoted.join(", "), view.id))?;
    let disclosure = Rules::of(&rules.disclosure, subject.sensitivity);
    let mut replay = Replay::new(&rules.evidence, &disclosure, &view.id, &columns, asked, &candidate.report, seed);
    // A unit with more rows than any input may have comes cut: its table's recount says so.
    let mut units = Box::pin(subject.work.reader.units(&plan, rules.limits.input_rows_max));
    while let Some(rows) = units.next().await {
        let rows = rows.map_err(|e| Fault::host("view.evidence", &e))?;
        if !replay.unit(&rows) {
            break;
        }
    }
    Ok(replay.checks(view.roster_size))
}
