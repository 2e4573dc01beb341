//! process: user, capabilities, limits, arguments, environment.

use std::ffi::CString;

use vial_plan::{Item, Stage, Strings};

use super::{text, wrong};
use crate::config::Process;
use crate::error::Error;
use crate::host::Host;
use crate::plan::Plan;

const INSIDE: Stage = Stage::Inside;

/// The names of capabilities(7), each in the place of its number.
pub const CAPABILITIES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

const SYS_ADMIN: u64 = 1 << 21;

/// The limits of getrlimit(2), each in the place of its number.
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

/// PATH where process.env has none, as in confstr(3) and what engines set.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// As `CAP_KILL` of 5.
pub fn capability_name(number: usize) -> Option<String> {
    CAPABILITIES.get(number).map(|name| format!("CAP_{name}"))
}

/// As `RLIMIT_NOFILE` of 7.
pub fn limit_name(number: u32) -> &'static str {
    LIMITS.get(number as usize).copied().unwrap_or("an unknown limit")
}

/// The capability sets as bits.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sets {
    pub(super) bounding: u64,
    pub(super) effective: u64,
    pub(super) permitted: u64,
    pub(super) inheritable: u64,
    pub(super) ambient: u64,
}

impl Sets {
    /// Reads process.capabilities. What the running kernel does not know is
    /// left out, as nobody can have it; what nobody knows is an error.
    pub(super) fn from_process(process: &Process, at: &str, host: &Host) -> Result<Sets, Error> {
        let Some(lists) = &process.capabilities else {
            return Ok(Sets::default());
        };
        let known = u64::MAX >> (63 - host.last_capability.min(63));
        let bits = |names: &[String], set: &str| {
            let mut bits = 0;
            for (index, name) in names.iter().enumerate() {
                let number = number(name).ok_or_else(|| {
                    let field = format_args!("{at}.capabilities.{set}[{index}]");
                    wrong(field, format_args!("unknown capability \"{name}\""))
                })?;
                bits |= 1 << number;
            }
            Ok(bits & known)
        };
        let sets = Sets {
            bounding: bits(&lists.bounding, "bounding")?,
            effective: bits(&lists.effective, "effective")?,
            permitted: bits(&lists.permitted, "permitted")?,
            inheritable: bits(&lists.inheritable, "inheritable")?,
            ambient: bits(&lists.ambient, "ambient")?,
        };
        let beyond = sets.effective & !sets.permitted;
        if beyond != 0 {
            let name = capability_name(beyond.trailing_zeros() as usize).unwrap_or_default();
            let what = format_args!("{name} is not in the permitted set too, as the kernel asks");
            return Err(wrong(format_args!("{at}.capabilities.effective"), what));
        }
        // The kernel lets only what is permitted and inheritable be ambient;
        // `runc spec` and engines list more, and mean this.
        Ok(Sets { ambient: sets.ambient & sets.permitted & sets.inheritable, ..sets })
    }
}

/// The number of a capability by its name, with or without CAP_.
pub(super) fn number(name: &str) -> Option<usize> {
    let upper = name.to_ascii_uppercase();
    let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
    CAPABILITIES.iter().position(|known| *known == bare)
}

/// Where a process's items stand in its Plan.
#[derive(Debug)]
pub(super) struct Subject<'a> {
    /// The process.
    pub(super) process: &'a Process,
    /// Its field in config.json.
    pub(super) at: &'a str,
    /// Whether setgroups(2) works: not where an unprivileged mapping denies it.
    pub(super) set_groups: bool,
    /// The compiled seccomp filter and its flags.
    pub(super) seccomp: Option<(u32, Vec<u8>)>,
    /// How many fds from 3 on it is to have.
    pub(super) preserve_fds: u32,
}

