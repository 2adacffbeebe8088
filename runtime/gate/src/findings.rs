//! What reviewers are told about a candidate, in order of risk.
//!
//! Computed from the candidate, the contract and the rule pack alone: a finding can
//! say nothing that the candidate does not hold. It is for reviewers; the operator
//! sees one mark for every withheld cell and none of this.

use std::collections::BTreeMap;

use sluice_domain::{
    Refusal, Text,
    artefact::Report,
    candidate::{self, Candidate, CandidateTable, CellValue, Made, Reason, Route},
    catalogue::Key,
    contract::{Aggregate, Contract, Law, Table, TableC, Totals},
    held::Held,
    rulepack::{Disclosure, RulePack},
    text,
};

use crate::{lineage::Record, noise::account::Cost, route_c::primary::impossible};

/// Bits of difference between copies below which a mark names nobody with odds of one
/// in a million.
const MARK_BITS_WEAK: f64 = 20.0;

/// Most keys that one finding names.
const KEYS_SHOWN: usize = 8;

/// How much a finding should worry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Risk {
    /// Needs a decision.
    High,
    /// Worth a look.
    Medium,
    /// For the record.
    Note,
}

/// One sentence for the reviewers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How much it should worry.
    pub risk: Risk,
    /// The table it is about; none when about the whole product.
    pub table: Option<String>,
    /// The sentence.
    pub text: Text,
}

/// The findings about `candidate`, highest risk first.
///
/// # Errors
/// `gate.host-fault` when the contract's ρ has no ε (it is negative or not a number).
pub fn findings(candidate: &Candidate, contract: &Contract, rulepack: &RulePack) -> Result<Vec<Finding>, Refusal> {
    let mut all = Vec::new();
    for (table, declared) in candidate.tables.iter().zip(&contract.tables) {
        let about = match declared {
            Table::A(a) => {
                let keys = a.keys_per_unit;
                let bound =
                    text(format!("每单位至多影响 {keys} 个键"), format!("one unit touches at most {keys} keys"));
                noised(table, a.noise, a.rho, &bound)
            }
            Table::Open(o) => {
                let (keys, delta) = (o.keys_per_unit, o.delta);
                let bound = text(
                    format!("每单位至多影响 {keys} 个键；只有一个单位的键被公布的概率至多 δ = {delta:e}"),
                    format!(
                        "one unit touches at most {keys} keys; a key of one unit alone is released with at most delta = {delta:e}"
                    ),
                );
                noised(table, o.law, o.rho, &bound)
            }
            Table::B(b) => {
                let blocks = b.blocks;
                let bound = text(
                    format!("单位按密钥散列分入 {blocks} 块，每单位至多改变一块的作答"),
                    format!("units are dealt into {blocks} blocks; one unit changes one block's answer"),
                );
                noised(table, Law::Gaussian, b.rho, &bound)
            }
            Table::C(c) => {
                let nobody = if c.plan.impossible.is_empty() { Vec::new() } else { impossible(c)? };
                let smallest = smallest_count((table, c), &nobody, &rulepack.disclosure);
                route_c(table, c.totals, smallest).into_iter().chain(impossible_text(&nobody)).collect()
            }
            Table::Regression(_) | Table::Survival(_) => route_c(table, Totals::None, None),
            Table::D(held) => route_d(held, rulepack),
        };
        all.extend(about.into_iter().map(|(risk, text)| Finding { risk, table: Some(table.name.clone()), text }));
    }
    let whole = whole(candidate, contract, rulepack)?;
    all.extend(whole.into_iter().map(|(risk, text)| Finding { risk, table: None, text }));
    all.sort_by_key(|finding| finding.risk);
    Ok(all)
}

