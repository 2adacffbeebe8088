//! What each person sees first: reviewers what waits for them, operators how their
//! jobs stand.

use sluice_domain::{
    Refusal, Timestamp,
    approval::Decision,
    day_of, decide,
    id::AgreementId,
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

/// The void runs under `agreement` in `year` that told a bit, or would have.
pub(crate) fn refusals<'a>(state: &'a State, agreement: &AgreementId, year: i16) -> impl Iterator<Item = &'a RunState> {
    let tells = |r: &&RunState| r.void.as_deref().is_some_and(crate::lineage::depends_on_data);
    state.runs().filter(tells).filter(move |r| {
        day_of(r.at).year() == year && state.job(&r.job).is_some_and(|j| j.contract.agreement == *agreement)
    })
}

/// Whether a void run is one refusal more than its agreement's year may show: each that
/// depends on data tells a bit. In order of the runs' start.
fn beyond_cap(state: &State, job: &JobState, run: &RunState) -> bool {
    let of_year = || refusals(state, &job.contract.agreement, day_of(run.at).year());
    let before = of_year().filter(|r| (r.at, &r.id) < (run.at, &run.id)).count();
    of_year().any(|r| r.id == run.id) && before >= state.rulepack().refusals.bits_max
}

/// How a job stands for its operator. Before the tick the answer depends on the
/// contract and the clock alone: not on how long the run took, nor on how it ended.
fn operator_job(state: &State, job: &JobState, now: Timestamp) -> OperatorJob {
    let tick = decide::tick_of(job);
    let run = job.run.as_ref().and_then(|r| state.run(r));
    let last_vote = run.and_then(|r| r.votes.last());
    let (status, since) = match run {
        None => (JobStatus::Accepted, job.at),
        Some(_) if now < tick => (JobStatus::Running, job.at),
        Some(r) => match r.stage {
            Stage::Void if beyond_cap(state, job, r) => (JobStatus::InReview, tick),
            Stage::Started | Stage::Void => (JobStatus::Void, tick),
            Stage::InReview | Stage::Approved => (JobStatus::InReview, tick),
            Stage::Declined => {
                let rejected = r.votes.iter().any(|v| v.decision == Decision::Reject);
                (
                    if rejected { JobStatus::Rejected } else { JobStatus::Returned },
                    last_vote.map_or(tick, |v| v.at.max(tick)),
                )
            }
            Stage::Released => {
                (JobStatus::Released, r.product.as_ref().and_then(|p| state.product(p)).map_or(tick, |p| p.at))
            }
        },
    };
    let holder = match status {
        JobStatus::Accepted | JobStatus::Running => text("数闸主机", "Sluice"),
        JobStatus::InReview => text("审核专家", "the reviewers"),
        JobStatus::Returned | JobStatus::Rejected | JobStatus::Void => text("运营单位", "the operator"),
        JobStatus::Released => text("无", "nobody"),
    };
    let shown = !matches!(status, JobStatus::Accepted | JobStatus::Running | JobStatus::InReview);
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
