//! The last steps: the working directory, the program, the fds, the wait for
//! start, and execve.

use core::ffi::CStr;

use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    Access, AtFlags, CWD, FileType, Mode, OFlags, RawDir, ResolveFlags, accessat, fstat, open,
    openat, openat2, stat,
};
use rustix::io::{Errno, read};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use vial_plan::{Call, Step, Strings};

use crate::Life;
use crate::channel::Memory;
use crate::fault::{During, Fault, Prepared};
use crate::path::PathBuffer;
use crate::procfs::Procfs;
use crate::rootfs::Rootfs;
use crate::slots::Slots;
use crate::stage2::Inside;
use crate::sys::clone3::{Side, clone3};
use crate::sys::execve::{Vector, execve};
use crate::sys::{close_range, exit, getcwd};

/// Closes every fd from `from` on but these, none of which lies below it.
#[inline(never)] // From three places.
pub fn close_all_but(
    from: u32,
    ours: &[BorrowedFd<'_>],
    slots: &Slots,
    procfs: Option<&Procfs>,
) -> Result<(), Fault> {
    let mut first = from;
    loop {
        let ours = ours.iter().copied().chain(slots.fds());
        let numbers = ours.map(|fd| fd.as_raw_fd().cast_unsigned());
        let behind = numbers.filter(|fd| *fd >= first);
        let next = behind.min();
        if next != Some(first) {
            let last = next.map_or(u32::MAX, |next| next.saturating_sub(1));
            close(first, last, procfs).during(Call::CloseRange, Step::CloseFds)?;
        }
        match next {
            Some(next) => first = next.saturating_add(1),
            None => return Ok(()),
        }
    }
}

/// KERNEL(5.9): without close_range, each fd that /proc/self/fd lists. The
/// container's own /proc may be missing or be anything.
#[inline(never)] // Keep this buffer out of the stack frame that stays resident while waiting.
fn close(first: u32, last: u32, procfs: Option<&Procfs>) -> rustix::io::Result<()> {
    match close_range::close_range(first, last) {
        Err(Errno::NOSYS | Errno::PERM) => {}
        result => return result,
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let listing = match procfs {
        Some(procfs) => openat(procfs, c"self/fd", flags, Mode::empty()),
        None => open(c"/proc/self/fd", flags, Mode::empty()),
    }?;
    let mut buffer = [core::mem::MaybeUninit::uninit(); 1024];
    let mut entries = RawDir::new(&listing, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let digits = entry.file_name().to_bytes().iter().map(|digit| digit.wrapping_sub(b'0'));
        if digits.clone().any(|digit| digit > 9) {
            continue; // `.` and `..`
        }
        let fd = digits.fold(0_u32, |n, digit| n.wrapping_mul(10).wrapping_add(digit.into()));
        if (first..=last).contains(&fd) && fd != listing.as_raw_fd().cast_unsigned() {
            close_range::close(fd);
        }
    }
    Ok(())
}

/// Runs newuidmap or newgidmap: PROGRAM PID MAP.., where MAP is triples.
pub fn map_helper(
    program: &'static CStr,
    child: u32,
    map: Strings<'static>,
    life: &mut Life,
) -> Result<(), Fault> {
    match clone3(0, None).during(Call::Clone3, Step::StartMapHelper)? {
        Side::Child { .. } => {
            let (args, env) = core::mem::take(&mut life.memory.pointers)
                .split_at_mut_checked(map.len().saturating_add(3))
                .unwrap_or_default();
            let (mut args, env) = (Vector::new(args), Vector::new(env));
            let mut text: PathBuffer<16> = PathBuffer::empty();
            let whole = text.push_number(child).is_ok()
                && args.push(program).is_some()
                && life.memory.keep(text.as_bytes()).and_then(|pid| args.push(pid)).is_some()
                && map.iter().all(|number| args.push(number).is_some());
            if whole {
                let _ = execve(program, &args, &env); // The status says that it failed.
            }
            exit::exit(127)
        }
        Side::Parent { child } => {
            let pid = Pid::from_raw(child.cast_signed()).prepared()?;
            let status = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED)
                .during(Call::Waitid, Step::MapHelper)?;
            match status.and_then(|status| status.exit_status()) {
                Some(0) => Ok(()),
                Some(127) => Err(Fault::new(Call::Execve, Step::StartMapHelper, Errno::NOENT)),
                // Not an errno: its status, or none where a signal ended it.
                status => {
                    let status = Errno::from_raw_os_error(status.unwrap_or_default());
                    Err(Fault::new(Call::None, Step::MapHelper, status))
                }
            }
        }
    }
}

/// Changes to the working directory, with the privileges at hand. Returns the
/// path if they do not suffice: the container's user may do where root of a
/// user namespace cannot, as on a network filesystem.
pub fn change_directory(path: &'static CStr) -> Result<Option<&'static CStr>, Fault> {
    match rustix::process::chdir(path) {
        Ok(()) if path == c"/" => Ok(None), // The root itself is never out of its reach.
        Ok(()) => check_directory().map(|()| None),
        Err(Errno::ACCESS | Errno::PERM) => Ok(Some(path)),
        Err(errno) => Err(Fault::new(Call::Chdir, Step::ChangeDirectory, errno)),
    }
}

/// The same, as the container's user.
pub fn change_directory_again(path: &CStr) -> Result<(), Fault> {
    rustix::process::chdir(path).during(Call::Chdir, Step::ChangeDirectory)?;
    check_directory()
}

/// CVE-2024-21626: a path like /proc/self/fd/7 may name a directory of the
/// host by a leaked fd; getcwd(2) tells that it is not below the root.
#[inline(never)] // Its buffer is not to lie in the frame of who waits for start.
fn check_directory() -> Result<(), Fault> {
    match getcwd::first_byte().during(Call::Getcwd, Step::UnreachableDirectory)? {
        b'/' => Ok(()),
        _ => Err(Fault::new(Call::Getcwd, Step::UnreachableDirectory, Errno::NOENT)),
    }
}

/// What is to be executed, ready but for the call.
#[derive(Debug)]
pub struct Program {
    path: &'static CStr,
    args: Vector,
    env: Vector,
}

impl Program {
    /// Finds the program as the container's user sees it, and lays the lists
    /// of execve out. PATH is searched where its name has no slash.
    pub fn find(
        args: Strings<'static>,
        env: Strings<'static>,
        path: &CStr,
        memory: &mut Memory,
    ) -> Result<Program, Fault> {
        let name = args.iter().next().prepared()?;
        let path = match name.to_bytes().contains(&b'/') {
            true => executable(name).map(|()| name),
            false => search(name.to_bytes(), path.to_bytes(), memory),
        }?;
        let room = core::mem::take(&mut memory.pointers);
        let length = args.len().saturating_add(1);
        let (front, back) = room.split_at_mut_checked(length).prepared()?;
        let (mut arg_list, mut env_list) = (Vector::new(front), Vector::new(back));
        let step = Step::BuildArguments;
        for text in args.iter() {
            arg_list.push(text).ok_or(Fault::new(Call::None, step, Errno::INVAL))?;
        }
        for text in env.iter() {
            env_list.push(text).ok_or(Fault::new(Call::None, step, Errno::INVAL))?;
        }
        Ok(Program { path, args: arg_list, env: env_list })
    }

    /// execve(2). Returns only what hindered it.
    pub fn execute(&self) -> Fault {
        Fault::new(Call::Execve, Step::Execute, execve(self.path, &self.args, &self.env))
    }
}

#[inline(never)] // Its buffer is not to lie in the frame of who waits for start.
fn search(name: &[u8], path: &[u8], memory: &mut Memory) -> Result<&'static CStr, Fault> {
    let mut failure = Fault::new(Call::None, Step::FindProgram, Errno::NOENT);
    if name.is_empty() {
        return Err(failure);
    }
    for directory in path.split(|b| *b == b':') {
        let mut place: PathBuffer = PathBuffer::empty();
        let directory = if directory.is_empty() { b"." } else { directory };
        place
            .push(directory)
            .and_then(|place| place.push(b"/"))
            .and_then(|place| place.push(name))
            .during(Call::None, Step::FindProgram)?;
        match executable(place.as_c_str()) {
            Ok(()) => {
                let too_long = Fault::new(Call::None, Step::FindProgram, Errno::NAMETOOLONG);
                return memory.keep(place.as_bytes()).ok_or(too_long);
            }
            // Found, but not to be run: said only if nothing better is found.
            Err(fault) if fault.errno() == Errno::ACCESS => failure = fault,
            Err(_) => {}
        }
    }
    Err(failure)
}

/// Whether this user may execute the file; a directory is EISDIR.
fn executable(place: &CStr) -> Result<(), Fault> {
    let step = Step::FindProgram;
    let found = stat(place).during(Call::Stat, step)?;
    if FileType::from_raw_mode(found.st_mode) == FileType::Directory {
        return Err(Fault::new(Call::Stat, step, Errno::ISDIR));
    }
    match accessat(CWD, place, Access::EXEC_OK, AtFlags::EACCESS) {
        // KERNEL(5.8): faccessat2 is missing. Real and effective ids are equal.
        Err(Errno::NOSYS | Errno::PERM) => accessat(CWD, place, Access::EXEC_OK, AtFlags::empty()),
        result => result,
    }
    .during(Call::Faccessat, step)
}

/// How much of passwd(5) is read: an image may fill it without end, by holes.
const PASSWD_MAX: usize = 1 << 20;

/// Adds HOME: the sixth field of the user's line in the container's passwd(5),
/// or `/` where there is none.
#[inline(never)] // Its buffer is not to lie in the frame of who waits for start.
pub fn find_home(life: &mut Life, inside: &mut Inside, uid: u32) -> Result<(), Fault> {
    let mut home: PathBuffer<512> = PathBuffer::empty();
    let found = home_from_passwd(uid, &mut home).unwrap_or(false); // Unreadable: none.
    let text = life.memory.keep(if found { home.as_bytes() } else { b"HOME=/" });
    let program = inside.program.as_mut().prepared()?;
    let step = Step::BuildArguments;
    text.and_then(|text| program.env.push(text)).ok_or(Fault::new(Call::None, step, Errno::INVAL))
}

/// Adds LISTEN_PID: systemd's socket activation is for this process alone
/// (sd_listen_fds(3)).
pub fn add_listen_pid(life: &mut Life, inside: &mut Inside) -> Result<(), Fault> {
    let step = Step::BuildArguments;
    let mut entry: PathBuffer<32> = PathBuffer::empty();
    let pid = rustix::process::getpid().as_raw_nonzero().get().cast_unsigned();
    entry.push(b"LISTEN_PID=").and_then(|entry| entry.push_number(pid)).during(Call::None, step)?;
    let text = life.memory.keep(entry.as_bytes());
    let program = inside.program.as_mut().prepared()?;
    text.and_then(|text| program.env.push(text)).ok_or(Fault::new(Call::None, step, Errno::INVAL))
}

fn home_from_passwd(uid: u32, home: &mut PathBuffer<512>) -> rustix::io::Result<bool> {
    let file = open_passwd().map_err(Fault::errno)?;
    let stat = fstat(&file)?;
    // Files of procfs have no size. They say nothing of users, and might wait.
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || stat.st_size == 0 {
        return Err(Errno::INVAL);
    }
    let mut wanted: PathBuffer<16> = PathBuffer::empty();
    wanted.push_number(uid)?;
    let mut matches = true;
    let (mut field, mut place) = (0_u32, 0_usize);
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
                    (field, place, matches) = (0, 0, true);
                    home.clear();
                    home.push(b"HOME=")?;
                }
                (b':', 5) if matches => return Ok(home.as_bytes().len() > 5),
                (b':', _) => {
                    // The third field is whole: it must have been all of the uid.
                    matches &= field != 2 || place == wanted.as_bytes().len();
                    (field, place) = (field.saturating_add(1), 0);
                }
                (digit, 2) => {
                    matches &= wanted.as_bytes().get(place) == Some(&digit);
                    place = place.saturating_add(1);
                }
                (letter, 5) => {
                    home.push(&[letter])?;
                }
                _ => {}
            }
        }
    }
}

