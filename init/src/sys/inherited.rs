//! The fds that vial left open for vial-init, as its arguments number them.

use core::ffi::CStr;

use rustix::fd::{AsFd, FromRawFd, OwnedFd};
use rustix::io::{FdFlags, fcntl_setfd};

use super::start::Arguments;

/// `vial-init CHANNEL START CONSOLE PIDFD`, `-` standing for none.
#[derive(Debug)]
pub struct Inherited {
    /// The Plan comes and the Reply goes here.
    pub channel: OwnedFd,
    /// The listening socket on which `start` connects.
    pub start: Option<OwnedFd>,
    /// The connected console socket.
    pub console: Option<OwnedFd>,
    /// A pidfd of the container's init, to be joined.
    pub pidfd: Option<OwnedFd>,
}

/// Who started vial-init in a way that it cannot work with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stranger {
    /// The arguments are none of vial's.
    Person,
    /// They are, but an fd cannot be had.
    Vial,
}

impl Inherited {
    /// Takes the fds over, each O_CLOEXEC from now on.
    pub fn take(arguments: Arguments) -> Result<Inherited, Stranger> {
        let [channel, start, console, pidfd] = numbers(arguments).ok_or(Stranger::Person)?;
        let own = |number| match number {
            Some(number) => own(number).map(Some).ok_or(Stranger::Vial),
            None => Ok(None),
        };
        Ok(Inherited {
            channel: own(channel)?.ok_or(Stranger::Person)?,
            start: own(start)?,
            console: own(console)?,
            pidfd: own(pidfd)?,
        })
    }
}

fn numbers(mut arguments: Arguments) -> Option<[Option<u16>; 4]> {
    arguments.next()?; // The program's name.
    let mut numbers = [None; 4];
    for number in &mut numbers {
        *number = parse(arguments.next()?)?;
    }
    Some(numbers)
}

/// A decimal number, or `-` as Some(None).
fn parse(text: &CStr) -> Option<Option<u16>> {
    if text == c"-" {
        return Some(None);
    }
    let mut number: u16 = 0;
    for digit in text.to_bytes() {
        let digit = digit.checked_sub(b'0').filter(|d| *d < 10)?;
        number = number.checked_mul(10)?.checked_add(u16::from(digit))?;
    }
    Some(Some(number)).filter(|_| !text.is_empty())
}

/// Owns an inherited fd; None where it is not open.
fn own(number: u16) -> Option<OwnedFd> {
    // SAFETY: vial names each fd once and nothing in this program has it yet;
    // were it not open, the fcntl below says so and no harm is done.
    let fd = unsafe { OwnedFd::from_raw_fd(i32::from(number)) };
    match fcntl_setfd(fd.as_fd(), FdFlags::CLOEXEC) {
        Ok(()) => Some(fd),
        Err(_) => {
            core::mem::forget(fd); // Not open: there is nothing to close.
            None
        }
    }
}
