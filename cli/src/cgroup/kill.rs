//! Signals for all processes of a cgroup.

use std::fs;
use std::io;

use rustix::process::{Pid, Signal, kill_process};

use super::{Cgroup, Hierarchy};

impl Cgroup {
    /// Sends a signal to all processes in it and below.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        match self.hierarchy {
            // KERNEL(5.14): cgroup.kill kills all processes at once, and new forks too.
            Hierarchy::V2 if signal == Signal::KILL => {
                if fs::write(self.path.join("cgroup.kill"), "1").is_ok() {
                    return Ok(());
                }
            }
            Hierarchy::V2 => {}
        }
        for pid in self.pids()? {
            if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
                let _ = kill_process(pid, signal); // ESRCH: it has ended.
            }
        }
        Ok(())
    }
}
