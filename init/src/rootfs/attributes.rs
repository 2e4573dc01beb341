//! Attributes and propagation of mounts that are attached already.

use core::ffi::CStr;

use rustix::fd::AsFd;
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, mount_change, mount_remount};
use vial_plan::Step;

use super::{Rootfs, bind};
use crate::fault::{During, Fault};
use crate::sys::mount_setattr::{Attributes, mount_setattr};

const RDONLY: u64 = 1;

/// Changes the mount at a path, and those below it if recursive.
pub fn change(
    rootfs: &Rootfs,
    target: &CStr,
    recursive: bool,
    set: u64,
    clear: u64,
    propagation: u64,
) -> Result<(), Fault> {
    let mounted = rootfs.resolve(target, false).during(Step::ResolveTarget)?;
    let change = Attributes { set, clear, propagation, ..Attributes::default() };
    match mount_setattr(mounted.as_fd(), recursive, &change) {
        // KERNEL(5.12): recursive attributes cannot be had, propagation can.
        Err(Errno::NOSYS) if set | clear == 0 => {
            let mut flags = MountPropagationFlags::from_bits_retain(propagation as u32);
            if recursive {
                flags |= MountPropagationFlags::REC;
            }
            mount_change(rootfs.name(mounted.as_fd())?.as_c_str(), flags)
                .during(Step::SetPropagation)
        }
        Err(Errno::NOSYS) if !recursive => bind::remount_bind(rootfs, target, false, &change),
        result => result.during(Step::SetAttributes),
    }
}

/// Makes the rootfs itself read-only, what is mounted in it as it is.
pub fn make_root_readonly(rootfs: &Rootfs) -> Result<(), Fault> {
    match mount_setattr(rootfs.root(), false, &bind::attributes(RDONLY, 0)) {
        // KERNEL(5.12)
        Err(Errno::NOSYS) => {
            let flags = MountFlags::BIND | MountFlags::RDONLY;
            mount_remount(rootfs.name(rootfs.root())?.as_c_str(), flags, c"")
                .during(Step::SetAttributes)
        }
        result => result.during(Step::SetAttributes),
    }
}
