//! The state dir of a container: its lock and its files.
//!
//! ```text
//! ROOT/ID/             locked by flock(2) while a verb changes the container
//!   config.json        as create read it; exec takes its defaults from it
//!   plan               the Plan that create carries out, see plan/kept.rs
//!   exec.sock          while created: start connects here
//!   notify/            if $NOTIFY_SOCKET is set, see sd_notify.rs
//!   state.json         the Record, written whole and renamed
//! ```

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FlockOperation, OFlags, flock, fstat, renameat, unlinkat};
use rustix::io::Errno;
use rustix::net::SocketFlags;
use rustix::process::Pid;

use super::record::Record;
use crate::config::Config;
use crate::debug;
use crate::error::Error;
use crate::file::{self, as_io, write_new};
use crate::flags::Global;
use crate::plan::{CgroupPlace, Place, Plan, kept};
use crate::socket;
use crate::time;

pub(crate) const STATE: &str = "state.json";
const STATE_BESIDE: &str = ".state.json";
pub(crate) const CONFIG: &str = "config.json";
const PLAN: &str = "plan";
const ERROR: &str = "error";
pub(crate) const SOCKET: &str = "exec.sock";

/// A container's state dir.
#[derive(Debug)]
pub struct Dir {
    pub(crate) path: PathBuf,
    /// The open directory, which holds the lock.
    pub(crate) file: OwnedFd,
}

/// Checks a container's id. It becomes the name of a directory.
pub fn check_id(id: &str) -> Result<(), Error> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '-' | '.');
    if id.is_empty() || id.starts_with('.') || !id.chars().all(allowed) || id.len() > 1024 {
        return Err(Error::new(format_args!("invalid container id \"{id}\""))
            .hint("use letters, digits, and _ + - . but no dot in front"));
    }
    Ok(())
}

/// The error for an unknown id. Engines match its text.
pub fn does_not_exist(id: &str) -> Error {
    Error::new(format_args!("container {id} does not exist"))
}

