//! Signed checkpoints: what the log's size and root were, as a C2SP signed note
//! (<https://c2sp.org/signed-note>) whose text is that of
//! <https://c2sp.org/tlog-checkpoint>: origin, size, base64 root, one line each.
//!
//! Stricter than the notes' specification, because these notes have one writer:
//! exactly one signature, the key's name equals the origin, no extension lines, and
//! one spelling only, so that no bit of a note can change unseen.

use data_encoding::BASE64;
use ed25519_dalek::SignatureError;
use signed_note::{Note, Signer, VerificationError, Verifier, Verifiers, is_key_name_valid, key_id};
use sluice_domain::{
    Digest,
    person::{PublicKey, Signature},
};

use crate::sign::LedgerKey;

/// More entries than any ledger has; keeps the arithmetic of tree positions in range.
const ENTRIES_MAX: u64 = 1 << 48;
/// Signature type of Ed25519 in a note's key id.
const ED25519: u8 = 1;
const ORIGIN_BYTES_MAX: usize = 255;

/// The size and root of a log, signed. It exists only if the signature held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    size: u64,
    root: Digest,
    note: String,
}

/// Why a text is not a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// An origin is a key name of a signed note.
    #[error("an origin is 1 to 255 bytes without spaces, control characters or `+`")]
    Origin,
    /// It is not a signed note, or not spelt as this crate spells it.
    #[error("it is not a signed note with an origin, a size and a root")]
    Form,
    /// The signature is not that key's.
    #[error("its signature is not this key's")]
    Signature,
}

impl Checkpoint {
    /// Reads a signed note and checks its signature against `key`.
    ///
    /// # Errors
    /// [`CheckpointError`], one per way not to be a checkpoint of that key.
    pub fn verify(note: &str, key: &PublicKey) -> Result<Self, CheckpointError> {
        let parsed = Note::from_bytes(note.as_bytes()).map_err(|_| CheckpointError::Form)?;
        let text = std::str::from_utf8(parsed.text()).map_err(|_| CheckpointError::Form)?;
        let (origin, size, root) = parse(text).ok_or(CheckpointError::Form)?;
        let verifier = NoteKey::new(origin, *key)?;
        let (held, _) = parsed.verify(&verifier).map_err(|_| CheckpointError::Signature)?;
        // Spelt again with the one signature that holds: a repeated or a stranger's
        // signature line, which the verification skips, would be a second spelling.
        let again = Note::new(parsed.text(), &held).map_err(|_| CheckpointError::Form)?;
        if held.len() != 1 || again.to_bytes() != note.as_bytes() {
            return Err(CheckpointError::Form);
        }
        Ok(Self { origin: origin.to_owned(), size, root, note: note.to_owned() })
    }

    /// Signs the checkpoint of a log.
    pub(crate) fn sign(key: &LedgerKey, origin: &str, size: u64, root: Digest) -> Result<Self, CheckpointError> {
        let text = body(origin, size, &root);
        let mut note = Note::new(text.as_bytes(), &[]).map_err(|_| CheckpointError::Origin)?;
        let signer = NoteSigner { name: NoteKey::new(origin, key.public_key())?, key };
        note.add_sigs(&[&signer]).map_err(|_| CheckpointError::Origin)?;
        let note = String::from_utf8(note.to_bytes()).map_err(|_| CheckpointError::Form)?;
        Ok(Self { origin: origin.to_owned(), size, root, note })
    }

    /// The log's name.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// How many entries it covers.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// RFC 6962 root over them.
    pub fn root(&self) -> &Digest {
        &self.root
    }

    /// The signed note, as it is kept and handed out.
    pub fn note(&self) -> &str {
        &self.note
    }
}

fn body(origin: &str, size: u64, root: &Digest) -> String {
    format!("{origin}\n{size}\n{}\n", BASE64.encode(root.as_bytes()))
}

fn parse(text: &str) -> Option<(&str, u64, Digest)> {
    let mut lines = text.split('\n');
    let (origin, size, root) = (lines.next()?, lines.next()?.parse().ok()?, lines.next()?);
    let root = Digest::from_bytes(BASE64.decode(root.as_bytes()).ok()?.try_into().ok()?);
    // Spelt again and compared: no second spelling of the same checkpoint.
    (size <= ENTRIES_MAX && body(origin, size, &root) == text).then_some((origin, size, root))
}

/// A public key under the name that a note's signature line gives it.
struct NoteKey {
    origin: String,
    id: u32,
    key: PublicKey,
}

impl NoteKey {
    fn new(origin: &str, key: PublicKey) -> Result<Self, CheckpointError> {
        let bad = origin.len() > ORIGIN_BYTES_MAX || origin.chars().any(char::is_control) || !is_key_name_valid(origin);
        if bad {
            return Err(CheckpointError::Origin);
        }
        let typed: Vec<u8> = [ED25519].iter().chain(key.as_bytes()).copied().collect();
        Ok(Self { origin: origin.to_owned(), id: key_id(origin, &typed), key })
    }
}

