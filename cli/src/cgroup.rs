//! A container's cgroup as the CLI uses it after it was made: freeze, kill,
//! list, remove.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::error::Error;
use crate::file::read_kernel;

/// How long the kernel is given to empty or to freeze a cgroup.
const PATIENCE: Duration = Duration::from_secs(10);

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
        let events = read_kernel(self.0.join("cgroup.events")).unwrap_or_default();
        events.lines().any(|line| line == "populated 1")
    }

    /// Whether it is frozen.
    pub fn is_frozen(&self) -> bool {
        let events = read_kernel(self.0.join("cgroup.events")).unwrap_or_default();
        events.lines().any(|line| line == "frozen 1")
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
        self.visit(&mut |cgroup| {
            let text = read_kernel(cgroup.join("cgroup.procs"))?;
            pids.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()));
            Ok(())
        })?;
        pids.sort_unstable();
        Ok(pids)
    }

    /// Calls for each cgroup, those below before those above.
    fn visit(&self, call: &mut impl FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                Cgroup(entry.path()).visit(call)?;
            }
        }
        call(&self.0)
    }

    /// Sends a signal to every process in it.
    pub fn signal(&self, signal: Signal) -> Result<(), Error> {
        let failed = |e| Error::io(format_args!("kill the processes of {}", self.0.display()), &e);
        // KERNEL(5.14): cgroup.kill kills whoever is there at once, forks included.
        if signal == Signal::KILL && fs::write(self.0.join("cgroup.kill"), "1").is_ok() {
            return Ok(());
        }
        for pid in self.pids().map_err(failed)? {
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
            match self.visit(&mut |cgroup| fs::remove_dir(cgroup)) {
                Ok(()) => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
                // EBUSY: someone is in it; one just killed stays a little while.
                Err(e) if e.raw_os_error() == Some(16) && Instant::now() < deadline => {
                    if self.is_populated() {
                        self.signal(Signal::KILL)?;
                    }
                    sleep(pause);
                    pause = (pause * 2).min(Duration::from_millis(50));
                }
                Err(e) => {
                    return Err(Error::io(format_args!("remove cgroup {}", self.0.display()), &e));
                }
            }
        }
    }
}
