//! A proxy for sd_notify(3). If $NOTIFY_SOCKET is set when a container is made, the
//! container gets a socket of vial's own, in a directory of the state dir. vial passes
//! on what it reads there: systemd would not listen to processes in the container, and
//! must not believe everything that they say.

use std::cell::Cell;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, chmodat, mkdirat, unlinkat};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, bind, recv, send};

use crate::config::{Config, Mount};
use crate::container::dir::Dir;
use crate::container::{Container, Init};
use crate::error::Error;
use crate::log::Log;
use crate::socket;

/// Where the container finds the directory of the socket, as with runc.
const IN_CONTAINER: &str = "/run/notify";
/// The directory in the state dir, and the socket in it.
const DIRECTORY: &str = "notify";
const SOCKET: &str = "notify/notify.sock";

/// How long the host may take to read what vial sends, as sd_notify_barrier(3) is used.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest message that is passed on. systemd reads 4096 bytes, and vial adds a line.
const LONGEST: usize = 4064;

/// How many messages are read in a row. A container may send without an end.
const IN_A_ROW: usize = 512;

/// How the lines begin that are passed on. The others would let a container change what
/// the host knows of the service: its main process (MAINPID), who may send
/// (NOTIFYACCESS), its stored fds, its watchdog's time. vial says itself which process is
/// the main one.
const PASSED_ON: [&[u8]; 7] = [
    READY,
    b"RELOADING=1",
    b"STOPPING=1",
    b"MONOTONIC_USEC=",
    b"STATUS=",
    b"WATCHDOG=1",
    b"EXTEND_TIMEOUT_USEC=",
];
const READY: &[u8] = b"READY=1";

/// The caller's $NOTIFY_SOCKET, if it is set.
pub fn address() -> Result<Option<OsString>, Error> {
    let Some(address) = std::env::var_os("NOTIFY_SOCKET") else { return Ok(None) };
    match address.as_bytes() {
        [] => Ok(None),
        [b'/' | b'@', _, ..] => Ok(Some(address)),
        _ => Err(Error::new(format_args!(
            "NOTIFY_SOCKET \"{}\" is neither an absolute path nor @ and a name",
            address.display()
        ))),
    }
}

/// Adds the mount and the variable, as runc does. An earlier value of the variable names
/// a socket that the container cannot reach.
pub fn add_to(config: &mut Config, state_dir: &Path) {
    config.mounts.push(Mount {
        destination: IN_CONTAINER.into(),
        source: state_dir.join(DIRECTORY).to_string_lossy().into_owned(),
        options: vec!["bind,nosuid,noexec,nodev,ro".into()],
        is_for_notify: true,
        ..Mount::default()
    });
    if let Some(process) = &mut config.process {
        process.env.push("NOTIFY_SOCKET=/run/notify/notify.sock".into());
    }
}

/// Makes the directory of the socket. Only start makes the socket, as it reads from it.
/// Any user of the container may reach it; the state dir above keeps others out.
pub fn make_directory(dir: &Dir) -> Result<(), Error> {
    let mode = Mode::from(0o755);
    mkdirat(dir, DIRECTORY, mode)
        .and_then(|()| chmodat(dir, DIRECTORY, mode, AtFlags::empty())) // Whatever the umask is.
        .map_err(|errno| failed(dir, errno))
}

fn failed(dir: &Dir, errno: Errno) -> Error {
    Error::errno(format_args!("make {}", dir.path.join(SOCKET).display()), errno)
}

/// A socket in the container, and one of the host.
#[derive(Debug)]
pub struct Proxy {
    /// What the container sends arrives here.
    own: OwnedFd,
    /// Connected to $NOTIFY_SOCKET.
    host: OwnedFd,
    has_sent: Cell<bool>,
}

impl Proxy {
    /// Makes the container's socket, and connects to the host's. None: the caller has none,
    /// or had none when the container was created.
    pub fn open(dir: &Dir) -> Result<Option<Proxy>, Error> {
        let Some(address) = address()? else { return Ok(None) };
        let own = match listen(dir) {
            Err(Errno::NOENT) => return Ok(None),
            own => own.map_err(|errno| failed(dir, errno))?,
        };
        let host = socket::connect_datagrams(address.as_bytes(), PATIENCE).map_err(|errno| {
            let what = format_args!("connect to NOTIFY_SOCKET {}: connect(2)", address.display());
            Error::errno(what, errno)
        })?;
        Ok(Some(Proxy { own, host, has_sent: Cell::new(false) }))
    }

