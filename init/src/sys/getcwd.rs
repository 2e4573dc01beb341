//! getcwd(2)

use linux_raw_sys::general::__NR_getcwd;
use rustix::io::Result;

use super::answer;
use super::syscall::syscall;

/// getcwd(2): the first byte of the working directory's path: `/` where it
/// lies below the root, `(` where it does not.
pub fn first_byte(buffer: &mut [u8; 4096]) -> Result<u8> {
    let length = buffer.len();
    // SAFETY: the kernel writes at most `length` bytes to the buffer.
    answer(unsafe { syscall(__NR_getcwd, [buffer.as_mut_ptr().addr(), length, 0, 0, 0, 0]) })?;
    Ok(buffer[0])
}
