//! Slots: places for fds that vial lends, or that one item passes to another.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::fault::{Fault, Prepared};

/// As many slots as the Plan's header says.
#[derive(Debug)]
pub struct Slots(pub &'static mut [Option<OwnedFd>]);

impl Slots {
    /// Puts an fd into a slot.
    pub fn put(&mut self, slot: u32, fd: OwnedFd) -> Result<(), Fault> {
        *self.0.get_mut(slot as usize).prepared()? = Some(fd);
        Ok(())
    }

    /// Takes the fd out of a slot, if there is one.
    pub fn take(&mut self, slot: u32) -> Option<OwnedFd> {
        self.0.get_mut(slot as usize)?.take()
    }

    /// The fd in a slot, if there is one.
    pub fn get(&self, slot: u32) -> Option<BorrowedFd<'_>> {
        Some(self.0.get(slot as usize)?.as_ref()?.as_fd())
    }

    /// The fds in all slots.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.0.iter().flatten().map(AsFd::as_fd)
    }

    /// Closes the fds in all slots.
    pub fn close(&mut self) {
        self.0.fill_with(|| None);
    }

    /// Gives up ownership of every fd except the one in this slot. They are closed by
    /// number, together with all other fds.
    pub fn forget_but(&mut self, slot: u32) {
        let others = self.0.iter_mut().enumerate().filter(|(at, _)| *at != slot as usize);
        others.for_each(|(_, fd)| core::mem::forget(fd.take()));
    }
}
