//! Votes, release, and who may see a product.

use crate::{
    Timestamp,
    approval::{Decision, Vote, vote_message},
    event::Event,
    id::{PersonId, ProductId, RunId},
    lang::text,
    person::{Person, Role},
    refusal::{Kind, Refusal},
    state::{ProductState, Stage, State},
};

use super::{job::tick_of, require};

/// What existence must stay secret answers as if it did not exist.
fn no_such_run(run: &RunId) -> Refusal {
    Refusal::refused(
        "review.unknown",
        text("没有这个待审候选", "there is no such candidate"),
        text("回到收件箱", "go back to the inbox"),
    )
    .at(run.as_str())
}

/// Whether `by` may open the candidate of `run`: reviewers not of the submitting
/// operator, while it is in review or later.
///
/// # Errors
/// `account.role`, `review.unknown`, `review.own-work`.
pub fn may_open<'a>(state: &'a State, by: &PersonId, run: &RunId) -> Result<&'a Person, Refusal> {
    let person = require(state, by, &[Role::Reviewer])?;
    let record = state.run(run).filter(|r| r.candidate.is_some()).ok_or_else(|| no_such_run(run))?;
    let job = state.job(&record.job).ok_or_else(|| no_such_run(run))?;
    if job.operator == person.org || job.person == person.id {
        return Err(Refusal::refused(
            "review.own-work",
            text("不得审核本单位的作业", "nobody reviews their own organisation's work"),
            text("请由其他审核专家审核", "leave it to another reviewer"),
        ));
    }
    Ok(person)
}

/// Checks a signed vote. A vote on other bytes than the recorded candidate's is void.
///
/// # Errors
/// `review.not-open`, `review.twice`, `review.comment`, `review.stale`,
/// `review.signature`, and those of [`may_open`].
pub fn record_vote(state: &State, vote: Vote) -> Result<Event, Refusal> {
    let person = may_open(state, &vote.reviewer, &vote.run)?;
    let record = state.run(&vote.run).ok_or_else(|| no_such_run(&vote.run))?;
    let no = |code, zh: &str, en: &str, next_zh: &str, next_en: &str| {
        Err(Refusal::refused(code, text(zh, en), text(next_zh, next_en)).at(vote.run.as_str()))
    };
    if record.stage != Stage::InReview {
        return no(
            "review.not-open",
            "此候选已不在审核中",
            "this candidate is no longer in review",
            "回到收件箱",
            "go back to the inbox",
        );
    }
    if record.votes.iter().any(|v| v.reviewer == vote.reviewer) {
        return no(
            "review.twice",
            "您已对此候选投过票",
            "you have voted on this candidate",
            "等待另一位审核专家",
            "wait for the other reviewer",
        );
    }
    if !record.opened_by.contains(&vote.reviewer) {
        return no(
            "review.unread",
            "须先打开候选再投票",
            "open the candidate before you vote",
            "打开审核工作台",
            "open the workbench",
        );
    }
    if vote.decision != Decision::Approve && vote.comment.trim().is_empty() {
        return no(
            "review.comment",
            "退回或驳回须写明意见",
            "a return or a rejection needs a comment",
            "写明意见后再投票",
            "write the comment and vote again",
        );
    }
    if record.candidate != Some(vote.candidate) {
        return no(
            "review.stale",
            "候选内容与所见不符，投票作废",
            "the candidate is not the one you saw: the vote is void",
            "重新打开候选",
            "open the candidate again",
        );
    }
    let message = vote_message(&vote.run, &vote.candidate, &vote.reviewer, vote.decision, &vote.comment, vote.at);
    if !person.key.verifies(&message, &vote.signature) {
        return Err(Refusal::new(
            Kind::Verification,
            "review.signature",
            text("投票签名不符", "the vote's signature does not hold"),
            text("重新登录后再投票", "sign in again and vote"),
        ));
    }
    Ok(Event::VoteCast { vote })
}

/// Names the product that an approved run becomes, once its tick has come.
///
/// # Errors
/// `release.not-approved`, `release.before-tick`.
pub fn release(state: &State, run: &RunId, now: Timestamp) -> Result<ProductId, Refusal> {
    let record = state.run(run).filter(|r| r.stage == Stage::Approved).ok_or_else(|| {
        Refusal::refused(
            "release.not-approved",
            text("尚未通过审核", "it has not been approved"),
            text("等待审核", "wait for the review"),
        )
        .at(run.as_str())
    })?;
    let tick = state.job(&record.job).map(tick_of).unwrap_or(Timestamp::MAX);
    if now < tick {
        return Err(Refusal::refused(
            "release.before-tick",
            text(format!("合约约定的出域时刻是 {tick}"), format!("the contract's release tick is {tick}")),
            text("到时自动出域", "it is released then"),
        )
        .at(run.as_str()));
    }
    Ok(ProductId::of_run(run))
}

/// The product, if `by` may see it: its operator, reviewers, the bureau, auditors.
///
/// # Errors
/// `product.unknown`, also for a product of another operator.
pub fn may_see_product<'a>(state: &'a State, by: &PersonId, id: &ProductId) -> Result<&'a ProductState, Refusal> {
    let unknown = || {
        Refusal::refused(
            "product.unknown",
            text("没有这个产品", "there is no such product"),
            text("查看产品目录", "look at the product list"),
        )
        .at(id.as_str())
    };
    let person = state.person(by).ok_or_else(unknown)?;
    let product = state.product(id).ok_or_else(unknown)?;
    let operator = state.run(&product.run).and_then(|r| state.job(&r.job)).map(|j| &j.operator);
    let may = match person.role {
        Role::Operator => operator == Some(&person.org),
        Role::Bureau | Role::Reviewer | Role::Auditor => true,
        Role::Provider => false,
    };
    if may { Ok(product) } else { Err(unknown()) }
}
