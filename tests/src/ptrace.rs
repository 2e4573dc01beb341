//! ptrace(2): what the two tracers of the tests share.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process};

use crate::sys;

// linux/ptrace.h
const TRACEME: usize = 0;
const SETOPTIONS: usize = 0x4200;
/// Resumes a task until it gets a signal.
pub const CONT: usize = 7;
/// Resumes a task until its next system call.
pub const SYSCALL: usize = 24;
/// The event of an execve(2).
pub const EVENT_EXEC: i32 = 4;
/// The event of a task that is about to exit, with [`TRACE_EXIT`].
pub const EVENT_EXIT: i32 = 6;
/// The option for [`EVENT_EXIT`].
pub const TRACE_EXIT: usize = 1 << 6;
/// SIGTRAP with the bit of `TRACESYSGOOD`: a stop at a system call.
pub const SYSCALL_STOP: i32 = 5 | 0x80;

/// `TRACESYSGOOD`, and the fork, vfork, clone and exec events.
const OPTIONS: usize = 1 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4;
/// `__WALL` of wait(2): threads too.
const WALL: u32 = 0x4000_0000;

/// A request about a stopped task, or about this process.
///
/// # Errors
/// ESRCH: the task was killed.
pub fn request(number: usize, pid: Option<Pid>, place: usize, data: usize) -> io::Result<()> {
    let pid = pid.map_or(0, |pid| pid.as_raw_nonzero().get().unsigned_abs() as usize);
    sys::call(libc::SYS_ptrace, [number, pid, place, data, 0, 0]).map(|_| ())
}

/// Makes a traced process report system calls, new tasks, execve(2), and events of the
/// `more` options.
///
/// # Errors
/// ESRCH: the process was killed.
pub fn set_options(pid: Pid, more: usize) -> io::Result<()> {
    request(SETOPTIONS, Some(pid), 0, OPTIONS | more)
}

/// wait(2) for any child, or any traced task.
///
/// # Errors
/// ECHILD: there is none.
pub fn wait() -> io::Result<Option<(Pid, WaitStatus)>> {
    Ok(rustix::process::wait(WaitOptions::from_bits_retain(WALL))?)
}

/// What a tracer starts: asks to be traced, stops, and executes a program.
///
/// # Errors
/// It returns only if that failed.
pub fn be_traced<W: AsRef<OsStr>>(words: &[W]) -> io::Error {
    let Some((program, arguments)) = words.split_first() else {
        return io::ErrorKind::InvalidInput.into();
    };
    if let Err(error) = request(TRACEME, None, 0, 0) {
        return error;
    }
    // The parent sees the stop, sets its options and resumes this process.
    let _ = kill_process(rustix::process::getpid(), Signal::STOP);
    Command::new(program).args(arguments).exec()
}
