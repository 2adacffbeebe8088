//! 合规安全审核: votes, and the approval that two of them make.

use serde::{Deserialize, Serialize};

use crate::{
    Digest, Timestamp,
    event::{Event, Recordable},
    id::{PersonId, RunId},
    lang::text,
    person::{Role, Signature},
    refusal::Refusal,
    state::State,
};

/// What a reviewer decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// 通过.
    Approve,
    /// 退回: the operator may change the job and submit it again.
    Return,
    /// 驳回.
    Reject,
}

impl Decision {
    /// The word that is signed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Return => "return",
            Self::Reject => "reject",
        }
    }
}

/// One reviewer's signed decision about one candidate's bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vote {
    /// The run whose candidate it is about.
    pub run: RunId,
    /// Keyed commitment to the candidate's bytes.
    pub candidate: Digest,
    /// Who.
    pub reviewer: PersonId,
    /// What.
    pub decision: Decision,
    /// Why; required for return and reject.
    pub comment: String,
    /// When.
    pub at: Timestamp,
    /// The reviewer's signature over [`vote_message`].
    pub signature: Signature,
}

/// The bytes that a reviewer signs. The comment goes in as its digest, so that no
/// text can imitate another field.
pub fn vote_message(
    run: &RunId,
    candidate: &Digest,
    reviewer: &PersonId,
    decision: Decision,
    comment: &str,
    at: Timestamp,
) -> Vec<u8> {
    let comment = Digest::of(comment.as_bytes());
    format!("sluice vote v1\n{run}\n{candidate}\n{reviewer}\n{}\n{comment}\n{at}\n", decision.as_str()).into_bytes()
}

/// Proof that enough different people, none of them the author's, approved the
/// same bytes. Not `Clone`, not `Deserialize`: it is recomputed from signed
/// entries every time, and used up by the release.
#[derive(Debug)]
pub struct Approval {
    run: RunId,
    candidate: Digest,
    votes: Vec<Vote>,
}

impl Approval {
    /// Recomputes the approval of `run` from the votes the ledger holds.
    ///
    /// # Errors
    /// `review.undecided` while votes are missing, `review.not-approved` when one
    /// of them is a no, `review.bad-vote` when a signature does not hold.
    pub fn of(state: &State, run: &RunId) -> Result<Self, Refusal> {
        let no = |code, zh: &str, en: &str| {
            Refusal::refused(
                code,
                text(zh, en),
                text("等待两位不同的审核专家投票", "wait for the votes of two different reviewers"),
            )
            .at(run.as_str())
        };
        let undecided = || no("review.undecided", "尚未得到两位审核专家的通过", "two reviewers have not approved yet");
        let record = state.run(run).ok_or_else(undecided)?;
        let candidate = record.candidate.ok_or_else(undecided)?;
        let job = state.job(&record.job).ok_or_else(undecided)?;
        let votes = &record.votes;
        for (i, vote) in votes.iter().enumerate() {
            let person = state.person(&vote.reviewer);
            let message =
                vote_message(&vote.run, &vote.candidate, &vote.reviewer, vote.decision, &vote.comment, vote.at);
            let stands = person.is_some_and(|p| {
                p.role == Role::Reviewer
                    && p.org != job.operator
                    && p.id != job.person
                    && p.key.verifies(&message, &vote.signature)
            });
            let twice = votes.iter().take(i).any(|earlier| earlier.reviewer == vote.reviewer);
            if !stands || twice || vote.candidate != candidate || vote.run != *run {
                return Err(no(
                    "review.bad-vote",
                    "投票签名、身份或所指内容不符，投票作废",
                    "a vote's signature, person or subject does not hold: it is void",
                ));
            }
        }
        if votes.iter().any(|v| v.decision != Decision::Approve) {
            return Err(no("review.not-approved", "有审核专家退回或驳回", "a reviewer returned or rejected it"));
        }
        if votes.len() < state.rulepack().review.votes_needed.max(2) {
            return Err(undecided());
        }
        Ok(Self { run: run.clone(), candidate, votes: votes.clone() })
    }

    /// The run that was approved.
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// Keyed commitment to the bytes that were approved.
    pub fn candidate(&self) -> &Digest {
        &self.candidate
    }

    /// The votes it rests on.
    pub fn votes(&self) -> &[Vote] {
        &self.votes
    }
}

impl Recordable for Approval {
    fn event(&self) -> Event {
        Event::Approved { run: self.run.clone(), candidate: self.candidate, votes: self.votes.clone() }
    }
}
