//! 环: the memory in which rows cross from the parent to one child.
//!
//! The parent makes a sealed memory file, maps it writable, and only then seals it
//! against any other writable view and against a change of size; the child maps
//! the same file to read. So the way is one-way by the kernel's hand: nothing that
//! a child does can change a byte here, and the parent reads nothing from here.
//!
//! There is no index in this memory either. The parent alone decides where a unit
//! lies ([`Places`]) and says so in the unit's frame; a unit's place is free again
//! when its answer is in. Rows of units in flight lie side by side, which tells a
//! child nothing that its pipe would not; a guest sees none of it, since what it
//! gets is copied into its own memory.

use std::{collections::VecDeque, fs::File, io, ops::Range, os::fd::OwnedFd, ptr::NonNull};

use rustix::{
    fs::{MemfdFlags, SealFlags},
    mm::{MapFlags, ProtFlags},
};

/// Bytes that are used before places are used again. Small units stay in the
/// cache this way; large ones widen it.
const WINDOW: usize = 1 << 20;
/// Units of the largest size that fit side by side, so that both sides can work.
const UNITS_SIDE_BY_SIDE: usize = 4;

/// A mapping of the ring, on either side.
struct Map {
    base: NonNull<u8>,
    len: usize,
}

#[expect(unsafe_code, reason = "a pointer says nothing of threads by itself")]
// SAFETY: the mapping belongs to this value alone, as a `Box<[u8]>` would.
unsafe impl Send for Map {}

impl Map {
    #[expect(unsafe_code, reason = "the kernel hands out a pointer")]
    fn of(file: impl rustix::fd::AsFd, len: usize, access: ProtFlags) -> io::Result<Self> {
        // SAFETY: with no wish for an address the kernel picks one that is free; the
        // file cannot shrink below `len` (its size is sealed), so no access can fault.
        let base = unsafe { rustix::mm::mmap(std::ptr::null_mut(), len, access, MapFlags::SHARED, file, 0) }?;
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { base, len })
    }
}

