//! The rootfs. Every path below it is reached by an fd, and nothing in it, such as a
//! symbolic link, leads out of it.

pub mod attributes;
pub mod bind;
pub mod chroot;
pub mod console;
pub mod copy;
mod covers;
pub mod device;
pub mod filesystem;
mod items;
mod link;
pub mod mask;
pub mod mounted;
pub mod pivot;
pub mod resolve;
pub mod walk;

use core::ffi::CStr;

pub use items::carry_out;

use heapless::Vec;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};
use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount, mount_change,
    move_mount, open_tree,
};
use rustix::process::{Resource, fchdir, getrlimit};
use vial_plan::{Call, Step};

use crate::fault::{During, Fault, Prepared};
use crate::opener::Opener;
use crate::path::PathBuffer;
use crate::procfs::Procfs;

/// Holds the path of an fd in procfs.
type FdPath = PathBuffer<32>;

/// The rootfs, while it is being set up.
#[derive(Debug)]
pub struct Rootfs {
    root: OwnedFd,
    /// The directory that holds the covers for masked paths, and its device number.
    covers: Option<(OwnedFd, u64)>,
    /// The last mount made.
    mounted: Option<mounted::Mounted>,
    /// The host's procfs, for calls that take only a path. `release` gives it back.
    procfs: Option<Procfs>,
    /// The opener, for what root of the user namespace may not open.
    opener: Option<Opener>,
    /// The directory in which the last node or directory was made. The next one is
    /// usually made there, too.
    nodes: Option<(&'static [u8], OwnedFd)>,
    /// Fds that are no longer needed, to be closed together with the rest.
    unused: Vec<OwnedFd, MAX_UNUSED>,
    /// Only fds below this number are kept open: a quarter of RLIMIT_NOFILE.
    keep_below: u64,
}

/// How many fds stay open until one call closes all of them, which is cheaper.
const MAX_UNUSED: usize = 28;

impl Rootfs {
    /// Binds the rootfs on itself, so that it can become the root.
    pub fn open(
        path: &CStr,
        initramfs: bool,
        procfs: Procfs,
        opener: Option<OwnedFd>,
        covers: &CStr,
    ) -> Result<Rootfs, Fault> {
        rustix::process::umask(Mode::empty());
        if initramfs {
            leave_initramfs()?;
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opener = opener.and_then(|socket| Opener::enter(socket, &procfs));
        let directory = match (openat(CWD, path, flags, Mode::empty()), &opener) {
            (Err(Errno::ACCESS), Some(opener)) => opener.open(path, false)?,
            (directory, _) => directory.during(Call::Openat, Step::OpenRootfs)?,
        };
        let mut rootfs = Rootfs {
            root: directory,
            covers: None,
            mounted: None,
            procfs: Some(procfs),
            opener,
            nodes: None,
            unused: Vec::new(),
            keep_below: getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX) / 4,
        };
        let directory = &rootfs.root;
        // Copy it before the covers are mounted on it, to leave them out of the copy.
        let copy = clone_tree(directory.as_fd(), c"", true, false);
        let covers = covers::make(&rootfs, directory, covers)?;
        let attached = copy.during(Call::OpenTree, Step::BindRootfs).and_then(|tree| {
            attach(tree.as_fd(), directory.as_fd())
                .during(Call::MoveMount, Step::AttachRootfs)
                .map(|()| tree)
        });
        rootfs.root = match attached {
            // KERNEL(5.2): no open_tree, or a seccomp filter that hides it.
            Err(fault) if matches!(fault.errno(), Errno::NOSYS | Errno::PERM) => {
                rootfs.bind_by_name(&covers)?
            }
            result => result?,
        };
        let device = fstat(&covers).during(Call::Fstat, Step::MakeCover)?.st_dev;
        rootfs.covers = Some((covers, device));
        Ok(rootfs)
    }

    /// Binds the rootfs on the covers, which are mounted on it. The covers are made
    /// unbindable first, so that the recursive bind leaves them out.
    fn bind_by_name(&self, covers: &OwnedFd) -> Result<OwnedFd, Fault> {
        let covers = covers.as_fd();
        let propagate = |flags| {
            let path = &mut FdPath::empty();
            mount_change(self.fd_path(covers, path)?, flags)
                .during(Call::Mount, Step::SetPropagation)
        };
        propagate(MountPropagationFlags::UNBINDABLE)?;
        let (itself, on) = (&mut FdPath::empty(), &mut FdPath::empty());
        let (itself, on) = (self.fd_path(self.root(), itself)?, self.fd_path(covers, on)?);
        let bind = MountFlags::BIND | MountFlags::REC;
        mount(itself, on, c"", bind, None).during(Call::Mount, Step::Mount)?;
        propagate(MountPropagationFlags::PRIVATE)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        mounted::covering(covers, flags)
    }

