//! What a person is told when something cannot be done: a code, the cause, the
//! place, and the next step. Never a value from the data.

use serde::Serialize;

use crate::lang::{Lang, Text};

/// What kind of no this is; it decides the exit code and the HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Something broke that was not the caller's doing (exit 1).
    Failed,
    /// The request was not well formed (exit 2).
    Usage,
    /// The rules say no (exit 3).
    Refused,
    /// Nobody, or the wrong person, is signed in (exit 4).
    SignIn,
    /// A signature, digest or log did not verify (exit 5).
    Verification,
}

/// A clear no. Boxed inside, so that results stay small.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{code}: {} ({})", cause.en, next.en)]
pub struct Refusal {
    /// Stable code, e.g. `job.expired-agreement`; the same for ever, in every language.
    pub code: &'static str,
    /// What kind of no.
    pub kind: Kind,
    /// Why.
    pub cause: Box<Text>,
    /// Where: a file, a field, a row and column. Names and positions only.
    pub place: Option<Box<str>>,
    /// What to do next.
    pub next: Box<Text>,
}

impl Refusal {
    /// A no of the given kind.
    pub fn new(kind: Kind, code: &'static str, cause: Text, next: Text) -> Self {
        Self { code, kind, cause: Box::new(cause), place: None, next: Box::new(next) }
    }

    /// The rules say no.
    pub fn refused(code: &'static str, cause: Text, next: Text) -> Self {
        Self::new(Kind::Refused, code, cause, next)
    }

    /// Something broke; `what` names the broken part, never its content.
    pub fn failed(code: &'static str, cause: Text, next: Text) -> Self {
        Self::new(Kind::Failed, code, cause, next)
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.place = Some(place.into().into_boxed_str());
        self
    }

    /// The whole message on one line, in `lang`.
    pub fn line(&self, lang: Lang) -> String {
        let place = self.place.as_deref().map(|p| format!(" [{p}]")).unwrap_or_default();
        let arrow = match lang {
            Lang::Zh => "下一步：",
            Lang::En => "next: ",
        };
        format!("{}{place} {}；{arrow}{}", self.code, self.cause.of(lang), self.next.of(lang))
            .replace('；', if lang == Lang::Zh { "；" } else { "; " })
    }
}
