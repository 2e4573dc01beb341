//! Programs that run as children: hooks and mapping helpers. vial runs its hooks by
//! these functions, too.

use core::convert::Infallible;
use core::ffi::CStr;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{MemfdFlags, Mode, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::{Errno, pwrite, read, write};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, fchdir, getpid, kill_process,
    kill_process_group, pidfd_open, set_parent_process_death_signal, setpgid, waitid,
};
use vial_plan::{Call, Step, Strings};

use crate::Life;
use crate::fault::{During, Fault, Prepared};
use crate::fds::close_all_but;
use crate::path::PathBuffer;
use crate::slots::Slots;
use crate::sys::clone3::{Side, clone3};
use crate::sys::execve::{Vector, execve};
use crate::sys::setrlimit::{self, Limit};
use crate::sys::{exit, memory};

/// A hook, as its item in the Plan describes it.
#[derive(Clone, Copy, Debug)]
pub struct Hook {
    /// The path of the program.
    pub program: &'static CStr,
    /// Its arguments; the first is its name.
    pub args: Strings<'static>,
    /// Its environment.
    pub env: Strings<'static>,
    /// The state in JSON, before and after the pid of this process.
    pub state: [&'static [u8]; 2],
    /// After how many seconds it is killed; 0 is never.
    pub timeout: u32,
}

/// Runs a hook in the namespaces of this process. directory: its working directory;
/// None is that of this process. env: its environment, if it is not its own; limits:
/// its limits, by the number of the resource.
#[inline(never)] // Keep this out of the stack frame that stays resident while waiting.
pub fn hook(
    hook: &Hook,
    directory: Option<BorrowedFd<'_>>,
    env: Option<&Vector>,
    limits: &[Option<Limit>],
) -> Result<(), Fault> {
    let [head, tail] = hook.state;
    let mut pid: PathBuffer<16> = PathBuffer::empty();
    let number = getpid().as_raw_nonzero().get().cast_unsigned();
    pid.push_number(number).during(Call::None, Step::MakeState)?;
    let state = state(&[head, pid.as_bytes(), tail])?;
    let mut execute = |pipe: BorrowedFd<'_>| {
        if let Some(directory) = directory {
            rustix::process::umask(Mode::from_raw_mode(0o022));
            fchdir(directory).during(Call::Fchdir, Step::StartProgram)?;
        }
        take_input(&state, pipe)?;
        let [args, own_env] = room([hook.args.len(), hook.env.len()])?;
        let (args, own_env) = (list(args, hook.args)?, list(own_env, hook.env)?);
        for (resource, limit) in limits.iter().enumerate() {
            if let Some(limit) = limit {
                setrlimit::set(resource as u32, limit).during(Call::Prlimit64, Step::SetRlimit)?;
            }
        }
        Err(executed(hook.program, &args, env.unwrap_or(&own_env)))
    };
    run(&mut execute, hook.timeout, &mut || true)
}

/// Runs newuidmap or newgidmap: PROGRAM PID MAP.., where MAP is a list of triples.
pub fn map_helper(
    program: &'static CStr,
    child: u32,
    map: Strings<'static>,
    life: &mut Life,
) -> Result<(), Fault> {
    let mut execute = |_: BorrowedFd<'_>| {
        let [args, env] = room([map.len().saturating_add(2), 0])?;
        let (mut args, env) = (Vector::new(args), Vector::new(env));
        let mut text: PathBuffer<16> = PathBuffer::empty();
        text.push_number(child).during(Call::None, Step::StartProgram)?;
        let pid = life.memory.keep(text.as_bytes());
        for word in [Some(program), pid].into_iter().chain(map.iter().map(Some)) {
            word.and_then(|word| args.push(word)).prepared()?;
        }
        Err(executed(program, &args, &env))
    };
    run(&mut execute, 0, &mut || true)
}

fn executed(program: &CStr, args: &Vector, env: &Vector) -> Fault {
    Fault::new(Call::Execve, Step::StartProgram, execve(program, args, env))
}

/// Room for two lists of so many strings.
fn room([first, second]: [usize; 2]) -> Result<[&'static mut [usize]; 2], Fault> {
    let (first, second) = (first.saturating_add(1), second.saturating_add(1));
    let (room, ..) =
        memory::map(first.saturating_add(second), 0, 0).during(Call::Mmap, Step::StartProgram)?;
    let (first, second) = room.split_at_mut_checked(first).prepared()?;
    Ok([first, second])
}

fn list(room: &'static mut [usize], texts: Strings<'static>) -> Result<Vector, Fault> {
    let mut list = Vector::new(room);
    for text in texts.iter() {
        list.push(text).prepared()?;
    }
    Ok(list)
}

