//! A container's cgroup as the verbs use it once it is made: what is done to it is
//! a file each. The names below it are the container's to choose, and how deep
//! they lie.

mod freeze;
mod kill;
mod pids;
mod remove;
mod walk;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::Error;
use crate::file::read_kernel;

/// How long the kernel is given to empty or to freeze a cgroup.
const PATIENCE: Duration = Duration::from_secs(10);

/// How cgroups lie in the filesystem. Each file here matches it where hierarchies
/// differ, so that one that joins is not forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hierarchy {
    /// One tree for all controllers: cgroup2.
    V2,
}

/// Who makes and removes cgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// vial, in the filesystem.
    Fs,
}

/// A cgroup.
#[derive(Clone, Debug)]
pub struct Cgroup {
    path: PathBuf,
    hierarchy: Hierarchy,
    driver: Driver,
}

impl Cgroup {
    /// The cgroup with this absolute path.
    pub fn new(path: PathBuf) -> Cgroup {
        Cgroup { path, hierarchy: Hierarchy::V2, driver: Driver::Fs }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether processes are in it or below.
    pub fn is_populated(&self) -> bool {
        match self.hierarchy {
            Hierarchy::V2 => self.has_event(b"populated 1"),
        }
    }

    fn has_event(&self, event: &[u8]) -> bool {
        let events = read_kernel(self.path.join("cgroup.events")).unwrap_or_default();
        events.split(|byte| *byte == b'\n').any(|line| line == event)
    }

    /// The words for a call on it that failed.
    pub fn failed(&self, what: &str, error: &io::Error) -> Error {
        Error::io(format_args!("{what} cgroup {}", self.path.display()), error)
    }
}
