//! Turns an inspected guest into machine code, in a child that sees no data, and
//! keeps the result under a MAC.
//!
//! Loading machine code is trusting it. So a cache entry is not only addressed by
//! what it is (the guest's digest, the engine's version, the profile, the CPU);
//! it is authenticated with the caller's key, and an entry that somebody else
//! wrote or changed is compiled again and overwritten.
//!
//! An entry also holds what the inspection found, so that a guest that was inspected
//! and compiled once is held to the limits of the next job without being read again.
//! The entry's name holds the inspection's own source: changed rules inspect again.

use std::{
    fs::{self, File},
    io::{self, BufReader, Read, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use sluice_domain::Digest;
use zeroize::Zeroizing;

use crate::{
    InspectLimits, Inspected, Interface, Profile, Programs, WorkerError,
    keeper::Keeper,
    wire::{self, GUEST_FRAME_MAX, ReadError, Tag, WireError},
};

/// Wall time of a compilation: a Python guest brings 12 MB of code.
const WALL: Duration = Duration::from_secs(600);
/// First bytes of a cache entry: form and version.
const MAGIC: &[u8; 8] = b"SLUICEC2";
/// Bytes of the MAC.
const MAC: usize = 32;
/// The engine whose code this is; a test holds it to the lock file.
const ENGINE: &str = "wasmtime-48.0.8";
/// What decides whether a guest is compiled, and how.
const RULES: [&str; 2] = [include_str!("inspect.rs"), include_str!("child/engine.rs")];

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

/// Machine code, in the buffer that it was read into: a Python guest's is 34 MB.
type Code = Arc<Vec<u8>>;

/// Machine code of one inspected guest.
#[derive(Clone)]
pub struct Compiled {
    pub(crate) code: Code,
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

/// The machine code of a guest that was inspected and compiled before, if what was
/// found then is within `limits` and serves `wanted`. Otherwise there is nothing, and
/// [`crate::inspect_for`] says why.
pub fn cached(
    guest: Digest,
    wanted: Interface,
    limits: InspectLimits,
    profile: Profile,
    cache: &Path,
    key: &CacheKey,
) -> Option<Compiled> {
    let (found, code) = Entry::of(guest, profile, cache).read(key)?;
    found.passes(wanted, limits).then_some(Compiled { code, profile, guest, origin: Origin::Cache })
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
    let entry = Entry::of(guest.digest(), profile, cache);
    let (code, origin) = match entry.read(key) {
        Some((_, code)) => (code, Origin::Cache),
        None => {
            let code = compile_now(programs, guest, profile)?;
            entry.write(&Found::by(guest), &code, key).map_err(WorkerError::Cache)?;
            (code, Origin::Compiler)
        }
    };
    Ok(Compiled { code, profile, guest: guest.digest(), origin })
}

fn compile_now(programs: &Programs, guest: &Inspected, profile: Profile) -> Result<Code, WorkerError> {
    let (keeper, mut to, from) = Keeper::start(&programs.compile, WALL)?;
    let order = wire::encode_compile(&wire::Compile { profile, component: &guest.bytes })?;
    wire::write_frame(&mut to, Tag::Compile, &order).map_err(|_| keeper.why())?;
    drop(to);
    let (mut from, mut body) = (BufReader::new(from), Vec::new());
    programs.accept(&keeper.greeted(&mut from)?)?;
    match wire::read_frame(&mut from, &mut body, GUEST_FRAME_MAX) {
        Ok(Some(Tag::Compiled)) => Ok(Arc::new(body)),
        Ok(Some(Tag::Fault)) => Err(WorkerError::Child(wire::decode_fault(&body)?)),
        Ok(Some(_)) => Err(WireError::Tag.into()),
        Err(ReadError::Wire(e)) => Err(e.into()),
        Ok(None) | Err(ReadError::Gone) => Err(keeper.why()),
    }
}

/// What the inspection found that a job's limits are held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Found {
    bytes: u64,
    memory_bytes: u64,
    serves: [bool; 2],
}

impl Found {
    const BYTES: usize = 18;

    fn by(guest: &Inspected) -> Self {
        Self {
            bytes: guest.len() as u64,
            memory_bytes: guest.memories().iter().sum(),
            serves: [Interface::Inner, Interface::Outer].map(|interface| guest.interfaces().contains(&interface)),
        }
    }

    fn passes(&self, wanted: Interface, limits: InspectLimits) -> bool {
        let [inner, outer] = self.serves;
        let serves = match wanted {
            Interface::Inner => inner,
            Interface::Outer => outer,
        };
        serves && self.bytes <= limits.bytes_max && self.memory_bytes <= limits.memory_bytes
    }

    fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        let parts = self.bytes.to_le_bytes().into_iter().chain(self.memory_bytes.to_le_bytes());
        out.iter_mut().zip(parts.chain(self.serves.map(u8::from))).for_each(|(to, from)| *to = from);
        out
    }

    fn of_bytes(bytes: [u8; Self::BYTES]) -> Option<Self> {
        let (size, rest) = bytes.split_first_chunk()?;
        let (memory, rest) = rest.split_first_chunk()?;
        let [inner, outer] = rest.first_chunk()?.map(|b: u8| b == 1);
        let [bytes, memory_bytes] = [size, memory].map(|b| u64::from_le_bytes(*b));
        Some(Self { bytes, memory_bytes, serves: [inner, outer] })
    }
}

/// One entry of the cache: where it lies, and the name that its MAC covers.
struct Entry {
    path: PathBuf,
    name: String,
}

impl Entry {
    /// Its name is everything that the code, and the leave to run it, depend on.
    fn of(guest: Digest, profile: Profile, cache: &Path) -> Self {
        let rules = Digest::of(RULES.concat().as_bytes());
        let name = format!("{guest} {ENGINE} {rules} {} {} {}", profile.as_str(), std::env::consts::ARCH, cpu());
        Self { path: cache.join(format!("{}.cwasm", Digest::of(name.as_bytes()))), name }
    }

    /// What was found and the code, if the MAC is ours.
    fn read(&self, key: &CacheKey) -> Option<(Found, Code)> {
        self.authentic(File::open(&self.path).ok()?, key)
    }

    fn authentic(&self, mut from: impl Read, key: &CacheKey) -> Option<(Found, Code)> {
        let mut magic = [0; MAGIC.len()];
        let (mut tag, mut found) = ([0; MAC], [0; Found::BYTES]);
        [&mut magic[..], &mut tag, &mut found].into_iter().try_for_each(|part| from.read_exact(part)).ok()?;
        let mut code = Vec::new();
        from.read_to_end(&mut code).ok()?;
        (magic == *MAGIC).then_some(())?;
        self.mac(&found, &code, key)?.verify_slice(&tag).ok()?;
        Some((Found::of_bytes(found)?, Arc::new(code)))
    }

    fn write(&self, found: &Found, code: &[u8], key: &CacheKey) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let found = found.to_bytes();
        let tag = self.mac(&found, code, key).ok_or(io::ErrorKind::InvalidInput)?.finalize().into_bytes();
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        for part in [MAGIC.as_slice(), tag.as_slice(), &found, code] {
            file.write_all(part)?;
        }
        file.persist(&self.path).map_err(|e| e.error)?;
        Ok(())
    }

    fn mac(&self, found: &[u8; Found::BYTES], code: &[u8], key: &CacheKey) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(key.0.as_slice()).ok()?;
        mac.update(MAGIC);
        mac.update(&(self.name.len() as u64).to_le_bytes());
        mac.update(self.name.as_bytes());
        mac.update(found);
        mac.update(code);
        Some(mac)
    }
}

