//! A job becomes a frozen contract; an accepted job becomes a charged run.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Digest, Timestamp,
    contract::{
        Aggregate, Contract, ContractInput, Dimension, JobFile, Limits, LimitsFile, MarkPolicy, MeasureA, ProductTerms,
        Share, Table, TableA, TableC, TableFile, TableFileA, Tabulation,
    },
    day_of,
    event::{Event, job_message},
    id::{DatasetId, JobId, PersonId, RunId},
    lang::text,
    person::{Role, Signature},
    refusal::{Kind, Refusal},
    rulepack::RulePack,
    state::{JobState, State},
};

use super::require;

/// Largest rounding base of a mark: a coarser number would say little.
const MARK_BASE_MAX: u32 = 1_000_000;

/// What the planner found out about a job file's SQL and names. Public facts only.
pub struct Resolved {
    /// Inputs with their schemas.
    pub inputs: BTreeMap<String, ContractInput>,
    /// Declared dimensions that the inputs' views offer, by name.
    pub dimensions: BTreeMap<String, Dimension>,
    /// Reduced SQL of the route-C tables, by table name.
    pub tabulations: BTreeMap<String, Tabulation>,
    /// SHA-256 of the guest component.
    pub guest: Option<Digest>,
}

fn bad(code: &'static str, place: impl Into<String>, zh: impl Into<String>, en: impl Into<String>) -> Refusal {
    Refusal::refused(code, text(zh, en), text("改正作业文件后重新提交", "correct the job file and submit it again"))
        .at(place)
}

/// Freezes a job file into its contract: every name resolved, every number costed.
///
/// # Errors
/// `job.*` refusals that name the field.
pub fn freeze(file: JobFile, resolved: Resolved, rulepack: &RulePack) -> Result<Contract, Refusal> {
    let routes_a = file.tables.iter().filter(|t| matches!(t, TableFile::A(_))).count();
    if file.tables.is_empty() {
        return Err(bad("job.no-table", "table", "合约须至少有一张表", "a contract has at least one table"));
    }
    if routes_a > 1 {
        return Err(bad(
            "job.one-map",
            "table",
            "目前一个作业只能有一张 A 路表",
            "a job has one route-A table at present",
        ));
    }
    if (routes_a == 1) != resolved.guest.is_some() {
        return Err(bad(
            "job.guest",
            "job.guest",
            "A 路表需要且仅 A 路表需要客体组件",
            "a route-A table needs a guest, and nothing else does",
        ));
    }
    if (routes_a == 1) != (resolved.inputs.len() == 1) {
        return Err(bad(
            "job.inputs",
            "inputs",
            "A 路表须恰有一个输入，C 路表没有输入",
            "a route-A table has exactly one input, route C has none",
        ));
    }
    let limits = limits(&file.limits, rulepack)?;
    let mut tables = Vec::with_capacity(file.tables.len());
    for (i, table) in file.tables.into_iter().enumerate() {
        let frozen = match table {
            TableFile::A(file) => Table::A(table_a(file, &resolved, rulepack)?),
            TableFile::C { name, sql, totals } => {
                let plan =
                    resolved.tabulations.get(&name).cloned().ok_or_else(|| {
                        bad("job.table", format!("table.{i}"), "表未能规划", "the table was not planned")
                    })?;
                Table::C(TableC { name, sql, plan, totals })
            }
        };
        tables.push(frozen);
    }
    let mut names: Vec<_> = tables.iter().map(Table::name).collect();
    names.sort_unstable();
    if names.windows(2).any(|w| w.first() == w.last()) {
        return Err(bad("job.table-name", "table.name", "表名重复", "two tables have the same name"));
    }
    for name in names {
        let fits = (1..=64).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
        if !fits {
            return Err(bad(
                "job.table-name",
                "table.name",
                "表名只能由小写字母、数字、- 和 _ 组成",
                "a table's name has a-z, 0-9, - and _ only",
            ));
        }
    }
    marks(&file.product)?;
    let rho = tables.iter().map(|t| if let Table::A(a) = t { a.rho } else { 0.0 }).sum();
    Ok(Contract {
        version: 1,
        name: file.job.name,
        agreement: file.job.agreement,
        scenario: file.job.scenario,
        rulepack: rulepack.version.clone(),
        guest: resolved.guest,
        params: file.params,
        inputs: resolved.inputs,
        tables,
        limits,
        product: file.product,
        rho,
    })
}

