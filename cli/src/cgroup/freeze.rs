//! Freezes and thaws a cgroup, for pause and resume.

use std::fs;
use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{Cgroup, PATIENCE};
use crate::debug;
use crate::error::Error;
use crate::file::read_kernel;
use crate::host::Hierarchy;

/// How often the freezer of cgroup v1 is asked before it starts anew. A process that
/// forks or waits in the kernel just then can keep it in FREEZING for ever.
const TRIES: u32 = 50;

impl Cgroup {
    /// Whether it is frozen.
    pub fn is_frozen(&self) -> bool {
        match self.hierarchy {
            Hierarchy::V2 | Hierarchy::Hybrid => self.has_event(b"frozen 1"),
            // FREEZING: some of its processes are.
            Hierarchy::V1 => self.freezer_state().is_some_and(|state| state != b"THAWED\n"),
        }
    }

    /// The state by the freezer of cgroup v1: THAWED, FREEZING or FROZEN.
    fn freezer_state(&self) -> Option<Vec<u8>> {
        read_kernel(self.path.join("freezer.state")).ok()
    }

    /// The error for a process that is to start in it while it is frozen.
    pub fn error_frozen(&self) -> Error {
        let path = self.path.display();
        Error::new(format_args!("cgroup {path} is frozen, so that no process starts in it")).hint(
            match self.hierarchy {
                Hierarchy::V2 | Hierarchy::Hybrid => "it or one above has 1 in cgroup.freeze: write 0, or resume who uses it",
                Hierarchy::V1 => "it or one above has FROZEN in freezer.state: write THAWED, or resume who uses it",
            },
        )
    }

    /// Writes what freezes or thaws it, and does not wait.
    pub(super) fn ask_to_freeze(&self, frozen: bool) -> io::Result<()> {
        let (file, value) = match (self.hierarchy, frozen) {
            (Hierarchy::V2 | Hierarchy::Hybrid, true) => ("cgroup.freeze", "1"),
            (Hierarchy::V2 | Hierarchy::Hybrid, false) => ("cgroup.freeze", "0"),
            (Hierarchy::V1, true) => ("freezer.state", "FROZEN"),
            (Hierarchy::V1, false) => ("freezer.state", "THAWED"),
        };
        fs::write(self.path.join(file), value)
    }

    /// Whether all of its processes are frozen, or none is.
    pub(super) fn is_all(&self, frozen: bool) -> bool {
        match self.hierarchy {
            Hierarchy::V2 | Hierarchy::Hybrid => self.is_frozen() == frozen,
            Hierarchy::V1 => {
                let wanted: &[u8] = if frozen { b"FROZEN\n" } else { b"THAWED\n" };
                self.freezer_state().as_deref() == Some(wanted)
            }
        }
    }

    /// Freezes or thaws it, and waits until that is done.
    pub fn freeze(&self, frozen: bool) -> Result<(), Error> {
        let what = if frozen { "freeze" } else { "thaw" };
        self.ask_to_freeze(frozen).map_err(|e| match (self.hierarchy, e.kind()) {
            (Hierarchy::V1, io::ErrorKind::NotFound) => self
                .failed(what, &e)
                .hint("cgroup v1 needs the hierarchy of the controller freezer for this"),
            _ => self.failed(what, &e),
        })?;
        let deadline = Instant::now() + PATIENCE;
        let mut tries = 0;
        while !self.is_all(frozen) {
            if Instant::now() > deadline {
                let _ = self.ask_to_freeze(!frozen); // Only the error below is told.
                return Err(Error::new(format_args!(
                    "cgroup {} did not freeze or thaw in 10 s",
                    self.path.display()
                )));
            }
            tries += 1;
            if self.hierarchy == Hierarchy::V1 && frozen {
                if tries % TRIES == 0 {
                    let _ = self.ask_to_freeze(false); // As above.
                    sleep(Duration::from_millis(1));
                }
                let _ = self.ask_to_freeze(true); // As above.
            }
            sleep(Duration::from_millis(1));
        }
        let state = if frozen { "frozen" } else { "thawed" };
        debug::said(format_args!("cgroup {} is {state}", self.path.display()));
        Ok(())
    }
}