fn noised(table: &CandidateTable, law: Law, rho: f64, bound: &Text) -> Vec<(Risk, Text)> {
    let mut found = Vec::new();
    let law = match law {
        Law::Gaussian => text("高斯", "Gaussian"),
        Law::Laplace => text("拉普拉斯", "Laplace"),
    };
    for (m, measure) in table.measures.iter().enumerate() {
        found.extend(measure.made.map(|made| (Risk::Note, made_text(&measure.name, made))));
        let (Some(sigma), Some(error)) = (measure.sigma, measure.error_95) else { continue };
        let (mut drowned, mut numbers) = (0usize, 0usize);
        for cell in &table.cells {
            if let CellValue::Published(values) = &cell.value
                && let Some(value) = values.get(m).copied().flatten()
            {
                numbers += 1;
                drowned += usize::from(value.abs() <= error);
            }
        }
        found.push((
            Risk::Note,
            text(
                format!("“{}”加了离散{}噪声：σ = {sigma:.2}，95% 误差 ±{error:.1}", measure.name, law.zh),
                format!(
                    "`{}` carries discrete {} noise: sigma = {sigma:.2}, 95 % within ±{error:.1}",
                    measure.name, law.en
                ),
            ),
        ));
        if drowned > 0 {
            found.push((
                Risk::Medium,
                text(
                    format!("“{}”的 {numbers} 个数中有 {drowned} 个淹没在噪声里，不能当作差异解读", measure.name),
                    format!(
                        "{drowned} of {numbers} numbers of `{}` drown in the noise and must not be read as differences",
                        measure.name
                    ),
                ),
            ));
        }
    }
    found.push((
        Risk::Note,
        text(
            format!("该表每轮的隐私开销为 ρ = {rho}，{}", bound.zh),
            format!("each pass of this table costs rho = {rho}; {}", bound.en),
        ),
    ));
    found
}

/// How a column came about that is not simply noised.
fn made_text(name: &str, made: Made) -> Text {
    match made {
        Made::NonNegative => text(
            format!("“{name}”经后处理：小于零的加噪数已改为零，误差区间不变"),
            format!("`{name}` is post-processed: noised numbers below zero became zero; the interval holds unchanged"),
        ),
        Made::AddsUp => text(
            format!("“{name}”的合计经后处理：由加噪的各格相加而得，误差随格数的平方根变宽"),
            format!(
                "the margins of `{name}` are post-processed: sums of the noised cells, less exact by the root of how many"
            ),
        ),
        Made::Median { blocks, rank_error_95 } => text(
            format!(
                "“{name}”是 {blocks} 块作答的隐私中位数：95% 的情形下，两侧的块数都不超过半数加 {rank_error_95:.0}"
            ),
            format!(
                "`{name}` is a private median of {blocks} block answers: with 95 % no more than half the blocks and {rank_error_95:.0} lie on either side"
            ),
        ),
        Made::AboveThreshold { tau } => text(
            format!("键由客程序给出；加噪单位数高于 τ = {tau} 的键才公布，故“{name}”偏高"),
            format!(
                "the guest named the keys; only those whose noised number of units is above tau = {tau} are there, so `{name}` leans upwards"
            ),
        ),
    }
}

/// What is said first of a held table.
fn route_d(held: &Held, rulepack: &RulePack) -> Vec<(Risk, Text)> {
    let (bits, most) = (held.capacity_bits(), rulepack.evidence.held_capacity_bits_max);
    vec![
        (
            Risk::High,
            text(
                "该表由客程序直接从个人行制成，没有任何隐私保证；因此留置，由两名审核专家仅凭佐证决定是否出域",
                "a guest made this table straight from person rows and NO privacy guarantee exists for it; it is held, and two human reviewers decide on evidence alone",
            ),
        ),
        (
            Risk::Medium,
            text(
                format!("该表可容纳 {bits:.0} 比特（整个产品的上限为 {most:.0}）：足以一字不差地藏下若干人的数据"),
                format!(
                    "this table can hold {bits:.0} bits (a product {most:.0} at most): enough to hide some people's data word for word"
                ),
            ),
        ),
        (
            Risk::Note,
            text(
                "其输入与此前每个路线 D 产品的输入、路线 C 每个已公布的（计数以外的）数所依据的行（均不分运营单位），或完全相同，或相差不少于 k 个单位；几个数合起来也推不出少于 k 个单位的行集（计数除外）",
                "its input is that of each earlier product of route D, and the rows under each published number of route C but for counts, whoever asked, or k units at least away from it; nor does anything follow from several of them, but for counts, about fewer than k units",
            ),
        ),
    ]
}

