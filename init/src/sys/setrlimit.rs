//! prlimit64(2). It takes the number of a resource; rustix's takes an enum.

use linux_raw_sys::general::__NR_prlimit64;
use rustix::io::Result;

use super::syscall::syscall;
use super::to_result;

/// struct rlimit64.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Limit {
    /// The soft limit.
    pub soft: u64,
    /// The hard limit.
    pub hard: u64,
}

/// prlimit64(2): gets a limit of this process.
pub fn get(resource: u32) -> Result<Limit> {
    let mut limit = Limit::default();
    let address = (&raw mut limit).addr();
    // SAFETY: the kernel writes one struct rlimit64. A null new limit sets nothing.
    to_result(unsafe { syscall(__NR_prlimit64, [0, resource as usize, 0, address, 0, 0]) })?;
    Ok(limit)
}

/// prlimit64(2): sets a limit of this process.
pub fn set(resource: u32, limit: &Limit) -> Result<()> {
    let address = core::ptr::from_ref(limit).addr();
    // SAFETY: the kernel reads one struct rlimit64. It does not write through a null
    // old limit.
    to_result(unsafe { syscall(__NR_prlimit64, [0, resource as usize, address, 0, 0, 0]) })?;
    Ok(())
}
