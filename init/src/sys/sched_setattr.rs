//! sched_setattr(2)

use linux_raw_sys::general::__NR_sched_setattr;
use rustix::io::Result;

use super::syscall::syscall;
use super::to_result;

/// The size of struct sched_attr with the clamps of utilization, Linux 5.3.
pub const SIZE: usize = 56;

/// sched_setattr(2): sets the scheduling policy of this thread (0) or of another process.
/// The bytes are a struct sched_attr; this fills in its first field, the size. Linux 3.14.
pub fn sched_setattr(pid: u32, attributes: &mut [u8; SIZE]) -> Result<()> {
    attributes[..4].copy_from_slice(&(SIZE as u32).to_ne_bytes());
    let address = attributes.as_mut_ptr().addr();
    // SAFETY: the kernel reads as many bytes as the first field says, which is the size
    // of the array. It writes only that field, if it refuses the size.
    to_result(unsafe { syscall(__NR_sched_setattr, [pid as usize, address, 0, 0, 0, 0]) })?;
    Ok(())
}