    /// The present root: that of a container that this process has joined.
    pub fn present() -> Result<Rootfs, Fault> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root =
            openat(CWD, c"/", flags, Mode::empty()).during(Call::Openat, Step::OpenRootfs)?;
        Ok(Rootfs::at(root))
    }

    /// Something was mounted on the root: makes that the root.
    pub fn take_covering(&mut self) -> Result<(), Fault> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        self.root = mounted::covering(self.root(), flags)?;
        Ok(())
    }

    /// Gives back the procfs. The other fds stay open without an owner; they are closed
    /// together with all others.
    pub(crate) fn release(mut self) -> Option<Procfs> {
        let procfs = self.procfs.take();
        core::mem::forget(self);
        procfs
    }

    /// Keeps an fd that is no longer needed open until all are closed, if there is
    /// room.
    pub(crate) fn close_later(&mut self, fd: OwnedFd) {
        if u64::from(fd.as_raw_fd().cast_unsigned()) < self.keep_below {
            let _ = self.unused.push(fd); // If it is full, this closes the fd.
        }
    }

    /// The host's procfs, if this holds it.
    pub(crate) fn procfs(&self) -> Option<&Procfs> {
        self.procfs.as_ref()
    }

    /// The fd of the root.
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Writes `self/fd/N`, a path from procfs to what the fd refers to, and makes
    /// procfs the working directory.
    fn fd_path<'path>(
        &self,
        fd: BorrowedFd<'_>,
        path: &'path mut FdPath,
    ) -> Result<&'path CStr, Fault> {
        fchdir(self.procfs.as_ref().prepared()?).during(Call::Fchdir, Step::OpenProcfs)?;
        path.push(b"self/fd/")
            .and_then(|path| path.push_number(fd.as_raw_fd().cast_unsigned()))
            .during(Call::None, Step::ResolveTarget)?;
        Ok(path.as_c_str())
    }
}

/// open_tree(2): returns a detached copy of the mount at `path` below the directory
/// `at`, or with an empty path of the mount that the fd refers to. recursive: with the
/// mounts below it; bare: a symbolic link is not followed. Linux 5.2.
pub(crate) fn clone_tree(
    at: BorrowedFd<'_>,
    path: &CStr,
    recursive: bool,
    bare: bool,
) -> rustix::io::Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    if bare {
        flags |= OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
    }
    open_tree(at, path, flags)
}

/// move_mount(2): attaches a detached mount on what an fd refers to.
pub(crate) fn attach(tree: BorrowedFd<'_>, target: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(tree, c"", target, c"", flags)
}

/// Whether an fd refers to a directory.
fn is_directory(fd: BorrowedFd<'_>) -> rustix::io::Result<bool> {
    let stat = fstat(fd)?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

/// Replaces an initramfs as the root. pivot_root(2) cannot move it, because it is
/// mounted on nothing. A recursive bind of it, attached on it and made the root, can be
/// moved, unless the mount below it is shared.
fn leave_initramfs() -> Result<(), Fault> {
    mount_change(c"/", MountPropagationFlags::PRIVATE).during(Call::Mount, Step::SetPropagation)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, c"/", flags, Mode::empty()).during(Call::Openat, Step::OpenRootfs)?;
    let attached = clone_tree(CWD, c"/", true, false)
        .during(Call::OpenTree, Step::BindRootfs)
        .and_then(|tree| {
            attach(tree.as_fd(), root.as_fd())
                .during(Call::MoveMount, Step::AttachRootfs)
                .map(|()| tree)
        });
    let tree = match attached {
        // KERNEL(5.2): without open_tree, `..` leads to what is mounted on the root.
        Err(fault) if matches!(fault.errno(), Errno::NOSYS | Errno::PERM) => {
            let bind = MountFlags::BIND | MountFlags::REC;
            mount(c"/", c"/", c"", bind, None).during(Call::Mount, Step::BindRootfs)?;
            openat(CWD, c"/..", flags, Mode::empty()).during(Call::Openat, Step::OpenRootfs)?
        }
        result => result?,
    };
    fchdir(&tree).during(Call::Fchdir, Step::EnterRootfs)?;
    rustix::process::chroot(c".").during(Call::Chroot, Step::Chroot)
}
