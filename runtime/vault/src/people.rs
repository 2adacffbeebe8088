//! People's signing keys. Each Ed25519 seed is sealed under a key that needs both
//! the person's password (argon2id) and the vault (a pepper): the file alone
//! cannot be guessed at, and the vault alone cannot sign for anybody while the
//! person is away. That the seal opens *is* the password check; no hash of a
//! password is stored.
//!
//! Who may enrol, how often one may guess and how long a password must be is
//! decided elsewhere.

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sluice_domain::id::PersonId;
use zeroize::Zeroizing;

use crate::{
    crypt::{Key, fill},
    disk,
    error::VaultError,
    kek::{Stretch, stretch},
    vault::Vault,
};

const WHAT: &str = "the person's key";

/// The file of a person: public parameters and a sealed seed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrappedSeed {
    version: u32,
    argon2id_memory_kib: u32,
    argon2id_passes: u32,
    salt: String,
    sealed_seed: String,
}

impl Vault {
    /// Draws a new Ed25519 seed for a person, keeps it wrapped, and returns it
    /// once, for the public key.
    ///
    /// # Errors
    /// [`VaultError::Exists`] when the person has a key, [`VaultError::NoPassword`].
    pub fn enrol(&self, person: &PersonId, password: &Zeroizing<String>) -> Result<Zeroizing<[u8; 32]>, VaultError> {
        let (seed, mut salt) = (Key::random()?, [0; 16]);
        fill(&mut salt)?;
        let how = Stretch::DEFAULT;
        let key = self.person_key(person, password, &salt, how)?;
        let file = WrappedSeed {
            version: 1,
            argon2id_memory_kib: how.memory_kib,
            argon2id_passes: how.passes,
            salt: HEXLOWER.encode(&salt),
            sealed_seed: HEXLOWER.encode(&key.seal(&[person.as_str().as_bytes()], seed.bytes())?),
        };
        let json = serde_json::to_vec_pretty(&file).map_err(|_| VaultError::TooLarge { what: WHAT })?;
        disk::write_once(&self.path("people").join(person.as_str()), &json, WHAT)?;
        Ok(Zeroizing::new(*seed.bytes()))
    }

    /// The person's seed, if the password is theirs. An unknown person costs the
    /// same work as a known one.
    ///
    /// # Errors
    /// [`VaultError::WrongPassword`] for an unknown person, a wrong password and a
    /// changed file alike.
    pub fn unlock(&self, person: &PersonId, password: &Zeroizing<String>) -> Result<Zeroizing<[u8; 32]>, VaultError> {
        let (how, salt, sealed) = self.read_person(person).unwrap_or_else(|| {
            // Nobody's: the same parameters and lengths, and a seal that opens for no key.
            (Stretch::DEFAULT, vec![0; 16], vec![0; 32 + crate::crypt::OVERHEAD])
        });
        let wrong = |_| VaultError::WrongPassword;
        let key = self.person_key(person, password, &salt, how).map_err(wrong)?;
        let seed = key.open(&[person.as_str().as_bytes()], &sealed).map_err(|_| VaultError::WrongPassword)?;
        Ok(Zeroizing::new(seed.as_slice().try_into().map_err(|_| VaultError::WrongPassword)?))
    }

    fn read_person(&self, person: &PersonId) -> Option<(Stretch, Vec<u8>, Vec<u8>)> {
        let json = disk::read(&self.path("people").join(person.as_str()), 4096, WHAT).ok()?;
        let file: WrappedSeed = serde_json::from_slice(&json).ok()?;
        let how = Stretch { memory_kib: file.argon2id_memory_kib, passes: file.argon2id_passes };
        let hex = |text: &str| HEXLOWER.decode(text.as_bytes()).ok();
        (file.version == 1).then_some((how, hex(&file.salt)?, hex(&file.sealed_seed)?))
    }

    /// Password and vault together; the parameters are part of it, so a changed
    /// file opens nothing.
    fn person_key(
        &self,
        person: &PersonId,
        password: &Zeroizing<String>,
        salt: &[u8],
        how: Stretch,
    ) -> Result<Key, VaultError> {
        let stretched = stretch(password, salt, how)?;
        Ok(self.keys.people.derive(&[b"sluice person v1", person.as_str().as_bytes(), stretched.bytes()]))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, time::Instant};

