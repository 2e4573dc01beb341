//! The rootfs becomes the root, and the host's is let go.

use core::ffi::CStr;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, mount_move, unmount,
};
use rustix::process::{chdir, fchdir};
use vial_plan::{Call, Step};

use super::{Rootfs, chroot};
use crate::fault::{During, Fault};

/// pivot_root(2) with the old root put on top of the new one, from where it is
/// detached (pivot_root(2), NOTES): no directory in the rootfs is needed for it.
/// shared: the old root has peers on the host, and must let go of them.
pub fn pivot_root(rootfs: &Rootfs, shared: bool) -> Result<(), Fault> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let old = match shared {
        true => {
            Some(openat(CWD, c"/", flags, Mode::empty()).during(Call::Openat, Step::OpenRootfs)?)
        }
        false => None,
    };
    fchdir(rootfs.root()).during(Call::Fchdir, Step::EnterRootfs)?;
    rustix::process::pivot_root(c".", c".").during(Call::PivotRoot, Step::PivotRoot)?;
    if let Some(old) = old {
        fchdir(&old).during(Call::Fchdir, Step::DetachOldRoot)?;
        // As a slave, the old root does not pass its unmounting on to the host.
        let slave = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
        mount_change(c".", slave).during(Call::Mount, Step::DetachOldRoot)?;
    }
    unmount(c".", UnmountFlags::DETACH).during(Call::Umount2, Step::DetachOldRoot)?;
    chdir(c"/").during(Call::Chdir, Step::EnterRootfs)
}

/// MS_MOVE and chroot(2), for a root that cannot be pivoted.
pub fn move_root(rootfs: &Rootfs) -> Result<(), Fault> {
    fchdir(rootfs.root()).during(Call::Fchdir, Step::EnterRootfs)?;
    mount_move(c".", c"/").during(Call::Mount, Step::MoveRoot)?;
    chroot::enter(rootfs)
}

/// Unmounts a proc or sysfs of the host, or covers it where it is locked:
/// below a root that was only moved, a new mount namespace would bare it.
pub fn hide(path: &CStr) -> Result<(), Fault> {
    let _ = mount_change(path, MountPropagationFlags::DOWNSTREAM); // EINVAL: it shares nothing.
    match unmount(path, UnmountFlags::DETACH) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(_) => mount(c"tmpfs", path, c"tmpfs", MountFlags::RDONLY, None)
            .during(Call::Mount, Step::DetachOldRoot),
    }
}
