//! The fds that vial passes to vial-init, numbered by its arguments.

use core::ffi::CStr;

use rustix::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use rustix::io::{FdFlags, fcntl_setfd};

use super::start::Arguments;
use crate::slots::Slots;

/// `vial-init CHANNEL ITEM STATE-DIR FD..`: one FD for each slot of the Plan, or `-`
/// for an empty slot. The state dir tells other processes which container this is.
#[derive(Debug)]
pub struct Inherited {
    /// The socket that brings the Plan and carries the Replies.
    pub channel: OwnedFd,
    /// The digits that show the current item of the Plan to other processes.
    pub item: &'static mut [u8],
    /// The arguments that number the lent fds.
    pub lent: Arguments,
}

/// Why vial-init cannot start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartError {
    /// The arguments are not those that vial passes.
    NotByVial,
    /// They are, but an fd is not open.
    BadFd,
}

impl Inherited {
    /// Takes ownership of the channel and makes it O_CLOEXEC.
    pub fn take(mut arguments: Arguments) -> Result<Inherited, StartError> {
        arguments.next(); // The program's name.
        let channel =
            own(arguments.next().ok_or(StartError::NotByVial)?)?.ok_or(StartError::NotByVial)?;
        let item = arguments.next_place().ok_or(StartError::NotByVial)?;
        arguments.next(); // Only other processes read the state dir.
        Ok(Inherited { channel, item, lent: arguments })
    }
}

/// Takes ownership of the lent fds, each in its slot.
pub fn lend(slots: &mut Slots, lent: Arguments) -> Result<(), StartError> {
    for (slot, text) in slots.0.iter_mut().zip(lent) {
        *slot = own(text)?;
    }
    Ok(())
}

/// Takes ownership of the fd with this number. None for `-`.
fn own(text: &CStr) -> Result<Option<OwnedFd>, StartError> {
    if text == c"-" {
        return Ok(None);
    }
    let mut number: u16 = 0;
    for digit in text.to_bytes() {
        let digit = digit.checked_sub(b'0').filter(|d| *d < 10).ok_or(StartError::NotByVial)?;
        number = number
            .checked_mul(10)
            .and_then(|tens| tens.checked_add(u16::from(digit)))
            .ok_or(StartError::NotByVial)?;
    }
    let number = RawFd::from(number);
    // SAFETY: if the fd is not open, the call fails and does nothing.
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl_setfd(fd, FdFlags::CLOEXEC).map_err(|_| StartError::BadFd)?;
    // SAFETY: the fd is open, vial passes each number once, and nothing owns it yet.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(number) }))
}