impl Dir {
    /// Makes and locks the state dir of a new container, and writes config.json.
    pub fn create(root: &Path, id: &str, config: &[u8]) -> Result<Dir, Error> {
        check_id(id)?;
        let failed =
            |path: &Path, e| Error::io(format_args!("make {}: mkdir(2)", path.display()), &e);
        let path = root.join(id);
        let make = || DirBuilder::new().mode(0o700).create(&path);
        let made = match make() {
            // The first container since boot, or --root names a file.
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                let mut whole = DirBuilder::new();
                whole.recursive(true).mode(0o700).create(root).map_err(|e| failed(root, e))?;
                make()
            }
            result => result,
        };
        match made {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {
                return Err(Error::new(format_args!(
                    "container with given ID already exists: {id}"
                ))
                .hint(format_args!("`vial delete --force {id}` removes it")));
            }
            Err(e) => return Err(failed(&path, e)),
        }
        let dir = Dir::open(path.clone()).and_then(|dir| match dir {
            Some(dir) => dir.begin(config),
            None => Ok(None),
        });
        match dir {
            Ok(dir) => dir.ok_or_else(|| does_not_exist(id)),
            Err(error) => {
                let _ = fs::remove_dir(&path); // Tell the first error.
                Err(error)
            }
        }
    }

    /// Locks it and writes its first file. None: a delete has removed it, which took
    /// it for the remains of a dead create.
    fn begin(self, config: &[u8]) -> Result<Option<Dir>, Error> {
        self.flock(FlockOperation::LockExclusive).map_err(|errno| self.lock_failed(errno))?;
        match write_new(&self.file, CONFIG, config) {
            Ok(()) => Ok(Some(self)),
            // ENOENT: the directory itself was removed.
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => {
                let _ = unlinkat(&self.file, CONFIG, AtFlags::empty()); // It is incomplete, or missing.
                Err(self.failed(CONFIG, &e))
            }
        }
    }

    /// Opens a state dir. None: there is none.
    pub(crate) fn open(path: PathBuf) -> Result<Option<Dir>, Error> {
        match file::open(&path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW) {
            Ok(file) => Ok(Some(Dir { path, file })),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io(format_args!("open {}", path.display()), &e)),
        }
    }

    /// Waits for the lock. False: the directory was removed meanwhile.
    pub(crate) fn lock(&self) -> Result<bool, Error> {
        self.flock(FlockOperation::LockExclusive).map_err(|errno| self.lock_failed(errno))?;
        self.is_there()
    }

    /// Takes the lock if it is free. None: another process holds it. Some(false): the
    /// directory was removed.
    pub(crate) fn try_lock(&self) -> Result<Option<bool>, Error> {
        match self.flock(FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => self.is_there().map(Some),
            Err(Errno::AGAIN) => Ok(None),
            Err(errno) => Err(self.lock_failed(errno)),
        }
    }

    /// Releases the lock.
    pub(crate) fn unlock(&self) -> Result<(), Error> {
        self.flock(FlockOperation::Unlock).map_err(|errno| self.lock_failed(errno))
    }

    fn flock(&self, operation: FlockOperation) -> rustix::io::Result<()> {
        loop {
            match flock(&self.file, operation) {
                Err(Errno::INTR) => {}
                result => return result,
            }
        }
    }

    fn is_there(&self) -> Result<bool, Error> {
        let stat = fstat(&self.file).map_err(|errno| self.lock_failed(errno))?;
        Ok(stat.st_nlink > 0)
    }

    fn lock_failed(&self, errno: Errno) -> Error {
        Error::errno(format_args!("lock {}: flock(2)", self.path.display()), errno)
    }

    /// The process that holds the lock, as proc_locks(5) tells it:
    /// `1: FLOCK ADVISORY WRITE PID MAJOR:MINOR:INODE 0 EOF`.
    pub(crate) fn holder(&self) -> Option<Pid> {
        let stat = fstat(&self.file).ok()?;
        let (major, minor) = (rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
        let file = format!("{major:02x}:{minor:02x}:{}", stat.st_ino);
        let locks = fs::read_to_string("/proc/locks").ok()?;
        locks.lines().find_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            match fields[..] {
                [_, "FLOCK", _, "WRITE", pid, place, ..] if place == file => {
                    Pid::from_raw(pid.parse().ok()?)
                }
                _ => None,
            }
        })
    }

    /// Whether a create is at work: it holds the lock and has not written the Record.
    pub(crate) fn is_being_created(&self) -> bool {
        let locked = self.flock(FlockOperation::NonBlockingLockShared).is_err();
        if !locked {
            let _ = self.unlock(); // The lock is held, so this cannot fail.
        }
        locked && !self.has_record()
    }

    /// Whether create has written the Record.
    pub(crate) fn has_record(&self) -> bool {
        self.path.join(STATE).exists()
    }

    /// Writes the Record. From now on the container exists.
    pub fn write_record(&self, record: &Record) -> Result<(), Error> {
        let failed = |e: io::Error| self.failed(STATE, &e);
        let bytes = serde_json::to_vec(record).map_err(Error::new)?;
        // Renamed, so that nobody reads half of it. Only the holder of the lock writes.
        write_new(&self.file, STATE_BESIDE, &bytes).map_err(failed)?;
        renameat(&self.file, STATE_BESIDE, &self.file, STATE).map_err(|errno| failed(as_io(errno)))
    }

    /// Writes the Plan.
    pub fn write_plan(&self, plan: &Plan) -> Result<(), Error> {
        write_new(&self.file, PLAN, &plan.to_kept()).map_err(|e| self.failed(PLAN, &e))
    }

    /// The Plan that create wrote.
    pub fn plan(&self) -> Result<Plan, Error> {
        let path = self.path.join(PLAN);
        Plan::from_kept(&crate::config::read(&path)?).map_err(|error| error.context(path.display()))
    }

    /// The places of the container's cgroups by the Plan.
    pub fn places(&self) -> (Option<CgroupPlace>, Vec<Place>) {
        let bytes = crate::config::read(&self.path.join(PLAN)).unwrap_or_default();
        kept::places(&bytes).unwrap_or_default()
    }

    /// The bundle by the Plan.
    pub fn bundle(&self) -> Option<PathBuf> {
        kept::bundle(&crate::config::read(&self.path.join(PLAN)).ok()?)
    }

    fn failed(&self, name: &str, error: &io::Error) -> Error {
        Error::io(format_args!("write {}", self.path.join(name).display()), error)
    }

    /// Makes the socket that start connects to.
    pub fn listen(&self) -> Result<OwnedFd, Error> {
        socket::listen(&self.socket()).map_err(|errno| {
            Error::errno(format_args!("make {}: bind(2)", self.path.join(SOCKET).display()), errno)
        })
    }

    /// Whether a process waits at the socket for start. It keeps waiting if a
    /// connection is closed without a byte.
    pub(crate) fn is_listened(&self) -> Result<bool, Error> {
        let path = self.socket();
        if !path.exists() {
            return Ok(false); // start has removed it.
        }
        match socket::connect(&path, SocketFlags::NONBLOCK) {
            // EAGAIN: the process is stopped, and the backlog is full of others who ask.
            Ok(_) | Err(Errno::AGAIN) => Ok(true),
            Err(Errno::NOENT | Errno::CONNREFUSED) => Ok(false),
            Err(errno) => {
                let path = self.path.join(SOCKET);
                let what = format_args!("connect to {}: connect(2)", path.display());
                Err(Error::errno(what, errno))
            }
        }
    }

    /// Removes the socket, after start.
    pub(crate) fn forget_socket(&self) {
        let _ = unlinkat(&self.file, SOCKET, AtFlags::empty()); // ENOENT: delete --force was quicker.
    }

    /// The socket's path through the open directory: an address holds 108 bytes.
    pub(crate) fn socket(&self) -> PathBuf {
        self.through_fd(SOCKET)
    }

    /// A short path of a file in the directory, through its fd.
    pub(crate) fn through_fd(&self, name: &str) -> PathBuf {
        format!("/proc/self/fd/{}/{name}", self.file.as_raw_fd()).into()
    }

    /// Removes the directory.
    pub fn remove(&self) -> Result<(), Error> {
        debug::said(format_args!("removing {}", self.path.display()));
        for name in [STATE, PLAN, CONFIG] {
            let _ = unlinkat(&self.file, name, AtFlags::empty()); // rmdir(2) below tells what stays.
        }
        if fs::remove_dir(&self.path).is_ok() {
            return Ok(());
        }
        match fs::remove_dir_all(&self.path) {
            Err(e) if e.kind() != ErrorKind::NotFound => {
                Err(Error::io(format_args!("remove {}", self.path.display()), &e))
            }
            _ => Ok(()),
        }
    }

    /// The copy of config.json.
    pub fn config(&self) -> Result<Config, Error> {
        let path = self.path.join(CONFIG);
        let bytes = crate::config::read(&path)?;
        Config::from_bytes(&bytes).map_err(|error| error.context(path.display()))
    }
}

