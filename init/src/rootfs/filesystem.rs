//! New filesystems: proc, sysfs, tmpfs, devpts, mqueue, cgroup2 and others.

use core::ffi::CStr;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, fstat, openat};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags};
use rustix::mount::{mount as mount2, mount_change, mount_remount};
use rustix::process::fchdir;
use vial_plan::{Call, Step};

use super::attributes;
use super::mounted::{self, Mounted};
use super::resolve::{Make, MountPoint};
use super::{FdPath, Rootfs, bind, copy};
use crate::fault::{During, Fault, Of};
use crate::path::{PathBuffer, split_last};

/// A new filesystem, in the terms of mount(2).
#[derive(Clone, Copy, Debug)]
pub struct New<'a> {
    /// The source.
    pub source: &'a CStr,
    /// The type.
    pub fstype: &'a CStr,
    /// MS_* flags.
    pub flags: u32,
    /// The filesystem's own options.
    pub data: &'a CStr,
}

impl New<'_> {
    /// Mounts it on a directory, which becomes the working directory, so that its path
    /// is `.`. mount(2) takes all options in one call, on every kernel; fsopen(2) would
    /// need a call for each.
    pub(super) fn mount_on(&self, target: &OwnedFd) -> Result<(), Fault> {
        let flags = MountFlags::from_bits_retain(self.flags);
        let data = Some(self.data).filter(|data| !data.is_empty());
        fchdir(target).during(Call::Fchdir, Step::ResolveTarget)?;
        mount2(self.source, c".", self.fstype, flags, data).during(Call::Mount, Step::Mount)
    }
}

/// Sets the propagation of the mount at a path.
pub fn set_propagation(path: &CStr, flags: u32) -> Result<(), Fault> {
    mount_change(path, MountPropagationFlags::from_bits_retain(flags))
        .during(Call::Mount, Step::SetPropagation)
}

/// Makes the mount that contains a path private. EINVAL: the path is not a mount point,
/// so try its parent.
#[inline(never)] // Keep this buffer out of the stack frame that stays resident while waiting.
pub fn make_parent_private(path: &CStr) -> Result<(), Fault> {
    let mut rest = path.to_bytes();
    loop {
        let mut prefix: PathBuffer = PathBuffer::empty();
        prefix
            .push(if rest.is_empty() { b"/" } else { rest })
            .during(Call::None, Step::ParentPrivate)?;
        match mount_change(prefix.as_c_str(), MountPropagationFlags::PRIVATE) {
            Err(Errno::INVAL) if !rest.is_empty() => rest = split_last(rest).0,
            result => return result.during(Call::Mount, Step::ParentPrivate),
        }
    }
}

/// Mounts a new filesystem at a path of the rootfs, which is made if it does not exist.
/// mode: gives the filesystem the mode of the directory that it covers. A directory
/// that is made here has no such mode, so the kernel's default stays.
pub fn mount(
    rootfs: &mut Rootfs,
    target: &'static CStr,
    new: &New<'_>,
    strict: bool,
    mode: bool,
) -> Result<(), Fault> {
    let MountPoint { fd: mount_point, is_new, .. } = rootfs.mount_point_beside(target, strict)?;
    match mode && !is_new {
        true => mount_with_mode(new, &mount_point)?,
        false => new.mount_on(&mount_point)?,
    }
    rootfs.remember(Mounted::MountPoint(mount_point));
    Ok(())
}

/// Mounts a tmpfs and copies into it what it covers.
pub fn mount_copy(
    rootfs: &mut Rootfs,
    target: &CStr,
    new: &New<'_>,
    mode: bool,
    owner: bool,
) -> Result<(), Fault> {
    let MountPoint { fd: mount_point, is_new, .. } =
        rootfs.mount_point(target, Make::Directory, false)?;
    if is_new {
        // A new directory is empty: there is nothing to copy.
        new.mount_on(&mount_point)?;
        rootfs.remember(Mounted::MountPoint(mount_point));
        return Ok(());
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let below =
        openat(&mount_point, c".", flags, Mode::empty()).during(Call::Openat, Step::CopyUp)?;
    match mode {
        true => mount_with_mode(new, &mount_point)?,
        false => new.mount_on(&mount_point)?,
    }
    let mounted = mounted::covering(mount_point.as_fd(), flags).of(Step::CopyUp)?;
    copy::directory(&below, &mounted, owner)?;
    rootfs.remember(Mounted::Mount(mounted));
    Ok(())
}

/// Puts mode= first: of two, the kernel takes the last.
#[inline(never)] // Keep this buffer out of the stack frame that stays resident while waiting.
fn mount_with_mode(new: &New<'_>, mount_point: &OwnedFd) -> Result<(), Fault> {
    let mode = fstat(mount_point).during(Call::Fstat, Step::Mount)?.st_mode & 0o7777;
    let mut data: PathBuffer = PathBuffer::empty();
    data.push(b"mode=").during(Call::None, Step::Mount)?;
    for shift in [9, 6, 3, 0] {
        data.push(&[b'0' + ((mode >> shift) & 7) as u8]).during(Call::None, Step::Mount)?;
    }
    if !new.data.is_empty() {
        data.push(b",")
            .and_then(|data| data.push(new.data.to_bytes()))
            .during(Call::None, Step::Mount)?;
    }
    New { data: data.as_c_str(), ..*new }.mount_on(mount_point)
}

/// Mounts cgroup2, which shows the own cgroup namespace. Where that fails, binds the
/// host's. EPERM: in a user namespace without a cgroup namespace of its own. EBUSY: the
/// kernel mounts it only once. The bind is not recursive, because older kernels could
/// not give the mounts below it the same attributes.
pub fn mount_cgroup(
    rootfs: &mut Rootfs,
    target: &CStr,
    flags: u32,
    host: &CStr,
) -> Result<(), Fault> {
    let mount_point = rootfs.mount_point(target, Make::Directory, false)?.fd;
    let new = New { source: c"cgroup", fstype: c"cgroup2", flags, data: c"" };
    let mounted = match new.mount_on(&mount_point) {
        Err(fault) if matches!(fault.errno(), Errno::PERM | Errno::BUSY) && !host.is_empty() => {
            let change = bind::attributes(attributes::of_flags(flags), 0);
            let source = bind::Source::path(host, false, false);
            Mounted::Mount(bind::bind_on(rootfs, &source, mount_point.as_fd(), &change)?)
        }
        result => result.map(|()| Mounted::MountPoint(mount_point))?,
    };
    rootfs.remember(mounted);
    Ok(())
}

/// Reconfigures the filesystem that is mounted at a path.
pub fn remount(rootfs: &Rootfs, target: &CStr, flags: u32, data: &CStr) -> Result<(), Fault> {
    let mounted = rootfs.resolve(target, false)?;
    let flags = MountFlags::from_bits_retain(flags);
    let path = &mut FdPath::empty();
    mount_remount(rootfs.fd_path(mounted.as_fd(), path)?, flags, data)
        .during(Call::Mount, Step::Mount)
}
