//! The machine: vial's files, the kernel, the cgroups, and what an ordinary user has.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::fd::AsFd;
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2, statvfs};
use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, open_tree};
use rustix::process::{PidfdFlags, getpid, pidfd_open};
use vial_init::sys::bpf::DeviceFilters;
use vial_init::sys::close_range::close_range;

use super::{Report, text};
use crate::container::Container;
use crate::container::dir::ids;
use crate::file::{c_path, open};
use crate::flags::Global;
use crate::host::mountinfo::cgroups;
use crate::host::{Hierarchy, Host};
use crate::launch::program;
use crate::namespace::KINDS;
use crate::systemd;

/// Files that tell whether the kernel has something: its name, the file, and what it
/// costs if it is missing.
const FILES: [(&str, &str, &str); 8] = [
    (
        "seccomp filters",
        "/proc/sys/kernel/seccomp/actions_avail",
        "CONFIG_SECCOMP_FILTER is missing: linux.seccomp is refused",
    ),
    (
        "keyrings",
        "/proc/keys",
        "CONFIG_KEYS is missing: containers get no session keyring of their own",
    ),
    (
        "message queues",
        "/proc/sys/fs/mqueue",
        "CONFIG_POSIX_MQUEUE is missing: leave out mounts of type mqueue",
    ),
    (
        "pressure (PSI)",
        "/proc/pressure",
        "CONFIG_PSI is missing, or psi=1 in the kernel's command line: events tells no pressure",
    ),
    (
        "user namespaces",
        "/proc/self/ns/user",
        "CONFIG_USER_NS is missing: containers need the host's root",
    ),
    (
        "checkpoint and restore",
        "/proc/sys/kernel/ns_last_pid",
        "CONFIG_CHECKPOINT_RESTORE is missing",
    ),
    ("pseudo-terminals", "/dev/ptmx", "devpts is missing: terminals cannot be made"),
    ("mount table", "/proc/self/mountinfo", "mount proc on /proc: vial needs it"),
];

/// Filesystems of containers, and what it costs if they are missing.
const FILESYSTEMS: [(&str, &str); 3] = [
    ("tmpfs", "CONFIG_TMPFS is missing: /dev and /dev/shm of containers cannot be made"),
    ("devpts", "CONFIG_UNIX98_PTYS is missing: leave out the mount of devpts, and terminals"),
    ("overlay", "CONFIG_OVERLAY_FS is missing: engines need another way to unpack images"),
];

/// Controllers of cgroups, and what needs them.
const CONTROLLERS: [(&str, &str, &str); 6] = [
    ("memory", "memory", "limits of memory, and what it uses"),
    ("cpu", "cpu", "linux.resources.cpu"),
    ("cpuset", "cpuset", "the CPUs and memory nodes of a container"),
    ("pids", "pids", "a limit of processes"),
    ("io", "blkio", "linux.resources.blockIO"),
    ("hugetlb", "hugetlb", "linux.resources.hugepageLimits"),
];

/// Looks at the machine. Changes nothing.
pub fn machine(global: &Global, report: &mut Report) {
    let host = Host::read();
    own(global, report);
    kernel(&host, report);
    cgroup(&host, report);
    user(&host, report);
}

fn own(global: &Global, report: &mut Report) {
    let (version, build) = (env!("CARGO_PKG_VERSION"), vial_plan::FINGERPRINT);
    report.add("vial", "version", &format_args!("{version}, build {build:016x}"));
    match program::path() {
        Ok(path) => report.add("vial", "vial-init", &path.display()),
        Err(error) => report.add_wrong("vial", "vial-init", &"none", &error.to_string()),
    }
    if global.root.as_os_str().is_empty() {
        return; // XDG_RUNTIME_DIR is missing, as told below.
    }
    let root = global.root.display();
    let existing = global.root.ancestors().find(|path| path.exists());
    match existing.map(|path| c_path(path).and_then(|path| statvfs(&*path))) {
        Some(Ok(stat)) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize) >> 20;
            let value = format!("{root}, {free} MiB and {} files are free", stat.f_favail);
            match free == 0 || (stat.f_files > 0 && stat.f_favail == 0) {
                true => report.add_wrong(
                    "vial",
                    "state",
                    &value,
                    "it is full: no container can be created",
                ),
                false => report.add("vial", "state", &value),
            }
        }
        _ => report.add_wrong("vial", "state", &root, "it cannot be looked at"),
    }
    let all = ids(global).unwrap_or_default();
    report.add("vial", "containers", &all.len());
    for id in all {
        if let Err(error) = Container::peek(&global.root, &id) {
            let advice = format!("{error}; `vial delete --force {id}` removes it");
            report.add_wrong("vial", "container", &id, &advice);
        }
    }
}

