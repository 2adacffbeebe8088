//! 运行: one run from top to bottom. Charge → compute in isolation → gate → seal →
//! record. What the operator learns of it before the tick is in `inbox`.

use std::fs::File;

use sluice_domain::{
    Digest, Kind, Refusal, Timestamp,
    candidate::{Candidate, CandidateTable},
    catalogue::{ColumnRole, Level},
    contract::Contract,
    decide,
    event::Event,
    id::{JobId, RunId},
    person::Role,
    rulepack::RulePack,
    state::{Authorised, GrantedView, JobState, RunState, Stage, State},
    text,
};
use sluice_gate::{Cleared, GateInput, Quarantined, Sensitivity, route_c::Rules};
use sluice_vault::ObjectKind;

use crate::{
    Service, SignedIn,
    answer::Answered,
    evidence::Subject,
    held,
    record::{Decided, SYSTEM, vault_fault},
};

/// How a run ended, for the bureau.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEnd {
    /// A candidate waits for its reviewers.
    InReview,
    /// The host failed, or nothing could pass. The charge stands.
    Void,
}

/// Why a run produced nothing. Codes only: no text that data could choose.
#[derive(Debug)]
pub(crate) enum Fault {
    /// A rule said no.
    Refused(Refusal),
    /// The host failed at this point.
    Host(&'static str),
}

impl Fault {
    /// A host fault; the cause goes to the bureau's log, not to anybody's answer.
    pub(crate) fn host(code: &'static str, cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(code, %cause, "the host failed at {code}");
        Self::Host(code)
    }

    /// As those are told of it who may know: a refusal as it is, of the host nothing.
    pub(crate) fn told(self) -> Refusal {
        match self {
            Self::Refused(refusal) => refusal,
            Self::Host(_) => host_fault(),
        }
    }

    fn code(&self) -> &str {
        match self {
            Self::Refused(refusal) => refusal.code,
            Self::Host(code) => code,
        }
    }
}

impl Service {
    /// Runs an accepted job once.
    ///
    /// # Errors
    /// `job.*` when it may not start. What goes wrong later ends the run as void:
    /// recorded, charged, and told to the operator at the tick as one fixed word.
    pub async fn run(&self, job: &JobId) -> Result<(RunId, RunEnd), Refusal> {
        self.run_until(job, decide::tick_of).await
    }

    /// As [`Service::run`], with another end than the tick: for a rehearsal, where there
    /// is nobody to tell about and the machine may be slower than a domain's.
    pub(crate) async fn run_until(
        &self,
        job: &JobId,
        end: fn(&JobState) -> Timestamp,
    ) -> Result<(RunId, RunEnd), Refusal> {
        let _alive = self.hold(job)?;

        // Record: the charge comes first and is never refunded.
        let started = self
            .record(SYSTEM, |state, now| {
                let job = state.job(job).ok_or_else(|| no_such_job(job))?;
                let (run, event) = decide::start_run(state, job, now)?;
                Ok(Decided(run, event))
            })
            .await?;
        let run = started.get().0.clone();

        // Compute, in isolation, until the tick that the contract fixed.
        let (event, _lineage) = match self.compute(job, &run, end).await {
            Ok((event, lineage)) => (event, lineage),
            Err(fault) => (Event::RunVoid { run: run.clone(), code: fault.code().to_owned() }, None),
        };

        // Record how it ended; the candidate was sealed before.
        let end = if matches!(event, Event::RunFinished { .. }) { RunEnd::InReview } else { RunEnd::Void };
        self.record(SYSTEM, |state, _| if under_way(state, &run) { Ok(event.clone()) } else { Err(host_fault()) })
            .await?;
        tracing::info!(run.id = %run, job.id = %job, "run {run} ended");
        Ok((run, end))
    }

    /// Whether `who` may start `job`: somebody of its operator.
    ///
    /// # Errors
    /// `job.unknown`, also for another operator's job.
    pub async fn may_run(&self, who: &SignedIn, job: &JobId) -> Result<(), Refusal> {
        let state = self.snapshot().await?;
        let theirs =
            state.job(job).is_some_and(|j| who.person().role == Role::Operator && j.operator == who.person().org);
        if theirs { Ok(()) } else { Err(no_such_job(job)) }
    }

