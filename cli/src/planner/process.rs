//! process: what turns stage 2 into the user's process, in order.

use std::ffi::CString;

use vial_plan::{NamespaceItem, ProcessItem, RootfsItem, SetupItem};

use super::capabilities::{SYS_ADMIN, Sets};
use super::{ListenFds, Request, hooks, program, scheduling, text, wrong};
use crate::config::{Config, Linux, Process};
use crate::error::Error;
use crate::host::Host;
use crate::plan::{Lent, Plan};
use crate::seccomp::Filter;

/// The limits of getrlimit(2), indexed by their numbers.
const LIMITS: [&str; 16] = [
    "RLIMIT_CPU",
    "RLIMIT_FSIZE",
    "RLIMIT_DATA",
    "RLIMIT_STACK",
    "RLIMIT_CORE",
    "RLIMIT_RSS",
    "RLIMIT_NPROC",
    "RLIMIT_NOFILE",
    "RLIMIT_MEMLOCK",
    "RLIMIT_AS",
    "RLIMIT_LOCKS",
    "RLIMIT_SIGPENDING",
    "RLIMIT_MSGQUEUE",
    "RLIMIT_NICE",
    "RLIMIT_RTPRIO",
    "RLIMIT_RTTIME",
];

/// The name of a limit, as in `RLIMIT_NOFILE` for 7.
pub fn limit_name(number: u32) -> &'static str {
    LIMITS.get(number as usize).copied().unwrap_or("an unknown limit")
}

/// The process to plan, and what its items depend on.
#[derive(Debug)]
pub(super) struct Subject<'a> {
    /// The process.
    pub(super) process: &'a Process,
    /// Its path in config.json.
    pub(super) at: &'a str,
    /// The settings of the container for Linux.
    pub(super) linux: &'a Linux,
    /// Whether exec starts it.
    pub(super) is_exec: bool,
    /// Whether its cgroup filters devices.
    pub(super) devices_are_filtered: bool,
    /// Whether its root is changed by chroot(2).
    pub(super) is_chroot: bool,
    /// Whether setgroups(2) works. An unprivileged mapping denies it.
    pub(super) set_groups: bool,
    /// Whether it keeps the caller's, and `user.additionalGids` is left out. podman lists the
    /// user's own group there, also with keep-groups; crun leaves it out, too.
    pub(super) keeps_groups: bool,
    /// The compiled seccomp filter.
    pub(super) seccomp: Option<Filter>,
    /// The field of config.json that the filter comes from.
    pub(super) seccomp_field: &'static str,
    /// How many fds, from 3 on, it gets.
    pub(super) preserve_fds: u32,
    /// Whether its user namespace differs from the caller's.
    pub(super) user_namespace: bool,
    /// Which of them are the fds of $LISTEN_FDS.
    pub(super) listen_fds: &'a ListenFds,
    /// The container that it starts, with its hooks; None for an exec.
    pub(super) container: Option<(&'a Config, &'a Request)>,
}

/// Adds what children inherit and only stage 0 may have the privilege for: the
/// process's oom_score_adj and its hard limits.
pub(super) fn inherited(
    plan: &mut Plan,
    process: &Process,
    at: &str,
    user_namespace: bool,
) -> Result<(), Error> {
    // Only the host's root may raise these, so not within a user namespace.
    if user_namespace {
        if let Some(scheduler) = &process.scheduler {
            let field = format!("{at}.scheduler");
            let scheduler = scheduling::scheduler(scheduler, &field)?;
            if scheduler.is_inherited {
                plan.push(&SetupItem::Scheduler { attributes: &scheduler.bytes }, field);
            }
        }
        if let Some(priority) = &process.io_priority {
            let field = format!("{at}.ioPriority");
            let priority = scheduling::io_priority(priority, &field)?;
            plan.push(&SetupItem::IoPriority { priority }, field);
        }
    }
    if let Some(value) = process.oom_score_adj {
        let field = format!("{at}.oomScoreAdj");
        if !(-1000..=1000).contains(&value) {
            return Err(wrong(field, format_args!("{value} is not between -1000 and 1000")));
        }
        let value = text(value.to_string(), &field)?;
        plan.push(&SetupItem::OomScoreAdj { value: &value }, field);
    }
    for (index, limit) in process.rlimits.iter().enumerate() {
        let field = format!("{at}.rlimits[{index}]");
        let resource = resource(&limit.kind, &field)?;
        if limit.soft > limit.hard {
            return Err(wrong(format_args!("{field}.soft"), "above the hard limit"));
        }
        if process.rlimits.iter().take(index).any(|earlier| earlier.kind == limit.kind) {
            return Err(wrong(field, format_args!("a second {}", limit.kind)));
        }
        plan.push(&SetupItem::RaiseRlimit { resource, hard: limit.hard }, field);
    }
    Ok(())
}

