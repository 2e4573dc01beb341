//! The opener: a child of stage 0 that keeps the host's privileges while the other
//! processes enter a user namespace. It joins the container's mount namespace. There it
//! opens paths that the mapped root may not reach, and makes device nodes, which a user
//! namespace may not. It serves the requests of stage 2 one by one, until stage 2
//! closes the socket.
//!
//! **Invariant:** it mounts nothing before it has joined that mount namespace.

use core::ffi::CStr;

use linux_raw_sys::general::CLONE_NEWNS;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Uid, chownat, fstat, openat};
use rustix::io::IoSlice;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use vial_plan::{Call, Cursor, Step};

use crate::Life;
use crate::channel::send;
use crate::fault::{During, Fault, Prepared};
use crate::fds::close_all_but;
use crate::path::PATH_MAX;
use crate::procfs::Procfs;
use crate::rootfs::device::Node;
use crate::rootfs::{attach, clone_tree};
use crate::slots::Slots;
use crate::stage0::Outside;
use crate::sys::clone3::{Side, clone3};
use crate::sys::exit::exit;
use crate::sys::recvmsg::receive;
use crate::sys::setns::setns;

const ENTER: u8 = b'e';
const OPEN: u8 = b'o';
const NODE: u8 = b'n';

/// Starts the opener and puts the socket to it into this slot.
pub fn start(life: &mut Life, outside: &mut Outside, socket: u32) -> Result<(), Fault> {
    let (ours, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .during(Call::Socketpair, Step::StartOpener)?;
    match clone3(0, None).during(Call::Clone3, Step::StartOpener)? {
        Side::Child { .. } => serve(&theirs, life.procfs.as_ref()),
        Side::Parent { child } => {
            outside.opener_pid = child;
            life.slots.put(socket, ours)
        }
    }
}

/// Closes this end of the socket and waits for the opener to exit. It exits when stage
/// 2 has closed its end, too.
pub fn end(life: &mut Life, outside: &Outside, socket: u32) -> Result<(), Fault> {
    drop(life.slots.take(socket));
    let pid = Pid::from_raw(outside.opener_pid.cast_signed()).prepared()?;
    waitid(WaitId::Pid(pid), WaitIdOptions::EXITED).during(Call::Waitid, Step::StartOpener)?;
    Ok(())
}

/// The opener, as stage 2 sees it.
#[derive(Debug)]
pub struct Opener(OwnedFd);

impl Opener {
    /// Moves the opener into the mount namespace of this process. None: it may not
    /// join, and the container must do without it.
    pub fn enter(socket: OwnedFd, procfs: &Procfs) -> Option<Opener> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let namespace = openat(procfs, c"self/ns/mnt", flags, Mode::empty()).ok()?;
        let opener = Opener(socket);
        opener.ask(&[IoSlice::new(&[ENTER])], Some(namespace.as_fd())).ok()?;
        Some(opener)
    }

    /// Opens a path of the host; returns an O_PATH fd.
    pub fn open(&self, path: &CStr) -> Result<OwnedFd, Fault> {
        let request = [IoSlice::new(&[OPEN]), IoSlice::new(path.to_bytes_with_nul())];
        self.ask(&request, None)?.prepared()
    }

    /// Makes a device node with the owner of `target`, and mounts it on `target`.
    pub fn make_node(&self, node: &Node, target: BorrowedFd<'_>) -> Result<(), Fault> {
        let [mode, major, minor] = [node.mode, node.major, node.minor].map(u32::to_le_bytes);
        let request = [&[NODE][..], &mode, &major, &minor].map(IoSlice::new);
        self.ask(&request, Some(target)).map(|_| ())
    }

    fn ask(
        &self,
        request: &[IoSlice<'_>],
        fd: Option<BorrowedFd<'_>>,
    ) -> Result<Option<OwnedFd>, Fault> {
        send(self.0.as_fd(), request, fd).during(Call::Sendmsg, Step::AskOpener)?;
        let mut reply = [0; 4];
        let (_, fd) = receive(self.0.as_fd(), &mut reply).during(Call::Recvmsg, Step::AskOpener)?;
        match Fault::from_number(u32::from_le_bytes(reply)) {
            None => Ok(fd),
            Some(fault) => Err(fault),
        }
    }
}

fn serve(socket: &OwnedFd, procfs: Option<&Procfs>) -> ! {
    // Close the copies of the others' fds: nobody would see EOF while they are open.
    if close_all_but(3, &[socket.as_fd()], &Slots(&mut []), procfs).is_err() {
        exit(1);
    }
    rustix::process::umask(Mode::empty());
    let mut is_inside = false;
    let mut request = [0; PATH_MAX + 1];
    loop {
        let (length, fd) = match receive(socket.as_fd(), &mut request) {
            Ok((0, _)) | Err(_) => exit(0),
            Ok(received) => received,
        };
        let done = match request.get(..length).and_then(|request| request.split_first()) {
            Some((&ENTER, _)) if !is_inside => enter(fd, &mut is_inside),
            Some((&OPEN, path)) if is_inside => open(path).map(Some),
            Some((&NODE, numbers)) if is_inside => make_node(numbers, fd).map(|()| None),
            _ => Err(Fault::PLAN),
        };
        let (fault, fd) = match done {
            Ok(fd) => (0, fd),
            Err(fault) => (fault.number(), None),
        };
        let reply = fault.to_le_bytes();
        let reply = IoSlice::new(&reply);
        if send(socket.as_fd(), &[reply], fd.as_ref().map(AsFd::as_fd)).is_err() {
            exit(0); // Stage 2 is gone.
        }
    }
}

fn enter(namespace: Option<OwnedFd>, is_inside: &mut bool) -> Result<Option<OwnedFd>, Fault> {
    let namespace = namespace.prepared()?;
    setns(namespace.as_fd(), CLONE_NEWNS).during(Call::Setns, Step::JoinNamespace)?;
    *is_inside = true;
    Ok(None)
}

fn open(path: &[u8]) -> Result<OwnedFd, Fault> {
    let path = CStr::from_bytes_with_nul(path).ok().prepared()?;
    openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .during(Call::Openat, Step::FindSource)
}

/// Makes the node in a tmpfs of its own, so that the container reaches no inode of the
/// host. The tmpfs is mounted on /proc of this mount namespace, which nobody uses at
/// this time, and unmounted at once. A detached tmpfs cannot be used: open_tree(2)
/// could not copy from one before Linux 6.15.
fn make_node(numbers: &[u8], target: Option<OwnedFd>) -> Result<(), Fault> {
    let target = target.prepared()?;
    let mut cursor = Cursor::new(numbers);
    let [mode, major, minor] = [(); 3].map(|()| cursor.u32());
    if !cursor.is_right() {
        return Err(Fault::PLAN);
    }
    let node = Node { mode, major, minor, uid: 0, gid: 0 };
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    mount(c"vial-node", c"/proc", c"tmpfs", flags, None).during(Call::Mount, Step::Mount)?;
    let tree = copy_of_node(&node, &target);
    unmount(c"/proc", UnmountFlags::DETACH).during(Call::Umount2, Step::DetachOldRoot)?;
    attach(tree?.as_fd(), target.as_fd()).during(Call::MoveMount, Step::AttachMount)
}

fn copy_of_node(node: &Node, target: &OwnedFd) -> Result<OwnedFd, Fault> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory =
        openat(CWD, c"/proc", flags, Mode::empty()).during(Call::Openat, Step::MakeDevice)?;
    node.make(&directory, c"node").during(Call::Mknodat, Step::MakeDevice)?;
    let owner = fstat(target).during(Call::Fstat, Step::SetOwner)?;
    let (uid, gid) = (Uid::from_raw(owner.st_uid), Gid::from_raw(owner.st_gid));
    chownat(&directory, c"node", Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
        .during(Call::Fchownat, Step::SetOwner)?;
    clone_tree(directory.as_fd(), c"node", false).during(Call::OpenTree, Step::OpenSource)
}
