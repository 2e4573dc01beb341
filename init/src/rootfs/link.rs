//! Copies of symbolic links of the host.

use core::ffi::CStr;

use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{CWD, FileType, fstat, readlinkat_raw, symlinkat};
use rustix::io::Errno;
use vial_plan::{Call, Step};

use super::Rootfs;
use super::bind::open_path;
use crate::fault::{During, Fault, Prepared};
use crate::path::PATH_MAX;

/// Makes a symbolic link at a path of the rootfs that is like the one at the source.
/// One that is there already must be the same. Returns false if the source is not a
/// symbolic link.
#[inline(never)] // Keep these buffers out of the stack frame that stays resident while waiting.
pub(super) fn copy(rootfs: &Rootfs, source: &CStr, target: &CStr) -> Result<bool, Fault> {
    let link = match (open_path(CWD, source, true), &rootfs.opener) {
        (Err(fault), Some(opener)) if fault.errno() == Errno::ACCESS => {
            opener.open(source, true)?
        }
        (link, _) => link?,
    };
    let mode = fstat(&link).during(Call::Fstat, Step::FindSource)?.st_mode;
    if FileType::from_raw_mode(mode) != FileType::Symlink {
        return Ok(false);
    }
    let (mut text, mut present) = ([0; PATH_MAX + 1], [0; PATH_MAX + 1]);
    let text = read(link.as_fd(), c"", &mut text)?;
    let (parent, name) = rootfs.parent(target)?;
    match symlinkat(text, &parent, name) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) if read(parent.as_fd(), name, &mut present) == Ok(text) => Ok(true),
        Err(Errno::EXIST) => Err(Fault::new(Call::Symlinkat, Step::OtherLink, Errno::EXIST)),
        Err(errno) => Err(Fault::new(Call::Symlinkat, Step::MakeSymlink, errno)),
    }
}

/// Reads a link into zeros, which then end the text.
fn read<'text>(
    at: BorrowedFd<'_>,
    name: &CStr,
    text: &'text mut [u8; PATH_MAX + 1],
) -> Result<&'text CStr, Fault> {
    let (buffer, _) = text.split_at_mut(PATH_MAX);
    readlinkat_raw(at, name, buffer).during(Call::Readlinkat, Step::FindSource)?;
    CStr::from_bytes_until_nul(text).ok().prepared()
}
