//! `sluice guest try`: a job on synthetic data, before there is a domain to ask.
//!
//! Data goes to stdout, and says first what it is about. Nothing here decides: the
//! rehearsal takes the real way, and this file words what came of it.

use std::path::Path;

use serde_json::json;
use sluice_domain::{
    Kind, Lang, Refusal, agreement::Agreement, candidate::Route, catalogue::CatalogueEntry, contract::JobFile, text,
};
use sluice_service::{
    Programs,
    rehearse::{Edges, Loss, Lost, PassTold, Rehearsal, Rehearsed, TableVerdict, caveat, stand_in},
};
use sluice_worker::{End, Told};

use super::{
    Failure,
    job::{Components, no_guarantee},
    job_place::located,
    read_text,
};
use crate::{args::TryArgs, demo::city::missing_layers, output::Output};

/// Failures of one kind are shown this often.
const SHOWN: usize = 5;

pub(super) async fn guest_try(args: TryArgs, output: &Output) -> Result<(), Failure> {
    output.say(&caveat(args.units, args.seed));
    let file = if args.job.is_dir() { args.job.join("job.toml") } else { args.job.clone() };
    let toml = read_text(&file)?;
    let job = JobFile::parse(&toml).map_err(|r| located(r, &file, &toml))?;
    let components = Components::read(job, &file, args.guest.as_deref())?;
    let Schema { catalogues, agreement } = Schema::find(&args, &file)?;

    let programs = Programs::beside_current_exe().map_err(|e| e.refusal())?;
    let missing = missing_layers(&programs)?;
    if !missing.is_empty() {
        let names = missing.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        output.say(&text(
            format!("注意：本机缺少隔离层 {names}；此处只有合成数据，照常进行"),
            format!("NOTE: this host lacks the isolation layers {names}; there is synthetic data only, so it goes on"),
        ));
    }
    let programs = programs.accepting_missing(&missing);
    output.say(&text("造合成数据，编译客件……", "drawing synthetic data, compiling the guest …"));
    let rehearsal =
        Rehearsal::found(&catalogues, &agreement, |_| (args.units, Edges::First), args.seed, programs).await?;
    let rehearsed = rehearsal.job(&toml, &components.guests(), |stage| output.say(&stage.text())).await;
    let rehearsed = rehearsed.map_err(|r| located(r, &file, &toml))?;

    let told = caveat(args.units, args.seed);
    let failed = failures(&rehearsed);
    let passes = rehearsed.void.is_none() && failed.is_empty();
    output.data(
        &json!({
            "synthetic": told,
            "verdict": if passes { "would-pass" } else { "fails" },
            "rehearsed": rehearsed,
            "failures": failed.len(),
        }),
        &plain(&rehearsed, told.of(output.lang()), output.lang()),
    );
    if passes { Ok(()) } else { Err(refusal(&rehearsed, &failed).into()) }
}

/// The public documents that people are drawn from.
struct Schema {
    catalogues: Vec<String>,
    agreement: String,
}

impl Schema {
    /// The files that were named, or those of the folder: the one with a table
    /// `[agreement]`, and every other for a dataset.
    fn find(args: &TryArgs, job: &Path) -> Result<Self, Failure> {
        if let Some(agreement) = &args.agreement {
            let catalogues = args.catalogue.iter().map(|file| catalogue(file)).collect::<Result<_, _>>()?;
            return Ok(Self { catalogues, agreement: granted(agreement)? });
        }
        let beside = || job.parent().unwrap_or(Path::new(".")).join("schema");
        let folder = args.schema.clone().unwrap_or_else(beside);
        let mut files: Vec<_> = std::fs::read_dir(&folder)
            .map_err(|_| no_schema(&folder))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|e| e == "toml"))
            .collect();
        files.sort();
        let (mut catalogues, mut agreements) = (Vec::new(), Vec::new());
        for path in files {
            let is_agreement = read_text(&path)?.parse::<toml::Table>().is_ok_and(|t| t.contains_key("agreement"));
            if is_agreement { agreements.push(granted(&path)?) } else { catalogues.push(catalogue(&path)?) }
        }
        match <[String; 1]>::try_from(agreements) {
            Ok([agreement]) if !catalogues.is_empty() => Ok(Self { catalogues, agreement }),
            _ => Err(no_schema(&folder).into()),
        }
    }
}

