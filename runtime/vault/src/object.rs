//! Sealed objects: job files, candidates, drawn noise and the like. Written
//! once, bound to their kind and name, refused when a single bit differs.

use sluice_domain::Digest;
use zeroize::Zeroizing;

use crate::{
    crypt::{Key, OVERHEAD},
    disk,
    error::VaultError,
    vault::Vault,
};

const MAGIC: &[u8] = b"SLOB\x01";
/// The largest object: guests are the largest that come, and are limited to less.
const BYTES_MAX: u64 = 256 << 20;

/// What a sealed object is. Part of what its seal binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// A job's files as they were submitted.
    Job,
    /// A guest component, by its digest.
    Guest,
    /// What route A answers before and after its one draw of noise.
    Answer,
    /// A candidate, canonical bytes.
    Candidate,
    /// Evidence for the reviewers.
    Evidence,
    /// Bitmaps and sums of cleared cells.
    Lineage,
    /// A product's files, as released.
    Product,
}

impl ObjectKind {
    /// The word in paths and in the seal; the same for ever.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Job => "job",
            Self::Guest => "guest",
            Self::Answer => "answer",
            Self::Candidate => "candidate",
            Self::Evidence => "evidence",
            Self::Lineage => "lineage",
            Self::Product => "product",
        }
    }

    fn what(self) -> &'static str {
        match self {
            Self::Job => "the sealed job",
            Self::Guest => "the sealed guest",
            Self::Answer => "the sealed answer",
            Self::Candidate => "the sealed candidate",
            Self::Evidence => "the sealed evidence",
            Self::Lineage => "the sealed lineage",
            Self::Product => "the sealed product",
        }
    }
}

impl Vault {
    /// Seals `plain` and returns the SHA-256 of the sealed file. The file is on
    /// the disk, whole, when this returns.
    ///
    /// # Errors
    /// [`VaultError::Exists`]: objects are immutable. [`VaultError::Name`],
    /// [`VaultError::TooLarge`], [`VaultError::Disk`].
    pub fn seal(&self, kind: ObjectKind, name: &str, plain: &[u8]) -> Result<Digest, VaultError> {
        let path = self.object_path(kind, name)?;
        if plain.len() as u64 > BYTES_MAX {
            return Err(VaultError::TooLarge { what: kind.what() });
        }
        let sealed = self.object_key(kind, name).seal(&[MAGIC], plain)?;
        let file = [MAGIC, &sealed].concat();
        disk::make_dir(&self.path("objects").join(kind.as_str()), kind.what())?;
        disk::write_once(&path, &file, kind.what())?;
        Ok(Digest::of(&file))
    }

