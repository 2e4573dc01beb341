//! The fds that vial left open for vial-init, as its arguments number them.

use core::ffi::CStr;

use rustix::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use rustix::io::{FdFlags, fcntl_setfd};

use super::start::Arguments;

/// `vial-init CHANNEL START CONSOLE PIDFD ITEM STATE-DIR`, `-` standing for no fd.
/// The state dir tells others for which container it is at work.
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
    /// Digits, where others see the present item of the Plan.
    pub item: &'static mut [u8],
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
    pub fn take(mut arguments: Arguments) -> Result<Inherited, Stranger> {
        arguments.next(); // The program's name.
        let mut numbers = [NONE; 4];
        for number in &mut numbers {
            let text = arguments.next().ok_or(Stranger::Person)?;
            *number = parse(text).ok_or(Stranger::Person)?;
            // SAFETY: were it not open, the call would say so and do no harm.
            let fd = (*number != NONE).then(|| unsafe { BorrowedFd::borrow_raw(*number) });
            if fd.is_some_and(|fd| fcntl_setfd(fd, FdFlags::CLOEXEC).is_err()) {
                return Err(Stranger::Vial);
            }
        }
        let [channel, start, console, pidfd] = numbers.map(own);
        Ok(Inherited {
            channel: channel.ok_or(Stranger::Person)?,
            start,
            console,
            pidfd,
            item: arguments.next_place().unwrap_or_default(),
        })
    }
}

/// The number of no fd.
const NONE: RawFd = -1;

/// Owns an inherited fd that is open.
fn own(number: RawFd) -> Option<OwnedFd> {
    // SAFETY: vial names each fd once, and nothing in this program has it yet.
    (number != NONE).then(|| unsafe { OwnedFd::from_raw_fd(number) })
}

/// A decimal number, or `-` for no fd.
fn parse(text: &CStr) -> Option<RawFd> {
    if text == c"-" {
        return Some(NONE);
    }
    let mut number: u16 = 0;
    for digit in text.to_bytes() {
        let digit = digit.checked_sub(b'0').filter(|d| *d < 10)?;
        number = number.checked_mul(10)?.checked_add(u16::from(digit))?;
    }
    Some(RawFd::from(number)).filter(|_| !text.is_empty())
}