fn resource(name: &str, field: &str) -> Result<u32, Error> {
    let found = LIMITS.iter().position(|known| *known == name);
    let unknown = || wrong(format_args!("{field}.type"), format_args!("unknown limit \"{name}\""));
    found.map(|number| number as u32).ok_or_else(unknown)
}

/// Adds all items from the owner of stdio to execve. create and exec share them.
pub(super) fn plan(plan: &mut Plan, subject: &Subject<'_>, host: &Host) -> Result<(), Error> {
    let Subject { process, at, .. } = *subject;
    let sets = Sets::from_process(plan, subject, host);
    let user = &process.user;
    let field = |name: &str| format!("{at}.{name}");

    // Close the host's fds before chdir: a symbolic link of the container may name
    // one by /proc/self/fd (CVE-2024-21626).
    let socket = plan.lent(Lent::Start);
    plan.push(&ProcessItem::CloseFds { from: 3 + subject.preserve_fds, but: socket }, "");
    plan.push(&ProcessItem::OwnStdio { uid: user.uid }, "");
    labels(plan, process, at)?;
    run_where(plan, subject, host)?;
    // While it is still root, which may enter directories that the user may not.
    let directory = directory(process, at)?;
    plan.push(&ProcessItem::WorkingDirectory { path: &directory }, field("cwd"));
    // While it still has CAP_SETPCAP.
    // Capabilities that the kernel does not know need not be dropped.
    let unknown = u64::MAX.checked_shl(host.last_capability + 1).unwrap_or(0);
    let keep = sets.bounding | unknown;
    plan.push(&ProcessItem::BoundingSet { keep }, field("capabilities.bounding"));
    let mask = user.umask.unwrap_or(0o022);
    if mask > 0o777 {
        return Err(wrong(field("user.umask"), format_args!("{mask:#o} is not below 0o1000")));
    }
    plan.push(&ProcessItem::Umask { mask }, field("user.umask"));
    change_user(plan, subject)?;

    // Without no_new_privs, loading a filter needs CAP_SYS_ADMIN. Keep it until
    // then, even if config.json does not grant it.
    let filter = subject.seccomp.as_ref();
    let borrowed =
        filter.is_some() && !process.no_new_privileges && sets.effective & SYS_ADMIN == 0;
    let extra = if borrowed { SYS_ADMIN } else { 0 };
    let Sets { effective, permitted, inheritable, ambient, .. } = sets;
    let item = ProcessItem::Capabilities {
        effective: effective | extra,
        permitted: permitted | extra,
        inheritable,
        ambient,
    };
    plan.push(&item, field("capabilities"));
    if process.no_new_privileges {
        plan.push(&ProcessItem::NoNewPrivs {}, field("noNewPrivileges"));
    }
    program::plan(plan, subject)?;
    // With a listener, a child waits for start: the filter is loaded now, so that its
    // agent is there before start, and may stop any call but those that follow here.
    let notifies = filter.is_some_and(|filter| filter.notifies);
    match notifies {
        false => plan.push(&ProcessItem::AwaitStart { socket }, ""),
        true => plan.push(&ProcessItem::Courier { socket }, "linux.seccomp.listenerPath"),
    }
    let hooks = subject.container.filter(|(config, _)| !config.hooks.start_container.is_empty());
    // After the last fd is opened: a low RLIMIT_NOFILE would stop vial-init itself.
    if hooks.is_none() {
        limits(plan, process, at, false)?;
    }
    // Last before execve, so that the filter need not allow the above.
    if let Some(filter) = filter {
        let item = ProcessItem::Seccomp { flags: filter.flags, filter: &filter.to_bytes() };
        plan.push(&item, subject.seccomp_field);
    }
    if notifies {
        plan.push(&ProcessItem::AwaitCourier {}, "linux.seccomp.listenerPath");
    }
    // As confined as the process itself: their programs are the container's.
    if let Some((config, request)) = hooks {
        limits(plan, process, at, true)?;
        hooks::before_program(plan, config, request)?;
        limits(plan, process, at, false)?;
    }
    if borrowed {
        plan.push(
            &ProcessItem::DropCapabilities { effective, permitted, inheritable },
            field("capabilities"),
        );
    }
    plan.push(&ProcessItem::Execute {}, field("args[0]"));
    Ok(())
}

