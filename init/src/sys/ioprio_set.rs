//! ioprio_set(2)

use linux_raw_sys::general::__NR_ioprio_set;
use rustix::io::Result;

use super::syscall::syscall;
use super::to_result;

/// IOPRIO_WHO_PROCESS, linux/ioprio.h.
const WHO_PROCESS: usize = 1;

/// ioprio_set(2): sets the I/O priority of this thread. Linux 2.6.13.
pub fn ioprio_set(priority: u32) -> Result<()> {
    // SAFETY: the call takes no pointer.
    to_result(unsafe { syscall(__NR_ioprio_set, [WHO_PROCESS, 0, priority as usize, 0, 0, 0]) })?;
    Ok(())
}
