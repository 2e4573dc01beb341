//! From a Plan to a process: vial-init, sealed against writing, is started, gets the
//! Plan, and answers once.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create, sendfile};
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::process::{Pid, WaitOptions, WaitStatus, wait, waitpid};
use vial_init::sys::mount_setattr::{Attributes, mount_setattr};
use vial_init::sys::open_tree;
use vial_plan::{Item, Reply};

use crate::error::Error;
use crate::failure;
use crate::plan::Plan;

const MOUNT_ATTR_RDONLY: u64 = 1;

/// Where vial-init lies if not beside vial itself.
const PLACES: [&str; 2] = ["/usr/libexec/vial/vial-init", "/usr/lib/vial/vial-init"];

/// The fds that vial-init gets beside its channel.
#[derive(Debug, Default)]
pub struct Fds<'a> {
    /// The socket on which `start` will connect.
    pub start: Option<BorrowedFd<'a>>,
    /// The connected console socket.
    pub console: Option<BorrowedFd<'a>>,
    /// The container's init, to be joined.
    pub pidfd: Option<BorrowedFd<'a>>,
}

/// A process that is complete but for execve, and waits.
#[derive(Debug)]
pub struct Ready {
    /// Its pid.
    pub pid: u32,
    channel: UnixStream,
}

/// Starts vial-init on a Plan, and waits for its answer. If it fails, nothing
/// that it started is left.
pub fn launch(plan: &Plan, fds: &Fds<'_>) -> Result<Ready, Error> {
    let program = find_init()?;
    let (channel, theirs) =
        UnixStream::pair().map_err(|e| Error::io("make a socket pair: socketpair(2)", &e))?;
    let mut command = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()));
    command.arg0("vial-init").env_clear();
    // Each fd goes under its own number, which a sole thread can let it keep
    // without another process inheriting it.
    for fd in [Some(theirs.as_fd()), fds.start, fds.console, fds.pidfd] {
        match fd {
            Some(fd) => {
                fcntl_setfd(fd, FdFlags::empty()).map_err(|e| Error::errno("fcntl(2)", e))?;
                command.arg(fd.as_raw_fd().to_string());
            }
            None => {
                command.arg("-");
            }
        }
    }
    let child = command.spawn().map_err(|e| Error::io("start vial-init: execve(2)", &e))?;
    drop(theirs);
    let stage0 = Pid::from_raw(child.id().cast_signed());
    match talk(plan, channel) {
        Ok(ready) => {
            // Stage 0 has nothing left to do; the container stays.
            let _ = waitpid(stage0, WaitOptions::empty()); // ECHILD: the caller ignores SIGCHLD.
            Ok(ready)
        }
        Err(answer) => {
            let killed = reap();
            Err(answer.unwrap_or_else(|| silence(plan, killed)))
        }
    }
}

/// Sends the Plan and reads the reply. Err(None): there was none.
fn talk(plan: &Plan, mut channel: UnixStream) -> Result<Ready, Option<Error>> {
    match channel.write_all(&plan.to_bytes()) {
        // EPIPE is the other side's end, of which it has said more itself.
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            return Err(Some(Error::io("send the plan to vial-init", &e)));
        }
        _ => {}
    }
    match read_reply(&mut channel) {
        Some(Reply::Ready { pid }) => Ok(Ready { pid, channel }),
        Some(Reply::Failed(failed)) => Err(Some(failure::words(plan, &failed))),
        None => Err(None),
    }
}

/// Reads one reply, if one comes before the end.
pub fn read_reply(channel: &mut UnixStream) -> Option<Reply> {
    let mut bytes = [0; Reply::SIZE];
    channel.read_exact(&mut bytes).ok()?;
    Reply::from_bytes(&bytes)
}

impl Ready {
    /// Lets the process go on to execve; returns once it is the program.
    pub fn go(mut self, plan: &Plan) -> Result<(), Error> {
        self.channel.write_all(b"g").map_err(|e| Error::io("tell the process to start", &e))?;
        match read_reply(&mut self.channel) {
            None => Ok(()), // The channel is closed by execve.
            Some(Reply::Failed(failed)) => Err(failure::words(plan, &failed)),
            Some(Reply::Ready { .. }) => Err(Error::new("vial-init answered twice")),
        }
    }
}

