//! unshare(2)

use linux_raw_sys::general::__NR_unshare;
use rustix::io::Result;

use super::syscall::syscall;
use super::to_result;

/// unshare(2): moves this process into new namespaces of these kinds (CLONE_NEW*).
pub fn unshare(kinds: u32) -> Result<()> {
    // SAFETY: the call takes no pointer. Flags of namespaces do not affect memory and
    // fds.
    to_result(unsafe { syscall(__NR_unshare, [kinds as usize, 0, 0, 0, 0, 0]) })?;
    Ok(())
}
