//! cgroup v2, from outside: make the container's cgroup, write its limits,
//! filter its devices. The process is born into it (CLONE_INTO_CGROUP).

use core::ffi::CStr;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, fstatfs, mkdirat, openat, openat2};
use rustix::io::{Errno, read, write};
use vial_plan::Step;

use crate::fault::{During, Fault};
use crate::sys::bpf;

const SUBTREE_CONTROL: &CStr = c"cgroup.subtree_control";
const CGROUP2_SUPER_MAGIC: u64 = 0x6367_7270;

/// Opens the cgroup2 filesystem at this mount point.
pub fn open_root(path: &CStr) -> Result<OwnedFd, Fault> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, path, flags, Mode::empty()).during(Step::OpenCgroupRoot)?;
    let magic = fstatfs(&root).during(Step::OpenCgroupRoot)?.f_type as u64;
    if magic != CGROUP2_SUPER_MAGIC {
        return Err(Fault { step: Step::OpenCgroupRoot, errno: Errno::NODEV });
    }
    Ok(root)
}

/// Enables controllers for the children of a cgroup.
pub fn enable(root: BorrowedFd<'_>, directory: &CStr, controllers: &CStr) -> Result<(), Fault> {
    let directory = open(root, directory)?;
    if are_enabled(directory.as_fd(), controllers).unwrap_or(false) {
        return Ok(());
    }
    write_file(directory.as_fd(), SUBTREE_CONTROL, controllers)
}

/// Whether a cgroup's children have all of these controllers, as `+a +b`. To ask
/// is cheap; to write what is so already makes the kernel wait for every cgroup
/// below that is being removed.
fn are_enabled(directory: BorrowedFd<'_>, controllers: &CStr) -> rustix::io::Result<bool> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = openat(directory, SUBTREE_CONTROL, flags, Mode::empty())?;
    let mut text = [0; 256];
    let length = read(&file, &mut text[..])?;
    let enabled = text.get(..length).unwrap_or_default();
    let words = |text| <[u8]>::split(text, |byte: &u8| byte.is_ascii_whitespace());
    Ok(words(controllers.to_bytes()).all(|wanted| {
        let name = wanted.strip_prefix(b"+").unwrap_or(wanted);
        words(enabled).any(|word| word == name)
    }))
}

/// Makes a cgroup. That it exists already is no error: it may be a parent that
/// others share, or one that the engine has made for the container.
pub fn make(root: BorrowedFd<'_>, directory: &CStr) -> Result<(), Fault> {
    match mkdirat(root, directory, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(Fault { step: Step::MakeCgroup, errno }),
    }
}

/// Opens a cgroup below the root.
pub fn open(root: BorrowedFd<'_>, directory: &CStr) -> Result<OwnedFd, Fault> {
    let directory = if directory.is_empty() { c"." } else { directory };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    match openat2(root, directory, flags, Mode::empty(), resolve) {
        // KERNEL(5.6): the planner has refused `..`, and cgroupfs has no links.
        Err(Errno::NOSYS | Errno::PERM) => openat(root, directory, flags, Mode::empty()),
        result => result,
    }
    .during(Step::OpenCgroup)
}

/// Writes a file of a cgroup in one write(2).
pub fn write_file(cgroup: BorrowedFd<'_>, file: &CStr, value: &CStr) -> Result<(), Fault> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = openat(cgroup, file, flags, Mode::empty()).during(Step::OpenCgroupFile)?;
    write(&file, value.to_bytes()).during(Step::WriteCgroupFile)?;
    Ok(())
}

/// Loads a device filter and attaches it to the cgroup.
pub fn filter_devices(cgroup: BorrowedFd<'_>, program: &[u8]) -> Result<(), Fault> {
    let filter = bpf::load_device_filter(program).during(Step::LoadDeviceFilter)?;
    bpf::attach_device_filter(cgroup, filter.as_fd()).during(Step::AttachDeviceFilter)
}

/// KERNEL(5.7): enters the cgroup, for a process that could not be born into it.
pub fn enter(cgroup: BorrowedFd<'_>) -> Result<(), Fault> {
    // 0 stands for the writer.
    write_file(cgroup, c"cgroup.procs", c"0")
        .map_err(|fault| Fault { step: Step::EnterCgroup, ..fault })
}
