//! cgroups, from outside: makes the container's cgroup in each hierarchy, writes its
//! limits, filters its devices. The next stage is created in that of cgroup2
//! (CLONE_INTO_CGROUP), and enters those of cgroup v1 itself.

use core::ffi::CStr;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, CWD, Gid, Mode, OFlags, ResolveFlags, Uid, chownat, fstatfs, mkdirat, openat, openat2,
};
use rustix::io::{Errno, read, write};
use vial_plan::{Call, CgroupItem, Gate, Step};

use crate::fault::{During, Fault, Of, Prepared};
use crate::sys::bpf;
use crate::{Life, gate};

/// What stage 0 holds of cgroups.
#[derive(Debug, Default)]
pub struct Cgroup {
    /// The root of the present hierarchy.
    root: Option<OwnedFd>,
    /// The container's cgroup, in which the next stage is created.
    pub own: Option<OwnedFd>,
    /// Whether stage 0 made the container's cgroup: it did not exist before.
    is_new: bool,
}

impl Cgroup {
    fn root(&self) -> Result<BorrowedFd<'_>, Fault> {
        Ok(self.root.as_ref().prepared()?.as_fd())
    }

    fn own(&self) -> Result<BorrowedFd<'_>, Fault> {
        Ok(self.own.as_ref().prepared()?.as_fd())
    }
}

/// Carries out one item.
#[inline(always)]
pub fn carry_out(
    life: &mut Life,
    cgroup: &mut Cgroup,
    item: CgroupItem<'static>,
) -> Result<(), Fault> {
    match item {
        CgroupItem::Root { path, magic } => {
            cgroup.root = Some(open_root(path, magic)?);
            Ok(())
        }
        CgroupItem::Controllers { directory, controllers, required } => {
            enable(cgroup.root()?, directory, controllers, required)
        }
        CgroupItem::Mkdir { directory } => {
            cgroup.is_new = make(cgroup.root()?, directory)?;
            Ok(())
        }
        CgroupItem::Open { directory } => {
            cgroup.own = Some(open(cgroup.root()?, directory)?);
            Ok(())
        }
        CgroupItem::Write { file, value } => write_file(cgroup.own()?, file, value.to_bytes()),
        CgroupItem::WriteEither { file, value, other, other_value } => {
            write_either(cgroup.own()?, [file, value], [other, other_value])
        }
        CgroupItem::Devices { program } => filter_devices(cgroup.own()?, cgroup.is_new, program),
        // The next stage is then created in the cgroup of this process.
        CgroupItem::Enter {} => enter(cgroup.own.take().prepared()?.as_fd()),
        CgroupItem::Tasks { tasks } => {
            let own = cgroup.own.take().prepared()?;
            life.slots.put(tasks, open_to_write(own.as_fd(), c"tasks")?)
        }
        CgroupItem::Owner { file, uid, gid } => give(cgroup.own()?, file, uid, gid),
        // Only `vial plan` needs the name.
        CgroupItem::AwaitScope { scope: _ } => {
            gate::await_vial(life, life.procfs()?, Gate::Scope, Step::AwaitScope)
        }
    }
}

const SUBTREE_CONTROL: &CStr = c"cgroup.subtree_control";

/// Opens the filesystem of this type that is mounted at this path.
pub fn open_root(path: &CStr, magic: u32) -> Result<OwnedFd, Fault> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root =
        openat(CWD, path, flags, Mode::empty()).during(Call::Openat, Step::OpenCgroupRoot)?;
    let found = fstatfs(&root).during(Call::Fstatfs, Step::OpenCgroupRoot)?.f_type as u32;
    if found != magic {
        return Err(Fault::new(Call::Fstatfs, Step::OpenCgroupRoot, Errno::NODEV));
    }
    Ok(root)
}

/// Enables controllers (`+a +b`) for the children of a cgroup: all required ones, and
/// as many of the others as possible.
pub fn enable(
    root: BorrowedFd<'_>,
    directory: &CStr,
    controllers: &CStr,
    required: &CStr,
) -> Result<(), Fault> {
    let directory = open(root, directory)?;
    let directory = directory.as_fd();
    if are_enabled(directory, controllers).unwrap_or(false) {
        return Ok(());
    }
    match write_file(directory, SUBTREE_CONTROL, controllers.to_bytes()) {
        Ok(()) => return Ok(()),
        // The cgroup holds processes. Threaded controllers alone might be enabled, but
        // then its children could hold no processes (cgroups(7), "domain invalid").
        Err(fault) if fault.errno() == Errno::BUSY && required.is_empty() => return Ok(()),
        Err(fault) if fault.errno() == Errno::BUSY => return Err(fault),
        Err(_) => {}
    }
    if !required.is_empty() {
        write_file(directory, SUBTREE_CONTROL, required.to_bytes())?;
    }
    // Threaded controllers come last: EBUSY on another one ends the loop before them.
    for wished in words(controllers.to_bytes()) {
        let written = write_file(directory, SUBTREE_CONTROL, wished);
        // No limit needs this controller, so the container does without. ENOENT: the
        // parent cgroup has not enabled it. EACCES: it is not delegated. EINVAL: it is
        // cpu, and there are realtime processes.
        if written.is_err_and(|fault| fault.errno() == Errno::BUSY) {
            break;
        }
    }
    Ok(())
}

fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| byte.is_ascii_whitespace())
}

