//! netdevice(7): SIOCSIFFLAGS

use linux_raw_sys::general::__NR_ioctl;
use linux_raw_sys::net::net_device_flags;
use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::Result;

use super::syscall::syscall;
use super::to_result;

const SIOCSIFFLAGS: usize = linux_raw_sys::ioctl::SIOCSIFFLAGS as usize;
const IFF_UP: u16 = net_device_flags::IFF_UP as u16;

/// struct ifreq of netdevice(7), whose union holds the flags.
#[repr(C)]
struct Request {
    name: [u8; 16],
    flags: u16,
    rest: [u8; 22],
}

/// ioctl(2), SIOCSIFFLAGS: brings `lo` up in the socket's network namespace.
pub fn loopback_up(socket: BorrowedFd<'_>) -> Result<()> {
    let mut name = [0; 16];
    name[..2].copy_from_slice(b"lo");
    let request = Request { name, flags: IFF_UP, rest: [0; 22] };
    let fd = socket.as_raw_fd() as usize;
    // SAFETY: the kernel reads one struct ifreq: 40 bytes on 64-bit architectures, 32
    // bytes on others. Request has 40.
    to_result(unsafe {
        syscall(__NR_ioctl, [fd, SIOCSIFFLAGS, (&raw const request).addr(), 0, 0, 0])
    })?;
    Ok(())
}
