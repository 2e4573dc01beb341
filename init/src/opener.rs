//! The opener: a child of stage 0 that keeps the host's privileges while the other
//! processes enter a user namespace. It joins the container's mount namespace. There it
//! opens paths that the mapped root may not reach, and makes device nodes, which a user
//! namespace may not. It serves the requests of stage 2 one by one, until stage 2
//! closes the socket.
//!
//! **Invariant:** it mounts nothing before it has joined that mount namespace.

use core::ffi::CStr;

use linux_raw_sys::general::{CLONE_NEWNS, MS_SLAVE};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Uid, chownat, fstat, fstatfs, openat};
use rustix::io::{Errno, IoSlice};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, WaitId, WaitIdOptions, getppid, waitid};
use vial_plan::{Call, Cursor, Step};

use crate::Life;
use crate::channel::send;
use crate::fault::{During, Fault, Prepared};
use crate::fds::close_all_but;
use crate::id_map;
use crate::path::{PATH_MAX, PathBuffer};
use crate::procfs::Procfs;
use crate::rootfs::attributes::ALIKE;
use crate::rootfs::bind::{Bind, Source, open_path};
use crate::rootfs::device::Node;
use crate::rootfs::{attach, clone_tree};
use crate::slots::Slots;
use crate::stage0::Outside;
use crate::sys::clone3::{Side, clone3};
use crate::sys::exit::exit;
use crate::sys::mount_setattr::{Attributes, mount_setattr};
use crate::sys::recvmsg::receive;
use crate::sys::setns::setns;

const ENTER: u8 = b'e';
const OPEN: u8 = b'o';
const TREE: u8 = b't';
const NODE: u8 = b'n';

