//! recvmsg(2) for one message with at most one fd. rustix's parses every kind of
//! control message, and can panic.

use linux_raw_sys::general::__NR_recvmsg;
use linux_raw_sys::net;
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Result;

use super::syscall::syscall;
use super::to_result;

const MSG_CMSG_CLOEXEC: usize = net::MSG_CMSG_CLOEXEC as usize;
const SOL_SOCKET: i32 = net::SOL_SOCKET as i32;
const SCM_RIGHTS: i32 = net::SCM_RIGHTS as i32;

#[repr(C)]
struct Buffer {
    base: usize,
    length: usize,
}

/// struct cmsghdr, followed by one fd.
#[repr(C)]
struct Control {
    length: usize,
    level: i32,
    kind: i32,
    fd: i32,
}

/// struct msghdr
#[repr(C)]
struct Message {
    name: usize,
    name_length: u32,
    buffers: usize,
    buffer_count: usize,
    control: usize,
    control_length: usize,
    flags: u32,
}

/// recvmsg(2): receives one message. Returns its length and the fd that came with it.
/// Length 0: the other end is closed.
pub fn receive(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> Result<(usize, Option<OwnedFd>)> {
    let mut control = Control { length: 0, level: 0, kind: 0, fd: -1 };
    let buffer = Buffer { base: bytes.as_mut_ptr().addr(), length: bytes.len() };
    let mut message = Message {
        name: 0,
        name_length: 0,
        buffers: (&raw const buffer).addr(),
        buffer_count: 1,
        control: (&raw mut control).addr(),
        control_length: size_of::<Control>(),
        flags: 0,
    };
    let address = (&raw mut message).addr();
    let socket = socket.as_raw_fd() as usize;
    // SAFETY: the kernel writes message, at most control_length bytes of control, and
    // at most bytes.len() bytes of bytes. All outlive the call.
    let length =
        to_result(unsafe { syscall(__NR_recvmsg, [socket, address, MSG_CMSG_CLOEXEC, 0, 0, 0]) })?;
    let has_fd = message.control_length >= core::mem::offset_of!(Control, fd) + size_of::<i32>()
        && (control.level, control.kind) == (SOL_SOCKET, SCM_RIGHTS)
        && control.fd >= 0;
    // SAFETY: the kernel has just made this fd, so nothing else owns it.
    let fd = has_fd.then(|| unsafe { OwnedFd::from_raw_fd(control.fd) });
    Ok((length, fd))
}
