//! From a Plan to a process: starts a sealed copy of vial-init, sends it the Plan,
//! and reads its replies.

pub mod failure;
pub mod here;
pub mod hint;
pub mod listener;
pub mod mount_log;
pub mod program;
mod trace;
pub mod watch;

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Instant;

use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::param::page_size;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, waitpid};
use vial_init::sys::clone3::{Side, clone3};
use vial_init::sys::execve::{Vector, execve};
use vial_init::sys::exit::exit;
use vial_init::sys::recvmsg::receive;
use vial_init::sys::sched_setattr::sched_setattr;
use vial_plan::{Call, Failed, Gate, Item, ProcessItem, Reply, Stage, Stage2, Step};

use crate::cgroup::oom::OutOfMemory;
use crate::debug;
use crate::error::Error;

use self::trace::Trace;
use self::watch::{RunHooks, Watch};
use crate::file::{read_whole, write_all};
use crate::foreground::Foreground;
use crate::network::Devices;
use crate::plan::{Lent, Plan, memory_files};
use crate::socket;
use crate::systemd;

/// An fd to lend, if there is one.
pub type Fd<'a> = (Lent, Option<BorrowedFd<'a>>);

/// A process of which only execve is left, and which waits for a word. It is a
/// child of vial. As a guard, it is killed when this goes out of scope, unless it
/// was told to go on.
#[derive(Debug)]
pub struct Ready {
    /// Its pid.
    pub pid: u32,
    channel: OwnedFd,
    /// Whether it was told to go on.
    is_kept: bool,
}