/// Waits for every process that was started. Returns whether one was killed.
pub fn reap() -> bool {
    let mut killed = false;
    while let Ok(Some((_, status))) = wait(WaitOptions::empty()) {
        killed |= WaitStatus::terminating_signal(status) == Some(9);
    }
    killed
}

fn silence(plan: &Plan, killed: bool) -> Error {
    let limited = plan.items().any(
        |(_, item, _)| matches!(item, Item::CgroupWrite { file, .. } if file == c"memory.max"),
    );
    match killed {
        true if limited => Error::new("vial-init was killed before it could answer")
            .hint("memory.max (config.json linux.resources.memory.limit) may be too low"),
        true => Error::new("vial-init was killed before it could answer"),
        false => Error::new("vial-init ended without an answer: is it the vial-init of this vial?"),
    }
}

/// vial-init beside vial, or where packages put it, sealed.
fn find_init() -> Result<OwnedFd, Error> {
    let own = fs::read_link("/proc/self/exe").map_err(|e| Error::io("read /proc/self/exe", &e))?;
    let beside = own.with_file_name("vial-init");
    for place in [beside.as_path(), Path::new(PLACES[0]), Path::new(PLACES[1])] {
        if let Some(program) = sealed(place)? {
            return Ok(program);
        }
    }
    Err(Error::new(format_args!(
        "vial-init is missing: not at {} and not in /usr/libexec/vial",
        beside.display()
    ))
    .hint("install both binaries of one build, side by side"))
}

/// vial-init where nobody can write it: a container that finds it as
/// /proc/PID/exe finds it on a read-only mount of its own, which no mount
/// namespace holds, so that no one can make it writable: mount_setattr(2) takes
/// mounts of the caller's namespace, and detached ones while their fd is open,
/// which is this process's alone and closed before anything of the container's
/// runs. Unlike a copy in memory its pages are shared by all containers.
///
/// Where such a mount cannot be had, as without privileges or before Linux 5.12,
/// it is a copy in memory, sealed. None: there is no such file.
fn sealed(path: &Path) -> Result<Option<OwnedFd>, Error> {
    let words = path.as_os_str().as_encoded_bytes();
    let mounted = CString::new(words).map_err(|_| Errno::INVAL).and_then(|path| {
        let mount = open_tree::clone_path(&path, false)?;
        let readonly = Attributes { set: MOUNT_ATTR_RDONLY, ..Attributes::default() };
        mount_setattr(mount.as_fd(), false, &readonly)?;
        Ok(mount)
    });
    match mounted {
        Ok(mount) => Ok(Some(mount)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(_) => sealed_copy(path),
    }
}

/// vial-init in memory that nobody can change.
fn sealed_copy(path: &Path) -> Result<Option<OwnedFd>, Error> {
    let failed =
        |what: &str, errno| Error::errno(format_args!("copy {}: {what}", path.display()), errno);
    let file = match File::open(path) {
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        file => file.map_err(|e| Error::io(format_args!("open {}", path.display()), &e))?,
    };
    let size =
        file.metadata().map_err(|e| Error::io(format_args!("stat {}", path.display()), &e))?.len();
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memory = match memfd_create("vial-init", flags | MemfdFlags::EXEC) {
        // KERNEL(6.3): executable without being asked to be.
        Err(Errno::INVAL) => memfd_create("vial-init", flags),
        result => result,
    }
    .map_err(|errno| failed("memfd_create(2)", errno))?;
    let mut left = usize::try_from(size).unwrap_or(usize::MAX);
    while left > 0 {
        match sendfile(&memory, &file, None, left).map_err(|errno| failed("sendfile(2)", errno))? {
            0 => break,
            count => left -= count.min(left),
        }
    }
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    fcntl_add_seals(&memory, seals).map_err(|errno| failed("fcntl(2)", errno))?;
    Ok(Some(memory))
}
