//! The offline verifier: an export in, a report or the first fault out.
//!
//! It needs no database, no network and no trust in whoever made the file. What it
//! shows, and what it cannot show by itself:
//! - any change to the file by somebody without the key is found, and on which line;
//! - whose key it is, it takes from the file, unless one is pinned: pin it;
//! - a file that ends early at a checkpoint that was once the newest, and a history
//!   rewritten by the key's holder, look whole: an older checkpoint, as every receipt
//!   carries one, shows them up. Give it as `known`.
//!
//! It does not judge what the entries say: replaying them is the service's.

use std::io::BufRead;

use ct_merkle::{InclusionProof, RootHash};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::Sha256;
use sluice_domain::{Digest, event::Entry, person::PublicKey};

use crate::{
    ENTRY_BYTES_MAX,
    checkpoint::{Checkpoint, CheckpointError},
    export::{FORMAT, First, Last, Middle},
    inclusion::Inclusion,
    tree::{Tree, leaf_hash},
};

mod fault;
mod lines;

pub use fault::{Fault, What};
use lines::{Line, Lines};

/// Longest line: JSON in JSON doubles quotes and backslashes at most, the rest is a note.
const LINE_BYTES_MAX: u64 = 2 * ENTRY_BYTES_MAX as u64 + 4096;

/// What a sound export is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// How many entries.
    pub entries: u64,
    /// RFC 6962 root over them.
    pub root: Digest,
    /// The newest checkpoint: keep its note, and give it as `known` next time.
    pub checkpoint: Checkpoint,
    /// The key that signed all of it.
    pub key: PublicKey,
    /// Why that key is to be believed.
    pub trust: KeyTrust,
}

/// Why the key of an export is to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyTrust {
    /// It is the pinned one.
    Pinned,
    /// None was pinned, but it signed the older checkpoint that was given.
    Known,
    /// Only the file says so.
    FileOnly,
}

/// Verifies an export: every line's spelling, order, hash, root and signature, and
/// that the file is whole. With `pinned`, the key must be that one. With `known`, the
/// signed note of an older checkpoint, the log must be an extension of it.
///
/// # Errors
/// The first [`Fault`], with its line.
pub fn verify(export: impl BufRead, pinned: Option<&PublicKey>, known: Option<&str>) -> Result<Report, Fault> {
    let mut lines = Lines::new(export, LINE_BYTES_MAX);
    let line = lines.next()?.ok_or(Fault { line: Some(1), entry: None, what: What::Truncated })?;
    let mut log = Log::begin(&line, pinned, known)?;
    loop {
        let line = lines.next()?.ok_or_else(|| Fault {
            line: Some(lines.number() + 1),
            entry: None,
            what: What::Truncated,
        })?;
        if line.starts_with("{\"seq\":") {
            log.entry(&line)?;
        } else {
            let report = log.end(&line)?;
            return match lines.next()? {
                None => Ok(report),
                Some(more) => Err(more.fault(What::AfterEnd)),
            };
        }
    }
}

/// Verifies that an entry is in the log of `key`, with nothing but the receipt, and
/// returns the entry and the checkpoint that covers it.
///
/// # Errors
/// A [`Fault`] without a line.
pub fn inclusion(proof: &Inclusion, key: &PublicKey) -> Result<(Entry, Checkpoint), Fault> {
    let fault = |entry, what| Fault { line: None, entry, what };
    let checkpoint = Checkpoint::verify(&proof.checkpoint, key).map_err(|e| fault(None, e.into()))?;
    let entry: Entry = serde_json::from_str(&proof.entry).map_err(|_| fault(None, What::Form))?;
    let path: Vec<u8> = proof.path.iter().flat_map(|d| *d.as_bytes()).collect();
    let root = RootHash::<Sha256>::new((*checkpoint.root().as_bytes()).into(), checkpoint.size());
    InclusionProof::try_from_bytes(path)
        .and_then(|path| root.verify_inclusion(&proof.entry.as_bytes(), entry.seq, &path))
        .map_err(|_| fault(Some(entry.seq), What::Root))?;
    Ok((entry, checkpoint))
}

/// The log as far as it has been read.
struct Log {
    key: PublicKey,
    trust: KeyTrust,
    tree: Tree,
    newest: Checkpoint,
    known: Option<Checkpoint>,
}