impl Drop for Map {
    #[expect(unsafe_code, reason = "what was mapped by pointer goes by pointer")]
    fn drop(&mut self) {
        // SAFETY: mapped by `of` with this length, and nothing borrows from it any more.
        // It cannot fail for a mapping that is there.
        let _ = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

/// The parent's end.
pub(crate) struct RingWriter {
    map: Map,
    places: Places,
}

impl RingWriter {
    /// A ring for units of up to `unit_bytes_max`, and the child's descriptor of it.
    /// Memory is taken as it is used.
    pub(crate) fn new(unit_bytes_max: u32) -> io::Result<(Self, OwnedFd)> {
        let len = (unit_bytes_max as usize).saturating_mul(UNITS_SIDE_BY_SIDE).max(WINDOW);
        let fd = rustix::fs::memfd_create(c"sluice-rows", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        rustix::fs::ftruncate(&fd, len as u64)?;
        rustix::fs::fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW)?;
        let map = Map::of(&fd, len, ProtFlags::READ | ProtFlags::WRITE)?;
        // From here on this mapping is the only one that can write.
        rustix::fs::fcntl_add_seals(&fd, SealFlags::FUTURE_WRITE | SealFlags::SEAL)?;
        Ok((Self { map, places: Places::new(len) }, fd))
    }

    /// Copies `unit` to a place of its own and says where; `None` while older units
    /// are in the way. A unit larger than the ring never fits.
    #[expect(unsafe_code, reason = "the ring is a pointer and a length")]
    pub(crate) fn put(&mut self, unit: &[u8]) -> Option<Place> {
        let place = self.places.take(unit.len())?;
        // SAFETY: `Places` hands out ranges inside `len`, and none that overlaps a unit
        // which the child may be reading; nobody in this process reads here.
        unsafe { self.map.base.add(place.start).copy_from_nonoverlapping(NonNull::from(unit).cast(), unit.len()) };
        Some(Place { at: u32::try_from(place.start).ok()?, len: u32::try_from(unit.len()).ok()? })
    }

    /// The oldest unit in flight has been answered.
    pub(crate) fn free(&mut self) {
        self.places.free();
    }

    /// Units in flight.
    pub(crate) fn in_flight(&self) -> usize {
        self.places.held.len()
    }
}

/// The child's end.
pub(crate) struct RingReader(Option<Map>);

impl RingReader {
    /// Maps the ring that came as standard error, and lets standard error lead
    /// nowhere. Without one (a probe), no place is inside it.
    ///
    /// Called before the child gives anything up, while there is one thread.
    pub(crate) fn take() -> io::Result<Self> {
        // Only a sealed memory file is a ring; a log that somebody sends errors to is not.
        if !rustix::fs::fcntl_get_seals(io::stderr()).is_ok_and(|seals| seals.contains(SealFlags::SHRINK)) {
            return Ok(Self(None));
        }
        let len = usize::try_from(rustix::fs::fstat(io::stderr())?.st_size).unwrap_or(0);
        let map = Map::of(io::stderr(), len, ProtFlags::READ)?;
        replace_stderr(&File::options().write(true).open("/dev/null")?)?;
        Ok(Self(Some(map)))
    }

    /// The bytes at `place`. They stay as they are until the unit is answered, so
    /// the borrow must end before that; `None` outside the ring.
    #[expect(unsafe_code, reason = "the ring is a pointer and a length")]
    pub(crate) fn get(&self, place: Place) -> Option<&[u8]> {
        let map = self.0.as_ref()?;
        let (at, len) = (place.at as usize, place.len as usize);
        let inside = at.checked_add(len).is_some_and(|end| end <= map.len);
        // SAFETY: inside the mapping, which lives as long as `self`; the parent writes
        // to a place again only when its unit has been answered.
        inside.then(|| unsafe { std::slice::from_raw_parts(map.base.as_ptr().add(at), len) })
    }
}

#[expect(unsafe_code, reason = "standard error has a number and no owner")]
fn replace_stderr(by: &File) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;
    // SAFETY: closes the ring's descriptor, which only this function knows as such.
    match unsafe { libc::dup2(by.as_raw_fd(), libc::STDERR_FILENO) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Where one unit lies in the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// First byte.
    pub at: u32,
    /// Number of bytes.
    pub len: u32,
}

/// Which parts of the ring are in use: plain arithmetic, the oldest first.
struct Places {
    size: usize,
    window: usize,
    held: VecDeque<Range<usize>>,
}

impl Places {
    fn new(size: usize) -> Self {
        Self { size, window: WINDOW.min(size), held: VecDeque::new() }
    }

    /// A free range of `len` bytes after the youngest, or at the start.
    fn take(&mut self, len: usize) -> Option<Range<usize>> {
        self.window = self.window.max(len.saturating_mul(UNITS_SIDE_BY_SIDE)).min(self.size);
        let fits = |from: usize, to: usize| (to.saturating_sub(from) >= len).then(|| from..from + len);
        let place = match (self.held.front(), self.held.back()) {
            (Some(oldest), Some(youngest)) if youngest.start < oldest.start => fits(youngest.end, oldest.start),
            (Some(oldest), Some(youngest)) => fits(youngest.end, self.window).or_else(|| fits(0, oldest.start)),
            _ => fits(0, self.window),
        }?;
        self.held.push_back(place.clone());
        Some(place)
    }

    fn free(&mut self) {
        self.held.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn units_in_flight_never_overlap_and_an_empty_ring_takes_any_unit(
            size in 1usize..5000,
            window in 1usize..5000,
            steps in proptest::collection::vec((1usize..1500, any::<bool>()), 0..400),
        ) {
            let mut places = Places { size, window: window.min(size), held: VecDeque::new() };
            for (len, answer) in steps {
                if answer { places.free() }
                let before = places.held.len();
                match places.take(len) {
                    Some(new) => {
                        prop_assert!(new.len() == len && new.end <= size);
                        let mut others = places.held.iter().take(before);
                        prop_assert!(others.all(|old| old.end <= new.start || new.end <= old.start));
                    }
                    None => {
                        prop_assert!(before > 0 || len > size);
                        prop_assert_eq!(places.held.len(), before);
                    }
                }
            }
        }

        #[test]
        fn a_place_is_inside_the_ring_or_nothing(at in any::<u32>(), len in any::<u32>()) {
            let (_writer, fd) = RingWriter::new(1).unwrap();
            let reader = RingReader(Some(Map::of(&fd, WINDOW, ProtFlags::READ).unwrap()));
            let inside = u64::from(at) + u64::from(len) <= WINDOW as u64;
            let place = Place { at, len };
            prop_assert_eq!(reader.get(place).is_some(), inside);
            prop_assert!(RingReader(None).get(place).is_none());
        }
    }

    #[test]
    fn places_go_round() {
        let mut places = Places { size: 100, window: 100, held: VecDeque::new() };
        assert_eq!(places.take(60), Some(0..60));
        assert_eq!(places.take(30), Some(60..90));
        assert_eq!(places.take(30), None);
        places.free();
        assert_eq!(places.take(30), Some(0..30));
        assert_eq!(places.take(31), None);
        assert_eq!(places.take(30), Some(30..60));
        places.free();
        assert_eq!(places.take(101), None);
    }

    #[test]
    fn what_the_parent_puts_is_what_the_child_gets() {
        let (mut writer, fd) = RingWriter::new(1).unwrap();
        let reader = RingReader(Some(Map::of(&fd, WINDOW, ProtFlags::READ).unwrap()));
        let (first, second) = (writer.put(b"abc").unwrap(), writer.put(b"de").unwrap());
        assert_eq!((reader.get(first).unwrap(), reader.get(second).unwrap()), (&b"abc"[..], &b"de"[..]));
        assert_eq!(writer.in_flight(), 2);
        assert!(writer.put(&vec![0; WINDOW + 1]).is_none());
    }

    #[test]
    fn the_childs_descriptor_can_neither_write_nor_resize() {
        let (_writer, fd) = RingWriter::new(1).unwrap();
        assert!(Map::of(&fd, WINDOW, ProtFlags::READ).is_ok());
        assert!(Map::of(&fd, WINDOW, ProtFlags::READ | ProtFlags::WRITE).is_err());
        assert!(rustix::io::write(&fd, b"x").is_err());
        assert!(rustix::fs::ftruncate(&fd, 0).is_err());
        assert!(rustix::fs::ftruncate(&fd, 2 * WINDOW as u64).is_err());
        assert!(rustix::fs::fcntl_add_seals(fd.as_fd(), SealFlags::WRITE).is_err());
        // A read-only mapping cannot be made writable afterwards either.
        let map = Map::of(&fd, WINDOW, ProtFlags::READ).unwrap();
        #[expect(unsafe_code, reason = "asks the kernel for what it must refuse")]
        // SAFETY: the mapping is ours and is not used afterwards.
        let changed = unsafe {
            rustix::mm::mprotect(
                map.base.as_ptr().cast(),
                map.len,
                rustix::mm::MprotectFlags::READ | rustix::mm::MprotectFlags::WRITE,
            )
        };
        assert!(changed.is_err());
    }
}
