//! The keyring: the random keys under which everything else hangs. One file,
//! written once when the vault is created, sealed under the KEK.

use std::path::Path;

use zeroize::Zeroizing;

use crate::{
    crypt::{Key, OVERHEAD},
    disk,
    error::VaultError,
    kek::Kek,
};

const WHAT: &str = "the keyring";
const MAGIC: &[u8] = b"SLKR\x01";
const KEYS: usize = 6;

/// The keys, each for one purpose.
pub(crate) struct Keyring {
    pub(crate) objects: Key,
    pub(crate) people: Key,
    pub(crate) commitments: Key,
    pub(crate) pseudonyms: Key,
    pub(crate) ledger_seed: Key,
    pub(crate) datasets: Key,
}

impl Keyring {
    /// Draws new keys and seals them under `kek`. Never overwrites.
    pub(crate) fn create(path: &Path, kek: &Kek) -> Result<Self, VaultError> {
        let this = Self {
            objects: Key::random()?,
            people: Key::random()?,
            commitments: Key::random()?,
            pseudonyms: Key::random()?,
            ledger_seed: Key::random()?,
            datasets: Key::random()?,
        };
        let mut plain = Zeroizing::new(Vec::with_capacity(KEYS * 32));
        for key in [&this.objects, &this.people, &this.commitments, &this.pseudonyms, &this.ledger_seed, &this.datasets]
        {
            plain.extend_from_slice(key.bytes());
        }
        let sealed = kek.0.seal(&[MAGIC], &plain)?;
        disk::write_once(path, &[MAGIC, &sealed].concat(), WHAT)?;
        Ok(this)
    }

    /// Opens the keyring. Whether the key is wrong or the file was changed cannot
    /// be told apart, and is not.
    pub(crate) fn open(path: &Path, kek: &Kek) -> Result<Self, VaultError> {
        let bytes = disk::read(path, (MAGIC.len() + OVERHEAD + KEYS * 32) as u64, WHAT)?;
        let sealed = bytes.strip_prefix(MAGIC).ok_or(VaultError::Tampered { what: WHAT })?;
        let plain = kek.0.open(&[MAGIC], sealed).map_err(|_| VaultError::WrongKey)?;
        let mut keys = plain.chunks_exact(32).map(Key::from_slice);
        let mut next = || keys.next().flatten().ok_or(VaultError::Tampered { what: WHAT });
        Ok(Self {
            objects: next()?,
            people: next()?,
            commitments: next()?,
            pseudonyms: next()?,
            ledger_seed: next()?,
            datasets: next()?,
        })
    }
}
