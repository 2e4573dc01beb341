//! KERNEL(5.6): resolution below the rootfs where openat2 is missing, one
//! component at a time. Each directory is opened with O_NOFOLLOW, links are
//! read and walked in turn, absolute ones and `..` from the root at most.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, fstat, openat, readlinkat_raw};
use rustix::io::{Errno, Result};

use crate::path::{PATH_MAX, PathBuffer};

const MAX_LINKS: u32 = 40;

/// Opens the path below root. `..` is taken by walking again from the root
/// without the last component, never by the kernel, so that a directory moved
/// meanwhile cannot lead out.
pub fn open(root: BorrowedFd<'_>, path: &[u8], flags: OFlags, strict: bool) -> Result<OwnedFd> {
    let mut todo: PathBuffer = PathBuffer::empty();
    todo.push(path)?;
    let mut links = 0;
    loop {
        match attempt(root, todo.as_bytes(), flags, strict)? {
            Outcome::Opened(fd) => return Ok(fd),
            Outcome::Instead(path) => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Errno::LOOP);
                }
                todo = path;
            }
        }
    }
}

#[allow(clippy::large_enum_variant, reason = "there is no heap to put the path on")]
enum Outcome {
    Opened(OwnedFd),
    /// A link or `..` was met: this is the path to walk instead.
    Instead(PathBuffer),
}

fn attempt(root: BorrowedFd<'_>, path: &[u8], flags: OFlags, strict: bool) -> Result<Outcome> {
    let step = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut current = openat(root, c".", step | OFlags::DIRECTORY, Mode::empty())?;
    let mut names = path.split(|b| *b == b'/').filter(|n| !n.is_empty() && *n != b".").peekable();
    let mut done: PathBuffer = PathBuffer::empty();
    if names.peek().is_none() {
        return openat(root, c".", flags, Mode::empty()).map(Outcome::Opened);
    }
    while let Some(name) = names.next() {
        if name == b".." {
            let above = crate::path::split_last(done.as_bytes()).0;
            return instead(above, b"", names);
        }
        let mut single: PathBuffer<256> = PathBuffer::empty();
        single.push(name)?;
        let next = openat(&current, single.as_c_str(), step, Mode::empty())?;
        let stat = fstat(&next)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
            if strict {
                return Err(Errno::LOOP);
            }
            let mut link = [0; PATH_MAX];
            let length = readlinkat_raw(&next, c"", &mut link[..])?;
            let target = link.get(..length).unwrap_or_default();
            let from: &[u8] = if target.first() == Some(&b'/') { b"" } else { done.as_bytes() };
            return instead(from, target, names);
        }
        if names.peek().is_none() {
            let directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            if flags.contains(OFlags::DIRECTORY) && !directory {
                return Err(Errno::NOTDIR);
            }
            return last(current.as_fd(), next, &single, flags).map(Outcome::Opened);
        }
        done.push(b"/")?.push(name)?;
        current = next;
    }
    Err(Errno::NOENT)
}

fn last(
    parent: BorrowedFd<'_>,
    found: OwnedFd,
    name: &PathBuffer<256>,
    flags: OFlags,
) -> Result<OwnedFd> {
    if flags.contains(OFlags::PATH) {
        return Ok(found);
    }
    openat(parent, name.as_c_str(), flags | OFlags::NOFOLLOW, Mode::empty())
}

fn instead<'a>(from: &[u8], link: &[u8], rest: impl Iterator<Item = &'a [u8]>) -> Result<Outcome> {
    let mut path: PathBuffer = PathBuffer::empty();
    path.push(from)?.push(b"/")?.push(link)?;
    for name in rest {
        path.push(b"/")?.push(name)?;
    }
    Ok(Outcome::Instead(path))
}
