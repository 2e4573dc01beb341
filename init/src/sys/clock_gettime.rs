//! clock_gettime(2), with seconds of 64 bits on every architecture. Rust's std for musl
//! asks for 32 bits on those of 32 bits, and panics in 2038. rustix asks for 64, but
//! looks for the call in the vDSO first, in 2 KB of code.

use rustix::io::Result;

use super::number::CLOCK_GETTIME;
use super::syscall::syscall;
use super::to_result;

/// struct __kernel_timespec.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Time {
    /// Whole seconds.
    pub seconds: i64,
    /// The rest, below 1,000,000,000.
    pub nanoseconds: i64,
}

/// CLOCK_REALTIME, time.h.
const REALTIME: usize = 0;

/// clock_gettime(2), CLOCK_REALTIME: the time since 1970. Linux 5.1.
pub fn realtime() -> Result<Time> {
    let mut time = Time::default();
    let address = (&raw mut time).expose_provenance();
    // SAFETY: the kernel writes one struct __kernel_timespec.
    to_result(unsafe { syscall(CLOCK_GETTIME, [REALTIME, address, 0, 0, 0, 0]) })?;
    Ok(time)
}
