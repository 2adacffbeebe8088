//! A job file becomes its contract: every name resolved, every number judged and
//! costed, the release tick fixed. Depends on public facts alone.

use std::collections::{BTreeMap, BTreeSet};

use super::held;
use crate::{
    Digest, Refusal,
    catalogue::{ColumnType, Key},
    contract::{
        Consistent, Contract, ContractInput, DeclaredDimension, Dimension, DimensionFile, Event, JobFile, KeysFile,
        Law, Limits, LimitsFile, MarkPolicy, MeasureA, OpenTable, Regression, Report, Rounds, Share, SumSpec, Survival,
        Table, TableA, TableB, TableC, TableFile, TableFileA, TableFileB, TableFileD, Tabulation, Term,
    },
    id::ViewId,
    lang::text,
    rulepack::RulePack,
    visible::hidden_in,
};

/// Form of the contract.
const VERSION: u32 = 2;
/// Largest rounding base of a mark: a coarser number would say little.
const MARK_BASE_MAX: u32 = 1_000_000;
/// Name of the table that tells an outer room its parameters.
const RESERVED: &str = "params";
/// Column of every product file.
const STATUS: &str = "status";
/// Longest name of a job, and title of a product.
const NAME_CHARS_MAX: usize = 120;
/// Least ρ of a table: 10⁶ times what a sum of charges in an f64 can lose.
const RHO_MIN: f64 = 1e-9;
/// 2⁵³: beyond it a float no longer counts grid units exactly.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// What the planner found out about a job file's SQL and names. Public facts only.
pub struct Resolved {
    /// Inputs with their schemas.
    pub inputs: BTreeMap<String, ContractInput>,
    /// Declared dimensions that the inputs' views offer, by name.
    pub dimensions: BTreeMap<String, Dimension>,
    /// Reduced SQL of the route-C tables, by table name.
    pub tabulations: BTreeMap<String, Tabulation>,
    /// The regressions of route C, by table name.
    pub regressions: BTreeMap<String, Regression>,
    /// The survival curves of route C, by table name.
    pub survivals: BTreeMap<String, Survival>,
    /// SHA-256 of the guest components: of `[job]`, `[rounds]` and `[report]`.
    pub guests: [Option<Digest>; 3],
    /// Units on the published rosters of the datasets that the inputs read.
    pub roster_size: u64,
}

pub(super) fn bad(
    code: &'static str,
    place: impl Into<String>,
    zh: impl Into<String>,
    en: impl Into<String>,
) -> Refusal {
    Refusal::refused(code, text(zh, en), text("改正作业文件后重新提交", "correct the job file and submit it again"))
        .at(place)
}

