//! The mappings of idmapped mounts. The kernel takes them from a user namespace, which
//! needs no process of its own.

use core::ffi::CStr;

use linux_raw_sys::general::CLONE_NEWUSER;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use vial_plan::{Call, Step};

use crate::fault::{During, Fault, Prepared};
use crate::path::PathBuffer;
use crate::procfs::Procfs;
use crate::sys::clone3::{Side, clone3};
use crate::sys::exit::exit;
use crate::sys::mount_setattr::{Attributes, mount_setattr};

const STEP: Step = Step::MakeIdMap;
const FILE: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC);

/// Makes a user namespace with these mappings. Only a process can make one, so a child
/// does, and exits.
pub fn make(procfs: &Procfs, uids: &CStr, gids: &CStr) -> Result<OwnedFd, Fault> {
    let (reading, writing) = pipe_with(PipeFlags::CLOEXEC).during(Call::Pipe2, STEP)?;
    match clone3(CLONE_NEWUSER.into(), None).during(Call::Clone3, STEP)? {
        Side::Child { .. } => {
            drop(writing);
            // EOF: the parent has opened the namespace, or is gone.
            let _ = rustix::io::read(&reading, &mut [0; 1][..]);
            exit(0)
        }
        Side::Parent { child } => {
            let made = map(procfs, child, uids, gids);
            drop(writing);
            let pid = Pid::from_raw(child.cast_signed()).prepared()?;
            waitid(WaitId::Pid(pid), WaitIdOptions::EXITED).during(Call::Waitid, STEP)?;
            made
        }
    }
}

fn map(procfs: &Procfs, child: u32, uids: &CStr, gids: &CStr) -> Result<OwnedFd, Fault> {
    procfs.write_of(child, b"/uid_map", uids.to_bytes())?;
    procfs.write_of(child, b"/gid_map", gids.to_bytes())?;
    let mut path: PathBuffer<32> = PathBuffer::empty();
    path.push_number(child).and_then(|path| path.push(b"/ns/user")).during(Call::None, STEP)?;
    openat(procfs, path.as_c_str(), FILE, Mode::empty()).during(Call::Openat, STEP)
}

/// Opens the user namespace at a path.
pub fn open(path: &CStr) -> Result<OwnedFd, Fault> {
    openat(CWD, path, FILE, Mode::empty()).during(Call::Openat, STEP)
}

/// Maps the ids of a detached mount; below: and of those below it. Linux 5.12: nothing
/// else maps ids.
pub fn apply(tree: &OwnedFd, namespace: BorrowedFd<'_>, below: bool) -> Result<(), Fault> {
    let attributes = Attributes::ids_of(namespace);
    mount_setattr(tree.as_fd(), below, &attributes).during(Call::MountSetattr, Step::MapMountIds)
}
