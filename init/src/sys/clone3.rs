//! clone3(2), with clone(2) where it is missing.

use linux_raw_sys::general::{self, __NR_clone, __NR_clone3, clone_args};
use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::{Errno, Result};

use super::syscall::syscall;
use super::to_result;

/// CLONE_PARENT: the child becomes a child of the caller's parent.
pub const PARENT: u64 = general::CLONE_PARENT as u64;
/// CLONE_FILES: the child shares the caller's table of fds.
pub const FILES: u64 = general::CLONE_FILES as u64;
/// CLONE_NEWTIME. clone(2) cannot take it: its bit is part of the exit signal.
pub const NEW_TIME: u64 = general::CLONE_NEWTIME as u64;
const INTO_CGROUP: u64 = general::CLONE_INTO_CGROUP;
const SIGCHLD: u64 = general::SIGCHLD as u64;

/// Which side of the clone returned.
#[derive(Debug)]
pub enum Side {
    /// The caller.
    Parent {
        /// The child's pid in the caller's pid namespace.
        child: u32,
    },
    /// The new process.
    Child {
        /// Whether it was created in the cgroup.
        in_cgroup: bool,
    },
}

/// clone3(2): a copy of this process in new namespaces, created in `cgroup`. Linux 5.3,
/// CLONE_INTO_CGROUP 5.7.
///
/// KERNEL(5.7): uses clone(2) if clone3 or the flag is unknown or filtered. The child
/// is then not in the cgroup.
pub fn clone3(flags: u64, cgroup: Option<BorrowedFd<'_>>) -> Result<Side> {
    let result = match cgroup {
        Some(cgroup) => call(flags | INTO_CGROUP, cgroup.as_raw_fd() as u64),
        None => call(flags, 0),
    };
    match result {
        Ok(0) => Ok(Side::Child { in_cgroup: cgroup.is_some() }),
        Ok(child) => Ok(Side::Parent { child: child as u32 }),
        // ENOSYS: before 5.3, or a seccomp filter that asks for clone. EPERM: a filter
        // of an older container engine. E2BIG, EINVAL: before 5.7.
        Err(Errno::NOSYS | Errno::PERM | Errno::TOOBIG | Errno::INVAL) if flags & NEW_TIME == 0 => {
            match clone(flags)? {
                0 => Ok(Side::Child { in_cgroup: false }),
                child => Ok(Side::Parent { child: child as u32 }),
            }
        }
        Err(errno) => Err(errno),
    }
}

fn call(flags: u64, cgroup: u64) -> Result<usize> {
    // With CLONE_PARENT the child inherits the caller's exit signal, and another is
    // refused.
    let exit_signal = if flags & PARENT == 0 { SIGCHLD } else { 0 };
    let args = clone_args {
        flags,
        pidfd: 0,
        child_tid: 0,
        parent_tid: 0,
        exit_signal,
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup,
    };
    let size = size_of::<clone_args>();
    // SAFETY: the kernel reads `size` bytes at args. Without CLONE_VM and without a
    // stack, the child runs on a copy of this stack.
    to_result(unsafe { syscall(__NR_clone3, [(&raw const args).addr(), size, 0, 0, 0, 0]) })
}

fn clone(flags: u64) -> Result<usize> {
    let flags = (flags | SIGCHLD) as usize;
    // SAFETY: as above; stack, parent_tid, child_tid and tls are all null.
    to_result(unsafe { syscall(__NR_clone, [flags, 0, 0, 0, 0, 0]) })
}
