//! A frozen contract becomes a job; an accepted job becomes a charged run.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Timestamp,
    agreement::Agreement,
    contract::{Contract, Table},
    day_of,
    event::{Event, job_message},
    id::{DatasetId, JobId, PersonId, RunId},
    lang::text,
    person::{Role, Signature},
    refusal::{Kind, Refusal},
    state::{GrantedView, JobState, Spent, State},
};

use super::{freeze::bad, held::allows, require};

/// Takes a frozen contract in as a job.
///
/// # Errors
/// `account.role`, `job.scenario`, `job.form`, `job.budget`, `job.signature`.
pub fn accept_job(
    state: &State,
    by: &PersonId,
    contract: Contract,
    signature: Signature,
    now: Timestamp,
) -> Result<(JobId, Event), Refusal> {
    let person = require(state, by, &[Role::Operator])?;
    let agreement = state.agreement_of(&person.org, &contract.agreement)?;
    state.authorise(&contract.agreement, now)?;
    let terms = &agreement.agreement;
    if contract.scenario != terms.scenario {
        return Err(bad(
            "job.scenario",
            "job.scenario",
            "未经审批的应用场景：作业的场景与协议不符",
            "the job's scenario is not the agreement's",
        ));
    }
    if !terms.forms.contains(&contract.product.form) {
        return Err(bad(
            "job.form-of-product",
            "product.form",
            "协议未授权这种产品形态",
            "the agreement does not allow this form of product",
        ));
    }
    rules_in_force(state, &contract)?;
    allows(terms, &contract)?;
    history_known(state, &contract)?;
    charges(state, &contract, None, now)?;
    let digest = contract.digest();
    if !person.key.verifies(&job_message(&digest, by), &signature) {
        return Err(Refusal::new(
            Kind::Verification,
            "job.signature",
            text("提交的签名不符", "the submission's signature does not hold"),
            text("重新登录后再提交", "sign in again and submit"),
        ));
    }
    let job = JobId::numbered(state.next_number());
    let event = Event::JobAccepted {
        job: job.clone(),
        person: by.clone(),
        operator: person.org.clone(),
        contract: Box::new(contract),
        contract_digest: digest,
        signature,
    };
    Ok((job, event))
}

/// Charges an accepted job and lets it start. The charge is never refunded.
///
/// # Errors
/// `job.already-run`, `job.rulepack`, `job.catalogue`, `job.tick-passed`, `agreement.not-in-force`, `job.budget`.
pub fn start_run(state: &State, job: &JobState, now: Timestamp) -> Result<(RunId, Event), Refusal> {
    if job.run.is_some() {
        return Err(bad(
            "job.already-run",
            job.id.as_str(),
            "作业已运行过；一份合约只运行一次",
            "the job has run: a contract runs once",
        ));
    }
    if now >= tick_of(job) {
        return Err(bad(
            "job.tick-passed",
            job.id.as_str(),
            "合约约定的出域时刻已过，未曾运行，未计费",
            "the contract's release tick has passed; it did not run and was not charged",
        ));
    }
    rules_in_force(state, &job.contract)?;
    let granted = state.authorise(&job.contract.agreement, now)?;
    catalogue_as_frozen(granted.get(), &job.contract)?;
    history_known(state, &job.contract)?;
    let charges = charges(state, &job.contract, Some(&job.id), now)?;
    let snapshots =
        granted.get().iter().map(|v| (v.view.dataset.clone(), v.snapshot.clone())).collect::<BTreeMap<_, _>>();
    let run = RunId::numbered(job.id.number());
    let event = Event::RunStarted {
        run: run.clone(),
        job: job.id.clone(),
        snapshots: snapshots.into_iter().collect(),
        charges,
        delta: job.contract.delta,
    };
    Ok((run, event))
}

/// What is left of a year's budgets, for the jobs that are not accepted yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Left {
    /// ρ of the agreement.
    pub agreement: f64,
    /// ρ and δ of every root that its views could touch.
    pub roots: Vec<(DatasetId, Spent)>,
}

/// Jobs that were accepted and may still start, but for `own`. Their cost is set aside: a
/// job is charged when it starts, and when it starts tells how long the runs before it took.
fn waiting<'a>(state: &'a State, own: Option<&JobId>, now: Timestamp) -> impl Iterator<Item = &'a JobState> {
    state.jobs().filter(move |j| j.run.is_none() && now < tick_of(j) && own != Some(&j.id))
}

/// What is set aside of `root` for accepted jobs other than `own`.
pub fn set_aside(state: &State, root: &DatasetId, own: Option<&JobId>, now: Timestamp) -> Spent {
    let touches = |job: &&JobState| {
        state.agreement(&job.contract.agreement).is_some_and(|a| a.views.values().any(|v| v.dataset == *root))
    };
    waiting(state, own, now).filter(touches).fold(Spent::default(), |mut sum, job| {
        sum += Spent { rho: job.contract.rho, delta: job.contract.delta };
        sum
    })
}

