//! The heap of vial, the CLI; vial-init has none.
//!
//! A CLI that lives for milliseconds needs no general allocator: musl's maps and unmaps
//! memory some forty times in a run, and takes a third of the instructions of reading a
//! config.json. Here a block is a power of two in size, cut from the front of a chunk.
//! A freed block is the next one of its size to be used. A larger block is a mapping of
//! its own.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};

use linux_raw_sys::general::{self, __NR_mremap, __NR_munmap};

use super::number::MMAP;
use super::syscall::syscall;
use super::to_result;

const PROT_READ_WRITE: usize = (general::PROT_READ | general::PROT_WRITE) as usize;
const MAP_PRIVATE_ANONYMOUS: usize = (general::MAP_PRIVATE | general::MAP_ANONYMOUS) as usize;
const MREMAP_MAYMOVE: usize = general::MREMAP_MAYMOVE as usize;

/// The smallest block, as a power of two: it holds a pointer.
const LEAST: u32 = 4;
/// The number of sizes, from 16 bytes to 64 KiB. Chunks are aligned to a page, so
/// blocks are aligned to at most a page, too.
const CLASSES: usize = 13;
const LARGEST: usize = 1 << (LEAST as usize + CLASSES - 1);
/// How much is mapped at once. A page that is never written costs nothing.
const CHUNK: usize = 4 * LARGEST;
const PAGE: usize = 4096;

/// A `#[global_allocator]`.
#[derive(Debug)]
pub struct Heap {
    busy: AtomicBool,
    blocks: UnsafeCell<Blocks>,
}

#[derive(Debug)]
struct Blocks {
    /// The rest of the present chunk.
    next: *mut u8,
    left: usize,
    /// The last freed block of each size. Each one points to the one freed before it.
    free: [*mut u8; CLASSES],
}

// SAFETY: only `with` reaches the blocks, and it admits one caller at a time.
unsafe impl Sync for Heap {}

impl Heap {
    /// An empty heap.
    pub const fn new() -> Heap {
        let blocks = Blocks { next: ptr::null_mut(), left: 0, free: [ptr::null_mut(); CLASSES] };
        Heap { busy: AtomicBool::new(false), blocks: UnsafeCell::new(blocks) }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Blocks) -> T) -> T {
        while self.busy.swap(true, Ordering::Acquire) {
            core::hint::spin_loop();
        }
        // SAFETY: this thread has changed `busy` from false to true, so no other
        // reference exists; `work` cannot keep this one.
        let blocks = unsafe { &mut *self.blocks.get() };
        let result = work(blocks);
        self.busy.store(false, Ordering::Release);
        result
    }
}

impl Default for Heap {
    fn default() -> Heap {
        Heap::new()
    }
}

/// The size class of a layout: its exponent above [`LEAST`]. None: it needs a mapping
/// of its own.
fn class(layout: Layout) -> Option<usize> {
    let size = layout.size().max(layout.align());
    if size > LARGEST || layout.align() > PAGE {
        return None;
    }
    let exponent = size.next_power_of_two().trailing_zeros();
    Some(exponent.saturating_sub(LEAST) as usize)
}

impl Blocks {
    fn take(&mut self, class: usize) -> *mut u8 {
        let Some(free) = self.free.get_mut(class) else { return ptr::null_mut() };
        if !free.is_null() {
            let block = *free;
            // SAFETY: a free block has at least 16 bytes, is aligned to 16, and starts
            // with the pointer that `give` wrote there.
            *free = unsafe { block.cast::<*mut u8>().read() };
            return block;
        }
        let size = 1 << (LEAST as usize + class);
        // Align a block to its size, up to a page.
        let align = size.min(PAGE);
        let mut skip = self.next.addr().wrapping_neg() & (align - 1);
        if self.left < size + skip {
            self.next = map(CHUNK);
            if self.next.is_null() {
                self.left = 0;
                return ptr::null_mut();
            }
            (self.left, skip) = (CHUNK, 0);
        }
        let block = self.next.wrapping_add(skip);
        self.next = block.wrapping_add(size);
        self.left -= size + skip;
        block
    }

