//! What is wrong with an export or a proof, and where.

use std::fmt;

use sluice_domain::{Kind, Refusal, Text, text};

/// The first thing that does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Line of the export, from 1; `None` when it is not the export's fault.
    pub line: Option<u64>,
    /// The entry that the line should hold.
    pub entry: Option<u64>,
    /// What does not hold.
    pub what: What,
}

/// What does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The file could not be read to its end.
    Unreadable,
    /// The file stops before its last line, or in the middle of one.
    Truncated,
    /// There is more after the last line.
    AfterEnd,
    /// It is not spelt as an export spells it.
    Form,
    /// Lines are missing, doubled or swapped.
    Order,
    /// The entry is not the one that was hashed.
    Entry,
    /// The checkpoint is not of the entries so far.
    Root,
    /// A checkpoint's signature does not hold.
    Signature,
    /// The key is not the pinned one.
    Key,
    /// The known checkpoint is not one of this log's key and name.
    Known,
    /// The log is not an extension of the known checkpoint.
    Rewritten,
}

impl What {
    fn code(self) -> &'static str {
        match self {
            Self::Unreadable => "audit.unreadable",
            Self::Truncated => "audit.truncated",
            Self::AfterEnd => "audit.after-end",
            Self::Form => "audit.form",
            Self::Order => "audit.order",
            Self::Entry => "audit.entry",
            Self::Root => "audit.root",
            Self::Signature => "audit.signature",
            Self::Key => "audit.key",
            Self::Known => "audit.known",
            Self::Rewritten => "audit.rewritten",
        }
    }

    fn cause(self) -> Text {
        match self {
            Self::Unreadable => text("文件无法读到末尾", "the file cannot be read to its end"),
            Self::Truncated => text("文件不完整，末尾缺失", "the file is cut short, its end is missing"),
            Self::AfterEnd => text("结束行之后还有内容", "there is more after the last line"),
            Self::Form => text("内容不是导出件应有的写法", "it is not spelt as an export spells it"),
            Self::Order => text("行有缺失、重复或调换", "lines are missing, doubled or swapped"),
            Self::Entry => text("记录内容与散列不符", "the entry is not the one that was hashed"),
            Self::Root => text("检查点与此前的记录不符", "the checkpoint is not of the entries so far"),
            Self::Signature => text("检查点签名不成立", "a checkpoint's signature does not hold"),
            Self::Key => text("签名密钥不是指定的密钥", "the signing key is not the pinned one"),
            Self::Known => text(
                "所持检查点不属于这份日志的密钥和名称",
                "the checkpoint you hold is not one of this log's key and name",
            ),
            Self::Rewritten => text(
                "日志不是所持检查点的延续：历史被改写或截断",
                "the log is not an extension of the checkpoint you hold: it was rewritten or cut",
            ),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place() {
            Some(place) => write!(f, "{} at {place}", self.what.cause().en),
            None => write!(f, "{}", self.what.cause().en),
        }
    }
}

impl std::error::Error for Fault {}

impl Fault {
    fn place(&self) -> Option<String> {
        match (self.line, self.entry) {
            (Some(line), Some(entry)) => Some(format!("line {line}, entry {entry}")),
            (Some(line), None) => Some(format!("line {line}")),
            (None, Some(entry)) => Some(format!("entry {entry}")),
            (None, None) => None,
        }
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        let next = match fault.what {
            What::Unreadable | What::Truncated => text("重新取得完整的导出件", "get the whole export again"),
            What::Key | What::Known => text(
                "确认导出件、公钥和检查点出自同一个域",
                "check that export, public key and checkpoint are of the same domain",
            ),
            _ => text(
                "保留该文件作为证据，重新取得导出件并上报",
                "keep the file as evidence, get a fresh export and report it",
            ),
        };
        let refusal = Self::new(Kind::Verification, fault.what.code(), fault.what.cause(), next);
        match fault.place() {
            Some(place) => refusal.at(place),
            None => refusal,
        }
    }
}
