//! The SQLite file: its tables, its guards, and the few statements that touch it.
//!
//! Write-ahead log, `synchronous=EXTRA`: a commit returns after the disk has it (and,
//! should somebody turn the write-ahead log off, after the directory has it too).
//! Nothing here checks a hash: that is [`crate::chain`]'s.

use std::{fs, path::Path, time::Duration};

use sluice_domain::{Digest, person::PublicKey};
use sqlx::{
    ConnectOptions as _, Connection as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use crate::error::{Damage, LedgerError};

/// How long an operation waits for another process's write.
const BUSY_MS_MAX: u64 = 10_000;
/// Rows read at a time.
const PAGE_ROWS: i64 = 256;

/// Every statement that makes the file, in order; `open` compares the file's own
/// copy of them, so a ledger whose guards were dropped is refused.
///
/// The insert guards also stop `INSERT OR REPLACE`, whose implied delete fires no
/// delete trigger.
const SCHEMA: [&str; 8] = [
    "CREATE TABLE head (id INTEGER PRIMARY KEY CHECK (id = 0), origin BLOB NOT NULL, key BLOB NOT NULL, \
     checkpoint BLOB NOT NULL) STRICT",
    "CREATE TABLE entry (seq INTEGER PRIMARY KEY, body BLOB NOT NULL, leaf BLOB NOT NULL, root BLOB NOT NULL, \
     checkpoint BLOB NOT NULL) STRICT",
    "CREATE TRIGGER head_insert BEFORE INSERT ON head WHEN EXISTS (SELECT 1 FROM head) \
     BEGIN SELECT raise(ABORT, 'append-only'); END",
    "CREATE TRIGGER head_update BEFORE UPDATE ON head BEGIN SELECT raise(ABORT, 'append-only'); END",
    "CREATE TRIGGER head_delete BEFORE DELETE ON head BEGIN SELECT raise(ABORT, 'append-only'); END",
    "CREATE TRIGGER entry_insert BEFORE INSERT ON entry \
     WHEN NEW.seq IS NOT (SELECT coalesce(max(seq) + 1, 0) FROM entry) \
     BEGIN SELECT raise(ABORT, 'append-only'); END",
    "CREATE TRIGGER entry_update BEFORE UPDATE ON entry BEGIN SELECT raise(ABORT, 'append-only'); END",
    "CREATE TRIGGER entry_delete BEFORE DELETE ON entry BEGIN SELECT raise(ABORT, 'append-only'); END",
];

/// What never changes about a ledger.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    /// Its name.
    pub(crate) origin: String,
    /// Whose checkpoints they are.
    pub(crate) key: PublicKey,
    /// The signed checkpoint of the empty log.
    pub(crate) checkpoint: String,
}

/// One entry as stored.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) seq: u64,
    pub(crate) body: Vec<u8>,
    pub(crate) leaf: Digest,
    pub(crate) root: Digest,
    pub(crate) checkpoint: Vec<u8>,
}

/// The same, column by column.
type Columns = (i64, Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>);

/// Makes a new file, private to its owner, with tables, guards and head.
pub(crate) async fn create(path: &Path, head: &Head) -> Result<SqliteConnection, LedgerError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => return Err(LedgerError::Exists),
        made => drop(made?),
    }
    let made = fill(path, head).await;
    if made.is_err() {
        // It is ours and holds nothing; left behind, it would only be in the way.
        drop(fs::remove_file(path));
    }
    made
}

async fn fill(path: &Path, head: &Head) -> Result<SqliteConnection, LedgerError> {
    let mut conn = options_for(path).journal_mode(SqliteJournalMode::Wal).connect().await?;
    let mut tx = conn.begin_with("BEGIN IMMEDIATE").await?;
    for statement in SCHEMA {
        sqlx::query(statement).execute(&mut *tx).await?;
    }
    sqlx::query("INSERT INTO head (id, origin, key, checkpoint) VALUES (0, ?, ?, ?)")
        .bind(head.origin.as_bytes())
        .bind(head.key.as_bytes().as_slice())
        .bind(head.checkpoint.as_bytes())
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    sync_directory(path)?;
    Ok(conn)
}

