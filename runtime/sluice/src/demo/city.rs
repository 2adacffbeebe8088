//! The demo's city: a domain of kind `demo`, its people, its data, its agreement.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, anyhow};
use sluice_domain::{
    Refusal,
    approval::Decision,
    event::DomainKind,
    id::{JobId, ProductId, RunId},
    person::{PublicKey, Role},
    text,
};
use sluice_service::{
    Home, Kek, Programs, Service, SignedIn,
    pages::{Ballot, Voted},
};
use sluice_worker::{LayerName, LayerStatus};
use zeroize::Zeroizing;

use crate::{commands::Failure, demo::pace::Pace, output::Output};

/// The demo accounts' password. They exist in demo domains only, and a demo domain
/// is served on loopback only.
const PASSWORD: &str = "sluice-demo";
/// The catalogue file of the demo's data.
pub const CATALOGUE: &str = include_str!("../../../../guest-examples/domain/randhie.toml");
/// The demo's agreement file.
pub const AGREEMENT: &str = include_str!("../../../../guest-examples/domain/insurance-pricing-2026.toml");
const PEOPLE: [(&str, &str, &str, Role); 6] = [
    ("lin-bureau", "林主管（主管部门）", "data-bureau", Role::Bureau),
    ("wang-health", "王工（卫健数据）", "health-bureau", Role::Provider),
    ("chen-insurance", "陈经理（授权运营单位）", "ning-an-insurance", Role::Operator),
    ("zhao-reviewer", "赵专家（审核）", "review-panel", Role::Reviewer),
    ("qian-reviewer", "钱专家（审核）", "review-panel", Role::Reviewer),
    ("sun-auditor", "孙审计", "audit-office", Role::Auditor),
];

/// A demo domain at work, with everybody signed in.
pub struct City {
    /// The domain.
    pub service: Service,
    /// Where it lies.
    pub home: Home,
    /// Its public key.
    pub key: PublicKey,
    /// 主管部门.
    pub bureau: SignedIn,
    /// 数据提供单位.
    pub provider: SignedIn,
    /// 授权运营单位.
    pub operator: SignedIn,
    /// 审计.
    pub auditor: SignedIn,
    /// 审核专家.
    pub reviewers: [SignedIn; 2],
    /// How slow the machine was when it was founded.
    pub pace: Pace,
}

/// The demo accounts' password.
pub fn password() -> Zeroizing<String> {
    Zeroizing::new(PASSWORD.to_owned())
}

/// Says who can sign in to the demo's console.
pub(super) fn introduce(output: &Output) {
    let names: Vec<_> = PEOPLE.iter().map(|(id, ..)| *id).collect();
    output.say(&text(
        format!("演示账号（口令均为 {PASSWORD}，仅限本机演示）：{}", names.join("、")),
        format!("demo accounts (password {PASSWORD}, loopback only): {}", names.join(", ")),
    ));
}

impl City {
    /// Makes the domain in `folder`, its key beside it, takes `data` (the RAND HIE
    /// columns) in and signs the agreement.
    ///
    /// # Errors
    /// Whatever the verbs say.
    pub async fn found(folder: &Path, data: &Path, output: &Output) -> Result<Self, Failure> {
        Self::found_with(folder, data, CATALOGUE, AGREEMENT, output).await
    }

