//! What each person sees first: reviewers what waits for them, operators how their
//! jobs stand.

use std::collections::BTreeSet;

use sluice_domain::{
    Refusal, Timestamp,
    approval::Decision,
    day_of, decide,
    id::{AgreementId, JobId},
    person::Role,
    state::{JobState, RunState, Stage, State},
    text,
};

use crate::{
    Service, SignedIn,
    pages::{Inbox, JobStatus, OperatorJob, Waiting},
};

impl Service {
    /// The first page after sign-in.
    ///
    /// # Errors
    /// A fault of the ledger.
    pub async fn inbox(&self, who: &SignedIn) -> Result<Inbox, Refusal> {
        let (state, now, me) = (self.snapshot().await?, Self::now(), who.person());
        let waiting =
            state.runs().filter(|r| r.stage == Stage::InReview && decide::may_open(&state, &me.id, &r.id).is_ok());
        let jobs = state.jobs().filter(|j| match me.role {
            Role::Operator => j.operator == me.org,
            Role::Bureau | Role::Auditor => true,
            Role::Reviewer | Role::Provider => false,
        });
        let mut jobs: Vec<_> = jobs.map(|j| operator_job(&state, j, now)).collect();
        jobs.reverse();
        Ok(Inbox { waiting: waiting.filter_map(|r| waiting_line(&state, r, who)).collect(), jobs })
    }
}

fn waiting_line(state: &State, run: &RunState, who: &SignedIn) -> Option<Waiting> {
    let job = state.job(&run.job)?;
    let terms = &state.agreement(&job.contract.agreement)?.agreement;
    Some(Waiting {
        run: run.id.clone(),
        title: job.contract.product.title.clone(),
        operator: job.operator.clone(),
        scenario: terms.title.clone(),
        form: job.contract.product.form,
        since: run.at,
        votes_cast: run.votes.len(),
        votes_needed: state.rulepack().review.votes_needed,
        voted: run.votes.iter().any(|v| v.reviewer == who.person().id),
    })
}

/// The jobs under `agreement` whose end told a bit in `year`, or would have, in the order
/// in which it showed: at their ticks, however long their runs took and whenever they were
/// submitted. That a job was not started in time tells how long those before it took.
pub(crate) fn refusals<'a>(
    state: &'a State,
    agreement: &AgreementId,
    year: i16,
    now: Timestamp,
) -> BTreeSet<(Timestamp, &'a JobId)> {
    let tells = |job: &JobState| match job.run.as_ref().and_then(|run| state.run(run)) {
        None | Some(RunState { stage: Stage::Started, .. }) => true,
        Some(run) => run.void.as_deref().is_some_and(crate::lineage::depends_on_data),
    };
    let told = state.jobs().filter(|job| job.contract.agreement == *agreement && tells(job));
    let at = told.map(|job| (decide::tick_of(job), &job.id));
    at.filter(|(tick, _)| *tick <= now && day_of(*tick).year() == year).collect()
}

/// Whether the end of `job` is one that its agreement's year shows no more: such a job
/// stays in review for its operator.
fn beyond_cap(state: &State, job: &JobState, now: Timestamp) -> bool {
    let tick = decide::tick_of(job);
    let told = refusals(state, &job.contract.agreement, day_of(tick).year(), now);
    told.iter().position(|at| *at == (tick, &job.id)).is_some_and(|before| before >= state.rulepack().refusals.bits_max)
}

/// Before the tick the answer is the contract's and the clock's, not the data's: neither
/// whether the run has started nor whether it is over shows.
fn operator_job(state: &State, job: &JobState, now: Timestamp) -> OperatorJob {
    let tick = decide::tick_of(job);
    let run = job.run.as_ref().and_then(|r| state.run(r));
    let last_vote = run.and_then(|r| r.votes.last());
    let (status, since) = match run.map(|r| (r, r.stage)) {
        _ if now < tick => (JobStatus::Running, job.at),
        None | Some((_, Stage::Started | Stage::Void)) if beyond_cap(state, job, now) => (JobStatus::InReview, tick),
        None => (JobStatus::NotRun, tick),
        Some((_, Stage::Started | Stage::Void)) => (JobStatus::Void, tick),
        Some((_, Stage::InReview | Stage::Approved)) => (JobStatus::InReview, tick),
        Some((r, Stage::Declined)) => {
            let rejected = r.votes.iter().any(|v| v.decision == Decision::Reject);
            (
                if rejected { JobStatus::Rejected } else { JobStatus::Returned },
                last_vote.map_or(tick, |v| v.at.max(tick)),
            )
        }
        Some((r, Stage::Released)) => {
            (JobStatus::Released, r.product.as_ref().and_then(|p| state.product(p)).map_or(tick, |p| p.at))
        }
    };
    let holder = match status {
        JobStatus::Running => text("数闸主机", "Sluice"),
        JobStatus::InReview => text("审核专家", "the reviewers"),
        JobStatus::Returned | JobStatus::Rejected | JobStatus::Void | JobStatus::NotRun => {
            text("运营单位", "the operator")
        }
        JobStatus::Released => text("无", "nobody"),
    };
    let shown = !matches!(status, JobStatus::Running | JobStatus::InReview);
    let comments = run
        .filter(|_| shown)
        .map(|r| r.votes.iter().filter(|v| v.decision != Decision::Approve).map(|v| v.comment.clone()).collect());
    OperatorJob {
        job: job.id.clone(),
        name: job.contract.name.clone(),
        operator: job.operator.clone(),
        status,
        holder,
        since,
        tick,
        comments: comments.unwrap_or_default(),
        product: run.filter(|_| shown).and_then(|r| r.product.clone()),
    }
}