/// Raises hard limits, before privileges are gone.
pub(super) fn raise_limits(plan: &mut Plan, process: &Process, at: &str) -> Result<(), Error> {
    for (index, limit) in process.rlimits.iter().enumerate() {
        let field = format!("{at}.rlimits[{index}]");
        let resource = resource(&limit.kind, &field)?;
        if limit.soft > limit.hard {
            return Err(wrong(format_args!("{field}.soft"), "above the hard limit"));
        }
        if process.rlimits.iter().take(index).any(|earlier| earlier.kind == limit.kind) {
            return Err(wrong(field, format_args!("a second {}", limit.kind)));
        }
        plan.push(Stage::Outside, &Item::RaiseRlimit { resource, hard: limit.hard }, field);
    }
    Ok(())
}

fn resource(name: &str, field: &str) -> Result<u32, Error> {
    let found = LIMITS.iter().position(|known| *known == name);
    let unknown = || wrong(format_args!("{field}.type"), format_args!("unknown limit \"{name}\""));
    found.map(|number| number as u32).ok_or_else(unknown)
}

/// process.oomScoreAdj
pub(super) fn oom_score_adj(plan: &mut Plan, process: &Process, at: &str) -> Result<(), Error> {
    let Some(value) = process.oom_score_adj else {
        return Ok(());
    };
    let field = format!("{at}.oomScoreAdj");
    if !(-1000..=1000).contains(&value) {
        return Err(wrong(field, format_args!("{value} is not within -1000 and 1000")));
    }
    let value = text(value.to_string(), &field)?;
    plan.push(Stage::Outside, &Item::OomScoreAdj { value: &value }, field);
    Ok(())
}

/// From the owner of the streams to execve: what a container's process and an
/// exec's have in common, to the last step.
pub(super) fn plan(plan: &mut Plan, subject: &Subject<'_>, host: &Host) -> Result<(), Error> {
    let Subject { process, at, .. } = *subject;
    let sets = Sets::from_process(process, at, host)?;
    let user = &process.user;
    let field = |name: &str| format!("{at}.{name}");

    plan.push(INSIDE, &Item::OwnStdio { uid: user.uid }, "");
    // While root can still enter a directory that the user cannot.
    let directory = directory(process, at)?;
    plan.push(INSIDE, &Item::WorkingDirectory { path: &directory }, field("cwd"));
    // CAP_SETPCAP is needed, which the next steps take away.
    plan.push(INSIDE, &Item::BoundingSet { keep: sets.bounding }, field("capabilities.bounding"));
    let mask = user.umask.unwrap_or(0o022);
    if mask > 0o777 {
        return Err(wrong(field("user.umask"), format_args!("{mask:#o} is not below 0o1000")));
    }
    plan.push(INSIDE, &Item::Umask { mask }, field("user.umask"));
    change_user(plan, subject)?;

    // Without no_new_privs a filter takes CAP_SYS_ADMIN to load; it is kept
    // until then where the sets of config.json do not hold it.
    let filter = subject.seccomp.as_ref();
    let borrowed =
        filter.is_some() && !process.no_new_privileges && sets.effective & SYS_ADMIN == 0;
    let extra = if borrowed { SYS_ADMIN } else { 0 };
    let Sets { effective, permitted, inheritable, ambient, .. } = sets;
    let item = Item::Capabilities {
        effective: effective | extra,
        permitted: permitted | extra,
        inheritable,
        ambient,
    };
    plan.push(INSIDE, &item, field("capabilities"));
    if process.no_new_privileges {
        plan.push(INSIDE, &Item::NoNewPrivs {}, field("noNewPrivileges"));
    }
    program(plan, process, at)?;
    // From here on nothing is opened: only what the program is to have stays.
    plan.push(INSIDE, &Item::CloseFds { from: 3 + subject.preserve_fds }, "");
    plan.push(INSIDE, &Item::AwaitStart {}, "");
    // After the last fd is made: a limit of 3 would hinder vial-init itself.
    for (index, limit) in process.rlimits.iter().enumerate() {
        let at = format!("{at}.rlimits[{index}]");
        let resource = resource(&limit.kind, &at)?;
        plan.push(INSIDE, &Item::Rlimit { resource, soft: limit.soft, hard: limit.hard }, at);
    }
    // Last before execve, so that the filter need not allow the above.
    if let Some((flags, filter)) = filter {
        plan.push(INSIDE, &Item::Seccomp { flags: *flags, filter }, "linux.seccomp");
    }
    if borrowed {
        plan.push(
            INSIDE,
            &Item::DropCapabilities { effective, permitted, inheritable },
            field("capabilities"),
        );
    }
    plan.push(INSIDE, &Item::Execute {}, field("args[0]"));
    Ok(())
}

