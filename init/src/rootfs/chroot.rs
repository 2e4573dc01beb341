//! The root of a container without a mount namespace: chroot(2), and nothing is
//! mounted, as it would be mounted on the host.

use core::ffi::CStr;

use heapless::Vec;
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, openat};
use rustix::process::{chdir, chroot, fchdir};
use vial_plan::{Call, Step};

use super::Rootfs;
use crate::fault::{During, Fault};
use crate::procfs::Procfs;

impl Rootfs {
    /// The rootfs as it lies there, not bound on itself; a relative path is one
    /// of procfs.
    pub fn bare(procfs: &Procfs, path: &CStr) -> Result<Rootfs, Fault> {
        rustix::process::umask(Mode::empty());
        open_root(procfs, path).map(Rootfs::at)
    }

    /// One in which nothing can be mounted.
    pub(super) fn at(root: OwnedFd) -> Rootfs {
        Rootfs {
            root,
            covers: None,
            mounted: None,
            procfs: None,
            opener: None,
            nodes: None,
            spent: Vec::new(),
            room: 0,
        }
    }
}

/// Opens a root; a relative path is one of procfs.
pub fn open_root(procfs: &Procfs, path: &CStr) -> Result<OwnedFd, Fault> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(procfs, path, flags, Mode::empty()).during(Call::Openat, Step::OpenRootfs)
}

/// Makes the rootfs the root, of this process alone.
pub fn enter(rootfs: &Rootfs) -> Result<(), Fault> {
    fchdir(rootfs.root()).during(Call::Fchdir, Step::EnterRootfs)?;
    chroot(c".").during(Call::Chroot, Step::Chroot)?;
    chdir(c"/").during(Call::Chdir, Step::EnterRootfs)
}
