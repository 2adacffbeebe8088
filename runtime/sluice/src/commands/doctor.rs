//! `sluice doctor`: examines the two child programs on this host. Exit code 0 when
//! every layer is in force and every attempt was stopped, 5 otherwise.

use serde_json::json;
use sluice_domain::{Kind, Refusal, text};
use sluice_service::Programs;
use sluice_worker::{LayerStatus, Report};

use super::Failure;
use crate::output::Output;

pub(super) fn doctor(output: &Output) -> Result<(), Failure> {
    let programs = Programs::beside_current_exe().map_err(|e| e.refusal())?;
    let reports = sluice_worker::doctor(&programs).map_err(|e| e.refusal())?;
    let plain: Vec<_> = reports.iter().flat_map(|report| lines(report, output)).collect();
    output.data(&reports.iter().map(as_json).collect::<Vec<_>>(), &plain.join("\n"));
    if reports.iter().all(Report::holds) {
        output
            .say(&text("各隔离层均已生效，各项尝试均被拦住", "every layer is in force and every attempt was stopped"));
        return Ok(());
    }
    Err(verdict(&reports).into())
}

fn lines(report: &Report, output: &Output) -> Vec<String> {
    let child = report.child.as_str();
    let layers = report.layers.iter().map(|l| format!("{child}\t{}\t{}", l.name, l.status.text().of(output.lang())));
    let attempts = report.attempts.iter().map(|(attempt, outcome)| {
        format!("{child}\t{}\t{}", attempt.text().of(output.lang()), outcome.text().of(output.lang()))
    });
    layers.chain(attempts).collect()
}

fn as_json(report: &Report) -> serde_json::Value {
    let layer = |l: &sluice_worker::Layer| json!({ "layer": l.name.as_str(), "status": l.status.text().en });
    let attempt = |(attempt, outcome): &(sluice_worker::Attempt, sluice_worker::Outcome)| json!({ "attempt": attempt.as_str(), "stopped": outcome.stopped(), "by": outcome.text().en });
    json!({
        "child": report.child.as_str(),
        "holds": report.holds(),
        "layers": report.layers.iter().map(layer).collect::<Vec<_>>(),
        "attempts": report.attempts.iter().map(attempt).collect::<Vec<_>>(),
    })
}

/// Names what a domain would have to do without, as its configuration would say it.
fn verdict(reports: &[Report]) -> Refusal {
    let mut lacking: Vec<_> = reports
        .iter()
        .flat_map(|r| &r.layers)
        .filter(|l| l.status != LayerStatus::InForce)
        .map(|l| format!("\"{}\"", l.name))
        .collect();
    lacking.sort();
    lacking.dedup();
    let names = lacking.join(", ");
    Refusal::new(
        Kind::Verification,
        "doctor.isolation",
        text("本机的隔离不完整，见上表", "isolation on this host is not whole, see the table above"),
        text(
            format!(
                "换用支持这些层的内核或容器设置；确要缺层运行，在域的 sluice.toml 写明 accept_missing_layers = [{names}]"
            ),
            format!(
                "use a kernel or container that has these layers; to do without them, say accept_missing_layers = [{names}] in the domain's sluice.toml"
            ),
        ),
    )
}
