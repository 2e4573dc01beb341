//! What the planner must know of the machine: read once, before it, so that
//! the planner itself is a function of its arguments.

pub mod mountinfo;
pub mod sources;

use std::ffi::OsStr;
use std::fmt::Display;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use linux_raw_sys::general;
use rustix::fd::AsFd;
use rustix::fs::{Access, OFlags, access, stat, statfs};
use rustix::process::{getegid, geteuid};
use rustix::thread::{CapabilitySet, capabilities, capability_is_in_bounding_set};
use serde::{Deserialize, Serialize};
use vial_init::sys::mount_setattr::{Attributes, mount_setattr};

use crate::config::linux::{Linux, Namespace};
use crate::file::{c_path, open, read_kernel};
use crate::namespace::KINDS;
use crate::seccomp::Arch;

const CGROUP2_SUPER_MAGIC: u64 = general::CGROUP2_SUPER_MAGIC as u64;
const RAMFS_MAGIC: u64 = general::RAMFS_MAGIC as u64;
const TMPFS_MAGIC: u64 = general::TMPFS_MAGIC as u64;

/// The machine, as far as it decides what a Plan says: a value, which can be written
/// and read, so that a Plan can be made for another machine.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Host {
    /// Its processors.
    pub arch: Arch,
    /// The effective user.
    pub uid: u32,
    /// An ordinary user's effective group; root maps whichever it likes.
    pub gid: u32,
    /// Whether /proc tells of this process, as a procfs does.
    pub has_procfs: bool,
    /// Whether this runs in a user namespace, where no device can be made.
    pub in_user_namespace: bool,
    /// The highest capability that the kernel knows.
    pub last_capability: u32,
    /// The permitted capabilities of this process, as bits.
    pub permitted: u64,
    /// Whether the root is a ramfs or tmpfs, which may be the initramfs, that
    /// pivot_root(2) refuses to move.
    pub root_is_memory: bool,
    /// Whether there is mount_setattr(2), by which mounts below another change with
    /// it; looked up where there is no cgroup2.
    pub has_mount_setattr: bool,
    /// The cgroup2 filesystem, if one is mounted.
    pub cgroup: Option<Cgroup>,
    /// newuidmap and newgidmap, where installed.
    pub newuidmap: Option<PathBuf>,
    /// As newuidmap.
    pub newgidmap: Option<PathBuf>,
    /// The ids that root of a user namespace has: the first and how many, uids
    /// and gids. Empty outside of one, where there are all.
    pub ids: [Vec<(u32, u32)>; 2],
}

/// The cgroup2 filesystem.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Cgroup {
    /// Where it is mounted.
    pub root: PathBuf,
    /// The controllers that its root offers.
    pub controllers: Vec<String>,
    /// The cgroup of this process, from the root, without the leading slash.
    pub own: PathBuf,
    /// Whether a process that is born into a cgroup has its CPUs, since Linux 6.4.
    pub birth_gives_cpus: bool,
}

/// The container's cgroup and those above it, as they are before it is made.
#[derive(Clone, Debug, Default)]
pub struct Lineage {
    /// Whether one of them has CPUs or memory nodes of its own; looked up where a
    /// process that is born into a cgroup does not get them.
    pub limits_cpus: bool,
    /// Those in which this user may make cgroups; root may everywhere.
    pub writable: Vec<PathBuf>,
}

/// Whose a namespace is that a path leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Whose {
    /// Some other's, or there is none.
    #[default]
    Others,
    /// That of the machine's first process.
    Hosts,
    /// The caller's own.
    Own,
}

impl Whose {
    /// Each of linux.namespaces in its place; those without a path are others'.
    pub fn of(linux: &Linux) -> Vec<Whose> {
        let name = |kind: &str| KINDS.iter().find(|(known, ..)| *known == kind);
        let whose = |namespace: &Namespace| match name(&namespace.kind) {
            Some((_, name, _)) if !namespace.path.is_empty() => Whose::look(&namespace.path, name),
            _ => Whose::Others,
        };
        linux.namespaces.iter().map(whose).collect()
    }

    /// Compares inodes; name is the namespace's file in /proc/PID/ns.
    fn look(path: &str, name: &str) -> Whose {
        let inode = |path: &str| {
            let found = stat(&*c_path(Path::new(path)).ok()?).ok()?;
            Some((found.st_dev, found.st_ino))
        };
        let Some(found) = inode(path) else {
            return Whose::Others; // Joining it will say why.
        };
        match () {
            () if inode(&format!("/proc/self/ns/{name}")) == Some(found) => Whose::Own,
            () if inode(&format!("/proc/1/ns/{name}")) == Some(found) => Whose::Hosts,
            () => Whose::Others,
        }
    }
}

