//! Turns an inspected guest into machine code, in a child that sees no data, and
//! keeps the result under a MAC.
//!
//! Loading machine code is trusting it. So a cache entry is not only addressed by
//! what it is (the guest's digest, the engine's version, the profile, the CPU);
//! it is authenticated with the caller's key, and an entry that somebody else
//! wrote or changed is compiled again and overwritten.

use std::{
    fs,
    io::{self, BufReader, Write as _},
    path::Path,
    sync::Arc,
    time::Duration,
};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use sluice_domain::Digest;
use zeroize::Zeroizing;

use crate::{
    Inspected, Profile, Programs, WorkerError,
    keeper::Keeper,
    wire::{self, GUEST_FRAME_MAX, ReadError, Tag, WireError},
};

/// Wall time of a compilation: a Python guest brings 12 MB of code.
const WALL: Duration = Duration::from_secs(600);
/// First bytes of a cache entry: form and version.
const MAGIC: &[u8; 8] = b"SLUICEC1";
/// Bytes of the MAC.
const MAC: usize = 32;
/// The engine whose code this is; a test holds it to the lock file.
const ENGINE: &str = "wasmtime-48.0.8";

/// The caller's key for the cache of compiled guests.
pub struct CacheKey(Zeroizing<[u8; 32]>);

impl CacheKey {
    /// Takes a key: 32 bytes that only this domain's host knows.
    pub fn new(key: Zeroizing<[u8; 32]>) -> Self {
        Self(key)
    }
}

impl std::fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CacheKey(withheld)")
    }
}

/// Where compiled code came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A cache entry whose MAC is ours.
    Cache,
    /// A compilation just now.
    Compiler,
}

/// Machine code of one inspected guest.
#[derive(Clone)]
pub struct Compiled {
    pub(crate) code: Arc<[u8]>,
    pub(crate) profile: Profile,
    guest: Digest,
    origin: Origin,
}

impl Compiled {
    /// SHA-256 of the component it was made from.
    pub fn guest(&self) -> Digest {
        self.guest
    }

    /// Where it came from.
    pub fn origin(&self) -> Origin {
        self.origin
    }
}

impl std::fmt::Debug for Compiled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Compiled({}, {:?}, {} bytes)", self.guest, self.origin, self.code.len())
    }
}

/// The machine code of `guest`, out of `cache` or the compiler.
///
/// # Errors
/// [`WorkerError`]: the compiler child's faults, or a cache that cannot be written.
pub fn compile(
    programs: &Programs,
    guest: &Inspected,
    profile: Profile,
    cache: &Path,
    key: &CacheKey,
) -> Result<Compiled, WorkerError> {
    let name = entry_name(guest.digest(), profile);
    let entry = cache.join(format!("{}.cwasm", Digest::of(name.as_bytes())));
    let found = fs::read(&entry).ok().and_then(|bytes| authentic(&bytes, &name, key));
    let (code, origin) = match found {
        Some(code) => (code, Origin::Cache),
        None => {
            let code = compile_now(programs, guest, profile)?;
            store(&entry, &code, &name, key).map_err(WorkerError::Cache)?;
            (code, Origin::Compiler)
        }
    };
    Ok(Compiled { code, profile, guest: guest.digest(), origin })
}

fn compile_now(programs: &Programs, guest: &Inspected, profile: Profile) -> Result<Arc<[u8]>, WorkerError> {
    let (keeper, mut to, from) = Keeper::start(&programs.compile, WALL)?;
    let order = wire::encode_compile(&wire::Compile { profile, component: &guest.bytes })?;
    wire::write_frame(&mut to, Tag::Compile, &order).map_err(|_| keeper.why())?;
    drop(to);
    let (mut from, mut body) = (BufReader::new(from), Vec::new());
    programs.accept(&keeper.greeted(&mut from)?)?;
    match wire::read_frame(&mut from, &mut body, GUEST_FRAME_MAX) {
        Ok(Some(Tag::Compiled)) => Ok(body.into()),
        Ok(Some(Tag::Fault)) => Err(WorkerError::Child(wire::decode_fault(&body)?)),
        Ok(Some(_)) => Err(WireError::Tag.into()),
        Err(ReadError::Wire(e)) => Err(e.into()),
        Ok(None) | Err(ReadError::Gone) => Err(keeper.why()),
    }
}

/// Everything that the code depends on.
fn entry_name(guest: Digest, profile: Profile) -> String {
    format!("{guest} {ENGINE} abi-2 {} {} {}", profile.as_str(), std::env::consts::ARCH, cpu())
}

/// The CPU's features, which the compiler makes use of: a folder that moves to
/// another machine is compiled again.
fn cpu() -> Digest {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let features = info.lines().find(|l| l.starts_with("flags") || l.starts_with("Features"));
    Digest::of(features.unwrap_or_default().as_bytes())
}

fn mac(code: &[u8], name: &str, key: &CacheKey) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.0.as_slice()).ok()?;
    mac.update(MAGIC);
    mac.update(&(name.len() as u64).to_le_bytes());
    mac.update(name.as_bytes());
    mac.update(code);
    Some(mac)
}

/// The code of a cache entry, if its MAC is ours.
fn authentic(entry: &[u8], name: &str, key: &CacheKey) -> Option<Arc<[u8]>> {
    let (tag, code) = entry.strip_prefix(MAGIC)?.split_first_chunk::<MAC>()?;
    mac(code, name, key)?.verify_slice(tag).ok()?;
    Some(code.into())
}

fn store(entry: &Path, code: &[u8], name: &str, key: &CacheKey) -> io::Result<()> {
    let folder = entry.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let tag = mac(code, name, key).ok_or(io::ErrorKind::InvalidInput)?.finalize().into_bytes();
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    for part in [MAGIC.as_slice(), tag.as_slice(), code] {
        file.write_all(part)?;
    }
    file.persist(entry).map_err(|e| e.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_under_another_key_or_name_or_with_a_flipped_bit_is_not_ours() {
        let folder = tempfile::tempdir().unwrap();
        let entry = folder.path().join("a.cwasm");
        let key = CacheKey::new(Zeroizing::new([7; 32]));
        store(&entry, b"code", "name", &key).unwrap();
        let bytes = fs::read(&entry).unwrap();
        assert_eq!(authentic(&bytes, "name", &key).unwrap().as_ref(), b"code");
        assert!(authentic(&bytes, "eman", &key).is_none());
        assert!(authentic(&bytes, "name", &CacheKey::new(Zeroizing::new([8; 32]))).is_none());
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert!(authentic(&flipped, "name", &key).is_none());
            assert!(authentic(&bytes[..at], "name", &key).is_none());
        }
    }

    #[test]
    fn the_engine_in_the_cache_name_is_the_one_in_the_lock_file() {
        let lock = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock")).unwrap();
        let (_, after) = lock.split_once("name = \"wasmtime\"\nversion = \"").unwrap();
        assert_eq!(ENGINE, format!("wasmtime-{}", after.split('"').next().unwrap()));
    }
}
