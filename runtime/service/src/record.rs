//! Record first, act second. The one place that appends to the ledger.

use sluice_domain::{
    Refusal, Timestamp,
    event::{Actor, Recordable},
    state::State,
    text,
};
use sluice_ledger::{LedgerError, Recorded};
use sluice_vault::VaultError;

use crate::Service;

/// Sluice itself acts: runs, ticks, recovery.
pub(crate) const SYSTEM: Actor = Actor::System;

/// How often a decision is taken anew when another process got in between.
const ATTEMPTS: usize = 16;

impl Service {
    /// Decides against the newest state, appends durably, then applies. When
    /// another process appended in between, the decision is taken again.
    ///
    /// # Errors
    /// What `decide` says, or `ledger.*`: then nothing happened.
    pub(crate) async fn record<S: Recordable>(
        &self,
        actor: Actor,
        decide: impl Fn(&State, Timestamp) -> Result<S, Refusal>,
    ) -> Result<Recorded<S>, Refusal> {
        let mut state = self.state.lock().await;
        for _ in 0..ATTEMPTS {
            self.catch_up(&mut state).await?;
            let now = state.moment(Self::now());
            let subject = decide(&state, now)?;
            match self.ledger.record(state.next_seq(), now, actor.clone(), subject).await {
                Ok(recorded) => {
                    state.apply(recorded.entry());
                    // Known outside the folder before anything follows from it.
                    self.note(recorded.checkpoint())?;
                    return Ok(recorded);
                }
                Err(LedgerError::Conflict { .. }) => {}
                Err(e) => return Err(ledger_fault(e)),
            }
        }
        Err(Refusal::failed(
            "ledger.busy",
            text("审计日志正忙", "the ledger is busy"),
            text("稍后再试", "try again shortly"),
        ))
    }

    pub(crate) async fn catch_up(&self, state: &mut State) -> Result<(), Refusal> {
        for entry in self.ledger.read_from(state.next_seq()).await.map_err(ledger_fault)? {
            state.apply(&entry);
        }
        Ok(())
    }
}

/// Two things a decision brings: an answer for the caller and the event.
pub(crate) struct Decided<T>(pub(crate) T, pub(crate) sluice_domain::event::Event);

impl<T> Recordable for Decided<T> {
    fn event(&self) -> sluice_domain::event::Event {
        self.1.clone()
    }
}

/// A fault of the ledger, as a person is told it.
pub(crate) fn ledger_fault(error: LedgerError) -> Refusal {
    tracing::error!(%error, "the ledger failed");
    error.into()
}

/// A fault of the vault, as a person is told it.
pub(crate) fn vault_fault(error: VaultError) -> Refusal {
    tracing::error!(%error, "the vault failed");
    error.into()
}

/// A fault of the disk.
pub(crate) fn io_fault(code: &'static str, error: &std::io::Error) -> Refusal {
    tracing::error!(%error, code, "the disk failed");
    Refusal::failed(
        code,
        text("磁盘读写失败", "reading or writing the disk failed"),
        text("检查磁盘空间与权限后重试", "check space and permissions, then try again"),
    )
}
