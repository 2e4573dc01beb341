//! A container's cgroup as the CLI uses it after it was made: freeze, kill,
//! list, remove. The names below it are the container's to choose, and how deep
//! they lie.

use std::ffi::{CStr, CString};
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, openat, unlinkat};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

use crate::error::Error;
use crate::file::{as_io, open, read_kernel, read_rest};

/// How long the kernel is given to empty or to freeze a cgroup.
const PATIENCE: Duration = Duration::from_secs(10);

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW);

/// A directory of the cgroup2 filesystem.
#[derive(Clone, Debug)]
pub struct Cgroup(PathBuf);

impl Cgroup {
    /// The cgroup with this absolute path.
    pub fn new(path: PathBuf) -> Cgroup {
        Cgroup(path)
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Whether processes are in it or below.
    pub fn is_populated(&self) -> bool {
        self.has_event(b"populated 1")
    }

    /// Whether it is frozen.
    pub fn is_frozen(&self) -> bool {
        self.has_event(b"frozen 1")
    }

    fn has_event(&self, event: &[u8]) -> bool {
        let events = read_kernel(self.0.join("cgroup.events")).unwrap_or_default();
        events.split(|byte| *byte == b'\n').any(|line| line == event)
    }

    /// Freezes or thaws it, and waits until that is done.
    pub fn freeze(&self, frozen: bool) -> Result<(), Error> {
        let file = self.0.join("cgroup.freeze");
        let failed = |e| Error::io(format_args!("write {}", file.display()), &e);
        fs::write(&file, if frozen { "1" } else { "0" }).map_err(failed)?;
        let deadline = Instant::now() + PATIENCE;
        while self.is_frozen() != frozen {
            if Instant::now() > deadline {
                let _ = fs::write(&file, if frozen { "0" } else { "1" }); // Back to what it was, as far as can be.
                return Err(Error::new(format_args!(
                    "cgroup {} did not freeze or thaw in 10 s",
                    self.0.display()
                )));
            }
            sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// The pids in it and below, as this pid namespace counts them.
    pub fn pids(&self) -> io::Result<Vec<u32>> {
        let mut pids = Vec::new();
        walk(&self.0, |cgroup| add_pids(cgroup, &mut pids), |_, _| Ok(()))?;
        pids.sort_unstable();
        Ok(pids)
    }

    /// Sends a signal to every process in it.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        // KERNEL(5.14): cgroup.kill kills whoever is there at once, forks included.
        if signal == Signal::KILL && fs::write(self.0.join("cgroup.kill"), "1").is_ok() {
            return Ok(());
        }
        for pid in self.pids()? {
            if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
                let _ = kill_process(pid, signal); // ESRCH: it is gone already, as asked.
            }
        }
        Ok(())
    }

    /// Kills whoever is left in it, and removes it with those below. That it is
    /// gone already is no error.
    pub fn remove(&self) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        let mut pause = Duration::from_micros(100);
        // Mostly it is empty and has none below it.
        if fs::remove_dir(&self.0).is_ok() {
            return Ok(());
        }
        loop {
            match self.remove_tree() {
                Ok(()) => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
                // EBUSY: someone is in it; one just killed stays a little while.
                Err(e) if e.raw_os_error() == Some(16) && Instant::now() < deadline => {
                    if self.is_populated() {
                        let failed = |e| self.failed("kill the processes of", &e);
                        self.signal(Signal::KILL).map_err(failed)?;
                    }
                    sleep(pause);
                    pause = (pause * 2).min(Duration::from_millis(50));
                }
                Err(e) => return Err(self.failed("remove", &e)),
            }
        }
    }

    fn remove_tree(&self) -> io::Result<()> {
        let remove = |parent: BorrowedFd<'_>, name: &CStr| {
            match unlinkat(parent, name, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => Ok(()), // Removed by another, as wanted.
                Err(errno) => Err(as_io(errno)),
            }
        };
        walk(&self.0, |_| Ok(()), remove)?;
        fs::remove_dir(&self.0)
    }

    /// The words for a call on it that failed.
    pub fn failed(&self, what: &str, error: &io::Error) -> Error {
        Error::io(format_args!("{what} cgroup {}", self.0.display()), error)
    }
}

/// Calls `enter` for a cgroup and each below it, and `leave` with the parent and
/// the name of each below it once those below that one are done. It goes by fds,
/// as a path has at most 4096 bytes, and holds one, as a process has few.
fn walk(
    top: &Path,
    mut enter: impl FnMut(BorrowedFd<'_>) -> io::Result<()>,
    mut leave: impl FnMut(BorrowedFd<'_>, &CStr) -> io::Result<()>,
) -> io::Result<()> {
    let mut here = open(top, DIRECTORY)?;
    enter(here.as_fd())?;
    let mut left = children(here.as_fd())?;
    // Of each cgroup on the way down: its name, and its parent's other children.
    let mut above = Vec::new();
    loop {
        if let Some(name) = left.pop() {
            let below = match openat(&here, &*name, DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
                Err(Errno::NOENT) => continue, // Removed meanwhile.
                result => result.map_err(as_io)?,
            };
            here = below;
            enter(here.as_fd())?;
            above.push((name, std::mem::replace(&mut left, children(here.as_fd())?)));
        } else {
            let Some((name, others)) = above.pop() else { return Ok(()) };
            here =
                openat(&here, c"..", DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(as_io)?;
            left = others;
            leave(here.as_fd(), &name)?;
        }
    }
}

fn children(cgroup: BorrowedFd<'_>) -> io::Result<Vec<CString>> {
    let mut buffer = [MaybeUninit::uninit(); 8192];
    let mut entries = RawDir::new(cgroup, &mut buffer);
    let mut names = Vec::new();
    while let Some(entry) = entries.next() {
        let entry = match entry {
            Err(Errno::NOENT) => break, // Removed meanwhile.
            entry => entry.map_err(as_io)?,
        };
        let name = entry.file_name();
        if entry.file_type() == FileType::Directory && name != c"." && name != c".." {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

fn add_pids(cgroup: BorrowedFd<'_>, pids: &mut Vec<u32>) -> io::Result<()> {
    let mut text = Vec::new();
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let read = openat(cgroup, c"cgroup.procs", flags, Mode::empty())
        .and_then(|file| read_rest(file, &mut text, usize::MAX));
    match read {
        Ok(()) => {}
        // Removed meanwhile; or threaded, so that the cgroup above lists them.
        Err(Errno::NOENT | Errno::NODEV | Errno::OPNOTSUPP) => return Ok(()),
        Err(errno) => return Err(as_io(errno)),
    }
    let lines = text.split(|byte| *byte == b'\n');
    let pids_of = lines.filter_map(|line| std::str::from_utf8(line).ok()?.parse::<u32>().ok());
    pids.extend(pids_of.filter(|pid| *pid != 0)); // 0: of another pid namespace.
    Ok(())
}
