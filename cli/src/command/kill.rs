//! kill: a signal for a container's process, or for all of them.

use argh::FromArgs;
use rustix::process::Signal;

use crate::args::Global;
use crate::container::{Container, Found, does_not_exist};
use crate::error::Error;
use crate::signals;
use crate::status::Status;

/// send a signal to a container's process
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "kill", help_triggers("-h", "--help"))]
#[argh(example = "vial kill web KILL")]
pub struct Kill {
    /// send it to every process of the container
    #[argh(switch, short = 'a')]
    all: bool,
    /// the container's id
    #[argh(positional)]
    id: String,
    /// the signal's name or number
    #[argh(positional, default = "String::from(\"TERM\")")]
    signal: String,
}

impl Kill {
    /// Runs the verb. Engines look for the texts.
    pub fn run(self, global: &Global) -> Result<u8, Error> {
        let signal = signals::parse(self.signal.trim_start_matches('-'))?;
        let container = match Container::find(&global.root, &self.id)? {
            Found::Whole(container) => container,
            Found::Broken(_, error) => return Err(error.context(&self.id)),
            Found::Nothing => return Err(does_not_exist(&self.id)),
        };
        match (self.all, container.cgroup()) {
            (true, Some(cgroup)) => cgroup.signal(signal)?,
            // Without a cgroup the pid namespace's init takes the rest along.
            (true, None) => {
                container.signal(signal)?;
            }
            (false, _) => {
                let alive = container.status() != Status::Stopped && container.signal(signal)?;
                if !alive {
                    return Err(Error::new("container not running"));
                }
                thaw_to_die(&container, signal);
            }
        }
        Ok(0)
    }
}

/// KERNEL(5.2): cgroup v2's freezer lets SIGKILL through; nothing else needs to
/// arrive before the container is resumed.
fn thaw_to_die(container: &Container, signal: Signal) {
    if signal == Signal::KILL
        && let Some(cgroup) = container.cgroup()
        && cgroup.is_frozen()
        && container.status() != Status::Stopped
    {
        let _ = cgroup.freeze(false); // It may be gone by now, as was asked.
    }
}