    /// The release tick of `job`, fixed when it was accepted.
    ///
    /// # Errors
    /// `job.unknown`.
    pub async fn tick(&self, job: &JobId) -> Result<Timestamp, Refusal> {
        self.snapshot().await?.job(job).map(decide::tick_of).ok_or_else(|| no_such_job(job))
    }

    /// Runs every accepted job that has not run, oldest first. What may not start
    /// any more (its agreement ended, its budget is gone) stays where it is.
    ///
    /// # Errors
    /// A fault of the ledger.
    pub async fn run_accepted(&self) -> Result<(), Refusal> {
        let waiting: Vec<JobId> =
            self.snapshot().await?.jobs().filter(|j| j.run.is_none()).map(|j| j.id.clone()).collect();
        for job in waiting {
            match self.run(&job).await {
                Err(refusal) if refusal.kind == Kind::Failed => return Err(refusal),
                _ => {}
            }
        }
        Ok(())
    }

    async fn compute(
        &self,
        job: &JobId,
        run: &RunId,
        end: fn(&JobState) -> Timestamp,
    ) -> Result<(Event, Option<File>), Fault> {
        let state = self.snapshot().await?;
        let record = state.job(job).ok_or(Fault::Host("job.unknown"))?;
        let contract = &record.contract;
        let granted = state.authorise_run(state.run(run).ok_or(Fault::Host("run.unknown"))?)?;
        let left = end(record).duration_since(Self::now()).try_into().unwrap_or_default();
        let work = self.candidate_of(contract, &granted, state.rulepack(), job, run);
        tokio::time::timeout(left, work).await.map_err(|_| Fault::Host("run.tick-missed"))?
    }

    /// Passes → gate → outer room → gate … → candidate, sealed.
    async fn candidate_of(
        &self,
        contract: &Contract,
        granted: &Authorised<Vec<GrantedView>>,
        rules: &RulePack,
        job: &JobId,
        run: &RunId,
    ) -> Result<(Event, Option<File>), Fault> {
        let reader = self.reader(granted)?;
        let (tabulated, fits) = self.tabulate(contract, &reader, rules).await?;
        let work = self.work(contract, granted.get(), &reader, rules)?;
        let roster_size = work.roster_size;
        let mut rounds = Vec::new();
        let clear = |round: u32, answers| {
            let cleared = sluice_gate::clear_round(contract, rules, roster_size, answers)?;
            rounds.push(self.seal_round(run, round, &cleared)?);
            Ok(cleared)
        };
        let Answered { answers, commitment, state } = self.passes(&work, rules, clear).await?;
        let sensitivity = sensitivity(granted.get());
        let (behind, people) = held::behind(contract, &work, &answers, (rules, sensitivity)).await?;
        let judged = behind.judged.clone();
        // One run after another from here until its record: nobody clears against less
        // than everything that was cleared before.
        let (ledgers, held) = self.ledgers(contract, granted, &reader, None).await?;
        let input = GateInput {
            contract,
            rulepack: rules,
            roster_size,
            tabulated: &tabulated,
            fits: &fits,
            answers,
            sensitivity,
            ledgers: &ledgers,
            behind,
        };
        let (cleared, entered) = sluice_gate::clear(input)?;
        let lineage = held.is_some().then(|| self.seal_lineage(run, &entered)).transpose()?;
        let last = contract.passes().saturating_sub(1);
        let state = self.update(contract, rules, last, state, &cleared).await?;
        let report = self.compose(contract, rules, state, &cleared).await?;
        let product = contract.product.clone();
        let candidate = sluice_gate::quarantine(cleared, report, job.clone(), run.clone(), product);
        let (views, work, tabulated) = (granted.get(), &work, &tabulated);
        let subject =
            Subject { contract, rules, views, sensitivity, work, tabulated, candidate: candidate.for_review() };
        let standing = people.as_ref().map(|people| (people, judged.as_slice()));
        let evidence = self.evidence(run, &subject, standing).await?;
        let (candidate, sealed_object) = self.seal_candidate(run, &candidate)?;
        let run = run.clone();
        let finished =
            Event::RunFinished { run, candidate, pre_noise: commitment, rounds, lineage, evidence, sealed_object };
        Ok((finished, held))
    }

