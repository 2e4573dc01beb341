//! What the planner must know about the machine. It is read once, before planning,
//! so that the planner is a function of its arguments.

pub mod cgroups;
pub mod mountinfo;
pub mod resctrl;
pub mod sources;

use std::path::{Path, PathBuf};

use linux_raw_sys::general;
use rustix::fd::AsFd;
use rustix::fs::{Access, OFlags, access, stat, statfs};
use rustix::process::{getegid, geteuid};
use rustix::thread::{CapabilitySet, capabilities, capability_is_in_bounding_set};
use serde::{Deserialize, Serialize};
use vial_init::sys::mount_setattr::{Attributes, mount_setattr};

use crate::config::linux::{Linux, Namespace};
use crate::file::{c_path, open};
use crate::namespace::KINDS;
use crate::seccomp::Arch;

pub use cgroups::{CgroupMount, Driver, Hierarchy, Lineage, cgroup_of};

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
    /// up only if nothing filters devices.
    pub has_mount_setattr: bool,
    /// The cgroup2 filesystem, if one is mounted.
    pub cgroup: Option<CgroupMount>,
    /// The mounted hierarchies of cgroup v1, unless /sys/fs/cgroup is cgroup2.
    #[serde(default)]
    pub cgroup_v1: Vec<CgroupMount>,
    /// What makes cgroups.
    #[serde(default)]
    pub driver: Driver,
    /// The path of newuidmap(1), if installed.
    pub newuidmap: Option<PathBuf>,
    /// The path of newgidmap(1), if installed.
    pub newgidmap: Option<PathBuf>,
    /// The ranges of uids and of gids that this user namespace maps: the first id and
    /// the count. Empty outside of a user namespace, where all ids exist.
    pub ids: [Vec<(u32, u32)>; 2],
}

/// Whose namespace an entry of linux.namespaces names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NamespaceOwner {
    /// Another one's, or there is no such namespace.
    #[default]
    Other,
    /// The one of the host's first process.
    Host,
    /// The caller's own.
    Caller,
    /// Nobody's: the kernel has no namespaces of this type.
    Nobody,
}

impl NamespaceOwner {
    /// The owner of each entry of linux.namespaces. An entry without a path is `Other`,
    /// or `Nobody` if the kernel cannot make it.
    ///
    /// This is looked up for time namespaces only. Engines ask for them in every
    /// container, and no kernel of 32-bit ARM has them. Where another type is missing,
    /// the failed clone3(2) is explained by a hint.
    pub fn of(linux: &Linux) -> Vec<NamespaceOwner> {
        let name = |kind: &str| KINDS.iter().find(|(known, ..)| *known == kind);
        let has_file = |name: &str| may(&Path::new("/proc/self/ns").join(name), Access::EXISTS);
        let whose = |namespace: &Namespace| match name(&namespace.kind) {
            Some((_, name, _)) if !namespace.path.is_empty() => {
                NamespaceOwner::look(&namespace.path, name)
            }
            Some((_, name @ "time", _)) if !has_file(name) && has_file("mnt") => {
                NamespaceOwner::Nobody
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
        let (cgroup, cgroup_v1) = CgroupMount::find();
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
            has_mount_setattr: !filters_devices(cgroup.as_ref(), &cgroup_v1) && has_mount_setattr(),
            cgroup,
            cgroup_v1,
            driver: Driver::Fs,
            newuidmap: (uid != 0).then(|| helper("newuidmap")).flatten(),
            newgidmap: (uid != 0).then(|| helper("newgidmap")).flatten(),
        }
    }

    /// Whether vial is root outside of any user namespace.
    pub fn is_privileged(&self) -> bool {
        self.uid == 0 && !self.in_user_namespace
    }

    /// Which cgroups it has. None: none that are mounted.
    pub fn hierarchy(&self) -> Option<Hierarchy> {
        match (&self.cgroup, self.cgroup_v1.is_empty()) {
            (Some(_), true) => Some(Hierarchy::V2),
            (Some(_), false) => Some(Hierarchy::Hybrid),
            (None, false) => Some(Hierarchy::V1),
            (None, true) => None,
        }
    }

    /// The hierarchy of cgroup v1 that holds this controller, if one does.
    pub fn v1_of(&self, controller: &str) -> Option<&CgroupMount> {
        self.cgroup_v1.iter().find(|mount| mount.has(controller))
    }

    /// Whether a cgroup can filter devices: cgroup2 by a program, v1 by its controller.
    pub fn filters_devices(&self) -> bool {
        filters_devices(self.cgroup.as_ref(), &self.cgroup_v1)
    }

    /// Does without cgroups.
    pub fn forget_cgroups(&mut self) {
        (self.cgroup, self.cgroup_v1) = (None, Vec::new());
        self.has_mount_setattr = has_mount_setattr();
    }
}

fn filters_devices(v2: Option<&CgroupMount>, v1: &[CgroupMount]) -> bool {
    v2.is_some() || v1.iter().any(|mount| mount.has("devices"))
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
