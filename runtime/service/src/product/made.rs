//! What a number is, beside the number: which route made it, how it was noised and
//! worked on afterwards, σ, the 95 % interval, and what a median or an unknown key rests
//! on. Everything here follows from the candidate and its contract, nothing from data.
//!
//! [`word`] is for files and never changes its spelling; [`said`] is for people.

use sluice_domain::{
    Text,
    candidate::{CandidateTable, Cell, Made},
    contract::{Combine, Contract, Dimension, Law, Regression, Share, Survival, Table},
    text,
};

use crate::{
    chart,
    pages::{ColumnSaid, Said},
};

/// What stands behind a noised column's name in the headings of its companions.
pub(crate) const COMPANIONS: [&str; 3] = ["sigma", "error95", "made"];
/// What stands behind a share's name in the headings of its companions.
const SHARE_COMPANIONS: [&str; 3] = ["low95", "high95", "made"];
/// Column of every product file: the route.
pub(crate) const MADE_BY: &str = "made_by";

/// The route, as files spell it.
pub(crate) fn made_by(declared: &Table) -> &'static str {
    match declared {
        Table::A(_) => "route-A",
        Table::Open(_) => "route-A-unknown-keys",
        Table::B(_) => "route-B",
        Table::C(_) => "route-C",
        Table::Regression(_) => "route-C-regression",
        Table::Survival(_) => "route-C-survival",
        Table::D(_) => "route-D",
    }
}

/// What one number of `measure` is, in words that files keep; nothing for the exact
/// numbers of routes C and D and for the ends of an interval.
pub(crate) fn word(table: &CandidateTable, declared: &Table, cell: &Cell, measure: usize) -> Option<String> {
    let column = table.measures.get(measure)?;
    let margin = cell.key.iter().any(Option::is_none);
    Some(match (declared, column.made) {
        (Table::C(_) | Table::Regression(_) | Table::Survival(_) | Table::D(_), _) => return None,
        (_, Some(Made::Median { blocks, rank_error_95 })) => {
            format!("private-median blocks={blocks} rank-error95={rank_error_95:.0}")
        }
        (Table::Open(o), Some(Made::AboveThreshold { tau })) => {
            format!("noised-count above-tau={tau} delta={:e}", o.delta)
        }
        (_, Some(Made::AddsUp)) if margin => "sum-of-noised post-processed=adds-up".to_owned(),
        (_, Some(Made::NonNegative)) => "noised-sum post-processed=non-negative".to_owned(),
        (Table::A(a), None) if column.sigma.is_none() => {
            a.shares.iter().find(|s| s.name == column.name).map(|s| format!("ratio-of-noised {}/{}", s.of, s.per))?
        }
        (Table::B(b), _) => format!("noised-mean blocks={}", b.blocks),
        _ => "noised-sum".to_owned(),
    })
}

/// What each column of `table` is, for people.
pub(crate) fn said(table: &CandidateTable, declared: &Table) -> Said {
    let columns = chart::shown(table).filter_map(|m| column(table, declared, m));
    Said { table: about(declared), columns: columns.collect() }
}

/// The tables of a candidate with what their numbers are.
pub(crate) fn all_said(tables: &[CandidateTable], contract: &Contract) -> Vec<Said> {
    tables.iter().zip(&contract.tables).map(|(table, declared)| said(table, declared)).collect()
}

/// The first heading that two columns of one of the job's files would share.
pub(crate) fn clash(contract: &Contract) -> Option<(String, String)> {
    contract.tables.iter().find_map(|table| {
        let mut seen = std::collections::BTreeSet::new();
        let twice = headings(table).into_iter().find(|heading| !seen.insert(heading.clone()))?;
        Some((table.name().to_owned(), twice))
    })
}

