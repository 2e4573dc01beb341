//! seccomp(2)

use linux_raw_sys::general::__NR_seccomp;
use linux_raw_sys::ptrace::SECCOMP_SET_MODE_FILTER;
use rustix::io::{Errno, Result};

use super::syscall::syscall;
use super::to_result;

const SET_MODE_FILTER: usize = SECCOMP_SET_MODE_FILTER as usize;

/// struct sock_fprog.
#[repr(C)]
struct Program {
    length: u16,
    filter: usize,
}

/// seccomp(2), SECCOMP_SET_MODE_FILTER: loads a filter of 8-byte instructions. Linux
/// 3.17.
pub fn load(flags: u32, filter: &[u8]) -> Result<()> {
    let length = u16::try_from(filter.len() / 8).map_err(|_| Errno::INVAL)?;
    let program = Program { length, filter: filter.as_ptr().addr() };
    let address = (&raw const program).addr();
    // SAFETY: the kernel reads struct sock_fprog, and `length` instructions of 8 bytes
    // at filter. The slice holds that many.
    to_result(unsafe {
        syscall(__NR_seccomp, [SET_MODE_FILTER, flags as usize, address, 0, 0, 0])
    })?;
    Ok(())
}