/// Freezes a job file into its contract.
///
/// # Errors
/// `job.*` refusals that name the field.
pub fn freeze(file: JobFile, resolved: Resolved, rulepack: &RulePack) -> Result<Contract, Refusal> {
    let answered = file.tables.iter().filter(|t| !matches!(t, TableFile::C { .. })).count();
    readable(&file)?;
    has_what_it_needs(&file, &resolved, answered)?;
    let limits = limits(&file.limits, rulepack)?;
    marks(&file)?;
    held::stands_alone(&file)?;
    let mut tables = file
        .tables
        .into_iter()
        .map(|table| match table {
            TableFile::A(a) if a.keys == KeysFile::Unknown => open_table(a, rulepack).map(Table::Open),
            TableFile::A(a) => table_a(a, &resolved, rulepack).map(Table::A),
            TableFile::B(b) => table_b(b, &resolved, rulepack).map(Table::B),
            TableFile::C { name, sql, survival: Some(_), regression, .. } => {
                let survival = resolved.survivals.get(&name).cloned();
                let survival = survival.filter(|_| sql.is_empty() && regression.is_none());
                survival.map(Table::Survival).ok_or_else(|| {
                    let place = format!("table.{name}.survival");
                    let en = "a table has one of `sql`, `regression` and `survival`";
                    bad("job.table", place, "sql、回归与生存曲线只能有一项", en)
                })
            }
            TableFile::D(d) => held::table(d, &resolved, &limits).map(Table::D),
            TableFile::C { name, sql, regression: Some(_), .. } => {
                let regression = resolved.regressions.get(&name).cloned().filter(|_| sql.is_empty());
                regression.map(Table::Regression).ok_or_else(|| {
                    let place = format!("table.{name}.regression");
                    bad("job.table", place, "回归与 sql 不能并用", "a table has `sql` or `regression`, not both")
                })
            }
            TableFile::C { name, sql, totals, regression: None, survival: None } => {
                let plan = resolved.tabulations.get(&name).cloned();
                let plan = plan.ok_or_else(|| {
                    bad("job.table", format!("table.{name}"), "表未能规划", "the table was not planned")
                })?;
                Ok(Table::C(TableC { name, sql, plan, totals }))
            }
        })
        .collect::<Result<Vec<_>, Refusal>>()?;
    names(&tables)?;
    Survival::share_grids(&mut tables);
    held::within_capacity(&tables, rulepack)?;
    let [guest, updates, composes] = resolved.guests;
    let rounds = match (file.rounds, updates) {
        (Some(rounds), Some(guest)) => {
            if !(2..=rulepack.limits.rounds_max).contains(&rounds.count) {
                let most = rulepack.limits.rounds_max;
                return Err(bad(
                    "job.rounds",
                    "rounds.count",
                    format!("轮数须为 2 至 {most}"),
                    format!("2 to {most} rounds"),
                ));
            }
            Some(Rounds { count: rounds.count, guest })
        }
        _ => None,
    };
    let report = file.report.zip(composes).map(|(report, guest)| Report { guest, params: report.params });
    let passes = rounds.as_ref().map_or(1, |r| r.count);
    let rho = f64::from(passes) * tables.iter().map(Table::rho).sum::<f64>();
    let most = rulepack.budget.rho_per_product;
    if rho > most {
        return Err(bad(
            "job.rho",
            if rounds.is_some() { "rounds.count" } else { "table" },
            format!("整个产品的 ρ（轮数 × 各表之和）为 {rho}，不得超过 {most}"),
            format!("rho of the whole product (rounds × the tables' sum) is {rho}, at most {most}"),
        ));
    }
    let delta = f64::from(passes) * tables.iter().map(Table::delta).sum::<f64>();
    let most = rulepack.budget.delta_per_product;
    if delta > most {
        return Err(bad(
            "job.delta",
            if rounds.is_some() { "rounds.count" } else { "table" },
            format!("整个产品的 δ（轮数 × 各表之和）为 {delta:e}，不得超过 {most:e}"),
            format!("delta of the whole product (rounds × the tables' sum) is {delta:e}, at most {most:e}"),
        ));
    }
    let updates = rounds.as_ref().map_or(0, |r| r.count);
    let outer_calls = updates + u32::from(report.is_some());
    let tick_seconds = tick(&tables, passes, outer_calls, &limits, resolved.roster_size, rulepack)?;
    Ok(Contract {
        version: VERSION,
        name: file.job.name,
        agreement: file.job.agreement,
        scenario: file.job.scenario,
        rulepack: rulepack.version.clone(),
        guest,
        profile: file.job.profile,
        params: file.params,
        inputs: resolved.inputs,
        tables,
        rounds,
        report,
        limits,
        tick_seconds,
        product: file.product,
        rho,
        delta,
    })
}