/// Starts vial-init on a Plan, for the container of this state dir, and waits until
/// the process is ready. If it fails, no process is left.
pub fn launch(
    plan: &Plan,
    dir: &Path,
    fds: &[Fd<'_>],
    watch: &Watch<'_>,
    devices: &mut Devices,
    run_hooks: RunHooks<'_>,
) -> Result<Ready, Error> {
    let program = program::find()?;
    let (channel, theirs) =
        socket::pair().map_err(|errno| Error::errno("make a socket pair: socketpair(2)", errno))?;
    // Room for the number of the present item, see container/progress.rs.
    let item = "0".repeat(plan.count().to_string().len());
    let words =
        [b"vial-init", &*lend(theirs.as_fd())?, item.as_bytes(), dir.as_os_str().as_bytes()]
            .map(CString::new);
    let mut arguments: Vec<CString> = words.into_iter().flatten().collect();
    for lent in plan.slots() {
        let fd = fds.iter().find(|(what, _)| Some(*what) == *lent).and_then(|(_, fd)| *fd);
        let number = fd.map_or(Ok(b"-".to_vec()), lend)?;
        arguments.extend(CString::new(number));
    }
    let child = execute(&program, arguments, &theirs)
        .map_err(|errno| Error::errno("start vial-init: clone3(2)", errno))?;
    drop(theirs);
    let mut started = Started(vec![child]);
    let mut trace = Trace::begin(plan, dir, child);
    let talked = talk(plan, &channel, &mut started, watch, &mut trace, devices, run_hooks);
    match talked {
        Ok(pid) => {
            started.end_but_for(pid);
            Ok(Ready { pid, channel, is_kept: false })
        }
        Err(Ended::Answered(Some(error)) | Ended::Watched(error)) => {
            started.kill(&channel);
            started.end();
            Err(error)
        }
        Err(Ended::Answered(None)) => Err(silence(plan, started.end())),
    }
}

/// Lets the child inherit an fd, and returns its number as text. vial has one
/// thread, so no other child can inherit it.
fn lend(fd: BorrowedFd<'_>) -> Result<Vec<u8>, Error> {
    fcntl_setfd(fd, FdFlags::empty()).map_err(|errno| Error::errno("fcntl(2)", errno))?;
    Ok(fd.as_raw_fd().to_string().into())
}

/// Executes a program in a child, without an environment, and returns its pid.
/// std::process would make a third of the CLI's system calls, for a stack, a pipe
/// and a handler for each signal. A failed execve is reported on the channel.
fn execute(
    program: &OwnedFd,
    arguments: Vec<CString>,
    channel: &OwnedFd,
) -> rustix::io::Result<u32> {
    let path = CString::new(format!("/proc/self/fd/{}", program.as_raw_fd())).unwrap_or_default();
    let room = vec![0; arguments.len() + 2].leak();
    let (first, second) = room.split_at_mut(arguments.len() + 1);
    let (mut list, environment) = (Vector::new(first), Vector::new(second));
    for argument in arguments.leak() {
        list.push(argument).ok_or(Errno::INVAL)?;
    }
    match clone3(0, None)? {
        Side::Parent { child } => Ok(child),
        Side::Child { .. } => {
            let errno = execve(&path, &list, &environment).raw_os_error().unsigned_abs();
            let (stage, call, step) = (Stage::Zero, Call::Execve, Step::StartInit);
            let failed = Failed { stage, call, step, item: 0, errno };
            let _ = write_all(channel, &Reply::Failed(failed).to_bytes()); // EPIPE: vial was killed.
            exit(1)
        }
    }
}

/// A reply, and the fd that came with it.
type Received = (Reply, Option<OwnedFd>);

/// Why a launch made no process.
enum Ended {
    /// vial-init ended, with this failure or without a reply.
    Answered(Option<Error>),
    /// vial gives up while vial-init is still at work.
    Watched(Error),
}

/// Sends the Plan and reads replies until the process is ready. Returns its pid.
fn talk(
    plan: &Plan,
    channel: &OwnedFd,
    started: &mut Started,
    watch: &Watch<'_>,
    trace: &mut Trace<'_>,
    devices: &mut Devices,
    run_hooks: RunHooks<'_>,
) -> Result<u32, Ended> {
    let failed = |what, errno| Ended::Answered(Some(Error::errno(what, errno)));
    Trace::pace(channel).map_err(|errno| failed("talk to vial-init: setsockopt(2)", errno))?;
    match write_all(channel, &plan.to_bytes()) {
        // EPIPE: vial-init has ended, and its reply may say why.
        Ok(()) | Err(Errno::PIPE) => {}
        Err(errno) => return Err(failed("send the plan to vial-init", errno)),
    }
    loop {
        let look = &mut || trace.look(&started.0);
        let reply = receive_reply(channel, watch, look).map_err(Ended::Watched)?;
        reply.iter().for_each(|(reply, _)| trace.heard(reply));
        match reply {
            Some((Reply::Started { pid }, _)) => started.0.push(pid),
            Some((Reply::At { gate: Gate::Start, pid }, _)) => return Ok(pid),
            Some((Reply::At { gate: Gate::NetDevices, pid }, _)) => {
                devices.move_to(pid).map_err(Ended::Watched)?;
                let_pass(channel, b"d");
            }
            Some((Reply::At { gate: Gate::Scheduler, pid }, _)) => {
                set_scheduler(plan, pid).map_err(Ended::Watched)?;
                let_pass(channel, b"s");
            }
            Some((Reply::At { gate: Gate::Listener, pid }, listener)) => {
                listener::pass_on(plan, listener, pid).map_err(Ended::Watched)?;
                let_pass(channel, b"l");
            }
            Some((Reply::At { gate: Gate::Scope, pid }, _)) => {
                if let Some(scope) = &plan.scope {
                    systemd::adopt(scope, pid, &|| watch.interrupted()).map_err(Ended::Watched)?;
                }
                let_pass(channel, b"s");
            }
            Some((Reply::At { gate: Gate::Hooks, pid }, _)) => {
                run_hooks(pid).map_err(Ended::Watched)?;
                let_pass(channel, b"h");
            }
            Some((Reply::Failed(failed), _)) => {
                return Err(Ended::Answered(Some(failure::words(plan, &failed))));
            }
            None => return Err(Ended::Answered(None)),
        }
    }
}

/// Lets vial-init pass the gate where it waits.
fn let_pass(channel: &OwnedFd, word: &[u8]) {
    let _ = write_all(channel, word); // EPIPE: it has ended, and the next reply may say why.
}

/// Sets the scheduling policy of a process in a user namespace, as its item would.
fn set_scheduler(plan: &Plan, pid: u32) -> Result<(), Error> {
    let of_vial = |(number, (_, item, _))| match item {
        Item::Stage2(Stage2::Process(ProcessItem::Scheduler { attributes, by_vial: true })) => {
            Some((number, attributes.try_into().ok()?))
        }
        _ => None,
    };
    let Some((number, mut attributes)) = plan.items().enumerate().find_map(of_vial) else {
        return Ok(());
    };
    sched_setattr(pid, &mut attributes).map_err(|errno| {
        let (call, step) = (Call::SchedSetattr, Step::SetScheduler);
        let errno = errno.raw_os_error().unsigned_abs();
        let failed = Failed { stage: Stage::Two, call, step, item: number as u32, errno };
        failure::words(plan, &failed)
    })
}

/// Reads one reply. None: the channel was closed.
fn read_reply(channel: &OwnedFd) -> Option<Reply> {
    await_reply(channel).ok()?
}

/// The same. EAGAIN: the channel's timeout has passed.
pub fn await_reply(channel: &OwnedFd) -> rustix::io::Result<Option<Reply>> {
    let mut bytes = [0; Reply::SIZE];
    let is_whole = read_whole(channel, &mut bytes)?;
    Ok(is_whole.then(|| Reply::from_bytes(&bytes)).flatten())
}

/// The same, on a channel whose timeout is [`PERIOD`]. Checks the watch each time.
/// Returns the fd that came with the reply, too.
fn receive_reply(
    channel: &OwnedFd,
    watch: &Watch<'_>,
    look: &mut dyn FnMut(),
) -> Result<Option<Received>, Error> {
    let mut bytes = [0; Reply::SIZE];
    loop {
        // A reply is written at once, so the timeout cannot cut one in two.
        match receive(channel.as_fd(), &mut bytes) {
            Ok((Reply::SIZE, fd)) => return Ok(Reply::from_bytes(&bytes).map(|reply| (reply, fd))),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                look();
                watch.check()?;
            }
            _ => return Ok(None),
        }
    }
}

