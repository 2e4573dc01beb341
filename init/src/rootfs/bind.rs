//! Binds: a detached copy of the source is given its attributes and only then
//! attached, so that it is never seen with others.

use core::ffi::CStr;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount, mount_move};
use vial_plan::Step;

use super::resolve::Make;
use super::{Rootfs, attach, attributes as attr, covers, is_directory};
use crate::fault::{During, Fault, Prepared};
use crate::sys::mount_setattr::{Attributes, mount_setattr};
use crate::sys::open_tree;

/// Attributes to set and to clear, MOUNT_ATTR_*.
pub fn attributes(set: u64, clear: u64) -> Attributes {
    Attributes { set, clear, ..Attributes::default() }
}

/// What is bound: a path from a directory on, which is followed wherever it
/// leads; or without a path what the fd refers to.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    at: BorrowedFd<'a>,
    path: &'a CStr,
    recursive: bool,
}

impl<'a> Source<'a> {
    /// A path of the host.
    pub fn path(path: &'a CStr, recursive: bool) -> Self {
        Source { at: CWD, path, recursive }
    }

    /// What an fd refers to.
    pub fn open(at: BorrowedFd<'a>, recursive: bool) -> Self {
        Source { at, path: c"", recursive }
    }

    /// What has that name in a directory.
    pub fn below(at: BorrowedFd<'a>, path: &'a CStr) -> Self {
        Source { at, path, recursive: false }
    }

    fn copy(&self) -> rustix::io::Result<OwnedFd> {
        open_tree::clone(self.at, self.path, self.recursive)
    }

    fn find(&self) -> Result<OwnedFd, Fault> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        match self.path.is_empty() {
            true => rustix::io::fcntl_dupfd_cloexec(self.at, 3),
            false => openat(self.at, self.path, flags, Mode::empty()),
        }
        .during(Step::FindSource)
    }
}

/// Binds a path of the host. One that the root of a user namespace may not
/// reach is opened with the host's privileges, where they are at hand.
pub fn bind_path(
    rootfs: &Rootfs,
    path: &CStr,
    target: &CStr,
    recursive: bool,
    change: &Attributes,
) -> Result<OwnedFd, Fault> {
    let bound = bind(rootfs, &Source::path(path, recursive), target, false, change);
    let opener = match (&bound, &rootfs.opener) {
        (
            Err(Fault { step: Step::OpenSource | Step::FindSource, errno: Errno::ACCESS }),
            Some(opener),
        ) => opener,
        _ => return bound,
    };
    let source = opener.open(path)?;
    bind(rootfs, &Source::open(source.as_fd(), recursive), target, false, change)
}

/// Binds a file or directory of the host at a path of the rootfs, where it is
/// made if nothing is. Returns an fd of the new mount.
pub fn bind(
    rootfs: &Rootfs,
    source: &Source<'_>,
    target: &CStr,
    strict: bool,
    change: &Attributes,
) -> Result<OwnedFd, Fault> {
    match source.copy() {
        Ok(tree) => {
            let place = rootfs.place(target, like(tree.as_fd())?, strict)?.fd;
            attach_copy(rootfs, tree, source, place.as_fd(), change)
        }
        Err(Errno::NOSYS | Errno::PERM) => {
            let origin = source.find()?;
            let place = rootfs.place(target, like(origin.as_fd())?, strict)?.fd;
            bind_by_name(rootfs, origin.as_fd(), source.recursive, place.as_fd(), change)
        }
        Err(errno) => Err(Fault { step: Step::OpenSource, errno }),
    }
}

/// Binds something on what an fd refers to.
pub fn bind_on(
    rootfs: &Rootfs,
    source: &Source<'_>,
    place: BorrowedFd<'_>,
    change: &Attributes,
) -> Result<OwnedFd, Fault> {
    match source.copy() {
        Ok(tree) => attach_copy(rootfs, tree, source, place, change),
        Err(Errno::NOSYS | Errno::PERM) => {
            bind_by_name(rootfs, source.find()?.as_fd(), source.recursive, place, change)
        }
        Err(errno) => Err(Fault { step: Step::OpenSource, errno }),
    }
}

fn attach_copy(
    rootfs: &Rootfs,
    tree: OwnedFd,
    source: &Source<'_>,
    place: BorrowedFd<'_>,
    change: &Attributes,
) -> Result<OwnedFd, Fault> {
    let mut is_set = true;
    if change.set | change.clear != 0 {
        match mount_setattr(tree.as_fd(), false, change) {
            // KERNEL(5.12): what is attached can be changed by mount(2).
            Err(Errno::NOSYS | Errno::PERM) => is_set = false,
            result => result.during(Step::SetAttributes)?,
        }
    }
    match attach(tree.as_fd(), place) {
        // A seccomp filter that hides this call alone.
        Err(Errno::NOSYS | Errno::PERM) => {
            drop(tree);
            let origin = source.find()?;
            return bind_by_name(rootfs, origin.as_fd(), source.recursive, place, change);
        }
        result => result.during(Step::AttachMount)?,
    }
    if !is_set {
        attr::remount(rootfs, tree.as_fd(), change)?;
    }
    Ok(tree)
}

/// KERNEL(5.2): no open_tree and move_mount; or a seccomp filter that hides
/// them. The bind is made among the covers, where nobody else finds it, gets
/// its attributes there, and is moved: its fd is known all the time.
fn bind_by_name(
    rootfs: &Rootfs,
    origin: BorrowedFd<'_>,
    recursive: bool,
    place: BorrowedFd<'_>,
    change: &Attributes,
) -> Result<OwnedFd, Fault> {
    let name = covers::name(is_directory(origin).during(Step::FindSource)?);
    let covers = rootfs.covers.as_ref().prepared()?;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let bare = openat(covers, name, flags, Mode::empty()).during(Step::FindMount)?;
    let kind = if recursive { MountFlags::BIND | MountFlags::REC } else { MountFlags::BIND };
    let (from, on) = (rootfs.name(origin)?, rootfs.name(bare.as_fd())?);
    mount(from.as_c_str(), on.as_c_str(), c"", kind, None).during(Step::Mount)?;
    let bound = openat(covers, name, flags, Mode::empty()).during(Step::FindMount)?;
    if change.set | change.clear != 0 {
        attr::remount(rootfs, bound.as_fd(), change)?;
    }
    let (from, on) = (rootfs.name(bound.as_fd())?, rootfs.name(place)?);
    mount_move(from.as_c_str(), on.as_c_str()).during(Step::MoveMount)?;
    Ok(bound)
}

fn like(source: BorrowedFd<'_>) -> Result<Make, Fault> {
    Ok(match is_directory(source).during(Step::FindSource)? {
        true => Make::Directory,
        false => Make::File,
    })
}
