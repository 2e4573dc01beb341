//! config.json `process` (config.md, "Process").

use super::object;
use serde::Deserialize;

/// The program to execute, its user and its limits.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", default)]
pub struct Process {
    /// Whether it gets a pseudo-terminal.
    pub terminal: bool,
    /// The terminal's size.
    pub console_size: Option<ConsoleSize>,
    /// The working directory.
    pub cwd: String,
    /// The environment, as `NAME=value`.
    pub env: Vec<String>,
    /// The arguments; the first is the program.
    pub args: Vec<String>,
    /// The user.
    pub user: User,
    /// The capability sets; None leaves no capability.
    pub capabilities: Option<Capabilities>,
    /// The resource limits.
    pub rlimits: Vec<Rlimit>,
    /// Whether execve is forbidden to grant privileges.
    pub no_new_privileges: bool,
    /// The value for oom_score_adj; None inherits it.
    pub oom_score_adj: Option<i32>,
    /// An AppArmor profile.
    pub apparmor_profile: String,
    /// An SELinux label.
    pub selinux_label: String,
    /// A scheduling policy.
    pub scheduler: Option<Scheduler>,
    /// An I/O priority.
    pub io_priority: Option<IoPriority>,
    /// The CPUs of a process that exec starts.
    #[serde(rename = "execCPUAffinity")]
    pub exec_cpu_affinity: Option<ExecCpuAffinity>,
}

impl Process {
    /// Fills what is not set from the container's own process, for settings that
    /// belong to the container rather than to the program.
    pub fn completed_by(self, other: Process) -> Process {
        let or = |own: String, other: String| if own.is_empty() { other } else { own };
        Process {
            capabilities: self.capabilities.or(other.capabilities),
            oom_score_adj: self.oom_score_adj.or(other.oom_score_adj),
            apparmor_profile: or(self.apparmor_profile, other.apparmor_profile),
            selinux_label: or(self.selinux_label, other.selinux_label),
            rlimits: if self.rlimits.is_empty() { other.rlimits } else { self.rlimits },
            ..self
        }
    }
}

/// The terminal's size in characters.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(remote = "Self")]
pub struct ConsoleSize {
    /// Rows.
    pub height: u16,
    /// Columns.
    pub width: u16,
}

/// How the process is scheduled, as sched_setattr(2) takes it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(remote = "Self", default)]
pub struct Scheduler {
    /// SCHED_*.
    pub policy: String,
    /// The nice value, for SCHED_OTHER and SCHED_BATCH.
    pub nice: i32,
    /// The static priority, for SCHED_FIFO and SCHED_RR.
    pub priority: i32,
    /// SCHED_FLAG_*.
    pub flags: Vec<String>,
    /// The runtime in nanoseconds, for SCHED_DEADLINE.
    pub runtime: u64,
    /// The deadline in nanoseconds, for SCHED_DEADLINE.
    pub deadline: u64,
    /// The period in nanoseconds, for SCHED_DEADLINE.
    pub period: u64,
}

/// The I/O priority.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(remote = "Self", default)]
pub struct IoPriority {
    /// IOPRIO_CLASS_*.
    pub class: String,
    /// 0 to 7; 0 is the highest.
    pub priority: i32,
}

/// The CPUs of a process that exec starts, each a list as in `0-3,7`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(remote = "Self", default)]
pub struct ExecCpuAffinity {
    /// Before it is in the container's cgroup.
    pub initial: String,
    /// In the container's cgroup.
    #[serde(rename = "final")]
    pub last: String,
}

/// The user and groups, as ids inside the container.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", default)]
pub struct User {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The umask; None is 0o022.
    pub umask: Option<u32>,
    /// The supplementary groups.
    pub additional_gids: Vec<u32>,
}

/// The five sets of capabilities(7), each a list of names.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(remote = "Self", default)]
pub struct Capabilities {
    /// The bounding set.
    pub bounding: Vec<String>,
    /// The effective set.
    pub effective: Vec<String>,
    /// The inheritable set.
    pub inheritable: Vec<String>,
    /// The permitted set.
    pub permitted: Vec<String>,
    /// The ambient set.
    pub ambient: Vec<String>,
}

/// A resource limit.
#[derive(Clone, Debug, Deserialize)]
#[serde(remote = "Self")]
pub struct Rlimit {
    /// RLIMIT_*.
    #[serde(rename = "type")]
    pub kind: String,
    /// The soft limit.
    pub soft: u64,
    /// The hard limit.
    pub hard: u64,
}

object! { Process, ConsoleSize, Scheduler, IoPriority, ExecCpuAffinity, User, Capabilities, Rlimit }
