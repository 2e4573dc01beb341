//! What may end a launch early.

use std::time::{Duration, Instant};

use crate::cgroup::Cgroup;
use crate::error::Error;
use crate::foreground::Foreground;

use super::listener;

/// How often the watch is checked while vial waits for a reply.
pub const PERIOD: Duration = Duration::from_millis(100);

/// What to do at the hooks gate, where the process with this pid waits.
pub type RunHooks<'a> = &'a dyn Fn(u32) -> Result<(), Error>;

/// What to check while vial-init is at work.
#[derive(Debug, Default)]
pub struct Watch<'a> {
    /// Signals to vial.
    pub foreground: Option<&'a Foreground>,
    /// The container's cgroup. If it is frozen, vial-init cannot run in it.
    pub cgroup: Option<Cgroup>,
    /// When the seccomp agent must have let the program start.
    pub deadline: Option<Instant>,
}

impl Watch<'_> {
    /// An error if a signal asks vial to end.
    pub fn interrupted(&self) -> Result<(), Error> {
        self.foreground.map_or(Ok(()), Foreground::check)
    }

    /// An error if vial should not wait any longer.
    pub fn check(&self) -> Result<(), Error> {
        self.interrupted()?;
        if self.deadline.is_some_and(|deadline| Instant::now() > deadline) {
            return Err(listener::silent());
        }
        match &self.cgroup {
            Some(cgroup) if cgroup.is_frozen() => Err(cgroup.error_frozen()),
            _ => Ok(()),
        }
    }
}
