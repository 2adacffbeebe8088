//! Findings as plain sentences, small tables and plots. Never a value from the rows: places,
//! shares and counts.

use sluice_domain::{
    Text,
    artefact::{Chart, ChartKind, Series},
    evidence::{Check, CheckKind, EvidenceRules, Grade},
    text,
};

use super::{
    Exposure, Found, Influence,
    scan::{Form, Hit},
};

/// Rows of a small table, and bars of a plot.
pub(crate) const SHOWN: usize = 8;
/// A unit that moves a number by this share is worth a look; by more than the rule's
/// largest share it should have been withheld.
const MOVED_LOOK: f64 = 0.33;
const MOVED_ALARM: f64 = 0.5;
/// Standard errors of the mean exposure above chance.
const EXPOSED_LOOK: f64 = 2.5;
const EXPOSED_ALARM: f64 = 4.0;

/// Forms that are met as digits of a number.
const BY_DIGITS: [Form; 4] = [Form::Digits, Form::Multiple, Form::Date, Form::Bytes];

fn form_name(form: Form) -> Text {
    match form {
        Form::Digits => text("同样的数字（含移位）", "same digits, any scale"),
        Form::Multiple => text("二倍或一半", "doubled or halved"),
        Form::Date => text("日期写成数", "a date as a number"),
        Form::Bytes => text("文字写成数", "text as a number"),
        Form::Text => text("原文", "as it is"),
        Form::Hex => text("十六进制", "hexadecimal"),
        Form::Base64 => text("base64", "base64"),
        Form::Hash => text("常见散列", "a common hash"),
        Form::Row => text("一行的多个数", "several numbers of a row"),
    }
}

/// What was found of the view's rare values.
pub(crate) fn value_scan(found: &Found, units: (u64, u64), rules: &EvidenceRules) -> Check {
    let hits: u64 = found.by_form.values().sum();
    let of = |forms: &[Form]| forms.iter().map(|form| found.of(*form)).sum::<u64>();
    let by_digits = of(&BY_DIGITS);
    let other = hits - by_digits;
    let chance = found.by_chance;
    #[expect(clippy::cast_precision_loss, reason = "a number of hits")]
    let beyond = by_digits as f64 > chance + 3.0 * chance.sqrt() + 1.0;
    let grade = match (other > 0 || beyond, hits) {
        (true, _) => Grade::Alarm,
        (false, 0) => Grade::Clear,
        (false, _) => Grade::Look,
    };
    let (rare, numbers) = (found.rare, found.numbers);
    let read = read(units);
    let finding = if hits == 0 {
        text(
            format!(
                "视图中不足 k 人持有的 {rare} 个取值，无一出现在候选产品里（比对 {numbers} 个数与全部附件文字，数字巧合预计 {chance:.1} 处{}）",
                read.zh
            ),
            format!(
                "none of the view's {rare} values that fewer than k units have is in the candidate ({numbers} numbers and all texts compared; chance alone would bring {chance:.1}{})",
                read.en
            ),
        )
    } else {
        text(
            format!(
                "视图中不足 k 人持有的 {rare} 个取值，在候选产品里遇见 {hits} 处；数字巧合预计 {chance:.1} 处{}",
                read.zh
            ),
            format!(
                "of the view's {rare} values that fewer than k units have, {hits} were met in the candidate; chance alone would bring {chance:.1} by digits{}",
                read.en
            ),
        )
    };
    let digits = rules.scan_digits_min;
    let full = if found.full {
        ("；取值过多，未全部收录", "; there were too many values to hold all")
    } else {
        ("", "")
    };
    let cannot = text(
        format!("看不出：少于 {digits} 位的数、加了常数或拆开的值、加密或自造的编码、列表列{}", full.0),
        format!(
            "cannot show: numbers of fewer than {digits} digits, values shifted by a constant or split, encryption or private encodings, list columns{}",
            full.1
        ),
    );
    let place = |hit: &Hit| {
        let cell = hit.cell.as_ref().map(|cell| format!(" [{cell}]")).unwrap_or_default();
        format!("{}{cell}", hit.part)
    };
    let rows = found.hits.iter().map(|hit| {
        let (place, column) = (place(hit), hit.column.clone());
        vec![text(place.clone(), place), text(column.clone(), column), form_name(hit.form)]
    });
    #[expect(clippy::cast_precision_loss, reason = "a number of hits")]
    let met = [
        (text("数字", "digits"), (by_digits as f64, chance)),
        (text("文字", "texts"), (of(&[Form::Text, Form::Hex, Form::Base64]) as f64, 0.0)),
        (text("散列", "hashes"), (of(&[Form::Hash]) as f64, 0.0)),
        (text("整行", "rows"), (of(&[Form::Row]) as f64, 0.0)),
    ];
    // Where nothing is met the sentence says all, and a plot would be a row of zeros.
    let plot = (hits > 0).then(|| {
        bars(
            "遇见的处数 · places met",
            &met,
            &[("遇见 · met", |(met, _)| met), ("巧合预计 · by chance", |(_, chance)| chance)],
        )
    });
    Check {
        kind: CheckKind::ValueScan,
        table: None,
        grade,
        finding,
        cannot,
        headings: vec![
            text("候选中的位置", "place in the candidate"),
            text("视图的列", "column of the view"),
            text("形式", "form"),
        ],
        rows: rows.collect(),
        plot,
    }
}

