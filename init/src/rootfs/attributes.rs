//! Attributes and propagation of attached mounts.

use core::ffi::CStr;

use linux_raw_sys::general;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{XattrFlags, fstatfs, setxattr};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, mount_change, mount_remount};
use vial_plan::{Call, Step};

use super::{FdPath, Rootfs, bind};
use crate::fault::{During, Fault};
use crate::sys::mount_setattr::{Attributes, mount_setattr};

pub(super) const RDONLY: u64 = general::MOUNT_ATTR_RDONLY as u64;
const ATIME: u64 = general::MOUNT_ATTR__ATIME as u64;
/// These bits are the same in MS_*, in MOUNT_ATTR_* and in the flags of statfs(2).
pub const ALIKE: u32 =
    general::MS_RDONLY | general::MS_NOSUID | general::MS_NODEV | general::MS_NOEXEC;

/// Changes the last mount made; recursive: and those below it.
pub fn change(
    rootfs: &mut Rootfs,
    recursive: bool,
    set: u64,
    clear: u64,
    propagation: u64,
) -> Result<(), Fault> {
    rootfs.find_mounted()?;
    let Some(mount) = rootfs.last_mounted() else { return Ok(()) };
    let change = Attributes { set, clear, propagation, ..Attributes::default() };
    match mount_setattr(mount, recursive, &change) {
        // KERNEL(5.12): mount(2) can set propagation recursively, but not attributes.
        Err(Errno::NOSYS | Errno::PERM) if set | clear == 0 => {
            let mut flags = MountPropagationFlags::from_bits_retain(propagation as u32);
            if recursive {
                flags |= MountPropagationFlags::REC;
            }
            mount_change(rootfs.fd_path(mount, &mut FdPath::empty())?, flags)
                .during(Call::Mount, Step::SetPropagation)
        }
        Err(Errno::NOSYS | Errno::PERM) if !recursive => remount(rootfs, mount, &change),
        Err(Errno::PERM) => {
            let change = without_locked(&change);
            mount_setattr(mount, recursive, &change).during(Call::MountSetattr, Step::SetAttributes)
        }
        result => result.during(Call::MountSetattr, Step::SetAttributes),
    }
}

/// Gives the root of the last mount made an SELinux label.
pub fn label(rootfs: &mut Rootfs, label: &CStr) -> Result<(), Fault> {
    rootfs.find_mounted()?;
    let Some(mount) = rootfs.last_mounted() else { return Ok(()) };
    let path = &mut FdPath::empty();
    let path = rootfs.fd_path(mount, path)?;
    match setxattr(path, c"security.selinux", label.to_bytes(), XattrFlags::empty()) {
        Err(Errno::NOTSUP) => Ok(()), // The policy gives files there no labels.
        result => result.during(Call::Setxattr, Step::LabelMount),
    }
}

/// Changes the one mount that the fd refers to.
pub(super) fn set(
    rootfs: &Rootfs,
    mount: BorrowedFd<'_>,
    change: &Attributes,
) -> Result<(), Fault> {
    match mount_setattr(mount, false, change) {
        Err(Errno::NOSYS | Errno::PERM) => remount(rootfs, mount, change),
        result => result.during(Call::MountSetattr, Step::SetAttributes),
    }
}

/// KERNEL(5.12): mount(2) instead of mount_setattr(2), which is missing or hidden by a
/// seccomp filter. mount(2) replaces all flags, so this passes the present ones that
/// are not cleared.
pub(super) fn remount(
    rootfs: &Rootfs,
    mount: BorrowedFd<'_>,
    change: &Attributes,
) -> Result<(), Fault> {
    let present = fstatfs(mount).during(Call::Fstatfs, Step::ReadAttributes)?.f_flags as u64;
    let path = &mut FdPath::empty();
    let path = rootfs.fd_path(mount, path)?;
    let remount = |change| {
        let flags = MountFlags::from_bits_retain(flags(present, change)) | MountFlags::BIND;
        mount_remount(path, flags, c"")
    };
    match remount(change) {
        Err(Errno::PERM) => remount(&without_locked(change)),
        result => result,
    }
    .during(Call::Mount, Step::Remount)
}

/// Leaves out what is locked: in a user namespace, the flags of a mount of the host
/// (mount_namespaces(7)). Its access time is locked, too, but that protects nothing, so
/// to set it in vain is an error.
fn without_locked(change: &Attributes) -> Attributes {
    Attributes { clear: change.clear & ATIME, ..*change }
}

