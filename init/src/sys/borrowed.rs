//! An fd that is known only by its number.

use rustix::fd::{BorrowedFd, RawFd};

/// The fd with this number, for one call. If there is none, the call fails with EBADF.
pub fn borrow(number: RawFd) -> BorrowedFd<'static> {
    // SAFETY: the number is of an fd, so not -1. The kernel checks that it is open, and
    // nothing is closed through a BorrowedFd.
    unsafe { BorrowedFd::borrow_raw(number) }
}