/// A sealed file in memory that holds these bytes. Unlike a pipe, it takes any number of
/// bytes at once, and nobody needs to read them.
pub fn state(parts: &[&[u8]]) -> Result<OwnedFd, Fault> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = memfd_create(c"state", flags).during(Call::MemfdCreate, Step::MakeState)?;
    let mut place = 0;
    for part in parts {
        let mut left = *part;
        while !left.is_empty() {
            // The place of the file itself stays at its start, where the program reads.
            let count = pwrite(&file, left, place).during(Call::Pwrite, Step::MakeState)?;
            left = left.get(count..).unwrap_or_default();
            place = place.saturating_add(count as u64);
        }
    }
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    fcntl_add_seals(&file, seals).during(Call::Fcntl, Step::MakeState)?;
    Ok(file)
}

/// In the child: makes the file its standard input, and closes all fds but the standard
/// streams and the pipe.
pub fn take_input(input: &OwnedFd, pipe: BorrowedFd<'_>) -> Result<(), Fault> {
    rustix::stdio::dup2_stdin(input).during(Call::Dup3, Step::StartProgram)?;
    close_all_but(3, &[pipe], &Slots(&mut []), None)
}

/// What the child does, up to execve. It gets the pipe over which a failure is reported.
pub type Execute<'a> = &'a mut dyn FnMut(BorrowedFd<'_>) -> Result<Infallible, Fault>;

/// Runs a program to its end, as a process group of its own. Kills it after `timeout`
/// seconds, if that is not 0, or when `goes_on` says no; a failed one leaves no process.
pub fn run(
    execute: Execute<'_>,
    timeout: u32,
    goes_on: &mut dyn FnMut() -> bool,
) -> Result<(), Fault> {
    let step = Step::StartProgram;
    let (reading, writing) = pipe_with(PipeFlags::CLOEXEC).during(Call::Pipe2, step)?;
    let child = match clone3(0, None).during(Call::Clone3, step)? {
        Side::Child { .. } => {
            let _ = setpgid(None, None); // EACCES and EPERM are not possible so early.
            // Nothing of a killed start may run on. EINVAL is not possible.
            let _ = set_parent_process_death_signal(Some(Signal::KILL));
            let Err(fault) = execute(writing.as_fd());
            let _ = write(&writing, &fault.number().to_le_bytes()); // EPIPE: nobody waits.
            exit::exit(127)
        }
        Side::Parent { child } => Pid::from_raw(child.cast_signed()).prepared()?,
    };
    drop(writing);
    let ended = await_end(child, timeout, goes_on);
    let mut fault = [0; 4];
    match (ended, read(&reading, &mut fault[..])) {
        // Only a child that could not execute the program writes.
        (Ok(_), Ok(4)) => Fault::from_number(u32::from_le_bytes(fault)).map_or(Ok(()), Err),
        (Ok(0), _) => Ok(()),
        (Ok(status), _) => {
            let status = Errno::from_raw_os_error(status);
            Err(Fault::new(Call::None, Step::EndOfProgram, status))
        }
        (Err(fault), _) => Err(fault),
    }
}

/// A signal ended the program: its number is added to this.
pub const BY_SIGNAL: i32 = 256;

/// How often a program is looked after, in milliseconds.
const PERIOD: u32 = 100;

/// Waits for a child to end. Returns its exit status, or [`BY_SIGNAL`] and the signal.
fn await_end(child: Pid, timeout: u32, goes_on: &mut dyn FnMut() -> bool) -> Result<i32, Fault> {
    let pidfd = pidfd_open(child, PidfdFlags::empty());
    // KERNEL(5.3): without a pidfd, only a short pause ends soon after the child.
    let period = if pidfd.is_ok() { PERIOD } else { PERIOD / 10 };
    let pause = Timespec { tv_sec: 0, tv_nsec: i64::from(period).wrapping_mul(1_000_000) };
    let mut left = u64::from(timeout).saturating_mul(1000);
    loop {
        let seen = wait(child, WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT)?;
        let late = seen.is_none() && ((timeout != 0 && left == 0) || !goes_on());
        if late || seen.is_some_and(|status| status != 0) {
            // Before it is reaped, so that no other process has its number.
            let _ = kill_process_group(child, Signal::KILL); // ESRCH: it has none yet.
            let _ = kill_process(child, Signal::KILL); // ESRCH: it has ended.
        }
        if late || seen.is_some() {
            let status = wait(child, WaitIdOptions::empty())?;
            let late_fault = Fault::new(Call::None, Step::EndAtTimeout, Errno::TIMEDOUT);
            return if late { Err(late_fault) } else { Ok(status.unwrap_or_default()) };
        }
        left = left.saturating_sub(period.into());
        // EINTR: the loop looks again.
        let _ = match &pidfd {
            Ok(pidfd) => poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&pause)),
            Err(_) => poll(&mut [], Some(&pause)),
        };
    }
}

fn wait(child: Pid, options: WaitIdOptions) -> Result<Option<i32>, Fault> {
    let status = waitid(WaitId::Pid(child), WaitIdOptions::EXITED | options)
        .during(Call::Waitid, Step::EndOfProgram)?;
    Ok(status.map(|status| match status.terminating_signal() {
        Some(signal) => signal.saturating_add(BY_SIGNAL),
        None => status.exit_status().unwrap_or_default(),
    }))
}
