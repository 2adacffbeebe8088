//! After a crash: whatever was recorded is finished, whatever was not is gone.

use std::{fs::File, path::Path};

use sluice_domain::{Refusal, text};

use crate::{Service, record::io_fault};

impl Service {
    /// Takes a lock between processes; free again when the holder's file is dropped
    /// or its process ends.
    ///
    /// # Errors
    /// `busy` when another process holds it.
    pub(crate) fn lock(&self, file: &Path, busy: &'static str) -> Result<File, Refusal> {
        let held = File::create(file).map_err(|e| io_fault("domain.lock", &e))?;
        held.try_lock().map_err(|_| {
            Refusal::refused(
                busy,
                text("另一个进程正在进行此事", "another process is at it"),
                text("等待其结束后再试", "wait for it to end and try again"),
            )
        })?;
        Ok(held)
    }

    /// Clears up what was under way when a process died. Runs at every opening;
    /// doing it twice changes nothing.
    ///
    /// # Errors
    /// A fault of the disk or the ledger.
    pub async fn recover(&self) -> Result<(), Refusal> {
        self.recover_ingests().await?;
        self.recover_runs().await?;
        self.recover_approvals().await?;
        self.recover_products().await
    }
}
