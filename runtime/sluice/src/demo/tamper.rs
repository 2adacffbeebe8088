//! The auditor's part: the exported ledger verifies offline, and one flipped byte
//! in a copy is found, with its place.

use std::{fs::File, io::BufReader, path::Path};

use anyhow::{Context, anyhow};
use sluice_domain::{Refusal, text};
use sluice_service::verify;

use super::{city::City, summary::LedgerCheck};
use crate::{commands::Failure, output::Output};

pub(super) async fn check(city: &City, folder: &Path, output: &Output) -> Result<LedgerCheck, Failure> {
    let export = folder.join("ledger.jsonl");
    let mut file = File::create_new(&export).context("export")?;
    city.service.export_ledger(&city.auditor, &mut file).await?;
    let read = |path: &Path| File::open(path).map(BufReader::new);
    let report = verify::verify(read(&export).context("export")?, Some(&city.key), None).map_err(Refusal::from)?;
    output.say(&text(
        format!("审计日志核验通过：{} 条", report.entries),
        format!("ledger verified: {} entries", report.entries),
    ));

    let mut bytes = std::fs::read(&export).context("export")?;
    let middle = bytes.len() / 2;
    *bytes.get_mut(middle).context("export")? ^= 1;
    let copy = folder.join("ledger-tampered.jsonl");
    std::fs::write(&copy, bytes).context("copy")?;
    match verify::verify(read(&copy).context("copy")?, Some(&city.key), None) {
        Ok(_) => Err(anyhow!("a flipped byte in the ledger was not found").into()),
        Err(fault) => {
            output.say(&text("副本中翻转一个字节，核验发现：", "one byte flipped in a copy, and found:"));
            output.line(&Refusal::from(fault).line(output.lang()));
            Ok(LedgerCheck { entries: report.entries, verified: true, tamper_found: true })
        }
    }
}