fn route_c(table: &CandidateTable, totals: Totals, smallest: Option<(f64, Text)>) -> Vec<(Risk, Text)> {
    let mut found = Vec::new();
    let (total, mut withheld) = (table.cells.len(), 0usize);
    let mut by_reason: BTreeMap<Reason, usize> = BTreeMap::new();
    for cell in &table.cells {
        if let CellValue::Withheld(reasons) = &cell.value {
            withheld += 1;
            for reason in reasons {
                *by_reason.entry(*reason).or_default() += 1;
            }
        }
    }
    if let Some(count) = by_reason.get(&Reason::Negative) {
        found.push((
            Risk::High,
            text(
                format!("{count} 格含负的贡献，规则无法自动判断，已全部隐去"),
                format!("{count} cells hold negative contributions; the rules cannot judge them, so all are withheld"),
            ),
        ));
    }
    if let Some((margin, text)) = smallest {
        found.push((if margin < 2.0 { Risk::High } else { Risk::Medium }, text));
    }
    if withheld > 0 {
        let (zh, en): (Vec<_>, Vec<_>) = by_reason
            .iter()
            .map(|(reason, count)| {
                let name = reason_name(*reason);
                (format!("{}{count} 格", name.zh), format!("{} {count}", name.en))
            })
            .unzip();
        found.push((
            Risk::Medium,
            text(
                format!("{total} 格中隐去 {withheld} 格：{}（一格可有多个原因）", zh.join("，")),
                format!(
                    "{withheld} of {total} cells are withheld: {} (a cell may have several reasons)",
                    en.join(", ")
                ),
            ),
        ));
        let bits = pattern_bits(table);
        found.push((
            Risk::Note,
            text(
                format!("隐去的位置本身至多透露 {bits:.0} 比特"),
                format!("the pattern of withheld cells itself tells at most {bits:.0} bits"),
            ),
        ));
    }
    if withheld == total {
        found.push((
            Risk::Medium,
            text("整张表都被隐去，没有可用的内容", "the whole table is withheld: nothing in it can be used"),
        ));
    }
    if totals == Totals::True {
        found.push((
            Risk::Note,
            text(
                "合计为真值；互补隐去已按真合计计算，并经线性代数与区间两道检查",
                "margins are true; complementary suppression accounts for them, checked by elimination and by intervals",
            ),
        ));
    }
    found
}

/// How many cells are out because `nobody` can be in them.
fn impossible_text(nobody: &[bool]) -> Option<(Risk, Text)> {
    let count = nobody.iter().filter(|nobody| **nobody).count();
    let zh = format!("{count} 格是目录声明的不可能组合：不可能有人，公布为 0，人所共知");
    let en =
        format!("{count} cells are combinations that the catalogue declares impossible: their 0 is no news to anybody");
    (count > 0).then(|| (Risk::Note, text(zh, en)))
}

