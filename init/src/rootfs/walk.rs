//! Resolves paths below the rootfs component by component. openat2 cannot make what is
//! missing on the way.
//! KERNEL(5.6): replaces openat2. Each directory is opened with O_NOFOLLOW. Symbolic
//! links are read and walked; an absolute target and `..` never lead above the root.

use core::ffi::CStr;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, fstat, fstatfs, mkdirat, openat, readlinkat_raw};
use rustix::io::Errno;
use vial_plan::{Call, Step};

use super::resolve::Make;
use crate::fault::{During, Fault};
use crate::path::{PATH_MAX, PathBuffer, split_last};
use crate::procfs::PROC_SUPER_MAGIC;

const MAX_LINKS: u32 = 40;
const STEP: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens a path below the root. `..` restarts the walk from the root without the last
/// component. The kernel never resolves it, so a directory that is moved during the walk
/// cannot lead out.
pub fn open(root: BorrowedFd<'_>, path: &[u8], flags: OFlags, strict: bool) -> Result<OwnedFd> {
    Walk { root, flags, strict, make: None }.open(path)
}

/// Returns an O_PATH fd of a path, and makes it and its parents if they do not exist.
/// If a symbolic link dangles, makes what it leads to.
pub fn make(root: BorrowedFd<'_>, path: &[u8], make: Make, strict: bool) -> Result<OwnedFd> {
    Walk { root, flags: OFlags::PATH | OFlags::CLOEXEC, strict, make: Some(make) }.open(path)
}

/// Makes one directory or file. EEXIST: there is something already, perhaps a symbolic
/// link.
pub fn make_in(parent: BorrowedFd<'_>, name: &CStr, make: Make) -> Result<OwnedFd> {
    match make {
        Make::Directory => {
            mkdirat(parent, name, Mode::from_raw_mode(0o755))
                .during(Call::Mkdirat, Step::MakeDirectory)?;
            openat(parent, name, STEP | OFlags::DIRECTORY, Mode::empty())
                .during(Call::Openat, Step::MakeDirectory)
        }
        Make::File => {
            let new = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
            let flags = new | OFlags::WRONLY | OFlags::CLOEXEC;
            openat(parent, name, flags, Mode::from_raw_mode(0o644))
                .during(Call::Openat, Step::MakeFile)
        }
    }
}

struct Walk<'a> {
    root: BorrowedFd<'a>,
    flags: OFlags,
    strict: bool,
    make: Option<Make>,
}

/// The result of one attempt.
enum Outcome {
    Opened(OwnedFd),
    /// It met a symbolic link or `..`: walk the other path.
    Link,
    Parent,
}

type Result<T> = core::result::Result<T, Fault>;

