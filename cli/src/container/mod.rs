//! An existing container: its Record, its status, its process.

pub mod dir;
pub mod ending;
pub mod progress;
pub mod record;
pub mod stats;
pub mod status;
pub mod undo;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::SocketFlags;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

use self::dir::{CONFIG, Dir, STATE, check_id, does_not_exist};
use crate::cgroup::Cgroup;
use crate::cgroup::oom::OutOfMemory;
use crate::config::Config;
use crate::debug;
use crate::error::Error;
use crate::host::{Hierarchy, cgroup_of};

use self::record::Record;
use self::status::{Process, Status};
use crate::socket;

/// A container that create has completed.
#[derive(Debug)]
pub struct Container {
    dir: Dir,
    /// What create wrote down.
    pub record: Record,
}

/// What a state dir holds.
#[derive(Debug)]
pub enum Found {
    /// A container.
    Whole(Box<Container>),
    /// A directory without a readable Record: create is at work or has died, or the
    /// file is damaged.
    Broken(Dir, Error),
    /// Nothing.
    Nothing,
}

/// The container's process, alive.
#[derive(Debug)]
pub enum Init {
    /// Known by a pidfd, which always means this process.
    Pinned(OwnedFd),
    /// KERNEL(5.3): known by its pid only, which may be reused.
    Pid(Pid),
}

impl Init {
    /// Whether it has ended. Always false without a pidfd.
    pub fn has_ended(&self) -> Result<bool, Error> {
        let Init::Pinned(pidfd) = self else { return Ok(false) };
        // Readable once the process has ended (pidfd_open(2)).
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let ready = poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&at_once));
        ready.map(|count| count > 0).map_err(|errno| Error::errno("poll(2)", errno))
    }

    /// The pidfd, if there is one.
    pub fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Init::Pinned(pidfd) => Some(pidfd.as_fd()),
            Init::Pid(_) => None,
        }
    }
}

impl Container {
    /// The container of a state dir whose Record was just written.
    pub fn new(dir: Dir, record: Record) -> Container {
        Container { dir, record }
    }

    /// Opens a container and locks it.
    pub fn open(root: &Path, id: &str) -> Result<Container, Error> {
        check_id(id)?;
        let Some(dir) = Dir::open(root.join(id))? else {
            return Err(does_not_exist(id));
        };
        match dir.lock()? {
            true => Container::read(dir).whole(id),
            false => Err(does_not_exist(id)),
        }
    }

    /// Reads the state dir of an id without taking the lock, which another verb may
    /// hold for long.
    pub fn look(root: &Path, id: &str) -> Result<Found, Error> {
        check_id(id)?;
        Ok(Dir::open(root.join(id))?.map_or(Found::Nothing, Container::read))
    }

    /// What a state dir holds.
    pub fn read(dir: Dir) -> Found {
        match read_record(&dir.path) {
            Ok(record) => Found::Whole(Box::new(Container { dir, record })),
            Err(error) => Found::Broken(dir, error),
        }
    }

    /// The Record and the status of a container now, without taking the lock.
    pub fn peek(root: &Path, id: &str) -> Result<(Record, Status), Error> {
        match Container::look(root, id)? {
            Found::Broken(dir, _) if dir.is_being_created() => {
                let config = crate::config::read(&dir.path.join(CONFIG));
                let config = config.and_then(|bytes| Config::from_bytes(&bytes));
                let plan = dir.plan().unwrap_or_default();
                let mut record = Record::creating(id, config.unwrap_or_default());
                (record.pid, record.progress) = progress::of(&dir, &plan, dir.holder());
                record.bundle = plan.bundle;
                Ok((record, Status::Creating))
            }
            found => {
                let container = found.whole(id)?;
                let status = container.status()?;
                Ok((container.record, status))
            }
        }
    }

    /// Its status now. An error if the kernel does not tell whether its process lives.
    pub fn status(&self) -> Result<Status, Error> {
        if !self.is_alive()? {
            return Ok(Status::Stopped);
        }
        if self.dir.is_listened()? {
            return Ok(Status::Created);
        }
        Ok(match self.place().is_some_and(|cgroup| cgroup.is_frozen()) {
            true => Status::Paused,
            false => Status::Running,
        })
    }

    /// The state dir.
    pub fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Gives the state dir back.
    pub fn into_dir(self) -> Dir {
        self.dir
    }