    use super::*;
    use crate::vault::tests::new_vault;

    fn word(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    #[test]
    fn unlocks_for_the_right_password_only() {
        let (dir, vault) = new_vault();
        let (li, wang): (PersonId, PersonId) = ("li".parse().unwrap(), "wang".parse().unwrap());
        let seed = vault.enrol(&li, &word("a long enough password")).unwrap();
        assert_ne!(seed, vault.enrol(&wang, &word("a long enough password")).unwrap());
        assert_eq!(vault.unlock(&li, &word("a long enough password")).unwrap(), seed);
        assert!(matches!(vault.unlock(&li, &word("a long enough passwort")), Err(VaultError::WrongPassword)));
        assert!(matches!(vault.unlock(&li, &word("")), Err(VaultError::WrongPassword)));
        assert!(matches!(vault.enrol(&li, &word("other")), Err(VaultError::Exists { .. })));
        assert!(matches!(vault.enrol(&"x".parse().unwrap(), &word("")), Err(VaultError::NoPassword)));

        // One person's file under another's name opens nothing.
        let people = dir.path().join("vault/people");
        assert_eq!(fs::metadata(people.join("li")).unwrap().permissions().mode() & 0o777, 0o600);
        fs::copy(people.join("li"), people.join("zhao")).unwrap();
        let zhao = vault.unlock(&"zhao".parse().unwrap(), &word("a long enough password"));
        assert!(matches!(zhao, Err(VaultError::WrongPassword)));
        let text = fs::read_to_string(people.join("li")).unwrap();
        assert!(!text.contains(&HEXLOWER.encode(seed.as_slice())) && !text.contains("long enough"));
    }

    #[test]
    fn refuses_a_changed_file() {
        let (dir, vault) = new_vault();
        let li: PersonId = "li".parse().unwrap();
        vault.enrol(&li, &word("pw")).unwrap();
        let path = dir.path().join("vault/people/li");
        let whole = fs::read_to_string(&path).unwrap();
        // A handful: each try costs a real argon2id.
        for (from, to) in [
            ("\"version\": 1", "\"version\": 2"),
            ("65536", "65535"),
            ("\"argon2id_passes\": 3", "\"argon2id_passes\": 1"),
        ] {
            assert!(whole.contains(from));
            fs::write(&path, whole.replace(from, to)).unwrap();
            assert!(matches!(vault.unlock(&li, &word("pw")), Err(VaultError::WrongPassword)), "{from}");
        }
        let digits: Vec<usize> =
            whole.match_indices(|c: char| c == '0' || c == '1').map(|(at, _)| at).skip(6).collect();
        for at in digits.iter().step_by(digits.len() / 6) {
            let mut bytes = whole.clone().into_bytes();
            bytes[*at] ^= 1;
            fs::write(&path, &bytes).unwrap();
            assert!(matches!(vault.unlock(&li, &word("pw")), Err(VaultError::WrongPassword)), "byte {at}");
        }
        // A file cannot ask for the whole machine.
        fs::write(&path, whole.replace("65536", "4294967295")).unwrap();
        assert!(matches!(vault.unlock(&li, &word("pw")), Err(VaultError::WrongPassword)));
        fs::write(&path, &whole).unwrap();
        vault.unlock(&li, &word("pw")).unwrap();
    }

    #[test]
    fn an_unknown_person_costs_as_much_as_a_wrong_password() {
        let (_dir, vault) = new_vault();
        let (li, nobody): (PersonId, PersonId) = ("li".parse().unwrap(), "nobody".parse().unwrap());
        vault.enrol(&li, &word("pw")).unwrap();
        let best = |person: &PersonId| {
            let time = |_| {
                let start = Instant::now();
                assert!(matches!(vault.unlock(person, &word("wrong")), Err(VaultError::WrongPassword)));
                start.elapsed()
            };
            (0..4).map(time).min().unwrap().as_secs_f64()
        };
        let (known, unknown) = (best(&li), best(&nobody));
        // Without the dummy work the ratio is in the thousands; a busy machine is within 3.
        assert!((1.0 / 3.0..3.0).contains(&(known / unknown)), "{known} s against {unknown} s");
    }
}
