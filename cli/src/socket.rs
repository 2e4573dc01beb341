//! Unix sockets of type SOCK_STREAM.

use std::path::Path;
use std::time::Duration;

use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Result;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};

use crate::file::c_path;

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 128;

/// Two sockets that are connected to each other.
pub fn pair() -> Result<(OwnedFd, OwnedFd)> {
    let (family, kind) = (AddressFamily::UNIX, SocketType::STREAM);
    rustix::net::socketpair(family, kind, SocketFlags::CLOEXEC, None)
}

/// Connects to the socket at this path, of at most 108 bytes.
pub fn connect(path: &Path, flags: SocketFlags) -> Result<OwnedFd> {
    let (socket, address) = (new(flags)?, address(path)?);
    rustix::net::connect(&socket, &address)?;
    Ok(socket)
}

/// Connects to the socket at this path of any length. Gives up after this time: EAGAIN,
/// now and when it is written to. Zero means never.
pub fn connect_within(path: &Path, patience: Duration) -> Result<OwnedFd> {
    let socket = new(SocketFlags::empty())?;
    if !patience.is_zero() {
        set_socket_timeout(&socket, Timeout::Send, Some(patience))?;
    }
    // An address holds a path of at most 108 bytes (unix(7)); a longer one is reached
    // through an fd of its directory.
    if path.as_os_str().len() < 108 {
        rustix::net::connect(&socket, &address(path)?)?;
        return Ok(socket);
    }
    let parent = c_path(path.parent().unwrap_or(Path::new("/")))?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(&*parent, flags, Mode::empty())?;
    let name = path.file_name().unwrap_or_default();
    let short = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name);
    rustix::net::connect(&socket, &address(&short)?)?;
    Ok(socket)
}

/// Makes a socket at this path, which others can connect to.
pub fn listen(path: &Path) -> Result<OwnedFd> {
    let (socket, address) = (new(SocketFlags::empty())?, address(path)?);
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket)
}

fn new(flags: SocketFlags) -> Result<OwnedFd> {
    socket_with(AddressFamily::UNIX, SocketType::STREAM, flags | SocketFlags::CLOEXEC, None)
}

fn address(path: &Path) -> Result<SocketAddrUnix> {
    SocketAddrUnix::new(&*c_path(path)?)
}