/// Judges what of a job file needs no domain: guests and inputs where they belong,
/// clamps, grids, ρ, blocks, rounds, names, marks and limits. Every name counts as a
/// column with one code and the roster as empty, so that nothing is refused that a
/// domain would take; SQL, columns, sizes of code lists and the tick are not judged.
///
/// # Errors
/// As [`freeze`].
pub fn check(file: JobFile, rulepack: &RulePack) -> Result<(), Refusal> {
    let view: ViewId =
        "any".parse().map_err(|_| bad("job.form", "inputs", "视图名有误", "the view's name is wrong"))?;
    let models = file.tables.iter().filter_map(|t| if let TableFile::D(d) = t { d.model.as_ref() } else { None });
    let explained: BTreeSet<&String> = models.flat_map(|m| m.features.iter().chain([&m.outcome])).collect();
    let columns: Vec<_> = explained.into_iter().map(|name| (name.clone(), ColumnType::Float)).collect();
    let input = |sql: &str| ContractInput { view: view.clone(), sql: sql.to_owned(), columns: columns.clone() };
    let named = |table: &TableFile| match table {
        TableFile::A(TableFileA { dimensions, .. })
        | TableFile::B(TableFileB { dimensions, .. })
        | TableFile::D(TableFileD { dimensions, .. }) => dimensions.clone(),
        TableFile::C { .. } => Vec::new(),
    };
    let dimensions = file.tables.iter().flat_map(named).filter_map(|dimension| match dimension {
        DimensionFile::Column(name) => {
            let domain = vec![(Key::Int(0), String::new())];
            Some((name.clone(), Dimension { title: name.clone(), name, domain, base: None }))
        }
        DimensionFile::Declared(_) => None,
    });
    let nothing = Tabulation {
        view: view.clone(),
        dimensions: Vec::new(),
        measures: Vec::new(),
        filter: Vec::new(),
        derived: BTreeMap::new(),
        impossible: Vec::new(),
    };
    let guests = [file.job.guest.is_some(), file.rounds.is_some(), file.report.is_some()];
    let resolved = Resolved {
        inputs: file.inputs.iter().map(|(name, i)| (name.clone(), input(&i.sql))).collect(),
        dimensions: dimensions.collect(),
        tabulations: file
            .tables
            .iter()
            .filter_map(
                |t| if let TableFile::C { name, .. } = t { Some((name.clone(), nothing.clone())) } else { None },
            )
            .collect(),
        regressions: file.tables.iter().filter_map(unresolved).collect(),
        survivals: file.tables.iter().filter_map(unresolved_curve).collect(),
        guests: guests.map(|named| named.then(|| Digest::of(b""))),
        roster_size: 0,
    };
    freeze(file, resolved, rulepack).map(drop)
}

/// A regression whose names were not looked up.
fn unresolved(table: &TableFile) -> Option<(String, Regression)> {
    let TableFile::C { name, regression: Some(file), .. } = table else { return None };
    let plan = Regression {
        name: name.clone(),
        view: file.view.clone(),
        outcome: file.outcome.clone(),
        terms: file.terms.iter().cloned().map(Term::Number).collect(),
        filter: Vec::new(),
        derived: BTreeMap::new(),
        impossible: Vec::new(),
    };
    Some((name.clone(), plan))
}

/// A survival curve whose names were not looked up.
fn unresolved_curve(table: &TableFile) -> Option<(String, Survival)> {
    let TableFile::C { name, survival: Some(file), .. } = table else { return None };
    let plan = Survival {
        name: name.clone(),
        view: file.view.clone(),
        time: file.time.clone(),
        event: Event::Measure(String::new()),
        by: Vec::new(),
        steps: file.steps.clone(),
        grid: file.steps.clone(),
        filter: Vec::new(),
        impossible: Vec::new(),
    };
    Some((name.clone(), plan))
}

/// Reviewers and recipients read the file's texts by their look, its SQL among them: none
/// may hold a character that shows nothing or moves its neighbours.
fn readable(file: &JobFile) -> Result<(), Refusal> {
    for (place, words) in [("job.name", &file.job.name), ("product.title", &file.product.title)] {
        let fits = !words.trim().is_empty() && words.chars().count() <= NAME_CHARS_MAX;
        if !fits || words.contains(char::is_control) {
            let (zh, en) = (
                format!("须为一行，1 至 {NAME_CHARS_MAX} 字"),
                format!("one line of 1 to {NAME_CHARS_MAX} characters"),
            );
            return Err(bad("job.name", place, zh, en));
        }
    }
    match hidden_in(file) {
        None => Ok(()),
        Some(place) => Err(bad(
            "job.hidden-character",
            place,
            "含不可见或改变排列方向的字符",
            "it holds a character that shows nothing or moves its neighbours",
        )),
    }
}

