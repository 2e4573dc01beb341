//! Finds criu and starts it.

use std::ffi::{CStr, CString};

use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{Access, access};
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use vial_init::procfs::Procfs;
use vial_init::signals;
use vial_init::sys::clone3::{Side, clone3};
use vial_init::sys::execve::{Vector, execve};
use vial_init::sys::exit::exit;
use vial_init::sys::recvmsg::receive;
use vial_init::sys::signal::block_only;

use super::Criu;
use super::images::Images;
use super::room::Room;
use crate::error::Error;
use crate::file::{c_path, read_whole, write_all};
use crate::launch::watch::{PERIOD, Watch};
use crate::socket;
use crate::spawn::{environment, list, texts};

/// Where criu is, if PATH does not say.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Finds the program. Only root may use it.
pub fn find() -> Result<CString, Error> {
    if !rustix::process::geteuid().is_root() {
        return Err(Error::new("checkpoint and restore need root, as criu does"));
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| PATH.into());
    let places = std::env::split_paths(&path).map(|directory| directory.join("criu"));
    let mut places = places.filter_map(|place| c_path(&place).ok());
    places.find(|place| access(&**place, Access::EXEC_OK).is_ok()).ok_or_else(|| {
        Error::new("criu is missing: there is no such program in PATH")
            .hint("install the package criu, of version 3.16 or later")
    })
}

/// Lets a child inherit an fd. Returns its number.
pub fn lend(fd: BorrowedFd<'_>) -> Result<u32, Error> {
    fcntl_setfd(fd, FdFlags::empty()).map_err(|errno| Error::errno("fcntl(2)", errno))?;
    Ok(fd.as_raw_fd().cast_unsigned())
}

/// A process that becomes criu at a word. As a guard, it ends when this goes out of
/// scope.
#[derive(Debug)]
pub struct Waiting<'a> {
    child: Child,
    /// Takes the word, and tells why the process could not become criu.
    gate: OwnedFd,
    watch: &'a Watch<'a>,
}

/// Starts the process. room: where it restores.
pub fn start<'a>(
    program: &CStr,
    images: &Images,
    room: Option<&Room<'_>>,
    watch: &'a Watch<'a>,
) -> Result<Waiting<'a>, Error> {
    let failed = |errno| Error::errno("start criu", errno);
    let (gate, theirs) = socket::pair().map_err(failed)?;
    set_socket_timeout(&gate, Timeout::Recv, Some(PERIOD)).map_err(failed)?;
    let environment = environment().map_err(Error::new)?;
    match clone3(0, None).map_err(failed)? {
        Side::Parent { child } => Ok(Waiting { child: Child { pid: child }, gate, watch }),
        Side::Child { .. } => {
            drop(gate); // If vial ends, the other end is closed.
            if !read_whole(&theirs, &mut [0]).is_ok_and(|whole| whole) {
                exit(1);
            }
            let error = match prepare(&theirs, images, room) {
                Ok(words) => failed(execve(program, &words, &environment)),
                Err(error) => error,
            };
            let _ = write_all(&theirs, error.to_string().as_bytes()); // EPIPE: vial was killed.
            exit(1)
        }
    }
}

/// In the child: enters the room, opens the directories, and sends vial their numbers
/// with the other end of the socket on which criu will listen. criu looks for the fds in
/// the process that made the socket, and would find others in a mount namespace that is
/// not its own. Returns criu's arguments.
fn prepare(gate: &OwnedFd, images: &Images, room: Option<&Room<'_>>) -> Result<Vector, Error> {
    let failed = |errno| Error::errno("talk to criu", errno);
    unblock()?;
    room.map_or(Ok(()), Room::enter)?;
    let directories = images.open()?;
    let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
    let (ours, theirs) = socketpair(family, kind, SocketFlags::CLOEXEC, None).map_err(failed)?;
    let mut numbers = [0; SENT];
    for (place, directory) in numbers.chunks_exact_mut(4).zip(&directories) {
        place.copy_from_slice(&lend(directory.as_fd())?.to_ne_bytes());
    }
    socket::send_with_fd(gate, &numbers, theirs.as_fd()).map_err(failed)?;
    let number = lend(ours.as_fd())?.to_string();
    let words = ["criu", "swrk", &number].map(Vec::from);
    std::mem::forget((directories, ours)); // execve needs them.
    texts(words.into_iter()).map(list).map_err(Error::new)
}

/// How many bytes two numbers have.
const SENT: usize = 8;

/// Signals that are blocked or ignored stay so across execve(2): vial blocks those that
/// it passes on, and Rust ignores SIGPIPE.
fn unblock() -> Result<(), Error> {
    block_only(0).map_err(|errno| Error::errno("rt_sigprocmask(2)", errno))?;
    let reset = Procfs::open().and_then(|procfs| signals::reset(&procfs));
    reset.map_err(|fault| Error::errno("reset signals", fault.errno()))
}

impl<'a> Waiting<'a> {
    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.child.pid
    }

    /// Lets it become criu.
    pub fn go(self) -> Result<Criu<'a>, Error> {
        let failed = |errno| Error::errno("start criu", errno);
        write_all(&self.gate, b"g").map_err(failed)?;
        let (mut said, mut channel) = (Vec::new(), None);
        loop {
            let mut bytes = [0; 256];
            match receive(self.gate.as_fd(), &mut bytes) {
                Ok((0, _)) => break, // execve closed it.
                Ok((length, None)) => said.extend_from_slice(&bytes[..length]),
                Ok((_, Some(fd))) => channel = Some((fd, bytes)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.watch.interrupted()?,
                Err(errno) => return Err(failed(errno)),
            }
        }
        let number = |bytes: &[u8]| bytes.first_chunk().map_or(0, |four| u32::from_ne_bytes(*four));
        let Waiting { child, watch, .. } = self;
        match channel {
            Some((channel, bytes)) if said.is_empty() => {
                set_socket_timeout(&channel, Timeout::Recv, Some(PERIOD)).map_err(failed)?;
                let directories = [number(&bytes), number(&bytes[4..])];
                Ok(Criu { child, channel, watch, made: Child { pid: 0 }, directories })
            }
            _ => Err(Error::new(String::from_utf8_lossy(&said))),
        }
    }
}

/// A child. As a guard, it is killed when this goes out of scope.
#[derive(Debug)]
pub(super) struct Child {
    /// Its pid; 0 for none.
    pub(super) pid: u32,
}

impl Child {
    fn take(&mut self) -> Option<Pid> {
        Pid::from_raw(std::mem::take(&mut self.pid).cast_signed())
    }

    /// Waits for its end.
    pub(super) fn wait(mut self) {
        if let Some(pid) = self.take() {
            let _ = waitpid(Some(pid), WaitOptions::empty()); // ECHILD: it is nobody's yet.
        }
    }

    /// Lets it live.
    pub(super) fn forget(&mut self) {
        self.take();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Some(pid) = self.take() {
            let _ = kill_process(pid, Signal::KILL); // ESRCH: it has ended.
            let _ = waitpid(Some(pid), WaitOptions::empty()); // As above.
        }
    }
}
