//! Where a guest's memory comes from: first what its own pages have left, and only
//! then new pages. An instance lives for one unit, so a page that need not be asked
//! for is a system call saved per person. Nobody has to know: it is the allocator of
//! every guest that this crate is part of, on wasm only.

use std::{alloc::Layout, arch::wasm32, ptr::NonNull};

use talc::{
    base::{CHUNK_UNIT, Talc, binning::Binning},
    cell::TalcSyncCell,
    source::Source,
    wasm::WasmBinning,
};

/// Bytes of a page.
const PAGE: usize = 64 << 10;

#[global_allocator]
static HEAP: TalcSyncCell<LinearMemory, WasmBinning> =
    TalcSyncCell::new_wasm(LinearMemory { started: false, end: None });

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
