//! setgroups(2). rustix's `set_thread_groups` takes `&[Gid]`: up to 65,536 aligned numbers,
//! which would have to be copied out of the unaligned Plan, without a heap.

use linux_raw_sys::general::__NR_setgroups;
use rustix::io::Result;

use super::answer;
use super::syscall::syscall;

/// setgroups(2): the supplementary groups, 4 bytes each in the machine's order.
pub fn setgroups(groups: &[u8]) -> Result<()> {
    // SAFETY: the kernel reads as many 4-byte groups as the slice holds whole.
    answer(unsafe {
        syscall(__NR_setgroups, [groups.len() / 4, groups.as_ptr().addr(), 0, 0, 0, 0])
    })?;
    Ok(())
}
