//! The host's hierarchies of cgroups, and what is there of a container's before it is
//! made.
//!
//! | /sys/fs/cgroup | hierarchy |
//! |---|---|
//! | cgroup2 | V2: one tree for all controllers |
//! | hierarchies of cgroup v1, one for each set of controllers | V1 |
//! | the same, and cgroup2 at `unified` | Hybrid: v1 has the controllers, and cgroup2 the processes, and those controllers that v1 leaves to it |

use std::ffi::OsStr;
use std::fmt::Display;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use linux_raw_sys::general;
use rustix::fs::{Access, statfs};
use serde::{Deserialize, Serialize};

use super::mountinfo::CgroupPoint;
use super::{may, mountinfo, release};
use crate::file::{c_path, read_kernel};

const CGROUP2_SUPER_MAGIC: u64 = general::CGROUP2_SUPER_MAGIC as u64;

/// Where systemd mounts all cgroups.
const USUAL: &str = "/sys/fs/cgroup";

/// Which hierarchies hold a container. Code that depends on it matches it, so that the
/// compiler finds each place when one is added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hierarchy {
    /// One tree for all controllers: cgroup2.
    #[default]
    V2,
    /// A tree for each set of controllers: cgroup v1.
    V1,
    /// Both. Processes are found, frozen and killed by cgroup2.
    Hybrid,
}

impl Hierarchy {
    /// Its name, in the state dir.
    pub fn name(self) -> &'static str {
        match self {
            Hierarchy::V2 => "v2",
            Hierarchy::V1 => "v1",
            Hierarchy::Hybrid => "hybrid",
        }
    }

    /// The one with this name.
    pub fn by_name(name: &str) -> Option<Hierarchy> {
        let all = [Hierarchy::V2, Hierarchy::V1, Hierarchy::Hybrid];
        all.into_iter().find(|one| one.name() == name)
    }
}

/// What makes cgroups.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub enum Driver {
    /// vial itself, by mkdir(2).
    #[default]
    Fs,
    /// systemd.
    Systemd {
        /// Whether it is a user's, and not the machine's.
        is_of_user: bool,
        /// The path of the cgroup that holds all of its units, without the leading
        /// slash.
        root: PathBuf,
    },
}

/// A mounted hierarchy.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct CgroupMount {
    /// Where it is mounted.
    pub root: PathBuf,
    /// The controllers that its root offers. A hierarchy of v1 without a controller
    /// has a name, as in `name=systemd`.
    pub controllers: Vec<String>,
    /// The cgroup of this process, from the root, without the leading slash.
    pub own: PathBuf,
    /// Whether CLONE_INTO_CGROUP gives a process the CPUs of the cgroup, since Linux
    /// 6.4.
    pub birth_gives_cpus: bool,
    /// Whether it is one of cgroup v1.
    #[serde(default)]
    pub is_v1: bool,
}

/// What is known of the container's cgroups and their ancestors before they are made.
#[derive(Clone, Debug, Default)]
pub struct Lineage {
    /// Whether one of them in cgroup2 limits CPUs or memory nodes. Looked up only if
    /// CLONE_INTO_CGROUP does not give them to a process.
    pub limits_cpus: bool,
    /// Those in cgroup2 in which this user may make cgroups. Empty for root, which may
    /// in all.
    pub writable: Vec<PathBuf>,
    /// What is there in each hierarchy of cgroup v1, in the order of the Host.
    pub v1: Vec<Ancestry>,
    /// The limit and the usage in bytes of the container's cgroup, if it exists.
    pub memory: Option<[u64; 2]>,
    /// The files that cgroup2 delegates to the owner of a cgroup. Looked up only for a
    /// user namespace.
    pub delegated: Vec<String>,
}

/// What is there of the container's cgroup in a hierarchy of cgroup v1.
#[derive(Clone, Debug, Default)]
pub struct Ancestry {
    /// Whether this user may make the cgroup.
    pub is_writable: bool,
    /// Of the cgroup and its ancestors, those that do not exist.
    pub missing: Vec<PathBuf>,
    /// The CPUs and the memory nodes for those that have none; processes can enter
    /// none of these. Only in the hierarchy of cpuset.
    pub inherited: [Inherited; 2],
}

