//! getcwd(2)

use core::mem::MaybeUninit;

use linux_raw_sys::general::__NR_getcwd;
use rustix::io::Result;

use super::syscall::syscall;
use super::to_result;

/// getcwd(2): the first byte of the working directory's path. It is `/` below the root,
/// and `(` elsewhere.
pub fn first_byte() -> Result<u8> {
    let mut buffer = [const { MaybeUninit::<u8>::uninit() }; 4096];
    let length = buffer.len();
    let address = buffer.as_mut_ptr().expose_provenance();
    // SAFETY: the kernel writes at most `length` bytes to the buffer.
    to_result(unsafe { syscall(__NR_getcwd, [address, length, 0, 0, 0, 0]) })?;
    // SAFETY: the kernel has written a path, which has at least one byte, its NUL.
    Ok(unsafe { buffer[0].assume_init() })
}
