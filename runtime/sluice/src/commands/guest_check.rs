//! `sluice guest check`: what a component is, and whether a room would take it; with a
//! job file, also what of the job can be judged without a domain.
//!
//! Each finding has a code, a cause, a place and a next step. What needs a catalogue
//! (SQL, columns, code lists, the tick) is for `sluice guest try` and `sluice job
//! quote`, and it says so.

use std::path::Path;

use serde_json::json;
use sluice_domain::{
    Refusal,
    contract::{JobFile, LimitsFile},
    decide,
    rulepack::RulePack,
    text,
};
use sluice_worker::{InspectLimits, inspect, inspect::ABI};

use super::{Failure, job_place::located, read_bytes, read_text};
use crate::output::Output;

pub(super) fn guest_check(file: &Path, job: Option<&Path>, output: &Output) -> Result<(), Failure> {
    let bytes = read_bytes(file)?;
    let rules = RulePack::shipped().map_err(anyhow::Error::from)?;
    let mut findings = Vec::new();
    let mut limits = LimitsFile::default();
    if let Some(path) = job {
        let toml = read_text(path)?;
        let mut found = |refusal: Refusal| findings.push(located(refusal, path, &toml));
        match JobFile::parse(&toml) {
            Err(refusal) => found(refusal),
            Ok(job) => {
                if job.job.guest.is_none() {
                    found(no_guest());
                }
                limits = job.limits.clone();
                decide::check(job, &rules).map_or_else(&mut found, drop);
            }
        }
    }
    let memory = u64::from(limits.memory_mib.unwrap_or(rules.limits.memory_mib)) << 20;
    let held_to = InspectLimits { bytes_max: rules.limits.guest_bytes_max, memory_bytes: memory };
    let inspected = inspect(&bytes, held_to).map_err(|refusal| findings.push(refusal)).ok();

    let not_judged = text(
        "未判断：SQL、列、代码表与表的大小、隐私预算余额、出域时刻；用 `sluice guest try` 或 `sluice job quote`",
        "not judged: SQL, columns, code lists and sizes of tables, budgets left, the release tick; `sluice guest try` or `sluice job quote` do",
    );
    let functions: Vec<_> = ABI.iter().map(|(name, signature)| format!("{name}: {signature}")).collect();
    let digest = inspected.as_ref().map(|i| i.digest());
    let memories = inspected.as_ref().map(|i| i.memories().to_vec()).unwrap_or_default();
    let said = findings.iter().map(|f| f.line(output.lang()));
    let facts = inspected.iter().map(|i| format!("ok\t{}\t{}", i.digest(), i.len()));
    output.data(
        &json!({
            "guest": digest, "bytes": bytes.len(), "memories": memories,
            "exports": inspected.as_ref().map(|_| &functions), "findings": findings,
            "not_judged": job.map(|_| &not_judged),
        }),
        &facts.chain(said).collect::<Vec<_>>().join("\n"),
    );
    if inspected.is_some() {
        output.say(&text(
            format!("没有导入；导出 {}；各内存起始字节 {memories:?}", functions.join("；")),
            format!("no imports; exports {}; memories start with {memories:?} bytes", functions.join("; ")),
        ));
    }
    if job.is_some() {
        output.say(&not_judged);
    }
    findings.into_iter().next().map_or(Ok(()), |first| Err(first.into()))
}

fn no_guest() -> Refusal {
    Refusal::refused(
        "job.guest",
        text("作业文件没有写客件", "the job file names no guest"),
        text("在 [job] 中写 guest = \"….wasm\"", "write guest = \"….wasm\" in [job]"),
    )
    .at("job.guest")
}
