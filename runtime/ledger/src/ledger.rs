//! The ledger: create, open, record, read, checkpoint.
//!
//! It holds no decision: what may be recorded, and what an entry means, is the
//! domain's. Every operation reads on from where this handle stopped, so that several
//! handles and processes may share a file.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use sluice_domain::{
    Timestamp,
    event::{Actor, Entry, Recordable},
    person::PublicKey,
};
use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::Mutex;

use crate::{
    ENTRY_BYTES_MAX,
    chain::Chain,
    checkpoint::Checkpoint,
    error::{Damage, LedgerError},
    export::Middle,
    record::Recorded,
    sign::LedgerKey,
    store::{self, Head, Row},
};

/// An open ledger.
///
/// While it is open, no other code of this process may open and close its file by
/// itself: closing any handle on a file drops the process's locks on it (POSIX).
pub struct Ledger {
    path: PathBuf,
    key: LedgerKey,
    head: Head,
    inner: Mutex<Inner>,
}

/// What the operations share.
struct Inner {
    /// Taken for an operation and put back when it went well: a connection that saw
    /// an error, or whose operation was dropped half-way, is closed, not reused.
    conn: Option<SqliteConnection>,
    chain: Chain,
}

impl Ledger {
    /// Makes a new ledger with no entries. `origin` names it in every checkpoint: a
    /// schema-less URL such as `data.example.gov/domain`.
    ///
    /// # Errors
    /// [`LedgerError::Exists`] if there is a file, [`LedgerError::Origin`] if the
    /// origin cannot name a log, and the store's errors.
    pub async fn create(path: &Path, origin: &str, key: LedgerKey) -> Result<Self, LedgerError> {
        let chain = Chain::empty(origin, &key)?;
        let checkpoint = chain.newest().note().to_owned();
        let head = Head { origin: origin.to_owned(), key: key.public_key(), checkpoint };
        let conn = Some(store::create(path, &head).await?);
        Ok(Self { path: path.to_owned(), key, head, inner: Mutex::new(Inner { conn, chain }) })
    }

    /// Opens a ledger: hashes every entry again and compares every root and every
    /// checkpoint, byte for byte.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] with the first entry that does not hold,
    /// [`LedgerError::WrongKey`], [`LedgerError::NotALedger`], and the store's errors.
    pub async fn open(path: &Path, key: LedgerKey) -> Result<Self, LedgerError> {
        let mut conn = store::connect(path).await?;
        let head = store::head(&mut conn).await?;
        let mut chain = Chain::start(&head, &key)?;
        chain.follow(&mut conn, &key, 0, |row| decode(row).map(drop)).await?;
        let inner = Mutex::new(Inner { conn: Some(conn), chain });
        Ok(Self { path: path.to_owned(), key, head, inner })
    }

    /// Records `subject` at position `expected`. When this returns, the entry and its
    /// checkpoint are on the disk.
    ///
    /// # Errors
    /// [`LedgerError::Conflict`] when the log's next position is another one,
    /// [`LedgerError::Unrecordable`] when the entry would not read back as itself (a
    /// number that JSON cannot carry, more than [`ENTRY_BYTES_MAX`]), and the store's
    /// errors. In each case nothing was written, and `subject` is gone: decide again.
    pub async fn record<T: Recordable>(
        &self,
        expected: u64,
        at: Timestamp,
        actor: Actor,
        subject: T,
    ) -> Result<Recorded<T>, LedgerError> {
        let entry = Entry { seq: expected, at, actor, event: subject.event() };
        let checkpoint = self.append(expected, encode(&entry)?).await?;
        Ok(Recorded::new(subject, entry, checkpoint))
    }

    /// Every entry from position `seq` on, those of other processes included.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] if the store is no longer what it was, and the
    /// store's errors.
    pub async fn read_from(&self, seq: u64) -> Result<Vec<Entry>, LedgerError> {
        let mut entries = Vec::new();
        self.walk(seq, |row| {
            if row.seq >= seq {
                entries.push(decode(row)?);
            }
            Ok(())
        })
        .await?;
        Ok(entries)
    }

    /// The newest checkpoint, of everything that is recorded now.
    ///
    /// # Errors
    /// As [`Ledger::read_from`].
    pub async fn checkpoint(&self) -> Result<Checkpoint, LedgerError> {
        self.walk(u64::MAX, |_| Ok(())).await
    }

    /// Whether the log is an extension of `known`, a checkpoint of this log that its key
    /// signed: it is as long, and its root at that size is the known one.
    ///
    /// # Errors
    /// As [`Ledger::read_from`].
    pub async fn extends(&self, known: &Checkpoint) -> Result<bool, LedgerError> {
        let Some(last) = known.size().checked_sub(1) else { return Ok(known.origin() == self.origin()) };
        let mut root = None;
        self.walk(last, |row| {
            root = if row.seq == last { Some(row.root) } else { root };
            Ok(())
        })
        .await?;
        Ok(known.origin() == self.origin() && root == Some(*known.root()))
    }

