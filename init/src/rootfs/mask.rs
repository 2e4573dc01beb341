//! Masked and read-only paths.

use core::ffi::CStr;

use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount, mount_bind, mount_remount};
use vial_plan::Step;

use super::{Rootfs, attach, bind, filesystem, is_directory};
use crate::fault::{During, Fault};
use crate::sys::mount_setattr::mount_setattr;
use crate::sys::open_tree;

const RDONLY: u64 = 1;

/// What covers directories.
const EMPTY: filesystem::New<'_> = filesystem::New {
    source: c"tmpfs",
    fstype: c"tmpfs",
    flags: MountFlags::RDONLY.bits(),
    data: c"",
};

/// Covers a path: a file by the host's verified /dev/null, a directory by one
/// empty read-only tmpfs that all of them share.
pub fn mask(rootfs: &mut Rootfs, path: &CStr) -> Result<(), Fault> {
    let Some(place) = find(rootfs, path)? else {
        return Ok(());
    };
    if !is_directory(place.as_fd()).during(Step::ResolveTarget)? {
        let null = rootfs.null()?;
        return match open_tree::clone_fd(null, false) {
            Ok(cover) => attach(cover.as_fd(), place.as_fd()).during(Step::MaskPath),
            // KERNEL(5.2)
            Err(Errno::NOSYS) => {
                mount_bind(rootfs.name(null)?.as_c_str(), rootfs.name(place.as_fd())?.as_c_str())
                    .during(Step::MaskPath)
            }
            Err(errno) => Err(Fault { step: Step::MaskPath, errno }),
        };
    }
    match rootfs.empty.as_ref().map(|empty| open_tree::clone_fd(empty.as_fd(), false)) {
        Some(Ok(cover)) => attach(cover.as_fd(), place.as_fd()).during(Step::MaskPath),
        None | Some(Err(_)) => {
            EMPTY.mount_on(&place)?;
            rootfs.empty = rootfs.resolve(path, false).ok(); // Without it the next gets its own.
            Ok(())
        }
    }
}

/// Makes a path read-only: a copy of it, mounted on itself.
pub fn make_readonly(rootfs: &Rootfs, path: &CStr) -> Result<(), Fault> {
    let Some(place) = find(rootfs, path)? else {
        return Ok(());
    };
    let copy = match open_tree::clone_fd(place.as_fd(), true) {
        Ok(copy) => copy,
        // KERNEL(5.2)
        Err(Errno::NOSYS) => return make_readonly_by_path(rootfs, path, &place),
        Err(errno) => return Err(Fault { step: Step::OpenSource, errno }),
    };
    match mount_setattr(copy.as_fd(), false, &bind::attributes(RDONLY, 0)) {
        // KERNEL(5.12)
        Err(Errno::NOSYS) => make_readonly_by_path(rootfs, path, &place),
        result => {
            result.during(Step::SetAttributes)?;
            attach(copy.as_fd(), place.as_fd()).during(Step::AttachMount)
        }
    }
}

fn make_readonly_by_path(rootfs: &Rootfs, path: &CStr, place: &OwnedFd) -> Result<(), Fault> {
    let itself = rootfs.name(place.as_fd())?;
    let flags = MountFlags::BIND | MountFlags::REC;
    mount(itself.as_c_str(), itself.as_c_str(), c"", flags, None).during(Step::AttachMount)?;
    let mounted = rootfs.resolve(path, false).during(Step::ResolveTarget)?;
    let flags = MountFlags::BIND | MountFlags::RDONLY;
    mount_remount(rootfs.name(mounted.as_fd())?.as_c_str(), flags, c"").during(Step::SetAttributes)
}

/// What lies at the path. None: nothing does, so that there is nothing to
/// hide; the list in config.json names what some kernels have.
fn find(rootfs: &Rootfs, path: &CStr) -> Result<Option<OwnedFd>, Fault> {
    match rootfs.resolve(path, false) {
        Ok(place) => Ok(Some(place)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(errno) => Err(Fault { step: Step::ResolveTarget, errno }),
    }
}