/// How far one unit moves a table.
pub(crate) fn influence(found: &Influence, units: (u64, u64)) -> Check {
    let most = |of: fn(&super::Moved) -> f64| found.moved.iter().map(of).fold(0.0, f64::max);
    let (deleted, replaced) = (most(|m| m.deleted), most(|m| m.replaced));
    let grade = match deleted {
        _ if found.differ > 0 => Grade::Alarm,
        x if x > MOVED_ALARM => Grade::Alarm,
        x if x > MOVED_LOOK => Grade::Look,
        _ => Grade::Clear,
    };
    let (met, of) = units;
    let numbers = found.moved.len();
    let again = match (found.differ, met == of) {
        (_, false) => text("", ""),
        (0, true) => text("；由原始行另行重算，各数一致", "; a recount from the rows by other code gives every number"),
        (n, true) => text(
            format!("；由原始行另行重算，有 {n} 个数不一致"),
            format!("; a recount from the rows by other code gives {n} other numbers"),
        ),
    };
    let share = chance(met, of);
    let finding = text(
        format!(
            "把 {met} 个单位逐一删去，公布的 {numbers} 个数最多变 {}；逐一换成另一人的行（人数不变），最多变 {}{}",
            percent(deleted),
            percent(replaced),
            again.zh
        ),
        format!(
            "leaving out {met} units one by one moves the {numbers} published numbers by at most {}; putting another unit's rows in their place, by at most {}{}",
            percent(deleted),
            percent(replaced),
            again.en
        ),
    );
    let errors = match found.left_out {
        0 => text("", ""),
        n => text(format!("、{n} 个标准误（未重放）"), format!(", {n} standard errors (not replayed)")),
    };
    let cannot = text(
        format!(
            "被针对的某个人在重放之列的机会为 {met}/{of}（{share}）；看不出：几个人合起来的影响、隐去位置本身随人而变{}",
            errors.zh
        ),
        format!(
            "a targeted person is among those replayed with a chance of {met}/{of} ({share}); cannot show: what several people move together, that the withheld places themselves depend on somebody{}",
            errors.en
        ),
    );
    let top: Vec<&super::Moved> = found.moved.iter().take(SHOWN).collect();
    let rows = top
        .iter()
        .map(|m| vec![same(&m.cell), same(&m.measure), same(&percent(m.deleted)), same(&percent(m.replaced))]);
    let labels: Vec<(Text, (f64, f64))> =
        top.iter().map(|m| (same(&format!("{} · {}", m.cell, m.measure)), (m.deleted, m.replaced))).collect();
    let plot = bars(
        "最受一人左右的数，变化 % · numbers most moved by one person, %",
        &labels,
        &[("删去 · deleted", |(d, _)| d * 100.0), ("换人 · replaced", |(_, r)| r * 100.0)],
    );
    Check {
        kind: CheckKind::Influence,
        table: Some(found.table.clone()),
        grade,
        finding,
        cannot,
        headings: vec![
            text("格", "cell"),
            text("度量", "measure"),
            text("删去一人", "one unit deleted"),
            text("换成另一人", "one unit replaced"),
        ],
        rows: rows.collect(),
        plot: Some(plot),
    }
}

/// How exposed planted people are.
pub(crate) fn canaries(found: &Exposure) -> Check {
    let (mean, errors) = (found.mean(), found.errors_above_chance());
    let grade = match errors {
        x if x > EXPOSED_ALARM => Grade::Alarm,
        x if x > EXPOSED_LOOK => Grade::Look,
        _ => Grade::Clear,
    };
    let (planted, among, most) = (found.bits.len(), found.among, f64::from(found.among).log2());
    let chance = std::f64::consts::LOG2_E;
    let finding = text(
        format!(
            "种入 {planted} 个虚构的人，各与 {among} 个同样虚构的人比：平均暴露 {mean:.1} 比特，纯属巧合时为 {chance:.1}，最高可能 {most:.0}"
        ),
        format!(
            "{planted} people who do not exist were planted, each ranked among {among} drawn alike: exposed by {mean:.1} bits on average, by {chance:.1} if it is chance, by {most:.0} at most"
        ),
    );
    let cannot = text(
        "看不出：能认出虚构者而对其另行作答的客程序（诱饵过滤）、不按取值相近的泄露、取值组合罕见的真人",
        "cannot show: a guest that tells synthetic people apart and treats them otherwise (a canary filter), leaks that do not bring values near, real people whose values are rarer together than apart",
    );
    let rows: Vec<(Text, (f64, f64))> = steps(&found.bits, most);
    let lines = rows
        .iter()
        .map(|(label, (seen, chance))| vec![label.clone(), same(&format!("{seen:.0}")), same(&format!("{chance:.1}"))]);
    let plot = bars(
        "暴露的分布 · how exposures are spread",
        &rows,
        &[("种入者 · planted", |(seen, _)| seen), ("巧合 · by chance", |(_, chance)| chance)],
    );
    Check {
        kind: CheckKind::Canaries,
        table: None,
        grade,
        finding,
        cannot,
        headings: vec![
            text("暴露（比特）", "exposure (bits)"),
            text("种入者", "planted"),
            text("巧合预计", "by chance"),
        ],
        rows: lines.collect(),
        plot: Some(plot),
    }
}

