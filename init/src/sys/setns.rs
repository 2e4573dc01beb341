//! setns(2). rustix has two functions for it, neither of which takes plain CLONE_NEW* flags.

use linux_raw_sys::general::__NR_setns;
use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::Result;

use super::syscall::syscall;
use super::to_result;

/// setns(2): joins the namespace that the fd refers to, which must be of this kind
/// (CLONE_NEW*); of a pidfd, the process's namespaces of these kinds. Linux 3.0, pidfd
/// 5.8.
pub fn setns(fd: BorrowedFd<'_>, kinds: u32) -> Result<()> {
    // SAFETY: the call takes no pointer. This process has one thread, and only its fds
    // depend on its namespaces.
    to_result(unsafe {
        syscall(__NR_setns, [fd.as_raw_fd() as usize, kinds as usize, 0, 0, 0, 0])
    })?;
    Ok(())
}
