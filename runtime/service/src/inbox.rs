//! What each person sees: reviewers what waits for them, operators how their jobs
//! stand, everybody the products that are theirs to see, auditors the ledger.

use sluice_domain::{
    Refusal, Text, Timestamp,
    approval::Decision,
    candidate::{Candidate, CellValue},
    decide,
    event::{Actor, Entry, Event},
    id::{JobId, ProductId},
    person::Role,
    state::{JobState, ProductState, RunState, Stage, State},
    text,
};
use sluice_vault::ObjectKind;

use crate::{
    Service, SignedIn, chart,
    pages::{Inbox, JobStatus, LedgerLine, LedgerPage, OperatorJob, ProductFile, ProductLine, ProductPage, Waiting},
    record::{io_fault, ledger_fault, vault_fault},
};

/// Lines of a ledger page.
const LEDGER_LINES: u64 = 50;

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

    /// Whether `who` may start `job`: somebody of its operator.
    ///
    /// # Errors
    /// `job.unknown`, also for another operator's job.
    pub async fn may_run(&self, who: &SignedIn, job: &JobId) -> Result<(), Refusal> {
        let state = self.snapshot().await?;
        let theirs =
            state.job(job).is_some_and(|j| who.person().role == Role::Operator && j.operator == who.person().org);
        if theirs { Ok(()) } else { Err(crate::run::no_such_job(job)) }
    }

    /// The release tick of `job`, fixed when it was accepted.
    ///
    /// # Errors
    /// `job.unknown`.
    pub async fn tick(&self, job: &JobId) -> Result<Timestamp, Refusal> {
        self.snapshot().await?.job(job).map(decide::tick_of).ok_or_else(|| crate::run::no_such_job(job))
    }

    /// Whether `who` may replay runs: the bureau and auditors.
    ///
    /// # Errors
    /// `account.role`.
    pub async fn may_replay(&self, who: &SignedIn) -> Result<(), Refusal> {
        decide::require(&self.snapshot().await?, &who.person().id, &[Role::Bureau, Role::Auditor]).map(drop)
    }

    /// The products `who` may see, newest first.
    ///
    /// # Errors
    /// A fault of the ledger.
    pub async fn products(&self, who: &SignedIn) -> Result<Vec<ProductLine>, Refusal> {
        let state = self.snapshot().await?;
        let mine = state.products().filter(|p| decide::may_see_product(&state, &who.person().id, &p.id).is_ok());
        let mut lines: Vec<_> = mine.filter_map(|p| product_line(&state, p)).collect();
        lines.reverse();
        Ok(lines)
    }

    /// One released product. Withheld cells carry the one mark, no reasons.
    ///
    /// # Errors
    /// `product.unknown`.
    pub async fn product(&self, who: &SignedIn, id: &ProductId) -> Result<ProductPage, Refusal> {
        let state = self.snapshot().await?;
        let product = decide::may_see_product(&state, &who.person().id, id)?;
        let bytes = self.vault.unseal(ObjectKind::Candidate, product.run.as_str()).map_err(vault_fault)?;
        let candidate: Candidate = serde_json::from_slice(&bytes).map_err(|_| crate::run::host_fault())?;
        let mut tables = candidate.tables;
        let mut withheld = false;
        for cell in tables.iter_mut().flat_map(|t| t.cells.iter_mut()) {
            if let CellValue::Withheld(reasons) = &mut cell.value {
                reasons.clear();
                withheld = true;
            }
        }
        let files = product.files.iter().map(|(name, digest)| {
            let size = std::fs::metadata(self.home.product(id).join(name)).map(|m| m.len());
            size.map(|size| (name.clone(), *digest, size)).map_err(|e| io_fault("product.read", &e))
        });
        Ok(ProductPage {
            line: product_line(&state, product).ok_or_else(crate::run::host_fault)?,
            charts: tables.iter().map(|t| (t.name.clone(), chart::draw(t))).collect(),
            files: files.collect::<Result<_, _>>()?,
            next_steps: if withheld { next_steps() } else { Vec::new() },
            tables,
        })
    }

    /// A file of a product; the download is recorded first.
    ///
    /// # Errors
    /// `product.unknown`, `product.damaged` when the file is not what was released.
    pub async fn download(&self, who: &SignedIn, id: &ProductId, file: &str) -> Result<ProductFile, Refusal> {
        let state = self.snapshot().await?;
        let product = decide::may_see_product(&state, &who.person().id, id)?;
        let unknown = || {
            Refusal::refused(
                "product.unknown",
                text("没有这个文件", "there is no such file"),
                text("查看产品页", "look at the product's page"),
            )
            .at(file)
        };
        let (name, digest) = product.files.iter().find(|(name, _)| name == file).ok_or_else(unknown)?;
        let bytes = std::fs::read(self.home.product(id).join(name)).map_err(|e| io_fault("product.read", &e))?;
        if sluice_domain::Digest::of(&bytes) != *digest {
            return Err(Refusal::new(
                sluice_domain::Kind::Verification,
                "product.damaged",
                text("文件与出域时不一致", "the file is not what was released"),
                text("联系主管部门", "tell the bureau"),
            )
            .at(file));
        }
        let (product, file, person) = (id.clone(), name.clone(), who.person().id.clone());
        self.record(who.actor(), |_, _| {
            Ok(Event::ProductDownloaded { product: product.clone(), file: file.clone(), person: person.clone() })
        })
        .await?;
        let media_type = match name.rsplit('.').next() {
            Some("csv") => "text/csv; charset=utf-8",
            Some("html") => "text/html; charset=utf-8",
            Some("json") => "application/json",
            _ => "application/octet-stream",
        };
        Ok(ProductFile { name: name.clone(), media_type, bytes })
    }

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

fn product_line(state: &State, product: &ProductState) -> Option<ProductLine> {
    let job = state.run(&product.run).and_then(|r| state.job(&r.job))?;
    Some(ProductLine {
        id: product.id.clone(),
        title: job.contract.product.title.clone(),
        form: job.contract.product.form,
        operator: job.operator.clone(),
        released: product.at,
    })
}

/// What to do about withheld cells: the same for every table, whatever the data.
fn next_steps() -> Vec<Text> {
    vec![
        text("合并相邻类别，或使用更粗的分箱", "merge neighbouring categories, or use coarser bins"),
        text("去掉一个维度，或不发布合计", "drop a dimension, or publish no totals"),
        text(
            "改走 A 路：加噪声的计数与求和不需要隐去单元格",
            "take route A: noised counts and sums need no cell withheld",
        ),
    ]
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
        Event::LedgerExported { .. } => text("导出审计日志", "ledger exported"),
    }
}