/// Guests and inputs are there where they are needed, and nowhere else.
fn has_what_it_needs(file: &JobFile, resolved: &Resolved, answered: usize) -> Result<(), Refusal> {
    let [guest, updates, composes] = &resolved.guests;
    if file.tables.is_empty() {
        return Err(bad("job.no-table", "table", "合约须至少有一张表", "a contract has at least one table"));
    }
    if (answered > 0) != guest.is_some() {
        return Err(bad(
            "job.guest",
            "job.guest",
            "A、B、D 路的表需要客体组件，C 路不需要",
            "tables of routes A, B and D need a guest, and nothing else does",
        ));
    }
    if (answered > 0) == file.inputs.is_empty() {
        return Err(bad(
            "job.inputs",
            "inputs",
            "A、B、D 路的表须有输入，C 路没有输入",
            "tables of routes A, B and D need an input, route C has none",
        ));
    }
    for (wanted, there, place) in [
        (file.rounds.is_some(), updates.is_some(), "rounds.guest"),
        (file.report.is_some(), composes.is_some(), "report.guest"),
    ] {
        if wanted != there {
            return Err(bad("job.guest", place, "缺少外室组件", "the outer room's component is missing"));
        }
    }
    if file.rounds.is_some() && answered == 0 {
        return Err(bad(
            "job.rounds",
            "rounds",
            "只有 C 路表的作业没有轮次",
            "a job of route-C tables alone has no rounds",
        ));
    }
    Ok(())
}

fn names(tables: &[Table]) -> Result<(), Refusal> {
    let mut seen = BTreeSet::new();
    for name in tables.iter().map(Table::name) {
        let place = format!("table.{name}.name");
        if !seen.insert(name) || name == RESERVED {
            return Err(bad("job.table-name", place, "表名重复或为保留字", "the name is taken or reserved"));
        }
        let fits = (1..=64).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
        if !fits {
            return Err(bad(
                "job.table-name",
                place,
                "表名只能由小写字母、数字、- 和 _ 组成",
                "a table's name has a-z, 0-9, - and _ only",
            ));
        }
    }
    Ok(())
}

/// The limits that a job file asks for, filled in from the rule pack.
///
/// # Errors
/// `job.limits` with the field that is above the rule pack's ceiling.
fn limits(file: &LimitsFile, rulepack: &RulePack) -> Result<Limits, Refusal> {
    let rules = &rulepack.limits;
    let limits = Limits {
        fuel: file.fuel.unwrap_or(rules.fuel),
        outer_fuel: file.outer_fuel.unwrap_or(rules.outer_fuel),
        memory_mib: file.memory_mib.unwrap_or(rules.memory_mib),
        stack_kib: file.stack_kib.unwrap_or(rules.stack_kib),
        input_rows: file.input_rows.unwrap_or(rules.input_rows),
        rows_max: file.rows_max.unwrap_or(rules.rows_max),
        output_kib: file.output_kib.unwrap_or(rules.output_kib),
        instances: file.instances.unwrap_or(rules.instances),
        wall_seconds: file.wall_seconds.unwrap_or(rules.wall_seconds),
    };
    for (field, is, most) in [
        ("fuel", limits.fuel, rules.fuel_max),
        ("outer_fuel", limits.outer_fuel, rules.outer_fuel_max),
        ("memory_mib", limits.memory_mib.into(), rules.memory_mib_max.into()),
        ("stack_kib", limits.stack_kib.into(), rules.stack_kib_max.into()),
        ("input_rows", limits.input_rows.into(), rules.input_rows_max.into()),
        ("rows_max", limits.rows_max.into(), rules.rows_max_max.into()),
        ("output_kib", limits.output_kib.into(), rules.output_kib_max.into()),
        ("instances", limits.instances.into(), rules.instances_max.into()),
        ("wall_seconds", limits.wall_seconds.into(), rules.wall_seconds_max.into()),
    ] {
        if !(1..=most).contains(&is) {
            return Err(bad(
                "job.limits",
                format!("limits.{field}"),
                format!("须为 1 至 {most}（规则包的上限）"),
                format!("1 to {most}, the rule pack's ceiling"),
            ));
        }
    }
    Ok(limits)
}