    /// The same with another catalogue and agreement.
    ///
    /// # Errors
    /// Whatever the verbs say.
    pub async fn found_with(
        folder: &Path,
        data: &Path,
        catalogue: &str,
        agreement: &str,
        output: &Output,
    ) -> Result<Self, Failure> {
        output.say(&text(
            "建立演示域，登记人员与目录",
            "making a demo domain, enrolling people, registering the catalogue",
        ));
        let began = Instant::now();
        std::fs::create_dir_all(folder.parent().unwrap_or(Path::new("."))).context("folder")?;
        let key_file = beside(folder);
        let kek = if key_file.exists() { Kek::from_file(&key_file) } else { Kek::generate_file(&key_file) };
        let programs = Programs::beside_current_exe().map_err(|e| e.refusal())?;
        let missing = missing_layers(&programs)?;
        let programs = programs.accepting_missing(&missing);
        let service = Service::init(folder, kek.map_err(Refusal::from)?, "demo", DomainKind::Demo, programs).await?;
        accept(folder, &missing)?;
        enrol(&service).await?;

        let provider = service.sign_in("wang-health", password()).await?;
        let bar =
            output.progress(&text("归集兰德健康保险实验，逐列加密：行", "ingesting RAND HIE, a key per column: rows"));
        let shown = bar.clone();
        let ingested = service.ingest(&provider, catalogue, data, move |done, _| shown.set_position(done)).await;
        bar.finish_and_clear();
        let ingested = ingested?;
        output.say(&text(
            format!("入库 {} 行、{} 人，快照 {}", ingested.rows, ingested.roster_size, ingested.snapshot),
            format!("{} rows of {} persons taken in as {}", ingested.rows, ingested.roster_size, ingested.snapshot),
        ));
        let bureau = service.sign_in("lin-bureau", password()).await?;
        service.sign_agreement(&bureau, agreement).await?;

        let operator = service.sign_in("chen-insurance", password()).await?;
        let auditor = service.sign_in("sun-auditor", password()).await?;
        let reviewers =
            [service.sign_in("zhao-reviewer", password()).await?, service.sign_in("qian-reviewer", password()).await?];
        let key = service.snapshot().await?.domain().map(|d| d.ledger_key).context("domain")?;
        let pace = Pace::of_founding(began.elapsed());
        Ok(Self { service, home: Home::new(folder), key, bureau, provider, operator, auditor, reviewers, pace })
    }

    /// Both reviewers open the candidate and approve what they saw.
    ///
    /// # Errors
    /// Whatever the verbs say.
    pub async fn approve(&self, run: &RunId) -> Result<(), Failure> {
        for reviewer in &self.reviewers {
            let seen = self.service.open_candidate(reviewer, run).await?.commitment;
            let ballot = Ballot { run: run.clone(), seen, decision: Decision::Approve, comment: String::new() };
            if matches!(self.service.vote(reviewer, password(), ballot).await?, Voted::Declined) {
                return Err(anyhow!("{run} was declined").into());
            }
        }
        Ok(())
    }

    /// Waits for the release tick and answers with the product.
    ///
    /// # Errors
    /// Whatever the verbs say.
    pub async fn released(&self, job: &JobId, run: &RunId) -> Result<ProductId, Failure> {
        let state = self.service.snapshot().await?;
        tokio::time::sleep(super::until_tick(state.job(job).context("job")?)).await;
        self.service.release_due().await?;
        let state = self.service.snapshot().await?;
        Ok(state.run(run).and_then(|r| r.product.clone()).context("the approved run was not released")?)
    }
}

async fn enrol(service: &Service) -> Result<(), Failure> {
    let mut bureau = None;
    for (id, name, org, role) in PEOPLE {
        let id = id.parse().map_err(anyhow::Error::from)?;
        let org = org.parse().map_err(anyhow::Error::from)?;
        service.enrol(bureau.as_ref(), id, name.to_owned(), org, role, password()).await?;
        if bureau.is_none() {
            bureau = Some(service.sign_in("lin-bureau", password()).await?);
        }
    }
    Ok(())
}

/// Layers of isolation that this host lacks. A demo holds public data and goes on
/// without them, having said so aloud; its configuration names them.
pub(crate) fn missing_layers(programs: &Programs) -> Result<Vec<LayerName>, Failure> {
    let layers = sluice_worker::layers(programs).map_err(|e| e.refusal())?;
    Ok(layers.iter().filter(|l| l.status != LayerStatus::InForce).map(|l| l.name).collect())
}

fn accept(folder: &Path, missing: &[LayerName]) -> Result<(), Failure> {
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = missing.iter().map(|name| format!("\"{name}\"")).collect();
    let configuration = format!("accept_missing_layers = [{}]\n", names.join(", "));
    Ok(std::fs::write(folder.join("sluice.toml"), configuration).context("configuration")?)
}

/// The key lies beside the domain's folder, never in it.
fn beside(folder: &Path) -> PathBuf {
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(".key");
    folder.with_file_name(name)
}
