//! tmpcopyup: copies a tree from one directory into another.

use core::mem::MaybeUninit;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::ffi::CStr;
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, RawDir, Stat, Uid, chownat, fchmod, fchown, fstat,
    mkdirat, mknodat, openat, readlinkat_raw, sendfile, statat, symlinkat,
};
use rustix::io::Errno;
use vial_plan::{Call, Step};

use crate::fault::{During, Fault};
use crate::path::PATH_MAX;

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

const STEP: Step = Step::CopyUp;

/// The deepest tree that is copied: each level takes a part of the stack.
const MAX_DEPTH: u32 = 64;

/// Copies the contents of `from` into `to`, with modes and owners. owned: gives `to`
/// the owner of `from`, too.
pub fn directory(from: &OwnedFd, to: &OwnedFd, owned: bool) -> Result<(), Fault> {
    if owned {
        let (uid, gid) = owner(&fstat(from).during(Call::Fstat, STEP)?);
        match fchown(to, Some(uid), Some(gid)) {
            // This user namespace does not have the owner: the copy stays its root's.
            Err(Errno::INVAL) => {}
            result => result.during(Call::Fchown, STEP)?,
        }
    }
    entries(from.as_fd(), to.as_fd(), 0)
}

fn entries(from: BorrowedFd<'_>, to: BorrowedFd<'_>, depth: u32) -> Result<(), Fault> {
    if depth > MAX_DEPTH {
        return Err(Fault::new(Call::None, STEP, Errno::NAMETOOLONG));
    }
    let mut buffer = [MaybeUninit::uninit(); 2048];
    let mut listing = RawDir::new(from, &mut buffer);
    while let Some(entry) = listing.next() {
        let entry = entry.during(Call::Getdents64, STEP)?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            copy(from, to, name, depth)?;
        }
    }
    Ok(())
}

fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &CStr, depth: u32) -> Result<(), Fault> {
    let stat = statat(from, name, AtFlags::SYMLINK_NOFOLLOW).during(Call::Fstatat, STEP)?;
    let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            mkdirat(to, name, mode).during(Call::Mkdirat, STEP)?;
            let below = openat(from, name, DIRECTORY, Mode::empty()).during(Call::Openat, STEP)?;
            let copy = openat(to, name, DIRECTORY, Mode::empty()).during(Call::Openat, STEP)?;
            own(copy.as_fd(), &stat)?;
            entries(below.as_fd(), copy.as_fd(), depth.saturating_add(1))
        }
        FileType::RegularFile => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let source = openat(from, name, flags, Mode::empty()).during(Call::Openat, STEP)?;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let copy = openat(to, name, flags, mode).during(Call::Openat, STEP)?;
            while sendfile(&copy, &source, None, 1 << 20).during(Call::Sendfile, STEP)? > 0 {}
            own(copy.as_fd(), &stat)
        }
        FileType::Symlink => {
            let mut target = [0; PATH_MAX];
            // Leave out the last byte: it stays NUL.
            let room = target.get_mut(..PATH_MAX - 1).unwrap_or_default();
            readlinkat_raw(from, name, room).during(Call::Readlinkat, STEP)?;
            symlinkat(CStr::from_bytes_until_nul(&target).unwrap_or_default(), to, name)
                .during(Call::Symlinkat, STEP)?;
            let (uid, gid) = owner(&stat);
            chownat(to, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
                .during(Call::Fchownat, STEP)
        }
        kind => {
            mknodat(to, name, kind, mode, stat.st_rdev).during(Call::Mknodat, STEP)?;
            let (uid, gid) = owner(&stat);
            chownat(to, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
                .during(Call::Fchownat, STEP)
        }
    }
}

/// Sets the owner first: chown(2) clears the set-user-ID bit that chmod(2) sets.
fn own(copy: BorrowedFd<'_>, stat: &Stat) -> Result<(), Fault> {
    let (uid, gid) = owner(stat);
    fchown(copy, Some(uid), Some(gid)).during(Call::Fchown, STEP)?;
    fchmod(copy, Mode::from_raw_mode(stat.st_mode & 0o7777)).during(Call::Fchmod, STEP)
}

fn owner(stat: &Stat) -> (Uid, Gid) {
    (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid))
}
