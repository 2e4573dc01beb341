//! A container's status: read from the kernel and the state dir, never stored.

use std::fmt;

use crate::file::read_kernel;

/// The words of the runtime-spec, and runc's `paused`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Its create is still at work, or died at it.
    Creating,
    /// Its process waits for start.
    Created,
    /// Its process runs.
    Running,
    /// Its cgroup is frozen.
    Paused,
    /// Its process has ended.
    Stopped,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Status::Creating => "creating",
            Status::Created => "created",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Stopped => "stopped",
        })
    }
}

/// A process as /proc/PID/stat knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// When it started, in clock ticks since boot: with the pid, its identity.
    pub start_time: u64,
    /// Whether it has ended and waits to be reaped.
    pub zombie: bool,
}

impl Process {
    /// Reads it; None if there is none.
    pub fn read(pid: u32) -> Option<Process> {
        let stat = read_kernel(format!("/proc/{pid}/stat")).ok()?;
        // The name, in parentheses, may hold anything, parentheses included.
        let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_whitespace();
        let state = fields.next()?;
        let start_time = fields.nth(18)?.parse().ok()?;
        Some(Process { start_time, zombie: matches!(state, "Z" | "X" | "x") })
    }

    /// Whether the process that started then still runs.
    pub fn is_alive(pid: u32, start_time: u64) -> bool {
        Process::read(pid).is_some_and(|now| now.start_time == start_time && !now.zombie)
    }
}
