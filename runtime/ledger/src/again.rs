//! The proof of an entry that was recorded earlier, perhaps by another process.

use sluice_domain::event::{Entry, Recordable};

use crate::{
    checkpoint::Checkpoint,
    error::{Damage, LedgerError},
    ledger::Ledger,
    record::Recorded,
};

impl Ledger {
    /// Proves again that `subject` stands at position `seq`: what the caller
    /// recomputed must be, word for word, what was recorded there. So an effect
    /// that a crash interrupted can still be finished.
    ///
    /// # Errors
    /// [`LedgerError::NoSuchEntry`] when something else stands there, and as
    /// [`Ledger::read_from`].
    pub async fn recorded<T: Recordable>(&self, seq: u64, subject: T) -> Result<Recorded<T>, LedgerError> {
        let mut found = None;
        self.walk(seq, |row| {
            if row.seq == seq {
                found = Some((row.body.clone(), row.checkpoint.clone()));
            }
            Ok(())
        })
        .await?;
        let (body, note) = found.ok_or(LedgerError::NoSuchEntry)?;
        let damaged = || LedgerError::damaged(seq, Damage::Entry);
        let entry: Entry = serde_json::from_slice(&body).map_err(|_| damaged())?;
        if entry.event != subject.event() {
            return Err(LedgerError::NoSuchEntry);
        }
        let note = String::from_utf8(note).map_err(|_| damaged())?;
        let checkpoint = Checkpoint::verify(&note, &self.public_key()).map_err(|_| damaged())?;
        Ok(Recorded::new(subject, entry, checkpoint))
    }
}
