//! Rows of nobody: drawn from published documents, so they may be looked at.
//!
//! Whatever shows what a guest does (its words, its traps, its fuel) takes this type
//! and no other. There is no way from a [`RowBatch`] of a snapshot to here but
//! [`Synthetic::vouch`], and one file calls it: the rehearsal, for rows that it has
//! drawn itself (a test of the house's rules reads every file for that word).

use crate::RowBatch;

/// Synthetic rows.
#[derive(Debug)]
pub struct Synthetic(RowBatch);

impl Synthetic {
    /// Takes the caller's word that `rows` were drawn from documents alone.
    pub fn vouch(rows: RowBatch) -> Self {
        Self(rows)
    }

    /// The rows.
    pub fn rows(&self) -> &RowBatch {
        &self.0
    }
}