/// Every heading of a table's files.
fn headings(table: &Table) -> Vec<String> {
    let (keys, numbers, shares): (Vec<&str>, Vec<&str>, &[Share]) = match table {
        Table::A(a) => (names(&a.dimensions), a.measures.iter().map(|m| m.name.as_str()).collect(), &a.shares),
        Table::B(b) => (names(&b.dimensions), b.measures.iter().map(|m| m.name.as_str()).collect(), &[]),
        Table::C(c) => (names(&c.plan.dimensions), c.plan.measures.iter().map(|m| m.name.as_str()).collect(), &[]),
        Table::Regression(_) => (vec!["term"], Regression::MEASURES.to_vec(), &[]),
        Table::Survival(s) => {
            let keys = names(&s.by).into_iter().chain([Survival::STEP]);
            (keys.collect(), Survival::MEASURES.to_vec(), &[])
        }
        Table::D(d) => (names(&d.dimensions), d.measures.iter().map(|m| m.name.as_str()).collect(), &[]),
        Table::Open(o) => {
            let sums = o.measures.iter().map(|m| m.name.as_str());
            let units = std::iter::once(sluice_domain::contract::OpenTable::UNITS);
            (vec![o.key.as_str()], units.chain(sums).collect(), &[])
        }
    };
    let with = |name: &str, ends: &[&str]| {
        std::iter::once(name.to_owned()).chain(ends.iter().map(|end| format!("{name}_{end}"))).collect::<Vec<_>>()
    };
    // What is called as the end of another column's interval is not shown by itself: a
    // column of that name would reach the file unseen by its reviewers.
    let companions =
        if table.is_noised() { ["sigma", "error95"].as_slice() } else { &[] }.iter().chain(&SHARE_COMPANIONS);
    let companions: Vec<&str> = companions.copied().collect();
    let keys = keys.into_iter().map(str::to_owned);
    let numbers = numbers.into_iter().flat_map(|name| with(name, &companions));
    let shares = shares.iter().flat_map(|share| with(&share.name, &SHARE_COMPANIONS));
    keys.chain(numbers).chain(shares).chain(["status".to_owned(), MADE_BY.to_owned()]).collect()
}

fn names(dimensions: &[Dimension]) -> Vec<&str> {
    dimensions.iter().map(|d| d.name.as_str()).collect()
}

fn about(declared: &Table) -> Text {
    match declared {
        Table::A(a) => text(
            format!(
                "路线 A：每单位的贡献截断后求和，加离散{}噪声，每轮 ρ = {}；无论程序做什么都成立",
                law(a.noise).0,
                a.rho
            ),
            format!(
                "route A: each unit's contribution is clamped, summed and given discrete {} noise, ρ = {} a pass, whatever the code does",
                law(a.noise).1,
                a.rho
            ),
        ),
        Table::Open(o) => text(
            format!(
                "路线 A，键由程序给出：加噪单位数高于门槛 τ 的键才公布，只有一个单位的键被公布的概率至多 δ = {:e}；每轮 ρ = {}",
                o.delta, o.rho
            ),
            format!(
                "route A with keys that the code names: a key is there if its noised number of units is above τ, one of a single unit with at most δ = {:e}; ρ = {} a pass",
                o.delta, o.rho
            ),
        ),
        Table::B(b) => {
            let (zh, en) = match b.combine {
                Combine::Mean => ("加噪平均", "a noised mean"),
                Combine::Median => ("隐私中位数", "a private median"),
            };
            text(
                format!("路线 B：单位分入 {} 块，各块作答截断后取{zh}；每轮 ρ = {}", b.blocks, b.rho),
                format!(
                    "route B: units are dealt into {} blocks, and the clamped answers become {en}; ρ = {} a pass",
                    b.blocks, b.rho
                ),
            )
        }
        Table::Regression(r) => text(
            format!(
                "路线 C：由主机以最小二乘法求“{}”的回归，整体作披露控制；标准误按隐私单元聚类；不作差分隐私承诺",
                r.outcome
            ),
            format!(
                "route C: least squares of `{}` by the host, under disclosure control as a whole; standard errors are clustered by unit; no differential-privacy claim",
                r.outcome
            ),
        ),
        Table::Survival(s) => {
            let (time, event) = (&s.time, s.event.column());
            text(
                format!(
                    "路线 C：由主机按“{time}”与“{event}”求生存曲线（Kaplan–Meier，标准误按 Greenwood），每单位一次观察：首次事件，无事件者以其最长的时间为准；时间进至所示的下一步，离开者过少的步并入下一步；不作差分隐私承诺"
                ),
                format!(
                    "route C: Kaplan-Meier survival by `{time}` and `{event}` by the host, standard errors by Greenwood, one observation a unit, its first event or else its longest time; times count at the next step that is shown, and a step with too few leaving is merged into the next; no differential-privacy claim"
                ),
            )
        }
        Table::D(_) => text(
            "路线 D：由客程序直接从个人行制成，留置后经两人凭佐证审核；没有任何隐私保证",
            "route D: made by a guest straight from person rows, held, and let out by two people on evidence; there is no privacy guarantee",
        ),
        Table::C(_) => text(
            "路线 C：由主机汇总并作披露控制；所见数字未加噪声，不作差分隐私承诺",
            "route C: tabulated by the host under disclosure control; the numbers carry no noise and no differential-privacy claim",
        ),
    }
}