/// Keeps the error of a verb with its container, if there is one, for who asks later.
pub fn keep_error(root: &Path, id: &str, error: &Error) {
    let Ok(Some(dir)) = check_id(id).and_then(|()| Dir::open(root.join(id))) else { return };
    if dir.has_record() {
        let text = format!("{} {error}", time::now_in_seconds());
        let _ = unlinkat(&dir.file, ERROR, AtFlags::empty()); // ENOENT: there was none.
        let _ = write_new(&dir.file, ERROR, text.as_bytes()); // The error was told, and this is beside it.
    }
}

/// The last error of a verb, with its time.
pub fn last_error(root: &Path, id: &str) -> Option<String> {
    let bytes = crate::config::read(&root.join(id).join(ERROR)).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The ids of all state dirs, sorted.
pub fn ids(global: &Global) -> Result<Vec<String>, Error> {
    let entries = match fs::read_dir(&global.root) {
        Ok(entries) => entries,
        // The first create makes the directory.
        Err(e) if e.kind() == ErrorKind::NotFound && !global.root_is_given => {
            return Ok(Vec::new());
        }
        Err(e) => return Err(Error::io(format_args!("read {}", global.root.display()), &e)),
    };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut ids: Vec<String> = names.filter(|name| check_id(name).is_ok()).collect();
    ids.sort_unstable();
    Ok(ids)
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