impl Ready {
    /// Lets the process call execve, and returns once that has succeeded. If it
    /// fails, the process has ended.
    fn go(mut self, plan: &Plan, watch: &Watch<'_>) -> Result<(), Error> {
        self.tell(plan, b"g", "tell the process to start")?;
        // Only a filter can keep the process from saying what failed.
        let has_filter = plan.items().any(|(_, item, _)| {
            matches!(item, Item::Stage2(Stage2::Process(ProcessItem::Seccomp { .. })))
        });
        loop {
            match receive_reply(&self.channel, watch, &mut || ())? {
                // EOF: execve closed the channel.
                None => match has_filter.then(|| failure::silence(self.pid)).flatten() {
                    Some(error) => return Err(error),
                    None => break,
                },
                // Stage 0 may report this after the process was ready.
                Some((Reply::Started { .. }, _)) => {}
                Some((Reply::Failed(failed), _)) => return Err(failure::words(plan, &failed)),
                Some((Reply::At { .. }, _)) => return Err(Error::new("vial-init replied twice")),
            }
        }
        self.is_kept = true;
        debug::said(format_args!("process {} has executed its program", self.pid));
        Ok(())
    }

    /// Lets the process wait for start, and outlive vial.
    pub fn keep(mut self, plan: &Plan) -> Result<(), Error> {
        self.tell(plan, b"k", "tell the process to wait")?;
        self.is_kept = true;
        Ok(())
    }

    /// Sends a word. If the process has ended, its reply may say why.
    fn tell(&self, plan: &Plan, word: &[u8], what: &str) -> Result<(), Error> {
        write_all(&self.channel, word).map_err(|errno| match read_reply(&self.channel) {
            Some(Reply::Failed(failed)) if errno == Errno::PIPE => failure::words(plan, &failed),
            _ => Error::errno(what, errno),
        })
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        if !self.is_kept {
            kill(self.pid);
            wait_for(self.pid, WaitOptions::empty());
        }
    }
}

/// Lets a process call execve. Takes its terminal first, before it can write.
pub fn go(ready: Ready, plan: &Plan, foreground: Option<&mut Foreground>) -> Result<(), Error> {
    let waited_for = plan.agent.as_ref().filter(|_| !plan.has_start_hooks());
    let deadline = waited_for.map(|_| Instant::now() + listener::PATIENCE);
    let Some(foreground) = foreground else {
        return ready.go(plan, &Watch { deadline, ..Watch::default() });
    };
    foreground.take_terminal()?;
    ready.go(plan, &Watch { foreground: Some(foreground), cgroup: None, deadline })
}

/// The processes that this launch has started. vial may have other children: those
/// of the program that called execve(2) to become vial.
struct Started(Vec<u32>);

impl Started {
    /// Waits for the stages that are done; the container stays.
    fn end_but_for(self, ready: u32) {
        for pid in self.0.into_iter().filter(|pid| *pid != ready) {
            // Usually it has ended. If it is stopped, it would never end.
            if wait_for(pid, WaitOptions::NOHANG).is_none() {
                kill(pid);
                wait_for(pid, WaitOptions::empty());
            }
        }
    }

    /// Kills all of them. A stage reports each process that it starts: read these
    /// replies first, and again after the kill, so that none is missed.
    fn kill(&mut self, channel: &OwnedFd) {
        for _ in 0..2 {
            while let Some(reply) = read_reply(channel) {
                if let Reply::Started { pid } | Reply::At { pid, .. } = reply {
                    self.0.push(pid);
                }
            }
            self.0.iter().copied().for_each(kill);
        }
    }

    /// Waits for all of them to end. Returns whether one was killed by SIGKILL.
    fn end(self) -> bool {
        // count() does not stop at the first: each one must be waited for.
        let killed = |pid: &u32| {
            wait_for(*pid, WaitOptions::empty())
                .is_some_and(|status| status.terminating_signal() == Some(9))
        };
        self.0.into_iter().filter(killed).count() > 0
    }
}

fn kill(pid: u32) {
    if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
        let _ = kill_process(pid, Signal::KILL); // ESRCH: it has ended.
    }
}

/// Waits for a child to end. None: it is alive, or was reaped before.
fn wait_for(pid: u32, options: WaitOptions) -> Option<WaitStatus> {
    Some(waitpid(Pid::from_raw(pid.cast_signed()), options).ok()??.1)
}

/// How many pages of memory are enough for vial-init.
const PAGES: usize = 128;

fn silence(plan: &Plan, killed: bool) -> Error {
    if !killed {
        return Error::new("vial-init ended without a reply: is it the vial-init of this vial?");
    }
    let files = memory_files(plan.cgroup.as_ref(), &plan.places);
    match files.and_then(|files| OutOfMemory::read(&files)) {
        Some(oom) => Error::new(format_args!(
            "memory limit too low (config.json linux.resources.memory.limit): {oom}"
        ))
        .hint(format_args!(
            "{} bytes are enough for vial-init; add what the program needs",
            PAGES * page_size()
        )),
        None => Error::new("vial-init was killed before it could reply"),
    }
}
