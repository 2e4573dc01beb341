//! close_range(2)

use linux_raw_sys::general::__NR_close_range;
use rustix::io::Result;

use super::syscall::syscall;
use super::to_result;

/// close_range(2): closes the fds from `first` to `last`, both included. This program
/// must not use any of them again. Linux 5.9.
pub fn close_range(first: u32, last: u32) -> Result<()> {
    // SAFETY: the call takes no pointer.
    to_result(unsafe { syscall(__NR_close_range, [first as usize, last as usize, 0, 0, 0, 0]) })?;
    Ok(())
}

/// close(2), for an inherited fd that nothing here owns.
pub fn close(fd: u32) {
    // SAFETY: the caller names an fd that no OwnedFd of this program holds.
    unsafe { rustix::io::close(fd as i32) };
}
