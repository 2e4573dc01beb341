//! Walks a tree of cgroups.

use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::path::Path;

use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{FileType, Mode, OFlags, RawDir, openat};
use rustix::io::Errno;

use crate::file::{as_io, open};

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW);

/// Calls `enter` for a cgroup and each one below it, and `leave` with the parent and
/// the name of each one below it, once its own tree is done. Goes by fds, since a
/// path has at most 4096 bytes, and holds one fd, since a process may have few.
pub(super) fn walk(
    top: &Path,
    mut enter: impl FnMut(BorrowedFd<'_>) -> io::Result<()>,
    mut leave: impl FnMut(BorrowedFd<'_>, &CStr) -> io::Result<()>,
) -> io::Result<()> {
    let mut here = open(top, DIRECTORY)?;
    enter(here.as_fd())?;
    let mut left = children(here.as_fd())?;
    // For each cgroup on the way down: its name, and its siblings still to do.
    let mut above = Vec::new();
    loop {
        if let Some(name) = left.pop() {
            let below = match openat(&here, &*name, DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
                Err(Errno::NOENT) => continue, // Removed meanwhile.
                result => result.map_err(as_io)?,
            };
            here = below;
            enter(here.as_fd())?;
            above.push((name, std::mem::replace(&mut left, children(here.as_fd())?)));
        } else {
            let Some((name, others)) = above.pop() else { return Ok(()) };
            here =
                openat(&here, c"..", DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(as_io)?;
            left = others;
            leave(here.as_fd(), &name)?;
        }
    }
}

fn children(cgroup: BorrowedFd<'_>) -> io::Result<Vec<CString>> {
    let mut buffer = [MaybeUninit::uninit(); 8192];
    let mut entries = RawDir::new(cgroup, &mut buffer);
    let mut names = Vec::new();
    while let Some(entry) = entries.next() {
        let entry = match entry {
            Err(Errno::NOENT) => break, // Removed meanwhile.
            entry => entry.map_err(as_io)?,
        };
        let name = entry.file_name();
        if entry.file_type() == FileType::Directory && name != c"." && name != c".." {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}