/// A catalogue file that reads; what is wrong with one is told with its name.
fn catalogue(file: &Path) -> Result<String, Failure> {
    let toml = read_text(file)?;
    CatalogueEntry::parse(&toml).map_err(|r| in_file(r, file))?;
    Ok(toml)
}

fn granted(file: &Path) -> Result<String, Failure> {
    let toml = read_text(file)?;
    Agreement::parse(&toml).map_err(|r| in_file(r, file))?;
    Ok(toml)
}

fn in_file(refusal: Refusal, file: &Path) -> Refusal {
    let place = refusal.place.clone().unwrap_or_default();
    refusal.at(format!("{}: {place}", file.display()))
}

fn no_schema(folder: &Path) -> Refusal {
    Refusal::new(
        Kind::Usage,
        "try.schema",
        text(
            "没有公开结构：文件夹中应有一份协议文件和它的目录文件",
            "no published schema: the folder should hold one agreement file and its catalogue files",
        ),
        text(
            "向主管部门索取（sluice data schema --agreement …），放入该文件夹，或用 --schema 指明",
            "ask the bureau for it (`sluice data schema --agreement …`), put it into that folder or name it with --schema",
        ),
    )
    .at(folder.display().to_string())
}

/// A call that a real run would count as failed.
struct Failed<'a> {
    /// Which call, for people.
    of: String,
    told: &'a Told,
    fuel: u64,
    /// Columns that the contract wants of an answer.
    columns: Option<u64>,
    /// Whether a number of it may be missing.
    may_miss: bool,
}

fn failures(rehearsed: &Rehearsed) -> Vec<Failed<'_>> {
    let inner = rehearsed.passes.iter().flat_map(|pass| {
        let of = format!("{} · {}", pass.table, pass.round);
        let (fuel, columns, may_miss) = (rehearsed.reserved.fuel, Some(pass.columns), pass.may_miss);
        pass.calls.iter().map(move |told| Failed { of: of.clone(), told, fuel, columns, may_miss })
    });
    let outer = rehearsed.outer.iter().map(|outer| Failed {
        of: outer.round.map_or("report".to_owned(), |round| format!("rounds · {round}")),
        told: &outer.told,
        fuel: rehearsed.reserved.outer_fuel,
        columns: None,
        may_miss: false,
    });
    let fails = |call: &Failed<'_>| match call.told.end {
        End::Finished { columns, nulls, .. } => {
            call.told.fuel > call.fuel || Some(columns) != call.columns || (nulls > 0 && !call.may_miss)
        }
        End::Sent { .. } => call.told.fuel > call.fuel,
        _ => true,
    };
    inner.chain(outer).filter(fails).collect()
}