/// The release tick: what the run may take at worst if every invocation uses all of
/// its fuel. It rests on the contract and the published roster, so that no guest can
/// move it by what it sees.
fn tick(
    tables: &[Table],
    passes: u32,
    outer_calls: u32,
    limits: &Limits,
    roster_size: u64,
    rulepack: &RulePack,
) -> Result<u32, Refusal> {
    let (cap, rules) = (limits.wall_seconds, &rulepack.tick);
    if !tables.iter().any(Table::is_answered) {
        return Ok(cap);
    }
    let call = u128::from(rules.invocation_micros) + u128::from(limits.fuel.div_ceil(rules.fuel_per_micro.max(1)));
    let pass = |table: &Table| {
        let calls = match table {
            Table::A(_) | Table::Open(_) => u128::from(roster_size),
            Table::B(b) => u128::from(b.blocks),
            Table::C(_) | Table::Regression(_) | Table::Survival(_) => return 0,
            // The evidence runs the guest again, one call after the other; rows are read
            // for the product, for the gate and for the evidence.
            Table::D(_) => {
                return 3 * u128::from(roster_size) * u128::from(rules.unit_micros)
                    + u128::from(rulepack.evidence.held_calls()) * call;
            }
        };
        u128::from(roster_size) * u128::from(rules.unit_micros) + calls * call / u128::from(limits.instances.max(1))
    };
    let outer = u128::from(limits.outer_fuel.div_ceil(rules.fuel_per_micro.max(1)));
    let micros = u128::from(passes) * tables.iter().map(pass).sum::<u128>() + u128::from(outer_calls) * outer;
    let seconds = u128::from(rules.host_seconds) + micros.div_ceil(1_000_000);
    u32::try_from(seconds).ok().filter(|s| *s <= cap).ok_or_else(|| {
        Refusal::refused(
            "job.tick",
            text(
                format!("名册 × 燃料所需的最长时间为 {seconds} 秒，超过 wall_seconds = {cap}"),
                format!("the roster × fuel may take {seconds} s at worst, beyond wall_seconds = {cap}"),
            ),
            text(
                "降低 limits.fuel 或轮数，提高 limits.wall_seconds，或改走 B 路",
                "lower limits.fuel or the rounds, raise limits.wall_seconds, or take route B",
            ),
        )
        .at("limits.wall_seconds")
    })
}

/// A mark needs a base that rounds, and recipients that can be told apart.
fn marks(file: &JobFile) -> Result<(), Refusal> {
    let product = &file.product;
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
        MarkPolicy::Rounding(_) if file.tables.iter().any(adds_up) => Err(bad(
            "job.mark",
            "product.mark",
            "加了水印的合计不再等于各格之和，不能与 adds-up 同用",
            "marked margins are no longer the sums of their cells: a mark cannot go with `adds-up`",
        )),
        MarkPolicy::Rounding(_) if file.report.is_some() => Err(bad(
            "job.mark",
            "product.mark",
            "报告由外室按未加水印的数字写成，不能与水印同用",
            "a report is written from unmarked numbers: it cannot go with a mark",
        )),
        _ => Ok(()),
    }
}

fn adds_up(table: &TableFile) -> bool {
    matches!(table, TableFile::A(a) if a.consistent == Some(Consistent::AddsUp))
}

fn table_a(file: TableFileA, resolved: &Resolved, rulepack: &RulePack) -> Result<TableA, Refusal> {
    let TableFileA { name, dimensions, keys: _, key, delta, measures, keys_per_unit, rho, noise, shares, consistent } =
        file;
    let place = |field: &str| format!("table.{name}.{field}");
    if key.is_some() || delta.is_some() {
        return Err(bad(
            "job.keys",
            place(if key.is_some() { "key" } else { "delta" }),
            "key 与 delta 只用于 keys = \"unknown\" 的表",
            "`key` and `delta` are for tables with keys = \"unknown\" alone",
        ));
    }
    if measures.is_empty() || keys_per_unit == 0 {
        return Err(bad(
            "job.measures",
            place("measures"),
            "须至少有一个度量，keys_per_unit 至少为 1",
            "at least one measure, and keys_per_unit of at least 1",
        ));
    }
    check_rho(rho, rulepack).map_err(|r| r.at(place("rho")))?;
    let dimensions = dimensions_of(dimensions, resolved, &name)?;
    let measures = sums(&name, measures)?;
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
    let table = TableA { name: name.clone(), dimensions, measures, keys_per_unit, rho, noise, shares, consistent };
    fits(&table, rulepack)?;
    let (zh, en) = match consistent {
        Some(Consistent::NonNegative) if table.measures.iter().any(|m| m.lo < 0) => (
            "non-negative 要求每个度量的下界不小于 0",
            "`non-negative` needs measures whose range starts at 0 or above",
        ),
        Some(Consistent::AddsUp) if noise != Law::Gaussian || table.dimensions.is_empty() => {
            ("adds-up 要求高斯噪声，且至少有一个维度", "`adds-up` needs Gaussian noise and a dimension at least")
        }
        _ => return Ok(table),
    };
    Err(bad("job.consistent", place("consistent"), zh, en))
}

