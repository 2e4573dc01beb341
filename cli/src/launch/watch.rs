//! What may end a launch before its time.

use std::time::Duration;

use crate::cgroup::Cgroup;
use crate::error::Error;
use crate::foreground::Foreground;

/// How long an answer is waited for before this is looked at.
pub const PERIOD: Duration = Duration::from_millis(100);

/// Who else is heard while vial-init is at work.
#[derive(Debug, Default)]
pub struct Watch<'a> {
    /// Signals that ask for the end.
    pub foreground: Option<&'a Foreground>,
    /// The cgroup in which nothing runs while it is frozen.
    pub cgroup: Option<Cgroup>,
}

impl Watch<'_> {
    /// An error if there is no sense in waiting any longer.
    pub fn check(&self) -> Result<(), Error> {
        if let Some(foreground) = self.foreground {
            foreground.check()?;
        }
        match &self.cgroup {
            Some(cgroup) if cgroup.is_frozen() => {
                let path = cgroup.path().display();
                let what = format_args!("cgroup {path} is frozen, so that no process starts in it");
                Err(Error::new(what)
                    .hint("it or one above has 1 in cgroup.freeze: write 0, or resume who uses it"))
            }
            _ => Ok(()),
        }
    }
}
