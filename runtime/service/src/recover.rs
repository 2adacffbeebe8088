//! After a crash: whatever was recorded is finished, whatever was not is gone.

use sluice_domain::Refusal;

use crate::Service;

impl Service {
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
