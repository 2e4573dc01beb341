//! open_tree(2) on a bare fd, which rustix's wrapper takes too; here for the
//! flags that it does not name together.

use core::ffi::CStr;

use linux_raw_sys::general::{self, __NR_open_tree};
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Result;

use super::answer;
use super::syscall::syscall;

const OPEN_TREE_CLONE: usize = general::OPEN_TREE_CLONE as usize;
const OPEN_TREE_CLOEXEC: usize = general::OPEN_TREE_CLOEXEC as usize;
const AT_EMPTY_PATH: usize = general::AT_EMPTY_PATH as usize;
const AT_RECURSIVE: usize = general::AT_RECURSIVE as usize;

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