/// Adds the limits, of the hooks or of the process.
fn limits(plan: &mut Plan, process: &Process, at: &str, of_hooks: bool) -> Result<(), Error> {
    for (index, limit) in process.rlimits.iter().enumerate() {
        let at = format!("{at}.rlimits[{index}]");
        let (resource, soft, hard) = (resource(&limit.kind, &at)?, limit.soft, limit.hard);
        match of_hooks {
            true => plan.push(&ProcessItem::HookLimit { resource, soft, hard }, at),
            false => plan.push(&ProcessItem::Rlimit { resource, soft, hard }, at),
        }
    }
    Ok(())
}

/// Adds when and where the process runs, while it still has CAP_SYS_NICE.
fn run_where(plan: &mut Plan, subject: &Subject<'_>, host: &Host) -> Result<(), Error> {
    let Subject { process, at, linux, user_namespace, .. } = *subject;
    if let Some(scheduler) = &process.scheduler {
        let field = format!("{at}.scheduler");
        let scheduler = scheduling::scheduler(scheduler, &field)?;
        if !(user_namespace && scheduler.is_inherited) {
            // No child inherits it, and nobody within a user namespace may set it.
            let by_vial = user_namespace && host.uid == 0;
            plan.push(&ProcessItem::Scheduler { attributes: &scheduler.bytes, by_vial }, field);
        }
    }
    if let Some(priority) = process.io_priority.as_ref().filter(|_| !user_namespace) {
        let field = format!("{at}.ioPriority");
        let priority = scheduling::io_priority(priority, &field)?;
        plan.push(&ProcessItem::IoPriority { priority }, field);
    }
    if let Some(policy) = &linux.memory_policy {
        let (mode, nodes) = scheduling::memory_policy(policy)?;
        plan.push(&ProcessItem::MemoryPolicy { mode, nodes: &nodes }, "linux.memoryPolicy");
    }
    if let Some(personality) = &linux.personality {
        let persona = scheduling::personality(personality)?;
        plan.push(&ProcessItem::Personality { persona }, "linux.personality");
    }
    // The caller may be pinned to some CPUs, as services of systemd can be: the
    // container is not. runc and crun do the same.
    let of_exec = exec_cpus(process, at)?.filter(|_| subject.is_exec);
    match of_exec {
        None => plan.push(&ProcessItem::Affinity { cpus: &scheduling::ALL_CPUS }, ""),
        Some([_, cpus]) if cpus.is_empty() => {}
        Some([_, cpus]) => {
            let field = format!("{at}.execCPUAffinity.final");
            plan.push(&ProcessItem::Affinity { cpus: &cpus }, field);
        }
    }
    Ok(())
}

