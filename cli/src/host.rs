//! What the planner must know of the machine: read once, before it, so that
//! the planner itself is a function of its arguments.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statfs};
use rustix::process::{getegid, geteuid};

const CGROUP2_SUPER_MAGIC: u64 = 0x6367_7270;
const RAMFS_MAGIC: u64 = 0x8584_58f6;
const TMPFS_MAGIC: u64 = 0x0102_1994;

/// The machine, as far as it decides what a Plan says.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// The effective user.
    pub uid: u32,
    /// The effective group.
    pub gid: u32,
    /// Whether this runs in a user namespace, where no device can be made.
    pub in_user_namespace: bool,
    /// The highest capability that the kernel knows.
    pub last_capability: u32,
    /// Whether the root is a ramfs or tmpfs, which may be the initramfs, that
    /// pivot_root(2) refuses to move.
    pub root_is_memory: bool,
    /// The cgroup2 filesystem, if one is mounted.
    pub cgroup: Option<Cgroup>,
    /// newuidmap and newgidmap, where installed.
    pub newuidmap: Option<PathBuf>,
    /// As newuidmap.
    pub newgidmap: Option<PathBuf>,
}

/// The cgroup2 filesystem.
#[derive(Clone, Debug, Default)]
pub struct Cgroup {
    /// Where it is mounted.
    pub root: PathBuf,
    /// The controllers that its root offers.
    pub controllers: Vec<String>,
    /// The cgroup of this process, from the root, without the leading slash.
    pub own: PathBuf,
}

impl Host {
    /// Looks at the machine.
    pub fn read() -> Host {
        let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
        let magic = |path: &str| statfs(path).map_or(0, |stat| stat.f_type as u64);
        let helper = |name: &str| {
            let folders = ["/usr/bin", "/bin", "/usr/local/bin", "/sbin", "/usr/sbin"];
            let mut paths = folders.iter().map(|folder| Path::new(folder).join(name));
            paths.find(|path| access(path, Access::EXEC_OK).is_ok())
        };
        let last = fs::read_to_string("/proc/sys/kernel/cap_last_cap").ok();
        Host {
            uid,
            gid,
            in_user_namespace: in_user_namespace(),
            // Unreadable: before Linux 3.2, or no procfs, which stage 0 says.
            last_capability: last.and_then(|text| text.trim().parse().ok()).unwrap_or(63),
            root_is_memory: matches!(magic("/"), RAMFS_MAGIC | TMPFS_MAGIC),
            cgroup: ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
                .into_iter()
                .find(|path| magic(path) == CGROUP2_SUPER_MAGIC)
                .map(Cgroup::read),
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
        let text = fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default();
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let own = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
        Cgroup {
            root,
            controllers: text.split_whitespace().map(str::to_owned).collect(),
            own: PathBuf::from(own),
        }
    }

    /// Whether cgroups can be made below this one, which need not exist.
    pub fn is_writable(&self, path: &Path) -> bool {
        let existing = path.ancestors().map(|path| self.root.join(path)).find(|path| path.exists());
        existing.is_some_and(|path| access(&path, Access::WRITE_OK).is_ok())
    }
}

/// The first user namespace maps every id on itself.
pub fn in_user_namespace() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let first: Vec<&str> = map.lines().next().unwrap_or_default().split_whitespace().collect();
    !map.is_empty() && first != ["0", "0", "4294967295"]
}
