//! Fault injection by ptrace(2): makes the nth system call of vial-init fail.
//! With every n in turn, each step of a start fails once.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::process::Command;

use rustix::process::{Pid, WaitStatus};

use crate::ptrace;

/// A traced process.
#[derive(Debug, Clone, Copy, Default)]
struct Task {
    /// It executes vial-init, or is a child of such a process.
    is_init: bool,
    in_call: bool,
    /// Its current system call was cancelled, and must return the errno.
    failing: bool,
}

/// Runs a program and makes the `nth` system call of its vial-init fail with
/// `errno`. It counts from 1 over all processes of vial-init, up to the execve(2)
/// of the container's program. It returns when the program exits, and does not
/// wait for the program's other processes.
///
/// Returns the program's exit code and the number of the call that failed: None
/// if vial-init made fewer calls.
///
/// # Errors
/// The program cannot be started, or the kernel forbids tracing.
pub fn run(
    words: &[OsString],
    nth: u32,
    errno: i32,
) -> io::Result<(Option<i32>, Option<libc::c_long>)> {
    let own = "/proc/self/exe";
    let child = Command::new(own).arg("be-traced").args(words).spawn()?;
    let first = Pid::from_raw(child.id().cast_signed()).ok_or(io::ErrorKind::NotFound)?;
    let mut tracer =
        Tracer { first, tasks: BTreeMap::new(), left: nth, errno, failed: None, has_begun: false };
    loop {
        let Some((pid, status)) = ptrace::wait()? else { continue };
        match status.stopping_signal() {
            Some(signal) => match tracer.stopped(pid, signal, status) {
                // It was killed while stopped; a later wait(2) reports its end.
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
                result => result?,
            },
            None if pid == first => {
                let killed = status.terminating_signal().map(|signal| 128 + signal);
                return Ok((status.exit_status().or(killed), tracer.failed));
            }
            None => _ = tracer.tasks.remove(&pid.as_raw_nonzero().get()),
        }
    }
}

struct Tracer {
    first: Pid,
    tasks: BTreeMap<i32, Task>,
    /// How many system calls remain, including the one that fails.
    left: u32,
    errno: i32,
    failed: Option<libc::c_long>,
    /// Whether vial-init was executed.
    has_begun: bool,
}

impl Tracer {
    fn stopped(&mut self, pid: Pid, signal: i32, status: WaitStatus) -> io::Result<()> {
        let number = pid.as_raw_nonzero().get();
        let is_new = !self.tasks.contains_key(&number);
        if is_new {
            // Once vial-init was executed, all new processes are vial-init's.
            self.tasks.insert(number, Task { is_init: self.has_begun, ..Task::default() });
        }
        if is_new && pid == self.first {
            ptrace::set_options(pid, 0)?;
        }
        let mut task = self.tasks.get(&number).copied().unwrap_or_default();
        let mut passed_on = 0;
        match (signal, status.as_raw() >> 16) {
            (ptrace::SYSCALL_STOP, _) => {
                task.in_call = !task.in_call;
                if task.in_call {
                    task.failing = self.fails(pid, task)?;
                } else if std::mem::take(&mut task.failing) {
                    registers::answer(pid, -(self.errno as isize))?;
                    registers::put_back(pid, self.failed.unwrap_or_default())?;
                }
            }
            (_, ptrace::EVENT_EXEC) => {
                // Its executable has no path, so recognise it by argv[0].
                let words = fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
                task.is_init = words.starts_with(b"vial-init\0");
                self.has_begun |= task.is_init;
                // Its next stop is the exit from execve(2).
                task.in_call = true;
            }
            (_, 0) if is_new => {} // The initial stop of a traced process.
            (_, 0) => passed_on = signal,
            _ => {}
        }
        self.tasks.insert(number, task);
        // Stop at the system calls of vial-init alone. PTRACE_O_TRACEEXEC still
        // reports when another process executes vial-init.
        let how = if task.is_init { ptrace::SYSCALL } else { ptrace::CONT };
        ptrace::request(how, Some(pid), 0, passed_on.unsigned_abs() as usize)
    }

