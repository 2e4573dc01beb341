//! The fds that vial left open for vial-init, as its arguments number them.

use core::ffi::CStr;

use rustix::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use rustix::io::{FdFlags, fcntl_setfd};

use super::start::Arguments;
use crate::slots::Slots;

/// `vial-init CHANNEL ITEM STATE-DIR FD..`: an fd for each slot of the Plan, `-`
/// standing for none. The state dir tells others for which container it is at work.
#[derive(Debug)]
pub struct Inherited {
    /// The Plan comes and the Reply goes here.
    pub channel: OwnedFd,
    /// Digits, where others see the present item of the Plan.
    pub item: &'static mut [u8],
    /// The numbers of the lent fds.
    pub lent: Arguments,
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
    /// Takes the channel over, O_CLOEXEC from now on.
    pub fn take(mut arguments: Arguments) -> Result<Inherited, Stranger> {
        arguments.next(); // The program's name.
        let channel = own(arguments.next().ok_or(Stranger::Person)?)?.ok_or(Stranger::Person)?;
        let item = arguments.next_place().ok_or(Stranger::Person)?;
        arguments.next(); // The state dir is for others.
        Ok(Inherited { channel, item, lent: arguments })
    }
}

/// Takes the lent fds over, each into its slot.
pub fn lend(slots: &mut Slots, lent: Arguments) -> Result<(), Stranger> {
    for (slot, text) in slots.0.iter_mut().zip(lent) {
        *slot = own(text)?;
    }
    Ok(())
}

/// Owns the inherited fd of this number; None for `-`.
fn own(text: &CStr) -> Result<Option<OwnedFd>, Stranger> {
    if text == c"-" {
        return Ok(None);
    }
    let mut number: u16 = 0;
    for digit in text.to_bytes() {
        let digit = digit.checked_sub(b'0').filter(|d| *d < 10).ok_or(Stranger::Person)?;
        number = number
            .checked_mul(10)
            .and_then(|tens| tens.checked_add(u16::from(digit)))
            .ok_or(Stranger::Person)?;
    }
    let number = RawFd::from(number);
    // SAFETY: were it not open, the call would say so and do no harm.
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl_setfd(fd, FdFlags::CLOEXEC).map_err(|_| Stranger::Vial)?;
    // SAFETY: it is open; vial names each fd once, and nothing here has it yet.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(number) }))
}
