//! kill: sends a signal to a container's process, or to all of its processes.

use argh::{ArgsInfo, FromArgs};
use rustix::process::Signal;

use super::each::each;
use crate::config::linux::Namespace;
use crate::container::Container;
use crate::container::status::Status;
use crate::error::Error;
use crate::flags::Global;
use crate::signals;

/// send a signal to a container's process
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "kill", help_triggers("-h", "--help"))]
#[argh(example = "vial kill web KILL")]
pub struct Kill {
    /// send the signal to every process of the container
    #[argh(switch, short = 'a')]
    all: bool,
    /// the id is a regular expression: every container whose id it matches
    #[argh(switch, short = 'r')]
    regex: bool,
    /// the container's id
    #[argh(positional)]
    id: String,
    /// the signal's name or number; 0 only checks that it runs
    #[argh(positional, default = "String::from(\"TERM\")")]
    signal: String,
}

impl Kill {
    /// Runs the verb. Engines match the texts of its errors. It takes no lock: the
    /// vial that holds it may be waiting for the process that is to be killed.
    pub fn run(self, global: &Global) -> Result<u8, Error> {
        let signal = signals::parse(self.signal.trim_start_matches('-'))?;
        if self.regex {
            return each(global, &self.id, &|id| self.reach(global, id, signal).map(drop));
        }
        match self.reach(global, &self.id, signal)? {
            true => Ok(0),
            false => Err(Error::new("container not running")),
        }
    }

    /// Sends the signal. Returns whether there was a process.
    fn reach(&self, global: &Global, id: &str, signal: Option<Signal>) -> Result<bool, Error> {
        let container = Container::look(&global.root, id)?.whole(id)?;
        // Its cgroup cannot be found once it has ended.
        let frozen = container.frozen().filter(|_| signal == Some(Signal::KILL));
        let reached = match signal {
            _ if self.all => {
                signal.map_or(Ok(()), |signal| container.signal_all(signal))?;
                true
            }
            None => container.status()? != Status::Stopped,
            // If the pid namespace is shared, the others do not end with init.
            Some(Signal::KILL) if shares_pids(&container) && is_populated(&container) => {
                container.signal_all(Signal::KILL)?;
                true
            }
            Some(signal) => container.signal(signal)?,
        };
        if let Some(cgroup) = frozen.filter(|_| reached) {
            // KERNEL(5.2): cgroup v2's freezer lets SIGKILL through; other signals may
            // wait until the container is resumed.
            let _ = cgroup.freeze(false); // ENOENT: the cgroup is gone, with its processes.
        }
        Ok(reached)
    }
}

/// Whether the container shares a pid namespace with others. True if config.json
/// cannot be read.
fn shares_pids(container: &Container) -> bool {
    let own = |namespace: &Namespace| namespace.kind == "pid" && namespace.path.is_empty();
    container.dir().config().map_or(true, |config| !config.linux.namespaces.iter().any(own))
}

fn is_populated(container: &Container) -> bool {
    container.cgroup().is_some_and(|cgroup| cgroup.is_populated())
}