fn refusal(rehearsed: &Rehearsed, failed: &[Failed<'_>]) -> Refusal {
    if let Some(code) = &rehearsed.void {
        return Refusal::refused(
            "try.void",
            text(format!("试运行作废（{code}）"), format!("the rehearsal is void ({code})")),
            text("按上文的原因改正作业或客件", "correct the job or the guest after what is said above"),
        );
    }
    let calls = rehearsed.passes.iter().map(|pass| pass.calls.len()).sum::<usize>() + rehearsed.outer.len();
    let failed = failed.len();
    Refusal::new(
        Kind::Refused,
        "try.calls-failed",
        text(
            format!("{calls} 次调用中有 {failed} 次失败：真实运行中它们计为无贡献，内室的失败不给任何原因"),
            format!(
                "{failed} of {calls} calls failed: in a real run they contribute nothing, and nothing says why one of the inner room's did"
            ),
        ),
        text("按上文的位置改正客件，或提高 [limits]", "correct the guest at the places above, or raise [limits]"),
    )
}

fn plain(rehearsed: &Rehearsed, caveat: &str, lang: Lang) -> String {
    let say = |zh: String, en: String| text(zh, en).of(lang).to_owned();
    let mut lines = vec![
        caveat.to_owned(),
        say(
            format!("合约 {}，隐私开销 ρ = {}", rehearsed.contract, rehearsed.rho),
            format!("contract {}, privacy cost rho = {}", rehearsed.contract, rehearsed.rho),
        ),
    ];
    let (units, seconds) = (rehearsed.roster_size, rehearsed.tick_seconds);
    lines.push(if units == 0 {
        say(format!("出域时刻：提交后 {seconds} 秒"), format!("release tick: {seconds} s after submission"))
    } else if rehearsed.roster_published {
        say(
            format!("出域时刻：提交后 {seconds} 秒（名册 {units} 个单位，已公布）"),
            format!("release tick: {seconds} s after submission (the published roster has {units} units)"),
        )
    } else {
        say(
            format!("出域时刻：{units} 个合成单位为提交后 {seconds} 秒；真实名册未知，须以 sluice job quote 为准"),
            format!("release tick: {seconds} s after submission for {units} synthetic units; the real roster is not known here, `sluice job quote` says it"),
        )
    });
    if rehearsed.passes.iter().any(|pass| pass.route == Route::D) {
        lines.push(no_guarantee().of(lang).to_owned());
    }
    lines.extend(rehearsed.tables.iter().flat_map(|table| table_lines(table, lang)));
    lines.extend(judged_by(rehearsed, lang));
    lines.extend(rehearsed.passes.iter().flat_map(|pass| [vec![calls(pass, lang)], losses(pass, lang)].concat()));
    lines.extend(resources(rehearsed, lang));
    for name in &rehearsed.artefacts {
        lines.push(say(format!("报告产物：{name}"), format!("artefact of the report: {name}")));
    }
    // Failures that read the same are one: a mistake shows in every round and many units.
    let mut shown: Vec<(&End, usize, Failed<'_>)> = Vec::new();
    for failed in failures(rehearsed) {
        match shown.iter_mut().find(|(end, _, _)| *end == &failed.told.end) {
            Some((_, times, _)) => *times += 1,
            None => shown.push((&failed.told.end, 1, failed)),
        }
    }
    for (end, times, failed) in shown.into_iter().take(SHOWN) {
        lines.push(say(
            format!("失败 {times} 次（{}）：{}", failed.of, why(&failed, rehearsed, lang)),
            format!("failed {times}× ({}): {}", failed.of, why(&failed, rehearsed, lang)),
        ));
        if let End::Trap { frames, .. } = end {
            lines.extend(frames.iter().map(|frame| {
                let function = frame.function.as_deref().unwrap_or("?");
                let offset = frame.offset.map(|o| format!("+0x{o:x}")).unwrap_or_default();
                format!("    {function} {}", frame.place.as_deref().unwrap_or(&offset))
            }));
        }
    }
    lines.join("\n")
}

fn table_lines(table: &TableVerdict, lang: Lang) -> Vec<String> {
    let say = |zh: String, en: String| text(zh, en).of(lang).to_owned();
    let reasons: Vec<_> = table
        .reasons
        .iter()
        .map(|(reason, count)| {
            format!("{} {count}", serde_json::to_value(reason).ok().as_ref().and_then(|v| v.as_str()).unwrap_or("?"))
        })
        .collect();
    let mut lines = vec![say(
        format!(
            "表 {}（路线 {:?}）：{} 格，合成数据上隐去 {} 格 {}",
            table.name,
            table.route,
            table.cells,
            table.withheld,
            reasons.join("，")
        ),
        format!(
            "table {} (route {:?}): {} cells, {} withheld on synthetic data {}",
            table.name,
            table.route,
            table.cells,
            table.withheld,
            reasons.join(", ")
        ),
    )];
    lines.extend(table.noise.iter().map(|(name, sigma, error)| {
        say(
            format!("  {name}：噪声 σ = {sigma:.2}，95% 误差 ±{error:.1}"),
            format!("  {name}: noise sigma = {sigma:.2}, 95 % within ±{error:.1}"),
        )
    }));
    lines
}

fn judged_by(rehearsed: &Rehearsed, lang: Lang) -> Option<String> {
    let route = rehearsed.tables.iter().map(|table| table.route).find(|route| matches!(route, Route::C | Route::D))?;
    Some(stand_in(route)?.of(lang).to_owned())
}

/// How the calls of a pass ended.
fn calls(pass: &PassTold, lang: Lang) -> String {
    let answers =
        pass.calls.iter().filter_map(|told| if let End::Finished { rows, .. } = told.end { Some(rows) } else { None });
    let (finished, empty) = (answers.clone().count(), answers.filter(|rows| *rows == 0).count());
    let (zh, en) = match pass.route {
        Route::B => ("块", "blocks"),
        Route::D => ("次全体调用", "calls with everybody"),
        Route::A | Route::C => ("单位", "units"),
    };
    let (table, round, all) = (&pass.table, pass.round, pass.calls.len());
    text(
        format!("表 {table} 第 {round} 轮：{all} 个{zh}，{finished} 个答完，其中 {empty} 个没有行"),
        format!("table {table}, round {round}: {all} {en}, {finished} answered, {empty} of them without a row"),
    )
    .of(lang)
    .to_owned()
}

/// What of a pass's answers did not count as written: the first few of each kind.
fn losses(pass: &PassTold, lang: Lang) -> Vec<String> {
    let mut lost: Vec<&Lost> = pass.losses.iter().collect();
    lost.sort_by_key(|lost| std::cmp::Reverse(lost.calls));
    let mut shown: Vec<&Lost> = Vec::new();
    for lost in lost {
        let kind = std::mem::discriminant(&lost.loss);
        if shown.iter().filter(|s| std::mem::discriminant(&s.loss) == kind).count() < SHOWN {
            shown.push(lost);
        }
    }
    shown.sort_by(|a, b| a.loss.cmp(&b.loss));
    let line = |lost: &&Lost| {
        let (zh, en) = lost_in_words(&lost.loss);
        let (table, round, calls) = (&pass.table, pass.round, lost.calls);
        text(
            format!("  表 {table} 第 {round} 轮，{calls} 次调用：{zh}"),
            format!("  table {table}, round {round}, {calls} calls: {en}"),
        )
        .of(lang)
        .to_owned()
    };
    let voids = pass.route == Route::D && shown.iter().any(|lost| !matches!(lost.loss, Loss::Rounded { .. }));
    let voids = voids.then(|| {
        text(
            "  路线 D 不截断、不忽略：除取整外，以上任一项都使运行作废",
            "  route D clamps and drops nothing: any of this but rounding voids the run",
        )
        .of(lang)
        .to_owned()
    });
    shown.iter().map(line).chain(voids).collect()
}

fn lost_in_words(loss: &Loss) -> (String, String) {
    match loss {
        Loss::Unreadable => ("答案不可读".to_owned(), "the answer does not read".to_owned()),
        Loss::UndeclaredKey { key } => {
            (format!("{key} 不是本表的键，其行不计"), format!("{key} is no key of this table, its rows do not count"))
        }
        Loss::KeyBeyond { key } => (
            format!("键多于 keys_per_unit，从 {key} 起不计"),
            format!("more keys than keys_per_unit, those from {key} on do not count"),
        ),
        Loss::Clamped { measure } => (
            format!("{measure} 之和超出声明的范围，按边界计"),
            format!("a sum of {measure} is outside its declared range and counts as the bound"),
        ),
        Loss::Rounded { measure } => (
            format!("{measure} 的值不在网格上，已取整"),
            format!("a value of {measure} is not on the grid and was rounded"),
        ),
        Loss::NotANumber { measure } => (
            format!("{measure} 的值不是数，计为无"),
            format!("a value of {measure} is not a number and counts as none"),
        ),
        Loss::KeyTwice { key } => (format!("键 {key} 答了不止一次"), format!("{key} is answered more than once")),
        Loss::KeyLeftOut { key } => {
            (format!("缺少 {key}：模型的每一项都须作答"), format!("{key} is left out: a model answers every key"))
        }
    }
}

/// Typical and most fuel and memory of a call, and what to write under `[limits]`.
fn resources(rehearsed: &Rehearsed, lang: Lang) -> Vec<String> {
    let reserved = &rehearsed.reserved;
    let inner: Vec<&Told> = rehearsed.passes.iter().flat_map(|pass| &pass.calls).collect();
    let outer: Vec<&Told> = rehearsed.outer.iter().map(|outer| &outer.told).collect();
    let rooms = [("fuel", inner, reserved.fuel), ("outer_fuel", outer, reserved.outer_fuel)];
    let mut lines = Vec::new();
    let mut memory_most = 0;
    for (field, told, fuel_reserved) in rooms.into_iter().filter(|(_, told, _)| !told.is_empty()) {
        let (fuel, fuel_most) = typical_and_most(&told, |t| t.fuel);
        let (memory, most) = typical_and_most(&told, |t| t.memory_bytes);
        memory_most = memory_most.max(most);
        // Twice the most that was seen: real people may be larger than these.
        let advised = fuel_most.saturating_mul(2).max(1);
        let (zh, en) = (
            format!(
                "{field}：典型 {fuel}，最多 {fuel_most}，合约预留 {fuel_reserved}；内存典型 {memory} 字节，最多 {most} 字节\n建议 [limits] {field} = {advised}"
            ),
            format!(
                "{field}: typical {fuel}, most {fuel_most}, the contract reserves {fuel_reserved}; memory typical {memory} bytes, most {most} bytes\nadvised: [limits] {field} = {advised}"
            ),
        );
        lines.extend(text(zh, en).of(lang).lines().map(str::to_owned));
    }
    if memory_most > 0 {
        let (advised, is) = (memory_most.saturating_mul(2).div_ceil(1 << 20), reserved.memory_bytes >> 20);
        let (zh, en) = (
            format!("建议 [limits] memory_mib = {advised}（合约预留 {is}）"),
            format!("advised: [limits] memory_mib = {advised} (the contract reserves {is})"),
        );
        lines.push(text(zh, en).of(lang).to_owned());
    }
    lines
}

fn typical_and_most(told: &[&Told], of: fn(&Told) -> u64) -> (u64, u64) {
    let mut all: Vec<u64> = told.iter().copied().map(of).collect();
    all.sort_unstable();
    (all.get(all.len() / 2).copied().unwrap_or(0), all.last().copied().unwrap_or(0))
}

fn why(failed: &Failed<'_>, rehearsed: &Rehearsed, lang: Lang) -> String {
    let (told, reserved) = (failed.told, failed.fuel);
    let say = |zh: String, en: String| text(zh, en).of(lang).to_owned();
    let memory = told.memory_refused.map(|bytes| {
        let limit = rehearsed.reserved.memory_bytes;
        say(
            format!("（要求 {bytes} 字节内存，上限 {limit}）"),
            format!(" (it asked for {bytes} bytes of memory, at most {limit})"),
        )
    });
    let memory = memory.unwrap_or_default();
    match &told.end {
        End::Finished { columns, .. } if Some(*columns) != failed.columns => {
            let wanted = failed.columns.unwrap_or_default();
            say(
                format!("答案有 {columns} 列，合约要 {wanted} 列（维度与度量）"),
                format!("the answer has {columns} columns, the contract wants {wanted}: its dimensions and measures"),
            )
        }
        End::Finished { nulls: 1.., .. } if !failed.may_miss => say(
            "答案中有空值：维度与度量都须有值".to_owned(),
            "the answer has missing values: every dimension and measure needs one".to_owned(),
        ),
        End::Finished { .. } | End::Sent { .. } => say(
            format!("需要燃料 {}，合约只预留 {reserved}", told.fuel),
            format!("it needs {} fuel, the contract reserves {reserved}", told.fuel),
        ),
        End::OutOfFuel { call } => say(
            format!("{call}：用去燃料 {} 仍未结束，合约只预留 {reserved}", told.fuel),
            format!("{call}: not done after {} fuel, the contract reserves {reserved}", told.fuel),
        ),
        End::Error { call, text } => {
            say(format!("{call} 返回错误：{text}{memory}"), format!("{call} returned an error: {text}{memory}"))
        }
        End::Trap { call, reason, .. } => {
            say(format!("{call} 陷入：{reason}{memory}"), format!("{call} trapped: {reason}{memory}"))
        }
        End::TooMuchOutput { rows, bytes } => {
            say(format!("输出过大：{rows} 行、{bytes} 字节"), format!("too much output: {rows} rows, {bytes} bytes"))
        }
        End::Unreadable => say(
            "答案有一列与合约的类型不符（例如文本的维度给了整数）".to_owned(),
            "a column of the answer is not of the contract's type, such as a whole number for a key of text".to_owned(),
        ),
        End::TooMuchInput => say(
            "数据超过可交给客件的上限（[limits] input_rows）".to_owned(),
            "the rows are more than a guest is handed ([limits] input_rows)".to_owned(),
        ),
    }
}
