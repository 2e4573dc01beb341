//! Closes the fds that must not leak: the caller's before anything else, and the host's
//! before any file of the container is used.

use rustix::fd::{AsFd, AsRawFd, BorrowedFd};
use rustix::fs::{Mode, OFlags, RawDir, open, openat};
use rustix::io::Errno;
use vial_plan::{Call, Step};

use crate::Life;
use crate::fault::{During, Fault};
use crate::procfs::Procfs;
use crate::rootfs::Rootfs;
use crate::slots::Slots;
use crate::stage2::Inside;
use crate::sys::close_range;

/// Closes every fd from `from` on, except `ours` and those in slots.
#[inline(never)] // It has three callers.
pub fn close_all_but(
    from: u32,
    ours: &[BorrowedFd<'_>],
    slots: &Slots,
    procfs: Option<&Procfs>,
) -> Result<(), Fault> {
    let mut first = from;
    loop {
        let ours = ours.iter().copied().chain(slots.fds());
        let numbers = ours.map(|fd| fd.as_raw_fd().cast_unsigned());
        let behind = numbers.filter(|fd| *fd >= first);
        let next = behind.min();
        if next != Some(first) {
            let last = next.map_or(u32::MAX, |next| next.saturating_sub(1));
            close(first, last, procfs).during(Call::CloseRange, Step::CloseFds)?;
        }
        match next {
            Some(next) => first = next.saturating_add(1),
            None => return Ok(()),
        }
    }
}

/// KERNEL(5.9): without close_range, closes each fd that /proc/self/fd lists. Prefers
/// the private procfs: the container's own /proc may be missing or hold anything.
#[inline(never)] // Keep this buffer out of the stack frame that stays resident while waiting.
fn close(first: u32, last: u32, procfs: Option<&Procfs>) -> rustix::io::Result<()> {
    match close_range::close_range(first, last) {
        Err(Errno::NOSYS | Errno::PERM) => {}
        result => return result,
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let listing = match procfs {
        Some(procfs) => openat(procfs, c"self/fd", flags, Mode::empty()),
        None => open(c"/proc/self/fd", flags, Mode::empty()),
    }?;
    let mut buffer = [core::mem::MaybeUninit::uninit(); 1024];
    let mut entries = RawDir::new(&listing, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let digits = entry.file_name().to_bytes().iter().map(|digit| digit.wrapping_sub(b'0'));
        if digits.clone().any(|digit| digit > 9) {
            continue; // `.` and `..`
        }
        let fd = digits.fold(0_u32, |n, digit| n.wrapping_mul(10).wrapping_add(digit.into()));
        if (first..=last).contains(&fd) && fd != listing.as_raw_fd().cast_unsigned() {
            close_range::close(fd);
        }
    }
    Ok(())
}

/// Closes every fd from `from` on, except the one in slot `but` and those that later
/// items need.
pub fn close_fds(life: &mut Life, inside: &mut Inside, from: u32, but: u32) -> Result<(), Fault> {
    // Give up ownership: one call closes all of them.
    if let Some(procfs) = inside.rootfs.take().and_then(Rootfs::release) {
        life.procfs = Some(procfs);
    }
    life.slots.forget_but(but);
    let channel = life.channel.as_fd();
    let procfs = life.procfs.as_ref().map_or(channel, AsFd::as_fd);
    let terminal = inside.terminal.as_ref().map_or(channel, AsFd::as_fd);
    close_all_but(from, &[channel, procfs, terminal], &life.slots, life.procfs.as_ref())
}
