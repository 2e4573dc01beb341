//! What the planner must know about the machine. It is read once, before planning,
//! so that the planner is a function of its arguments.

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

/// The machine, as far as the planner depends on it. It can be written as JSON and
/// read again, so that a Plan can be made for another machine.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Host {
    /// The architecture of its processors.
    pub arch: Arch,
    /// The effective uid.
    pub uid: u32,
    /// The effective gid; 0 for root, which may map any.
    pub gid: u32,
    /// Whether /proc is a procfs that shows this process.
    pub has_procfs: bool,
    /// Whether vial runs in a user namespace, where mknod(2) of devices is denied.
    pub in_user_namespace: bool,
    /// The highest capability that the kernel knows.
    pub last_capability: u32,
    /// The permitted capabilities of this process, as bits.
    pub permitted: u64,
    /// Whether / is ramfs or tmpfs. It may be the initramfs then, which pivot_root(2)
    /// refuses to move.
    pub root_is_memory: bool,
    /// Whether there is mount_setattr(2), which changes a whole tree of mounts. Looked
    /// up only if there is no cgroup2.
    pub has_mount_setattr: bool,
    /// The cgroup2 filesystem, if one is mounted.
    pub cgroup: Option<CgroupMount>,
    /// The path of newuidmap(1), if installed.
    pub newuidmap: Option<PathBuf>,
    /// The path of newgidmap(1), if installed.
    pub newgidmap: Option<PathBuf>,
    /// The ranges of uids and of gids that this user namespace maps: the first id and
    /// the count. Empty outside of a user namespace, where all ids exist.
    pub ids: [Vec<(u32, u32)>; 2],
}

/// A mounted cgroup2 filesystem.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct CgroupMount {
    /// Where it is mounted.
    pub root: PathBuf,
    /// The controllers that its root offers.
    pub controllers: Vec<String>,
    /// The cgroup of this process, from the root, without the leading slash.
    pub own: PathBuf,
    /// Whether CLONE_INTO_CGROUP gives a process the CPUs of the cgroup, since Linux
    /// 6.4.
    pub birth_gives_cpus: bool,
}

/// What is known of the container's cgroup and its ancestors before it is made.
#[derive(Clone, Debug, Default)]
pub struct Lineage {
    /// Whether one of them limits CPUs or memory nodes. Looked up only if
    /// CLONE_INTO_CGROUP does not give them to a process.
    pub limits_cpus: bool,
    /// Those in which this user may make cgroups. Empty for root, which may in all.
    pub writable: Vec<PathBuf>,
}

/// Whose namespace a path names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NamespaceOwner {
    /// Another one's, or there is no such namespace.
    #[default]
    Other,
    /// The one of the host's first process.
    Host,
    /// The caller's own.
    Caller,
}

impl NamespaceOwner {
    /// The owner of each entry of linux.namespaces. An entry without a path is `Other`.
    pub fn of(linux: &Linux) -> Vec<NamespaceOwner> {
        let name = |kind: &str| KINDS.iter().find(|(known, ..)| *known == kind);
        let whose = |namespace: &Namespace| match name(&namespace.kind) {
            Some((_, name, _)) if !namespace.path.is_empty() => {
                NamespaceOwner::look(&namespace.path, name)
            }
            _ => NamespaceOwner::Other,
        };
        linux.namespaces.iter().map(whose).collect()
    }

    /// Compares inodes. `name` is the namespace's file in /proc/PID/ns.
    fn look(path: &str, name: &str) -> NamespaceOwner {
        let inode = |path: &str| {
            let found = stat(&*c_path(Path::new(path)).ok()?).ok()?;
            Some((found.st_dev, found.st_ino))
        };
        let Some(found) = inode(path) else {
            return NamespaceOwner::Other; // Joining it will say why.
        };
        match () {
            () if inode(&format!("/proc/self/ns/{name}")) == Some(found) => NamespaceOwner::Caller,
            () if inode(&format!("/proc/1/ns/{name}")) == Some(found) => NamespaceOwner::Host,
            () => NamespaceOwner::Other,
        }
    }
}

