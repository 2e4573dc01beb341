//! Resolves a path of config.json to an fd below the rootfs, and makes what is missing.

use core::ffi::CStr;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, ResolveFlags, fstat, fstatfs, openat, openat2};
use rustix::io::Errno;
use vial_plan::{Call, Step};

use super::{Rootfs, walk};
use crate::fault::{During, Fault};
use crate::path::{PathBuffer, split_name};
use crate::procfs::PROC_SUPER_MAGIC;

/// How often EAGAIN is tried again: a rename or mount elsewhere raced with `..`.
pub(super) const ATTEMPTS: u32 = 32;

const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY);

/// What to make where nothing exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Make {
    /// A directory.
    Directory,
    /// An empty file.
    File,
}

/// A mount point.
#[derive(Debug)]
pub struct MountPoint {
    /// An O_PATH fd of it.
    pub fd: OwnedFd,
    /// Whether it was made for this mount.
    pub is_new: bool,
    /// The directory in which it was made, if no symbolic link leads there.
    parent: Option<OwnedFd>,
}

type Result<T> = core::result::Result<T, Fault>;

impl Rootfs {
    /// Resolves a path to an O_PATH fd. Symbolic links are followed within the rootfs;
    /// strict: a symbolic link anywhere is ELOOP.
    pub fn resolve(&self, path: &CStr, strict: bool) -> Result<OwnedFd> {
        self.open_at(path, OFlags::PATH, strict)
    }

