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
    let Some(place) = find(rootfs, path)? else {
        return Ok(());
    };
    let found = fstat(&place).during(Call::Fstat, Step::ResolveTarget)?;
    let (covers, device) = rootfs.covers.as_ref().prepared()?;
    if found.st_dev == *device {
        return Ok(()); // Another path to the same file has been masked.
    }
    let kind = FileType::from_raw_mode(found.st_mode);
    let cover = Source::below(covers.as_fd(), covers::name(kind == FileType::Directory));
    let mount = bind_on(rootfs, &cover, place.as_fd(), &attributes(0, 0))?;
    rootfs.spend(mount);
    rootfs.spend(place);
    Ok(())
}

/// Makes a path read-only by a bind of it on itself.
pub fn make_readonly(rootfs: &mut Rootfs, path: &CStr) -> Result<(), Fault> {
    let Some(place) = find(rootfs, path)? else {
        return Ok(());
    };
    let itself = Source::open(place.as_fd(), true);
    let mount = bind_on(rootfs, &itself, place.as_fd(), &attributes(RDONLY, 0))?;
    rootfs.spend(mount);
    rootfs.spend(place);
    Ok(())
}

/// Resolves a path. None: it does not exist, and need not be hidden. The paths in
/// config.json are of many kernels.
fn find(rootfs: &Rootfs, path: &CStr) -> Result<Option<OwnedFd>, Fault> {
    match rootfs.resolve(path, false) {
        Ok(place) => Ok(Some(place)),
        Err(fault) if matches!(fault.errno(), Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(fault) => Err(fault),
    }
}
