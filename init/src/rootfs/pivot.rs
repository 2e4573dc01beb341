//! Makes the rootfs the root, and detaches the host's root.

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

/// Calls pivot_root(2) with the old root stacked on the new one, and detaches it from
/// there (pivot_root(2), NOTES). This needs no directory in the rootfs. shared: the old
/// root is a peer of a mount of the host, and must first stop being one.
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
        // As a slave, the old root does not propagate its unmount to the host.
        let slave = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
        mount_change(c".", slave).during(Call::Mount, Step::DetachOldRoot)?;
    }
    unmount(c".", UnmountFlags::DETACH).during(Call::Umount2, Step::DetachOldRoot)?;
    chdir(c"/").during(Call::Chdir, Step::EnterRootfs)
}

/// Uses MS_MOVE and chroot(2), for a root that cannot be pivoted.
pub fn move_root(rootfs: &Rootfs) -> Result<(), Fault> {
    fchdir(rootfs.root()).during(Call::Fchdir, Step::EnterRootfs)?;
    mount_move(c".", c"/").during(Call::Mount, Step::MoveRoot)?;
    chroot::enter(rootfs)
}

/// Unmounts a proc or sysfs of the host, or covers it if it is locked. After MS_MOVE it
/// would still be there, and a new mount namespace could uncover it.
pub fn hide(path: &CStr) -> Result<(), Fault> {
    let _ = mount_change(path, MountPropagationFlags::DOWNSTREAM); // EINVAL: it is not shared.
    match unmount(path, UnmountFlags::DETACH) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(_) => mount(c"tmpfs", path, c"tmpfs", MountFlags::RDONLY, None)
            .during(Call::Mount, Step::DetachOldRoot),
    }
}
