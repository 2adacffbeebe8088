//! What the replays of a held product come to, as plain sentences, small tables and plots.
//! Never a value from the rows: shares, counts, and names of the contract.

use sluice_domain::{
    Text,
    artefact::ChartKind,
    evidence::{Check, CheckKind, Grade},
    text,
};

use super::{
    membership::{FALSE_POSITIVES, Membership},
    moved::{Moved, Number},
};
use crate::{
    evidence::{
        Exposure,
        report::{self as of_tables, SHOWN, bars, percent, same},
    },
    held::Judged,
};

/// A share of its range that one unit moves a number by.
const MOVED_LOOK: f64 = 0.1;
const MOVED_ALARM: f64 = 0.5;
/// How many times as far as three units in four one moves a number.
const ALONE_LOOK: f64 = 10.0;
const ALONE_ALARM: f64 = 20.0;
/// The least members told, with 97.5 %, as a multiple of the false-positive rate.
const TOLD_LOOK: f64 = 3.0;
const TOLD_ALARM: f64 = 10.0;
/// Standard errors of the area above a half.
const AREA_LOOK: f64 = 4.0;
/// An area that tells a member from somebody else seven times in ten.
const AREA_ALARM: f64 = 0.7;

/// How far one unit moves the product.
pub(super) fn influence(table: &str, found: &Moved, units: usize) -> Check {
    let (deleted, replaced) = found.furthest();
    let furthest = deleted.max(replaced);
    let alone = found.alone.0.max(found.alone.1);
    let grade = if found.failed > 0 || furthest > MOVED_ALARM || alone > ALONE_ALARM {
        Grade::Alarm
    } else if found.otherwise > 0 || furthest > MOVED_LOOK || alone > ALONE_LOOK || found.units == 0 {
        Grade::Look
    } else {
        Grade::Clear
    };
    let (m, numbers) = (found.units, found.numbers.len());
    let mut zh = format!(
        "删去一人重新运行，共 {m} 次：{numbers} 个数最多移动其范围的 {}，移动最远的一人是四分之三的人的 {:.0} 倍；换成另一人（人数与行数不变）：最多 {}，{:.0} 倍",
        percent(deleted),
        found.alone.0,
        percent(replaced),
        found.alone.1
    );
    let mut en = format!(
        "run again without one unit, {m} times: {numbers} numbers move by at most {} of their range, the furthest {:.0} times as far as three units in four; with another in its place (as many units and rows): at most {}, {:.0} times",
        percent(deleted),
        found.alone.0,
        percent(replaced),
        found.alone.1
    );
    if found.otherwise > 0 {
        let n = found.otherwise;
        zh += &format!("；有 {n} 个数在少一人时一律移动，换人时却不动：客程序可能识破了删人的重放");
        en += &format!(
            "; {n} numbers move whenever somebody is missing and not when somebody is replaced: the guest may know a replay by its count"
        );
    }
    if found.failed > 0 {
        let n = found.failed;
        zh += &format!("；{n} 次重放没有合约允许的答案，无从比较");
        en += &format!("; {n} replays gave no answer that the contract allows, and cannot be compared");
    }
    let chance = percent(found.chance(units));
    let cannot = text(
        format!(
            "被针对的某个人在重放之列的机会只有 {m}/{units}（{chance}）；看不出：几个人合起来的影响、比一人通常所移动的还小的藏数、能认出重复者或虚构者的客程序"
        ),
        format!(
            "a targeted person is among those replayed with a chance of only {m}/{units} ({chance}); cannot show: what several people move together, a payload smaller than what any unit moves, a guest that knows a repeated or invented person"
        ),
    );
    let top: Vec<&Number> = found.numbers.iter().take(SHOWN).collect();
    let rows = top
        .iter()
        .map(|n| vec![same(&n.cell), same(&n.measure), same(&percent(n.deleted)), same(&percent(n.replaced))]);
    let labels: Vec<(Text, (f64, f64))> =
        top.iter().map(|n| (same(&format!("{} · {}", n.cell, n.measure)), (n.deleted, n.replaced))).collect();
    Check {
        kind: CheckKind::Influence,
        table: Some(table.to_owned()),
        grade,
        finding: text(zh, en),
        cannot,
        headings: vec![
            text("格", "cell"),
            text("度量", "measure"),
            text("删去一人（占范围）", "one unit deleted, of its range"),
            text("换成另一人", "one unit replaced"),
        ],
        rows: rows.collect(),
        plot: Some(bars(
            "最受一人左右的数，占范围 % · numbers most moved by one person, % of their range",
            &labels,
            &[("删去 · deleted", |(d, _)| d * 100.0), ("换人 · replaced", |(_, r)| r * 100.0)],
        )),
    }
}

