//! The end of a container: its process is killed, what create made is removed, and its
//! poststop hooks run.

use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::Container;
use super::status::Status;
use crate::config::Config;
use crate::error::Error;
use crate::hooks::{Check, Subject};
use crate::log::Log;

/// How long to wait for a killed process.
pub const PATIENCE: Duration = Duration::from_secs(10);

impl Container {
    /// Kills its process, and waits for its end.
    pub fn kill(&self) -> Result<(), Error> {
        let frozen = self.frozen(); // Its cgroup cannot be found once it has ended.
        self.signal(Signal::KILL)?;
        if let Some(cgroup) = &frozen {
            let _ = cgroup.freeze(false); // ENOENT: the cgroup is gone, with its processes.
        }
        let deadline = Instant::now() + PATIENCE;
        let mut pause = Duration::from_micros(200);
        while self.status()? != Status::Stopped {
            if Instant::now() > deadline {
                return Err(Error::new("container init still running")
                    .hint("it may wait for a device or network filesystem; see /proc/PID/stack"));
            }
            sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Removes what create made, then runs the poststop hooks. Its process has ended.
    pub fn destroy(&self, log: &Log) -> Result<(), Error> {
        let config = self.config_with_hooks(); // The file is about to be removed.
        self.remove()?;
        match config {
            Ok(Some(config)) => self.subject(&config).poststop(log),
            Ok(None) => {}
            Err(error) => log.warn(&[format!("no poststop hook was run: {error}")]),
        }
        Ok(())
    }

    /// Runs the poststart hooks. If one fails, kills and destroys the container
    /// (runtime.md, "Lifecycle").
    pub fn poststart(&self, check: Check<'_>, log: &Log) -> Result<(), Error> {
        let Some(config) = self.config_with_hooks()? else { return Ok(()) };
        let done = self.subject(&config).poststart(self.record.pid, check);
        if done.is_err() {
            let _ = self.kill().and_then(|()| self.destroy(log)); // Only the hook's failure is told.
        }
        done
    }

    /// config.json, if it has hooks that run after create. It is the copy in the state
    /// dir: the bundle may be gone, and any build of vial can read it.
    fn config_with_hooks(&self) -> Result<Option<Config>, Error> {
        self.record.has_hooks.then(|| self.dir().config()).transpose()
    }

    fn subject<'a>(&'a self, config: &'a Config) -> Subject<'a> {
        Subject { config, id: &self.record.id, bundle: &self.record.bundle }
    }
}
