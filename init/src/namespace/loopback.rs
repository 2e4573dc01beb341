//! The loopback interface of a new network namespace.

use rustix::fd::AsFd;
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, socket_with};
use vial_plan::{Call, Step};

use crate::fault::{During, Fault};
use crate::sys::ifup::loopback_up;

/// Brings up `lo`.
pub fn up() -> Result<(), Fault> {
    let flags = SocketFlags::CLOEXEC;
    // A socket of any family works. Without IP there is no INET, but then `lo` has no
    // address to answer at either.
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, flags, Some(ipproto::UDP))
        .or_else(|_| socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None))
        .during(Call::Socket, Step::Loopback)?;
    loopback_up(socket.as_fd()).during(Call::Ioctl, Step::Loopback)
}