/// A table whose keys the guest names.
fn open_table(file: TableFileA, rulepack: &RulePack) -> Result<OpenTable, Refusal> {
    let TableFileA { name, dimensions, keys: _, key, delta, measures, keys_per_unit, rho, noise, shares, consistent } =
        file;
    let place = |field: &str| format!("table.{name}.{field}");
    let (Some(key), Some(delta)) = (key, delta) else {
        return Err(bad(
            "job.keys",
            place("keys"),
            "keys = \"unknown\" 须给出 key 与 delta",
            "keys = \"unknown\" needs `key` and `delta`",
        ));
    };
    if !dimensions.is_empty() || !shares.is_empty() || consistent.is_some() || keys_per_unit == 0 {
        return Err(bad(
            "job.keys",
            place("keys"),
            "未知键的表没有 dimensions、shares 与 consistent，keys_per_unit 至少为 1",
            "a table of unknown keys has no dimensions, shares or consistent, and keys_per_unit of at least 1",
        ));
    }
    check_rho(rho, rulepack).map_err(|r| r.at(place("rho")))?;
    let most = rulepack.budget.delta_per_product;
    if !(delta.is_finite() && delta > 0.0 && delta <= most) {
        return Err(bad(
            "job.delta",
            place("delta"),
            format!("δ 须大于 0 且不超过 {most:e}"),
            format!("delta is above 0 and at most {most:e}"),
        ));
    }
    let taken = |word: &str| word == OpenTable::UNITS || word == STATUS;
    if !is_word(&key.name) || taken(&key.name) || measures.contains_key(&key.name) || measures.keys().any(|m| taken(m))
    {
        return Err(bad(
            "job.keys",
            place("key"),
            "键列与度量的名称不得重复，也不得为 units 或 status",
            "the key column and the measures have names of their own, other than `units` and `status`",
        ));
    }
    let title = key.title.unwrap_or_else(|| key.name.clone());
    let measures = sums(&name, measures)?;
    Ok(OpenTable { name, key: key.name, title, keys: key.kind, measures, keys_per_unit, law: noise, rho, delta })
}

/// Clamped sums, in alphabetical order.
fn sums(table: &str, measures: BTreeMap<String, SumSpec>) -> Result<Vec<MeasureA>, Refusal> {
    let sum = |(name, spec): (String, SumSpec)| {
        let (lo, hi) = clamp(table, &name, spec.sum, spec.grid)?;
        Ok(MeasureA { name, lo, hi, grid: spec.grid })
    };
    measures.into_iter().map(sum).collect()
}

