//! The rootfs: every path below it is reached by an fd, and nothing that lies
//! in it, a symbolic link above all, leads out of it.

pub mod attributes;
pub mod bind;
pub mod console;
pub mod copy;
pub mod device;
pub mod filesystem;
pub mod mask;
pub mod pivot;
pub mod resolve;
pub mod walk;

use core::ffi::CStr;

use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat, statat};
use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, mount, mount_change, move_mount,
};
use rustix::process::fchdir;
use vial_plan::Step;

use crate::fault::{During, Fault};
use crate::path::PathBuffer;
use crate::procfs::Procfs;
use crate::sys::open_tree;

/// The rootfs while it is furnished.
#[derive(Debug)]
pub struct Rootfs {
    root: OwnedFd,
    /// The host's /dev/null, opened before anything of the container exists.
    null: Option<OwnedFd>,
    /// An empty read-only tmpfs that covers masked directories, once made.
    empty: Option<OwnedFd>,
}

impl Rootfs {
    /// Binds the rootfs on itself, so that it can become the root, and makes
    /// procfs the working directory: `self/fd/N` then names what an fd refers
    /// to, wherever mount(2) wants a path.
    pub fn open(path: &CStr, initramfs: bool, procfs: &Procfs) -> Result<Rootfs, Fault> {
        rustix::process::umask(Mode::empty());
        if initramfs {
            leave_initramfs()?;
        }
        // Cannot fail where /dev is whole; mask() says so where it is not.
        let null = openat(CWD, c"/dev/null", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let place = openat(CWD, path, flags, Mode::empty()).during(Step::OpenRootfs)?;
        fchdir(procfs).during(Step::OpenProcfs)?;
        let root = match open_tree::clone_fd(place.as_fd(), true) {
            Ok(tree) => {
                attach(tree.as_fd(), place.as_fd()).during(Step::AttachRootfs)?;
                tree
            }
            // KERNEL(5.2): no open_tree; or a seccomp filter that hides it.
            Err(Errno::NOSYS | Errno::PERM) => {
                let bind = MountFlags::BIND | MountFlags::REC;
                mount(path, fd_path(place.as_fd())?.as_c_str(), c"", bind, None)
                    .during(Step::BindRootfs)?;
                openat(CWD, path, flags, Mode::empty()).during(Step::OpenRootfs)?
            }
            Err(errno) => return Err(Fault { step: Step::BindRootfs, errno }),
        };
        Ok(Rootfs { root, null, empty: None })
    }

    /// The root that the process has now: that of a container it has joined.
    pub fn present() -> Result<Rootfs, Fault> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(CWD, c"/", flags, Mode::empty()).during(Step::OpenRootfs)?;
        Ok(Rootfs { root, null: None, empty: None })
    }

    /// The root's fd.
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// /dev/null of the host, verified to be that device.
    fn null(&self) -> Result<BorrowedFd<'_>, Fault> {
        let null =
            self.null.as_ref().ok_or(Fault { step: Step::VerifyNull, errno: Errno::NOENT })?;
        let stat = fstat(null).during(Step::VerifyNull)?;
        let device = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
        if device && stat.st_rdev == rustix::fs::makedev(1, 3) {
            Ok(null.as_fd())
        } else {
            Err(Fault { step: Step::VerifyNull, errno: Errno::NODEV })
        }
    }
}

/// `self/fd/N`: what the fd refers to, as a path from procfs, which is the
/// working directory while the rootfs is furnished.
fn fd_path(fd: BorrowedFd<'_>) -> Result<PathBuffer<32>, Fault> {
    let mut path = PathBuffer::empty();
    path.push(b"self/fd/")
        .and_then(|path| path.push_number(fd.as_raw_fd().cast_unsigned()))
        .during(Step::ResolveTarget)?;
    Ok(path)
}

/// move_mount(2): attaches a detached mount on what an fd refers to.
fn attach(tree: BorrowedFd<'_>, target: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(tree, c"", target, c"", flags)
}

/// Whether an fd refers to a directory.
fn is_directory(fd: BorrowedFd<'_>) -> rustix::io::Result<bool> {
    let stat = statat(fd, c"", rustix::fs::AtFlags::EMPTY_PATH)?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

/// The first root of the system cannot be pivoted away, as no mount lies below
/// it. A recursive bind of it, attached on it and made the root, can; but not
/// while the mount below it is shared (pivot_root(2)).
fn leave_initramfs() -> Result<(), Fault> {
    mount_change(c"/", MountPropagationFlags::PRIVATE).during(Step::SetPropagation)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let tree = match open_tree::clone_path(c"/", true) {
        Ok(tree) => {
            let root = openat(CWD, c"/", flags, Mode::empty()).during(Step::OpenRootfs)?;
            attach(tree.as_fd(), root.as_fd()).during(Step::AttachRootfs)?;
            tree
        }
        // KERNEL(5.2): what is mounted on the root is reached by its `..`.
        Err(Errno::NOSYS | Errno::PERM) => {
            let bind = MountFlags::BIND | MountFlags::REC;
            mount(c"/", c"/", c"", bind, None).during(Step::BindRootfs)?;
            openat(CWD, c"/..", flags, Mode::empty()).during(Step::OpenRootfs)?
        }
        Err(errno) => return Err(Fault { step: Step::BindRootfs, errno }),
    };
    fchdir(&tree).during(Step::EnterRootfs)?;
    rustix::process::chroot(c".").during(Step::Chroot)
}
