//! Freezes and thaws a cgroup, for pause and resume.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{Cgroup, Hierarchy, PATIENCE};
use crate::error::Error;

impl Cgroup {
    /// Whether it is frozen.
    pub fn is_frozen(&self) -> bool {
        match self.hierarchy {
            Hierarchy::V2 => self.has_event(b"frozen 1"),
        }
    }

    /// Freezes or thaws it, and waits until that is done.
    pub fn freeze(&self, frozen: bool) -> Result<(), Error> {
        let file = match self.hierarchy {
            Hierarchy::V2 => self.path.join("cgroup.freeze"),
        };
        let failed = |e| Error::io(format_args!("write {}", file.display()), &e);
        fs::write(&file, if frozen { "1" } else { "0" }).map_err(failed)?;
        let deadline = Instant::now() + PATIENCE;
        while self.is_frozen() != frozen {
            if Instant::now() > deadline {
                let _ = fs::write(&file, if frozen { "0" } else { "1" }); // Only the error below is told.
                return Err(Error::new(format_args!(
                    "cgroup {} did not freeze or thaw in 10 s",
                    self.path.display()
                )));
            }
            sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}