    fn give(&mut self, class: usize, block: *mut u8) {
        if let Some(free) = self.free.get_mut(class) {
            // SAFETY: the caller has freed the block, which is aligned and large enough
            // for a pointer.
            unsafe { block.cast::<*mut u8>().write(*free) };
            *free = block;
        }
    }
}

// SAFETY: blocks are cut from mappings that are never unmapped, do not overlap, and
// have the size and alignment of their class. A larger block is a mapping of its own.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match class(layout) {
            Some(class) => self.with(|blocks| blocks.take(class)),
            // A mapping is aligned to a page, and no caller asks for more.
            None if layout.align() > PAGE => ptr::null_mut(),
            None => map(layout.size()),
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match class(layout) {
            Some(class) => self.with(|blocks| blocks.give(class, block)),
            None => {
                let arguments = [block.expose_provenance(), layout.size(), 0, 0, 0, 0];
                // SAFETY: the mapping holds only this block, and the caller has freed
                // it.
                unsafe { syscall(__NR_munmap, arguments) };
            }
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Ok(wanted) = Layout::from_size_align(size, layout.align()) else {
            return ptr::null_mut();
        };
        match (class(layout), class(wanted)) {
            (Some(old), Some(new)) if old == new => block,
            (None, None) => {
                let address = block.expose_provenance();
                let arguments = [address, layout.size(), size, MREMAP_MAYMOVE, 0, 0];
                // SAFETY: the mapping holds only this block, and the caller uses only
                // the returned address.
                let moved = to_result(unsafe { syscall(__NR_mremap, arguments) });
                moved.map_or(ptr::null_mut(), ptr::with_exposed_provenance_mut)
            }
            _ => {
                // SAFETY: the caller guarantees that the size of `wanted` is not 0.
                let new = unsafe { self.alloc(wanted) };
                if !new.is_null() {
                    // SAFETY: both blocks hold that many bytes, and the new one has no
                    // other owner.
                    unsafe { ptr::copy_nonoverlapping(block, new, size.min(layout.size())) };
                    // SAFETY: the caller does not use the old block again.
                    unsafe { self.dealloc(block, layout) };
                }
                new
            }
        }
    }
}

/// mmap(2): zeroed memory, or null.
fn map(size: usize) -> *mut u8 {
    let arguments = [0, size, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, usize::MAX, 0];
    // SAFETY: a new private mapping changes no memory that is in use.
    let start = to_result(unsafe { syscall(MMAP, arguments) });
    start.map_or(ptr::null_mut(), ptr::with_exposed_provenance_mut)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    #[test]
    fn blocks_are_aligned_and_apart() {
        let heap = Heap::new();
        let mut taken: Vec<(usize, usize)> = Vec::new();
        for size in (1..200).chain([4096, 5000, 65_536, 65_537, 1 << 20]) {
            for align in [1, 8, 64, 4096] {
                // SAFETY: the size is not zero.
                let start = unsafe { heap.alloc(layout(size, align)) }.addr();
                assert!(start != 0 && start.is_multiple_of(align), "{size} {align}");
                assert!(taken.iter().all(|(s, end)| start >= *end || start + size <= *s));
                taken.push((start, start + size));
            }
        }
    }

    #[test]
    fn bytes_outlive_every_growth() {
        let heap = Heap::new();
        let mut size = 1;
        // SAFETY: the size is not zero.
        let mut block = unsafe { heap.alloc(layout(size, 1)) };
        // SAFETY: the block holds a byte.
        unsafe { block.write(7) };
        while size < 1 << 20 {
            let larger = size * 3;
            // SAFETY: the block has that layout.
            block = unsafe { heap.realloc(block, layout(size, 1), larger) };
            // SAFETY: the block holds as many bytes.
            unsafe { block.wrapping_add(larger - 1).write(9) };
            // SAFETY: the block holds a byte.
            assert_eq!(unsafe { block.read() }, 7);
            size = larger;
        }
    }

    #[test]
    fn what_is_given_back_is_taken_again() {
        let heap = Heap::new();
        // SAFETY: the size is not zero.
        let first = unsafe { heap.alloc(layout(100, 1)) };
        // SAFETY: the block has that layout.
        unsafe { heap.dealloc(first, layout(100, 1)) };
        // SAFETY: the size is not zero.
        assert_eq!(unsafe { heap.alloc(layout(70, 2)) }, first);
    }
}
