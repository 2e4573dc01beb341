//! Signals for all processes of a cgroup.

use std::fs;
use std::io;
use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::Cgroup;
use crate::host::Hierarchy;

/// How many times the freezer of cgroup v1 is asked, a millisecond apart, before the
/// processes are killed anyway.
const TRIES: u32 = 50;

impl Cgroup {
    /// Sends a signal to all processes in it and below.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        match self.hierarchy {
            // KERNEL(5.14): cgroup.kill kills all processes at once, and new forks too.
            Hierarchy::V2 | Hierarchy::Hybrid if signal == Signal::KILL => {
                if fs::write(self.path().join("cgroup.kill"), "1").is_ok() {
                    return Ok(());
                }
                self.signal_each(signal)
            }
            Hierarchy::V2 | Hierarchy::Hybrid => self.signal_each(signal),
            Hierarchy::V1 if signal == Signal::KILL => self.kill_frozen(),
            Hierarchy::V1 => self.signal_each(signal),
        }
    }

    /// Freezes it first, so that none of its processes forks faster than they are
    /// killed. A frozen process ends once it is thawed.
    fn kill_frozen(&self) -> io::Result<()> {
        let freezes = self.ask_to_freeze(true).is_ok(); // ENOENT: another controller's hierarchy.
        for _ in 0..TRIES {
            if !freezes || self.is_all(true) {
                break;
            }
            sleep(Duration::from_millis(1));
        }
        let killed = self.signal_each(Signal::KILL);
        if freezes {
            self.ask_to_freeze(false)?;
        }
        killed
    }

    fn signal_each(&self, signal: Signal) -> io::Result<()> {
        for pid in self.pids()? {
            if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
                let _ = kill_process(pid, signal); // ESRCH: it has ended.
            }
        }
        Ok(())
    }
}
