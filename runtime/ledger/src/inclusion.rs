//! That one entry is in the log, as data a receipt can carry.

use serde::{Deserialize, Serialize};
use sluice_domain::Digest;

use crate::{
    error::{Damage, LedgerError},
    ledger::Ledger,
    tree::inclusion_path,
};

/// An entry, the way from it to a root, and the checkpoint that signs the root.
/// Whoever holds it can check it with [`crate::verify::inclusion`] and nothing else,
/// and later hold any export against the checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inclusion {
    /// The exact text of the entry.
    pub entry: String,
    /// PATH(m, D) of RFC 6962 §2.1.1, deepest sibling first.
    pub path: Vec<Digest>,
    /// The signed note.
    pub checkpoint: String,
}

impl Ledger {
    /// Shows that entry `seq` is in the log, against the newest checkpoint. Reads the
    /// whole log: meant for a release, not for every page view.
    ///
    /// # Errors
    /// [`LedgerError::NoSuchEntry`], and as [`Ledger::read_from`].
    pub async fn inclusion_proof(&self, seq: u64) -> Result<Inclusion, LedgerError> {
        let (mut leaves, mut entry) = (Vec::new(), None);
        let checkpoint = self
            .walk(0, |row| {
                leaves.push(row.leaf);
                if row.seq == seq {
                    let text = String::from_utf8(row.body.clone());
                    entry = Some(text.map_err(|_| LedgerError::damaged(seq, Damage::Entry))?);
                }
                Ok(())
            })
            .await?;
        let path = usize::try_from(seq).ok().and_then(|at| inclusion_path(&leaves, at));
        match (entry, path) {
            (Some(entry), Some(path)) => Ok(Inclusion { entry, path, checkpoint: checkpoint.note().to_owned() }),
            _ => Err(LedgerError::NoSuchEntry),
        }
    }
}
