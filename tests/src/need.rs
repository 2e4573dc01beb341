//! What some tests need of the machine that they run on.

use std::fs;
use std::process::{Command, Stdio};

use crate::runner::in_machine;

/// What a test needs and some machines lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Effective user 0.
    Root,
    /// cgroup v2 at /sys/fs/cgroup, with the controllers in it.
    Cgroup2,
    /// cgroup v2, also without controllers: with cgroup v1 beside it.
    Cgroup2Mount,
    /// Controllers in hierarchies of cgroup v1, below /sys/fs/cgroup.
    CgroupV1,
    /// User namespaces may be made.
    UserNamespaces,
    /// Time namespaces: CONFIG_TIME_NS, Linux 5.6.
    TimeNamespaces,
    /// CONFIG_KEYS.
    Keyrings,
    /// podman in a machine, as on a host it would touch the user's containers.
    Podman,
    /// containerd in a machine whose systemd starts it.
    Containerd,
    /// docker in such a machine.
    Docker,
    /// buildah in such a machine.
    Buildah,
    /// A machine with systemd, and an ordinary user.
    Systemd,
    /// newuidmap in a machine, as the tests add a user to /etc/passwd.
    Newuidmap,
    /// A machine: on a host, a failure of the test would cause harm.
    Machine,
    /// mount_setattr(2), Linux 5.12: the only way to change the attributes of a
    /// mount and of all mounts below it.
    MountSetattr,
    /// Idmapped mounts of tmpfs, Linux 6.3.
    IdMaps,
    /// A shell and grep, which the smaller machines lack.
    Shell,
    /// criu, which works with this kernel.
    Criu,
    /// iptables, by which criu holds up packets.
    Iptables,
    /// /dev/fuse.
    Fuse,
    /// ip and nsenter.
    Iproute,
    /// SELinux is enabled, with the policy of a machine that boots with it.
    Selinux,
    /// AppArmor is enabled, and apparmor_parser is installed.
    AppArmor,
}

pub(crate) const APPARMOR_PARSER: &str = "/usr/sbin/apparmor_parser";

impl Need {
    /// The name of the missing feature; None if it is there.
    #[must_use]
    pub fn missing(self) -> Option<&'static str> {
        let exists = |path: &str| fs::exists(path).unwrap_or(false);
        let has = |path: &str, word: &str| {
            fs::read_to_string(path).is_ok_and(|text| text.split_whitespace().any(|w| w == word))
        };
        let on_systemd = |program: &str| {
            in_machine() && exists("/run/systemd/system") && exists(&format!("/usr/bin/{program}"))
        };
        let (there, feature) = match self {
            Need::Root => (vial_targets::debian::is_root(), "effective user 0"),
            Need::Cgroup2Mount => {
                let mut places = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].into_iter();
                let is_there = |top: &str| exists(&format!("{top}/cgroup.subtree_control"));
                (places.any(is_there), "cgroup v2")
            }
            Need::CgroupV1 => (exists("/sys/fs/cgroup/memory/tasks"), "cgroup v1 with controllers"),
            Need::Cgroup2 => {
                (has("/sys/fs/cgroup/cgroup.controllers", "memory"), "cgroup v2 with controllers")
            }
            Need::UserNamespaces => (exists("/proc/self/ns/user"), "user namespaces"),
            Need::TimeNamespaces => (exists("/proc/self/ns/time"), "time namespaces"),
            Need::Keyrings => (exists("/proc/keys"), "keyrings (CONFIG_KEYS)"),
            Need::Podman => (in_machine() && exists("/usr/bin/podman"), "podman in a machine"),
            Need::Containerd => (on_systemd("ctr"), "containerd in a machine with systemd"),
            Need::Docker => (on_systemd("docker"), "docker in a machine with systemd"),
            Need::Buildah => (on_systemd("buildah"), "buildah in a machine with systemd"),
            Need::Systemd => (on_systemd("systemd-run"), "machine with systemd"),
            Need::Newuidmap => {
                (in_machine() && exists("/usr/bin/newuidmap"), "newuidmap in a machine")
            }
            Need::MountSetattr => (crate::sys::has_mount_setattr(), "mount_setattr (Linux 5.12)"),
            Need::IdMaps => (has_release(6, 3), "idmapped mounts of tmpfs (Linux 6.3)"),
            Need::Selinux => (exists("/sys/fs/selinux/load") && in_machine(), "SELinux"),
            Need::AppArmor => (
                exists(APPARMOR_PARSER) && has("/sys/module/apparmor/parameters/enabled", "Y"),
                "AppArmor with its parser",
            ),
            Need::Iproute => {
                (exists("/usr/sbin/ip") && exists("/usr/bin/nsenter"), "ip and nsenter")
            }
            Need::Shell => (exists("/bin/sh") && exists("/usr/bin/grep"), "shell with grep"),
            Need::Criu => (has_criu(), "criu that works with this kernel"),
            Need::Iptables => (exists("/usr/sbin/iptables"), "iptables"),
            Need::Fuse => (exists("/dev/fuse"), "FUSE"),
            Need::Machine => (in_machine(), "machine that may be harmed"),
        };
        (!there).then_some(feature)
    }
}

/// Whether criu is there, and finds all that it needs.
fn has_criu() -> bool {
    let streams = || Stdio::null();
    let check = Command::new("criu").arg("check").stdout(streams()).stderr(streams()).status();
    check.is_ok_and(|status| status.success())
}

/// Whether the kernel is at least of this release.
fn has_release(major: u32, minor: u32) -> bool {
    let names = rustix::system::uname();
    let release = names.release().to_string_lossy();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|n| n.parse().ok());
    let own: [Option<u32>; 2] = [numbers.next(), numbers.next()];
    own >= [Some(major), Some(minor)]
}