    /// Seals what the gate cleared of a round, so that a replay draws no noise again.
    fn seal_round(&self, run: &RunId, round: u32, cleared: &Cleared<Vec<CandidateTable>>) -> Result<Digest, Fault> {
        let bytes = cleared.canonical_bytes();
        self.vault.seal(ObjectKind::Answer, &round_name(run, round), &bytes).map_err(vault_fault)?;
        Ok(self.commit_round(&bytes))
    }

    /// The cleared tables of an earlier round of `run`.
    pub(crate) fn sealed_round(&self, run: &RunState, round: u32) -> Result<Cleared<Vec<CandidateTable>>, Fault> {
        let recorded = run.rounds.get(round as usize).ok_or(Fault::Host("run.round"))?;
        let bytes = self.vault.unseal(ObjectKind::Answer, &round_name(&run.id, round)).map_err(vault_fault)?;
        Ok(Cleared::reopen(&bytes, recorded, &|bytes| self.commit_round(bytes))?)
    }

    fn commit_round(&self, bytes: &[u8]) -> Digest {
        self.vault.commit("round", bytes)
    }

    fn seal_candidate(&self, run: &RunId, candidate: &Quarantined<Candidate>) -> Result<(Digest, Digest), Fault> {
        let bytes = candidate.canonical_bytes();
        let commitment = self.commit_candidate(&bytes);
        let sealed_object = self.vault.seal(ObjectKind::Candidate, run.as_str(), &bytes).map_err(vault_fault)?;
        Ok((commitment, sealed_object))
    }

    pub(crate) fn commit_pre_noise(&self, bytes: &[u8]) -> Digest {
        self.vault.commit("pre-noise", bytes)
    }

    /// Takes the job's lock: whoever holds it is executing the job. Taken before
    /// anything is recorded, so that nobody mistakes a live run for a dead one.
    fn hold(&self, job: &JobId) -> Result<File, Refusal> {
        self.lock(&self.home.lock(job), "run.busy")
    }

    /// Runs that were interrupted end as void; their charge stands (gate.md §4.8).
    pub(crate) async fn recover_runs(&self) -> Result<(), Refusal> {
        let state = self.snapshot().await?;
        for run in state.runs().filter(|r| r.stage == Stage::Started) {
            let Ok(_held) = self.hold(&run.job) else { continue };
            // It may have ended between the look and the lock.
            if under_way(&self.snapshot().await?, &run.id) {
                let void = Event::RunVoid { run: run.id.clone(), code: "run.interrupted".to_owned() };
                self.record(SYSTEM, |_, _| Ok(void.clone())).await?;
            }
        }
        Ok(())
    }
}

/// Name of the sealed object of a round.
fn round_name(run: &RunId, round: u32) -> String {
    format!("{run}-round-{round}")
}

fn under_way(state: &State, run: &RunId) -> bool {
    state.run(run).is_some_and(|r| r.stage == Stage::Started)
}

/// A view with a column of the highest level (other than the unit's own id, which
/// no table publishes) is held to the stricter threshold.
pub(crate) fn sensitivity(views: &[GrantedView]) -> Sensitivity {
    let highest = |view: &GrantedView| {
        let granted = view.view.columns.iter().filter_map(|name| view.entry.column(name));
        granted.into_iter().any(|c| c.level == Level::L4 && c.role != ColumnRole::Unit)
    };
    if views.iter().any(highest) { Sensitivity::Sensitive } else { Sensitivity::Ordinary }
}

/// k of these views: what a published number takes in units at least. Public.
pub(crate) fn threshold(rules: &RulePack, views: &[GrantedView]) -> u64 {
    Rules::of(&rules.disclosure, sensitivity(views)).threshold.unwrap_or(1)
}

pub(crate) fn no_such_job(job: &JobId) -> Refusal {
    Refusal::refused(
        "job.unknown",
        text("没有这个作业", "there is no such job"),
        text("查看作业列表", "look at the job list"),
    )
    .at(job.as_str())
}

/// The host failed in a way that says nothing about data.
pub(crate) fn host_fault() -> Refusal {
    Refusal::failed("host.fault", text("主机内部故障", "the host failed"), text("联系主管部门", "tell the bureau"))
}