impl Log {
    fn begin(line: &Line, pinned: Option<&PublicKey>, known: Option<&str>) -> Result<Self, Fault> {
        let first: First = parse(line)?;
        if first.format != FORMAT {
            return Err(line.fault(What::Form));
        }
        let tree = Tree::default();
        let newest = Checkpoint::verify(&first.checkpoint, &first.key).map_err(|e| line.fault(e.into()))?;
        if (newest.origin(), newest.size(), *newest.root()) != (&*first.origin, 0, tree.root()) {
            return Err(line.fault(What::Root));
        }
        if pinned.is_some_and(|pinned| *pinned != first.key) {
            return Err(line.fault(What::Key));
        }
        let strange = Fault { line: None, entry: None, what: What::Known };
        let known = match known {
            None => None,
            Some(note) => Some(
                Checkpoint::verify(note, &first.key)
                    .ok()
                    .filter(|known| known.origin() == first.origin)
                    .ok_or(strange)?,
            ),
        };
        let trust = match (pinned, &known) {
            (Some(_), _) => KeyTrust::Pinned,
            (None, Some(_)) => KeyTrust::Known,
            (None, None) => KeyTrust::FileOnly,
        };
        let this = Self { key: first.key, trust, tree, newest, known };
        this.extends_known(line)?;
        Ok(this)
    }

    fn entry(&mut self, line: &Line) -> Result<(), Fault> {
        let seq = self.tree.size();
        let fault = |what| Fault { entry: Some(seq), ..line.fault(what) };
        let Middle { seq: says, entry, leaf, checkpoint } = parse(line).map_err(|f| fault(f.what))?;
        if says != seq {
            return Err(fault(What::Order));
        }
        if leaf_hash(entry.as_bytes()) != leaf {
            return Err(fault(What::Entry));
        }
        // The hash holds, so this is what was recorded; it must also stand where it says.
        if Position::of(&entry) != Some(seq) {
            return Err(fault(What::Order));
        }
        self.tree.push(leaf);
        let newest = Checkpoint::verify(&checkpoint, &self.key).map_err(|e| fault(e.into()))?;
        let holds = (newest.origin(), newest.size(), *newest.root())
            == (self.newest.origin(), self.tree.size(), self.tree.root());
        if !holds {
            return Err(fault(What::Root));
        }
        self.newest = newest;
        self.extends_known(line).map_err(|f| Fault { entry: Some(seq), ..f })
    }

    fn end(self, line: &Line) -> Result<Report, Fault> {
        let last: Last = parse(line)?;
        if last.end != self.tree.size() {
            return Err(line.fault(What::Order));
        }
        if last.checkpoint != self.newest.note() {
            return Err(line.fault(What::Signature));
        }
        if self.known.as_ref().is_some_and(|known| known.size() > last.end) {
            return Err(line.fault(What::Rewritten));
        }
        Ok(Report {
            entries: last.end,
            root: *self.newest.root(),
            checkpoint: self.newest,
            key: self.key,
            trust: self.trust,
        })
    }

    /// At the known checkpoint's size the root must be the known one: then the log
    /// is an extension of it, as the root fixes every entry before it.
    fn extends_known(&self, line: &Line) -> Result<(), Fault> {
        let forked = |known: &Checkpoint| known.size() == self.newest.size() && known.root() != self.newest.root();
        if self.known.as_ref().is_some_and(forked) { Err(line.fault(What::Rewritten)) } else { Ok(()) }
    }
}

/// Reads a line that must be spelt as [`crate::export`] spells it.
fn parse<T: Serialize + DeserializeOwned>(line: &Line) -> Result<T, Fault> {
    serde_json::from_str::<T>(line)
        .ok()
        .filter(|parsed| serde_json::to_string(parsed).is_ok_and(|again| again == **line))
        .ok_or_else(|| line.fault(What::Form))
}

/// The position that an entry's own text states. Its other fields are not read here,
/// so that an old verifier also reads the log of a newer version.
#[derive(Deserialize)]
struct Position {
    seq: u64,
}

impl Position {
    fn of(entry: &str) -> Option<u64> {
        serde_json::from_str(entry).ok().map(|Self { seq }| seq)
    }
}

impl From<CheckpointError> for What {
    fn from(error: CheckpointError) -> Self {
        match error {
            CheckpointError::Signature => Self::Signature,
            CheckpointError::Form | CheckpointError::Origin => Self::Form,
        }
    }
}
