//! The working directory, which must be below the root.

use core::ffi::CStr;

use rustix::io::Errno;
use vial_plan::{Call, Step};

use crate::fault::{During, Fault};
use crate::sys::getcwd;

/// Changes to the working directory with the present privileges. Returns the path if
/// they are not enough: the container's user may enter where root of a user namespace
/// cannot, as on a network filesystem.
pub(super) fn change(path: &'static CStr) -> Result<Option<&'static CStr>, Fault> {
    match rustix::process::chdir(path) {
        Ok(()) if path == c"/" => Ok(None), // The root itself is never unreachable.
        Ok(()) => check_directory().map(|()| None),
        Err(Errno::ACCESS | Errno::PERM) => Ok(Some(path)),
        Err(errno) => Err(Fault::new(Call::Chdir, Step::ChangeDirectory, errno)),
    }
}

/// Tries again as the container's user.
pub(super) fn change_again(path: &CStr) -> Result<(), Fault> {
    rustix::process::chdir(path).during(Call::Chdir, Step::ChangeDirectory)?;
    check_directory()
}

/// CVE-2024-21626: a path like /proc/self/fd/7 may lead to a directory of the host
/// through a leaked fd. getcwd(2) shows that such a directory is not below the root.
#[inline(never)] // Keep this buffer out of the stack frame that stays resident while waiting.
fn check_directory() -> Result<(), Fault> {
    match getcwd::first_byte().during(Call::Getcwd, Step::UnreachableDirectory)? {
        b'/' => Ok(()),
        _ => Err(Fault::new(Call::Getcwd, Step::UnreachableDirectory, Errno::NOENT)),
    }
}