impl Host {
    /// Looks at the machine.
    pub fn read() -> Host {
        let uid = geteuid().as_raw();
        let magic = |path: &str| statfs(path).map_or(0, |stat| stat.f_type as u64);
        let helper = |name: &str| {
            let folders = ["/usr/bin", "/bin", "/usr/local/bin", "/sbin", "/usr/sbin"];
            let mut paths = folders.iter().map(|folder| Path::new(folder).join(name));
            paths.find(|path| may(path, Access::EXEC_OK))
        };
        let own_namespace = own_user_namespace();
        let in_user_namespace = own_namespace.is_some_and(|inode| inode != FIRST_USER_NAMESPACE);
        let ids = |file: &str| match in_user_namespace && uid == 0 {
            true => ids(&std::fs::read_to_string(file).unwrap_or_default()),
            false => Vec::new(),
        };
        let cgroup = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
            .into_iter()
            .find(|path| magic(path) == CGROUP2_SUPER_MAGIC)
            .map(Cgroup::read);
        let permitted = capabilities(None).map_or(0, |sets| sets.permitted.bits());
        Host {
            arch: Arch::native(),
            uid,
            gid: if uid == 0 { 0 } else { getegid().as_raw() },
            ids: [ids("/proc/self/uid_map"), ids("/proc/self/gid_map")],
            has_procfs: own_namespace.is_some(),
            in_user_namespace,
            last_capability: last_capability(permitted),
            permitted,
            root_is_memory: matches!(magic("/"), RAMFS_MAGIC | TMPFS_MAGIC),
            has_mount_setattr: cgroup.is_none() && has_mount_setattr(),
            cgroup,
            newuidmap: (uid != 0).then(|| helper("newuidmap")).flatten(),
            newgidmap: (uid != 0).then(|| helper("newgidmap")).flatten(),
        }
    }

    /// Whether this is the root of the machine, and not of a user namespace.
    pub fn is_privileged(&self) -> bool {
        self.uid == 0 && !self.in_user_namespace
    }
}

impl Cgroup {
    fn read(root: &str) -> Cgroup {
        let root = PathBuf::from(root);
        let text = read_kernel(root.join("cgroup.controllers")).unwrap_or_default();
        Cgroup {
            root,
            controllers: String::from_utf8_lossy(&text)
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
            own: cgroup_of("self").unwrap_or_default(),
            birth_gives_cpus: release() >= (6, 4),
        }
    }

    /// Looks at a cgroup, which need not exist, and those above it.
    pub fn look(&self, path: &Path, uid: u32) -> Lineage {
        let writable = path.ancestors().filter(|path| uid != 0 && self.is_writable(path));
        Lineage {
            limits_cpus: !self.birth_gives_cpus && self.limits_cpus(path),
            writable: writable.map(Path::to_owned).collect(),
        }
    }

    fn limits_cpus(&self, path: &Path) -> bool {
        let mut cgroups = path.ancestors().filter(|path| !path.as_os_str().is_empty());
        cgroups.any(|path| self.root.join(path).join("cpuset.cpus.effective").exists())
    }

    fn is_writable(&self, path: &Path) -> bool {
        let existing = path.ancestors().map(|path| self.root.join(path)).find(|path| path.exists());
        existing.is_some_and(|path| may(&path, Access::WRITE_OK))
    }
}

/// access(2): whether this caller may.
fn may(path: &Path, what: Access) -> bool {
    c_path(path).is_ok_and(|path| access(&*path, what).is_ok())
}

/// The first two numbers of the kernel's release.
fn release() -> (u32, u32) {
    let names = rustix::system::uname();
    let mut numbers = names.release().to_bytes().split(|byte| !byte.is_ascii_digit());
    let mut number = || std::str::from_utf8(numbers.next()?).ok()?.parse().ok();
    (number().unwrap_or(0), number().unwrap_or(0))
}

/// The cgroup of a process, from the root of the hierarchy, without the leading
/// slash. None: it cannot be read, or lies outside this cgroup namespace.
pub fn cgroup_of(pid: impl Display) -> Option<PathBuf> {
    let text = read_kernel(format!("/proc/{pid}/cgroup")).ok()?;
    let path = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"0::/"))?;
    let path = PathBuf::from(OsStr::from_bytes(path));
    path.components().all(|part| matches!(part, Component::Normal(_))).then_some(path)
}

/// The inode number of the first user namespace (`USER_NS_INIT_INO`, linux/nsfs.h).
const FIRST_USER_NAMESPACE: u64 = 0xefff_fffd;

/// Whether this is another user namespace than the first.
pub fn in_user_namespace() -> bool {
    own_user_namespace().is_some_and(|inode| inode != FIRST_USER_NAMESPACE)
}

/// Without a procfs nothing is known, and stage 0 says so.
fn own_user_namespace() -> Option<u64> {
    stat("/proc/self/ns/user").ok().map(|namespace| namespace.st_ino)
}

/// Linux 5.12; a seccomp filter may hide it. To change nothing is allowed.
fn has_mount_setattr() -> bool {
    let nothing = Attributes::default();
    open(Path::new("/"), OFlags::PATH | OFlags::DIRECTORY)
        .is_ok_and(|root| mount_setattr(root.as_fd(), false, &nothing).is_ok())
}

/// The ids of a user namespace, from the lines of its uid_map or gid_map.
fn ids(map: &str) -> Vec<(u32, u32)> {
    let line = |line: &str| {
        let mut numbers = line.split_whitespace().map(str::parse::<u32>);
        let first = numbers.next()?.ok()?;
        Some((first, numbers.nth(1)?.ok()?))
    };
    map.lines().filter_map(line).collect()
}

/// The kernel answers for each capability that it knows. Root mostly has the
/// last one.
fn last_capability(permitted: u64) -> u32 {
    let known =
        |number: u32| capability_is_in_bounding_set(CapabilitySet::from_bits_retain(1 << number));
    let mut last = 63_u32.saturating_sub(permitted.leading_zeros());
    while last < 63 && known(last + 1).is_ok() {
        last += 1;
    }
    last
}