/// The limits that a job file asks for, filled in from the rule pack.
///
/// # Errors
/// `job.limits` with the field that is above the rule pack's ceiling.
pub fn limits(file: &LimitsFile, rulepack: &RulePack) -> Result<Limits, Refusal> {
    let rules = &rulepack.limits;
    let within = |field: &str, ok: bool| {
        if ok {
            Ok(())
        } else {
            Err(bad("job.limits", format!("limits.{field}"), "超出规则包的上限", "above the rule pack's ceiling"))
        }
    };
    let limits = Limits {
        fuel: file.fuel.unwrap_or(rules.fuel),
        memory_mib: file.memory_mib.unwrap_or(rules.memory_mib),
        rows_max: file.rows_max.unwrap_or(rules.rows_max),
        wall_seconds: file.wall_seconds.unwrap_or(rules.wall_seconds),
    };
    within("fuel", (1..=rules.fuel_max).contains(&limits.fuel))?;
    within("memory_mib", (1..=rules.memory_mib_max).contains(&limits.memory_mib))?;
    within("rows_max", (1..=rules.rows_max_max).contains(&limits.rows_max))?;
    within("wall_seconds", (1..=rules.wall_seconds_max).contains(&limits.wall_seconds))?;
    Ok(limits)
}

/// A mark needs a base that rounds, and recipients that can be told apart.
fn marks(product: &ProductTerms) -> Result<(), Refusal> {
    let distinct: BTreeSet<_> = product.recipients.iter().collect();
    let plain = |name: &String| (1..=64).contains(&name.len()) && !name.chars().any(char::is_control);
    if distinct.len() != product.recipients.len() || !product.recipients.iter().all(plain) {
        return Err(bad(
            "job.recipients",
            "product.recipients",
            "接收方不得重复，名称 1 至 64 字节",
            "recipients are distinct, with names of 1 to 64 bytes",
        ));
    }
    match product.mark {
        MarkPolicy::Rounding(base) if !(2..=MARK_BASE_MAX).contains(&base) => Err(bad(
            "job.mark",
            "product.mark",
            format!("水印的取整基数为 2 至 {MARK_BASE_MAX}"),
            format!("a mark rounds to a base of 2 to {MARK_BASE_MAX}"),
        )),
        _ => Ok(()),
    }
}

