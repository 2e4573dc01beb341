//! personality(2)

use linux_raw_sys::general::__NR_personality;
use rustix::io::Result;

use super::syscall::syscall;
use super::to_result;

/// personality(2): sets the execution domain of this process.
pub fn personality(persona: u32) -> Result<()> {
    // SAFETY: the call takes no pointer.
    to_result(unsafe { syscall(__NR_personality, [persona as usize, 0, 0, 0, 0, 0]) })?;
    Ok(())
}
