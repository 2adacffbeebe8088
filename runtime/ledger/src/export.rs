//! The export: one JSON text per line, for a verifier without database or network.
//!
//! ```text
//! {"format":"sluice ledger export 1","origin":…,"key":…,"checkpoint":note of size 0}
//! {"seq":0,"entry":the exact text,"leaf":hash,"checkpoint":note of size 1}
//! …
//! {"end":n,"checkpoint":note of size n}
//! ```
//! Every line has one spelling (these fields in this order, no space, lower-case hex)
//! and ends in a newline; every line's note covers all lines before it.

use std::{borrow::Cow, io::Write};

use serde::{Deserialize, Serialize};
use sluice_domain::{Digest, person::PublicKey};

use crate::{
    error::{Damage, LedgerError},
    ledger::Ledger,
};

/// What the first line says it is.
pub(crate) const FORMAT: &str = "sluice ledger export 1";

/// The first line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct First<'a> {
    pub(crate) format: Cow<'a, str>,
    pub(crate) origin: Cow<'a, str>,
    pub(crate) key: PublicKey,
    pub(crate) checkpoint: Cow<'a, str>,
}

/// The line of one entry.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Middle<'a> {
    pub(crate) seq: u64,
    pub(crate) entry: Cow<'a, str>,
    pub(crate) leaf: Digest,
    pub(crate) checkpoint: Cow<'a, str>,
}

/// The last line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Last<'a> {
    pub(crate) end: u64,
    pub(crate) checkpoint: Cow<'a, str>,
}

impl Ledger {
    /// Writes everything recorded so far to `out` and returns how many entries that
    /// was. Appends may go on meanwhile. After an error, what was written is no
    /// export: throw it away (the verifier refuses it, its last line is missing).
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] with the first entry that does not hold,
    /// [`LedgerError::Io`] from `out`, and the store's errors.
    pub async fn export(&self, out: &mut (dyn Write + Send)) -> Result<u64, LedgerError> {
        let head = self.head();
        let first = First {
            format: FORMAT.into(),
            origin: (&head.origin).into(),
            key: head.key,
            checkpoint: (&head.checkpoint).into(),
        };
        line(out, &first)?;
        let end = self
            .walk_apart(|row| {
                let text = |bytes, what| std::str::from_utf8(bytes).map_err(|_| LedgerError::damaged(row.seq, what));
                let entry = text(&row.body, Damage::Entry)?.into();
                let checkpoint = text(&row.checkpoint, Damage::Checkpoint)?.into();
                line(out, &Middle { seq: row.seq, entry, leaf: row.leaf, checkpoint })
            })
            .await?;
        line(out, &Last { end: end.size(), checkpoint: end.note().into() })?;
        out.flush()?;
        Ok(end.size())
    }
}

fn line(out: &mut (dyn Write + Send), line: &impl Serialize) -> Result<(), LedgerError> {
    let mut text = serde_json::to_vec(line).map_err(std::io::Error::from)?;
    text.push(b'\n');
    Ok(out.write_all(&text)?)
}
