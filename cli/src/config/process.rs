//! config.json `process` (config.md, "Process").

use super::object;

object! {
    /// The program to execute, its user and its limits.
    #[derive(Clone, Debug, Default)]
    pub struct Process {
        /// Whether it gets a pseudo-terminal.
        pub terminal: bool = "terminal",
        /// The terminal's size.
        pub console_size: Option<ConsoleSize> = "consoleSize",
        /// The working directory.
        pub cwd: String = "cwd",
        /// The environment, as `NAME=value`.
        pub env: Vec<String> = "env",
        /// The arguments; the first is the program.
        pub args: Vec<String> = "args",
        /// The user.
        pub user: User = "user",
        /// The capability sets; None leaves no capability.
        pub capabilities: Option<Capabilities> = "capabilities",
        /// The resource limits.
        pub rlimits: Vec<Rlimit> = "rlimits",
        /// Whether execve is forbidden to grant privileges.
        pub no_new_privileges: bool = "noNewPrivileges",
        /// The value for oom_score_adj; None inherits it.
        pub oom_score_adj: Option<i32> = "oomScoreAdj",
        /// An AppArmor profile.
        pub apparmor_profile: String = "apparmorProfile",
        /// An SELinux label.
        pub selinux_label: String = "selinuxLabel",
        /// A scheduling policy.
        pub scheduler: Option<Scheduler> = "scheduler",
        /// An I/O priority.
        pub io_priority: Option<IoPriority> = "ioPriority",
        /// The CPUs of a process that exec starts.
        pub exec_cpu_affinity: Option<ExecCpuAffinity> = "execCPUAffinity",
    }
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

object! {
    /// The terminal's size in characters.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct ConsoleSize {
        /// Rows.
        pub height: u16 = "height" needed,
        /// Columns.
        pub width: u16 = "width" needed,
    }

    /// How the process is scheduled, as sched_setattr(2) takes it.
    #[derive(Clone, Debug, Default)]
    pub struct Scheduler {
        /// SCHED_*.
        pub policy: String = "policy",
        /// The nice value, for SCHED_OTHER and SCHED_BATCH.
        pub nice: i32 = "nice",
        /// The static priority, for SCHED_FIFO and SCHED_RR.
        pub priority: i32 = "priority",
        /// SCHED_FLAG_*.
        pub flags: Vec<String> = "flags",
        /// The runtime in nanoseconds, for SCHED_DEADLINE.
        pub runtime: u64 = "runtime",
        /// The deadline in nanoseconds, for SCHED_DEADLINE.
        pub deadline: u64 = "deadline",
        /// The period in nanoseconds, for SCHED_DEADLINE.
        pub period: u64 = "period",
    }

    /// The I/O priority.
    #[derive(Clone, Debug, Default)]
    pub struct IoPriority {
        /// IOPRIO_CLASS_*.
        pub class: String = "class",
        /// 0 to 7; 0 is the highest.
        pub priority: i32 = "priority",
    }

    /// The CPUs of a process that exec starts, each a list as in `0-3,7`.
    #[derive(Clone, Debug, Default)]
    pub struct ExecCpuAffinity {
        /// Before it is in the container's cgroup.
        pub initial: String = "initial",
        /// In the container's cgroup.
        pub last: String = "final",
    }

    /// The user and groups, as ids inside the container.
    #[derive(Clone, Debug, Default)]
    pub struct User {
        /// The user.
        pub uid: u32 = "uid",
        /// The group.
        pub gid: u32 = "gid",
        /// The umask; None is 0o022.
        pub umask: Option<u32> = "umask",
        /// The supplementary groups.
        pub additional_gids: Vec<u32> = "additionalGids",
    }

    /// The five sets of capabilities(7), each a list of names.
    #[derive(Clone, Debug, Default)]
    pub struct Capabilities {
        /// The bounding set.
        pub bounding: Vec<String> = "bounding",
        /// The effective set.
        pub effective: Vec<String> = "effective",
        /// The inheritable set.
        pub inheritable: Vec<String> = "inheritable",
        /// The permitted set.
        pub permitted: Vec<String> = "permitted",
        /// The ambient set.
        pub ambient: Vec<String> = "ambient",
    }

    /// A resource limit.
    #[derive(Clone, Debug, Default)]
    pub struct Rlimit {
        /// RLIMIT_*.
        pub kind: String = "type" needed,
        /// The soft limit.
        pub soft: u64 = "soft" needed,
        /// The hard limit.
        pub hard: u64 = "hard" needed,
    }
}
