//! setns(2)

use linux_raw_sys::general::__NR_setns;
use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::Result;

use super::answer;
use super::syscall::syscall;

/// setns(2): joins the namespace that the fd is, which must be of this kind
/// (CLONE_NEW*), or these kinds of a pidfd's process. Linux 3.0, pidfd 5.8.
pub fn setns(fd: BorrowedFd<'_>, kinds: u32) -> Result<()> {
    // SAFETY: the call takes no pointer, and this process has one thread and
    // keeps nothing that depends on its namespaces but fds.
    answer(unsafe { syscall(__NR_setns, [fd.as_raw_fd() as usize, kinds as usize, 0, 0, 0, 0]) })?;
    Ok(())
}
