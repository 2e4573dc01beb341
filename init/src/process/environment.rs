//! Environment variables that depend on the container: HOME and LISTEN_PID.

use rustix::fd::OwnedFd;
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat2};
use rustix::io::{Errno, read};
use vial_plan::{Call, Step};

use crate::Life;
use crate::fault::{During, Fault, Prepared};
use crate::path::PathBuffer;
use crate::rootfs::Rootfs;
use crate::stage2::Inside;

/// How much of passwd(5) is read: an image can make it endless with a sparse file.
const PASSWD_MAX: usize = 1 << 20;

/// Adds HOME: the sixth field of the user's line in the container's passwd(5), or `/`
/// if there is none.
#[inline(never)] // Keep this buffer out of the stack frame that stays resident while waiting.
pub(super) fn find_home(life: &mut Life, inside: &mut Inside, uid: u32) -> Result<(), Fault> {
    let mut home: PathBuffer<512> = PathBuffer::empty();
    let found = home_from_passwd(uid, &mut home).unwrap_or(false); // Unreadable means none.
    let text = life.memory.keep(if found { home.as_bytes() } else { b"HOME=/" });
    inside.program.as_mut().prepared()?.add_variable(text)
}

/// Adds LISTEN_PID: only the process with this pid takes systemd's sockets
/// (sd_listen_fds(3)).
pub(super) fn add_listen_pid(life: &mut Life, inside: &mut Inside) -> Result<(), Fault> {
    let step = Step::BuildArguments;
    let mut entry: PathBuffer<32> = PathBuffer::empty();
    let pid = rustix::process::getpid().as_raw_nonzero().get().cast_unsigned();
    entry.push(b"LISTEN_PID=").and_then(|entry| entry.push_number(pid)).during(Call::None, step)?;
    let text = life.memory.keep(entry.as_bytes());
    inside.program.as_mut().prepared()?.add_variable(text)
}

fn home_from_passwd(uid: u32, home: &mut PathBuffer<512>) -> rustix::io::Result<bool> {
    let file = open_passwd().map_err(Fault::errno)?;
    let stat = fstat(&file)?;
    // A file of procfs has size 0. It is no list of users, and reading it may block.
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || stat.st_size == 0 {
        return Err(Errno::INVAL);
    }
    let mut wanted: PathBuffer<16> = PathBuffer::empty();
    wanted.push_number(uid)?;
    let mut matches = true;
    let (mut field, mut index) = (0_u32, 0_usize);
    let mut buffer = [0; 512];
    home.push(b"HOME=")?;
    let mut left = PASSWD_MAX;
    loop {
        let count = read(&file, &mut buffer[..])?;
        left = left.saturating_sub(count);
        if count == 0 || left == 0 {
            return Ok(false);
        }
        for byte in buffer.iter().take(count) {
            match (*byte, field) {
                (b'\n', _) => {
                    (field, index, matches) = (0, 0, true);
                    home.clear();
                    home.push(b"HOME=")?;
                }
                (b':', 5) if matches => return Ok(home.as_bytes().len() > 5),
                (b':', _) => {
                    // The third field ends here: all of the uid must have matched.
                    matches &= field != 2 || index == wanted.as_bytes().len();
                    (field, index) = (field.saturating_add(1), 0);
                }
                (digit, 2) => {
                    matches &= wanted.as_bytes().get(index) == Some(&digit);
                    index = index.saturating_add(1);
                }
                (letter, 5) => {
                    home.push(&[letter])?;
                }
                _ => {}
            }
        }
    }
}

/// Opens the container's passwd(5). Follows symbolic links, but not the magic links of
/// procfs, which lead to what this process has open. A FIFO must not block.
fn open_passwd() -> Result<OwnedFd, Fault> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    match openat2(CWD, c"/etc/passwd", flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS) {
        // KERNEL(5.6): without openat2, walk component by component.
        Err(Errno::NOSYS | Errno::PERM) => {
            let root = Rootfs::present()?;
            root.open_at(c"/etc/passwd", flags, false)
        }
        result => result.during(Call::Openat2, Step::BuildArguments),
    }
}
