//! 环: the memory in which rows cross from the parent to one child.
//!
//! The parent makes a sealed memory file, maps it writable, and only then seals it
//! against any other writable view and against a change of size; the child maps
//! the same file to read. So the way is one-way by the kernel's hand: nothing that
//! a child does can change a byte here, and the parent reads nothing from here.
//!
//! Rows are encoded where they will lie, with no frame in between. There is no index
//! in this memory: the parent alone decides where a unit lies ([`Places`]) and says so
//! in the unit's frame; a unit's place is free again when its answer is in. Rows of
//! units in flight lie side by side, which tells a child nothing that its pipe would
//! not; a guest sees none of it, since what it gets is copied into its own memory.

use std::{collections::VecDeque, fs::File, io, ops::Range, os::fd::OwnedFd, ptr::NonNull};

use rustix::{
    fs::{MemfdFlags, SealFlags},
    mm::{MapFlags, ProtFlags},
};

use crate::wire::{LINE, Sink};

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
    unit_max: usize,
}

/// What became of a unit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// It lies here.
    At(Place),
    /// Older units are in the way.
    InTheWay,
    /// It is of so many bytes, more than there were.
    Needs(usize),
    /// It is larger than a unit may be.
    TooLarge,
}

/// A free place that is being written to.
pub(crate) struct Slot<'a> {
    free: &'a mut [u8],
    /// Bytes so far, those that found no room included.
    wanted: usize,
}

