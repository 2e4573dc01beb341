//! What the verbs do to a container's cgroup after create, one deed in each file.
//! The container may make cgroups below it, with any names and at any depth.

mod freeze;
mod kill;
pub mod oom;
mod pids;
mod remove;
mod walk;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::Error;
use crate::file::read_kernel;
use crate::host::Hierarchy;

/// How long the kernel may take to empty or freeze a cgroup.
const PATIENCE: Duration = Duration::from_secs(10);

/// The number of a file that says `max`.
pub const MAX: u64 = u64::MAX;

/// The number that a file of a cgroup holds.
pub fn number(text: &str) -> Option<u64> {
    match text.trim() {
        "max" => Some(MAX),
        text => text.parse().ok(),
    }
}

/// The number after a name, in a file with such lines.
pub fn pair(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    number(value?)
}

/// A cgroup.
#[derive(Clone, Debug)]
pub struct Cgroup {
    path: PathBuf,
    hierarchy: Hierarchy,
    /// The scope of systemd that it belongs to; empty if vial itself made it.
    scope: String,
}

impl Cgroup {
    /// The cgroup with this absolute path. On a hybrid host it is one of cgroup2.
    pub fn new(path: PathBuf, hierarchy: Hierarchy) -> Cgroup {
        Cgroup::of_scope(path, hierarchy, String::new())
    }

    /// The same, of this scope.
    pub fn of_scope(path: PathBuf, hierarchy: Hierarchy, scope: String) -> Cgroup {
        Cgroup { path, hierarchy, scope }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there are processes in it or below.
    pub fn is_populated(&self) -> bool {
        match self.hierarchy {
            Hierarchy::V2 | Hierarchy::Hybrid => self.has_event(b"populated 1"),
            Hierarchy::V1 => self.pids().is_ok_and(|pids| !pids.is_empty()),
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
