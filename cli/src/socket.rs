//! Unix sockets of type SOCK_STREAM.

use std::path::Path;

use rustix::fd::OwnedFd;
use rustix::io::Result;
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