    /// The socket that the container sends to.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.own.as_fd()
    }

    /// Waits until the container is ready, and tells the host so, or until its process has
    /// ended: it has been started, so that is no error. Other verbs may use the container
    /// meanwhile.
    pub fn await_ready(&self, container: &Container, log: &Log) -> Result<(), Error> {
        let (is_ready, _) = container.unlocked(|| self.is_made_ready(container))?;
        if !is_ready? {
            log.warn(&[
                "the container's process has ended before it was ready (sd_notify(3))".into()
            ]);
        }
        Ok(())
    }

    /// False: its process has ended before.
    fn is_made_ready(&self, container: &Container) -> Result<bool, Error> {
        let init = container.init()?;
        let pidfd = init.as_ref().and_then(Init::pidfd);
        // KERNEL(5.3): without a pidfd, look from time to time.
        let period = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        let period = pidfd.is_none().then_some(&period);
        let mut has_ended = init.is_none();
        loop {
            // Its last message may be the one that is awaited.
            if self.pass_on(container.record.pid)? {
                self.barrier();
                return Ok(true);
            }
            if has_ended {
                return Ok(false);
            }
            let fds = [self.fd(), pidfd.unwrap_or(self.fd())];
            let mut fds = fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
            match poll(&mut fds, period) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(Error::errno("poll(2)", errno)),
            }
            has_ended = !container.is_alive()?;
        }
    }

    /// Passes on what the container has sent while vial waits for its process. vial stays
    /// the main process of the service until it has removed the container.
    pub fn serve(&self) {
        let _ = self.pass_on(std::process::id()); // The host has gone, and cannot be told so.
    }

    /// Waits until the host has read everything, if there was anything. Before that, vial
    /// must not end: systemd finds the service of a message by its sender.
    pub fn finish(&self) {
        self.serve();
        if self.has_sent.get() {
            self.barrier();
        }
    }

    /// Passes messages on, up to one that says that the container is ready. Returns
    /// whether there was one.
    fn pass_on(&self, main_pid: u32) -> Result<bool, Error> {
        for _ in 0..IN_A_ROW {
            let mut buffer = [0; LONGEST];
            // Without a buffer for fds, the kernel closes those that come along.
            let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
            let Ok((_, length)) = recv(&self.own, &mut buffer, flags) else {
                return Ok(false); // EAGAIN: there is none.
            };
            // One that is longer is ignored, as systemd does.
            let Some(message) = buffer.get(..length) else { continue };
            let (mut known, mut is_ready) = (Vec::new(), false);
            for line in message.split(|byte| *byte == b'\n') {
                if PASSED_ON.iter().any(|known| line.starts_with(known)) {
                    known.extend_from_slice(line);
                    known.push(b'\n');
                }
                is_ready |= line == READY;
            }
            if known.is_empty() {
                continue;
            }
            self.has_sent.set(true);
            let mut flags = SendFlags::NOSIGNAL;
            if is_ready {
                known.extend_from_slice(format!("MAINPID={main_pid}\n").as_bytes());
            } else {
                flags |= SendFlags::DONTWAIT;
            }
            match send(&self.host, &known, flags) {
                Ok(_) if is_ready => return Ok(true),
                Err(errno) if is_ready => {
                    let what = "tell NOTIFY_SOCKET that the container is ready: send(2)";
                    return Err(Error::errno(what, errno));
                }
                // EAGAIN: the host does not read. All but READY=1 is only news.
                _ => {}
            }
        }
        Ok(false)
    }

    /// Waits until the host has read all messages, as sd_notify_barrier(3) does.
    fn barrier(&self) {
        let Ok((ours, theirs)) = socket::pair() else { return };
        if socket::send_with_fd(&self.host, b"BARRIER=1", theirs.as_fd()).is_err() {
            return; // It has gone, and so has whatever it had not read.
        }
        drop(theirs);
        let period = Timespec { tv_sec: PATIENCE.as_secs().cast_signed(), tv_nsec: 0 };
        // The fd's other end hangs up when the host has closed it. A host that never does
        // so cannot be helped.
        let _ = poll(&mut [PollFd::new(&ours, PollFlags::empty())], Some(&period));
    }
}

/// Makes the socket that the container sends to.
fn listen(dir: &Dir) -> rustix::io::Result<OwnedFd> {
    let _ = unlinkat(dir, SOCKET, AtFlags::empty()); // ENOENT, unless an earlier start failed.
    let own = socket::datagrams()?;
    // Through the open directory: an address holds 108 bytes.
    bind(&own, &socket::address(&dir.through_fd(SOCKET))?)?;
    chmodat(dir, SOCKET, Mode::from(0o777), AtFlags::empty())?; // Whatever the umask is.
    Ok(own)
}