/// What `agreement` and its roots have left in the year of `now`, once every accepted job
/// but `own` is paid for.
pub fn left(state: &State, agreement: &Agreement, own: Option<&JobId>, now: Timestamp) -> Left {
    let (year, budget, terms) = (day_of(now).year(), &state.rulepack().budget, &agreement.agreement);
    let open = if state.is_closed(year) { 0.0 } else { 1.0 };
    let root = |root: DatasetId| {
        let mut spent = state.spent(&root, year);
        spent += set_aside(state, &root, own, now);
        let rho = open * (budget.rho_per_root_and_year - spent.rho).max(0.0);
        let delta = open * (budget.delta_per_root_and_year - spent.delta).max(0.0);
        (root, Spent { rho, delta })
    };
    let theirs = waiting(state, own, now).filter(|j| j.contract.agreement == terms.id);
    let charged = state.spent_under(&terms.id, year) + theirs.map(|j| j.contract.rho).sum::<f64>();
    // Every root that the agreement's views could touch is charged: an upper bound
    // that no choice of input can get around.
    let roots: BTreeSet<DatasetId> = agreement.views.values().map(|v| v.dataset.clone()).collect();
    Left { agreement: open * (terms.rho_per_year - charged).max(0.0), roots: roots.into_iter().map(root).collect() }
}

/// ρ per dataset root, if every budget holds. Depends on the contract and on
/// what was accepted earlier alone, never on data.
fn charges(
    state: &State,
    contract: &Contract,
    own: Option<&JobId>,
    now: Timestamp,
) -> Result<Vec<(DatasetId, f64)>, Refusal> {
    if contract.rho <= 0.0 {
        return Ok(Vec::new());
    }
    let over = |left: f64| {
        Err(Refusal::refused(
            "job.budget",
            text(
                format!("隐私预算不足：本作业需要 ρ = {}，本年余 {left:.4}", contract.rho),
                format!("not enough privacy budget: the job costs ρ = {}, {left:.4} is left this year", contract.rho),
            ),
            text("降低 ρ，或等待下一年度", "lower ρ, or wait for the next year"),
        ))
    };
    let Some(agreement) = state.agreement(&contract.agreement) else { return over(0.0) };
    let left = left(state, agreement, own, now);
    let least = left.roots.iter().map(|(_, left)| left.rho).fold(left.agreement, f64::min);
    if contract.rho > least + 1e-12 {
        return over(least);
    }
    if let Some((_, left)) = left.roots.iter().find(|(_, left)| contract.delta > left.delta + 1e-24) {
        return Err(no_delta(contract.delta, left.delta));
    }
    Ok(left.roots.into_iter().map(|(root, _)| (root, contract.rho)).collect())
}

/// A contract was judged and costed by the numbers of its rule pack: under others it is
/// frozen again.
fn rules_in_force(state: &State, contract: &Contract) -> Result<(), Refusal> {
    let (theirs, ours) = (&contract.rulepack, &state.rulepack().version);
    if theirs == ours {
        return Ok(());
    }
    Err(Refusal::refused(
        "job.rulepack",
        text(
            format!("合约按规则包 {theirs} 冻结，现行规则包为 {ours}；未曾运行，未计费"),
            format!("the contract was frozen under rule pack {theirs}, in force is {ours}; it did not run and was not charged"),
        ),
        text("把同一作业文件重新提交，按现行规则包冻结", "submit the same job file again: it is frozen under the rule pack in force"),
    )
    .at("rulepack"))
}

/// What everybody knows to be empty is what the contract takes for empty: where the
/// catalogue or its snapshot says otherwise by now, the contract is frozen again.
fn catalogue_as_frozen(granted: &[GrantedView], contract: &Contract) -> Result<(), Refusal> {
    let tables = contract.tables_c();
    let changed = granted.iter().find(|view| {
        let known = view.entry.combinations();
        tables.iter().any(|(table, _)| table.plan.view == view.id && table.plan.impossible != known)
    });
    changed.map_or(Ok(()), |view| {
        Err(Refusal::refused(
            "job.catalogue",
            text(
                "合约冻结之后，目录声明的不可能组合已变更；未曾运行，未计费",
                "the catalogue declares other impossible combinations than the contract was frozen with; it did not run and was not charged",
            ),
            text("把同一作业文件重新提交，按现行目录冻结", "submit the same job file again: it is frozen with the catalogue in force"),
        )
        .at(view.id.as_str()))
    })
}

/// A table of route C or D is held against everything that was released. After a restore
/// that lost entries, nobody knows what that was.
fn history_known(state: &State, contract: &Contract) -> Result<(), Refusal> {
    if !state.forgot() || contract.tables.iter().all(Table::is_noised) {
        return Ok(());
    }
    Err(Refusal::refused(
        "job.history-lost",
        text(
            "本域曾由旧备份恢复且缺失其后的日志，无从比对已发布的内容，不再作路线 C 与 D 的表",
            "this domain was restored without its later entries: what was released is not known, so there is no table of route C or D",
        ),
        text("改走路线 A 或 B", "take route A or B"),
    ))
}

fn no_delta(delta: f64, left: f64) -> Refusal {
    Refusal::refused(
        "job.budget",
        text(
            format!("隐私预算不足：本作业需要 δ = {delta:e}，本年余 {left:e}"),
            format!("not enough privacy budget: the job costs δ = {delta:e}, {left:e} is left this year"),
        ),
        text("降低 δ，或等待下一年度", "lower δ, or wait for the next year"),
    )
}

/// The moment fixed by the contract at which its result may first be seen outside
/// the bureau, however long the run took.
pub fn tick_of(job: &JobState) -> Timestamp {
    job.at.checked_add(jiff::SignedDuration::from_secs(i64::from(job.contract.tick_seconds))).unwrap_or(Timestamp::MAX)
}
