//! What the verbs do to a container's cgroup after create, one deed in each file.
//! The container may make cgroups below it, with any names and at any depth.

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

/// How long the kernel may take to empty or freeze a cgroup.
const PATIENCE: Duration = Duration::from_secs(10);

/// The version of the cgroup filesystem. Code that depends on it matches it, so that
/// the compiler finds each place when one is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hierarchy {
    /// One tree for all controllers: cgroup2.
    V2,
}

/// What makes and removes cgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// vial itself, by mkdir(2) and rmdir(2).
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

    /// Whether there are processes in it or below.
    pub fn is_populated(&self) -> bool {
        match self.hierarchy {
            Hierarchy::V2 => self.has_event(b"populated 1"),
        }
    }

    fn has_event(&self, event: &[u8]) -> bool {
        let events = read_kernel(self.path.join("cgroup.events")).unwrap_or_default();
        events.split(|byte| *byte == b'\n').any(|line| line == event)
    }

    /// The error for a failed call on it.
    pub fn failed(&self, what: &str, error: &io::Error) -> Error {
        Error::io(format_args!("{what} cgroup {}", self.path.display()), error)
    }
}