fn kernel(host: &Host, report: &mut Report) {
    let names = rustix::system::uname();
    let (release, machine) = (names.release().to_string_lossy(), names.machine().to_string_lossy());
    report.add("kernel", "release", &format_args!("{release} {machine}"));
    for (kind, file, _) in KINDS.iter().filter(|(kind, ..)| *kind != "user") {
        let cost = format!("leave {{\"type\": \"{kind}\"}} out of linux.namespaces");
        let is_there = Path::new("/proc/self/ns").join(file).exists();
        report.add_whether("kernel", &format!("{kind} namespaces"), is_there, &cost);
    }
    for (name, file, cost) in FILES {
        report.add_whether("kernel", name, Path::new(file).exists(), cost);
    }
    let known = text("/proc/filesystems").unwrap_or_default();
    for (name, cost) in FILESYSTEMS {
        let has = known.lines().any(|line| line.split('\t').nth(1) == Some(name));
        // A module that is not loaded yet is not listed.
        let cost = format!("{cost}, or its module is not loaded");
        report.add_whether("kernel", name, has, &cost);
    }
    calls(report);
    let apparmor = text("/sys/module/apparmor/parameters/enabled").is_some_and(|on| on == "Y");
    let selinux = Path::new("/sys/fs/selinux/enforce").exists();
    let module = match (apparmor, selinux) {
        (true, _) => "AppArmor",
        (_, true) => "SELinux",
        _ => "none",
    };
    report.add("kernel", "security module with labels", &module);
    if let Some(value @ "2") = text("/proc/sys/vm/memfd_noexec").as_deref() {
        let advice = "vial-init runs from a memfd: set vm.memfd_noexec to 0 or 1";
        report.add_wrong("kernel", "vm.memfd_noexec", &value, advice);
    }
    if host.root_is_memory {
        report.add("kernel", "root", &"in memory: an initramfs, or a tmpfs");
    }
}

/// System calls of newer kernels. A seccomp filter may hide them, too.
fn calls(report: &mut Report) {
    let is_known = |result: Result<(), Errno>| !matches!(result, Err(Errno::NOSYS | Errno::PERM));
    let root = open("/", OFlags::PATH | OFlags::DIRECTORY);
    let root = root.as_ref().map(|root| root.as_fd()).unwrap_or(rustix::fs::CWD);
    let pidfd = pidfd_open(getpid(), PidfdFlags::empty()).map(drop);
    let opened = openat2(root, ".", OFlags::PATH, Mode::empty(), ResolveFlags::IN_ROOT).map(drop);
    let tree = open_tree(root, ".", OpenTreeFlags::OPEN_TREE_CLOEXEC).map(drop);
    for (name, since, result, cost) in [
        ("pidfd_open(2)", "5.3", pidfd, "a process is known by its pid and start time"),
        ("open_tree(2)", "5.2", tree, "mount(2) makes binds"),
        ("openat2(2)", "5.6", opened, "paths are walked component by component"),
        ("close_range(2)", "5.9", close_range(u32::MAX, u32::MAX), "fds are closed one by one"),
    ] {
        let cost = format!(
            "Linux {since} has it; the kernel is older, or a filter forbids it: {cost}, which is slower"
        );
        report.add_whether("kernel", name, is_known(result), &cost);
    }
}

