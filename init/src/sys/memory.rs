//! mmap(2) for the Plan, and madvise(2) for the stack.

use core::mem::MaybeUninit;

use linux_raw_sys::general::{self, __NR_madvise};
use rustix::fd::OwnedFd;
use rustix::io::{Errno, Result};

use super::number::MMAP;
use super::syscall::syscall;
use super::to_result;

const PROT_READ_WRITE: usize = (general::PROT_READ | general::PROT_WRITE) as usize;
const MAP_PRIVATE_ANONYMOUS: usize = (general::MAP_PRIVATE | general::MAP_ANONYMOUS) as usize;

/// mmap(2): memory for `words` zeroed words, `fds` empty places for fds, and `bytes`
/// zeroed bytes. It stays mapped until the process ends.
pub fn map(words: usize, fds: usize, bytes: usize) -> Result<Mapped> {
    let front = words.checked_mul(size_of::<usize>()).ok_or(Errno::NOMEM)?;
    let middle = fds.checked_mul(size_of::<Option<OwnedFd>>()).ok_or(Errno::NOMEM)?;
    let head = front.checked_add(middle).ok_or(Errno::NOMEM)?;
    let size = head.checked_add(bytes).ok_or(Errno::NOMEM)?;
    let arguments = [0, size.max(1), PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, usize::MAX, 0];
    // SAFETY: a new private mapping changes no memory that is in use.
    let start = to_result(unsafe { syscall(MMAP, arguments) })?;
    let start: *mut u8 = core::ptr::with_exposed_provenance_mut(start);
    // SAFETY: the mapping is page-aligned, zeroed, `size` bytes long and never
    // unmapped. The words are at its front.
    let list = unsafe { core::slice::from_raw_parts_mut(start.cast::<usize>(), words) };
    // SAFETY: `front` is at most `size`, so the result is within the mapping. Only
    // whole words come before it, so it is aligned.
    let places = unsafe { start.add(front) }.cast::<MaybeUninit<Option<OwnedFd>>>();
    // SAFETY: `middle` bytes are left for the places, and the words end before them.
    let places = unsafe { core::slice::from_raw_parts_mut(places, fds) };
    places.iter_mut().for_each(|place| _ = place.write(None));
    // SAFETY: every place has just been written.
    let places = unsafe { &mut *(&raw mut *places as *mut [Option<OwnedFd>]) };
    // SAFETY: `head` is at most `size`, so the result is within the mapping.
    let tail = unsafe { start.add(head) };
    // SAFETY: `bytes` bytes are left, and the words and places end before them.
    Ok((list, places, unsafe { core::slice::from_raw_parts_mut(tail, bytes) }))
}

/// What [`map`] returns: words, places for fds, and bytes.
pub type Mapped = (&'static mut [usize], &'static mut [Option<OwnedFd>], &'static mut [u8]);

/// madvise(2), MADV_DONTNEED: frees the pages of the stack below the caller's frame,
/// which earlier, deeper calls have used.
#[inline(never)]
pub fn forget_stack() {
    const PAGE: usize = 4096;
    const REACH: usize = 256 * 1024;
    const MADV_DONTNEED: usize = general::MADV_DONTNEED as usize;
    let here = 0_u8;
    // More than this frame and the system call use.
    const FRAME: usize = 512;
    let end = (&raw const here).addr().saturating_sub(FRAME) / PAGE * PAGE;
    let start = end.saturating_sub(REACH);
    // SAFETY: no live frame is below the page of the stack pointer. ENOMEM: the stack
    // is shorter than REACH, and what there is of it was freed. EINVAL: pages are
    // larger than PAGE, and nothing was freed.
    unsafe { syscall(__NR_madvise, [start, end - start, MADV_DONTNEED, 0, 0, 0]) };
}
