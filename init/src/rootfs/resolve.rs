//! From a path of config.json to an fd below the rootfs, made if need be.

use core::ffi::CStr;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, ResolveFlags, fstat, fstatfs, openat2};
use rustix::io::Errno;
use vial_plan::{Call, Step};

use super::{Rootfs, walk};
use crate::fault::{During, Fault};
use crate::path::{PathBuffer, split_name};
use crate::procfs::PROC_SUPER_MAGIC;

/// EAGAIN: a rename or mount elsewhere raced with `..`, and it is tried again.
pub(super) const ATTEMPTS: u32 = 32;

const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY);

/// What is made where nothing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Make {
    /// A directory.
    Directory,
    /// An empty file.
    File,
}

/// A place where something is to be mounted.
#[derive(Debug)]
pub struct Place {
    /// What lies there.
    pub fd: OwnedFd,
    /// It was made for that.
    pub is_new: bool,
    /// The directory in which it was made, if no link leads there.
    parent: Option<OwnedFd>,
}

type Answer<T> = core::result::Result<T, Fault>;

impl Rootfs {
    /// O_PATH fd of what lies at the path. Symbolic links are followed within
    /// the rootfs; strict: a link anywhere on the way is ELOOP.
    pub fn resolve(&self, path: &CStr, strict: bool) -> Answer<OwnedFd> {
        self.open_at(path, OFlags::PATH, strict)
    }

    /// Opens what lies at the path.
    pub fn open_at(&self, path: &CStr, flags: OFlags, strict: bool) -> Answer<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC;
        match self.open_at_once(path, flags, strict) {
            // KERNEL(5.6): no openat2; or a seccomp filter that hides it.
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

    /// Where something is to be mounted: what lies at the path, made with its
    /// parents where nothing is. Links are followed within the rootfs, and what
    /// they lead to is made if it is missing; but /proc, /sys and /dev may be
    /// none, and no link may lead into /proc. strict: there may be none at all.
    pub fn place(&self, path: &CStr, make: Make, strict: bool) -> Answer<Place> {
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
            Ok(fd) => Ok(Place { fd, is_new: false, parent: None }),
            Err(fault) if fault.errno() == Errno::NOENT => self.make_missing(path, make),
            Err(fault) => Err(refused(fault, strict)),
        }
    }

    /// The directory at a path, made with those above it where nothing is.
    pub fn make_directory(&self, path: &CStr) -> Answer<OwnedFd> {
        match self.open_at(path, DIRECTORY, false) {
            Err(fault) if fault.errno() == Errno::NOENT => {
                Ok(self.make_missing(path, Make::Directory)?.fd)
            }
            found => found.map_err(|fault| refused(fault, false)),
        }
    }

    /// What is missing is made in a parent that was resolved within the rootfs,
    /// so that no link, put there in between, moves it elsewhere.
    fn make_missing(&self, path: &CStr, make: Make) -> Answer<Place> {
        let (above, name) = split_name(path);
        let mut parent: PathBuffer = PathBuffer::empty();
        parent.push(b"/").and_then(|p| p.push(above)).during(Call::None, Step::ResolveTarget)?;
        // Mostly only the last component is missing.
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
                Err(fault) if fault.errno() == Errno::EXIST => {} // A link that leads to nothing.
                made => {
                    let parent = is_strict.then_some(parent);
                    return Ok(Place { fd: made?, is_new: true, parent });
                }
            }
        }
        let made = walk::make(self.root(), path.to_bytes(), make, false).map_err(|fault| {
            let generic = fault.step() == Step::ResolveTarget;
            if generic { refused(fault, false) } else { fault }
        })?;
        self.keep_off_proc(path, made.as_fd())?;
        Ok(Place { fd: made, is_new: true, parent: None })
    }

    /// A place for a new filesystem, which mostly is made beside the last one. The
    /// directory is known until something else is mounted, which may cover it.
    pub fn place_beside(&mut self, path: &'static CStr, strict: bool) -> Answer<Place> {
        let (above, name) = split_name(path);
        if let Some((known, parent)) = &self.nodes
            && *known == above
            && check_name(name).is_ok()
        {
            match walk::make_in(parent.as_fd(), name, Make::Directory) {
                Err(fault) if fault.errno() == Errno::EXIST => {} // It need not be made.
                made => return Ok(Place { fd: made?, is_new: true, parent: None }),
            }
        }
        self.forget_nodes();
        let mut place = self.place(path, Make::Directory, strict)?;
        self.nodes = place.parent.take().map(|parent| (above, parent));
        Ok(place)
    }

    /// A link at /proc, /sys or /dev would lead everything below them elsewhere.
    fn check_first(&self, path: &CStr) -> Answer<()> {
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

    /// What lies in /proc is taken for the kernel's word. The planner allows mounts
    /// by name on only a few of its files; a link may lead to none of them.
    fn keep_off_proc(&self, path: &CStr, place: BorrowedFd<'_>) -> Answer<()> {
        if first_component(path.to_bytes()) == b"proc" {
            return Ok(());
        }
        let identity = |fd: BorrowedFd<'_>| {
            fstat(fd)
                .map(|stat| (stat.st_dev, stat.st_ino))
                .during(Call::Fstat, Step::ResolveTarget)
        };
        let is_its_root = match self.resolve(c"proc", true) {
            Ok(proc) => identity(proc.as_fd())? == identity(place)?,
            Err(_) => false, // There is none, or a link, which the planner's mounts refuse.
        };
        let magic = fstatfs(place).during(Call::Fstatfs, Step::ResolveTarget)?.f_type as u64;
        match is_its_root || magic == PROC_SUPER_MAGIC {
            true => Err(Fault::new(Call::None, Step::LinkIntoProc, Errno::LOOP)),
            false => Ok(()),
        }
    }

    /// The parent directory of a path, made where it is not, and the path's
    /// last component.
    pub fn parent<'path>(&self, path: &'path CStr) -> Answer<(OwnedFd, &'path CStr)> {
        let (parent, name) = split_name(path);
        check_name(name)?;
        let mut above: PathBuffer = PathBuffer::empty();
        above
            .push(b"/")
            .and_then(|above| above.push(parent))
            .during(Call::None, Step::ResolveTarget)?;
        Ok((self.place(above.as_c_str(), Make::Directory, false)?.fd, name))
    }

    /// The same for a node, which mostly lies beside the last one.
    pub fn parent_of_node(
        &mut self,
        path: &'static CStr,
    ) -> Answer<(BorrowedFd<'_>, &'static CStr)> {
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

    /// A mount may come to lie on the directory of the last node.
    pub fn forget_nodes(&mut self) {
        if let Some((_, directory)) = self.nodes.take() {
            self.spend(directory);
        }
    }
}

/// Whether something can be made of that name.
fn check_name(name: &CStr) -> Answer<()> {
    match name.to_bytes() {
        b"" | b"." | b".." => Err(Fault::new(Call::None, Step::ResolveTarget, Errno::INVAL)),
        _ => Ok(()),
    }
}

/// ELOOP stands for a link where none may be, or a circle of them; ENOTDIR for
/// something else where a directory should be.
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