impl Host {
    /// Looks at the machine.
    pub fn read() -> Host {
        let uid = geteuid().as_raw();
        let magic = |path: &str| statfs(path).map_or(0, |stat| stat.f_type as u64);
        let helper = |name: &str| {
            let directories = ["/usr/bin", "/bin", "/usr/local/bin", "/sbin", "/usr/sbin"];
            let mut paths = directories.iter().map(|directory| Path::new(directory).join(name));
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
            .map(CgroupMount::read);
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

    /// Whether vial is root outside of any user namespace.
    pub fn is_privileged(&self) -> bool {
        self.uid == 0 && !self.in_user_namespace
    }
}

impl CgroupMount {
    fn read(root: &str) -> CgroupMount {
        let root = PathBuf::from(root);
        let text = read_kernel(root.join("cgroup.controllers")).unwrap_or_default();
        CgroupMount {
            root,
            controllers: String::from_utf8_lossy(&text)
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
            own: cgroup_of("self").unwrap_or_default(),
            birth_gives_cpus: release() >= (6, 4),
        }
    }

    /// Looks at a cgroup, which need not exist, and its ancestors.
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

/// Whether this user may, by access(2).
fn may(path: &Path, what: Access) -> bool {
    c_path(path).is_ok_and(|path| access(&*path, what).is_ok())
}

/// The kernel's major and minor version.
fn release() -> (u32, u32) {
    let names = rustix::system::uname();
    let mut numbers = names.release().to_bytes().split(|byte| !byte.is_ascii_digit());
    let mut number = || std::str::from_utf8(numbers.next()?).ok()?.parse().ok();
    (number().unwrap_or(0), number().unwrap_or(0))
}

/// The path of a process's cgroup, from the root of the hierarchy, without the
/// leading slash. None: it cannot be read, or lies outside this cgroup namespace.
pub fn cgroup_of(pid: impl Display) -> Option<PathBuf> {
    let text = read_kernel(format!("/proc/{pid}/cgroup")).ok()?;
    let path = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"0::/"))?;
    let path = PathBuf::from(OsStr::from_bytes(path));
    path.components().all(|part| matches!(part, Component::Normal(_))).then_some(path)
}

/// The inode number of the first user namespace (`USER_NS_INIT_INO`, linux/nsfs.h).
const FIRST_USER_NAMESPACE: u64 = 0xefff_fffd;

/// Whether vial runs in a user namespace other than the first.
pub fn in_user_namespace() -> bool {
    own_user_namespace().is_some_and(|inode| inode != FIRST_USER_NAMESPACE)
}

/// The inode number of this user namespace. None without procfs; stage 0 says so.
fn own_user_namespace() -> Option<u64> {
    stat("/proc/self/ns/user").ok().map(|namespace| namespace.st_ino)
}

/// Tries a call that changes nothing: the kernel may be older than 5.12, or a
/// seccomp filter may hide the call.
fn has_mount_setattr() -> bool {
    let nothing = Attributes::default();
    open(Path::new("/"), OFlags::PATH | OFlags::DIRECTORY)
        .is_ok_and(|root| mount_setattr(root.as_fd(), false, &nothing).is_ok())
}

/// Reads the ranges of ids inside, from the text of a uid_map or gid_map.
fn ids(map: &str) -> Vec<(u32, u32)> {
    let line = |line: &str| {
        let mut numbers = line.split_whitespace().map(str::parse::<u32>);
        let first = numbers.next()?.ok()?;
        Some((first, numbers.nth(1)?.ok()?))
    };
    map.lines().filter_map(line).collect()
}

/// Finds the highest capability that the kernel knows. Root usually has it;
/// otherwise prctl(2) answers for each one.
fn last_capability(permitted: u64) -> u32 {
    let known =
        |number: u32| capability_is_in_bounding_set(CapabilitySet::from_bits_retain(1 << number));
    let mut last = 63_u32.saturating_sub(permitted.leading_zeros());
    while last < 63 && known(last + 1).is_ok() {
        last += 1;
    }
    last
}
