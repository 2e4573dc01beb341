//! A container that was created: what is kept of it, its status, its process.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use crate::cgroup::Cgroup;
use crate::config::Config;
use crate::dir::{CONFIG, Dir, SOCKET, STATE, check_id, open_directory};
use crate::error::Error;
use crate::status::{Process, Status};

/// What is kept of a container.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// The version of the spec that config.json follows.
    pub oci_version: String,
    /// The container's id.
    pub id: String,
    /// The pid of its process.
    pub pid: u32,
    /// When that process started, in clock ticks since boot.
    pub start_time: u64,
    /// The bundle.
    pub bundle: PathBuf,
    /// The rootfs.
    pub rootfs: PathBuf,
    /// When it was created, in RFC 3339.
    pub created: String,
    /// The uid that created it.
    pub owner: u32,
    /// Its cgroup from the root of the hierarchy, if it has one.
    pub cgroup: Option<PathBuf>,
    /// Where the cgroup2 filesystem is mounted.
    pub cgroup_root: PathBuf,
    /// Whether it shares its creator's session keyring; an exec then does too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_new_keyring: bool,
    /// config.json's annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A container that has been created.
#[derive(Debug)]
pub struct Container {
    dir: Dir,
    /// What is kept of it.
    pub state: State,
}

/// An open state dir that may hold a container, or what is left of one.
#[derive(Debug)]
pub enum Found {
    /// A container.
    Whole(Box<Container>),
    /// A directory without a readable state: create died, or a file is damaged.
    Broken(Dir, Error),
    /// Nothing.
    Nothing,
}

impl Container {
    /// Keeps the state: from now on the container is created.
    pub fn create(dir: Dir, state: State) -> Result<Container, (Dir, Error)> {
        let written = serde_json::to_vec(&state)
            .map_err(|e| Error::new(format_args!("write {STATE}: {e}")))
            .and_then(|bytes| dir.write(STATE, &bytes));
        match written {
            Ok(()) => Ok(Container { dir, state }),
            Err(error) => Err((dir, error)),
        }
    }

    /// Opens a container and locks it.
    pub fn open(root: &Path, id: &str) -> Result<Container, Error> {
        match Container::find(root, id)? {
            Found::Whole(container) => Ok(*container),
            Found::Broken(_, error) => Err(error
                .context(id)
                .hint(format_args!("`vial delete --force {id}` removes what is left of it"))),
            Found::Nothing => Err(does_not_exist(id)),
        }
    }

    /// Opens whatever there is under an id, and locks it.
    pub fn find(root: &Path, id: &str) -> Result<Found, Error> {
        check_id(id)?;
        let Some(dir) = Dir::open(root.join(id))? else {
            return Ok(Found::Nothing);
        };
        Ok(match read_state(&dir.path) {
            Ok(state) => Found::Whole(Box::new(Container { dir, state })),
            Err(error) => Found::Broken(dir, error),
        })
    }

    /// The state of a container as it is now, without waiting for its lock.
    pub fn peek(root: &Path, id: &str) -> Result<(State, Status), Error> {
        check_id(id)?;
        let path = root.join(id);
        let directory = match open_directory(&path) {
            Ok(directory) => directory,
            Err(e) if e.kind() == ErrorKind::NotFound => return Err(does_not_exist(id)),
            Err(e) => return Err(Error::io(format_args!("open {}", path.display()), &e)),
        };
        match read_state(&path) {
            Ok(state) => {
                let status = status(&path, &state);
                Ok((state, status))
            }
            // Its create is at work if someone holds the lock.
            Err(_)
                if !path.join(STATE).exists()
                    && flock(&directory, FlockOperation::NonBlockingLockShared).is_err() =>
            {
                Ok((creating(&path, id), Status::Creating))
            }
            Err(error) => Err(error
                .context(id)
                .hint(format_args!("`vial delete --force {id}` removes what is left of it"))),
        }
    }

    /// Its status now.
    pub fn status(&self) -> Status {
        status(&self.dir.path, &self.state)
    }