    /// What was sealed under this kind and name.
    ///
    /// # Errors
    /// [`VaultError::Tampered`] when a bit differs or the file is another object's,
    /// [`VaultError::Missing`].
    pub fn unseal(&self, kind: ObjectKind, name: &str) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let what = kind.what();
        let path = self.object_path(kind, name)?;
        let file = disk::read(&path, BYTES_MAX + (MAGIC.len() + OVERHEAD) as u64, what)?;
        let sealed = file.strip_prefix(MAGIC).ok_or(VaultError::Tampered { what })?;
        self.object_key(kind, name).open(&[MAGIC], sealed).map_err(|_| VaultError::Tampered { what })
    }

    /// Whether an object of this kind and name is there.
    pub fn contains(&self, kind: ObjectKind, name: &str) -> bool {
        self.object_path(kind, name).is_ok_and(|path| path.is_file())
    }

    /// Removes an object. Its key is derived, not stored, so this is removal and
    /// not yet destruction: a backup of the folder still opens.
    ///
    /// # Errors
    /// [`VaultError::Missing`] when it is not there.
    pub fn destroy(&self, kind: ObjectKind, name: &str) -> Result<(), VaultError> {
        let path = self.object_path(kind, name)?;
        std::fs::remove_file(&path).map_err(VaultError::disk(kind.what()))?;
        disk::sync_dir(&self.path("objects").join(kind.as_str()), kind.what())
    }

    /// One key per object: a moved or renamed file does not open, and no key
    /// seals more than a handful of texts.
    fn object_key(&self, kind: ObjectKind, name: &str) -> Key {
        self.keys.objects.derive(&[b"sluice sealed object v1", kind.as_str().as_bytes(), name.as_bytes()])
    }

    fn object_path(&self, kind: ObjectKind, name: &str) -> Result<std::path::PathBuf, VaultError> {
        let fits = (1..=128).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b));
        if fits { Ok(self.path("objects").join(kind.as_str()).join(name)) } else { Err(VaultError::Name) }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use proptest::prelude::*;

    use super::*;
    use crate::vault::tests::new_vault;

    #[test]
    fn comes_back_whole_once_written_and_bound_to_its_place() {
        let (dir, vault) = new_vault();
        let digest = vault.seal(ObjectKind::Candidate, "run-000007", b"the candidate").unwrap();
        let path = dir.path().join("vault/objects/candidate/run-000007");
        assert_eq!(digest, Digest::of(&fs::read(&path).unwrap()));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(&**vault.unseal(ObjectKind::Candidate, "run-000007").unwrap(), b"the candidate");
        let again = vault.seal(ObjectKind::Candidate, "run-000007", b"another");
        assert!(matches!(again, Err(VaultError::Exists { .. })));
        assert_eq!(&**vault.unseal(ObjectKind::Candidate, "run-000007").unwrap(), b"the candidate");

        // The same bytes under another name or kind do not open.
        fs::copy(&path, path.with_file_name("run-000008")).unwrap();
        let moved = vault.unseal(ObjectKind::Candidate, "run-000008");
        assert!(matches!(moved, Err(VaultError::Tampered { .. })));
        vault.seal(ObjectKind::Evidence, "x", b"y").unwrap();
        fs::copy(&path, dir.path().join("vault/objects/evidence/run-000007")).unwrap();
        assert!(matches!(vault.unseal(ObjectKind::Evidence, "run-000007"), Err(VaultError::Tampered { .. })));

        assert!(vault.contains(ObjectKind::Candidate, "run-000007"));
        vault.destroy(ObjectKind::Candidate, "run-000007").unwrap();
        assert!(!vault.contains(ObjectKind::Candidate, "run-000007"));
        assert!(matches!(vault.unseal(ObjectKind::Candidate, "run-000007"), Err(VaultError::Missing { .. })));
    }

    #[test]
    fn refuses_every_flipped_byte_and_every_cut() {
        let (dir, vault) = new_vault();
        vault.seal(ObjectKind::Job, "job-000001", b"job.toml").unwrap();
        let path = dir.path().join("vault/objects/job/job-000001");
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(&path, &bytes).unwrap();
            assert!(vault.unseal(ObjectKind::Job, "job-000001").is_err(), "byte {at}");
            fs::write(&path, &whole[..at]).unwrap();
            assert!(vault.unseal(ObjectKind::Job, "job-000001").is_err(), "cut at {at}");
        }
    }

    #[test]
    fn names_cannot_leave_the_folder() {
        let (_dir, vault) = new_vault();
        for name in ["", "..", ".x", "a/b", "../keyring", "A", "a b", "a\0b", &"a".repeat(129), "中"] {
            assert!(matches!(vault.seal(ObjectKind::Job, name, b""), Err(VaultError::Name)), "{name}");
            assert!(!vault.contains(ObjectKind::Job, name));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn any_bytes_survive_and_never_stand_in_the_file(plain in proptest::collection::vec(any::<u8>(), 0..2_000)) {
            let (dir, vault) = new_vault();
            vault.seal(ObjectKind::Answer, "a", &plain).unwrap();
            prop_assert_eq!(&**vault.unseal(ObjectKind::Answer, "a").unwrap(), &plain);
            let file = fs::read(dir.path().join("vault/objects/answer/a")).unwrap();
            if plain.len() >= 16 {
                prop_assert!(!file.windows(plain.len()).any(|w| w == plain));
            }
        }
    }
}
