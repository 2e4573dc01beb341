//! The last mount made, for the items that change it. It is known by an fd and never
//! looked up again by its path, where a container that shares the directory may have
//! put something else.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;
use rustix::process::{chroot, fchdir};
use vial_plan::{Call, Step};

use super::Rootfs;
use crate::fault::{During, Fault};

/// How the last mount is known.
#[derive(Debug)]
pub enum Mounted {
    /// By an fd of it.
    Mount(OwnedFd),
    /// By the directory that it covers.
    MountPoint(OwnedFd),
    /// A symbolic link was made instead.
    Nothing,
}

impl Rootfs {
    /// Remembers the mount that was just made.
    pub fn remember(&mut self, mounted: Mounted) {
        if let Some(Mounted::Mount(earlier) | Mounted::MountPoint(earlier)) =
            self.mounted.replace(mounted)
        {
            self.close_later(earlier);
        }
    }

    /// Opens the last mount made, if it is not open yet.
    pub fn find_mounted(&mut self) -> Result<(), Fault> {
        if let Some(Mounted::MountPoint(directory)) = &self.mounted {
            let flags = OFlags::PATH | OFlags::DIRECTORY;
            let mount = covering(directory.as_fd(), flags)?;
            self.remember(Mounted::Mount(mount));
        }
        Ok(())
    }

    /// The last mount made, or that of the root if there is none yet. None: a symbolic
    /// link was made instead.
    pub fn last_mounted(&self) -> Option<BorrowedFd<'_>> {
        match &self.mounted {
            Some(Mounted::Mount(mount) | Mounted::MountPoint(mount)) => Some(mount.as_fd()),
            Some(Mounted::Nothing) => None,
            None => Some(self.root()),
        }
    }
}

/// Opens what is mounted on a directory, without looking up a name: with the directory
/// as the root, `..` stays there and then follows the mount.
pub fn covering(directory: BorrowedFd<'_>, flags: OFlags) -> Result<OwnedFd, Fault> {
    let flags = flags | OFlags::CLOEXEC;
    let mut result = Err(Errno::AGAIN);
    for _ in 0..super::resolve::ATTEMPTS {
        result = openat2(directory, c"..", flags, Mode::empty(), ResolveFlags::IN_ROOT);
        match result {
            Err(Errno::AGAIN) => {}
            Err(Errno::NOSYS | Errno::PERM) => return covering_by_chroot(directory, flags),
            _ => break,
        }
    }
    result.during(Call::Openat2, Step::FindMount)
}

/// KERNEL(5.6): the same without openat2. The directory becomes the root of this process
/// for the call.
fn covering_by_chroot(directory: BorrowedFd<'_>, flags: OFlags) -> Result<OwnedFd, Fault> {
    let step = Step::FindMount;
    let path_flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, c"/", path_flags, Mode::empty()).during(Call::Openat, step)?;
    fchdir(directory).during(Call::Fchdir, step)?;
    chroot(c".").during(Call::Chroot, step)?;
    let found = openat(CWD, c"/..", flags, Mode::empty());
    fchdir(&root).during(Call::Fchdir, step)?;
    chroot(c".").during(Call::Chroot, step)?;
    found.during(Call::Openat, step)
}