    /// Its cgroup, if it has one.
    pub fn cgroup(&self) -> Option<Cgroup> {
        self.record.cgroup()
    }

    /// The cgroup to freeze: its own, or the one that its process was moved into.
    fn place(&self) -> Option<Cgroup> {
        let own = self.record.cgroup.as_ref()?;
        let moved = self.present().filter(|path| !path.starts_with(own));
        Some(self.cgroup_at(moved.as_ref().unwrap_or(own)))
    }

    /// The path of the cgroup in which its process is now, in the same hierarchy.
    pub fn present(&self) -> Option<PathBuf> {
        match self.record.hierarchy() {
            Hierarchy::V2 | Hierarchy::Hybrid => cgroup_of(&self.record.pid, ""),
            Hierarchy::V1 => {
                let places = self.record.places();
                let place = places.iter().find(|place| place.root == self.record.cgroup_root)?;
                cgroup_of(&self.record.pid, place.controllers.split(',').next()?)
            }
        }
    }

    fn cgroup_at(&self, path: &Path) -> Cgroup {
        Cgroup::new(self.record.cgroup_root.join(path), self.record.hierarchy())
    }

    /// The same. An error if it holds processes of others, which would freeze too.
    pub fn freezer(&self) -> Result<Cgroup, Error> {
        let Some(cgroup) = self.place() else {
            return Err(Error::new("this container has no cgroup, so that it cannot be paused"));
        };
        if self.cgroup().is_some_and(|own| own.path() == cgroup.path()) {
            return Ok(cgroup);
        }
        let there = cgroup.pids().map_err(|e| cgroup.failed("list the processes of", &e))?;
        let mut own = self.pids_beside_init(&there);
        own.sort_unstable();
        match own == there {
            true => Ok(cgroup),
            false => Err(Error::new(format_args!(
                "the container's process was moved to cgroup {}, which holds others, so that it cannot be paused or resumed",
                cgroup.path().display()
            ))),
        }
    }

    /// That cgroup, if it is frozen. Thaw it after a kill.
    pub fn frozen(&self) -> Option<Cgroup> {
        self.freezer().ok().filter(Cgroup::is_frozen)
    }