fn directory(process: &Process, at: &str) -> Result<CString, Error> {
    let field = format!("{at}.cwd");
    match process.cwd.as_str() {
        "" => Err(wrong(field, "missing")),
        path if path.starts_with('/') => text(super::mounts::below_root(path), &field),
        path => Err(wrong(field, format_args!("\"{path}\" is no absolute path"))),
    }
}

/// process.cwd, for the rootfs to have it.
pub(super) fn make_directory(plan: &mut Plan, process: &Process, at: &str) -> Result<(), Error> {
    let path = directory(process, at)?;
    // What /proc holds is the kernel's to make; that it is not there, or leads
    // out of the rootfs, is chdir's to say.
    if path.as_c_str() != c"/" && !path.as_bytes().starts_with(b"/proc/") {
        plan.push(INSIDE, &Item::Directory { path: &path }, format!("{at}.cwd"));
    }
    Ok(())
}

fn change_user(plan: &mut Plan, subject: &Subject<'_>) -> Result<(), Error> {
    let (user, at) = (&subject.process.user, subject.at);
    if !subject.set_groups && !user.additional_gids.is_empty() {
        let field = format_args!("{at}.user.additionalGids");
        return Err(wrong(field, "cannot be set, as an unprivileged gid mapping denies setgroups")
            .hint("map a range of gids, which newgidmap writes, or leave them out"));
    }
    for (name, id) in [("uid", user.uid), ("gid", user.gid)] {
        if id == u32::MAX {
            return Err(wrong(format_args!("{at}.user.{name}"), format_args!("{id} is no id")));
        }
    }
    if let Some(index) = user.additional_gids.iter().position(|gid| *gid == u32::MAX) {
        return Err(wrong(format_args!("{at}.user.additionalGids[{index}]"), "no id"));
    }
    let groups: Vec<u8> = user.additional_gids.iter().flat_map(|gid| gid.to_ne_bytes()).collect();
    let item = Item::User {
        uid: user.uid,
        gid: user.gid,
        groups: &groups,
        set_groups: subject.set_groups,
    };
    plan.push(INSIDE, &item, format!("{at}.user"));
    Ok(())
}

fn program(plan: &mut Plan, process: &Process, at: &str) -> Result<(), Error> {
    if process.args.is_empty() {
        return Err(wrong(format_args!("{at}.args"), "empty"));
    }
    let args = strings(&process.args, &format!("{at}.args"))?;
    let field = format!("{at}.env");
    let env = strings(&process.env, &field)?;
    if let Some(index) = process.env.iter().position(|entry| !entry.contains('=')) {
        let what = format_args!("\"{}\" holds no `=`", process.env[index]);
        return Err(wrong(format_args!("{field}[{index}]"), what));
    }
    let value = |name: &str| process.env.iter().rev().find_map(|entry| entry.strip_prefix(name));
    let path = text(value("PATH=").unwrap_or(DEFAULT_PATH), &field)?;
    let (args, env) = (list(&args, at)?, list(&env, at)?);
    plan.push(INSIDE, &Item::Program { args, env, path: &path }, format!("{at}.args[0]"));
    if value("HOME=").is_none_or(str::is_empty) {
        plan.push(INSIDE, &Item::Home { uid: process.user.uid }, field);
    }
    Ok(())
}

/// The texts one after the other, each with its NUL.
fn strings(texts: &[String], field: &str) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::with_capacity(texts.iter().map(|text| text.len() + 1).sum());
    for (index, entry) in texts.iter().enumerate() {
        bytes.extend_from_slice(text(&**entry, &format!("{field}[{index}]"))?.as_bytes_with_nul());
    }
    Ok(bytes)
}

pub(super) fn list<'a>(bytes: &'a [u8], at: &str) -> Result<Strings<'a>, Error> {
    Strings::new(bytes).ok_or_else(|| wrong(at, "too long"))
}
