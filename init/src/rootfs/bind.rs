//! Bind mounts: a detached copy of the source gets its attributes before it is
//! attached, so that nobody ever sees it with others.

use core::ffi::CStr;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount, mount_move};
use vial_plan::{Call, Step};

use super::resolve::Make;
use super::{FdPath, Rootfs, attach, attributes as attr, clone_tree, covers, is_directory};
use crate::fault::{During, Fault, Prepared};
use crate::id_map;
use crate::sys::mount_setattr::{Attributes, mount_setattr};

/// MOUNT_ATTR_* to set and to clear.
pub fn attributes(set: u64, clear: u64) -> Attributes {
    Attributes { set, clear, ..Attributes::default() }
}

/// What is bound: a path below a directory, or with an empty path what the fd refers to.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    at: BorrowedFd<'a>,
    path: &'a CStr,
    /// Whether what is mounted below it is bound, too.
    recursive: bool,
    /// Whether a symbolic link at the path is not followed.
    bare: bool,
}

impl<'a> Source<'a> {
    /// A path of the host.
    pub fn path(path: &'a CStr, recursive: bool, bare: bool) -> Self {
        Source { at: CWD, path, recursive, bare }
    }

    /// What an fd refers to.
    pub fn fd(at: BorrowedFd<'a>, recursive: bool) -> Self {
        Source { at, path: c"", recursive, bare: false }
    }

    /// The file of this name in a directory.
    pub fn below(at: BorrowedFd<'a>, path: &'a CStr) -> Self {
        Source { at, path, recursive: false, bare: false }
    }

    fn open(&self) -> Result<Opened, Fault> {
        match self.open_tree() {
            Err(fault) if is_hidden(fault) => self.open_original().map(Opened::Original),
            copy => copy.map(Opened::Copy),
        }
    }

    /// A detached copy.
    pub fn open_tree(&self) -> Result<OwnedFd, Fault> {
        clone_tree(self.at, self.path, self.recursive, self.bare)
            .during(Call::OpenTree, Step::OpenSource)
    }

    fn open_original(&self) -> Result<OwnedFd, Fault> {
        match self.path.is_empty() {
            true => {
                rustix::io::fcntl_dupfd_cloexec(self.at, 3).during(Call::Fcntl, Step::FindSource)
            }
            false => open_path(self.at, self.path, self.bare),
        }
    }
}

/// Opens a source with O_PATH. bare: a symbolic link is not followed.
pub fn open_path(at: BorrowedFd<'_>, path: &CStr, bare: bool) -> Result<OwnedFd, Fault> {
    let flags = if bare { OFlags::PATH | OFlags::NOFOLLOW } else { OFlags::PATH };
    openat(at, path, flags | OFlags::CLOEXEC, Mode::empty()).during(Call::Openat, Step::FindSource)
}

/// The mapping of a mount's ids.
#[derive(Clone, Copy, Debug)]
pub struct Ids<'a> {
    /// A user namespace with the mappings.
    pub namespace: BorrowedFd<'a>,
    /// Whether the mounts below get it, too.
    pub below: bool,
}

/// An opened source: a detached copy of its mount, or an fd of the original where
/// open_tree(2) is missing.
enum Opened {
    Copy(OwnedFd),
    Original(OwnedFd),
}

/// A bind mount of config.json.
#[derive(Clone, Copy, Debug)]
pub struct Bind<'a> {
    /// A path of the host.
    pub source: &'a CStr,
    /// A path of the rootfs.
    pub target: &'a CStr,
    /// Whether what is mounted below the source is bound, too.
    pub recursive: bool,
    /// Whether a symbolic link at the source is bound itself.
    pub bare_source: bool,
    /// Whether a symbolic link at the target is covered itself.
    pub bare_target: bool,
    /// The mapping of its ids.
    pub ids: Option<Ids<'a>>,
}

impl Bind<'_> {
    /// Makes the mount. If root of the user namespace may not reach the source, or map
    /// its ids, the opener opens it.
    pub fn mount(&self, rootfs: &Rootfs, change: &Attributes) -> Result<OwnedFd, Fault> {
        let Bind { source, recursive, bare_source: bare, .. } = *self;
        let by_path = Source::path(source, recursive, bare);
        let opened = match (&self.ids, &rootfs.opener) {
            (Some(ids), None) => {
                let tree = by_path.open_tree()?;
                id_map::apply(&tree, ids.namespace, ids.below)?;
                Opened::Copy(tree)
            }
            (Some(_), Some(opener)) => Opened::Copy(opener.open_tree(self, false)?),
            (None, None) => by_path.open()?,
            (None, Some(opener)) => match by_path.open() {
                Err(fault) if is_out_of_reach(fault) => match opener.open_tree(self, false) {
                    Err(fault) if is_hidden(fault) => {
                        let original = opener.open(source, bare)?;
                        let source = Source::fd(original.as_fd(), recursive);
                        return self.attach(rootfs, source.open()?, &source, change);
                    }
                    tree => Opened::Copy(tree?),
                },
                opened => opened?,
            },
        };
        let opened = self.unlocked(rootfs, opened, change);
        self.attach(rootfs, opened, &by_path, change)
    }

    /// In a user namespace, the attributes of the host's mounts are locked. Where one
    /// is to change, this returns a copy by the opener, whose are not. The opener
    /// refuses if a locked one protects the host. A source with mounts below it cannot be
    /// copied without them here (mount_namespaces(7)), and keeps its locks.
    fn unlocked(&self, rootfs: &Rootfs, opened: Opened, change: &Attributes) -> Opened {
        let alone = Source::path(self.source, false, self.bare_source);
        if let (Opened::Copy(tree), Some(opener)) = (&opened, &rootfs.opener)
            && change.set | change.clear != 0
            && mount_setattr(tree.as_fd(), false, change) == Err(Errno::PERM)
            && (!self.recursive || alone.open_tree().is_ok())
            && let Ok(tree) = opener.open_tree(self, true)
        {
            return Opened::Copy(tree);
        }
        opened
    }

    fn attach(
        &self,
        rootfs: &Rootfs,
        opened: Opened,
        source: &Source<'_>,
        change: &Attributes,
    ) -> Result<OwnedFd, Fault> {
        let (Opened::Copy(found) | Opened::Original(found)) = &opened;
        let make = match is_directory(found.as_fd()).during(Call::Fstat, Step::FindSource)? {
            true => Make::Directory,
            false => Make::File,
        };
        let mount_point = match self.bare_target {
            true => rootfs.bare_mount_point(self.target, make)?,
            false => rootfs.mount_point(self.target, make, false)?.fd,
        };
        attach_opened(rootfs, opened, source, mount_point.as_fd(), change, self.ids.is_some())
    }
}

