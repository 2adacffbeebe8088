//! 见证: the newest checkpoint of the ledger, kept beside the domain's folder and never in
//! it, so that a restored old copy of the folder shows. It is written after every record
//! and before anything that follows from it.
//!
//! It does not help where both are restored together: then somebody who holds a later
//! receipt presents it ([`Service::restore`]).

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use sluice_domain::{Kind, Refusal, person::PublicKey, text};
use sluice_ledger::Checkpoint;

use crate::{
    Service,
    record::{io_fault, ledger_fault},
};

/// Where the newest known checkpoint of a domain lies.
#[derive(Debug, Clone)]
pub(crate) struct Witness(PathBuf);

impl Witness {
    /// `city.checkpoint` of the domain in the folder `city`.
    pub(crate) fn beside(folder: &Path) -> Self {
        let mut name = folder.as_os_str().to_owned();
        name.push(".checkpoint");
        Self(name.into())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The checkpoint in it; none when there is no file.
    pub(crate) fn read(&self, key: &PublicKey) -> Result<Option<Checkpoint>, Refusal> {
        let note = match std::fs::read_to_string(&self.0) {
            Ok(note) => note,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(io_fault("witness.read", &e)),
        };
        Checkpoint::verify(&note, key).map(Some).map_err(|_| {
            let cause = text("检查点文件不是本域签署的", "the checkpoint file is not one that this domain signed");
            restore_first("ledger.witness", cause).at(self.0.display().to_string())
        })
    }

    /// Puts `newest` in its place, durably.
    pub(crate) fn replace(&self, newest: &Checkpoint) -> Result<(), Refusal> {
        let fault = |e: std::io::Error| io_fault("witness.write", &e);
        let folder = self.0.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(fault)?;
        file.write_all(newest.note().as_bytes()).map_err(fault)?;
        file.as_file().sync_all().map_err(fault)?;
        file.persist(&self.0).map_err(|e| fault(e.error))?;
        Ok(())
    }
}

impl Service {
    /// Notes the checkpoint of a record, unless a later one is noted already.
    pub(crate) fn note(&self, recorded: &Checkpoint) -> Result<(), Refusal> {
        let lock = std::fs::File::create(self.home.witness_lock()).map_err(|e| io_fault("domain.lock", &e))?;
        lock.lock().map_err(|e| io_fault("domain.lock", &e))?;
        match self.witness.read(&self.ledger.public_key())? {
            Some(known) if known.size() >= recorded.size() => Ok(()),
            _ => self.witness.replace(recorded),
        }
    }

    /// Refuses a domain whose ledger does not continue the newest known checkpoint.
    pub(crate) async fn continues_witness(&self) -> Result<(), Refusal> {
        let Some(known) = self.witness.read(&self.ledger.public_key())? else {
            let cause = text(
                "域文件夹旁没有检查点文件：可能是由备份恢复的",
                "there is no checkpoint file beside the domain's folder: it may have been restored from a copy",
            );
            return Err(restore_first("ledger.unwitnessed", cause).at(self.witness.path().display().to_string()));
        };
        if self.ledger.extends(&known).await.map_err(ledger_fault)? {
            return Ok(());
        }
        let here = self.ledger.checkpoint().await.map_err(ledger_fault)?.size();
        let cause = text(
            format!("审计日志有 {here} 条，而已知的检查点有 {} 条且不在其中：这是旧的副本", known.size()),
            format!(
                "the ledger has {here} entries and does not continue a checkpoint of {}: it is an old copy",
                known.size()
            ),
        );
        Err(restore_first("ledger.behind", cause))
    }
}

fn restore_first(code: &'static str, cause: sluice_domain::Text) -> Refusal {
    let next = text(
        "由主管部门以 `sluice audit restore --checkpoint` 出示最新的检查点；有其后的导出件时一并给出 --entries",
        "the bureau presents the newest checkpoint with `sluice audit restore --checkpoint`, and an export with the later entries as --entries if there is one",
    );
    Refusal::new(Kind::Verification, code, cause, next)
}
