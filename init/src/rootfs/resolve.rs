//! From a path of config.json to an fd below the rootfs, made if need be.

use core::ffi::CStr;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, ResolveFlags, mkdirat, openat, openat2};
use rustix::io::{Errno, Result};
use vial_plan::Step;

use super::{Rootfs, walk};
use crate::fault::{During, Fault};
use crate::path::{PathBuffer, split_last};

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

impl Rootfs {
    /// O_PATH fd of what lies at the path. Symbolic links are followed within
    /// the rootfs; strict: a link anywhere on the way is ELOOP.
    pub fn resolve(&self, path: &CStr, strict: bool) -> Result<OwnedFd> {
        self.open_at(path, OFlags::PATH, strict)
    }

    /// Opens what lies at the path.
    pub fn open_at(&self, path: &CStr, flags: OFlags, strict: bool) -> Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC;
        let mut resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        if strict {
            resolve |= ResolveFlags::NO_SYMLINKS;
        }
        for _ in 0..ATTEMPTS {
            match openat2(self.root(), path, flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN) => {}
                // KERNEL(5.6): no openat2; or a seccomp filter that hides it.
                Err(Errno::NOSYS | Errno::PERM) => {
                    return walk::open(self.root(), path.to_bytes(), flags, strict);
                }
                result => return result,
            }
        }
        Err(Errno::AGAIN)
    }

    /// What lies at the path, made with its parents where nothing is.
    pub fn resolve_or_make(
        &self,
        path: &CStr,
        make: Make,
        strict: bool,
    ) -> core::result::Result<OwnedFd, Fault> {
        match self.resolve(path, strict) {
            Ok(fd) => Ok(fd),
            Err(Errno::NOENT) => match make {
                Make::Directory => self.make_missing_directory(path, strict),
                Make::File => self.make_file(path, strict),
            },
            Err(errno) => Err(refused(errno)),
        }
    }

    /// Makes a directory and those above it; that they exist is no error.
    ///
    /// Each is made by mkdirat in a parent that was resolved within the
    /// rootfs, so that no link, put there in between, moves it elsewhere.
    pub fn make_directory(
        &self,
        path: &CStr,
        strict: bool,
    ) -> core::result::Result<OwnedFd, Fault> {
        // Mostly it is there, and one call finds it.
        match self.open_at(path, DIRECTORY, strict) {
            Ok(there) => Ok(there),
            Err(_) => self.make_missing_directory(path, strict),
        }
    }

    /// What `resolve` has not found, made as a directory if it is only missing.
    pub fn make_unresolved(
        &self,
        path: &CStr,
        errno: Errno,
        strict: bool,
    ) -> core::result::Result<OwnedFd, Fault> {
        match errno {
            Errno::NOENT => self.make_missing_directory(path, strict),
            errno => Err(refused(errno)),
        }
    }

    fn make_missing_directory(
        &self,
        path: &CStr,
        strict: bool,
    ) -> core::result::Result<OwnedFd, Fault> {
        let mut prefix: PathBuffer = PathBuffer::empty();
        let (above, last) = split_last(path.to_bytes());
        prefix.push(b"/").and_then(|p| p.push(above)).during(Step::ResolveTarget)?;
        // Mostly but one is missing.
        if let Ok(parent) = self.open_at(prefix.as_c_str(), DIRECTORY, strict) {
            prefix.push(b"/").and_then(|p| p.push(last)).during(Step::ResolveTarget)?;
            return self.make_in(parent.as_fd(), last, prefix.as_c_str(), strict);
        }
        prefix.clear();
        let mut current = self.resolve(c".", true).during(Step::ResolveTarget)?;
        for name in path.to_bytes().split(|b| *b == b'/').filter(|name| !name.is_empty()) {
            prefix.push(b"/").and_then(|p| p.push(name)).during(Step::ResolveTarget)?;
            current = match self.open_at(prefix.as_c_str(), DIRECTORY, strict) {
                Ok(fd) => fd,
                Err(Errno::NOENT) => {
                    self.make_in(current.as_fd(), name, prefix.as_c_str(), strict)?
                }
                Err(errno) => return Err(refused(errno)),
            };
        }
        Ok(current)
    }

    /// Makes a directory in its parent, and opens it by its path.
    fn make_in(
        &self,
        parent: BorrowedFd<'_>,
        name: &[u8],
        path: &CStr,
        strict: bool,
    ) -> core::result::Result<OwnedFd, Fault> {
        let mut single: PathBuffer<256> = PathBuffer::empty();
        single.push(name).during(Step::ResolveTarget)?;
        match mkdirat(parent, single.as_c_str(), Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(Fault { step: Step::MakeDirectory, errno }),
        }
        self.open_at(path, DIRECTORY, strict).map_err(refused)
    }

    /// The parent directory of a path, made where it is not, and the path's
    /// last component.
    pub fn parent(&self, path: &CStr) -> core::result::Result<(OwnedFd, PathBuffer<256>), Fault> {
        let (parent, last) = split_last(path.to_bytes());
        let name = name_of_node(last)?;
        let mut above: PathBuffer = PathBuffer::empty();
        above.push(b"/").and_then(|above| above.push(parent)).during(Step::ResolveTarget)?;
        let strict = first_component(parent) == b"dev";
        Ok((self.make_directory(above.as_c_str(), strict)?, name))
    }

    /// The same for a node, which mostly lies beside the last one.
    pub fn parent_of_node(
        &mut self,
        path: &'static CStr,
    ) -> core::result::Result<(BorrowedFd<'_>, PathBuffer<256>), Fault> {
        let (above, last) = split_last(path.to_bytes());
        let known = self.nodes.take_if(|(known, _)| *known == above);
        let (fd, name) = match known {
            Some((_, fd)) => (fd, name_of_node(last)?),
            None => self.parent(path)?,
        };
        let (_, fd) = self.nodes.insert((above, fd));
        let fd: &OwnedFd = fd;
        Ok((fd.as_fd(), name))
    }

    /// A mount may come to lie on the directory of the last node.
    pub fn forget_nodes(&mut self) {
        self.nodes = None;
    }

    fn make_file(&self, path: &CStr, strict: bool) -> core::result::Result<OwnedFd, Fault> {
        let (parent, name) = self.parent(path)?;
        match create(parent.as_fd(), name.as_c_str()) {
            Ok(_) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(Fault { step: Step::MakeFile, errno }),
        }
        self.resolve(path, strict).map_err(refused)
    }
}

/// The last component of a path, where something is to be made.
fn name_of_node(last: &[u8]) -> core::result::Result<PathBuffer<256>, Fault> {
    let mut name = PathBuffer::empty();
    name.push(last).during(Step::ResolveTarget)?;
    match last {
        b"" | b"." | b".." => Err(Fault { step: Step::ResolveTarget, errno: Errno::INVAL }),
        _ => Ok(name),
    }
}

fn create(parent: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
    openat(parent, name, flags, Mode::from_raw_mode(0o644))
}

/// ELOOP stands for a link where none may be, or a circle of them; ENOTDIR for
/// something else where a directory should be.
fn refused(errno: Errno) -> Fault {
    let step = match errno {
        Errno::LOOP => Step::SymlinkTarget,
        Errno::NOTDIR => Step::MakeDirectory,
        _ => Step::ResolveTarget,
    };
    Fault { step, errno }
}

fn first_component(path: &[u8]) -> &[u8] {
    path.split(|b| *b == b'/').find(|name| !name.is_empty()).unwrap_or_default()
}
