//! Removes a cgroup.

use std::ffi::CStr;
use std::fs;
use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fd::BorrowedFd;
use rustix::fs::{AtFlags, unlinkat};
use rustix::io::Errno;
use rustix::process::Signal;

use super::walk::walk;
use super::{Cgroup, PATIENCE};
use crate::debug;
use crate::error::Error;
use crate::file::as_io;
use crate::systemd;

impl Cgroup {
    /// Kills the processes left in it, and removes it with the cgroups below. No error
    /// if it does not exist.
    pub fn remove(&self) -> Result<(), Error> {
        self.remove_directories()?;
        debug::said(format_args!("removed cgroup {}", self.path.display()));
        if !self.scope.is_empty() {
            // Also without this, systemd removes a scope whose cgroup is empty, soon. Ask
            // it, so that the name is free at once.
            let _ = systemd::stop(&self.scope, &self.path);
        }
        Ok(())
    }

    fn remove_directories(&self) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        let mut pause = Duration::from_micros(100);
        // Usually it is empty and has no cgroups below.
        if fs::remove_dir(&self.path).is_ok() {
            return Ok(());
        }
        loop {
            match self.remove_tree() {
                Ok(()) => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
                // EBUSY: a process is in it; one that was killed stays for a moment.
                Err(e) if e.kind() == io::ErrorKind::ResourceBusy && Instant::now() < deadline => {
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
                Ok(()) | Err(Errno::NOENT) => Ok(()), // ENOENT: another has removed it.
                Err(errno) => Err(as_io(errno)),
            }
        };
        walk(&self.path, |_| Ok(()), remove)?;
        fs::remove_dir(&self.path)
    }
}