    /// The state dir.
    pub fn dir(&self) -> &Dir {
        &self.dir
    }

    /// The state dir alone, where it will not become a container.
    pub fn into_dir(self) -> Dir {
        self.dir
    }

    /// Its cgroup, if it has one.
    pub fn cgroup(&self) -> Option<Cgroup> {
        self.state.cgroup()
    }

    /// Its process, pinned: a pid may come to name another one.
    pub fn pidfd(&self) -> Result<Option<OwnedFd>, Error> {
        let Some(pid) = Pid::from_raw(self.state.pid.cast_signed()) else {
            return Ok(None);
        };
        let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => pidfd,
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            Err(errno) => return Err(Error::errno("pidfd_open(2)", errno)),
        };
        // Only now is it certain that the pidfd is of the process meant.
        let alive = Process::is_alive(self.state.pid, self.state.start_time);
        Ok(alive.then_some(pidfd))
    }

    /// Sends a signal to its process. False: the process has ended.
    pub fn signal(&self, signal: Signal) -> Result<bool, Error> {
        let Some(pidfd) = self.pidfd()? else {
            return Ok(false);
        };
        match pidfd_send_signal(&pidfd, signal) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false), // It ended in between: what a kill asks for.
            Err(errno) => Err(Error::errno("pidfd_send_signal(2)", errno)),
        }
    }

    /// Connects to its waiting process.
    pub fn connect(&self) -> io::Result<UnixStream> {
        UnixStream::connect(self.dir.socket())
    }

    /// After start there is nothing to connect to.
    pub fn forget_socket(&self) {
        let _ = fs::remove_file(self.dir.path.join(SOCKET)); // ENOENT: the state dir was removed by force.
    }

    /// Lets others have the lock while `work` waits for the process, then takes
    /// it back. False: the container was removed meanwhile.
    pub fn unlocked<T>(&self, work: impl FnOnce() -> T) -> Result<(T, bool), Error> {
        let failed = |e| Error::errno("unlock the container: flock(2)", e);
        flock(&self.dir.file, FlockOperation::Unlock).map_err(failed)?;
        let result = work();
        Ok((result, self.dir.lock()?))
    }

    /// Removes its cgroup and its state dir; its process has ended.
    pub fn remove(&self) -> Result<(), Error> {
        if let Some(cgroup) = self.cgroup() {
            cgroup.remove()?;
        }
        self.dir.remove()
    }
}

impl State {
    /// Its cgroup, if it has one.
    pub fn cgroup(&self) -> Option<Cgroup> {
        self.cgroup.as_ref().map(|path| Cgroup::new(self.cgroup_root.join(path)))
    }
}

/// The text that engines look for.
pub fn does_not_exist(id: &str) -> Error {
    Error::new(format_args!("container {id} does not exist"))
}

fn status(dir: &Path, state: &State) -> Status {
    if !Process::is_alive(state.pid, state.start_time) {
        return Status::Stopped;
    }
    if dir.join(SOCKET).exists() {
        return Status::Created;
    }
    match state.cgroup().is_some_and(|cgroup| cgroup.is_frozen()) {
        true => Status::Paused,
        false => Status::Running,
    }
}

fn read_state(dir: &Path) -> Result<State, Error> {
    let path = dir.join(STATE);
    let bytes = crate::config::read(&path)?;
    crate::config::parse(&bytes).map_err(|error| error.context(path.display()))
}

/// What is known of a container that is being created.
fn creating(dir: &Path, id: &str) -> State {
    let config = crate::config::read(&dir.join(CONFIG));
    let config = config.and_then(|bytes| Config::from_bytes(&bytes)).unwrap_or_default();
    State {
        oci_version: config.oci_version,
        id: id.to_owned(),
        pid: 0,
        start_time: 0,
        bundle: PathBuf::new(),
        rootfs: PathBuf::new(),
        created: String::new(),
        owner: 0,
        cgroup: None,
        cgroup_root: PathBuf::new(),
        no_new_keyring: false,
        annotations: config.annotations,
    }
}
