//! Names of things. Each kind of name is its own type, so that an operator's
//! name cannot be passed where a dataset's is wanted. A name is 1–64 characters
//! of `a–z 0–9 - _`, so it is safe in a path, a URL and a log line.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a name is 1 to 64 characters of a-z, 0-9, - and _, starting with a letter")]
pub struct IdError;

fn check(text: &str) -> Result<(), IdError> {
    let shape = (1..=64).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
    if shape { Ok(()) } else { Err(IdError) }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                check(&text)?;
                Ok(Self(text))
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::try_from(text.to_owned())
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

ids! {
    /// 授权运营单位, or any other organisation a person belongs to.
    OrgId;
    /// A person with an account.
    PersonId;
    /// 应用场景.
    ScenarioId;
    /// 授权协议.
    AgreementId;
    /// 数据集.
    DatasetId;
    /// 快照, one immutable ingest of a dataset.
    SnapshotId;
    /// 授权视图.
    ViewId;
    /// 作业.
    JobId;
    /// 运行.
    RunId;
    /// 数据产品.
    ProductId;
}

macro_rules! numbered {
    ($($name:ident $prefix:literal)*) => {$(
        impl $name {
            /// The name with this number.
            pub fn numbered(number: u64) -> Self {
                Self(format!(concat!($prefix, "-{:06}"), number))
            }

            /// Its number; 0 where it has none.
            pub fn number(&self) -> u64 {
                self.0.rsplit('-').next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
            }
        }
    )*};
}

numbered! { SnapshotId "snap" JobId "job" RunId "run" }

impl ProductId {
    /// The name of the one product that `run` can become.
    pub fn of_run(run: &RunId) -> Self {
        Self(format!("product-{}", run.0.trim_start_matches("run-")))
    }
}