/// The published count closest to k, as a multiple of k, and what to say about it; but for
/// cells that `nobody` can be in.
fn smallest_count(
    (table, declared): (&CandidateTable, &TableC),
    nobody: &[bool],
    pack: &Disclosure,
) -> Option<(f64, Text)> {
    let counts: Vec<usize> = declared
        .plan
        .measures
        .iter()
        .enumerate()
        .filter(|(_, m)| m.aggregate == Aggregate::Units)
        .map(|(i, _)| i)
        .collect();
    let values = table.cells.iter().enumerate().filter_map(|(i, cell)| match &cell.value {
        CellValue::Published(values) if nobody.get(i) != Some(&true) => Some(values),
        CellValue::Published(_) | CellValue::Withheld(_) => None,
    });
    let smallest = values
        .flat_map(|values| counts.iter().filter_map(|i| values.get(*i).copied().flatten()))
        .min_by(f64::total_cmp)?;
    let k = pack.threshold_units;
    #[expect(clippy::cast_precision_loss, reason = "k is small")]
    let times = smallest / k.max(1) as f64;
    let sensitive = pack.threshold_units_sensitive;
    Some((
        times,
        text(
            format!("公布的最小单位数是 {smallest}，为门槛 k = {k}（敏感数据集为 {sensitive}）的 {times:.1} 倍"),
            format!(
                "the smallest published number of units is {smallest}, {times:.1} times the threshold k = {k} ({sensitive} for sensitive sets)"
            ),
        ),
    ))
}

fn whole(candidate: &Candidate, contract: &Contract, rulepack: &RulePack) -> Result<Vec<(Risk, Text)>, Refusal> {
    let mut found = Vec::new();
    let has = |route| candidate.tables.iter().any(|t| t.route == route);
    if has(Route::A) || has(Route::B) {
        let (rho, delta) = (contract.rho, rulepack.budget.delta);
        let epsilon = Cost::concentrated(rho).with_delta(contract.delta).epsilon(delta)?;
        found.push((
            Risk::Note,
            text(
                format!("整个产品计 ρ = {rho}，相当于 δ = {delta:e} 时 ε = {epsilon:.4}；无论客程序做什么都成立"),
                format!(
                    "the product is charged rho = {rho}, i.e. epsilon = {epsilon:.4} at delta = {delta:e}, whatever the guest does"
                ),
            ),
        ));
    }
    if candidate.report == Report::Failed {
        found.push((
            Risk::Medium,
            text(
                "外室未能组成报告（陷入、超限或格式有误）；它只见过已通过闸门的单元格，各表不受影响",
                "the outer room composed no report (a trap, a limit or its form); it saw cleared cells only, and the tables are not affected",
            ),
        ));
    }
    if has(Route::C) {
        found.push((
            Risk::Note,
            text(
                "已与此前所有运行（不分运营单位与快照）公布的数比对：线性组合、区间、行数与单位数之差；未能显示：两个量之积",
                "held against what every earlier run published, whoever asked and on whichever snapshot: linear combinations, bounds, rows less units; this cannot show what products of two quantities tell",
            ),
        ));
        found.push((
            Risk::Note,
            text(
                "未能显示：攻击者已知某些人的取值时还能推出什么；路线 C 不作差分隐私承诺",
                "this cannot show what follows for somebody who already knows some people's values: route C makes no differential-privacy claim",
            ),
        ));
    }
    found.extend(crate::marks::bits(contract, candidate).map(mark));
    Ok(found)
}

/// What the recipients' marks will be worth.
fn mark(bits: f64) -> (Risk, Text) {
    if bits < MARK_BITS_WEAK {
        let text = text(
            format!("水印太弱：各份副本仅相差 {bits:.0} 位，表太小，追查时指认不了任何人"),
            format!(
                "the mark is weak: copies differ by {bits:.0} bits, the tables are too small for a trace to name anybody"
            ),
        );
        return (Risk::Medium, text);
    }
    let text = text(
        format!("各接收方的副本带水印，相差 {bits:.0} 位：计数与求和按合约的基数取整，与候选的差小于该基数"),
        format!(
            "each recipient's copy is marked, copies differ by {bits:.0} bits: counts and sums are rounded to the contract's base and off by less than it"
        ),
    );
    (Risk::Note, text)
}