/// What is copied down to cgroups without a value of their own.
#[derive(Clone, Debug, Default)]
pub struct Inherited {
    /// The value of the nearest ancestor that has one.
    pub value: String,
    /// The cgroups without one, which may not exist yet.
    pub heirs: Vec<PathBuf>,
}

impl CgroupMount {
    /// The cgroup2 filesystem and the hierarchies of cgroup v1 that are mounted. Where
    /// /sys/fs/cgroup is cgroup2, all others are somebody's own, and are left alone.
    pub(super) fn find() -> (Option<CgroupMount>, Vec<CgroupMount>) {
        let is_cgroup2 = |path: &Path| {
            let found = c_path(path).and_then(|path| statfs(&*path));
            found.is_ok_and(|found| found.f_type as u64 == CGROUP2_SUPER_MAGIC)
        };
        if is_cgroup2(Path::new(USUAL)) {
            return (Some(CgroupMount::v2(USUAL.into())), Vec::new());
        }
        // Without procfs there are none; stage 0 says so.
        let points = mountinfo::cgroups();
        let own = read_kernel("/proc/self/cgroup").unwrap_or_default();
        let v2 = points.iter().find(|point| point.is_v2 && is_cgroup2(&point.point));
        (v2.map(|found| CgroupMount::v2(found.point.clone())), CgroupMount::v1(&points, &own))
    }

    fn v2(root: PathBuf) -> CgroupMount {
        let text = read_kernel(root.join("cgroup.controllers")).unwrap_or_default();
        CgroupMount {
            root,
            controllers: String::from_utf8_lossy(&text)
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
            own: cgroup_of(&"self", "").unwrap_or_default(),
            birth_gives_cpus: release() >= (6, 4),
            is_v1: false,
        }
    }

    /// The hierarchies of v1 that /proc/self/cgroup lists and that are mounted.
    fn v1(points: &[CgroupPoint], own: &[u8]) -> Vec<CgroupMount> {
        let lines = own.split(|byte| *byte == b'\n').filter_map(parse);
        lines
            .filter_map(|(controllers, path)| {
                let first = controllers.first()?;
                let has = |point: &&CgroupPoint| point.options.contains(first);
                // The whole of it, if that is mounted.
                let whole = points.iter().find(|point| has(point) && point.root == Path::new("/"));
                let point = whole.or_else(|| points.iter().find(has))?;
                // In a container without a cgroup namespace, its part of the hierarchy
                // is mounted, but paths count from the host's root.
                let own = path.strip_prefix(&point.root).unwrap_or(&path);
                let own = own.strip_prefix("/").unwrap_or(own);
                let is_plain = own.components().all(|part| matches!(part, Component::Normal(_)));
                let own = if is_plain { own.to_owned() } else { PathBuf::new() };
                let root = point.point.clone();
                Some(CgroupMount { root, controllers, own, birth_gives_cpus: false, is_v1: true })
            })
            .collect()
    }

