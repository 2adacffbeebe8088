//! The keys of a dataset's files. One random key per dataset, wrapped under the
//! keyring; under it, random for every snapshot, a footer key and one key per
//! column. The wrapped keys travel in the Parquet file's own key metadata, so a
//! file and its keys cannot be parted, and forgetting the dataset's key makes
//! every copy of its files unreadable.

use sluice_domain::id::{DatasetId, SnapshotId};

use crate::{crypt::Key, disk, error::VaultError, vault::Vault};

const WHAT: &str = "the dataset's key";
const VERSION: u8 = 1;

/// What a key inside a Parquet file opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opens<'a> {
    /// The footer: schema, row counts, and the wrapped keys of the columns.
    Footer,
    /// One column: its pages and its statistics.
    Column(&'a str),
}

impl Opens<'_> {
    fn role(self) -> u8 {
        match self {
            Self::Footer => 0,
            Self::Column(_) => 1,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Footer => "footer",
            Self::Column(_) => "column",
        }
    }
}

/// A dataset's key, bound to one of its snapshots. Wraps and unwraps, one by one.
pub(crate) struct SnapshotKeys {
    dataset_key: Key,
    dataset: DatasetId,
    snapshot: SnapshotId,
}

impl Vault {
    /// The keys of a snapshot that exists or is being made.
    pub(crate) fn snapshot_keys(
        &self,
        dataset: &DatasetId,
        snapshot: &SnapshotId,
        absent: IfAbsent,
    ) -> Result<SnapshotKeys, VaultError> {
        let path = self.path("datasets").join(dataset.as_str());
        let aad: [&[u8]; 2] = [b"sluice dataset key v1", dataset.as_str().as_bytes()];
        if absent == IfAbsent::Draw && !path.exists() {
            let sealed = self.keys.datasets.seal(&aad, Key::random()?.bytes())?;
            match disk::write_once(&path, &sealed, WHAT) {
                // Another ingest of the same dataset was first: its key is the key.
                Err(VaultError::Exists { .. }) => {}
                other => other?,
            }
        }
        let sealed = disk::read(&path, 1024, WHAT)?;
        let key = self.keys.datasets.open(&aad, &sealed).ok().and_then(|plain| Key::from_slice(&plain));
        let dataset_key = key.ok_or(VaultError::Tampered { what: WHAT })?;
        Ok(SnapshotKeys { dataset_key, dataset: dataset.clone(), snapshot: snapshot.clone() })
    }
}

/// Whether a dataset's key may be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IfAbsent {
    /// First ingest.
    Draw,
    /// Reading.
    Refuse,
}

impl SnapshotKeys {
    /// Key metadata for the Parquet file: version, role, name, wrapped key.
    pub(crate) fn wrap(&self, opens: Opens<'_>, key: &Key) -> Result<Vec<u8>, VaultError> {
        let name = label(opens).as_bytes();
        let length = u16::try_from(name.len()).map_err(|_| VaultError::TooLarge { what: "a column's name" })?;
        let sealed = self.dataset_key.seal(&self.aad(opens), key.bytes())?;
        Ok([&[VERSION, opens.role()][..], &length.to_le_bytes(), name, &sealed].concat())
    }

    /// The key in key metadata that [`named`] says opens `opens`.
    pub(crate) fn unwrap(&self, opens: Opens<'_>, metadata: &[u8]) -> Option<Key> {
        #[cfg(test)]
        tests::UNWRAPPED.with_borrow_mut(|log| log.push(label(opens).to_owned()));
        let sealed = metadata.get(4 + label(opens).len()..)?;
        Key::from_slice(&self.dataset_key.open(&self.aad(opens), sealed).ok()?)
    }

    fn aad<'a>(&'a self, opens: Opens<'a>) -> [&'a [u8]; 5] {
        [
            b"sluice parquet key v1",
            self.dataset.as_str().as_bytes(),
            self.snapshot.as_str().as_bytes(),
            opens.name().as_bytes(),
            label(opens).as_bytes(),
        ]
    }
}

/// What the key in this metadata opens, as it says itself; the unwrap proves it.
pub(crate) fn named(metadata: &[u8]) -> Option<Opens<'_>> {
    let (&[version, role, low, high], rest) = metadata.split_first_chunk::<4>()?;
    let name = std::str::from_utf8(rest.get(..usize::from(u16::from_le_bytes([low, high])))?).ok()?;
    match (version, role) {
        (VERSION, 0) if name.is_empty() => Some(Opens::Footer),
        (VERSION, 1) => Some(Opens::Column(name)),
        _ => None,
    }
}

fn label(opens: Opens<'_>) -> &str {
    match opens {
        Opens::Footer => "",
        Opens::Column(name) => name,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::vault::tests::new_vault;

    thread_local! {
        /// Spy of the crate's tests: every key that this thread tried to unwrap; "" is a footer's.
        pub(crate) static UNWRAPPED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    #[test]
    fn a_key_opens_its_own_column_of_its_own_snapshot_only() {
        let (_dir, vault) = new_vault();
        let keys = |dataset: &str, snapshot: &str| {
            vault.snapshot_keys(&dataset.parse().unwrap(), &snapshot.parse().unwrap(), IfAbsent::Draw).unwrap()
        };
        let (ours, key) = (keys("claims", "snap-1"), Key::random().unwrap());
        let metadata = ours.wrap(Opens::Column("age"), &key).unwrap();
        assert_eq!(named(&metadata), Some(Opens::Column("age")));
        let again = keys("claims", "snap-1").unwrap(Opens::Column("age"), &metadata).unwrap();
        assert_eq!(again.bytes(), key.bytes());
        assert!(keys("claims", "snap-2").unwrap(Opens::Column("age"), &metadata).is_none());
        assert!(keys("firms", "snap-1").unwrap(Opens::Column("age"), &metadata).is_none());
        let mut renamed = metadata.clone();
        renamed[4] = b'e';
        assert_eq!(named(&renamed), Some(Opens::Column("ege")));
        assert!(ours.unwrap(Opens::Column("ege"), &renamed).is_none());
        for at in 4..metadata.len() {
            let mut flipped = metadata.clone();
            flipped[at] ^= 4;
            let name = named(&flipped);
            assert!(name.is_none_or(|opens| ours.unwrap(opens, &flipped).is_none()), "byte {at}");
        }
        assert_eq!(named(&ours.wrap(Opens::Footer, &key).unwrap()), Some(Opens::Footer));
        assert_eq!(named(b"\x01\x01"), None);
        assert_eq!(named(b"\x01\x01\xff\xffabc"), None);
    }

    #[test]
    fn a_forgotten_dataset_key_is_gone() {
        let (dir, vault) = new_vault();
        let (dataset, snapshot) = ("claims".parse().unwrap(), "snap-1".parse().unwrap());
        let keys = vault.snapshot_keys(&dataset, &snapshot, IfAbsent::Draw).unwrap();
        let metadata = keys.wrap(Opens::Footer, &Key::random().unwrap()).unwrap();
        std::fs::remove_file(dir.path().join("vault/datasets/claims")).unwrap();
        assert!(matches!(vault.snapshot_keys(&dataset, &snapshot, IfAbsent::Refuse), Err(VaultError::Missing { .. })));
        let fresh = vault.snapshot_keys(&dataset, &snapshot, IfAbsent::Draw).unwrap();
        assert!(fresh.unwrap(Opens::Footer, &metadata).is_none());
    }
}
