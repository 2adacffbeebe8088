//! 审计日志, page by page: what happened, in a few words and in full.

use sluice_domain::{
    Refusal, Text, decide,
    event::{Actor, Entry, Event},
    person::Role,
    state::{Stage, State},
    text,
};

use crate::{
    Service, SignedIn,
    pages::{LedgerLine, LedgerPage},
    record::ledger_fault,
};

/// Lines of a ledger page.
const LEDGER_LINES: u64 = 50;

impl Service {
    /// A page of the ledger, newest first, for the bureau, reviewers and auditors.
    ///
    /// # Errors
    /// `account.role`.
    pub async fn ledger_page(&self, who: &SignedIn, before: Option<u64>) -> Result<LedgerPage, Refusal> {
        let state = self.snapshot().await?;
        decide::require(&state, &who.person().id, &[Role::Auditor, Role::Bureau, Role::Reviewer])?;
        let total = state.next_seq();
        let end = before.unwrap_or(total).min(total);
        let start = end.saturating_sub(LEDGER_LINES);
        let entries = self.ledger.read_from(start).await.map_err(ledger_fault)?;
        let mut lines: Vec<_> =
            entries.iter().filter(|e| e.seq < end).filter(|e| may_read(&state, who, e)).map(ledger_line).collect();
        lines.reverse();
        let checkpoint = self.ledger.checkpoint().await.map_err(ledger_fault)?.note().to_owned();
        Ok(LedgerPage { lines, total, checkpoint, older: (start > 0).then_some(start) })
    }
}

/// Votes stay blind until a candidate is decided: a reviewer does not read the
/// others' in the ledger either.
fn may_read(state: &State, who: &SignedIn, entry: &Entry) -> bool {
    match &entry.event {
        Event::VoteCast { vote } if who.person().role == Role::Reviewer => {
            vote.reviewer == who.person().id || state.run(&vote.run).is_none_or(|r| r.stage != Stage::InReview)
        }
        _ => true,
    }
}

fn ledger_line(entry: &Entry) -> LedgerLine {
    LedgerLine {
        seq: entry.seq,
        at: entry.at,
        actor: match &entry.actor {
            Actor::Person(id) => Some(id.clone()),
            Actor::System => None,
        },
        summary: summary(&entry.event),
        json: serde_json::to_string_pretty(entry).unwrap_or_default(),
    }
}

fn summary(event: &Event) -> Text {
    match event {
        Event::DomainCreated { name, .. } => text(format!("建域 {name}"), format!("domain {name} created")),
        Event::PersonEnrolled { person } => text(format!("登记账号 {}", person.id), format!("{} enrolled", person.id)),
        Event::SignedIn { person } => text(format!("{person} 登录"), format!("{person} signed in")),
        Event::SignInFailed { .. } => text("登录失败", "sign-in failed"),
        Event::DatasetRegistered { entry } => {
            text(format!("登记数据集 {}", entry.dataset.id), format!("dataset {} registered", entry.dataset.id))
        }
        Event::SnapshotSealed { dataset, snapshot, .. } => {
            text(format!("{dataset} 入库为 {snapshot}"), format!("{dataset} ingested as {snapshot}"))
        }
        Event::AgreementSigned { agreement } => {
            text(format!("签订协议 {}", agreement.agreement.id), format!("agreement {} signed", agreement.agreement.id))
        }
        Event::JobAccepted { job, .. } => text(format!("受理作业 {job}"), format!("{job} accepted")),
        Event::JobRefused { code, .. } => text(format!("拒绝提交 {code}"), format!("submission refused: {code}")),
        Event::RunStarted { run, .. } => text(format!("{run} 计费并开始"), format!("{run} charged and started")),
        Event::RunFinished { run, .. } => {
            text(format!("{run} 完成，候选已封存"), format!("{run} finished, candidate sealed"))
        }
        Event::RunVoid { run, .. } => text(format!("{run} 作废"), format!("{run} is void")),
        Event::CandidateOpened { run, reviewer } => {
            text(format!("{reviewer} 打开 {run} 的候选"), format!("{reviewer} opened the candidate of {run}"))
        }
        Event::VoteCast { vote } => {
            text(format!("{} 对 {} 投票", vote.reviewer, vote.run), format!("{} voted on {}", vote.reviewer, vote.run))
        }
        Event::Approved { run, .. } => text(format!("{run} 通过审核"), format!("{run} approved")),
        Event::ProductReleased { product, .. } => text(format!("{product} 出域"), format!("{product} released")),
        Event::ProductDownloaded { product, file, .. } => {
            text(format!("下载 {product} 的 {file}"), format!("{file} of {product} downloaded"))
        }
        Event::MarkTraced { file } => text(format!("追查水印 {file}"), format!("mark of {file} traced")),
        Event::DomainRestored { years, .. } if years.is_empty() => {
            text("由备份恢复，其后的日志已补齐", "restored from a copy, its later entries presented")
        }
        Event::DomainRestored { .. } => text(
            "由备份恢复，其后的日志缺失：余下预算全部记为已用",
            "restored from a copy without its later entries: what was left of the budgets is charged",
        ),
        Event::LedgerExported { .. } => text("导出审计日志", "ledger exported"),
    }
}
