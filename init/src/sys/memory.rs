//! mmap(2) for the Plan, and the memory routines that the compiler calls where
//! no libc has them.

use core::mem::MaybeUninit;

use linux_raw_sys::general::{self, __NR_madvise, __NR_mmap};
use rustix::fd::OwnedFd;
use rustix::io::{Errno, Result};

use super::answer;
use super::syscall::syscall;

const PROT_READ_WRITE: usize = (general::PROT_READ | general::PROT_WRITE) as usize;
const MAP_PRIVATE_ANONYMOUS: usize = (general::MAP_PRIVATE | general::MAP_ANONYMOUS) as usize;

/// mmap(2): memory for `words` machine words that are 0, `fds` places without an fd,
/// and `bytes` bytes that are 0, kept until the process ends.
pub fn map(words: usize, fds: usize, bytes: usize) -> Result<Mapped> {
    let front = words.checked_mul(size_of::<usize>()).ok_or(Errno::NOMEM)?;
    let middle = fds.checked_mul(size_of::<Option<OwnedFd>>()).ok_or(Errno::NOMEM)?;
    let head = front.checked_add(middle).ok_or(Errno::NOMEM)?;
    let size = head.checked_add(bytes).ok_or(Errno::NOMEM)?;
    let arguments = [0, size.max(1), PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, usize::MAX, 0];
    // SAFETY: a new private mapping changes no memory that is in use.
    let start = answer(unsafe { syscall(__NR_mmap, arguments) })?;
    let start: *mut u8 = core::ptr::with_exposed_provenance_mut(start);
    // SAFETY: the mapping is page-aligned, zeroed, `size` bytes long and never
    // unmapped; the words take its front.
    let list = unsafe { core::slice::from_raw_parts_mut(start.cast::<usize>(), words) };
    // SAFETY: `front` is within the mapping, as `size` is no less; whole words lie
    // before it, which keeps it aligned.
    let places = unsafe { start.add(front) }.cast::<MaybeUninit<Option<OwnedFd>>>();
    // SAFETY: `middle` bytes follow for them, and the words do not reach there.
    let places = unsafe { core::slice::from_raw_parts_mut(places, fds) };
    places.iter_mut().for_each(|place| _ = place.write(None));
    // SAFETY: each of them has just been written.
    let places = unsafe { &mut *(&raw mut *places as *mut [Option<OwnedFd>]) };
    // SAFETY: `head` is within the mapping, as `size` is no less.
    let tail = unsafe { start.add(head) };
    // SAFETY: `bytes` bytes follow, and the words and places do not reach into them.
    Ok((list, places, unsafe { core::slice::from_raw_parts_mut(tail, bytes) }))
}

/// What was mapped: words, places for fds, and bytes.
pub type Mapped = (&'static mut [usize], &'static mut [Option<OwnedFd>], &'static mut [u8]);

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
