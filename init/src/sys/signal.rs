//! rt_sigprocmask(2), rt_sigaction(2), signalfd4(2)

use linux_raw_sys::general::{self, __NR_rt_sigaction, __NR_rt_sigprocmask, __NR_signalfd4};
use rustix::fd::{FromRawFd, OwnedFd};
use rustix::io::Result;

use super::syscall::syscall;
use super::to_result;

const SIG_SETMASK: usize = general::SIG_SETMASK as usize;
const SFD_CLOEXEC: usize = general::O_CLOEXEC as usize; // signalfd.h

/// A set of signals: bit n - 1 stands for signal n.
pub type Signals = u64;

/// rt_sigprocmask(2): blocks these signals and no others.
pub fn block_only(signals: Signals) -> Result<()> {
    let address = (&raw const signals).addr();
    // SAFETY: the kernel reads a set of 8 bytes. It does not write through a null old
    // set.
    to_result(unsafe { syscall(__NR_rt_sigprocmask, [SIG_SETMASK, address, 0, 8, 0, 0]) })?;
    Ok(())
}

/// rt_sigaction(2): resets the action of this signal to SIG_DFL.
pub fn set_default(signal: u32) -> Result<()> {
    // The kernel's struct sigaction: handler, flags, restorer and mask. No architecture
    // has more fields. SIG_DFL is 0.
    let action = [0_u64; 4];
    let address = (&raw const action).addr();
    // SAFETY: the kernel reads at most 32 bytes at action, and does not write through a
    // null old action. This program has no handler that could be lost.
    to_result(unsafe { syscall(__NR_rt_sigaction, [signal as usize, address, 0, 8, 0, 0]) })?;
    Ok(())
}

/// signalfd4(2): returns an fd to read these signals from. They must be blocked. Each
/// read returns a struct signalfd_siginfo of 128 bytes, which starts with the signal's
/// number.
pub fn signalfd(signals: Signals) -> Result<OwnedFd> {
    let address = (&raw const signals).addr();
    // SAFETY: the kernel reads a set of 8 bytes; -1 asks for a new fd.
    let fd =
        to_result(unsafe { syscall(__NR_signalfd4, [usize::MAX, address, 8, SFD_CLOEXEC, 0, 0]) })?;
    // SAFETY: the kernel has just made this fd, so nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// The real-time signal with this number, 34 to 64. Libcs use those below 34
/// themselves.
pub fn realtime(number: i32) -> Option<rustix::process::Signal> {
    match number {
        // SAFETY: neither a libc nor Rust's std uses a signal of this number.
        34..=64 => Some(unsafe { rustix::process::Signal::from_raw_unchecked(number) }),
        _ => None,
    }
}
