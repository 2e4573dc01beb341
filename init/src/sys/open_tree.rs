//! open_tree(2) on a bare fd, which rustix's wrapper takes too; here for the
//! flags that it does not name together.

use core::ffi::CStr;

use linux_raw_sys::general::__NR_open_tree;
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Result;

use super::answer;
use super::syscall::syscall;

const OPEN_TREE_CLONE: usize = 1;
const OPEN_TREE_CLOEXEC: usize = 0x80000;
const AT_EMPTY_PATH: usize = 0x1000;
const AT_RECURSIVE: usize = 0x8000;

/// open_tree(2): a detached copy of the mount at `path` from a directory on, or
/// without a path of what the fd refers to; with the mounts below it if
/// recursive. Linux 5.2.
pub fn clone(at: BorrowedFd<'_>, path: &CStr, recursive: bool) -> Result<OwnedFd> {
    let below = if recursive { AT_RECURSIVE } else { 0 };
    let flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | below;
    let (at, path) = (at.as_raw_fd() as usize, path.as_ptr().addr());
    // SAFETY: path ends with a NUL.
    let fd = answer(unsafe { syscall(__NR_open_tree, [at, path, flags, 0, 0, 0]) })?;
    // SAFETY: the kernel has just made this fd; nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}
