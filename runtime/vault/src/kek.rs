//! The key-encryption key: the one secret that is kept outside the vault. It
//! opens the keyring and nothing else. It comes from a file that only its owner
//! can read, or from a passphrase; never from a flag or the environment.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use argon2::{Algorithm, Argon2, Params, Version};
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use zeroize::Zeroizing;

use crate::{
    crypt::{Key, fill},
    disk::sync_dir,
    error::VaultError,
};

const WHAT: &str = "the key file";

/// The key-encryption key.
pub struct Kek(pub(crate) Key);

impl Kek {
    /// Reads 32 raw bytes, or 64 hex digits and an optional line end.
    ///
    /// # Errors
    /// [`VaultError::KeyFileOpen`] when group or others may touch the file,
    /// [`VaultError::KeyFileForm`] when it holds anything else.
    pub fn from_file(path: &Path) -> Result<Self, VaultError> {
        Ok(Self(Key::new(read_secret(path)?)))
    }

    /// Makes a new key file (hex, mode 0600). Never overwrites.
    ///
    /// # Errors
    /// [`VaultError::Exists`] when the file is there.
    pub fn generate_file(path: &Path) -> Result<Self, VaultError> {
        let key = Key::random()?;
        write_secret(path, key.bytes())?;
        Ok(Self(key))
    }

    /// Derives the key from a passphrase with argon2id (RFC 9106; 64 MiB, 3 passes).
    ///
    /// # Errors
    /// [`VaultError::NoPassword`] when it is empty.
    pub fn from_passphrase(passphrase: &Zeroizing<String>, salt: &Salt) -> Result<Self, VaultError> {
        Ok(Self(stretch(passphrase, &salt.0, Stretch::DEFAULT)?))
    }
}

impl fmt::Debug for Kek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kek(withheld)")
    }
}

/// The salt of a passphrase: not secret, but without it the passphrase is worth
/// nothing, so it is kept with care.
#[derive(Debug)]
pub struct Salt([u8; 32]);

impl Salt {
    /// Makes a new salt file. Never overwrites.
    ///
    /// # Errors
    /// [`VaultError::Exists`] when the file is there.
    pub fn generate_file(path: &Path) -> Result<Self, VaultError> {
        let mut salt = [0; 32];
        fill(&mut salt)?;
        write_secret(path, &salt)?;
        Ok(Self(salt))
    }

    /// Reads a salt file.
    ///
    /// # Errors
    /// As [`Kek::from_file`].
    pub fn from_file(path: &Path) -> Result<Self, VaultError> {
        Ok(Self(*read_secret(path)?))
    }
}

/// How hard a password is stretched (argon2id).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// Memory in KiB.
    pub(crate) memory_kib: u32,
    /// Passes over it.
    pub(crate) passes: u32,
}

impl Stretch {
    /// 64 MiB and 3 passes: RFC 9106's second choice, with one lane.
    pub(crate) const DEFAULT: Self = Self { memory_kib: 64 << 10, passes: 3 };
    /// The most that a stored file may ask for, so that a changed file cannot
    /// ask for the machine.
    const MOST: Self = Self { memory_kib: 1 << 20, passes: 16 };
}

/// argon2id, version 0x13, one lane, 32 bytes out.
pub(crate) fn stretch(password: &Zeroizing<String>, salt: &[u8], how: Stretch) -> Result<Key, VaultError> {
    if password.is_empty() {
        return Err(VaultError::NoPassword);
    }
    let bad = |_| VaultError::Tampered { what: "the parameters of a password" };
    if how.memory_kib > Stretch::MOST.memory_kib || how.passes > Stretch::MOST.passes {
        return Err(VaultError::Tampered { what: "the parameters of a password" });
    }
    let params = Params::new(how.memory_kib, how.passes, 1, Some(32)).map_err(bad)?;
    let mut out = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password.as_bytes(), salt, out.as_mut_slice())
        .map_err(bad)?;
    Ok(Key::new(out))
}