/// How exposed planted people are to a model: the same figures as for tables of route C.
pub(super) fn canaries(table: &str, found: &Exposure) -> Check {
    let check = of_tables::canaries(found);
    let finding = match found.bits.len() {
        0 => text("没有可用的重放，未能种入虚构的人", "no replay could be used, so nobody was planted"),
        _ => text(
            format!("{}；按模型的损失排名", check.finding.zh),
            format!("{}; ranked by the model's loss", check.finding.en),
        ),
    };
    let cannot = text(
        "看不出：能认出虚构者而对其另行作答的客程序（诱饵过滤），此时至多由换成真人的重放与成员推断显出；取值组合罕见的真人",
        "cannot show: a guest that tells synthetic people apart and treats them otherwise (a canary filter), which at best the replays with real people and membership inference show; real people whose values are rarer together than apart",
    );
    let grade = if found.bits.is_empty() { Grade::Look } else { check.grade };
    Check { table: Some(table.to_owned()), grade, finding, cannot, ..check }
}

/// A table explains nobody, so that nobody can be ranked by how well it does.
pub(super) fn no_canaries(table: &str) -> Check {
    Check {
        kind: CheckKind::Canaries,
        table: Some(table.to_owned()),
        grade: Grade::Look,
        finding: text(
            "对表不适用：表没有损失，虚构的人无从排名；未作此项",
            "it does not apply to a table, which has no loss to rank anybody by; it was not made",
        ),
        cannot: text(
            "看不出任何事；请看影响重放、取值扫描与容量",
            "it shows nothing; look at the replays, the value scan and the capacity",
        ),
        headings: Vec::new(),
        rows: Vec::new(),
        plot: None,
    }
}