    /// Its process. None: it has ended.
    pub fn init(&self) -> Result<Option<Init>, Error> {
        let Some(pid) = Pid::from_raw(self.record.pid.cast_signed()) else {
            return Ok(None);
        };
        let init = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => Init::Pinned(pidfd),
            Err(Errno::SRCH) => return Ok(None),
            // KERNEL(5.3): pidfd_open is missing. EPERM: a seccomp filter around vial.
            Err(Errno::NOSYS | Errno::PERM) => Init::Pid(pid),
            Err(errno) => return Err(Error::errno("pidfd_open(2)", errno)),
        };
        // Check this after pidfd_open: only then is the pidfd known to be of this process.
        Ok(self.is_alive()?.then_some(init))
    }

    /// Whether its process is alive.
    pub fn is_alive(&self) -> Result<bool, Error> {
        Process::is_alive(self.record.pid, self.record.start_time)
    }

    /// Sends a signal to its process. False: the process has ended.
    pub fn signal(&self, signal: Signal) -> Result<bool, Error> {
        let Some(init) = self.init()? else {
            return Ok(false);
        };
        let by_pid = |pid| ("kill(2)", kill_process(pid, signal));
        let (call, sent) = match (&init, Pid::from_raw(self.record.pid.cast_signed())) {
            (Init::Pinned(pidfd), pid) => match (pidfd_send_signal(pidfd, signal), pid) {
                (Err(Errno::NOSYS), Some(pid)) => by_pid(pid), // A filter may know only pidfd_open.
                (result, _) => ("pidfd_send_signal(2)", result),
            },
            (Init::Pid(pid), _) => by_pid(*pid),
        };
        debug::said(format_args!("sent {signal:?} to process {}", self.record.pid));
        match sent {
            Ok(()) => Ok(true),
            Err(Errno::SRCH) => Ok(false), // It ended in between.
            Err(errno) => Err(Error::errno(call, errno)),
        }
    }

    /// Sends a signal to all of its processes.
    pub fn signal_all(&self, signal: Signal) -> Result<(), Error> {
        if let Some(cgroup) = self.cgroup() {
            match cgroup.signal(signal) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                result => return result.map_err(|e| cgroup.failed("kill the processes of", &e)),
            }
        }
        // Without a cgroup: if init is killed, its pid namespace ends with it.
        self.signal(signal).map(|_| ())
    }

    /// The pids of its processes.
    pub fn pids(&self) -> Result<Vec<u32>, Error> {
        if let Some(cgroup) = self.cgroup() {
            match cgroup.pids() {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                result => return result.map_err(|e| cgroup.failed("list the processes of", &e)),
            }
        }
        // If its cgroup is gone, its process may have been moved.
        Ok(match self.status()? {
            Status::Stopped => Vec::new(),
            _ => {
                let there = self.present().and_then(|path| self.cgroup_at(&path).pids().ok());
                self.pids_beside_init(&there.unwrap_or_default())
            }
        })
    }

    /// The pids in its process's present cgroup that are in the same pid namespace:
    /// other processes may be in that cgroup too.
    fn pids_beside_init(&self, there: &[u32]) -> Vec<u32> {
        let pid = self.record.pid;
        let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let own = namespace(&pid.to_string()).filter(|own| namespace("self").as_ref() != Some(own));
        match own.filter(|_| !there.is_empty()) {
            None => vec![pid], // Nothing is certain of the others.
            own => {
                let is_own = |pid: &&u32| namespace(&pid.to_string()) == own;
                there.iter().filter(is_own).copied().collect()
            }
        }
    }

    /// Connects to its process, which waits for start.
    pub fn connect(&self) -> rustix::io::Result<OwnedFd> {
        socket::connect(&self.dir.socket(), SocketFlags::empty())
    }

    /// Releases the lock while `work` waits for the process, then takes it back.
    /// False: the container was removed meanwhile.
    pub fn unlocked<T>(&self, work: impl FnOnce() -> T) -> Result<(T, bool), Error> {
        self.dir.unlock()?;
        let result = work();
        Ok((result, self.dir.lock()?))
    }

    /// Writes down that it ran out of memory.
    pub fn remember(&mut self, oom: OutOfMemory) -> Result<(), Error> {
        self.record.oom = Some(oom);
        self.dir.write_record(&self.record)
    }

    /// Removes its cgroups and its state dir; its process has ended.
    pub fn remove(&self) -> Result<(), Error> {
        if let Some(cgroup) = self.cgroup() {
            cgroup.remove()?;
        }
        for place in self.record.places().iter().filter(|place| !place.keeps) {
            place.cgroup().remove()?;
        }
        self.dir.remove()
    }
}

impl Found {
    /// The container, or an error that says what there is in its place.
    pub fn whole(self, id: &str) -> Result<Container, Error> {
        match self {
            Found::Whole(container) => Ok(*container),
            Found::Broken(dir, _) if dir.is_being_created() => {
                Err(Error::new(format_args!("container {id} is being created"))
                    .hint(format_args!("`vial delete --force {id}` ends that")))
            }
            Found::Broken(dir, error) => {
                let error = match dir.has_record() {
                    true => error.context(id),
                    false => Error::new(died(&dir, id)),
                };
                Err(error
                    .hint(format_args!("`vial delete --force {id}` removes what is left of it")))
            }
            Found::Nothing => Err(does_not_exist(id)),
        }
    }
}

fn died(dir: &Dir, id: &str) -> String {
    match progress::of(dir, &dir.plan().unwrap_or_default(), None) {
        (0, _) => format!("the create of container {id} has died"),
        (pid, words) => {
            format!("the create of container {id} has died, and left process {pid} at {words}")
        }
    }
}

fn read_record(dir: &Path) -> Result<Record, Error> {
    let path = dir.join(STATE);
    let bytes = crate::config::read(&path)?;
    crate::config::parse(&bytes).map_err(|error| error.context(path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_has_ended_before_it_is_waited_for() {
        let mut child = std::process::Command::new("cat");
        let mut child = child.stdin(std::process::Stdio::piped()).spawn().unwrap();
        let pid = Pid::from_raw(child.id().cast_signed()).unwrap();
        let init = Init::Pinned(pidfd_open(pid, PidfdFlags::empty()).unwrap());
        assert!(!init.has_ended().unwrap());
        child.wait().unwrap();
        assert!(init.has_ended().unwrap());
    }
}
