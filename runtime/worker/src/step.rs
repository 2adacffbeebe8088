//! The steps of a guest's life, by the names that the ABI gives them.

use serde::{Deserialize, Serialize};

/// One of the ABI's calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "named after the calls of the ABI")]
pub enum Step {
    Instantiate,
    Start,
    Process,
    Finish,
    Update,
    Compose,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Instantiate => "instantiate",
            Self::Start => "start",
            Self::Process => "process",
            Self::Finish => "finish",
            Self::Update => "update",
            Self::Compose => "compose",
        })
    }
}
