//! mmap(2) for the Plan, and the memory routines that the compiler calls where
//! no libc has them.

use linux_raw_sys::general::{self, __NR_madvise, __NR_mmap};
use rustix::io::{Errno, Result};

use super::answer;
use super::syscall::syscall;

const PROT_READ_WRITE: usize = (general::PROT_READ | general::PROT_WRITE) as usize;
const MAP_PRIVATE_ANONYMOUS: usize = (general::MAP_PRIVATE | general::MAP_ANONYMOUS) as usize;

/// mmap(2): zeroed memory for `words` machine words and `bytes` bytes, kept
/// until the process ends.
pub fn map(words: usize, bytes: usize) -> Result<(&'static mut [usize], &'static mut [u8])> {
    let front = words.checked_mul(size_of::<usize>()).ok_or(Errno::NOMEM)?;
    let size = front.checked_add(bytes).ok_or(Errno::NOMEM)?;
    let arguments = [0, size.max(1), PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, usize::MAX, 0];
    // SAFETY: a new private mapping changes no memory that is in use.
    let start = answer(unsafe { syscall(__NR_mmap, arguments) })?;
    let start: *mut u8 = core::ptr::with_exposed_provenance_mut(start);
    // SAFETY: the mapping is page-aligned, zeroed, `size` bytes long and never
    // unmapped; the words take its front.
    let list = unsafe { core::slice::from_raw_parts_mut(start.cast::<usize>(), words) };
    // SAFETY: `front` is within the mapping, as `size` is no less.
    let tail = unsafe { start.add(front) };
    // SAFETY: `bytes` bytes follow, and the words do not reach into them.
    Ok((list, unsafe { core::slice::from_raw_parts_mut(tail, bytes) }))
}

/// madvise(2), MADV_DONTNEED: gives back the pages of the stack below the
/// caller's frame, which deeper calls have used and left behind.
#[inline(never)]
pub fn forget_stack() {
    const PAGE: usize = 4096;
    const REACH: usize = 256 * 1024;
    const MADV_DONTNEED: usize = general::MADV_DONTNEED as usize;
    let here = 0_u8;
    // This frame and the call itself take less than is left for them.
    const FRAME: usize = 512;
    let end = (&raw const here).addr().saturating_sub(FRAME) / PAGE * PAGE;
    let start = end.saturating_sub(REACH);
    // SAFETY: what lies below the stack pointer's page belongs to no live
    // frame. ENOMEM: the stack was never as deep, and what there is of it is
    // given back; EINVAL: pages are larger here, and nothing is.
    unsafe { syscall(__NR_madvise, [start, end - start, MADV_DONTNEED, 0, 0, 0]) };
}
