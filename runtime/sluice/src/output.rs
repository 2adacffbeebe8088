//! Where words go: data to stdout, everything else to stderr, exit codes by kind.

use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use sluice_domain::{Kind, Lang, Refusal, Text};

/// Exit code of a command that ran and whose verdict is not a plain yes.
pub(crate) const VERDICT: u8 = 3;

/// How this invocation speaks.
pub struct Output {
    json: bool,
    lang: Lang,
    voice: Voice,
}

/// Whether anything is said to the person at all.
#[derive(PartialEq, Eq)]
enum Voice {
    Aloud,
    Silent,
}

impl Output {
    pub(crate) fn new(json: bool, lang: Lang) -> Self {
        Self { json, lang, voice: Voice::Aloud }
    }

    /// Says nothing to anybody: for tests that found a city.
    pub fn silent() -> Self {
        Self { json: false, lang: Lang::Zh, voice: Voice::Silent }
    }

    pub(crate) fn lang(&self) -> Lang {
        self.lang
    }

    /// Prints data: `value` as JSON, or `plain` for people.
    pub(crate) fn data(&self, value: &impl Serialize, plain: &str) {
        let text = if self.json { serde_json::to_string(value).unwrap_or_default() } else { plain.to_owned() };
        let mut out = std::io::stdout().lock();
        // A closed pipe is the reader's choice, not a fault.
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }

    /// Says something to the person, not to the pipe.
    pub(crate) fn say(&self, text: &Text) {
        self.line(text.of(self.lang));
    }

    /// Says a plain line to the person.
    pub(crate) fn line(&self, line: &str) {
        if self.voice == Voice::Silent {
            return;
        }
        let _ = writeln!(std::io::stderr().lock(), "{line}");
    }

    /// A progress bar on a terminal, nothing elsewhere.
    pub(crate) fn progress(&self, what: &Text) -> ProgressBar {
        if self.voice == Voice::Silent || !std::io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {pos} [{elapsed}]") {
            bar.set_style(style);
        }
        bar.set_message(what.of(self.lang).to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        bar
    }

    /// Tells a refusal and turns it into the exit code.
    pub(crate) fn refusal(&self, refusal: &Refusal) -> ExitCode {
        if self.json {
            self.line(&serde_json::to_string(refusal).unwrap_or_default());
        } else {
            self.line(&refusal.line(self.lang));
        }
        ExitCode::from(exit_code(refusal.kind))
    }

    /// Tells a fault of the program itself.
    pub(crate) fn broken(&self, error: &anyhow::Error) -> ExitCode {
        self.line(&format!("{error:#}"));
        ExitCode::from(exit_code(Kind::Failed))
    }
}

fn exit_code(kind: Kind) -> u8 {
    match kind {
        Kind::Failed => 1,
        Kind::Usage => 2,
        Kind::Refused => 3,
        Kind::SignIn => 4,
        Kind::Verification => 5,
    }
}