/// How many exposures fall into each pair of bits, and how many chance would put there.
fn steps(bits: &[f64], most: f64) -> Vec<(Text, (f64, f64))> {
    let mut steps = Vec::new();
    let mut from = 0.0f64;
    while from < most {
        let to = from + 2.0;
        let last = to >= most;
        let inside = |x: &&f64| **x >= from && (last || **x < to);
        #[expect(clippy::cast_precision_loss, reason = "a few dozen")]
        let (seen, all) = (bits.iter().filter(inside).count() as f64, bits.len() as f64);
        let chance = all * ((-from).exp2() - if last { 0.0 } else { (-to).exp2() });
        let label = format!("{from:.0}–{:.0}", to.min(most));
        steps.push((text(label.clone(), label), (seen, chance)));
        from = to;
    }
    steps
}

/// What the bits of a product are held to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Most {
    /// Reviewers look above it.
    Alert(f64),
    /// A contract is refused above it.
    Allowed(f64),
}

/// What the product can hold.
pub(crate) fn capacity(tables: &[(String, u64, f64)], most: Most) -> Check {
    let bits: f64 = tables.iter().map(|(_, _, bits)| bits).sum();
    let (most, zh, en) = match most {
        Most::Alert(most) => (most, "提醒线为", "the alert is at"),
        Most::Allowed(most) => (most, "上限为", "what is allowed is"),
    };
    let finding = text(
        format!("公布的数合起来至多容纳 {bits:.0} 比特，{zh} {most:.0}"),
        format!("the published numbers together hold at most {bits:.0} bits, {en} {most:.0}"),
    );
    let cannot = text(
        "看不出：其中多少与某个人有关；这只是上限，一个人的秘密只需几十比特",
        "cannot show how much of it is about anybody: it is an upper bound, and one person's secret takes a few dozen bits",
    );
    let rows = tables
        .iter()
        .map(|(name, numbers, bits)| vec![same(name), same(&numbers.to_string()), same(&format!("{bits:.0}"))]);
    let labels: Vec<(Text, f64)> = tables.iter().map(|(name, _, bits)| (same(name), *bits)).collect();
    Check {
        kind: CheckKind::Capacity,
        table: None,
        grade: if bits > most { Grade::Look } else { Grade::Clear },
        finding,
        cannot,
        headings: vec![text("表", "table"), text("公布的数", "numbers published"), text("至多比特", "bits at most")],
        rows: rows.collect(),
        plot: Some(bars("各表至多容纳的比特 · bits that each table holds at most", &labels, &[("比特 · bits", |x| x)])),
    }
}

/// What is the same in every language.
pub(crate) fn same(word: &str) -> Text {
    text(word, word)
}

/// A bar chart of a few labelled numbers.
pub(crate) fn bars<T: Copy>(title: &str, labels: &[(Text, T)], series: &[(&str, fn(T) -> f64)]) -> Chart {
    let both =
        |label: &Text| if label.zh == label.en { label.zh.clone() } else { format!("{} {}", label.zh, label.en) };
    Chart {
        kind: ChartKind::Bar,
        title: title.to_owned(),
        labels: labels.iter().map(|(label, _)| both(label)).collect(),
        series: series
            .iter()
            .map(|(name, of)| Series {
                name: (*name).to_owned(),
                values: labels.iter().map(|(_, x)| Some(of(*x)).filter(|x| x.is_finite())).collect(),
            })
            .collect(),
    }
}

/// A share as people read it, with the two decimals that plots have.
pub(crate) fn percent(share: f64) -> String {
    let written = format!("{:.2}", share * 100.0);
    format!("{}%", written.trim_end_matches('0').trim_end_matches('.'))
}

#[expect(clippy::cast_precision_loss, reason = "a number of units")]
fn chance(met: u64, of: u64) -> String {
    percent(met as f64 / of.max(1) as f64)
}

/// Says how many units were read, where not all were.
fn read((met, of): (u64, u64)) -> Text {
    if met == of {
        return text("", "");
    }
    text(format!("；只读了 {met}/{of} 个单位"), format!("; only {met} of {of} units were read"))
}
