//! 合规安全审核: reviewers open a candidate, vote on its bytes, and two of them
//! make an approval.

use std::collections::BTreeSet;

use sluice_domain::{
    Digest, Kind, Refusal,
    approval::{Approval, Vote, vote_message},
    candidate::Candidate,
    day_of, decide,
    event::Event,
    evidence::Evidence,
    held::Held,
    id::RunId,
    state::{RunState, Stage, State},
    text,
};
use sluice_gate::Quarantined;
use sluice_vault::ObjectKind;
use zeroize::Zeroizing;

use crate::{
    Service, SignedIn, changes, chart,
    pages::{Ballot, Bits, Finding, Shown, ShownCheck, Voted, Weight, Workbench},
    product::made,
    record::{SYSTEM, vault_fault},
};

impl Service {
    /// Opens a candidate for a reviewer. That it was opened is recorded first.
    ///
    /// # Errors
    /// `review.*`, `account.role`.
    pub async fn open_candidate(&self, who: &SignedIn, run: &RunId) -> Result<Workbench, Refusal> {
        let by = &who.person().id;
        let state = self.snapshot().await?;
        decide::may_open(&state, by, run)?;
        if state.run(run).is_some_and(|r| !r.opened_by.contains(by)) {
            self.record(who.actor(), |state, _| {
                decide::may_open(state, by, run)?;
                Ok(Event::CandidateOpened { run: run.clone(), reviewer: by.clone() })
            })
            .await?;
        }
        let candidate = self.candidate(&state, run)?;
        let history = self.history(&state, run, candidate.for_review())?;
        let evidence = self.evidence_of(&state, run)?;
        let job = state.run(run).and_then(|r| state.job(&r.job)).ok_or_else(crate::run::host_fault)?;
        let year = day_of(Self::now()).year();
        let bits = self.bits(&state, &job.contract.agreement, &job.operator, year)?;
        workbench(&state, who, run, candidate.for_review(), (history, evidence), bits)
    }

    /// What the release ledger says of the run's tables of route C.
    fn history(&self, state: &State, run: &RunId, candidate: &Candidate) -> Result<Vec<sluice_gate::Finding>, Refusal> {
        let gone = crate::run::host_fault;
        let run = state.run(run).ok_or_else(gone)?;
        let Some(record) = self.lineage_of(run).map_err(|_| gone())? else { return Ok(Vec::new()) };
        let operator = &state.job(&run.job).ok_or_else(gone)?.operator;
        let bits = self.pattern_bits(state, operator)?;
        let alert = state.rulepack().refusals.pattern_bits_alert;
        Ok(sluice_gate::history_findings(&record, candidate, bits, alert))
    }

    /// Casts a vote. The password unwraps the reviewer's key for this one
    /// signature. The second approving vote makes the approval.
    ///
    /// # Errors
    /// `review.*`, `account.sign-in`.
    pub async fn vote(&self, who: &SignedIn, password: Zeroizing<String>, ballot: Ballot) -> Result<Voted, Refusal> {
        let Ballot { run, seen, decision, comment } = ballot;
        let key = self.signing_key(who, password).await?;
        let reviewer = who.person().id.clone();
        let state = self.snapshot().await?;
        decide::may_open(&state, &reviewer, &run)?;
        // The bytes are read back and their commitment recomputed: a changed byte voids the vote.
        self.candidate(&state, &run)?;
        self.evidence_of(&state, &run)?;
        self.record(who.actor(), |state, at| {
            let signature = key.sign(&vote_message(&run, &seen, &reviewer, decision, &comment, at));
            let vote = Vote {
                run: run.clone(),
                candidate: seen,
                reviewer: reviewer.clone(),
                decision,
                comment: comment.clone(),
                at,
                signature,
            };
            decide::record_vote(state, vote)
        })
        .await?;
        self.conclude(&run).await
    }

