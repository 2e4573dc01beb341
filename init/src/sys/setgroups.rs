//! setgroups(2). rustix's `set_thread_groups` takes `&[Gid]`. The groups of the Plan
//! are unaligned bytes, and there may be 65,536 of them: too many to copy without a
//! heap.

use rustix::io::Result;

use super::number::SETGROUPS;
use super::syscall::syscall;
use super::to_result;

/// setgroups(2): sets the supplementary groups, of 4 bytes each in native byte order.
pub fn setgroups(groups: &[u8]) -> Result<()> {
    // SAFETY: the kernel reads as many groups of 4 bytes as the slice holds.
    to_result(unsafe {
        syscall(SETGROUPS, [groups.len() / 4, groups.as_ptr().addr(), 0, 0, 0, 0])
    })?;
    Ok(())
}
