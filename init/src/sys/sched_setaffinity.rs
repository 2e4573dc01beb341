//! sched_setaffinity(2). rustix's has room for 1024 CPUs only.

use linux_raw_sys::general::__NR_sched_setaffinity;
use rustix::io::Result;

use super::syscall::syscall;
use super::to_result;

/// sched_setaffinity(2): sets the CPUs of this thread, as a bit mask. The kernel ignores
/// CPUs that it does not have.
pub fn sched_setaffinity(cpus: &[u8]) -> Result<()> {
    let address = cpus.as_ptr().addr();
    // SAFETY: the kernel reads at most the length of the slice.
    to_result(unsafe { syscall(__NR_sched_setaffinity, [0, cpus.len(), address, 0, 0, 0]) })?;
    Ok(())
}