    /// Counts a system call, and cancels it if it is the one to fail.
    fn fails(&mut self, pid: Pid, task: Task) -> io::Result<bool> {
        let call = registers::call(pid)?;
        // exit and exit_group cannot fail.
        let ends = [libc::SYS_exit, libc::SYS_exit_group].contains(&call);
        if !task.is_init || ends || self.left == 0 {
            return Ok(false);
        }
        if self.left == 1 {
            registers::take_call(pid)?;
            self.failed = Some(call);
        }
        self.left -= 1;
        Ok(self.left == 0)
    }
}

/// The registers of a stopped process: PTRACE_GETREGSET and PTRACE_SETREGSET.
mod registers {
    use super::{Pid, io, ptrace::request};

    const GETREGSET: usize = 0x4204;
    const SETREGSET: usize = 0x4205;
    const NT_PRSTATUS: usize = 1;

    /// `struct user_regs_struct` or `struct user_regs` of any architecture, as an array.
    type Words = [usize; 40];

    fn exchange(number: usize, pid: Pid, set: usize, words: &mut [usize]) -> io::Result<usize> {
        let mut vector = [words.as_mut_ptr().expose_provenance(), size_of_val(words)];
        request(number, Some(pid), set, vector.as_mut_ptr().expose_provenance())?;
        Ok(vector[1] / size_of::<usize>())
    }

    fn change(pid: Pid, index: usize, value: isize) -> io::Result<()> {
        let mut words: Words = [0; 40];
        let count = exchange(GETREGSET, pid, NT_PRSTATUS, &mut words)?;
        words[index] = value.cast_unsigned();
        exchange(SETREGSET, pid, NT_PRSTATUS, &mut words[..count]).map(|_| ())
    }

    #[cfg(target_arch = "x86_64")]
    mod places {
        pub(super) const CALL: usize = 15; // orig_rax
        pub(super) const ANSWER: usize = 10; // rax
    }
    #[cfg(target_arch = "aarch64")]
    mod places {
        pub(super) const CALL: usize = 8; // x8
        pub(super) const ANSWER: usize = 0; // x0
    }
    #[cfg(target_arch = "arm")]
    mod places {
        pub(super) const CALL: usize = 7; // r7
        pub(super) const ANSWER: usize = 0; // r0
    }
    #[cfg(target_arch = "x86")]
    mod places {
        pub(super) const CALL: usize = 11; // orig_eax
        pub(super) const ANSWER: usize = 6; // eax
    }
    #[cfg(target_arch = "riscv64")]
    mod places {
        pub(super) const CALL: usize = 17; // a7
        pub(super) const ANSWER: usize = 10; // a0
    }

    /// The number of the system call that the process enters.
    pub(super) fn call(pid: Pid) -> io::Result<libc::c_long> {
        let mut words: Words = [0; 40];
        exchange(GETREGSET, pid, NT_PRSTATUS, &mut words)?;
        Ok(words[places::CALL].cast_signed() as libc::c_long)
    }

    /// Cancels the system call that the process enters.
    pub(super) fn take_call(pid: Pid) -> io::Result<()> {
        #[cfg(any(target_arch = "x86_64", target_arch = "x86", target_arch = "riscv64"))]
        return change(pid, places::CALL, -1);
        #[cfg(target_arch = "aarch64")]
        {
            const NT_ARM_SYSTEM_CALL: usize = 0x404;
            let mut none = -1_i32;
            let mut vector = [(&raw mut none).expose_provenance(), size_of::<i32>()];
            let place = vector.as_mut_ptr().expose_provenance();
            request(SETREGSET, Some(pid), NT_ARM_SYSTEM_CALL, place)
        }
        #[cfg(target_arch = "arm")]
        {
            const PTRACE_SET_SYSCALL: usize = 23;
            request(PTRACE_SET_SYSCALL, Some(pid), 0, usize::MAX)
        }
    }

    /// Restores the number of the cancelled system call where it is in a register of the
    /// process, which may make the same call again without loading it.
    pub(super) fn put_back(pid: Pid, call: libc::c_long) -> io::Result<()> {
        match cfg!(target_arch = "riscv64") {
            true => change(pid, places::CALL, call as isize),
            false => Ok(()),
        }
    }

    /// Sets the return value of the system call.
    pub(super) fn answer(pid: Pid, value: isize) -> io::Result<()> {
        change(pid, places::ANSWER, value)
    }
}