/// Whether the children of a cgroup have all of these controllers (`+a +b`). Reading is
/// cheap. A write, even one that changes nothing, makes the kernel wait for every
/// cgroup below that is being removed.
fn are_enabled(directory: BorrowedFd<'_>, controllers: &CStr) -> rustix::io::Result<bool> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = openat(directory, SUBTREE_CONTROL, flags, Mode::empty())?;
    let mut text = [0; 256];
    let length = read(&file, &mut text[..])?;
    let enabled = text.get(..length).unwrap_or_default();
    Ok(words(controllers.to_bytes()).all(|wanted| {
        let name = wanted.strip_prefix(b"+").unwrap_or(wanted);
        words(enabled).any(|word| word == name)
    }))
}

/// Makes a cgroup and returns whether it is new. EEXIST is not an error: the cgroup may
/// be a shared parent, or the engine has made it for the container.
pub fn make(root: BorrowedFd<'_>, directory: &CStr) -> Result<bool, Fault> {
    match mkdirat(root, directory, Mode::from_raw_mode(0o755)) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(errno) => Err(Fault::new(Call::Mkdirat, Step::MakeCgroup, errno)),
    }
}

/// Opens a cgroup by its path below the root.
pub fn open(root: BorrowedFd<'_>, directory: &CStr) -> Result<OwnedFd, Fault> {
    let directory = if directory.is_empty() { c"." } else { directory };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    match openat2(root, directory, flags, Mode::empty(), resolve) {
        // KERNEL(5.6): without openat2. The planner refuses `..`, and cgroupfs has no
        // symbolic links.
        Err(Errno::NOSYS | Errno::PERM) => {
            openat(root, directory, flags, Mode::empty()).during(Call::Openat, Step::OpenCgroup)
        }
        result => result.during(Call::Openat2, Step::OpenCgroup),
    }
}

fn open_to_write(cgroup: BorrowedFd<'_>, file: &CStr) -> Result<OwnedFd, Fault> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    openat(cgroup, file, flags, Mode::empty()).during(Call::Openat, Step::OpenCgroupFile)
}

/// Writes a file of a cgroup with one write(2).
pub fn write_file(cgroup: BorrowedFd<'_>, file: &CStr, value: &[u8]) -> Result<(), Fault> {
    let file = open_to_write(cgroup, file)?;
    write(&file, value).during(Call::Write, Step::WriteCgroupFile)?;
    Ok(())
}

/// Writes a file. If the kernel does not have it, writes the other one, or nothing if
/// that one's name is empty.
pub fn write_either(
    cgroup: BorrowedFd<'_>,
    [file, value]: [&CStr; 2],
    [other, other_value]: [&CStr; 2],
) -> Result<(), Fault> {
    match write_file(cgroup, file, value.to_bytes()) {
        Err(fault) if (fault.step(), fault.errno()) == (Step::OpenCgroupFile, Errno::NOENT) => {
            match other.is_empty() {
                true => Ok(()),
                false => write_file(cgroup, other, other_value.to_bytes()),
            }
        }
        result => result,
    }
}

/// Loads a device filter and attaches it to the cgroup. A cgroup that is not new may
/// still have the filters of an earlier container. Every attached filter must allow an
/// access, so the old ones are detached, but only after the new one is attached.
pub fn filter_devices(cgroup: BorrowedFd<'_>, is_new: bool, program: &[u8]) -> Result<(), Fault> {
    let mut earlier = bpf::DeviceFilters::none();
    if !is_new {
        earlier = bpf::DeviceFilters::of(cgroup).during(Call::Bpf, Step::FindDeviceFilters)?;
    }
    if !program.is_empty() {
        let filter = bpf::load_device_filter(program).during(Call::Bpf, Step::LoadDeviceFilter)?;
        let replaces = bpf::attach_device_filter(cgroup, filter.as_fd(), &earlier)
            .during(Call::Bpf, Step::AttachDeviceFilter)?;
        if replaces {
            return Ok(());
        }
    }
    for id in earlier.ids() {
        match bpf::detach_device_filter(cgroup, *id) {
            // ENOENT: it is already detached, or a BPF link holds it.
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(Fault::new(Call::Bpf, Step::DetachDeviceFilter, errno)),
        }
    }
    Ok(())
}

/// KERNEL(5.7): enters the cgroup, for a process that could not be created in it.
pub fn enter(cgroup: BorrowedFd<'_>) -> Result<(), Fault> {
    // 0 means the process that writes.
    write_file(cgroup, c"cgroup.procs", b"0").of(Step::EnterCgroup)
}

/// Enters a cgroup of v1 by its file `tasks`. This process has one thread, so that is
/// the whole of it. cgroup.procs would do the same, but makes the kernel wait until no
/// process of the machine forks, in each hierarchy anew.
pub fn enter_by_tasks(tasks: Option<OwnedFd>) -> Result<(), Fault> {
    write(tasks.prepared()?, b"0").map(|_| ()).during(Call::Write, Step::EnterCgroup)
}

/// Gives a file of a cgroup, or the cgroup itself, to an owner.
pub fn give(cgroup: BorrowedFd<'_>, file: &CStr, uid: u32, gid: u32) -> Result<(), Fault> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH;
    match chownat(cgroup, file, Some(uid), Some(gid), flags) {
        Err(Errno::NOENT) => Ok(()), // The cgroup lacks the file's controller.
        result => result.during(Call::Fchownat, Step::SetOwner),
    }
}
