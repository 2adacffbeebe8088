//! 恢复: lets a domain go on that was restored from an old copy of its files. The bureau
//! presents the newest checkpoint that anybody knows. If the ledger continues it, or does
//! once the later entries of an export were taken in, nothing is lost. If not, every budget
//! of the years in question counts as used up (`sluice_domain::decide::restore`).

use std::path::Path;

use serde::Serialize;
use sluice_domain::{
    Kind, Refusal,
    decide::{self, Later},
    event::Event,
    text,
};
use sluice_ledger::Checkpoint;
use sluice_vault::Kek;
use sluice_worker::Programs;
use zeroize::Zeroizing;

use crate::{
    Service,
    record::{Decided, ledger_fault},
};

/// What is presented to restore a domain, and by whom.
pub struct Presented<'a> {
    /// The account; the bureau's.
    pub account: &'a str,
    /// Its password.
    pub password: Zeroizing<String>,
    /// The newest known checkpoint: a signed note, a receipt, or an exported ledger.
    pub checkpoint: &'a str,
    /// An export of the ledger with the entries that the copy lacks.
    pub entries: Option<&'a [u8]>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Restored {
    /// Entries taken in from the export.
    pub adopted: u64,
    /// What was charged: none when nothing is lost.
    pub event: Event,
}

impl Service {
    /// Restores the domain in `folder`, which [`Service::open`] refuses.
    ///
    /// # Errors
    /// `account.*`, `restore.checkpoint`, `ledger.foreign`, `ledger.forked` when the ledger
    /// and the checkpoint have gone different ways; what opening a domain says.
    pub async fn restore(
        folder: &Path,
        kek: Kek,
        programs: Programs,
        presented: Presented<'_>,
    ) -> Result<Restored, Refusal> {
        let service = Self::unlocked(folder, kek, programs).await?;
        // Not signed in: that would be an entry before the missing ones.
        let who = service.proven(presented.account, presented.password).await?;
        let key = service.ledger.public_key();
        let shown = Checkpoint::verify(&note(presented.checkpoint), &key).map_err(|_| {
            Refusal::new(
                Kind::Verification,
                "restore.checkpoint",
                text("出示的不是本域签署的检查点", "what is presented is not a checkpoint that this domain signed"),
                text("出示最新的凭证、检查点或日志导出件", "present the newest receipt, checkpoint or export"),
            )
        })?;
        let kept = service.witness.read(&key).unwrap_or_else(|_| {
            // Not one of ours: without it the domain stays shut until this is done.
            let _ = std::fs::remove_file(service.witness.path());
            None
        });
        let known = kept.filter(|kept| kept.size() > shown.size()).unwrap_or(shown);
        let by = who.person().id.clone();
        decide::restore(&service.snapshot().await?, &by, String::new(), Later::Presented, Self::now())?;
        let adopted = match presented.entries {
            Some(export) => service.ledger.adopt(export).await.map_err(ledger_fault)?,
            None => 0,
        };
        let ours = service.ledger.checkpoint().await.map_err(ledger_fault)?;
        let later = if service.ledger.extends(&known).await.map_err(ledger_fault)? {
            Later::Presented
        } else if ours.size() < known.size() {
            let last = service.ledger.read_from(ours.size().saturating_sub(1)).await.map_err(ledger_fault)?;
            Later::LostSince(last.first().map_or_else(Self::now, |entry| entry.at))
        } else {
            return Err(Refusal::new(
                Kind::Verification,
                "ledger.forked",
                text("审计日志与出示的检查点各走一路", "the ledger and the checkpoint have gone different ways"),
                text("核对是哪一份副本在使用，停用另一份", "find out which copy is in use and stop the other"),
            ));
        };
        let note = known.note().to_owned();
        let recorded = service
            .record(who.actor(), |state, now| {
                let event = decide::restore(state, &by, note.clone(), later, now)?;
                Ok(Decided((), event))
            })
            .await?;
        // Only now: interrupted before the record, the old copy is still found to be one.
        service.witness.replace(recorded.checkpoint())?;
        Ok(Restored { adopted, event: recorded.entry().event.clone() })
    }
}

/// The signed note in what was presented.
fn note(presented: &str) -> String {
    let of = |value: &serde_json::Value| {
        let note = value.pointer("/receipt/checkpoint").or_else(|| value.get("checkpoint"));
        note.and_then(|note| note.as_str()).map(str::to_owned)
    };
    let whole = serde_json::from_str(presented).ok();
    let last = || presented.lines().last().and_then(|line| serde_json::from_str(line).ok());
    whole.or_else(last).as_ref().and_then(of).unwrap_or_else(|| presented.to_owned())
}
