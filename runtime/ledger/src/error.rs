//! What can go wrong with a ledger, and what a person is told about it. No message
//! carries anything of an entry: positions only.

use sluice_domain::{Kind, Refusal, text};

/// Why the ledger did not do it. Whichever it is, nothing was recorded.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// `create` never overwrites.
    #[error("there is a file already")]
    Exists,
    /// No file, or it is not a ledger of this version.
    #[error("it is not a ledger")]
    NotALedger,
    /// The ledger belongs to another key.
    #[error("the key is not this ledger's")]
    WrongKey,
    /// The origin cannot name a log.
    #[error("an origin is 1 to 255 bytes without spaces, control characters or `+`")]
    Origin,
    /// Somebody else's entry came first. Read on from where you are, decide again.
    #[error("the next position is {next}")]
    Conflict {
        /// The log's next position.
        next: u64,
    },
    /// The entry would not read back as what it is, or is too long.
    #[error("the entry cannot be recorded faithfully")]
    Unrecordable,
    /// There is no such entry.
    #[error("there is no such entry")]
    NoSuchEntry,
    /// What is stored is not what was recorded.
    #[error("the ledger is damaged{}: {what}", seq.map(|seq| format!(" at entry {seq}")).unwrap_or_default())]
    Damaged {
        /// The entry, where it is one entry's.
        seq: Option<u64>,
        /// What does not hold.
        what: Damage,
    },
    /// An export that is to be taken in is not of this log.
    #[error("the export does not continue this log")]
    Foreign,
    /// Another process keeps the file locked.
    #[error("another process keeps the ledger locked")]
    Busy,
    /// The disk or the database said no.
    #[error("the ledger's store said no")]
    Store(#[source] sqlx::Error),
    /// The file or the export could not be written.
    #[error("a file could not be written")]
    Io(#[from] std::io::Error),
}

/// What does not hold in a damaged store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The file cannot be read as a database, or its tables and guards are not ours.
    #[error("the file's structure is broken")]
    Structure,
    /// The stored head (origin, key, first checkpoint) does not hold.
    #[error("the head does not hold")]
    Head,
    /// Entries are missing.
    #[error("entries are missing")]
    Missing,
    /// The entry's bytes are not those of its leaf hash.
    #[error("the entry is not what was hashed")]
    Entry,
    /// The root is not that of the entries so far.
    #[error("the root is not that of the entries")]
    Root,
    /// The stored checkpoint is not the one that was signed.
    #[error("the checkpoint is not the one that was signed")]
    Checkpoint,
    /// The bytes are intact but this version does not know such an entry.
    #[error("this version does not know such an entry")]
    Unknown,
}

impl LedgerError {
    pub(crate) fn damaged(seq: u64, what: Damage) -> Self {
        Self::Damaged { seq: Some(seq), what }
    }
}

impl From<sqlx::Error> for LedgerError {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(|e| e.code()).and_then(|c| c.parse::<u32>().ok());
        // The low byte of SQLite's extended result code is the primary one.
        match (code.map(|c| c & 0xff), &error) {
            (Some(SQLITE_BUSY), _) => Self::Busy,
            (Some(SQLITE_CORRUPT), _) | (None, sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)) => {
                Self::Damaged { seq: None, what: Damage::Structure }
            }
            (Some(SQLITE_NOTADB | SQLITE_CANTOPEN), _) => Self::NotALedger,
            _ => Self::Store(error),
        }
    }
}

const SQLITE_BUSY: u32 = 5;
const SQLITE_CORRUPT: u32 = 11;
const SQLITE_CANTOPEN: u32 = 14;
const SQLITE_NOTADB: u32 = 26;

impl From<LedgerError> for Refusal {
    fn from(error: LedgerError) -> Self {
        use LedgerError as E;
        let again = || text("稍后重试", "try again");
        let disk = || text("检查磁盘空间与文件权限", "check the disk's space and the file's permissions");
        let restore = || {
            text(
                "停止使用，用导出件核对并从备份恢复",
                "stop using it, compare it with an export and restore it from a backup",
            )
        };
        match error {
            E::Exists => Self::new(
                Kind::Usage,
                "ledger.exists",
                text("该处已有文件", "there is a file already"),
                text("换一个位置", "choose another place"),
            ),
            E::NotALedger => Self::new(
                Kind::Usage,
                "ledger.not-a-ledger",
                text("该处没有本版本的审计日志", "there is no ledger of this version there"),
                text("检查路径", "check the path"),
            ),
            E::WrongKey => Self::new(
                Kind::Verification,
                "ledger.wrong-key",
                text("密钥不是这份审计日志的", "the key is not this ledger's"),
                text("使用建域时的日志密钥", "use the key that the domain was created with"),
            ),
            E::Foreign => Self::new(
                Kind::Verification,
                "ledger.foreign",
                text(
                    "导出件未通过核验，或不是这份日志的后续",
                    "the export does not verify, or does not continue this ledger",
                ),
                text("另取一份本域的导出件", "present another export of this domain"),
            ),
            E::Origin => Self::new(
                Kind::Usage,
                "ledger.origin",
                text(
                    "日志名须为 1 至 255 字节，不含空格、控制字符和 `+`",
                    "an origin is 1 to 255 bytes without spaces, control characters or `+`",
                ),
                text("换一个日志名", "choose another origin"),
            ),
            E::Conflict { .. } => {
                Self::failed("ledger.conflict", text("他人的记录先到一步", "somebody else's entry came first"), again())
            }
            E::Unrecordable => Self::failed(
                "ledger.unrecordable",
                text("这条记录过长或无法如实写入", "the entry is too long or cannot be written faithfully"),
                text("把请求改小后重试", "make the request smaller and try again"),
            ),
            E::NoSuchEntry => Self::new(
                Kind::Usage,
                "ledger.no-such-entry",
                text("没有这条记录", "there is no such entry"),
                text("检查记录编号", "check the entry's number"),
            ),
            E::Damaged { seq, what } => {
                let refusal = Self::new(
                    Kind::Verification,
                    "ledger.damaged",
                    text(what.zh(), format!("the ledger is damaged: {what}")),
                    restore(),
                );
                match seq {
                    Some(seq) => refusal.at(format!("entry {seq}")),
                    None => refusal,
                }
            }
            E::Busy => Self::failed(
                "ledger.busy",
                text("另一个进程占用着审计日志", "another process keeps the ledger locked"),
                again(),
            ),
            E::Store(_) | E::Io(_) => Self::failed(
                "ledger.unwritable",
                text("审计日志无法读写，未做任何操作", "the ledger cannot be read or written; nothing was done"),
                disk(),
            ),
        }
    }
}

impl Damage {
    fn zh(self) -> &'static str {
        match self {
            Self::Structure => "审计日志损坏：文件结构不完整",
            Self::Head => "审计日志损坏：日志头不符",
            Self::Missing => "审计日志损坏：有记录缺失",
            Self::Entry => "审计日志损坏：记录内容与散列不符",
            Self::Root => "审计日志损坏：树根与记录不符",
            Self::Checkpoint => "审计日志损坏：检查点不是当时签署的",
            Self::Unknown => "记录完好，但本版本不认识这种记录",
        }
    }
}