/// The CPU's features, which the compiler makes use of: a folder that moves to
/// another machine is compiled again.
fn cpu() -> Digest {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let features = info.lines().find(|l| l.starts_with("flags") || l.starts_with("Features"));
    Digest::of(features.unwrap_or_default().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOUND: Found = Found { bytes: 1000, memory_bytes: 1 << 20, serves: [true, false] };

    #[test]
    fn an_entry_under_another_key_or_name_or_with_a_flipped_bit_is_not_ours() {
        let folder = tempfile::tempdir().unwrap();
        let entry = Entry::of(Digest::of(b"guest"), Profile::Standard, folder.path());
        let key = CacheKey::new(Zeroizing::new([7; 32]));
        entry.write(&FOUND, b"code", &key).unwrap();
        let bytes = fs::read(&entry.path).unwrap();
        let (found, code) = entry.authentic(&bytes[..], &key).unwrap();
        assert_eq!((found, code.as_slice()), (FOUND, &b"code"[..]));
        for other in [(Digest::of(b"other"), Profile::Standard), (Digest::of(b"guest"), Profile::Reproducible)] {
            assert!(Entry::of(other.0, other.1, folder.path()).authentic(&bytes[..], &key).is_none());
        }
        assert!(entry.authentic(&bytes[..], &CacheKey::new(Zeroizing::new([8; 32]))).is_none());
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert!(entry.authentic(&flipped[..], &key).is_none());
            assert!(entry.authentic(&bytes[..at], &key).is_none());
        }
    }

    #[test]
    fn what_was_inspected_once_is_held_to_each_jobs_limits() {
        let within = InspectLimits { bytes_max: 1000, memory_bytes: 1 << 20 };
        assert!(FOUND.passes(Interface::Inner, within));
        assert!(!FOUND.passes(Interface::Outer, within));
        assert!(!FOUND.passes(Interface::Inner, InspectLimits { bytes_max: 999, ..within }));
        assert!(!FOUND.passes(Interface::Inner, InspectLimits { memory_bytes: (1 << 20) - 1, ..within }));
    }

    #[test]
    fn the_engine_in_the_cache_name_is_the_one_in_the_lock_file() {
        let lock = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock")).unwrap();
        let (_, after) = lock.split_once("name = \"wasmtime\"\nversion = \"").unwrap();
        assert_eq!(ENGINE, format!("wasmtime-{}", after.split('"').next().unwrap()));
    }
}
