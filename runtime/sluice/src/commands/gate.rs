//! `sluice gate check`: the gate's verdict on a case file, without a domain.

use std::{fmt::Write, path::Path, process::ExitCode};

use sluice_domain::{Lang, text};
use sluice_gate::{
    check::{CaseReport, CellStatus, JobReport, Status, check_case},
    reason_name,
};

use super::{Failure, read_text};
use crate::{
    args::GateCommand,
    output::{Output, VERDICT},
};

/// Prints the verdict; the exit code carries it too.
pub(super) fn gate(command: &GateCommand, output: &Output) -> Result<ExitCode, Failure> {
    let GateCommand::Check { case } = command;
    let beside = case.parent().unwrap_or(Path::new(""));
    let report = check_case(&read_text(case)?, |file| {
        std::fs::read(beside.join(file)).map_err(|_| super::unreadable(&beside.join(file)))
    })?;
    output.data(&report, plain(&report, output.lang()).trim_end());
    Ok(if report.status == Status::Pass { ExitCode::SUCCESS } else { ExitCode::from(VERDICT) })
}

/// For people: one line per job, then its cells that are not safe.
fn plain(report: &CaseReport, lang: Lang) -> String {
    let mut out = String::new();
    for job in &report.jobs {
        job_lines(&mut out, job, lang);
    }
    let whole = text("总评", "verdict");
    let _ = writeln!(out, "{}\t{}", whole.of(lang), status(report.status, lang));
    out
}

fn job_lines(out: &mut String, job: &JobReport, lang: Lang) {
    let safe = job.cells.iter().filter(|c| c.status == CellStatus::Safe).count();
    let (of, all) = (text("安全", "safe"), job.cells.len());
    let _ = writeln!(out, "{}\t{}\t{} {safe}/{all}", job.name, status(job.status, lang), of.of(lang));
    if let Some(reason) = &job.refused {
        let refused = text("拒绝", "refused");
        let _ = writeln!(out, "  {}: {reason}", refused.of(lang));
    }
    for cell in job.cells.iter().filter(|c| c.status != CellStatus::Safe) {
        let key: Vec<String> = cell.key.iter().map(|(dimension, code)| format!("{dimension}={code}")).collect();
        let total = text("合计", "total");
        let key = if key.is_empty() { total.of(lang).to_owned() } else { key.join(" ") };
        let reasons: Vec<String> = cell.reasons.iter().map(|r| reason_name(*r).of(lang).trim().to_owned()).collect();
        let _ = writeln!(out, "  {key}\t{}\t{}", cell_status(cell.status, lang), reasons.join(", "));
    }
}

fn status(status: Status, lang: Lang) -> &'static str {
    match (status, lang) {
        (Status::Pass, Lang::Zh) => "通过",
        (Status::Pass, Lang::En) => "pass",
        (Status::Review, Lang::Zh) => "须人工复核",
        (Status::Review, Lang::En) => "review",
        (Status::Fail, Lang::Zh) => "不通过",
        (Status::Fail, Lang::En) => "fail",
    }
}

fn cell_status(status: CellStatus, lang: Lang) -> &'static str {
    match (status, lang) {
        (CellStatus::Safe, Lang::Zh) => "安全",
        (CellStatus::Safe, Lang::En) => "safe",
        (CellStatus::Primary, Lang::Zh) => "自身不安全",
        (CellStatus::Primary, Lang::En) => "primary",
        (CellStatus::Secondary, Lang::Zh) => "互补隐去",
        (CellStatus::Secondary, Lang::En) => "secondary",
        (CellStatus::Review, Lang::Zh) => "须人工复核",
        (CellStatus::Review, Lang::En) => "review",
        (CellStatus::Differencing, Lang::Zh) => "与此前发布相减",
        (CellStatus::Differencing, Lang::En) => "differencing",
    }
}