fn read_secret(path: &Path) -> Result<Zeroizing<[u8; 32]>, VaultError> {
    let file = File::open(path).map_err(VaultError::disk(WHAT))?;
    // Asked of the open file, not of the name: nobody can swap it in between.
    let mode = file.metadata().map_err(VaultError::disk(WHAT))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(VaultError::KeyFileOpen);
    }
    // Room for all of it: growing would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(128));
    file.take(100).read_to_end(&mut bytes).map_err(VaultError::disk(WHAT))?;
    let raw = match bytes.len() {
        32 => bytes,
        64..=66 => {
            Zeroizing::new(HEXLOWER_PERMISSIVE.decode(bytes.trim_ascii_end()).map_err(|_| VaultError::KeyFileForm)?)
        }
        _ => return Err(VaultError::KeyFileForm),
    };
    Ok(Zeroizing::new(raw.as_slice().try_into().map_err(|_| VaultError::KeyFileForm)?))
}

fn write_secret(path: &Path, bytes: &[u8; 32]) -> Result<(), VaultError> {
    let disk = VaultError::disk(WHAT);
    let hex = Zeroizing::new(HEXLOWER.encode(bytes));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(&disk)?;
    let written = file.write_all(hex.as_bytes()).and_then(|()| file.write_all(b"\n")).and_then(|()| file.sync_all());
    if let Err(e) = written {
        // Half a key is worse than none; if removing it fails too, reading it says so.
        let _ = fs::remove_file(path);
        return Err(disk(e));
    }
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    sync_dir(folder, WHAT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_files_are_private_and_written_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kek");
        let made = Kek::generate_file(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(Kek::generate_file(&path), Err(VaultError::Exists { .. })));
        assert_eq!(Kek::from_file(&path).unwrap().0.bytes(), made.0.bytes());
        for mode in [0o640, 0o604, 0o620, 0o601] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert!(matches!(Kek::from_file(&path), Err(VaultError::KeyFileOpen)), "{mode:o}");
        }
        assert!(matches!(Kek::from_file(&dir.path().join("none")), Err(VaultError::Missing { .. })));
        assert_eq!(format!("{made:?}"), "Kek(withheld)");
    }

    #[test]
    fn a_key_file_is_raw_or_hex() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kek");
        let put = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            Kek::from_file(&path).map(|k| *k.0.bytes())
        };
        assert_eq!(put(&[7; 32]).unwrap(), [7; 32]);
        assert_eq!(put("07".repeat(32).as_bytes()).unwrap(), [7; 32]);
        assert_eq!(put(format!("{}\r\n", "Ab".repeat(32)).as_bytes()).unwrap(), [0xab; 32]);
        for bad in ["".into(), "07".repeat(31), "07".repeat(33), "zz".repeat(32), format!("{} x", "07".repeat(32))] {
            assert!(matches!(put(bad.as_bytes()), Err(VaultError::KeyFileForm)), "{bad}");
        }
    }

    #[test]
    fn a_passphrase_gives_the_same_key_with_the_same_salt_only() {
        let dir = tempfile::tempdir().unwrap();
        let salt = Salt::generate_file(&dir.path().join("salt")).unwrap();
        let again = Salt::from_file(&dir.path().join("salt")).unwrap();
        let other = Salt::generate_file(&dir.path().join("other")).unwrap();
        let pass = |p: &str, s| Kek::from_passphrase(&Zeroizing::new(p.to_owned()), s).map(|k| *k.0.bytes());
        assert_eq!(pass("correct horse", &salt).unwrap(), pass("correct horse", &again).unwrap());
        assert_ne!(pass("correct horse", &salt).unwrap(), pass("correct horse", &other).unwrap());
        assert_ne!(pass("correct horse", &salt).unwrap(), pass("correct house", &salt).unwrap());
        assert!(matches!(pass("", &salt), Err(VaultError::NoPassword)));
    }
}
