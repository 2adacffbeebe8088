//! Rows of nobody: drawn from published documents, so they may be looked at; and what a
//! guest answered to them.
//!
//! Whatever shows what a guest does (its words, its traps, its fuel) takes this type
//! and no other. There is no way from a [`RowBatch`] of a snapshot to here but
//! [`Synthetic::vouch`], and one file calls it: the rehearsal, for rows that it has
//! drawn itself (a test of the house's rules reads every file for that word).

use crate::RowBatch;

/// Synthetic rows, or something that was made of nothing else.
#[derive(Debug)]
pub struct Synthetic<T = RowBatch>(T);

impl<T> Synthetic<T> {
    /// Takes the caller's word that `it` comes from documents alone.
    pub fn vouch(it: T) -> Self {
        Self(it)
    }

    /// What it is.
    pub fn get(&self) -> &T {
        &self.0
    }
}
