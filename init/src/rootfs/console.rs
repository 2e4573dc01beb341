//! The terminal: a pseudo-terminal of the container's own devpts. Its master is sent
//! over the console socket.

use linux_raw_sys::general;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{OFlags, fstat, fstatfs, minor};
use rustix::io::{Errno, IoSlice};
use rustix::process::ioctl_tiocsctty;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use vial_plan::{Call, Step};

use super::Rootfs;
use super::bind::{Source, attributes, bind_on};
use super::resolve::Make;
use crate::channel::send;
use crate::fault::{During, Fault, Of};
use crate::path::PathBuffer;

const DEVPTS_SUPER_MAGIC: u64 = general::DEVPTS_SUPER_MAGIC as u64;

/// Opens a pseudo-terminal, sends its master, and returns its peer. TIOCGPTPEER opens
/// the peer itself, never a file that has taken its name.
pub fn open(
    rootfs: &Rootfs,
    socket: BorrowedFd<'_>,
    rows: u32,
    columns: u32,
) -> Result<OwnedFd, Fault> {
    let flags = OFlags::RDWR | OFlags::NOCTTY;
    let master = rootfs.open_at(c"dev/pts/ptmx", flags, true).of(Step::OpenPtmx)?;
    if fstatfs(&master).during(Call::Fstatfs, Step::OpenPtmx)?.f_type as u64 != DEVPTS_SUPER_MAGIC {
        return Err(Fault::new(Call::Fstatfs, Step::OpenPtmx, Errno::NODEV));
    }
    unlockpt(&master).during(Call::Ioctl, Step::OpenTerminal)?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let peer = ioctl_tiocgptpeer(&master, flags).during(Call::Ioctl, Step::OpenTerminal)?;
    if rows | columns != 0 {
        let size =
            Winsize { ws_row: rows as u16, ws_col: columns as u16, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&peer, size).during(Call::Ioctl, Step::SetTerminalSize)?;
    }
    let number = minor(fstat(&peer).during(Call::Fstat, Step::OpenTerminal)?.st_rdev);
    let mut name: PathBuffer<32> = PathBuffer::empty();
    name.push(b"/dev/pts/")
        .and_then(|n| n.push_number(number))
        .during(Call::None, Step::OpenTerminal)?;
    // One message holds the terminal's name and the fd of the master.
    send(socket, &[IoSlice::new(name.as_bytes())], Some(master.as_fd()))
        .during(Call::Sendmsg, Step::SendTerminal)?;
    Ok(peer)
}

/// Binds the terminal on /dev/console by its fd.
pub fn bind(rootfs: &Rootfs, peer: BorrowedFd<'_>) -> Result<(), Fault> {
    let mount_point = rootfs.mount_point(c"dev/console", Make::File, true)?.fd;
    bind_on(rootfs, &Source::fd(peer, false), mount_point.as_fd(), &attributes(0, 0))?;
    Ok(())
}

/// Makes the terminal the controlling one of the session, and standard input, output
/// and error.
pub fn make_controlling(peer: OwnedFd) -> Result<(), Fault> {
    ioctl_tiocsctty(&peer).during(Call::Ioctl, Step::ControlTerminal)?;
    rustix::stdio::dup2_stdin(&peer).during(Call::Dup3, Step::UseTerminal)?;
    rustix::stdio::dup2_stdout(&peer).during(Call::Dup3, Step::UseTerminal)?;
    rustix::stdio::dup2_stderr(&peer).during(Call::Dup3, Step::UseTerminal)
}