    /// Opens a path.
    pub fn open_at(&self, path: &CStr, flags: OFlags, strict: bool) -> Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC;
        match self.open_at_once(path, flags, strict) {
            // KERNEL(5.6): no openat2, or a seccomp filter that hides it.
            Err(Errno::NOSYS | Errno::PERM) => {
                walk::open(self.root(), path.to_bytes(), flags, strict)
            }
            result => result.during(Call::Openat2, Step::ResolveTarget),
        }
    }

    fn open_at_once(
        &self,
        path: &CStr,
        flags: OFlags,
        strict: bool,
    ) -> rustix::io::Result<OwnedFd> {
        let mut resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        if strict {
            resolve |= ResolveFlags::NO_SYMLINKS;
        }
        let mut result = Err(Errno::AGAIN);
        for _ in 0..ATTEMPTS {
            result = openat2(self.root(), path, flags, Mode::empty(), resolve);
            if !matches!(result, Err(Errno::AGAIN)) {
                break;
            }
        }
        result
    }

    /// Finds the mount point at a path, and makes it and its parents if they do not
    /// exist. Symbolic links are followed within the rootfs, and what they lead to is
    /// made if it is missing. But /proc, /sys and /dev must not be symbolic links, and no
    /// link may lead into /proc. strict: no symbolic link is allowed at all.
    pub fn mount_point(&self, path: &CStr, make: Make, strict: bool) -> Result<MountPoint> {
        let found = match self.resolve(path, true) {
            Err(fault) if fault.errno() == Errno::LOOP && !strict => {
                self.check_first(path)?;
                let found = self.resolve(path, false);
                found.as_ref().map_or(Ok(()), |found| self.keep_off_proc(path, found.as_fd()))?;
                found
            }
            found => found,
        };
        match found {
            Ok(fd) => Ok(MountPoint { fd, is_new: false, parent: None }),
            Err(fault) if fault.errno() == Errno::NOENT => self.make_missing(path, make),
            Err(fault) => Err(refused(fault, strict)),
        }
    }

    /// The same, but a symbolic link that is the last component is the mount point itself.
    pub fn bare_mount_point(&self, path: &CStr, make: Make) -> Result<OwnedFd> {
        let (parent, name) = self.parent(path)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(&parent, name, flags, Mode::empty()) {
            Err(Errno::NOENT) => walk::make_in(parent.as_fd(), name, make),
            found => found.during(Call::Openat, Step::ResolveTarget),
        }
    }

    /// Finds the directory at a path, and makes it and its parents if they do not
    /// exist.
    pub fn make_directory(&self, path: &CStr) -> Result<OwnedFd> {
        match self.open_at(path, DIRECTORY, false) {
            Err(fault) if fault.errno() == Errno::NOENT => {
                Ok(self.make_missing(path, Make::Directory)?.fd)
            }
            found => found.map_err(|fault| refused(fault, false)),
        }
    }

    /// Makes what is missing, in a parent that was resolved within the rootfs. A symbolic
    /// link that somebody puts there in between cannot redirect it.
    fn make_missing(&self, path: &CStr, make: Make) -> Result<MountPoint> {
        let (above, name) = split_name(path);
        let mut parent: PathBuffer = PathBuffer::empty();
        parent.push(b"/").and_then(|p| p.push(above)).during(Call::None, Step::ResolveTarget)?;
        // In most cases only the last component is missing.
        let (found, is_strict) = match self.open_at(parent.as_c_str(), DIRECTORY, true) {
            Err(fault) if fault.errno() == Errno::LOOP => {
                (self.open_at(parent.as_c_str(), DIRECTORY, false), false)
            }
            found => (found, true),
        };
        if let Ok(parent) = found
            && check_name(name).is_ok()
        {
            match walk::make_in(parent.as_fd(), name, make) {
                Err(fault) if fault.errno() == Errno::EXIST => {} // A dangling symbolic link.
                made => {
                    let parent = is_strict.then_some(parent);
                    return Ok(MountPoint { fd: made?, is_new: true, parent });
                }
            }
        }
        let made = walk::make(self.root(), path.to_bytes(), make, false).map_err(|fault| {
            let generic = fault.step() == Step::ResolveTarget;
            if generic { refused(fault, false) } else { fault }
        })?;
        self.keep_off_proc(path, made.as_fd())?;
        Ok(MountPoint { fd: made, is_new: true, parent: None })
    }

    /// Finds the mount point of a new filesystem. It is usually in the same directory as
    /// the last one, which is remembered until something else is mounted and may cover it.
    pub fn mount_point_beside(&mut self, path: &'static CStr, strict: bool) -> Result<MountPoint> {
        let (above, name) = split_name(path);
        if let Some((known, parent)) = &self.nodes
            && *known == above
            && check_name(name).is_ok()
        {
            match walk::make_in(parent.as_fd(), name, Make::Directory) {
                Err(fault) if fault.errno() == Errno::EXIST => {} // It exists.
                made => return Ok(MountPoint { fd: made?, is_new: true, parent: None }),
            }
        }
        self.forget_nodes();
        let mut mount_point = self.mount_point(path, Make::Directory, strict)?;
        self.nodes = mount_point.parent.take().map(|parent| (above, parent));
        Ok(mount_point)
    }

    /// Refuses a symbolic link at /proc, /sys or /dev: it would redirect everything
    /// below.
    fn check_first(&self, path: &CStr) -> Result<()> {
        for (first, root) in [(&b"proc"[..], c"proc"), (b"sys", c"sys"), (b"dev", c"dev")] {
            if first_component(path.to_bytes()) == first
                && let Err(fault) = self.resolve(root, true)
                && fault.errno() == Errno::LOOP
            {
                return Err(refused(fault, true));
            }
        }
        Ok(())
    }

    /// Refuses a mount in /proc that a symbolic link leads to. Programs trust what is
    /// in /proc, so the planner allows mounts on only a few of its files, by name.
    fn keep_off_proc(&self, path: &CStr, mount_point: BorrowedFd<'_>) -> Result<()> {
        if first_component(path.to_bytes()) == b"proc" {
            return Ok(());
        }
        let identity = |fd: BorrowedFd<'_>| {
            fstat(fd)
                .map(|stat| (stat.st_dev, stat.st_ino))
                .during(Call::Fstat, Step::ResolveTarget)
        };
        let is_its_root = match self.resolve(c"proc", true) {
            Ok(proc) => identity(proc.as_fd())? == identity(mount_point)?,
            Err(_) => false, // There is no /proc, or it is a symbolic link.
        };
        let magic = fstatfs(mount_point).during(Call::Fstatfs, Step::ResolveTarget)?.f_type as u64;
        match is_its_root || magic == PROC_SUPER_MAGIC {
            true => Err(Fault::new(Call::None, Step::LinkIntoProc, Errno::LOOP)),
            false => Ok(()),
        }
    }

    /// Splits off the last component of a path, and finds or makes the parent
    /// directory.
    pub fn parent<'path>(&self, path: &'path CStr) -> Result<(OwnedFd, &'path CStr)> {
        let (parent, name) = split_name(path);
        check_name(name)?;
        let mut above: PathBuffer = PathBuffer::empty();
        above
            .push(b"/")
            .and_then(|above| above.push(parent))
            .during(Call::None, Step::ResolveTarget)?;
        Ok((self.mount_point(above.as_c_str(), Make::Directory, false)?.fd, name))
    }

    /// The same for a node, which is usually in the same directory as the last one.
    pub fn parent_of_node(
        &mut self,
        path: &'static CStr,
    ) -> Result<(BorrowedFd<'_>, &'static CStr)> {
        let (above, name) = split_name(path);
        check_name(name)?;
        let known = self.nodes.take_if(|(known, _)| *known == above);
        let fd = match known {
            Some((_, fd)) => fd,
            None => self.parent(path)?.0,
        };
        let (_, fd) = self.nodes.insert((above, fd));
        let fd: &OwnedFd = fd;
        Ok((fd.as_fd(), name))
    }

    /// Forgets the directory of the last node: a mount may be about to cover it.
    pub fn forget_nodes(&mut self) {
        if let Some((_, directory)) = self.nodes.take() {
            self.close_later(directory);
        }
    }
}

/// Whether a file can have this name.
fn check_name(name: &CStr) -> Result<()> {
    match name.to_bytes() {
        b"" | b"." | b".." => Err(Fault::new(Call::None, Step::ResolveTarget, Errno::INVAL)),
        _ => Ok(()),
    }
}

/// Names the reason. ELOOP: a symbolic link that is not allowed, or a loop of them.
/// ENOTDIR: a file where a directory should be.
fn refused(fault: Fault, strict: bool) -> Fault {
    fault.of(match fault.errno() {
        Errno::LOOP if strict => Step::SymlinkTarget,
        Errno::NOTDIR => Step::MakeDirectory,
        _ => Step::ResolveTarget,
    })
}

fn first_component(path: &[u8]) -> &[u8] {
    path.split(|b| *b == b'/').find(|name| !name.is_empty()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