    /// Takes in the entries of `export`, verified as a whole, that come after this log's
    /// own: what a restored copy lacks. Returns how many that were.
    ///
    /// # Errors
    /// [`LedgerError::Foreign`] when the export does not verify under this log's key or
    /// does not continue this log, and the store's errors.
    pub async fn adopt(&self, export: &[u8]) -> Result<u64, LedgerError> {
        let foreign = |_| LedgerError::Foreign;
        crate::verify::verify(export, Some(&self.head.key), None).map_err(foreign)?;
        let newest = self.checkpoint().await?;
        let (mut adopted, mut here) = (0, newest.size() == 0);
        for line in export.split(|byte| *byte == b'\n') {
            let Ok(line) = serde_json::from_slice::<Middle<'_>>(line) else { continue };
            if line.seq + 1 == newest.size() {
                here = line.checkpoint == newest.note();
            } else if line.seq >= newest.size() && here {
                let appended = self.append(line.seq, line.entry.as_bytes().to_vec()).await?;
                if appended.note() != line.checkpoint {
                    return Err(LedgerError::Foreign);
                }
                adopted += 1;
            }
        }
        if here { Ok(adopted) } else { Err(LedgerError::Foreign) }
    }

    /// The log's name.
    pub fn origin(&self) -> &str {
        &self.head.origin
    }

    /// Checks its checkpoints and receipts.
    pub fn public_key(&self) -> PublicKey {
        self.head.key
    }

    /// The key that signs checkpoints, for signing receipts.
    pub fn key(&self) -> &LedgerKey {
        &self.key
    }

    /// Reads on from `from` (see [`Chain::follow`]) and returns the checkpoint of what was read.
    pub(crate) async fn walk(
        &self,
        from: u64,
        each: impl FnMut(&Row) -> Result<(), LedgerError>,
    ) -> Result<Checkpoint, LedgerError> {
        let mut inner = self.inner.lock().await;
        let mut conn = self.connection(&mut inner).await?;
        inner.chain.follow(&mut conn, &self.key, from, each).await?;
        inner.conn = Some(conn);
        Ok(inner.chain.newest().clone())
    }

    /// Walks the whole store on a connection of its own, as it stands now: appends
    /// go on meanwhile and are not seen.
    pub(crate) async fn walk_apart(
        &self,
        each: impl FnMut(&Row) -> Result<(), LedgerError>,
    ) -> Result<Checkpoint, LedgerError> {
        let mut conn = store::connect(&self.path).await?;
        let mut chain = Chain::start(&self.head, &self.key)?;
        let mut snapshot = conn.begin().await?;
        chain.follow(&mut snapshot, &self.key, 0, each).await?;
        snapshot.rollback().await?;
        Ok(chain.newest().clone())
    }

    /// The head, as stored.
    pub(crate) fn head(&self) -> &Head {
        &self.head
    }

    async fn append(&self, expected: u64, body: Vec<u8>) -> Result<Checkpoint, LedgerError> {
        let mut inner = self.inner.lock().await;
        let mut conn = self.connection(&mut inner).await?;
        // IMMEDIATE: nobody else writes between reading the log's end and writing there.
        let mut tx = conn.begin_with("BEGIN IMMEDIATE").await?;
        inner.chain.follow(&mut tx, &self.key, u64::MAX, |_| Ok(())).await?;
        let next = inner.chain.next();
        if next != expected {
            tx.rollback().await?;
            inner.conn = Some(conn);
            return Err(LedgerError::Conflict { next });
        }
        let (longer, row) = inner.chain.extended(&self.key, body)?;
        store::insert(&mut tx, &row).await?;
        tx.commit().await?;
        inner.chain = longer;
        inner.conn = Some(conn);
        Ok(inner.chain.newest().clone())
    }

    async fn connection(&self, inner: &mut Inner) -> Result<SqliteConnection, LedgerError> {
        match inner.conn.take() {
            Some(conn) => Ok(conn),
            None => store::connect(&self.path).await,
        }
    }
}

/// The bytes that are hashed and kept: the entry as JSON, checked to read back as itself.
fn encode(entry: &Entry) -> Result<Vec<u8>, LedgerError> {
    let body = serde_json::to_vec(entry).map_err(|_| LedgerError::Unrecordable)?;
    // JSON has no NaN: serde writes null, and the log would not read back.
    let back = serde_json::from_slice::<Entry>(&body).map_err(|_| LedgerError::Unrecordable)?;
    if back == *entry && body.len() <= ENTRY_BYTES_MAX { Ok(body) } else { Err(LedgerError::Unrecordable) }
}

fn decode(row: &Row) -> Result<Entry, LedgerError> {
    serde_json::from_slice::<Entry>(&row.body)
        .ok()
        .filter(|entry| entry.seq == row.seq)
        .ok_or_else(|| LedgerError::damaged(row.seq, Damage::Unknown))
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ledger({})", self.head.origin)
    }
}