/// The container's passwd(5), where links lead; but none of procfs's that lead to
/// what this process has open. Nothing in its place is waited for.
fn open_passwd() -> Result<OwnedFd, Fault> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    match openat2(CWD, c"/etc/passwd", flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS) {
        // KERNEL(5.6): without openat2, component by component.
        Err(Errno::NOSYS | Errno::PERM) => {
            let root = Rootfs::present()?;
            root.open_at(c"/etc/passwd", flags, false)
        }
        result => result.during(Call::Openat2, Step::BuildArguments),
    }
}

/// Lets go of everything but the streams, those that the container is to have,
/// and what the items to come need.
pub fn close_fds(life: &mut Life, inside: &mut Inside, from: u32, but: u32) -> Result<(), Fault> {
    // Owned no more: all of them are closed together.
    if let Some(procfs) = inside.rootfs.take().and_then(Rootfs::release) {
        life.procfs = Some(procfs);
    }
    life.slots.forget_but(but);
    let channel = life.channel.as_fd();
    let procfs = life.procfs.as_ref().map_or(channel, AsFd::as_fd);
    let terminal = inside.terminal.as_ref().map_or(channel, AsFd::as_fd);
    close_all_but(from, &[channel, procfs, terminal], &life.slots, life.procfs.as_ref())
}