/// The domain's strict check (no weak keys, no malleable signatures), not `signed_note`'s own.
impl Verifier for NoteKey {
    fn name(&self) -> &str {
        &self.origin
    }
    fn key_id(&self) -> u32 {
        self.id
    }
    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        <[u8; 64]>::try_from(signature).is_ok_and(|s| self.key.verifies(message, &Signature::from_bytes(s)))
    }
}

impl Verifiers for NoteKey {
    fn verifier(&self, name: &str, id: u32) -> Result<&dyn Verifier, VerificationError> {
        if (name, id) == (self.origin.as_str(), self.id) {
            Ok(self)
        } else {
            Err(VerificationError::UnknownKey { name: name.to_owned(), id })
        }
    }
}

/// Borrows the key: `signed_note`'s own signer would keep a copy.
struct NoteSigner<'a> {
    name: NoteKey,
    key: &'a LedgerKey,
}

impl Signer for NoteSigner<'_> {
    fn name(&self) -> &str {
        &self.name.origin
    }
    fn key_id(&self) -> u32 {
        self.name.id
    }
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignatureError> {
        Ok(self.key.sign_note(message))
    }
}

#[cfg(test)]
mod tests {
    use signed_note::{StandardVerifier, VerifierList, new_ed25519_verifier_key};
    use zeroize::Zeroizing;

    use super::*;

    fn key(seed: u8) -> LedgerKey {
        LedgerKey::from_seed(Zeroizing::new([seed; 32]))
    }

    #[test]
    fn another_implementation_of_the_format_accepts_it() {
        let (key, root) = (key(1), Digest::of(b"root"));
        let ours = Checkpoint::sign(&key, "sluice.example/domain", 42, root).unwrap();
        let public = ed25519_dalek::VerifyingKey::from_bytes(key.public_key().as_bytes()).unwrap();
        let vkey = new_ed25519_verifier_key("sluice.example/domain", &public);
        let list = VerifierList::new(vec![Box::new(StandardVerifier::new(&vkey).unwrap())]);
        let note = Note::from_bytes(ours.note().as_bytes()).unwrap();
        assert_eq!(note.verify(&list).unwrap().0.len(), 1);
        let text = format!("sluice.example/domain\n42\n{}\n", BASE64.encode(root.as_bytes()));
        assert_eq!(note.text(), text.as_bytes());
    }

    #[test]
    fn reads_back_what_it_signed_and_nothing_else() {
        let ours = Checkpoint::sign(&key(1), "o", 3, Digest::of(b"")).unwrap();
        assert_eq!(Checkpoint::verify(ours.note(), &key(1).public_key()).unwrap(), ours);
        assert_eq!(Checkpoint::verify(ours.note(), &key(2).public_key()), Err(CheckpointError::Signature));
        // A second signature line, even a good one, is a second spelling.
        let line = ours.note().lines().last().unwrap();
        assert!(Checkpoint::verify(&format!("{}{line}\n", ours.note()), &key(1).public_key()).is_err());
    }

    #[test]
    fn every_flipped_bit_of_a_note_is_found() {
        let ours = Checkpoint::sign(&key(1), "sluice.example", 12, Digest::of(b"x")).unwrap();
        for bit in 0..ours.note().len() * 8 {
            let mut bytes = ours.note().as_bytes().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(text) = std::str::from_utf8(&bytes) {
                assert!(Checkpoint::verify(text, &key(1).public_key()).is_err(), "bit {bit}");
            }
        }
    }

    #[test]
    fn odd_spellings_signed_by_the_key_itself_are_refused() {
        let key = key(1);
        let root = BASE64.encode(Digest::of(b"").as_bytes());
        for text in [
            format!("o\n01\n{root}\n"),
            format!("o\n+1\n{root}\n"),
            format!("o\n1\n{root}\nextension\n"),
            format!("o\n1\n{}\n", root.trim_end_matches('=')),
            format!("o\n{}\n{root}\n", u64::MAX),
            format!("o\n1\n{root}\n").repeat(2),
        ] {
            let mut note = Note::new(text.as_bytes(), &[]).unwrap();
            note.add_sigs(&[&NoteSigner { name: NoteKey::new("o", key.public_key()).unwrap(), key: &key }]).unwrap();
            let note = String::from_utf8(note.to_bytes()).unwrap();
            assert_eq!(Checkpoint::verify(&note, &key.public_key()), Err(CheckpointError::Form), "{text}");
        }
    }

    #[test]
    fn an_origin_that_is_no_key_name_is_refused() {
        for origin in ["", "a b", "a+b", "a\u{1}", "a\nb", "a\u{3000}b", &"x".repeat(256)] {
            let made = Checkpoint::sign(&key(1), origin, 0, Digest::of(b""));
            assert_eq!(made, Err(CheckpointError::Origin), "{origin:?}");
        }
    }
}