/// Why a cell is withheld, in words, for reviewers.
pub fn reason_name(reason: Reason) -> Text {
    match reason {
        Reason::Threshold => text("单位数不足 ", "too few units"),
        Reason::Zero => text("空格 ", "empty"),
        Reason::Dominance => text("少数占优 ", "dominance"),
        Reason::PPercent => text("p% 规则 ", "p% rule"),
        Reason::LargestShare => text("单一占比过大 ", "largest share"),
        Reason::AllSame => text("取值全同 ", "all the same"),
        Reason::Negative => text("含负值 ", "negative"),
        Reason::Missing => text("含缺失值 ", "missing values"),
        Reason::Differencing => text("与此前发布相减 ", "differencing"),
        Reason::AsBefore => text("与此前一次相同 ", "as before"),
        Reason::Class => text("类别集中 ", "class disclosure"),
        Reason::Degrees => text("自由度不足 ", "too few units for the coefficients"),
        Reason::Leverage => text("单一单位杠杆过大 ", "one unit's leverage"),
        Reason::Secondary => text("互补隐去 ", "complementary"),
        Reason::Redacted => text("合计按合约隐去 ", "margins redacted by contract"),
    }
}

/// Bits that the places of a table's withheld cells may tell; margins that the contract
/// redacts tell nothing.
pub(crate) fn pattern_bits(table: &CandidateTable) -> f64 {
    let told = |c: &&candidate::Cell| matches!(&c.value, CellValue::Withheld(r) if !r.contains(&Reason::Redacted));
    log2_choose(table.cells.len(), table.cells.iter().filter(told).count())
}

/// What the release ledger says of `candidate`: cells for a person, work that was not
/// done, and the bits that all withheld places of the operator may have told so far,
/// this run included.
pub fn history_findings(record: &Record, candidate: &Candidate, bits: f64, alert: f64) -> Vec<Finding> {
    let mut found = Vec::new();
    for (t, table) in (0u32..).zip(&candidate.tables) {
        let cells =
            record.review.iter().filter(|(of, _)| *of == t).filter_map(|(_, cell)| table.cells.get(*cell as usize));
        let keys: Vec<String> = cells.map(key_text).collect();
        if !keys.is_empty() {
            let shown = keys.iter().take(KEYS_SHOWN).cloned().collect::<Vec<_>>().join("; ");
            let count = keys.len();
            let text = text(
                format!("{count} 格与此前发布的某格只差不足 k 个单位而互不包含，或差中含负值，须人工判断：{shown}"),
                format!(
                    "{count} cells differ from an earlier release by fewer than k units without nesting, or by negative values; a person must judge: {shown}"
                ),
            );
            found.push(Finding { risk: Risk::High, table: Some(table.name.clone()), text });
        }
    }
    if record.limit_reached {
        let text = text(
            "历史比对达到工作量上限：成对之差已全部核对，多格组合与区间未能全部核对",
            "the comparison with history reached its work limit: all pairs were compared, not all combinations and bounds",
        );
        found.push(Finding { risk: Risk::High, table: None, text });
    }
    let text = text(
        format!("该运营单位各次运行隐去的位置累计至多透露 {bits:.0} 比特（提醒线 {alert:.0}）"),
        format!("the places withheld in this operator's runs have told at most {bits:.0} bits (alert at {alert:.0})"),
    );
    found.push(Finding { risk: if bits > alert { Risk::High } else { Risk::Note }, table: None, text });
    found
}

/// A cell's key as reviewers read it.
pub(crate) fn key_text(cell: &candidate::Cell) -> String {
    let part = |key: &Option<Key>| key.as_ref().map_or_else(|| "*".to_owned(), ToString::to_string);
    cell.key.iter().map(part).collect::<Vec<_>>().join(", ")
}

/// log₂ of the number of ways to choose `k` of `n`.
#[expect(clippy::cast_precision_loss, reason = "a number of cells")]
fn log2_choose(n: usize, k: usize) -> f64 {
    (0..k.min(n)).map(|i| ((n - i) as f64 / (i + 1) as f64).log2()).sum()
}
