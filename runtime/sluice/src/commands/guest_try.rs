//! `sluice guest try`: a job on synthetic data, before there is a domain to ask.
//!
//! Data goes to stdout, and says first what it is about. Nothing here decides: the
//! rehearsal takes the real way, and this file words what came of it.

use std::path::Path;

use serde_json::json;
use sluice_domain::{Kind, Lang, Refusal, contract::JobFile, text};
use sluice_service::{
    Programs,
    rehearse::{Rehearsal, Rehearsed, TableVerdict, caveat},
};
use sluice_worker::{End, Told};

use super::{Failure, job_place::located, read_bytes, read_text};
use crate::{args::TryArgs, demo::city::missing_layers, output::Output};

/// Failures of one kind are shown this often.
const SHOWN: usize = 5;

pub(super) async fn guest_try(args: TryArgs, output: &Output) -> Result<(), Failure> {
    output.say(&caveat(args.units, args.seed));
    let toml = read_text(&args.job)?;
    let named = JobFile::parse(&toml).map_err(|r| located(r, &args.job, &toml))?.job.guest;
    let beside = args.job.parent().unwrap_or(Path::new("."));
    let guest = args.guest.clone().or_else(|| named.map(|name| beside.join(name)));
    let guest = guest.map(|path| read_bytes(&path)).transpose()?;
    let catalogues = args.catalogue.iter().map(|file| read_text(file)).collect::<Result<Vec<_>, _>>()?;
    let agreement = read_text(&args.agreement)?;

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
    let rehearsal = Rehearsal::found(&catalogues, &agreement, args.units, args.seed, programs).await?;
    let rehearsed = rehearsal.job(&toml, guest.as_deref()).await.map_err(|r| located(r, &args.job, &toml))?;

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

/// The units that a real run would count as failed.
fn failures(rehearsed: &Rehearsed) -> Vec<&Told> {
    let over = |told: &Told| told.fuel > rehearsed.reserved.fuel;
    let failed = |told: &Told| over(told) || !matches!(told.end, End::Finished { .. });
    rehearsed.units.iter().filter(|told| failed(told)).collect()
}

fn refusal(rehearsed: &Rehearsed, failed: &[&Told]) -> Refusal {
    match &rehearsed.void {
        Some(code) => Refusal::refused(
            "try.void",
            text(format!("试运行作废（{code}）"), format!("the rehearsal is void ({code})")),
            text("按上文的原因改正作业或客件", "correct the job or the guest after what is said above"),
        ),
        None => Refusal::new(
            Kind::Refused,
            "try.units-failed",
            text(
                format!(
                    "{} 个单位中有 {} 个失败：真实运行中它们计为无贡献，且不给任何原因",
                    rehearsed.units.len(),
                    failed.len()
                ),
                format!(
                    "{} of {} units failed: in a real run they contribute nothing, and nothing says why",
                    failed.len(),
                    rehearsed.units.len()
                ),
            ),
            text("按上文的位置改正客件，或提高 [limits]", "correct the guest at the places above, or raise [limits]"),
        ),
    }
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
    lines.extend(rehearsed.tables.iter().flat_map(|table| table_lines(table, lang)));
    if !rehearsed.units.is_empty() {
        lines.extend(resources(rehearsed, lang));
    }
    for told in failures(rehearsed).into_iter().take(SHOWN) {
        lines.push(say(
            format!("一个单位失败：{}", why(told, rehearsed, lang)),
            format!("a unit failed: {}", why(told, rehearsed, lang)),
        ));
        if let End::Trap { frames, .. } = &told.end {
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

/// Most and typical fuel and memory of a unit, and what to reserve.
fn resources(rehearsed: &Rehearsed, lang: Lang) -> Vec<String> {
    let of = |value: fn(&Told) -> u64| {
        let mut all: Vec<u64> = rehearsed.units.iter().map(value).collect();
        all.sort_unstable();
        let typical = all.get(all.len() / 2).copied().unwrap_or(0);
        (typical, all.last().copied().unwrap_or(0))
    };
    let ((fuel, fuel_most), (memory, memory_most)) = (of(|t| t.fuel), of(|t| t.memory_bytes));
    // Twice the most that was seen: real people may be larger than these.
    let (advised_fuel, advised_mib) =
        (fuel_most.saturating_mul(2).max(1), (memory_most.saturating_mul(2) >> 20).max(1));
    let (reserved, reserved_mib) = (rehearsed.reserved.fuel, rehearsed.reserved.memory_bytes >> 20);
    let (zh, en) = (
        format!(
            "燃料：典型 {fuel}，最多 {fuel_most}，合约预留 {reserved}；建议 fuel ≥ {advised_fuel}\n内存：典型 {memory} 字节，最多 {memory_most} 字节，合约预留 {reserved_mib} MiB；建议 memory_mib ≥ {advised_mib}"
        ),
        format!(
            "fuel: typical {fuel}, most {fuel_most}, reserved {reserved}; advised fuel >= {advised_fuel}\nmemory: typical {memory} bytes, most {memory_most} bytes, reserved {reserved_mib} MiB; advised memory_mib >= {advised_mib}"
        ),
    );
    text(zh, en).of(lang).lines().map(str::to_owned).collect()
}

fn why(told: &Told, rehearsed: &Rehearsed, lang: Lang) -> String {
    let say = |zh: String, en: String| text(zh, en).of(lang).to_owned();
    let memory = told.memory_refused.map(|bytes| {
        let limit = rehearsed.reserved.memory_bytes;
        say(
            format!("（要求 {bytes} 字节内存，上限 {limit}）"),
            format!(" (it asked for {bytes} bytes of memory, at most {limit})"),
        )
    });
    let memory = memory.unwrap_or_default();
    let reserved = rehearsed.reserved.fuel;
    match &told.end {
        End::Finished { .. } => say(
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
        End::TooMuchInput => say(
            "该单位的数据超过可交给客件的上限".to_owned(),
            "the unit is larger than what a guest is handed".to_owned(),
        ),
    }
}
