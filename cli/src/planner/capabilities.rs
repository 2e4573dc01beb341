//! process.capabilities: the five sets of capabilities(7) as bits. A capability that
//! cannot be granted is left out with a warning (config.md, "Linux Process").

use super::process::Subject;
use crate::host::Host;
use crate::plan::Plan;

/// The names of capabilities(7), indexed by their numbers.
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

pub(super) const SYS_ADMIN: u64 = 1 << 21;

/// The name of a capability, as in `CAP_KILL` for 5.
pub fn capability_name(number: usize) -> Option<String> {
    CAPABILITIES.get(number).map(|name| format!("CAP_{name}"))
}

const MKNOD: u64 = 1 << 27;
const SYS_CHROOT: u64 = 1 << 18;

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
    /// Reads process.capabilities.
    pub(super) fn from_process(plan: &mut Plan, subject: &Subject<'_>, host: &Host) -> Sets {
        let Some(lists) = &subject.process.capabilities else {
            return Sets::default();
        };
        let mut set = |name: &str, list: &[String]| {
            let field = format!("{}.capabilities.{name}", subject.at);
            (bits(plan, list, &field, host), field)
        };
        let (mut bounding, _) = set("bounding", &lists.bounding);
        let (mut permitted, of_permitted) = set("permitted", &lists.permitted);
        let (mut inheritable, of_inheritable) = set("inheritable", &lists.inheritable);
        let (mut effective, of_effective) = set("effective", &lists.effective);
        let (ambient, _) = set("ambient", &lists.ambient);
        let why = "left out, as it is not in the permitted set";
        keep(plan, &mut effective, permitted, &of_effective, why);
        if !subject.user_namespace {
            // In a new user namespace, its first process has every capability.
            let why = "left out, as the caller does not have it";
            keep(plan, &mut permitted, host.permitted, &of_permitted, why);
            keep(plan, &mut inheritable, host.permitted, &of_inheritable, why);
            effective &= permitted;
        }
        if !subject.devices_are_filtered {
            // Otherwise the container could make a node of any device.
            let why = "left out, as without cgroup2 nothing filters the device nodes that it makes";
            keep(plan, &mut permitted, !MKNOD, &of_permitted, why);
            effective &= !MKNOD;
            inheritable &= !MKNOD;
            bounding &= !MKNOD;
        }
        if subject.is_chroot && (bounding | permitted) & SYS_CHROOT != 0 {
            let what = "CAP_SYS_CHROOT lets the container leave its root, as without a mount namespace that is only a chroot";
            plan.warn(format_args!("{}.capabilities", subject.at), what);
        }
        // An ambient capability must be permitted and inheritable. `runc spec` and
        // engines list more, and mean this.
        let ambient = ambient & permitted & inheritable;
        Sets { bounding, effective, permitted, inheritable, ambient }
    }
}

/// The bits of a list of names. Leaves out those that the kernel does not know.
fn bits(plan: &mut Plan, names: &[String], field: &str, host: &Host) -> u64 {
    let mut bits = 0;
    for (index, name) in names.iter().enumerate() {
        match number(name).map(|number| number as u32) {
            Some(number) if number <= host.last_capability => bits |= 1 << number,
            Some(_) => {
                let what = format_args!("{name} is left out, as the kernel does not know it");
                plan.warn(format_args!("{field}[{index}]"), what);
            }
            None => {
                let what = format_args!("unknown capability \"{name}\" is left out");
                plan.warn(format_args!("{field}[{index}]"), what);
            }
        }
    }
    bits
}

/// Keeps the bits of a set that are in another one, and warns about the rest.
fn keep(plan: &mut Plan, set: &mut u64, other: u64, field: &str, why: &str) {
    for number in (0..64).filter(|number| *set & !other & (1 << number) != 0) {
        plan.warn(field, format_args!("{} is {why}", capability_name(number).unwrap_or_default()));
    }
    *set &= other;
}

/// The number of a capability by its name, with or without CAP_.
pub(crate) fn number(name: &str) -> Option<usize> {
    let upper = name.to_ascii_uppercase();
    let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
    CAPABILITIES.iter().position(|known| *known == bare)
}