impl Sink for Slot<'_> {
    fn add(&mut self, bytes: &[u8]) {
        let end = self.wanted.saturating_add(bytes.len());
        if let Some(to) = self.free.get_mut(self.wanted..end) {
            to.copy_from_slice(bytes);
        }
        self.wanted = end;
    }

    fn written(&self) -> usize {
        self.wanted
    }

    fn patch(&mut self, at: usize, len: u32) {
        if let Some(to) = self.free.get_mut(at..at.saturating_add(4)) {
            to.copy_from_slice(&len.to_le_bytes());
        }
    }
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
        Ok((Self { map, places: Places::new(len), unit_max: unit_bytes_max as usize }, fd))
    }

    /// Lets `write` put a unit into a free place of at least `least` bytes, and at
    /// most so many as a unit may have. What is written beyond the place is dropped.
    #[expect(unsafe_code, reason = "the ring is a pointer and a length")]
    pub(crate) fn put<E>(
        &mut self,
        least: usize,
        write: impl FnOnce(&mut Slot<'_>) -> Result<(), E>,
    ) -> Result<Put, E> {
        let Some(place) = self.places.find(least) else { return Ok(Put::InTheWay) };
        let most = place.len().min(self.unit_max);
        // SAFETY: `Places` finds ranges inside `len`, and none that overlaps a unit which
        // the child may be reading; it cannot write, and nobody else here has this range.
        let free = unsafe { std::slice::from_raw_parts_mut(self.map.base.as_ptr().add(place.start), most) };
        let mut slot = Slot { free, wanted: 0 };
        write(&mut slot)?;
        let len = slot.wanted;
        if len > self.unit_max {
            // It is not handed in, so nothing of it stays either.
            slot.free.fill(0);
            return Ok(Put::TooLarge);
        }
        let (Ok(at), Ok(bytes)) = (u32::try_from(place.start), u32::try_from(len)) else { return Ok(Put::TooLarge) };
        if len > most {
            return Ok(Put::Needs(len));
        }
        self.places.hold(place.start..place.start + len);
        Ok(Put::At(Place { at, len: bytes }))
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

    /// A free range of `least` bytes or more, after the youngest or at the start. It
    /// begins on a line.
    fn find(&mut self, least: usize) -> Option<Range<usize>> {
        self.window = self.window.max(least.saturating_mul(UNITS_SIDE_BY_SIDE)).min(self.size);
        let free = |from: usize, to: usize| {
            let from = from.next_multiple_of(LINE);
            (to.checked_sub(from)? >= least).then_some(from..to)
        };
        match (self.held.front(), self.held.back()) {
            (Some(oldest), Some(youngest)) if youngest.start < oldest.start => free(youngest.end, oldest.start),
            (Some(oldest), Some(youngest)) => free(youngest.end, self.window).or_else(|| free(0, oldest.start)),
            _ => free(0, self.window),
        }
    }

    /// Takes a part of what was found.
    fn hold(&mut self, place: Range<usize>) {
        self.held.push_back(place);
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
                match places.find(len) {
                    Some(free) => {
                        prop_assert!(free.len() >= len && free.end <= size && free.start % LINE == 0);
                        prop_assert!(places.held.iter().all(|old| old.end <= free.start || free.end <= old.start));
                        places.hold(free.start..free.start + len);
                    }
                    None => prop_assert!(!places.held.is_empty() || len > size),
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
        let mut places = Places { size: 256, window: 256, held: VecDeque::new() };
        let mut take = |len: usize, answered: bool| {
            if answered {
                places.free();
            }
            let at = places.find(len)?.start;
            places.hold(at..at + len);
            Some(at..at + len)
        };
        assert_eq!(take(160, false), Some(0..160));
        assert_eq!(take(60, false), Some(192..252));
        assert_eq!(take(60, false), None);
        assert_eq!(take(60, true), Some(0..60));
        assert_eq!(take(129, false), None);
        assert_eq!(take(128, false), Some(64..192));
        assert_eq!(take(257, true), None);
    }

    #[test]
    fn what_the_parent_puts_is_what_the_child_gets() {
        let (mut writer, fd) = RingWriter::new(8).unwrap();
        let reader = RingReader(Some(Map::of(&fd, WINDOW, ProtFlags::READ).unwrap()));
        let mut put = |bytes: &[u8], least| {
            let write = |slot: &mut Slot<'_>| {
                bytes.chunks(3).for_each(|part| slot.add(part));
                Ok::<(), ()>(())
            };
            writer.put(least, write).unwrap()
        };
        let (Put::At(first), Put::At(second)) = (put(b"abcdefgh", 1), put(b"ij", 0)) else { panic!("both fit") };
        assert_eq!((reader.get(first).unwrap(), reader.get(second).unwrap()), (&b"abcdefgh"[..], &b"ij"[..]));
        assert_eq!(put(b"one byte too many", 1), Put::TooLarge);
        assert_eq!(put(b"", WINDOW), Put::InTheWay);
        assert_eq!(writer.in_flight(), 2);
    }

    #[test]
    fn a_unit_that_found_too_little_room_says_how_much_it_needs_and_harms_no_other() {
        let (mut writer, fd) = RingWriter::new(WINDOW as u32 / 4).unwrap();
        let reader = RingReader(Some(Map::of(&fd, WINDOW, ProtFlags::READ).unwrap()));
        let put = |writer: &mut RingWriter, byte, len, least| {
            let write = |slot: &mut Slot<'_>| {
                (0..len).for_each(|_| slot.add(&[byte]));
                Ok::<(), ()>(())
            };
            writer.put(least, write).unwrap()
        };
        let held: Vec<Place> = (1..4)
            .map(|n| match put(&mut writer, n, WINDOW / 4, 1) {
                Put::At(place) => place,
                other => panic!("{other:?}"),
            })
            .collect();
        assert!(matches!(put(&mut writer, 4, WINDOW / 4 - 70, 1), Put::At(_)));
        assert_eq!(put(&mut writer, 5, 65, 1), Put::Needs(65));
        assert_eq!(put(&mut writer, 5, 65, 65), Put::InTheWay);
        writer.free();
        assert!(matches!(put(&mut writer, 5, 65, 65), Put::At(Place { at: 0, len: 65 })));
        for (place, byte) in held.iter().zip(1..).skip(1) {
            assert!(reader.get(*place).unwrap().iter().all(|b| *b == byte));
        }
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
