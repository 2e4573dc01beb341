//! Masked and read-only paths.

use core::ffi::CStr;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FileType, fstat};
use rustix::io::Errno;
use vial_plan::{Call, Step};

use super::attributes::RDONLY;
use super::bind::{Source, attributes, bind_on};
use super::{Rootfs, covers};
use crate::fault::{During, Fault, Prepared};

/// Covers a path with an empty file or directory that nobody can change, and that is no
/// inode of the host.
pub fn mask(rootfs: &mut Rootfs, path: &CStr) -> Result<(), Fault> {
    let Some(mount_point) = find(rootfs, path)? else {
        return Ok(());
    };
    let found = fstat(&mount_point).during(Call::Fstat, Step::ResolveTarget)?;
    let (covers, device) = rootfs.covers.as_ref().prepared()?;
    if found.st_dev == *device {
        return Ok(()); // Another path to the same file has been masked.
    }
    let kind = FileType::from_raw_mode(found.st_mode);
    let cover = Source::below(covers.as_fd(), covers::name(kind == FileType::Directory));
    let mount = bind_on(rootfs, &cover, mount_point.as_fd(), &attributes(0, 0))?;
    rootfs.close_later(mount);
    rootfs.close_later(mount_point);
    Ok(())
}

/// Makes a path read-only by a bind of it on itself.
pub fn make_readonly(rootfs: &mut Rootfs, path: &CStr) -> Result<(), Fault> {
    let Some(mount_point) = find(rootfs, path)? else {
        return Ok(());
    };
    let itself = Source::fd(mount_point.as_fd(), true);
    let mount = bind_on(rootfs, &itself, mount_point.as_fd(), &attributes(RDONLY, 0))?;
    rootfs.close_later(mount);
    rootfs.close_later(mount_point);
    Ok(())
}

/// Resolves a path. None: it does not exist, so it need not be hidden. The lists in
/// config.json name paths of many kernels, and no kernel has them all.
fn find(rootfs: &Rootfs, path: &CStr) -> Result<Option<OwnedFd>, Fault> {
    match rootfs.resolve(path, false) {
        Ok(mount_point) => Ok(Some(mount_point)),
        Err(fault) if matches!(fault.errno(), Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(fault) => Err(fault),
    }
}