/// What can be told of who was among the people of a model, over so many of the shadows
/// that were asked for.
pub(super) fn membership(table: &str, found: Option<Membership>, shadows: (usize, usize)) -> Check {
    let (used, asked) = shadows;
    let cannot = text(
        "看不出：针对某个人而非对人人一样的记忆、不经损失而由参数直接读出的内容；影子只含一半的人，结论对整个模型偏于悲观",
        "cannot show: what is remembered of one targeted person and of nobody else, or read from the parameters without any loss; shadows hold half of the people, so that the whole model is judged rather too hard",
    );
    let check = |grade, finding, rows, plot| Check {
        kind: CheckKind::Membership,
        table: Some(table.to_owned()),
        grade,
        finding,
        cannot: cannot.clone(),
        headings: vec![text("误报率", "false positives"), text("认出的成员", "members told")],
        rows,
        plot,
    };
    let Some(m) = found else {
        let finding = text(
            format!("{asked} 个影子中只有 {used} 个可用，或单位太少：未能推断成员资格"),
            format!(
                "only {used} of {asked} shadows could be used, or there are too few units: membership was not inferred"
            ),
        );
        return check(Grade::Look, finding, Vec::new(), None);
    };
    let above = (m.area - 0.5) / m.area_error;
    let grade = if m.limits.0 > TOLD_ALARM * m.false_positives || (m.area > AREA_ALARM && above > AREA_LOOK) {
        Grade::Alarm
    } else if m.limits.0 > TOLD_LOOK * m.false_positives || above > AREA_LOOK || used < asked {
        Grade::Look
    } else {
        Grade::Clear
    };
    let (zh_rate, en_rate) = if m.false_positives > FALSE_POSITIVES {
        let (rate, least) = (percent(m.false_positives), percent(FALSE_POSITIVES));
        let n = m.others;
        (
            format!("单位太少，测不到 {least} 的误报率；在所能测的最小误报率 {rate}（{n} 人之一）下"),
            format!(
                "there are too few units for a false-positive rate of {least}; at the least that they can show, {rate} (1 in {n})"
            ),
        )
    } else {
        let rate = percent(FALSE_POSITIVES);
        (format!("误报率 {rate} 时"), format!("at a false-positive rate of {rate}"))
    };
    let (told, low, high, area) = (percent(m.told), percent(m.limits.0), percent(m.limits.1), m.area);
    let finding = text(
        format!(
            "用 {used} 个随机一半上的影子推断谁在其中：{zh_rate}，认出 {told} 的成员（95 % 区间 {low}–{high}）；AUC {area:.3}，纯属猜测为 0.5"
        ),
        format!(
            "who was in, inferred from {used} shadows on random halves: {en_rate}, {told} of members are told (95 % interval {low} to {high}); AUC {area:.3}, guessing is 0.5"
        ),
    );
    let rows = m.curve.iter().map(|(rate, told)| vec![same(&percent(*rate)), same(&percent(*told))]);
    let labels: Vec<(Text, (f64, f64))> = m.curve.iter().map(|point| (same(&percent(point.0)), *point)).collect();
    let mut plot = bars(
        "按误报率认出的成员 % · members told by false-positive rate, %",
        &labels,
        &[("认出 · told", |(_, told)| told * 100.0), ("猜测 · guessing", |(rate, _)| rate * 100.0)],
    );
    plot.kind = ChartKind::Line;
    check(grade, finding, rows.collect(), Some(plot))
}

/// What a model stands on.
pub(super) fn model(table: &str, judged: &Judged) -> Check {
    let (units, parameters, degrees, share) =
        (judged.units, judged.parameters, judged.degrees(), percent(judged.share()));
    let least = judged.leaf_units.iter().min();
    let leaf = |zh: bool| match (least, zh) {
        (None, _) => String::new(),
        (Some(least), true) => format!("；人数最少的叶有 {least} 个单位"),
        (Some(least), false) => format!("; the smallest leaf has {least} units"),
    };
    let finding = text(
        format!(
            "模型有 {parameters} 个参数，建立在 {units} 个单位上：自由度 {degrees}，每个单位 {share} 个参数{}",
            leaf(true)
        ),
        format!(
            "the model has {parameters} parameters on {units} units: {degrees} degrees of freedom, {share} of a parameter per unit{}",
            leaf(false)
        ),
    );
    let cannot = text(
        "看不出：参数里是否藏了别的东西；这些只是必要条件，人数够的叶也可能因取值全同而泄露",
        "cannot show: whether the parameters hold something else; these are necessary conditions, and a leaf with people enough may still give away that all have one value",
    );
    let line = |zh: &str, en: &str, x: String| vec![text(zh, en), same(&x)];
    let mut rows = vec![
        line("单位数 n（同一单位的各行并不独立）", "units n (rows of one are not independent)", units.to_string()),
        line("参数", "parameters", parameters.to_string()),
        line("自由度 n − 参数", "degrees of freedom, n − parameters", degrees.to_string()),
        line("每单位的参数", "parameters per unit", share),
    ];
    if let Some(least) = least {
        rows.push(line("叶", "leaves", judged.leaf_units.len().to_string()));
        rows.push(line("人数最少的叶", "units of the smallest leaf", least.to_string()));
    }
    Check {
        kind: CheckKind::Model,
        table: Some(table.to_owned()),
        grade: Grade::Clear,
        finding,
        cannot,
        headings: vec![text("项", "figure"), text("值", "value")],
        rows,
        plot: None,
    }
}