impl Walk<'_> {
    fn open(mut self, path: &[u8]) -> Result<OwnedFd> {
        let (mut todo, mut instead): (PathBuffer, PathBuffer) =
            (PathBuffer::empty(), PathBuffer::empty());
        todo.push(path).during(Call::None, Step::ResolveTarget)?;
        let mut links = 0;
        if path.is_empty() {
            return Err(resolve(Errno::NOENT));
        }
        loop {
            // `file/` and `file/.` must be directories.
            if matches!(todo.as_bytes().rsplit(|b| *b == b'/').next(), Some(b"" | b".")) {
                self.flags |= OFlags::DIRECTORY;
            }
            match self.attempt(todo.as_bytes(), &mut instead)? {
                Outcome::Opened(fd) => return Ok(fd),
                Outcome::Parent => {}
                Outcome::Link if links == MAX_LINKS => return Err(resolve(Errno::LOOP)),
                Outcome::Link => links += 1,
            }
            todo.clear();
            todo.push(instead.as_bytes()).during(Call::None, Step::ResolveTarget)?;
        }
    }

    /// `instead` gets the path to walk next if this one meets a symbolic link or `..`.
    fn attempt(&self, path: &[u8], instead: &mut PathBuffer) -> Result<Outcome> {
        let mut current = openat(self.root, c".", STEP | OFlags::DIRECTORY, Mode::empty())
            .during(Call::Openat, Step::ResolveTarget)?;
        let mut names =
            path.split(|b| *b == b'/').filter(|n| !n.is_empty() && *n != b".").peekable();
        let mut done: PathBuffer = PathBuffer::empty();
        while let Some(name) = names.next() {
            if name == b".." {
                join(instead, [split_last(done.as_bytes()).0, b""], names)?;
                return Ok(Outcome::Parent);
            }
            let mut single: PathBuffer<256> = PathBuffer::empty();
            single.push(name).during(Call::None, Step::ResolveTarget)?;
            let is_last = names.peek().is_none();
            let next = self.step(current.as_fd(), single.as_c_str(), is_last)?;
            let stat = fstat(&next).during(Call::Fstat, Step::ResolveTarget)?;
            let kind = FileType::from_raw_mode(stat.st_mode);
            if kind == FileType::Symlink {
                if self.strict {
                    return Err(resolve(Errno::LOOP));
                }
                let mut link = [0; PATH_MAX];
                let length = readlinkat_raw(&next, c"", &mut link[..])
                    .during(Call::Readlinkat, Step::ResolveTarget)?;
                let target = link.get(..length).unwrap_or_default();
                let is_absolute = target.first() == Some(&b'/');
                if is_absolute && is_magic(&next, stat.st_size as usize != length)? {
                    return Err(resolve(Errno::LOOP));
                }
                let from: &[u8] = if is_absolute { b"" } else { done.as_bytes() };
                join(instead, [from, target], names)?;
                return Ok(Outcome::Link);
            }
            let must_be_directory = !is_last || self.flags.contains(OFlags::DIRECTORY);
            if must_be_directory && kind != FileType::Directory {
                return Err(resolve(Errno::NOTDIR));
            }
            if is_last {
                return self.last(current.as_fd(), next, &single).map(Outcome::Opened);
            }
            done.push(b"/")
                .and_then(|done| done.push(name))
                .during(Call::None, Step::ResolveTarget)?;
            current = next;
        }
        openat(self.root, c".", self.flags, Mode::empty())
            .during(Call::Openat, Step::ResolveTarget)
            .map(Outcome::Opened)
    }

    /// Opens one component. Makes it if it is missing and `make` says so.
    fn step(&self, parent: BorrowedFd<'_>, name: &CStr, is_last: bool) -> Result<OwnedFd> {
        let open = || openat(parent, name, STEP, Mode::empty());
        match (open(), self.make) {
            (Err(Errno::NOENT), Some(make)) => {
                match make_in(parent, name, if is_last { make } else { Make::Directory }) {
                    // Another process has just made it.
                    Err(fault) if fault.errno() == Errno::EXIST => {
                        open().during(Call::Openat, Step::ResolveTarget)
                    }
                    made => made,
                }
            }
            (found, _) => found.during(Call::Openat, Step::ResolveTarget),
        }
    }

    fn last(
        &self,
        parent: BorrowedFd<'_>,
        found: OwnedFd,
        name: &PathBuffer<256>,
    ) -> Result<OwnedFd> {
        if self.flags.contains(OFlags::PATH) {
            return Ok(found);
        }
        openat(parent, name.as_c_str(), self.flags | OFlags::NOFOLLOW, Mode::empty())
            .during(Call::Openat, Step::ResolveTarget)
    }
}

/// Builds a path from its beginning and the rest of another one.
fn join<'a>(
    path: &mut PathBuffer,
    beginning: [&'a [u8]; 2],
    rest: impl Iterator<Item = &'a [u8]>,
) -> Result<()> {
    path.clear();
    for part in beginning.into_iter().chain(rest) {
        path.push(b"/").and_then(|path| path.push(part)).during(Call::None, Step::ResolveTarget)?;
    }
    Ok(())
}

/// Whether a symbolic link is a magic one, as /proc/PID/root and /proc/PID/fd/N are.
/// Unlike that of a text link, its size is not the length of its text.
fn is_magic(link: &OwnedFd, odd_size: bool) -> Result<bool> {
    let magic =
        || fstatfs(link).map(|stat| stat.f_type as u64).during(Call::Fstatfs, Step::ResolveTarget);
    Ok(odd_size && magic()? == PROC_SUPER_MAGIC)
}

fn resolve(errno: Errno) -> Fault {
    Fault::new(Call::Openat, Step::ResolveTarget, errno)
}
