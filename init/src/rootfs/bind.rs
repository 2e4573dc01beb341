//! Binds: a detached copy of the source is given its attributes and only then
//! attached, so that it is never seen with others.

use core::ffi::CStr;

use rustix::fd::AsFd;
use rustix::fs::{CWD, Mode, OFlags, fstatfs, openat};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount, mount_remount};
use vial_plan::Step;

use super::resolve::Make;
use super::{Rootfs, attach, is_directory};
use crate::fault::{During, Fault};
use crate::sys::mount_setattr::{Attributes, mount_setattr};
use crate::sys::open_tree;

/// Attributes to set and to clear, MOUNT_ATTR_*.
pub fn attributes(set: u64, clear: u64) -> Attributes {
    Attributes { set, clear, ..Attributes::default() }
}

/// Binds a file or directory of the host at a path of the rootfs, where it is
/// made if nothing is.
pub fn bind(
    rootfs: &Rootfs,
    source: &CStr,
    target: &CStr,
    recursive: bool,
    strict: bool,
    change: &Attributes,
) -> Result<(), Fault> {
    let tree = match open_tree::clone_path(source, recursive) {
        Ok(tree) => tree,
        // KERNEL(5.2): no open_tree; or a seccomp filter that hides it.
        Err(Errno::NOSYS) => {
            return bind_by_path(rootfs, source, target, recursive, strict, change);
        }
        Err(errno) => return Err(Fault { step: Step::OpenSource, errno }),
    };
    let make = match is_directory(tree.as_fd()).during(Step::OpenSource)? {
        true => Make::Directory,
        false => Make::File,
    };
    let place = rootfs.resolve_or_make(target, make, strict)?;
    if change.set | change.clear != 0 {
        match mount_setattr(tree.as_fd(), false, change) {
            Ok(()) => {}
            // KERNEL(5.12): the attributes follow the mount.
            Err(Errno::NOSYS) => {
                attach(tree.as_fd(), place.as_fd()).during(Step::AttachMount)?;
                return remount_bind(rootfs, target, strict, change);
            }
            Err(errno) => return Err(Fault { step: Step::SetAttributes, errno }),
        }
    }
    attach(tree.as_fd(), place.as_fd()).during(Step::AttachMount)
}

fn bind_by_path(
    rootfs: &Rootfs,
    source: &CStr,
    target: &CStr,
    recursive: bool,
    strict: bool,
    change: &Attributes,
) -> Result<(), Fault> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let origin = openat(CWD, source, flags, Mode::empty()).during(Step::OpenSource)?;
    let make = match is_directory(origin.as_fd()).during(Step::OpenSource)? {
        true => Make::Directory,
        false => Make::File,
    };
    let place = rootfs.resolve_or_make(target, make, strict)?;
    let flags = if recursive { MountFlags::BIND | MountFlags::REC } else { MountFlags::BIND };
    mount(source, rootfs.name(place.as_fd())?.as_c_str(), c"", flags, None).during(Step::Mount)?;
    match change.set | change.clear {
        0 => Ok(()),
        _ => remount_bind(rootfs, target, strict, change),
    }
}

/// The target is resolved again: the fd from before is of what lies below.
pub(super) fn remount_bind(
    rootfs: &Rootfs,
    target: &CStr,
    strict: bool,
    change: &Attributes,
) -> Result<(), Fault> {
    let mounted = rootfs.resolve(target, strict).during(Step::ResolveTarget)?;
    let present = present_flags(fstatfs(&mounted).during(Step::SetAttributes)?.f_flags as u64);
    let cleared = present & !mount_flags(change.clear);
    let flags = MountFlags::from_bits_retain((cleared | mount_flags(change.set)) as u32);
    mount_remount(rootfs.name(mounted.as_fd())?.as_c_str(), MountFlags::BIND | flags, c"")
        .during(Step::SetAttributes)
}

/// MOUNT_ATTR_* as MS_*. The first four bits are the same; the access time is
/// a number there and flags here.
fn mount_flags(attributes: u64) -> u64 {
    const ATIME: u64 = 0x70;
    let time = match attributes & ATIME {
        0x10 => u64::from(MountFlags::NOATIME.bits()),
        0x20 => u64::from(MountFlags::STRICTATIME.bits()),
        _ => 0,
    };
    let nodiratime =
        if attributes & 0x80 != 0 { u64::from(MountFlags::NODIRATIME.bits()) } else { 0 };
    (attributes & 0xf) | time | nodiratime
}

/// ST_* of statfs(2) as MS_*: alike but for relatime.
fn present_flags(flags: u64) -> u64 {
    const ST_RELATIME: u64 = 0x1000;
    let relatime =
        if flags & ST_RELATIME != 0 { u64::from(MountFlags::RELATIME.bits()) } else { 0 };
    (flags & 0xc0f) | relatime
}
