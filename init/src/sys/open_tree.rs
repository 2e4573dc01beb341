//! open_tree(2) on a bare fd, which rustix's wrapper takes too; here for the
//! flags that it does not name together.

use core::ffi::CStr;

use linux_raw_sys::general::__NR_open_tree;
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Result;

use super::answer;
use super::syscall::syscall;

const AT_FDCWD: usize = -100_isize as usize;
const OPEN_TREE_CLONE: usize = 1;
const OPEN_TREE_CLOEXEC: usize = 0x80000;
const AT_EMPTY_PATH: usize = 0x1000;
const AT_RECURSIVE: usize = 0x8000;

/// open_tree(2): a detached copy of the mount at `path`, with those below it if
/// recursive. Linux 5.2.
pub fn clone_path(path: &CStr, recursive: bool) -> Result<OwnedFd> {
    open_tree(AT_FDCWD, path, if recursive { AT_RECURSIVE } else { 0 })
}

/// open_tree(2): a detached copy of what the fd refers to.
pub fn clone_fd(fd: BorrowedFd<'_>, recursive: bool) -> Result<OwnedFd> {
    let flags = if recursive { AT_EMPTY_PATH | AT_RECURSIVE } else { AT_EMPTY_PATH };
    open_tree(fd.as_raw_fd() as usize, c"", flags)
}

fn open_tree(directory: usize, path: &CStr, flags: usize) -> Result<OwnedFd> {
    let flags = flags | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
    let path = path.as_ptr().addr();
    // SAFETY: path ends with a NUL.
    let fd = answer(unsafe { syscall(__NR_open_tree, [directory, path, flags, 0, 0, 0]) })?;
    // SAFETY: the kernel has just made this fd; nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}
