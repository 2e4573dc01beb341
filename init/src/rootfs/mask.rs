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

/// Covers a path by an empty file or directory, which nobody can change and
/// which is no inode of the host's.
pub fn mask(rootfs: &mut Rootfs, path: &CStr) -> Result<(), Fault> {
    let Some(place) = find(rootfs, path)? else {
        return Ok(());
    };
    let found = fstat(&place).during(Call::Fstat, Step::ResolveTarget)?;
    let (covers, device) = rootfs.covers.as_ref().prepared()?;
    if found.st_dev == *device {
        return Ok(()); // Another path that leads here has been masked.
    }
    let kind = FileType::from_raw_mode(found.st_mode);
    let cover = Source::below(covers.as_fd(), covers::name(kind == FileType::Directory));
    let mount = bind_on(rootfs, &cover, place.as_fd(), &attributes(0, 0))?;
    rootfs.spend(mount);
    rootfs.spend(place);
    Ok(())
}

/// Makes a path read-only: a copy of it, mounted on itself.
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

/// What lies at the path. None: nothing does, so that there is nothing to
/// hide; the list in config.json names what some kernels have.
fn find(rootfs: &Rootfs, path: &CStr) -> Result<Option<OwnedFd>, Fault> {
    match rootfs.resolve(path, false) {
        Ok(place) => Ok(Some(place)),
        Err(fault) if matches!(fault.errno(), Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(fault) => Err(fault),
    }
}