/// The file's name is durable only when its directory is.
fn sync_directory(path: &Path) -> Result<(), LedgerError> {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(fs::File::open(parent)?.sync_all()?)
}

/// Opens an existing file.
pub(crate) async fn connect(path: &Path) -> Result<SqliteConnection, LedgerError> {
    Ok(options_for(path).connect().await?)
}

fn options_for(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .synchronous(SqliteSynchronous::Extra)
        .busy_timeout(Duration::from_millis(BUSY_MS_MAX))
        .pragma("trusted_schema", "OFF")
        .pragma("cell_size_check", "ON")
        .disable_statement_logging()
}

/// Reads the head of a file whose tables and guards are exactly ours.
pub(crate) async fn head(conn: &mut SqliteConnection) -> Result<Head, LedgerError> {
    let mut found: Vec<String> = sqlx::query_scalar("SELECT sql FROM sqlite_schema").fetch_all(&mut *conn).await?;
    if found.is_empty() {
        return Err(LedgerError::NotALedger);
    }
    let mut ours = SCHEMA;
    ours.sort_unstable();
    found.sort_unstable();
    if found != ours {
        return Err(LedgerError::Damaged { seq: None, what: Damage::Structure });
    }
    let broken = || LedgerError::Damaged { seq: None, what: Damage::Head };
    let row: Option<(Vec<u8>, Vec<u8>, Vec<u8>)> =
        sqlx::query_as("SELECT origin, key, checkpoint FROM head").fetch_optional(&mut *conn).await?;
    let (origin, key, checkpoint) = row.ok_or_else(broken)?;
    Ok(Head {
        origin: String::from_utf8(origin).map_err(|_| broken())?,
        key: PublicKey::from_bytes(key.try_into().map_err(|_| broken())?),
        checkpoint: String::from_utf8(checkpoint).map_err(|_| broken())?,
    })
}

/// Up to a page of rows from `seq` on; empty at the end.
pub(crate) async fn page(conn: &mut SqliteConnection, seq: u64) -> Result<Vec<Row>, LedgerError> {
    let rows: Vec<Columns> =
        sqlx::query_as("SELECT seq, body, leaf, root, checkpoint FROM entry WHERE seq >= ? ORDER BY seq LIMIT ?")
            .bind(position(seq)?)
            .bind(PAGE_ROWS)
            .fetch_all(conn)
            .await?;
    rows.into_iter()
        .map(|(seq, body, leaf, root, checkpoint)| {
            let seq = u64::try_from(seq).map_err(|_| LedgerError::Damaged { seq: None, what: Damage::Structure })?;
            let digest = |bytes: Vec<u8>, what| {
                bytes.try_into().map(Digest::from_bytes).map_err(|_| LedgerError::damaged(seq, what))
            };
            Ok(Row { seq, body, leaf: digest(leaf, Damage::Entry)?, root: digest(root, Damage::Root)?, checkpoint })
        })
        .collect()
}

/// Writes one row. The caller commits.
pub(crate) async fn insert(conn: &mut SqliteConnection, row: &Row) -> Result<(), LedgerError> {
    sqlx::query("INSERT INTO entry (seq, body, leaf, root, checkpoint) VALUES (?, ?, ?, ?, ?)")
        .bind(position(row.seq)?)
        .bind(row.body.as_slice())
        .bind(row.leaf.as_bytes().as_slice())
        .bind(row.root.as_bytes().as_slice())
        .bind(row.checkpoint.as_slice())
        .execute(conn)
        .await?;
    Ok(())
}

fn position(seq: u64) -> Result<i64, LedgerError> {
    i64::try_from(seq).map_err(|_| LedgerError::NoSuchEntry)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What no kill of a process can show: that a commit waits for the disk.
    #[tokio::test]
    async fn every_connection_waits_for_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.db");
        let key = PublicKey::from_bytes([0; 32]);
        let head = Head { origin: "o".to_owned(), key, checkpoint: String::new() };
        let made = create(&path, &head).await.unwrap();
        for mut conn in [made, connect(&path).await.unwrap()] {
            let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut conn).await.unwrap();
            let journal: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut conn).await.unwrap();
            assert_eq!((synchronous, journal.as_str()), (3, "wal"), "3 is EXTRA");
        }
    }
}
