//! rt_sigprocmask(2), rt_sigaction(2), signalfd4(2)

use linux_raw_sys::general::{self, __NR_rt_sigaction, __NR_rt_sigprocmask, __NR_signalfd4};
use rustix::fd::{FromRawFd, OwnedFd};
use rustix::io::Result;

use super::answer;
use super::syscall::syscall;

const SIG_SETMASK: usize = general::SIG_SETMASK as usize;
const SFD_CLOEXEC: usize = general::O_CLOEXEC as usize; // signalfd.h

/// A set of signals: bit n - 1 stands for signal n.
pub type Signals = u64;

/// rt_sigprocmask(2): the signals blocked from now on.
pub fn block_only(signals: Signals) -> Result<()> {
    let place = (&raw const signals).addr();
    // SAFETY: the kernel reads a set of 8 bytes; a null old set is none.
    answer(unsafe { syscall(__NR_rt_sigprocmask, [SIG_SETMASK, place, 0, 8, 0, 0]) })?;
    Ok(())
}

/// rt_sigaction(2): the default action for this signal, SIG_DFL.
pub fn set_default(signal: u32) -> Result<()> {
    // struct sigaction of the kernel: handler, flags, restorer and mask, of
    // which no architecture has more. SIG_DFL is 0.
    let action = [0_u64; 4];
    let place = (&raw const action).addr();
    // SAFETY: the kernel reads at most 32 bytes at action; a null old action
    // is none. No handler of this program is lost, as it has none.
    answer(unsafe { syscall(__NR_rt_sigaction, [signal as usize, place, 0, 8, 0, 0]) })?;
    Ok(())
}

/// signalfd4(2): an fd to read these signals from, which must be blocked.
/// Each read gives struct signalfd_siginfo, 128 bytes, that starts with the
/// signal's number.
pub fn signalfd(signals: Signals) -> Result<OwnedFd> {
    let place = (&raw const signals).addr();
    // SAFETY: the kernel reads a set of 8 bytes; -1 asks for a new fd.
    let fd = answer(unsafe { syscall(__NR_signalfd4, [usize::MAX, place, 8, SFD_CLOEXEC, 0, 0]) })?;
    // SAFETY: the kernel has just made this fd; nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// The real-time signal with this number, 34 to 64: those below are kept by
/// libcs for themselves.
pub fn realtime(number: i32) -> Option<rustix::process::Signal> {
    match number {
        // SAFETY: the number is of a signal that no libc or Rust's std uses.
        34..=64 => Some(unsafe { rustix::process::Signal::from_raw_unchecked(number) }),
        _ => None,
    }
}
