//! Creating and opening a vault, and what its keys do without a file: the
//! ledger's seed and keyed commitments. Objects, people, snapshots and grants
//! have their own files beside this one.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use sluice_domain::Digest;
use zeroize::Zeroizing;

use crate::{disk, error::VaultError, kek::Kek, keyring::Keyring};

/// An open vault. Its folder, `<domain>/vault`, holds only ciphertext, salts and names.
pub struct Vault {
    root: PathBuf,
    pub(crate) keys: Keyring,
}

impl Vault {
    /// Makes `dir/vault` (mode 0700) with a new keyring sealed under `kek`.
    ///
    /// # Errors
    /// [`VaultError::Exists`] when there is a keyring already.
    pub fn create(dir: &Path, kek: Kek) -> Result<Self, VaultError> {
        let root = dir.join("vault");
        for folder in ["", "objects", "people", "datasets", "staging", "snapshots"] {
            disk::make_dir(&root.join(folder), "the vault's folder")?;
        }
        let keys = Keyring::create(&root.join("keyring"), &kek)?;
        Ok(Self { root, keys })
    }

    /// Opens the vault in `dir/vault`.
    ///
    /// # Errors
    /// [`VaultError::WrongKey`] when `kek` is another vault's or the keyring was
    /// changed, [`VaultError::Missing`] when there is no vault.
    pub fn open(dir: &Path, kek: Kek) -> Result<Self, VaultError> {
        let root = dir.join("vault");
        let keys = Keyring::open(&root.join("keyring"), &kek)?;
        Ok(Self { root, keys })
    }

    /// Ed25519 seed of the key that signs the ledger's checkpoints.
    pub fn ledger_seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(*self.keys.ledger_seed.bytes())
    }

    /// Keyed commitment to bytes that are not public: HMAC-SHA-256 over the
    /// length-prefixed purpose and bytes. Without the key, guessing a small table
    /// and hashing it confirms nothing.
    pub fn commit(&self, purpose: &str, bytes: &[u8]) -> Digest {
        Digest::from_bytes(self.keys.commitments.mac(&[b"sluice commitment v1", purpose.as_bytes(), bytes]))
    }

    pub(crate) fn path(&self, folder: &str) -> PathBuf {
        self.root.join(folder)
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(keys withheld)")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;

    use super::*;

    /// A vault in a folder of its own, and its key file.
    pub(crate) fn new_vault() -> (tempfile::TempDir, Vault) {
        let dir = tempfile::tempdir().unwrap();
        let kek = Kek::generate_file(&dir.path().join("kek")).unwrap();
        let vault = Vault::create(dir.path(), kek).unwrap();
        (dir, vault)
    }

    #[test]
    fn opens_with_its_own_key_only() {
        let (dir, vault) = new_vault();
        let kek = || Kek::from_file(&dir.path().join("kek")).unwrap();
        assert!(matches!(Vault::create(dir.path(), kek()), Err(VaultError::Exists { .. })));
        let again = Vault::open(dir.path(), kek()).unwrap();
        assert_eq!(again.ledger_seed(), vault.ledger_seed());
        assert_eq!(again.commit("a", b"b"), vault.commit("a", b"b"));

        let other = Kek::generate_file(&dir.path().join("other")).unwrap();
        let refused = Vault::open(dir.path(), other).unwrap_err();
        assert!(matches!(refused, VaultError::WrongKey));
        assert_eq!(refused.to_string(), "this key does not open the vault");
        assert!(matches!(Vault::open(&dir.path().join("no"), kek()), Err(VaultError::Missing { .. })));
    }

    #[test]
    fn refuses_every_flipped_byte_of_the_keyring() {
        let (dir, _vault) = new_vault();
        let path = dir.path().join("vault/keyring");
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x20;
            fs::write(&path, &bytes).unwrap();
            assert!(Vault::open(dir.path(), Kek::from_file(&dir.path().join("kek")).unwrap()).is_err(), "byte {at}");
        }
        fs::write(&path, &whole).unwrap();
        Vault::open(dir.path(), Kek::from_file(&dir.path().join("kek")).unwrap()).unwrap();
    }

    #[test]
    fn commitments_depend_on_key_purpose_and_bytes() {
        let (_a, one) = new_vault();
        let (_b, two) = new_vault();
        let base = one.commit("candidate", b"table");
        assert_ne!(base, two.commit("candidate", b"table"));
        assert_ne!(base, one.commit("candidat", b"etable"));
        assert_ne!(base, one.commit("candidate", b"tablf"));
        assert_ne!(base, Digest::of(b"table"));
    }
}