fn is_word(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn table_b(file: TableFileB, resolved: &Resolved, rulepack: &RulePack) -> Result<TableB, Refusal> {
    let TableFileB { name, dimensions, measures, blocks, combine, rho } = file;
    let place = |field: &str| format!("table.{name}.{field}");
    if measures.is_empty() {
        return Err(bad("job.measures", place("measures"), "须至少有一个度量", "at least one measure"));
    }
    let most = rulepack.limits.blocks_max;
    if !(2..=most).contains(&blocks) {
        return Err(bad("job.blocks", place("blocks"), format!("块数须为 2 至 {most}"), format!("2 to {most} blocks")));
    }
    check_rho(rho, rulepack).map_err(|r| r.at(place("rho")))?;
    let dimensions = dimensions_of(dimensions, resolved, &name)?;
    let measures = measures
        .into_iter()
        .map(|(measure, spec)| {
            let (lo, hi) = clamp(&name, &measure, spec.range, spec.grid)?;
            if lo == hi {
                return Err(bad(
                    "job.clamp",
                    place(&format!("measures.{measure}")),
                    "范围的上下界相等",
                    "the range has one value only",
                ));
            }
            Ok(MeasureA { name: measure, lo, hi, grid: spec.grid })
        })
        .collect::<Result<Vec<_>, Refusal>>()?;
    let table = TableB { name: name.clone(), dimensions, measures, blocks, combine, rho };
    match table.as_sums() {
        Some(sums) => fits(&sums, rulepack)?,
        None => return Err(too_large(&name)),
    }
    Ok(table)
}

fn check_rho(rho: f64, rulepack: &RulePack) -> Result<(), Refusal> {
    let most = rulepack.budget.rho_per_product;
    if (RHO_MIN..=most).contains(&rho) {
        return Ok(());
    }
    Err(bad(
        "job.rho",
        "rho",
        format!("每个产品的 ρ 须为 {RHO_MIN} 至 {most}"),
        format!("ρ of a product is {RHO_MIN} to {most}"),
    ))
}

pub(super) fn dimensions_of(
    dimensions: Vec<DimensionFile>,
    resolved: &Resolved,
    table: &str,
) -> Result<Vec<Dimension>, Refusal> {
    let place = format!("table.{table}.dimensions");
    let found = dimensions
        .into_iter()
        .map(|dimension| match dimension {
            DimensionFile::Column(name) => resolved.dimensions.get(&name).cloned().ok_or_else(|| {
                bad(
                    "job.dimension",
                    place.clone(),
                    format!("输入的视图没有名为 {name} 的维度列"),
                    format!("no dimension `{name}` in the inputs' views"),
                )
            }),
            DimensionFile::Declared(DeclaredDimension { name, title, codes }) => Ok(Dimension {
                title: title.unwrap_or_else(|| name.clone()),
                domain: codes.into_iter().map(|code| (code.clone(), code.to_string())).collect(),
                base: None,
                name,
            }),
        })
        .collect::<Result<Vec<_>, Refusal>>()?;
    let mut names = BTreeSet::new();
    for dimension in &found {
        let keys: BTreeSet<_> = dimension.domain.iter().map(|(key, _)| key).collect();
        let word = is_word(&dimension.name);
        let numbers = keys.iter().filter(|k| matches!(k, Key::Int(_))).count();
        let one_type = numbers == 0 || numbers == keys.len();
        if !names.insert(&dimension.name)
            || !word
            || keys.is_empty()
            || keys.len() != dimension.domain.len()
            || !one_type
        {
            return Err(bad(
                "job.dimension",
                place,
                format!("维度 {} 的名称或代码表有误：为空、重复或类型不一", dimension.name),
                format!("dimension `{}`: its name or code list is empty, repeated or of mixed types", dimension.name),
            ));
        }
    }
    Ok(found)
}

/// The clamp in grid units.
pub(super) fn clamp(table: &str, measure: &str, [lo, hi]: [f64; 2], grid: u32) -> Result<(i64, i64), Refusal> {
    let (lo, hi) = (lo * f64::from(grid), hi * f64::from(grid));
    let exact = |x: f64| x.is_finite() && x.fract() == 0.0 && x.abs() <= EXACT;
    if grid == 0 || !exact(lo) || !exact(hi) || lo > hi || (lo == 0.0 && hi == 0.0) {
        return Err(bad(
            "job.clamp",
            format!("table.{table}.measures.{measure}"),
            "上下界须为网格的整数倍，且下界不大于上界",
            "bounds are multiples of the grid, lowest first, not both zero",
        ));
    }
    #[expect(clippy::cast_possible_truncation, reason = "whole and within 2⁵³, checked above")]
    Ok((lo as i64, hi as i64))
}

fn fits(table: &TableA, rulepack: &RulePack) -> Result<(), Refusal> {
    let few = table.cells().is_some_and(|n| n <= rulepack.disclosure.cells_max);
    if few && table.sigma().is_some() { Ok(()) } else { Err(too_large(&table.name)) }
}

fn too_large(table: &str) -> Refusal {
    bad(
        "job.too-large",
        format!("table.{table}.dimensions"),
        "表的声明域过大",
        "the table's declared domain is too large",
    )
}
