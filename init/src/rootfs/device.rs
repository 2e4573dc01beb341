//! Device nodes, and the symbolic links of /dev.

use core::ffi::CStr;

use linux_raw_sys::general;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, Stat, Uid, chownat, fstat, makedev, mknodat, openat,
    statat, symlinkat,
};
use rustix::io::Errno;
use vial_plan::{Call, Step};

use super::Rootfs;
use super::attributes::RDONLY;
use super::bind::{Source, attributes, bind_on};
use crate::fault::{During, Fault};

const NOSUID: u64 = general::MOUNT_ATTR_NOSUID as u64;
const NOEXEC: u64 = general::MOUNT_ATTR_NOEXEC as u64;

/// A device node. Its mode includes the type, as for mknod(2).
#[derive(Clone, Copy, Debug)]
pub struct Node {
    /// Type and permissions.
    pub mode: u32,
    /// The major number.
    pub major: u32,
    /// The minor number.
    pub minor: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

impl Node {
    fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.mode)
    }

    /// Makes the node in a directory.
    pub fn make(&self, parent: impl AsFd, name: &CStr) -> rustix::io::Result<()> {
        let mode = Mode::from_raw_mode(self.mode & 0o7777);
        mknodat(parent, name, self.kind(), mode, makedev(self.major, self.minor))
    }

    /// Whether a file is this device. A FIFO has no device number.
    fn is(&self, found: &Stat) -> bool {
        let fifo = self.kind() == FileType::Fifo;
        let same = FileType::from_raw_mode(found.st_mode) == self.kind();
        same && (fifo || found.st_rdev == makedev(self.major, self.minor))
    }
}

/// Makes a node in a directory that was resolved within the rootfs. An existing file
/// must be the same device. bind: a user namespace cannot open nodes that it makes, so
/// a device is bound instead.
pub fn make(
    rootfs: &mut Rootfs,
    path: &'static CStr,
    node: &Node,
    bind: bool,
) -> Result<(), Fault> {
    // Without a mount namespace, the bind would appear on the host.
    let may_bind = rootfs.covers.is_some();
    let (parent, name) = rootfs.parent_of_node(path)?;
    let is_device = node.kind() != FileType::Fifo;
    let made = match bind && is_device {
        true => Err(Errno::PERM),
        false => node.make(parent, name),
    };
    match made {
        Ok(()) => own(parent, name, node),
        Err(Errno::EXIST) => {
            let found = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
                .during(Call::Fstatat, Step::OtherDevice)?;
            match node.is(&found) {
                true => Ok(()),
                false => Err(Fault::new(Call::Mknodat, Step::OtherDevice, Errno::EXIST)),
            }
        }
        // EPERM: a user namespace, no CAP_MKNOD, or a device cgroup that forbids it.
        Err(Errno::PERM) if is_device && may_bind => {
            let mount_point = mount_point(parent, name, node)?;
            bind_from_elsewhere(rootfs, path, node, &mount_point)
        }
        Err(errno) => Err(Fault::new(Call::Mknodat, Step::MakeDevice, errno)),
    }
}

fn own(parent: BorrowedFd<'_>, name: &CStr, node: &Node) -> Result<(), Fault> {
    if node.uid == 0 && node.gid == 0 {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(node.uid), Gid::from_raw(node.gid));
    chownat(parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
        .during(Call::Fchownat, Step::SetOwner)
}

/// Makes an empty file to bind the device on, with the owner of the node.
fn mount_point(parent: BorrowedFd<'_>, name: &CStr, node: &Node) -> Result<OwnedFd, Fault> {
    match mknodat(parent, name, FileType::RegularFile, Mode::from_raw_mode(0o644), 0) {
        Ok(()) => own(parent, name, node)?,
        Err(Errno::EXIST) => {}
        Err(errno) => return Err(Fault::new(Call::Mknodat, Step::MakeFile, errno)),
    }
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mount_point =
        openat(parent, name, flags, Mode::empty()).during(Call::Openat, Step::ResolveTarget)?;
    match FileType::from_raw_mode(
        fstat(&mount_point).during(Call::Fstat, Step::ResolveTarget)?.st_mode,
    ) {
        FileType::Symlink => Err(Fault::new(Call::Openat, Step::SymlinkTarget, Errno::LOOP)),
        _ => Ok(mount_point),
    }
}

/// Binds a device: a node that the opener makes, or the host's own if the opener may
/// not. The host's is checked, and bound read-only: the device can still be written to,
/// but its mode and owner cannot be changed.
fn bind_from_elsewhere(
    rootfs: &Rootfs,
    path: &CStr,
    node: &Node,
    mount_point: &OwnedFd,
) -> Result<(), Fault> {
    if let Some(opener) = &rootfs.opener {
        match opener.make_node(node, mount_point.as_fd()) {
            Err(fault) if matches!(fault.errno(), Errno::PERM | Errno::NOSYS) => {}
            result => return result,
        }
    }
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let source = openat(CWD, path, flags, Mode::empty()).during(Call::Openat, Step::FindDevice)?;
    if !node.is(&fstat(&source).during(Call::Fstat, Step::FindDevice)?) {
        return Err(Fault::new(Call::Fstat, Step::OtherDevice, Errno::NODEV));
    }
    let change = attributes(RDONLY | NOSUID | NOEXEC, 0);
    bind_on(rootfs, &Source::fd(source.as_fd(), false), mount_point.as_fd(), &change)?;
    Ok(())
}

/// Makes a symbolic link, unless a file of that name exists.
pub fn symlink(rootfs: &mut Rootfs, target: &CStr, path: &'static CStr) -> Result<(), Fault> {
    let (parent, name) = rootfs.parent_of_node(path)?;
    match symlinkat(target, parent, name) {
        Ok(()) | Err(Errno::EXIST) => Ok(()), // EEXIST: an image may bring its own.
        Err(errno) => Err(Fault::new(Call::Symlinkat, Step::MakeSymlink, errno)),
    }
}