fn cgroup(host: &Host, report: &mut Report) {
    const SUBJECT: &str = "cgroups";
    let layout = match host.hierarchy() {
        Some(Hierarchy::V2) => "cgroup2",
        Some(Hierarchy::Hybrid) => "cgroup v1, beside cgroup2",
        Some(Hierarchy::V1) => "cgroup v1",
        None => {
            let advice = "mount -t cgroup2 none /sys/fs/cgroup; without it no limit can be set, and no device be filtered";
            return report.add_wrong(SUBJECT, "layout", &"none is mounted", advice);
        }
    };
    report.add(SUBJECT, "layout", &layout);
    for point in cgroups() {
        let (path, options) = (point.point.display(), point.options.join(","));
        report.add(SUBJECT, "mounted", &format_args!("{path} ({options})"));
    }
    for (v2, v1, needs) in CONTROLLERS {
        let in_v2 = host.cgroup.as_ref().is_some_and(|mount| mount.has(v2));
        let place = match (in_v2, host.v1_of(v1)) {
            (true, _) => Some("yes"),
            (_, Some(_)) => Some("yes, of cgroup v1"),
            (false, None) => None,
        };
        let name = format!("controller {v2}");
        let cost = format!(
            "without it there is no {needs}: is it in the kernel, and does cgroup_disable= in its command line turn it off?"
        );
        match place {
            Some(value) => report.add(SUBJECT, &name, &value),
            None => report.add_wrong(SUBJECT, &name, &"no", &cost),
        }
    }
    if let Some(mount) = &host.cgroup {
        report.add(SUBJECT, "own cgroup", &format_args!("/{}", mount.own.display()));
        files(&mount.root, report);
        let root = open(&mount.root, OFlags::RDONLY | OFlags::DIRECTORY);
        if let (Ok(root), true) = (root, host.is_privileged() && host.cgroup_v1.is_empty()) {
            let filters = DeviceFilters::of(root.as_fd()).is_ok();
            let cost =
                "CONFIG_CGROUP_BPF is missing: allow all devices, or use --cgroup-manager=disabled";
            report.add_whether(SUBJECT, "device filters", filters, cost);
        }
    }
    let has_systemd = systemd::is_booted();
    report.add(SUBJECT, "systemd can make them", &if has_systemd { "yes" } else { "no" });
}

/// Files of newer kernels, which only a cgroup below the root has.
fn files(root: &Path, report: &mut Report) {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    let Some(below) = entries.map(|entry| entry.path()).find(|path| path.is_dir()) else { return };
    for (file, cost) in [
        ("cgroup.kill", "Linux 5.14 has it: processes are killed one by one"),
        ("cgroup.freeze", "Linux 5.2 has it: pause and resume fail"),
    ] {
        report.add_whether("cgroups", file, below.join(file).exists(), cost);
    }
    if below.join("memory.current").exists() {
        let cost =
            "swapaccount=1 in the kernel's command line, or CONFIG_SWAP: swap cannot be limited";
        report.add_whether(
            "cgroups",
            "limit of swap",
            below.join("memory.swap.max").exists(),
            cost,
        );
    }
}

fn user(host: &Host, report: &mut Report) {
    const SUBJECT: &str = "user";
    let place = if host.in_user_namespace { ", in a user namespace" } else { "" };
    report.add(SUBJECT, "uid", &format_args!("{}{place}", host.uid));
    for (name, file, wrong) in [
        ("user namespaces allowed", "/proc/sys/user/max_user_namespaces", "0"),
        ("user namespaces for users", "/proc/sys/kernel/unprivileged_userns_clone", "0"),
        (
            "kept from users by AppArmor",
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1",
        ),
    ] {
        match text(file) {
            Some(value) if value == wrong => {
                let advice = format!("{file} is {value}: containers of ordinary users fail");
                report.add_wrong(SUBJECT, name, &value, &advice);
            }
            Some(value) => report.add(SUBJECT, name, &value),
            None => {}
        }
    }
    if host.uid == 0 {
        return;
    }
    for (name, path) in [("newuidmap", &host.newuidmap), ("newgidmap", &host.newgidmap)] {
        let cost = "install uidmap (shadow): without it a container has only one user and group";
        report.add_whether(SUBJECT, name, path.is_some(), cost);
    }
    let names = [env::var("USER").unwrap_or_default(), host.uid.to_string()];
    for file in ["/etc/subuid", "/etc/subgid"] {
        let all = text(file).unwrap_or_default();
        let is_own = |line: &&str| names.iter().any(|name| line.split(':').next() == Some(name));
        match all.lines().find(is_own) {
            Some(line) => report.add(SUBJECT, file, &line),
            None => report.add_wrong(
                SUBJECT,
                file,
                &"no line for this user",
                "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER",
            ),
        }
    }
    let directory = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    match directory.filter(|path| path.is_dir()) {
        Some(path) => report.add(SUBJECT, "XDG_RUNTIME_DIR", &path.display()),
        None => report.add_wrong(
            SUBJECT,
            "XDG_RUNTIME_DIR",
            &"no directory",
            "use --root DIR, or log in through PAM",
        ),
    }
}
