//! Bind mounts: a detached copy of the source gets its attributes before it is
//! attached, so that nobody ever sees it with others.

use core::ffi::CStr;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount, mount_move};
use vial_plan::{Call, Step};

use super::resolve::Make;
use super::{FdPath, Rootfs, attach, attributes as attr, clone_tree, covers, is_directory};
use crate::fault::{During, Fault, Prepared};
use crate::sys::mount_setattr::{Attributes, mount_setattr};

/// MOUNT_ATTR_* to set and to clear.
pub fn attributes(set: u64, clear: u64) -> Attributes {
    Attributes { set, clear, ..Attributes::default() }
}

/// What is bound: a path below a directory, followed wherever it leads, or with an
/// empty path what the fd refers to.
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
    pub fn fd(at: BorrowedFd<'a>, recursive: bool) -> Self {
        Source { at, path: c"", recursive }
    }

    /// The file of this name in a directory.
    pub fn below(at: BorrowedFd<'a>, path: &'a CStr) -> Self {
        Source { at, path, recursive: false }
    }

    fn open(&self) -> Result<Opened, Fault> {
        match clone_tree(self.at, self.path, self.recursive) {
            Err(Errno::NOSYS | Errno::PERM) => self.open_original().map(Opened::Original),
            copy => copy.during(Call::OpenTree, Step::OpenSource).map(Opened::Copy),
        }
    }

    fn open_original(&self) -> Result<OwnedFd, Fault> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        match self.path.is_empty() {
            true => {
                rustix::io::fcntl_dupfd_cloexec(self.at, 3).during(Call::Fcntl, Step::FindSource)
            }
            false => openat(self.at, self.path, flags, Mode::empty())
                .during(Call::Openat, Step::FindSource),
        }
    }
}

/// An opened source: a detached copy of its mount, or an fd of the original where
/// open_tree(2) is missing.
enum Opened {
    Copy(OwnedFd),
    Original(OwnedFd),
}

/// Binds a path of the host. If root of the user namespace may not reach it, the opener
/// opens it.
pub fn bind_path(
    rootfs: &Rootfs,
    path: &CStr,
    target: &CStr,
    recursive: bool,
    change: &Attributes,
) -> Result<OwnedFd, Fault> {
    let bound = bind(rootfs, &Source::path(path, recursive), target, false, change);
    let opener = match (&bound, &rootfs.opener) {
        (Err(fault), Some(opener)) if is_out_of_reach(*fault) => opener,
        _ => return bound,
    };
    let source = opener.open(path)?;
    bind(rootfs, &Source::fd(source.as_fd(), recursive), target, false, change)
}

fn is_out_of_reach(fault: Fault) -> bool {
    let is_source = matches!(fault.step(), Step::OpenSource | Step::FindSource);
    is_source && fault.errno() == Errno::ACCESS
}

/// Binds a file or directory of the host at a path of the rootfs, which is made if it
/// does not exist. Returns an fd of the new mount.
pub fn bind(
    rootfs: &Rootfs,
    source: &Source<'_>,
    target: &CStr,
    strict: bool,
    change: &Attributes,
) -> Result<OwnedFd, Fault> {
    let opened = source.open()?;
    let (Opened::Copy(found) | Opened::Original(found)) = &opened;
    let mount_point = rootfs.mount_point(target, like(found.as_fd())?, strict)?.fd;
    attach_opened(rootfs, opened, source, mount_point.as_fd(), change)
}

/// Binds a source on what an fd refers to.
pub fn bind_on(
    rootfs: &Rootfs,
    source: &Source<'_>,
    mount_point: BorrowedFd<'_>,
    change: &Attributes,
) -> Result<OwnedFd, Fault> {
    attach_opened(rootfs, source.open()?, source, mount_point, change)
}

fn attach_opened(
    rootfs: &Rootfs,
    opened: Opened,
    source: &Source<'_>,
    mount_point: BorrowedFd<'_>,
    change: &Attributes,
) -> Result<OwnedFd, Fault> {
    let tree = match opened {
        Opened::Copy(tree) => tree,
        Opened::Original(original) => {
            return bind_by_name(rootfs, original.as_fd(), source.recursive, mount_point, change);
        }
    };
    let mut is_set = true;
    if change.set | change.clear != 0 {
        match mount_setattr(tree.as_fd(), false, change) {
            // KERNEL(5.12): mount(2) can change only an attached mount.
            Err(Errno::NOSYS | Errno::PERM) => is_set = false,
            result => result.during(Call::MountSetattr, Step::SetAttributes)?,
        }
    }
    match attach(tree.as_fd(), mount_point) {
        // A seccomp filter hides only move_mount(2).
        Err(Errno::NOSYS | Errno::PERM) => {
            drop(tree);
            let original = source.open_original()?;
            return bind_by_name(rootfs, original.as_fd(), source.recursive, mount_point, change);
        }
        result => result.during(Call::MoveMount, Step::AttachMount)?,
    }
    if !is_set {
        attr::remount(rootfs, tree.as_fd(), change)?;
    }
    Ok(tree)
}

/// KERNEL(5.2): without open_tree and move_mount, or with a seccomp filter that hides
/// them. Makes the bind on a cover, where nobody else can find it, sets its attributes
/// there, and moves it. Its fd is known all the time.
fn bind_by_name(
    rootfs: &Rootfs,
    original: BorrowedFd<'_>,
    recursive: bool,
    mount_point: BorrowedFd<'_>,
    change: &Attributes,
) -> Result<OwnedFd, Fault> {
    let name = covers::name(is_directory(original).during(Call::Fstat, Step::FindSource)?);
    let (covers, _) = rootfs.covers.as_ref().prepared()?;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let bare = openat(covers, name, flags, Mode::empty()).during(Call::Openat, Step::FindMount)?;
    let kind = if recursive { MountFlags::BIND | MountFlags::REC } else { MountFlags::BIND };
    let (from, on) = (&mut FdPath::empty(), &mut FdPath::empty());
    let (from, on) = (rootfs.fd_path(original, from)?, rootfs.fd_path(bare.as_fd(), on)?);
    mount(from, on, c"", kind, None).during(Call::Mount, Step::Mount)?;
    let bound = openat(covers, name, flags, Mode::empty()).during(Call::Openat, Step::FindMount)?;
    if change.set | change.clear != 0 {
        attr::remount(rootfs, bound.as_fd(), change)?;
    }
    let (from, on) = (&mut FdPath::empty(), &mut FdPath::empty());
    let (from, on) = (rootfs.fd_path(bound.as_fd(), from)?, rootfs.fd_path(mount_point, on)?);
    mount_move(from, on).during(Call::Mount, Step::MoveMount)?;
    Ok(bound)
}

fn like(source: BorrowedFd<'_>) -> Result<Make, Fault> {
    Ok(match is_directory(source).during(Call::Fstat, Step::FindSource)? {
        true => Make::Directory,
        false => Make::File,
    })
}
