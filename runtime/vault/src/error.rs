//! What can go wrong in the vault. No variant carries a path, a key or a value:
//! a broken thing is named by its kind only, so any of these may be logged.

use std::io;

use sluice_domain::{Kind, Refusal, text};

/// Why the vault said no.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The disk said no; `what` names the kind of thing, never where it is.
    #[error("the disk refused: {what}")]
    Disk {
        /// What was being read or written.
        what: &'static str,
        /// The system's own word for it.
        source: io::Error,
    },
    /// The operating system gave no randomness.
    #[error("the system gave no randomness")]
    Randomness,
    /// The key-encryption key does not open this vault.
    #[error("this key does not open the vault")]
    WrongKey,
    /// The key file can be read by others than its owner.
    #[error("the key file must be readable by its owner only (mode 0600)")]
    KeyFileOpen,
    /// The key file holds something else than a key.
    #[error("a key file holds 32 bytes, or 64 hex digits")]
    KeyFileForm,
    /// Sealed bytes do not authenticate: changed, cut, or moved from elsewhere.
    #[error("{what} does not authenticate: it was changed, or belongs elsewhere")]
    Tampered {
        /// The kind of thing.
        what: &'static str,
    },
    /// Immutable things are written once.
    #[error("{what} is there already, and is never overwritten")]
    Exists {
        /// The kind of thing.
        what: &'static str,
    },
    /// There is no such thing.
    #[error("{what} is not there")]
    Missing {
        /// The kind of thing.
        what: &'static str,
    },
    /// Something is larger than the vault takes.
    #[error("{what} is larger than the vault takes")]
    TooLarge {
        /// The kind of thing.
        what: &'static str,
    },
    /// The text cannot name a sealed object.
    #[error("an object's name is 1 to 128 characters of a-z, 0-9, . - and _, starting with a letter or digit")]
    Name,
    /// Wrong person or wrong password; which of the two is not said.
    #[error("wrong name or password")]
    WrongPassword,
    /// The password cannot be used at all.
    #[error("the password is empty")]
    NoPassword,
    /// A column was asked for that the snapshot does not hold in that form.
    #[error("the snapshot holds no column `{0}` of the catalogue's type")]
    Column(String),
    /// The Parquet library refused; its text is dropped because it may quote data.
    #[error("the Parquet file could not be {what}")]
    Parquet {
        /// Read or written.
        what: &'static str,
    },
}

impl VaultError {
    /// Maps an I/O error, keeping its kind and dropping everything else.
    pub(crate) fn disk(what: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::AlreadyExists => Self::Exists { what },
            io::ErrorKind::NotFound => Self::Missing { what },
            // An error may wrap a path (tempfile does); its kind never does.
            kind => Self::Disk { what, source: kind.into() },
        }
    }
}

impl From<VaultError> for Refusal {
    fn from(error: VaultError) -> Self {
        let en = error.to_string();
        let administrator = || text("请系统管理员检查密钥与存储", "ask the administrator to check keys and storage");
        let (kind, code, zh, next) = match error {
            VaultError::Disk { .. } => (Kind::Failed, "vault.disk", "密库读写失败", administrator()),
            VaultError::Randomness => (Kind::Failed, "vault.randomness", "系统未能提供随机数", administrator()),
            VaultError::WrongKey => (Kind::Verification, "vault.wrong-key", "该密钥打不开密库", administrator()),
            VaultError::KeyFileOpen => (
                Kind::Usage,
                "vault.key-file-open",
                "密钥文件只能由其所有者读取（权限 0600）",
                text("chmod 600 后重试", "run chmod 600 on it and try again"),
            ),
            VaultError::KeyFileForm => (
                Kind::Usage,
                "vault.key-file-form",
                "密钥文件须为 32 字节或 64 位十六进制数",
                text("指定正确的密钥文件", "name the right key file"),
            ),
            VaultError::Tampered { .. } => {
                (Kind::Verification, "vault.tampered", "密封内容未通过完整性校验", administrator())
            }
            VaultError::Exists { .. } => {
                (Kind::Refused, "vault.exists", "该内容已存在且不得覆盖", text("换一个名称", "use another name"))
            }
            VaultError::Missing { .. } => (Kind::Failed, "vault.missing", "密库中没有该内容", administrator()),
            VaultError::TooLarge { .. } => (
                Kind::Refused,
                "vault.too-large",
                "内容超过密库上限",
                text("减小后重试", "make it smaller and try again"),
            ),
            VaultError::Name => (Kind::Usage, "vault.name", "对象名称不合规", text("换一个名称", "use another name")),
            VaultError::WrongPassword => {
                (Kind::SignIn, "vault.wrong-password", "账号或口令不正确", text("重新输入", "enter them again"))
            }
            VaultError::NoPassword => {
                (Kind::Usage, "vault.no-password", "口令不得为空", text("设置口令", "choose a password"))
            }
            VaultError::Column(_) => (
                Kind::Refused,
                "vault.column",
                "快照中没有与目录一致的该列",
                text("核对视图与目录", "compare the view with the catalogue"),
            ),
            VaultError::Parquet { .. } => (Kind::Failed, "vault.parquet", "Parquet 文件处理失败", administrator()),
        };
        Self::new(kind, code, text(zh, en), next)
    }
}