fn law(law: Law) -> (&'static str, &'static str) {
    match law {
        Law::Gaussian => ("高斯", "Gaussian"),
        Law::Laplace => ("拉普拉斯", "Laplace"),
    }
}

fn column(table: &CandidateTable, declared: &Table, measure: usize) -> Option<ColumnSaid> {
    let column = table.measures.get(measure)?;
    let noise = column.sigma.zip(column.error_95).map(|(sigma, error)| {
        text(
            format!("σ = {sigma:.2}，95 % 区间 ±{}", chart::short(error)),
            format!("σ = {sigma:.2}, 95 % interval ±{}", chart::short(error)),
        )
    });
    let (mark, more) = match (declared, column.made) {
        (Table::C(_) | Table::Regression(_) | Table::Survival(_) | Table::D(_), _) => return None,
        (_, Some(made)) => of_made(made, declared),
        (Table::A(a), None) if noise.is_none() => {
            let share = a.shares.iter().find(|s| s.name == column.name)?;
            let (of, per) = (&share.of, &share.per);
            (
                Some(text("比值", "ratio")),
                text(
                    format!("由加噪的“{of}”除以“{per}”得出，不另耗预算；方括号内为保守的 95 % 区间"),
                    format!(
                        "noised `{of}` by noised `{per}`, at no further cost; a conservative 95 % interval in brackets"
                    ),
                ),
            )
        }
        _ => (None, text("", "")),
    };
    let joined = |noise: &str, more: &str, stop: &str| {
        [noise, more].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(stop)
    };
    let noise = noise.unwrap_or_else(|| text("", ""));
    let text = text(joined(&noise.zh, &more.zh, "；"), joined(&noise.en, &more.en, "; "));
    Some(ColumnSaid { name: column.name.clone(), mark, text })
}

/// The mark and the sentence of what was made of a column.
fn of_made(made: Made, declared: &Table) -> (Option<Text>, Text) {
    let processed = || Some(text("后处理", "post-processed"));
    match made {
        Made::NonNegative => (
            processed(),
            text(
                "后处理：小于零的加噪数已改为零，区间不变",
                "post-processed: noised numbers below zero became zero; the interval holds unchanged",
            ),
        ),
        Made::AddsUp => (
            processed(),
            text(
                "后处理：合计由加噪的各格相加而得，误差为 σ√n",
                "post-processed: margins are sums of the noised cells, their σ is σ√n",
            ),
        ),
        Made::Median { blocks, rank_error_95 } => {
            let most = blocks / 4;
            (
                Some(text("隐私中位数", "private median")),
                text(
                    format!(
                        "{blocks} 块作答的隐私中位数：以 95 % 的把握，两侧的块数都不超过半数加 {rank_error_95:.0}；误差是名次的，不是数值的。名次误差会超过 {most}（块数的四分之一）的合约在提交时即被拒绝"
                    ),
                    format!(
                        "a private median of {blocks} block answers: with 95 % no more than half the blocks and {rank_error_95:.0} lie on either side; the error is one of rank, not of value. A contract whose rank error would exceed {most}, a quarter of the blocks, is refused at submission"
                    ),
                ),
            )
        }
        Made::AboveThreshold { tau } => (
            Some(text(format!("高于 τ = {tau}"), format!("above τ = {tau}"))),
            text(
                format!("只公布加噪单位数高于 τ = {tau} 的键（δ = {:e}），所见的数因此偏高", declared.delta()),
                format!(
                    "only keys with a noised number of units above τ = {tau} are there (δ = {:e}), so what is seen leans upwards",
                    declared.delta()
                ),
            ),
        ),
    }
}
