//! A container's status, read from the kernel and the state dir and never stored.

use std::fmt;
use std::io;

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use crate::error::Error;
use crate::file::read_kernel;

/// The statuses of the runtime-spec, and runc's `paused`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Its create is at work, or has died.
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

/// A process, as /proc/PID/stat describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its name. The process may choose any bytes.
    pub name: Vec<u8>,
    /// Its state, a letter of proc_pid_stat(5).
    pub state: u8,
    /// The pid of its parent.
    pub parent: u32,
    /// When it started, in clock ticks since boot. Pid and start time identify it.
    pub start_time: u64,
    /// Whether it has ended and waits to be reaped.
    pub ended: bool,
    /// Its exit status as wait(2) gives it, 0 if the kernel does not tell.
    pub end: u32,
}

impl Process {
    /// Reads it. None: there is no such process. An error if it cannot be read, since
    /// it may be alive then.
    pub fn read(pid: u32) -> Result<Option<Process>, Error> {
        let path = format!("/proc/{pid}/stat");
        match read_kernel(&path) {
            Ok(stat) => match Process::parse(&stat) {
                Some(process) => Ok(Some(process)),
                None => Err(Error::new(format_args!("read {path}: not what proc(5) says"))),
            },
            Err(e) if is_gone(pid, &e) => Ok(None),
            Err(e) => Err(Error::io(format_args!("read {path}"), &e)
                .hint("vial needs a procfs at /proc that shows every process")),
        }
    }

    fn parse(stat: &[u8]) -> Option<Process> {
        // The name may hold parentheses too.
        let open = stat.iter().position(|byte| *byte == b'(')?;
        let close = stat.iter().rposition(|byte| *byte == b')')?;
        let name = stat.get(open + 1..close)?.to_vec();
        let fields = std::str::from_utf8(stat.get(close + 1..)?).ok()?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        // Fields have the numbers of proc_pid_stat(5).
        let field = |number: usize| fields.get(number - 3).copied();
        let state = *field(3)?.as_bytes().first()?;
        let zombie = matches!(state, b'Z' | b'X' | b'x');
        let parent = field(4)?.parse().ok()?;
        // If only the first thread has ended, the state is Z too.
        let threads: u32 = field(20)?.parse().ok()?;
        let start_time = field(22)?.parse().ok()?;
        let end = field(52).and_then(|text| text.parse().ok()).unwrap_or(0);
        Some(Process { name, state, parent, start_time, ended: zombie && threads <= 1, end })
    }

    /// Whether the process with this pid and start time is alive.
    pub fn is_alive(pid: u32, start_time: u64) -> Result<bool, Error> {
        let now = Process::read(pid)?;
        Ok(now.is_some_and(|now| now.start_time == start_time && !now.ended))
    }
}

/// Whether this error means that there is no such process. ENOENT does not say so
/// if /proc is not procfs, or hides other users' processes.
fn is_gone(pid: u32, error: &io::Error) -> bool {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::SRCH) => true,
        Some(Errno::NOENT) => Pid::from_raw(pid.cast_signed())
            .is_none_or(|pid| test_kill_process(pid) == Err(Errno::SRCH)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &[u8], state: &str, threads: u32) -> Option<Process> {
        let rest = format!(
            ") {state} 1 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 {threads} 0 4711 0 0 {}",
            "0 ".repeat(27) + "256"
        );
        Process::parse(&[b"7 (", name, rest.as_bytes()].concat())
    }

    #[test]
    fn a_process_may_have_any_name() {
        let names: [&[u8]; 6] =
            [b"sh", b"", b") Z 1 (", b"a\nb\0", b"\xff\xfe)", "\u{e9}".as_bytes()];
        for name in names {
            let process = parse(name, "S", 1).unwrap();
            assert_eq!((process.name.as_slice(), process.start_time), (name, 4711));
            assert_eq!((process.ended, process.end), (false, 256));
            assert_eq!((process.state, process.parent), (b'S', 1));
        }
    }

    #[test]
    fn a_process_has_ended_with_its_last_thread() {
        let ended = |state, threads| parse(b"sh", state, threads).unwrap().ended;
        assert_eq!([ended("Z", 1), ended("X", 1)], [true, true]);
        assert_eq!([ended("Z", 2), ended("T", 1), ended("D", 1)], [false; 3]);
    }
}
