//! Where a guest's memory comes from: first what its own pages have left, and only
//! then new pages. An instance lives for one unit, so a page that need not be asked
//! for is a system call saved per person. Nobody has to know: it is the allocator of
//! every guest that this crate is part of, on wasm only.
//!
//! Large blocks begin on a line, as large buffers do where the host copies them from:
//! at unlike offsets a copy is slower, and from some twelve times as slow.

use std::{
    alloc::{GlobalAlloc, Layout},
    arch::wasm32,
    ptr::NonNull,
};

use talc::{
    base::{CHUNK_UNIT, Talc, binning::Binning},
    cell::TalcSyncCell,
    source::Source,
    wasm::WasmBinning,
};

/// Bytes of a page.
const PAGE: usize = 64 << 10;

/// Bytes of a line, and of the smallest large block: those of `runtime/worker/src/wire.rs`.
const LINE: usize = 64;
const LARGE: usize = 4 << 10;

#[global_allocator]
static HEAP: Heap = Heap(TalcSyncCell::new_wasm(LinearMemory { started: false, end: None }));

struct Heap(TalcSyncCell<LinearMemory, WasmBinning>);

/// How a block of `layout` lies: the same whenever it is asked.
fn placed(layout: Layout) -> Layout {
    if layout.size() < LARGE { layout } else { layout.align_to(LINE).unwrap_or(layout) }
}

#[expect(unsafe_code, reason = "an allocator is the code that makes memory safe")]
// SAFETY: each call is the inner allocator's own, with the layout that `placed` gives a
// block each time, which is as large and at least as aligned as what was asked for.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's layout is not of size 0, and so this one is not.
        unsafe { self.0.alloc(placed(layout)) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block was made with this layout, by `alloc` or `realloc`.
        unsafe { self.0.dealloc(block, placed(layout)) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let old = placed(layout);
        // SAFETY: the caller's size is not 0 and does not overflow with its alignment.
        let new = placed(unsafe { Layout::from_size_align_unchecked(size, layout.align()) });
        if old.align() == new.align() {
            // SAFETY: the block was made with `old`, and the size is the caller's.
            return unsafe { self.0.realloc(block, old, size) };
        }
        // SAFETY: `new` is not of size 0; both blocks have the bytes that are copied, and
        // the old one was made with `old` and is not used again.
        unsafe {
            let moved = self.0.alloc(new);
            if !moved.is_null() {
                moved.copy_from_nonoverlapping(block, old.size().min(size));
                self.0.dealloc(block, old);
            }
            moved
        }
    }
}

/// The memory of a guest behind its stack and its constants.
#[derive(Debug)]
struct LinearMemory {
    started: bool,
    /// Where the heap ends so far.
    end: Option<NonNull<u8>>,
}

#[expect(unsafe_code, reason = "the linker's symbol for the first free byte")]
unsafe extern "C" {
    static __heap_base: u8;
}

#[expect(unsafe_code, reason = "an allocator is the code that makes memory safe")]
// SAFETY: allocates nothing itself, and hands over only what nobody else has.
unsafe impl Source for LinearMemory {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        let (base, bytes) = if talc.source.started { grow(layout)? } else { rest() };
        talc.source.started = true;
        talc.source.end = match talc.source.end {
            // SAFETY: the new pages begin where the heap ends, and belong to nobody.
            Some(end) if end.as_ptr() == base => Some(unsafe { talc.extend(end, base.wrapping_add(bytes)) }),
            // SAFETY: the linker puts nothing behind `__heap_base`, and that part comes
            // once; new pages belong to nobody. Too little of it is not taken.
            _ => unsafe { talc.claim(base, bytes) },
        };
        Ok(())
    }
}

/// What is left of the pages that are there from the start.
fn rest() -> (*mut u8, usize) {
    let base = (&raw const __heap_base).cast_mut();
    (base, (wasm32::memory_size(0) * PAGE).saturating_sub(base.addr()))
}

/// Adds pages for one allocation of `layout`.
fn grow(layout: Layout) -> Result<(*mut u8, usize), ()> {
    let pages = (layout.size() + layout.align() + 2 * CHUNK_UNIT).div_ceil(PAGE);
    match wasm32::memory_grow(0, pages) {
        usize::MAX => Err(()),
        before => Ok((std::ptr::without_provenance_mut(before * PAGE), pages * PAGE)),
    }
}
