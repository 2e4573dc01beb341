//! The end of a cgroup.

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
use super::{Cgroup, Driver, PATIENCE};
use crate::error::Error;
use crate::file::as_io;

impl Cgroup {
    /// Kills whoever is left in it, and removes it with those below. That it is
    /// gone already is no error.
    pub fn remove(&self) -> Result<(), Error> {
        match self.driver {
            Driver::Fs => self.remove_directories(),
        }
    }

    fn remove_directories(&self) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        let mut pause = Duration::from_micros(100);
        // Mostly it is empty and has none below it.
        if fs::remove_dir(&self.path).is_ok() {
            return Ok(());
        }
        loop {
            match self.remove_tree() {
                Ok(()) => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
                // EBUSY: someone is in it; one just killed stays a little while.
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
                Ok(()) | Err(Errno::NOENT) => Ok(()), // Removed by another, as wanted.
                Err(errno) => Err(as_io(errno)),
            }
        };
        walk(&self.path, |_| Ok(()), remove)?;
        fs::remove_dir(&self.path)
    }
}