    /// Records the approval if the votes make one, and releases if the tick has come.
    /// A server beside us may be faster at either; then its result is ours.
    async fn conclude(&self, run: &RunId) -> Result<Voted, Refusal> {
        if let Err(refusal) = self.record(SYSTEM, |state, _| approval_now(state, run)).await
            && refusal.kind == Kind::Failed
        {
            return Err(refusal);
        }
        let stage = |state: &State| state.run(run).map(|r| r.stage);
        if stage(&self.snapshot().await?) == Some(Stage::Approved)
            && let Err(refusal) = self.release(run).await
            && refusal.kind == Kind::Failed
        {
            return Err(refusal);
        }
        let state = self.snapshot().await?;
        let record = state.run(run).ok_or_else(crate::run::host_fault)?;
        Ok(match (record.stage, &record.product) {
            (Stage::Declined, _) => Voted::Declined,
            (Stage::Released, Some(product)) => Voted::Released(product.clone()),
            (Stage::Approved, _) => {
                Voted::ApprovedUntil(state.job(&record.job).map_or_else(Self::now, decide::tick_of))
            }
            _ => Voted::Counted,
        })
    }

    /// Reads a sealed candidate back; its commitment must be the recorded one.
    pub(crate) fn candidate(&self, state: &State, run: &RunId) -> Result<Quarantined<Candidate>, Refusal> {
        let recorded = state.run(run).and_then(|r| r.candidate).ok_or_else(crate::run::host_fault)?;
        let bytes = self.vault.unseal(ObjectKind::Candidate, run.as_str()).map_err(vault_fault)?;
        Quarantined::reopen(&bytes, &recorded, &|bytes| self.commit_candidate(bytes))
    }

    pub(crate) fn commit_candidate(&self, bytes: &[u8]) -> Digest {
        self.vault.commit("candidate", bytes)
    }

    /// Approvals whose votes were recorded just before a crash.
    pub(crate) async fn recover_approvals(&self) -> Result<(), Refusal> {
        let state = self.snapshot().await?;
        for run in state.runs().filter(|r| r.stage == Stage::InReview) {
            if approval_now(&state, &run.id).is_ok() {
                self.record(SYSTEM, |state, _| approval_now(state, &run.id)).await?;
            }
        }
        Ok(())
    }
}

/// The approval that the votes make, while it is not recorded yet.
fn approval_now(state: &State, run: &RunId) -> Result<Approval, Refusal> {
    if state.run(run).is_some_and(|r| r.stage == Stage::InReview) {
        return Approval::of(state, run);
    }
    Err(Refusal::refused(
        "review.not-open",
        text("此候选已不在审核中", "this candidate is no longer in review"),
        text("回到收件箱", "go back to the inbox"),
    )
    .at(run.as_str()))
}

fn workbench(
    state: &State,
    who: &SignedIn,
    run: &RunId,
    candidate: &Candidate,
    (history, evidence): (Vec<sluice_gate::Finding>, Option<Evidence>),
    bits: Bits,
) -> Result<Workbench, Refusal> {
    let gone = crate::run::host_fault;
    let record: &RunState = state.run(run).ok_or_else(gone)?;
    let job = state.job(&record.job).ok_or_else(gone)?;
    let agreement = state.agreement(&job.contract.agreement).ok_or_else(gone)?;
    let needed = state.rulepack().review.votes_needed;
    let settled = !matches!(record.stage, Stage::InReview);
    let snapshots = record.snapshots.iter().filter_map(|(dataset, id)| {
        let snapshot = state.dataset(dataset)?.snapshots.iter().find(|s| s.id == *id)?;
        Some((dataset.clone(), id.clone(), snapshot.commitment))
    });
    // Votes on anything that is still in review stay blind.
    let settled_runs = state.runs().filter(|r| r.id != *run && r.stage != Stage::InReview);
    let earlier = settled_runs.flat_map(|r| {
        let same = state.job(&r.job).filter(|j| j.operator == job.operator && j.contract.name == job.contract.name);
        same.into_iter().flat_map(move |j| {
            r.votes.iter().filter(|v| !v.comment.is_empty()).map(move |v| (j.id.clone(), v.decision, v.comment.clone()))
        })
    });
    Ok(Workbench {
        run: run.clone(),
        job: job.id.clone(),
        raw: String::from_utf8(candidate.canonical_bytes()).unwrap_or_default(),
        commitment: record.candidate.ok_or_else(gone)?,
        charts: chart::of_tables(&candidate.tables, &job.contract),
        artefacts: candidate.report.artefacts().iter().map(Shown::of).collect(),
        said: made::all_said(&candidate.tables, &job.contract),
        findings: findings(candidate, job, state, history)?,
        evidence: evidence.map(|e| e.checks.into_iter().map(ShownCheck::of).collect()).unwrap_or_default(),
        changes: changes::since_approved(state, job, record),
        bits,
        candidate: candidate.clone(),
        contract: job.contract.clone(),
        contract_digest: job.contract_digest,
        agreement: agreement.clone(),
        submitted_by: (job.person.clone(), job.operator.clone()),
        submitted: job.at,
        snapshots: snapshots.collect(),
        charges: record.charges.clone(),
        my_vote: record.votes.iter().find(|v| v.reviewer == who.person().id).cloned(),
        votes: (record.votes.len(), needed),
        decided: settled.then(|| record.votes.clone()),
        earlier: earlier.collect(),
        tick: decide::tick_of(job),
        product: record.product.clone(),
    })
}