/// Makes a mount read-only that was writable while it was being filled.
pub fn make_mount_readonly(rootfs: &Rootfs, target: &CStr) -> Result<(), Fault> {
    let mount = rootfs.resolve(target, false)?;
    set(rootfs, mount.as_fd(), &bind::attributes(RDONLY, 0))
}

/// Makes the rootfs itself read-only, but not what is mounted in it.
pub fn make_root_readonly(rootfs: &Rootfs) -> Result<(), Fault> {
    set(rootfs, rootfs.root().as_fd(), &bind::attributes(RDONLY, 0))
}

/// The MOUNT_ATTR_* that give a bind these MS_* flags of a new filesystem. The access time
/// is left out, as the kernel locks it in a user namespace.
pub fn of_flags(flags: u32) -> u64 {
    let nosymfollow = match flags & general::MS_NOSYMFOLLOW {
        0 => 0,
        _ => general::MOUNT_ATTR_NOSYMFOLLOW,
    };
    u64::from(flags & ALIKE | nosymfollow)
}

/// Flags of statfs(2).
const ST_RELATIME: u64 = 0x1000;
const ST_NOSYMFOLLOW: u64 = 0x2000;

/// The MS_* flags of a mount whose flags by statfs(2) are `present`, after `change`.
/// The low bits are the same everywhere. The access time is one value in MOUNT_ATTR_*,
/// and one flag for each mode elsewhere.
fn flags(present: u64, change: &Attributes) -> u32 {
    const NOATIME: u32 = MountFlags::NOATIME.bits();
    const RELATIME: u32 = MountFlags::RELATIME.bits();
    const STRICTATIME: u32 = MountFlags::STRICTATIME.bits();
    const NODIRATIME: u32 = MountFlags::NODIRATIME.bits();
    const NOSYMFOLLOW: u32 = general::MS_NOSYMFOLLOW;
    let mut flags = present as u32 & (ALIKE | NOATIME | NODIRATIME);
    for (shown, flag) in [(ST_RELATIME, RELATIME), (ST_NOSYMFOLLOW, NOSYMFOLLOW)] {
        flags |= if present & shown != 0 { flag } else { 0 };
    }
    let bits = |attributes: u64| {
        let attributes = attributes as u32; // Each MOUNT_ATTR_* fits.
        let is_set = |attribute| attributes & attribute != 0;
        let nodiratime = if is_set(general::MOUNT_ATTR_NODIRATIME) { NODIRATIME } else { 0 };
        let nosymfollow = if is_set(general::MOUNT_ATTR_NOSYMFOLLOW) { NOSYMFOLLOW } else { 0 };
        attributes & ALIKE | nodiratime | nosymfollow
    };
    flags = flags & !bits(change.clear) | bits(change.set);
    let time = match (change.set & ATIME) as u32 {
        general::MOUNT_ATTR_NOATIME => NOATIME,
        general::MOUNT_ATTR_STRICTATIME => STRICTATIME,
        _ if change.clear & ATIME != 0 => RELATIME,
        // No flag for the access time means strictatime, which mount(2) takes only as a
        // flag.
        _ if flags & (NOATIME | RELATIME) == 0 => STRICTATIME,
        _ => return flags,
    };
    flags & !(NOATIME | RELATIME) | time
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_that_are_not_cleared_stay() {
        let (nosuid, nodev, relatime, noatime) = (2, 4, 0x1000, 0x400);
        for (present, set, clear, wanted) in [
            (nosuid | nodev | relatime, 1, 0, 0x20_0007),
            (nosuid | nodev | noatime, 1, 0, 0x407),
            (nosuid, 1, 0, 0x100_0003),
            (1 | nosuid | relatime, 0, 1, 0x20_0002),
            (noatime, 0x20, 0x70, 0x100_0000),
            (relatime, 0x10, 0x70, 0x400),
            (noatime, 0, 0x70, 0x20_0000),
            (0x2000 | relatime, 8, 0, 0x20_0108),
            (0x2800 | relatime, 0, 0x20_0080, 0x20_0000),
        ] {
            let change = bind::attributes(set, clear);
            assert_eq!(flags(present, &change), wanted, "{present:#x} {set:#x} {clear:#x}");
        }
    }
}
