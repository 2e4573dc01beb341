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
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, mount, mount_change, move_mount,
};
use rustix::process::fchdir;
use vial_plan::Step;

use crate::fault::{During, Fault, Prepared};
use crate::path::PathBuffer;
use crate::procfs::Procfs;
use crate::sys::open_tree;

/// The rootfs while it is furnished.
#[derive(Debug)]
pub struct Rootfs {
    root: OwnedFd,
    /// Where it lies on the host.
    path: &'static CStr,
    /// The host's /dev/null, opened before anything of the container exists.
    null: rustix::io::Result<OwnedFd>,
    /// An empty read-only tmpfs that covers masked directories, once made.
    empty: Option<OwnedFd>,
    /// The host's procfs, for calls that take nothing but a path.
    procfs: Option<OwnedFd>,
    /// The directory of the last node that was made: the next mostly is beside it.
    nodes: Option<(&'static [u8], OwnedFd)>,
}

impl Rootfs {
    /// Binds the rootfs on itself, so that it can become the root.
    pub fn open(path: &'static CStr, initramfs: bool, procfs: &Procfs) -> Result<Rootfs, Fault> {
        rustix::process::umask(Mode::empty());
        if initramfs {
            leave_initramfs()?;
        }
        let null = open_null();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let place = openat(CWD, path, flags, Mode::empty()).during(Step::OpenRootfs)?;
        let procfs = fcntl_dupfd_cloexec(procfs, 3).during(Step::OpenProcfs)?;
        let mut rootfs =
            Rootfs { root: place, path, null, procfs: Some(procfs), empty: None, nodes: None };
        let place = rootfs.root.as_fd();
        let root = match open_tree::clone_fd(place, true) {
            Ok(tree) => {
                attach(tree.as_fd(), place).during(Step::AttachRootfs)?;
                tree
            }
            // KERNEL(5.2): no open_tree; or a seccomp filter that hides it.
            Err(Errno::NOSYS | Errno::PERM) => {
                let bind = MountFlags::BIND | MountFlags::REC;
                mount(path, rootfs.name(place)?.as_c_str(), c"", bind, None)
                    .during(Step::BindRootfs)?;
                openat(CWD, path, flags, Mode::empty()).during(Step::OpenRootfs)?
            }
            Err(errno) => return Err(Fault { step: Step::BindRootfs, errno }),
        };
        rootfs.root = root;
        Ok(rootfs)
    }

    /// The root that the process has now: that of a container it has joined.
    pub fn present() -> Result<Rootfs, Fault> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(CWD, c"/", flags, Mode::empty()).during(Step::OpenRootfs)?;
        let null = Err(Errno::NOENT);
        Ok(Rootfs { root, path: c"/", null, empty: None, procfs: None, nodes: None })
    }

    /// Something was mounted on the root: that is the root from here on.
    pub fn take_covering(&mut self) -> Result<(), Fault> {
        self.root = self.covering(OFlags::PATH | OFlags::DIRECTORY).during(Step::OpenRootfs)?;
        Ok(())
    }

    /// Opens what was mounted on the root, if anything was: from the root, `..`
    /// leads to itself, and from there onto what covers it.
    pub fn covering(&self, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC;
        match openat2(&self.root, c"..", flags, Mode::empty(), ResolveFlags::IN_ROOT) {
            // KERNEL(5.6): no openat2; and EAGAIN, where mounts changed meanwhile.
            Err(_) => openat(CWD, self.path, flags, Mode::empty()),
            result => result,
        }
    }

    /// The root's fd.
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// `self/fd/N`: what the fd refers to, as a path from procfs, which becomes
    /// the working directory.
    fn name(&self, fd: BorrowedFd<'_>) -> Result<PathBuffer<32>, Fault> {
        fchdir(self.procfs.as_ref().prepared()?).during(Step::OpenProcfs)?;
        let mut path = PathBuffer::empty();
        path.push(b"self/fd/")
            .and_then(|path| path.push_number(fd.as_raw_fd().cast_unsigned()))
            .during(Step::ResolveTarget)?;
        Ok(path)
    }

    /// /dev/null of the host, verified to be that device.
    fn null(&self) -> Result<BorrowedFd<'_>, Fault> {
        match &self.null {
            Ok(null) => Ok(null.as_fd()),
            Err(errno) => Err(Fault { step: Step::VerifyNull, errno: *errno }),
        }
    }
}

/// /dev/null, verified; mask() says what is wrong with it, if it has to.
fn open_null() -> rustix::io::Result<OwnedFd> {
    let null = openat(CWD, c"/dev/null", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let stat = fstat(&null)?;
    let device = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
    match device && stat.st_rdev == rustix::fs::makedev(1, 3) {
        true => Ok(null),
        false => Err(Errno::NODEV),
    }
}

/// move_mount(2): attaches a detached mount on what an fd refers to.
fn attach(tree: BorrowedFd<'_>, target: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(tree, c"", target, c"", flags)
}

/// Whether an fd refers to a directory.
fn is_directory(fd: BorrowedFd<'_>) -> rustix::io::Result<bool> {
    let stat = fstat(fd)?;
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
