//! ptrace(2): counts the system calls of a run before the user's program is
//! executed, and reads the peak memory of the runtime's first process.
//!
//! `ru_maxrss` survives fork(2) and execve(2), so it would include this program's
//! memory. /proc shows the memory of the exiting process alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, WaitStatus};
use vial_targets::Error;
use vial_targets::command::OnPath;
use vial_tests::ptrace;

/// What a traced run did.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// System calls of the runtime's first process.
    pub(crate) calls_of_first: u64,
    /// System calls of its other processes, before the user's program is executed.
    pub(crate) calls_of_others: u64,
    /// The peak RSS of the first process, in KiB.
    pub(crate) peak_kib: u64,
    /// The exit code of the first process.
    pub(crate) code: Option<i32>,
}

/// A traced process or thread.
#[derive(Debug, Clone, Copy, Default)]
struct Task {
    of_first: bool,
    in_call: bool,
    is_user_program: bool,
}

/// Runs a command to its end. `program` is the user's program on the host.
///
/// # Errors
/// The command cannot be started.
pub(crate) fn follow(command: &Command, program: &Path) -> Result<Seen, Error> {
    let own = Path::new("/proc/self/exe");
    let mut launcher = Command::new(own);
    launcher.arg("traced").arg(command.get_program()).args(command.get_args());
    launcher.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = launcher.spawn().on_path("start", own)?;
    let first = Pid::from_raw(child.id().cast_signed()).ok_or_else(|| Error::new("no pid"))?;
    let (tasks, seen) = (BTreeMap::new(), Seen::default());
    let mut tracer = Tracer { first, program, tasks, has_begun: false, seen };
    while let Ok(Some((pid, status))) = ptrace::wait() {
        tracer.event(pid, status);
    }
    Ok(tracer.seen)
}

struct Tracer<'a> {
    first: Pid,
    program: &'a Path,
    tasks: BTreeMap<i32, Task>,
    /// Whether the launcher has executed the command.
    has_begun: bool,
    seen: Seen,
}

impl Tracer<'_> {
    fn event(&mut self, pid: Pid, status: WaitStatus) {
        let Some(signal) = status.stopping_signal() else {
            self.tasks.remove(&pid.as_raw_nonzero().get());
            if pid == self.first {
                self.seen.code = status.exit_status();
            }
            return;
        };
        let number = pid.as_raw_nonzero().get();
        let is_new = !self.tasks.contains_key(&number);
        let first = self.first;
        let task = self
            .tasks
            .entry(number)
            .or_insert_with(|| Task { of_first: is_of(pid, first), ..Task::default() });
        if is_new && pid == first {
            // ESRCH: it was killed; the next event says so.
            let _ = ptrace::set_options(pid, ptrace::TRACE_EXIT);
        }
        let mut passed_on = 0;
        match (signal, status.as_raw() >> 16) {
            (ptrace::SYSCALL_STOP, _) => {
                task.in_call = !task.in_call;
                if task.in_call && task.of_first {
                    self.seen.calls_of_first += 1;
                } else if task.in_call {
                    self.seen.calls_of_others += 1;
                }
            }
            (_, ptrace::EVENT_EXEC) => {
                if pid == first && !self.has_begun {
                    // Forget the launcher's calls; count execve(2) itself.
                    (self.has_begun, self.seen.calls_of_first) = (true, 1);
                }
                task.is_user_program = is_program(pid, self.program);
            }
            (_, ptrace::EVENT_EXIT) if pid == first => self.seen.peak_kib = peak_kib(pid),
            (_, 0) if is_new => {} // The initial stop of a traced task.
            (_, 0) => passed_on = signal,
            _ => {}
        }
        let how = if task.is_user_program { ptrace::CONT } else { ptrace::SYSCALL };
        // ESRCH, as above.
        let _ = ptrace::request(how, Some(pid), 0, passed_on.unsigned_abs() as usize);
    }
}

/// Whether a task is a thread of this process.
fn is_of(task: Pid, process: Pid) -> bool {
    let path = format!("/proc/{}/task/{}", process.as_raw_nonzero(), task.as_raw_nonzero());
    fs::exists(path).unwrap_or(false)
}

/// Whether a process executes this file; compares inodes, as its root may differ.
fn is_program(pid: Pid, program: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let Ok(executed) = fs::metadata(format!("/proc/{}/exe", pid.as_raw_nonzero())) else {
        return false;
    };
    fs::metadata(program)
        .is_ok_and(|file| file.dev() == executed.dev() && file.ino() == executed.ino())
}

/// The larger of the high-water mark, which the kernel updates in batches of pages,
/// and the RSS at the exit, which it counts exactly.
fn peak_kib(pid: Pid) -> u64 {
    let number = pid.as_raw_nonzero();
    let high = field(&format!("/proc/{number}/status"), "VmHWM:");
    let exact = field(&format!("/proc/{number}/smaps_rollup"), "Rss:");
    high.max(exact).unwrap_or_default()
}

/// The number in the line "Name:   123 kB" of a file in /proc.
pub(crate) fn field(path: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}