/// EACCES: root of the user namespace may not reach the source. EINVAL: it may not bind
/// the source without the host's mounts below it, as that would uncover what they cover.
fn is_out_of_reach(fault: Fault) -> bool {
    let is_source = matches!(fault.step(), Step::OpenSource | Step::FindSource);
    is_source && matches!(fault.errno(), Errno::ACCESS | Errno::INVAL)
}

/// KERNEL(5.2): without open_tree, or with a seccomp filter that hides it.
fn is_hidden(fault: Fault) -> bool {
    matches!(fault.errno(), Errno::NOSYS | Errno::PERM) && fault.call() == Call::OpenTree
}

/// Binds a source on what an fd refers to.
pub fn bind_on(
    rootfs: &Rootfs,
    source: &Source<'_>,
    mount_point: BorrowedFd<'_>,
    change: &Attributes,
) -> Result<OwnedFd, Fault> {
    attach_opened(rootfs, source.open()?, source, mount_point, change, false)
}

fn attach_opened(
    rootfs: &Rootfs,
    opened: Opened,
    source: &Source<'_>,
    mount_point: BorrowedFd<'_>,
    change: &Attributes,
    is_mapped: bool,
) -> Result<OwnedFd, Fault> {
    let tree = match opened {
        Opened::Copy(tree) => tree,
        Opened::Original(original) => {
            return bind_by_name(rootfs, original.as_fd(), source.recursive, mount_point, change);
        }
    };
    let mut is_set = true;
    if change.set | change.clear != 0 {
        match mount_setattr(tree.as_fd(), false, change) {
            // KERNEL(5.12): mount(2) can change only an attached mount.
            Err(Errno::NOSYS | Errno::PERM) => is_set = false,
            result => result.during(Call::MountSetattr, Step::SetAttributes)?,
        }
    }
    match attach(tree.as_fd(), mount_point) {
        // A seccomp filter hides only move_mount(2).
        Err(Errno::NOSYS | Errno::PERM) if !is_mapped => {
            drop(tree);
            let original = source.open_original()?;
            return bind_by_name(rootfs, original.as_fd(), source.recursive, mount_point, change);
        }
        result => result.during(Call::MoveMount, Step::AttachMount)?,
    }
    if !is_set {
        attr::remount(rootfs, tree.as_fd(), change)?;
    }
    Ok(tree)
}

/// KERNEL(5.2): without open_tree and move_mount, or with a seccomp filter that hides
/// them. Makes the bind on a cover, where nobody else can find it, sets its attributes
/// there, and moves it. Its fd is known all the time.
fn bind_by_name(
    rootfs: &Rootfs,
    original: BorrowedFd<'_>,
    recursive: bool,
    mount_point: BorrowedFd<'_>,
    change: &Attributes,
) -> Result<OwnedFd, Fault> {
    let name = covers::name(is_directory(original).during(Call::Fstat, Step::FindSource)?);
    let (covers, _) = rootfs.covers.as_ref().prepared()?;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let bare = openat(covers, name, flags, Mode::empty()).during(Call::Openat, Step::FindMount)?;
    let kind = if recursive { MountFlags::BIND | MountFlags::REC } else { MountFlags::BIND };
    let (from, on) = (&mut FdPath::empty(), &mut FdPath::empty());
    let (from, on) = (rootfs.fd_path(original, from)?, rootfs.fd_path(bare.as_fd(), on)?);
    mount(from, on, c"", kind, None).during(Call::Mount, Step::Mount)?;
    let bound = openat(covers, name, flags, Mode::empty()).during(Call::Openat, Step::FindMount)?;
    if change.set | change.clear != 0 {
        attr::remount(rootfs, bound.as_fd(), change)?;
    }
    let (from, on) = (&mut FdPath::empty(), &mut FdPath::empty());
    let (from, on) = (rootfs.fd_path(bound.as_fd(), from)?, rootfs.fd_path(mount_point, on)?);
    mount_move(from, on).during(Call::Mount, Step::MoveMount)?;
    Ok(bound)
}
