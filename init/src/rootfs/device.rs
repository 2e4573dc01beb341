//! Device nodes, and the links of /dev.

use core::ffi::CStr;

use rustix::fs::{AtFlags, FileType, Gid, Mode, Uid, chownat, makedev, mknodat, statat, symlinkat};
use rustix::io::Errno;
use vial_plan::Step;

use super::Rootfs;
use super::bind::{Source, attributes, bind as bind_file};
use crate::fault::{During, Fault};

/// A device node: mode holds its type, as mknod(2) takes it.
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

/// Makes a node in a directory that was resolved within the rootfs. One that
/// is there already must be that very device.
pub fn make(rootfs: &mut Rootfs, path: &'static CStr, node: &Node) -> Result<(), Fault> {
    let (parent, name) = rootfs.parent_of_node(path)?;
    let kind = FileType::from_raw_mode(node.mode);
    let device = makedev(node.major, node.minor);
    match mknodat(parent, name.as_c_str(), kind, Mode::from_raw_mode(node.mode & 0o7777), device) {
        Ok(()) => {}
        Err(Errno::EXIST) => {
            let found = statat(parent, name.as_c_str(), AtFlags::SYMLINK_NOFOLLOW)
                .during(Step::OtherDevice)?;
            let fifo = kind == FileType::Fifo;
            let same = FileType::from_raw_mode(found.st_mode) == kind;
            return match same && (fifo || found.st_rdev == device) {
                true => Ok(()),
                false => Err(Fault { step: Step::OtherDevice, errno: Errno::EXIST }),
            };
        }
        Err(errno) => return Err(Fault { step: Step::MakeDevice, errno }),
    }
    if node.uid == 0 && node.gid == 0 {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(node.uid), Gid::from_raw(node.gid));
    chownat(parent, name.as_c_str(), Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
        .during(Step::SetOwner)
}

/// Binds a device of the host: in a user namespace no node can be made that
/// the kernel would let anyone open.
pub fn bind(rootfs: &Rootfs, source: &CStr, path: &CStr) -> Result<(), Fault> {
    let (parent, _) = rootfs.parent(path)?; // Makes it, and refuses a /dev that is a link.
    drop(parent);
    bind_file(rootfs, &Source::path(source, false), path, true, &attributes(0, 0))?;
    Ok(())
}

/// Makes a symbolic link, unless something is there already.
pub fn symlink(rootfs: &mut Rootfs, target: &CStr, path: &'static CStr) -> Result<(), Fault> {
    let (parent, name) = rootfs.parent_of_node(path)?;
    match symlinkat(target, parent, name.as_c_str()) {
        Ok(()) | Err(Errno::EXIST) => Ok(()), // An image may bring its own.
        Err(errno) => Err(Fault { step: Step::MakeSymlink, errno }),
    }
}