/// The gate's sentences, and one about what the host cannot show.
fn findings(
    candidate: &Candidate,
    job: &sluice_domain::state::JobState,
    state: &State,
    history: Vec<sluice_gate::Finding>,
) -> Result<Vec<Finding>, Refusal> {
    let weight = |risk| match risk {
        sluice_gate::Risk::High => Weight::Risk,
        sluice_gate::Risk::Medium | sluice_gate::Risk::Note => Weight::Note,
    };
    let mut found = sluice_gate::findings(candidate, &job.contract, state.rulepack())?;
    found.extend(history);
    found.sort_by_key(|finding| finding.risk);
    let mut found: Vec<_> = found.into_iter().map(|f| Finding { weight: weight(f.risk), text: f.text }).collect();
    if job.contract.held().next().is_some() {
        let notes = found.iter().position(|f| f.weight != Weight::Risk).unwrap_or(found.len());
        found.insert(notes, instalments(state, job));
    }
    let first_of_its_name =
        !state.jobs().any(|j| j.id != job.id && j.operator == job.operator && j.contract.name == job.contract.name);
    if first_of_its_name {
        found.push(Finding {
            weight: Weight::Note,
            text: text("该运营单位首次提交此名称的作业", "the operator's first job of this name"),
        });
    }
    found.push(Finding {
        weight: Weight::Limit,
        text: text(
            "与历史的比对不知道外部资料：已知某些人取值者还能推出什么，须由审核专家留意",
            "the comparison with history does not know what others know already: what that adds is the reviewers' to keep in mind",
        ),
    });
    Ok(found)
}

/// What the held products of `job`'s roots can carry, this one included: each product has its
/// cap, and what is too much for one may come in several.
fn instalments(state: &State, job: &sluice_domain::state::JobState) -> Finding {
    let roots = |run: &RunState| run.snapshots.iter().map(|(root, _)| root.clone()).collect::<BTreeSet<_>>();
    let own = job.run.as_ref().and_then(|run| state.run(run)).map(roots).unwrap_or_default();
    let of_roots = state.runs().filter(|r| r.candidate.is_some() && !roots(r).is_disjoint(&own));
    let bits = of_roots.filter_map(|r| {
        let contract = &state.job(&r.job)?.contract;
        contract.held().next().is_some().then(|| contract.held().map(Held::capacity_bits).sum::<f64>())
    });
    let (count, bits) = bits.fold((0, 0.0), |(count, sum), bits| (count + 1, sum + bits));
    let most = state.rulepack().evidence.held_capacity_bits_max;
    Finding {
        weight: if bits > most { Weight::Risk } else { Weight::Note },
        text: text(
            format!(
                "同一数据上的路线 D 产品至今 {count} 个（含本次），合计可容纳 {bits:.0} 比特；一个产品至多 {most:.0} 比特"
            ),
            format!(
                "{count} products of route D on these data so far, this one included, can hold {bits:.0} bits together; one may hold {most:.0}"
            ),
        ),
    }
}