fn table_a(file: TableFileA, resolved: &Resolved, rulepack: &RulePack) -> Result<TableA, Refusal> {
    let TableFileA { name, dimensions, measures, keys_per_unit, rho, noise, shares } = file;
    let place = |field: &str| format!("table.{name}.{field}");
    if measures.is_empty() || keys_per_unit == 0 {
        return Err(bad(
            "job.measures",
            place("measures"),
            "须至少有一个度量，keys_per_unit 至少为 1",
            "at least one measure, and keys_per_unit of at least 1",
        ));
    }
    if !(rho.is_finite() && rho > 0.0) || rho > rulepack.budget.rho_per_product {
        let most = rulepack.budget.rho_per_product;
        return Err(bad(
            "job.rho",
            place("rho"),
            format!("每个产品的 ρ 须大于 0 且不超过 {most}"),
            format!("ρ of a product is above 0 and at most {most}"),
        ));
    }
    let dimensions = dimensions
        .iter()
        .map(|d| {
            resolved.dimensions.get(d).cloned().ok_or_else(|| {
                bad(
                    "job.dimension",
                    place(&format!("dimensions.{d}")),
                    "输入的视图没有这个带代码表的维度",
                    "the input's view has no such dimension with a code list",
                )
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let measures = measures
        .into_iter()
        .map(|(measure, spec)| {
            let grid = f64::from(spec.grid);
            let [lo, hi] = spec.sum.map(|bound| bound * grid);
            // 2⁵³: beyond it a float no longer counts grid units exactly.
            let exact = |x: f64| x.is_finite() && x.fract() == 0.0 && x.abs() <= 9_007_199_254_740_992.0;
            if spec.grid == 0 || !exact(lo) || !exact(hi) || lo > hi || (lo == 0.0 && hi == 0.0) {
                return Err(bad(
                    "job.clamp",
                    place(&format!("measures.{measure}")),
                    "上下界须为网格的整数倍，且下界不大于上界",
                    "bounds are multiples of the grid, lowest first, not both zero",
                ));
            }
            #[expect(clippy::cast_possible_truncation, reason = "whole and within 2⁵³, checked above")]
            Ok(MeasureA { name: measure, lo: lo as i64, hi: hi as i64, grid: spec.grid })
        })
        .collect::<Result<Vec<_>, Refusal>>()?;
    let known = |measure: &String| measures.iter().any(|m| m.name == *measure);
    if !shares.iter().all(|(share, [of, per])| known(of) && known(per) && !known(share)) {
        return Err(bad(
            "job.share",
            place("shares"),
            "比率须由本表的两个度量构成，且不与度量同名",
            "a share is made of two measures of the table and has a name of its own",
        ));
    }
    let shares = shares.into_iter().map(|(name, [of, per])| Share { name, of, per }).collect();
    let table = TableA { name: name.clone(), dimensions, measures, keys_per_unit, rho, noise, shares };
    if table.cells().is_none_or(|n| n > rulepack.disclosure.cells_max) || table.sigma().is_none() {
        return Err(bad(
            "job.too-large",
            place("dimensions"),
            "表的声明域过大",
            "the table's declared domain is too large",
        ));
    }
    Ok(table)
}

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
    if contract.rulepack != state.rulepack().version {
        return Err(bad(
            "job.rulepack",
            "rulepack",
            "规则包已更新，请重新提交",
            "the rule pack has changed: submit again",
        ));
    }
    charges(state, &contract, now)?;
    let digest = contract.digest();
    if !person.key.verifies(&job_message(&digest, by), &signature) {
        return Err(Refusal::new(
            Kind::Verification,
            "job.signature",
            text("提交的签名不符", "the submission's signature does not hold"),
            text("重新登录后再提交", "sign in again and submit"),
        ));
    }
    let job = JobId::numbered(state.next_seq());
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
/// `job.already-run`, `job.tick-passed`, `agreement.not-in-force`, `job.budget`.
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
    let granted = state.authorise(&job.contract.agreement, now)?;
    let charges = charges(state, &job.contract, now)?;
    let snapshots =
        granted.get().iter().map(|v| (v.view.dataset.clone(), v.snapshot.clone())).collect::<BTreeMap<_, _>>();
    let run = RunId::numbered(state.next_seq());
    let event = Event::RunStarted {
        run: run.clone(),
        job: job.id.clone(),
        snapshots: snapshots.into_iter().collect(),
        charges,
    };
    Ok((run, event))
}

/// ρ per dataset root, if every budget holds. Depends on the contract and on
/// earlier charges alone, never on data.
fn charges(state: &State, contract: &Contract, now: Timestamp) -> Result<Vec<(DatasetId, f64)>, Refusal> {
    if contract.rho <= 0.0 {
        return Ok(Vec::new());
    }
    let year = day_of(now).year();
    let over = |left: f64| {
        let left = left.max(0.0);
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
    let left = agreement.agreement.rho_per_year - state.spent_under(&contract.agreement, year);
    if contract.rho > left + 1e-12 {
        return over(left);
    }
    // Every root that the agreement's views could touch is charged: an upper bound
    // that no choice of input can get around.
    let roots: std::collections::BTreeSet<_> = agreement.views.values().map(|v| v.dataset.clone()).collect();
    for root in &roots {
        let left = state.rulepack().budget.rho_per_root_and_year - state.spent(root, year);
        if contract.rho > left + 1e-12 {
            return over(left);
        }
    }
    Ok(roots.into_iter().map(|root| (root, contract.rho)).collect())
}

/// The moment fixed by the contract at which its result may first be seen outside
/// the bureau, however long the run took.
pub fn tick_of(job: &JobState) -> Timestamp {
    job.at
        .checked_add(jiff::SignedDuration::from_secs(i64::from(job.contract.limits.wall_seconds)))
        .unwrap_or(Timestamp::MAX)
}

impl Table {
    /// The table's name.
    pub fn name(&self) -> &str {
        match self {
            Self::A(a) => &a.name,
            Self::C(c) => &c.name,
        }
    }
}

impl Aggregate {
    /// Whether it is a count or a sum: numbers that may be rounded and stay useful.
    pub fn adds_up(self) -> bool {
        matches!(self, Self::Rows | Self::Units | Self::Count | Self::Sum)
    }

    /// Whether it counts (and so has no magnitude rules of its own).
    pub fn is_count(self) -> bool {
        matches!(self, Self::Rows | Self::Units | Self::Count)
    }
}