    /// Whether it offers this controller.
    pub fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|offered| offered == controller)
    }

    /// Looks at a cgroup of cgroup2, which need not exist, and its ancestors.
    pub fn look(&self, path: &Path, uid: u32, lineage: &mut Lineage) {
        let writable = path.ancestors().filter(|path| uid != 0 && self.is_writable(path));
        lineage.limits_cpus = !self.birth_gives_cpus && self.limits_cpus(path);
        lineage.writable = writable.map(Path::to_owned).collect();
    }

    /// Looks at a cgroup of cgroup v1, which need not exist, and its ancestors.
    pub fn look_v1(&self, path: &Path, uid: u32) -> Ancestry {
        let mut levels: Vec<&Path> =
            path.ancestors().filter(|level| !level.as_os_str().is_empty()).collect();
        levels.reverse();
        let is_missing = |level: &&&Path| !self.root.join(level).exists();
        let missing = levels.iter().filter(is_missing).map(|level| level.to_path_buf()).collect();
        let inherited = |file: &str| {
            let read = |level: &Path| {
                let text = fs::read_to_string(self.root.join(level).join(file));
                text.map(|text| text.trim().to_owned()).unwrap_or_default()
            };
            let mut inherited = Inherited { value: read(Path::new("")), heirs: Vec::new() };
            for level in &levels {
                match read(level) {
                    none if none.is_empty() => inherited.heirs.push(level.to_path_buf()),
                    value => inherited.value = value,
                }
            }
            inherited
        };
        Ancestry {
            is_writable: uid == 0 || self.is_writable(path),
            missing,
            inherited: match self.has("cpuset") {
                true => [inherited("cpuset.cpus"), inherited("cpuset.mems")],
                false => Default::default(),
            },
        }
    }

    /// The limit and the usage of memory of a cgroup, if it exists.
    pub fn memory(&self, path: &Path) -> Option<[u64; 2]> {
        let files = match self.is_v1 {
            true => ["memory.limit_in_bytes", "memory.usage_in_bytes"],
            false => ["memory.max", "memory.current"],
        };
        let read = |file: &str| {
            let text = fs::read_to_string(self.root.join(path).join(file)).ok()?;
            Some(text.trim().parse().unwrap_or(u64::MAX)) // `max`
        };
        Some([read(files[0])?, read(files[1])?])
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

/// The files that the owner of a cgroup may write (cgroups(7), "Delegation"). Linux
/// 4.15 lists them.
pub fn delegated() -> Vec<String> {
    let text = fs::read_to_string("/sys/kernel/cgroup/delegate");
    let text = text.unwrap_or_else(|_| "cgroup.procs cgroup.threads cgroup.subtree_control".into());
    text.split_whitespace().map(str::to_owned).collect()
}

/// Parses a line of proc_pid_cgroup(5): the controllers and the path.
fn parse(line: &[u8]) -> Option<(Vec<String>, PathBuf)> {
    let mut parts = line.splitn(3, |byte| *byte == b':').skip(1);
    let (names, path) = (parts.next()?, parts.next()?);
    let names = String::from_utf8_lossy(names);
    let names = names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    Some((names, PathBuf::from(OsStr::from_bytes(path))))
}

/// The path of a process's cgroup in the hierarchy of this controller, from its root,
/// without the leading slash. An empty controller means cgroup2. None: it cannot be
/// read, or lies outside this cgroup namespace.
pub fn cgroup_of(pid: &dyn Display, controller: &str) -> Option<PathBuf> {
    let text = read_kernel(format!("/proc/{pid}/cgroup")).ok()?;
    let lines = text.split(|byte| *byte == b'\n').filter_map(parse);
    let is_wanted = |names: &[String]| match controller {
        "" => names.is_empty(),
        wanted => names.iter().any(|name| name == wanted),
    };
    let (_, path) = lines.into_iter().find(|(names, _)| is_wanted(names))?;
    let path = path.strip_prefix("/").ok()?.to_owned();
    path.components().all(|part| matches!(part, Component::Normal(_))).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(mountinfo: &str, own: &str) -> Vec<(String, String, String)> {
        let points = mountinfo::cgroups_in(mountinfo.as_bytes());
        let found = CgroupMount::v1(&points, own.as_bytes());
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let row = |m: &CgroupMount| (m.controllers.join(","), text(&m.root), text(&m.own));
        found.iter().map(row).collect()
    }

    #[test]
    fn hierarchies_of_v1_are_found_by_their_controllers() {
        let mounts = "\
            31 23 0:28 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n\
            32 31 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n\
            33 31 0:30 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
            34 31 0:31 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
            35 31 0:32 / /a\\040b rw shared:5 - cgroup cgroup rw,net_cls,net_prio\n\
            36 31 0:33 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        let own = "12:cpu,cpuacct:/user.slice\n4:net_cls,net_prio:/\n9:pids:/x\n\
            3:memory:/a b/c\n1:name=systemd:/init.scope\n0::/init.scope\n";
        let row = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
        assert_eq!(
            found(mounts, own),
            [
                row("cpu,cpuacct", "/sys/fs/cgroup/cpu,cpuacct", "user.slice"),
                row("net_cls,net_prio", "/a b", ""),
                row("memory", "/sys/fs/cgroup/memory", "a b/c"),
                row("name=systemd", "/sys/fs/cgroup/systemd", "init.scope"),
            ],
            "pids is not mounted"
        );
    }

    #[test]
    fn a_part_of_a_hierarchy_may_be_mounted() {
        let mounts = "33 31 0:30 /docker/x /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n";
        let own = |path: &str| found(mounts, &format!("3:pids:{path}\n"))[0].2.clone();
        assert_eq!(own("/docker/x/below"), "below");
        assert_eq!(own("/docker/x"), "");
        assert_eq!(own("/../other"), "");
    }
}