/// Flags of a request to open a path.
const BARE: u8 = 1;
const RECURSIVE: u8 = 2;
const BELOW: u8 = 4;
const OF_HOST: u8 = 8;

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

    /// Opens a path of the host; returns an O_PATH fd. bare: a symbolic link is not
    /// followed.
    pub fn open(&self, path: &CStr, bare: bool) -> Result<OwnedFd, Fault> {
        self.ask_for_path(OPEN, u8::from(bare) * BARE, path, None)
    }

    /// Returns a detached copy of the source's mount, with its ids mapped if they are to
    /// be. Only the host's root may map those of a filesystem of the host. of_host: it is
    /// copied in the host's mount namespace, where no attribute is locked, and without
    /// the mounts below it.
    pub fn open_tree(&self, bind: &Bind<'_>, of_host: bool) -> Result<OwnedFd, Fault> {
        let maps_below = bind.ids.is_some_and(|ids| ids.below);
        let is = |set: bool, flag: u8| u8::from(set) * flag;
        let flags = is(bind.bare_source, BARE)
            | is(bind.recursive, RECURSIVE)
            | is(maps_below, BELOW)
            | is(of_host, OF_HOST);
        self.ask_for_path(TREE, flags, bind.source, bind.ids.map(|ids| ids.namespace))
    }

    fn ask_for_path(
        &self,
        what: u8,
        flags: u8,
        path: &CStr,
        fd: Option<BorrowedFd<'_>>,
    ) -> Result<OwnedFd, Fault> {
        let kind = [what, flags];
        let request = [IoSlice::new(&kind), IoSlice::new(path.to_bytes_with_nul())];
        self.ask(&request, fd)?.prepared()
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
    let kept = procfs.map_or(socket.as_fd(), AsFd::as_fd);
    if close_all_but(3, &[socket.as_fd(), kept], &Slots(&mut []), procfs).is_err() {
        exit(1);
    }
    rustix::process::umask(Mode::empty());
    let mut inside = None;
    let mut request = [0; PATH_MAX + 2];
    loop {
        let (length, fd) = match receive(socket.as_fd(), &mut request) {
            Ok((0, _)) | Err(_) => exit(0),
            Ok(received) => received,
        };
        let done = match request.get(..length).and_then(|request| request.split_first()) {
            Some((&ENTER, _)) => enter(fd, &mut inside),
            Some((what, request)) => match (what, &inside) {
                (&OPEN, Some(_)) => open(request).map(Some),
                (&TREE, Some(inside)) => open_tree(request, fd, inside, procfs).map(Some),
                (&NODE, Some(_)) => make_node(request, fd).map(|()| None),
                _ => Err(Fault::PLAN),
            },
            None => Err(Fault::PLAN),
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

fn enter(
    namespace: Option<OwnedFd>,
    inside: &mut Option<OwnedFd>,
) -> Result<Option<OwnedFd>, Fault> {
    let namespace = namespace.prepared()?;
    join(&namespace)?;
    *inside = Some(namespace);
    Ok(None)
}

fn join(namespace: &OwnedFd) -> Result<(), Fault> {
    setns(namespace.as_fd(), CLONE_NEWNS).during(Call::Setns, Step::JoinNamespace)
}

fn open(request: &[u8]) -> Result<OwnedFd, Fault> {
    let (flags, path) = flags_and_path(request)?;
    open_path(CWD, path, flags & BARE != 0)
}

/// Returns a detached copy of the mount at a path. If `ids` is given, the copy gets the
/// mappings of that user namespace.
fn open_tree(
    request: &[u8],
    ids: Option<OwnedFd>,
    inside: &OwnedFd,
    procfs: Option<&Procfs>,
) -> Result<OwnedFd, Fault> {
    let (flags, path) = flags_and_path(request)?;
    let (recursive, bare) = (flags & RECURSIVE != 0, flags & BARE != 0);
    let opened = (flags & OF_HOST == 0).then(|| Source::path(path, recursive, bare).open_tree());
    let tree = match opened {
        Some(Err(fault)) if recursive || fault.errno() != Errno::INVAL => return Err(fault),
        Some(Ok(tree)) => tree,
        // One mount alone: in a copy of the host's, those below it would not be locked.
        _ => open_tree_of_host(&Source::path(path, false, bare), inside, procfs)?,
    };
    if let Some(namespace) = ids {
        id_map::apply(&tree, namespace.as_fd(), flags & BELOW != 0)?;
    }
    Ok(tree)
}

/// In the container's mount namespace the host's mounts are locked onto each other
/// (mount_namespaces(7)), so none can be copied without those below it. In the host's
/// own mount namespace it can, where this process goes for the one call. The parent
/// process is still there.
fn open_tree_of_host(
    source: &Source<'_>,
    inside: &OwnedFd,
    procfs: Option<&Procfs>,
) -> Result<OwnedFd, Fault> {
    let procfs = procfs.prepared()?;
    let parent = getppid().prepared()?.as_raw_nonzero().get().unsigned_abs();
    let mut path: PathBuffer<32> = PathBuffer::empty();
    path.push_number(parent)
        .and_then(|path| path.push(b"/ns/mnt"))
        .during(Call::None, Step::OpenNamespace)?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let outside = openat(procfs, path.as_c_str(), flags, Mode::empty())
        .during(Call::Openat, Step::OpenNamespace)?;
    join(&outside)?;
    let tree = source.open_tree();
    if join(inside).is_err() {
        exit(1); // Nothing may be mounted out here.
    }
    let tree = tree?;
    // Nothing is locked on this copy. With CAP_SYS_ADMIN in its user namespace, the
    // container could take away what protects the host, so do not hand it out.
    let flags = fstatfs(&tree).during(Call::Fstatfs, Step::ReadAttributes)?.f_flags as u32;
    if flags & ALIKE != 0 {
        return Err(Errno::INVAL).during(Call::OpenTree, Step::OpenSource);
    }
    // Like all mounts of the container, it must not propagate to the host.
    let slave = Attributes { propagation: MS_SLAVE.into(), ..Attributes::default() };
    mount_setattr(tree.as_fd(), true, &slave).during(Call::MountSetattr, Step::SetPropagation)?;
    Ok(tree)
}

fn flags_and_path(request: &[u8]) -> Result<(u8, &CStr), Fault> {
    let (flags, path) = request.split_first().prepared()?;
    Ok((*flags, CStr::from_bytes_with_nul(path).ok().prepared()?))
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
    clone_tree(directory.as_fd(), c"node", false, false).during(Call::OpenTree, Step::OpenSource)
}
