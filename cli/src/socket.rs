//! Unix sockets: of type SOCK_STREAM, and of type SOCK_DGRAM for sd_notify(3).

use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::{IoSlice, Result};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, sendmsg, socket_with,
};

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
    connect_far(&socket, path)?;
    Ok(socket)
}

/// Connects to the abstract socket of this name.
pub fn connect_abstract(name: &[u8]) -> Result<OwnedFd> {
    let socket = new(SocketFlags::empty())?;
    rustix::net::connect(&socket, &SocketAddrUnix::new_abstract_name(name)?)?;
    Ok(socket)
}

/// Connects to the socket at this path of any length.
fn connect_far(socket: &OwnedFd, path: &Path) -> Result<()> {
    // An address holds a path of at most 108 bytes (unix(7)); a longer one is reached
    // through an fd of its directory.
    if path.as_os_str().len() < 108 {
        return rustix::net::connect(socket, &address(path)?);
    }
    let parent = c_path(path.parent().unwrap_or(Path::new("/")))?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(&*parent, flags, Mode::empty())?;
    let name = path.file_name().unwrap_or_default();
    let short = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name);
    rustix::net::connect(socket, &address(&short)?)
}

/// A socket for datagrams.
pub fn datagrams() -> Result<OwnedFd> {
    socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
}

/// Connects one to a path of any length, or to the abstract socket @NAME. What is sent
/// there waits at most so long for the reader.
pub fn connect_datagrams(name: &[u8], patience: Duration) -> Result<OwnedFd> {
    let socket = datagrams()?;
    set_socket_timeout(&socket, Timeout::Send, Some(patience))?;
    match name {
        [b'@', name @ ..] => {
            rustix::net::connect(&socket, &SocketAddrUnix::new_abstract_name(name)?)?;
        }
        path => connect_far(&socket, Path::new(OsStr::from_bytes(path)))?,
    }
    Ok(socket)
}

/// Sends bytes and an fd. Returns how many bytes were sent.
pub fn send_with_fd(socket: &OwnedFd, bytes: &[u8], fd: BorrowedFd<'_>) -> Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let fds = [fd.as_fd()];
    ancillary.push(SendAncillaryMessage::ScmRights(&fds));
    sendmsg(socket, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL)
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

/// The address of this path, of at most 108 bytes.
pub fn address(path: &Path) -> Result<SocketAddrUnix> {
    SocketAddrUnix::new(&*c_path(path)?)
}
