//! Joins existing namespaces: one given by a path, or those of a process.

use core::ffi::CStr;

use linux_raw_sys::general::{
    CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWTIME,
    CLONE_NEWUSER, CLONE_NEWUTS,
};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, open, openat};
use rustix::io::Errno;
use vial_plan::{Call, Step};

use crate::fault::{During, Fault};
use crate::path::PathBuffer;
use crate::procfs::Procfs;
use crate::sys::setns::setns;

const FILE: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC);

/// The files of /proc/PID/ns by their CLONE_NEW* flags. The user namespace comes first:
/// it gives the right to join the namespaces that it owns.
const KINDS: [(u32, &[u8]); 8] = [
    (CLONE_NEWUSER, b"user"),
    (CLONE_NEWNS, b"mnt"),
    (CLONE_NEWUTS, b"uts"),
    (CLONE_NEWIPC, b"ipc"),
    (CLONE_NEWNET, b"net"),
    (CLONE_NEWPID, b"pid"),
    (CLONE_NEWCGROUP, b"cgroup"),
    (CLONE_NEWTIME, b"time"),
];

/// Joins the namespace at a path, which must be of this kind.
pub fn path(path: &CStr, kind: u32) -> Result<(), Fault> {
    let namespace = open(path, FILE, Mode::empty()).during(Call::Open, Step::OpenNamespace)?;
    setns(namespace.as_fd(), kind).during(Call::Setns, Step::JoinNamespace)
}

/// Joins namespaces of a process, by its pidfd if there is one.
pub fn process(
    pidfd: Option<BorrowedFd<'_>>,
    pid: u32,
    kinds: u32,
    procfs: &Procfs,
) -> Result<(), Fault> {
    match pidfd.map(|pidfd| setns(pidfd, kinds)) {
        // KERNEL(5.8): setns(2) does not take a pidfd.
        None | Some(Err(Errno::INVAL | Errno::NOSYS)) => by_files(pid, kinds, procfs),
        Some(result) => result.during(Call::Setns, Step::JoinNamespace),
    }
}

/// Opens all files before joining the first: joining may take away the right to open
/// them.
fn by_files(pid: u32, kinds: u32, procfs: &Procfs) -> Result<(), Fault> {
    let mut namespaces: [Option<OwnedFd>; KINDS.len()] = [const { None }; KINDS.len()];
    let wanted = || KINDS.iter().filter(|(kind, _)| kinds & kind != 0);
    for (place, (_, name)) in namespaces.iter_mut().zip(wanted()) {
        let mut path: PathBuffer<32> = PathBuffer::empty();
        path.push_number(pid)
            .and_then(|path| path.push(b"/ns/"))
            .and_then(|path| path.push(name))
            .during(Call::None, Step::OpenNamespace)?;
        let file = openat(procfs, path.as_c_str(), FILE, Mode::empty());
        *place = Some(file.during(Call::Openat, Step::OpenNamespace)?);
    }
    for (namespace, (kind, _)) in namespaces.iter().flatten().zip(wanted()) {
        setns(namespace.as_fd(), *kind).during(Call::Setns, Step::JoinNamespace)?;
    }
    Ok(())
}
