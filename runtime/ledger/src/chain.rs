//! Following the stored rows: each must be the next, hash to its leaf, lead to its
//! root, and carry the very checkpoint that the key signs for that root.
//!
//! Ed25519 is deterministic, so the key holder checks a stored checkpoint by signing
//! again and comparing bytes: cheaper than verifying, and no bit can differ.

use sluice_domain::Digest;
use sqlx::SqliteConnection;

use crate::{
    checkpoint::Checkpoint,
    error::{Damage, LedgerError},
    sign::LedgerKey,
    store::{self, Head, Row},
    tree::{Tree, leaf_hash},
};

/// The tree over the entries seen so far, and the checkpoint of it.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    origin: String,
    tree: Tree,
    newest: Checkpoint,
}

impl Chain {
    /// The chain of the empty log.
    pub(crate) fn start(head: &Head, key: &LedgerKey) -> Result<Self, LedgerError> {
        if head.key != key.public_key() {
            return Err(LedgerError::WrongKey);
        }
        let this = Self::empty(&head.origin, key)?;
        if this.newest.note() != head.checkpoint {
            return Err(LedgerError::Damaged { seq: None, what: Damage::Head });
        }
        Ok(this)
    }

    /// The chain of a log that is about to be created.
    pub(crate) fn empty(origin: &str, key: &LedgerKey) -> Result<Self, LedgerError> {
        let tree = Tree::default();
        let newest = Checkpoint::sign(key, origin, 0, tree.root()).map_err(|_| LedgerError::Origin)?;
        Ok(Self { origin: origin.to_owned(), tree, newest })
    }

    /// Position of the next entry.
    pub(crate) fn next(&self) -> u64 {
        self.tree.size()
    }

    /// Checkpoint of everything seen.
    pub(crate) fn newest(&self) -> &Checkpoint {
        &self.newest
    }

    /// The chain with one entry more, and the row that stores it. The chain itself
    /// stays as it is: the disk may still say no.
    pub(crate) fn extended(&self, key: &LedgerKey, body: Vec<u8>) -> Result<(Self, Row), LedgerError> {
        let leaf = leaf_hash(&body);
        let longer = self.with(key, leaf)?;
        let (root, checkpoint) = (*longer.newest.root(), longer.newest.note().as_bytes().to_vec());
        Ok((longer, Row { seq: self.next(), body, leaf, root, checkpoint }))
    }

    fn with(&self, key: &LedgerKey, leaf: Digest) -> Result<Self, LedgerError> {
        let mut tree = self.tree.clone();
        tree.push(leaf);
        let newest = Checkpoint::sign(key, &self.origin, tree.size(), tree.root())
            .map_err(|_| LedgerError::damaged(self.next(), Damage::Checkpoint))?;
        Ok(Self { origin: self.origin.clone(), tree, newest })
    }

    /// Reads the store from `from`, at the latest from the last entry seen, up to its
    /// end; checks every row, follows the new ones, and hands all of them to `each`.
    pub(crate) async fn follow(
        &mut self,
        conn: &mut SqliteConnection,
        key: &LedgerKey,
        from: u64,
        mut each: impl FnMut(&Row) -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError> {
        // The last entry seen is read again, to see that it is still there.
        let mut at = from.min(self.next().saturating_sub(1));
        loop {
            let rows = store::page(conn, at).await?;
            if rows.is_empty() {
                break;
            }
            for row in &rows {
                if row.seq != at {
                    return Err(LedgerError::damaged(at, Damage::Missing));
                }
                self.check(key, row)?;
                each(row)?;
                at += 1;
            }
        }
        if at < self.next() { Err(LedgerError::damaged(at, Damage::Missing)) } else { Ok(()) }
    }

    fn check(&mut self, key: &LedgerKey, row: &Row) -> Result<(), LedgerError> {
        if leaf_hash(&row.body) != row.leaf {
            return Err(LedgerError::damaged(row.seq, Damage::Entry));
        }
        if row.seq == self.next() {
            let longer = self.with(key, row.leaf)?;
            longer.ends_with(row)?;
            *self = longer;
        } else if row.seq + 1 == self.next() {
            self.ends_with(row)?;
        }
        Ok(())
    }

    fn ends_with(&self, row: &Row) -> Result<(), LedgerError> {
        if row.root != *self.newest.root() {
            return Err(LedgerError::damaged(row.seq, Damage::Root));
        }
        if row.checkpoint != self.newest.note().as_bytes() {
            return Err(LedgerError::damaged(row.seq, Damage::Checkpoint));
        }
        Ok(())
    }
}