/// Reads process.execCPUAffinity: the initial and the final mask, each empty if it is
/// not set.
pub(super) fn exec_cpus(process: &Process, at: &str) -> Result<Option<[Vec<u8>; 2]>, Error> {
    let Some(affinity) = &process.exec_cpu_affinity else { return Ok(None) };
    let mask = |list: &str, name: &str| match list {
        "" => Ok(Vec::new()),
        list => scheduling::mask(list, &format!("{at}.execCPUAffinity.{name}")),
    };
    Ok(Some([mask(&affinity.initial, "initial")?, mask(&affinity.last, "final")?]))
}

/// Adds process.apparmorProfile and process.selinuxLabel: the kernel applies them at
/// the next execve. They are written while procfs can still be reached.
fn labels(plan: &mut Plan, process: &Process, at: &str) -> Result<(), Error> {
    if !process.apparmor_profile.is_empty() {
        let field = format!("{at}.apparmorProfile");
        let profile = text(&*process.apparmor_profile, &field)?;
        plan.push(&ProcessItem::AppArmorProfile { profile: &profile }, field);
    }
    if !process.selinux_label.is_empty() {
        let field = format!("{at}.selinuxLabel");
        let label = text(&*process.selinux_label, &field)?;
        plan.push(&ProcessItem::SelinuxLabel { label: &label }, field);
    }
    Ok(())
}

/// Adds the SELinux label of the session keyring: it is the container's, so it must have
/// the container's label.
pub(super) fn key_label(plan: &mut Plan, process: &Process) -> Result<(), Error> {
    if !process.selinux_label.is_empty() {
        let field = "process.selinuxLabel";
        let label = text(&*process.selinux_label, field)?;
        plan.push(&NamespaceItem::KeyLabel { label: &label }, field);
    }
    Ok(())
}

fn directory(process: &Process, at: &str) -> Result<CString, Error> {
    let field = format!("{at}.cwd");
    match process.cwd.as_str() {
        "" => Err(wrong(field, "missing")),
        path if path.starts_with('/') => text(super::mounts::below_root(path), &field),
        path => Err(wrong(field, format_args!("\"{path}\" is not an absolute path"))),
    }
}

/// Makes process.cwd in the rootfs.
pub(super) fn make_directory(plan: &mut Plan, process: &Process, at: &str) -> Result<(), Error> {
    let path = directory(process, at)?;
    // Nothing can be made in /proc. chdir will fail if it is missing or leads out
    // of the rootfs.
    if path.as_c_str() != c"/" && !path.as_bytes().starts_with(b"/proc/") {
        plan.push(&RootfsItem::Directory { path: &path }, format!("{at}.cwd"));
    }
    Ok(())
}

fn change_user(plan: &mut Plan, subject: &Subject<'_>) -> Result<(), Error> {
    let (user, at) = (&subject.process.user, subject.at);
    if !subject.set_groups && !subject.keeps_groups && !user.additional_gids.is_empty() {
        let field = format_args!("{at}.user.additionalGids");
        return Err(wrong(field, "cannot be set, as an unprivileged gid mapping denies setgroups")
            .hint("map a range of gids, which newgidmap writes, or leave them out"));
    }
    for (name, id) in [("uid", user.uid), ("gid", user.gid)] {
        if id == u32::MAX {
            return Err(wrong(format_args!("{at}.user.{name}"), format_args!("{id} is not an id")));
        }
    }
    if let Some(index) = user.additional_gids.iter().position(|gid| *gid == u32::MAX) {
        return Err(wrong(format_args!("{at}.user.additionalGids[{index}]"), "no id"));
    }
    let groups: Vec<u8> = user.additional_gids.iter().flat_map(|gid| gid.to_ne_bytes()).collect();
    let item = ProcessItem::User {
        uid: user.uid,
        gid: user.gid,
        groups: &groups,
        set_groups: subject.set_groups && !subject.keeps_groups,
    };
    plan.push(&item, format!("{at}.user"));
    Ok(())
}
