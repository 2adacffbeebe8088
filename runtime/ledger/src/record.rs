//! The proof that something is in the log.

use std::fmt;

use sluice_domain::event::Entry;

use crate::checkpoint::Checkpoint;

/// Something that has been recorded, durably, before anybody acts on it. An effect
/// takes one of these, so there is no effect without a record.
///
/// Only [`crate::Ledger::record`] makes one, after the entry is on the disk: outside
/// this crate there is no constructor, no `Clone`, no `Default` and no `Deserialize`,
/// and it is used up by [`Recorded::into_parts`].
pub struct Recorded<T> {
    subject: T,
    entry: Entry,
    checkpoint: Checkpoint,
}

impl<T> Recorded<T> {
    /// Called in one place: after the commit in [`crate::Ledger::record`].
    pub(crate) fn new(subject: T, entry: Entry, checkpoint: Checkpoint) -> Self {
        Self { subject, entry, checkpoint }
    }

    /// What was recorded.
    pub fn get(&self) -> &T {
        &self.subject
    }

    /// The entry that records it.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// The checkpoint made with the entry: it is the last one that it covers.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Uses it up.
    pub fn into_parts(self) -> (T, Entry) {
        (self.subject, self.entry)
    }
}

/// Shows the position only: what was recorded may be something that no log line shows.
impl<T> fmt::Debug for Recorded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recorded(entry {}, subject withheld)", self.entry.seq)
    }
}
