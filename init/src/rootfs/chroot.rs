//! The root of a container without a mount namespace: chroot(2). Nothing is mounted, as
//! the host would see the mount.

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
    /// Opens the rootfs without binding it on itself. A relative path is below procfs.
    pub fn bare(procfs: &Procfs, path: &CStr) -> Result<Rootfs, Fault> {
        rustix::process::umask(Mode::empty());
        open_root(procfs, path).map(Rootfs::at)
    }

    /// A rootfs in which nothing can be mounted.
    pub(super) fn at(root: OwnedFd) -> Rootfs {
        Rootfs {
            root,
            covers: None,
            mounted: None,
            procfs: None,
            opener: None,
            nodes: None,
            unused: Vec::new(),
            keep_below: 0,
        }
    }
}

/// Opens a root. A relative path is below procfs.
pub fn open_root(procfs: &Procfs, path: &CStr) -> Result<OwnedFd, Fault> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(procfs, path, flags, Mode::empty()).during(Call::Openat, Step::OpenRootfs)
}

/// Changes the root of this process to the rootfs.
pub fn enter(rootfs: &Rootfs) -> Result<(), Fault> {
    fchdir(rootfs.root()).during(Call::Fchdir, Step::EnterRootfs)?;
    chroot(c".").during(Call::Chroot, Step::Chroot)?;
    chdir(c"/").during(Call::Chdir, Step::EnterRootfs)
}
