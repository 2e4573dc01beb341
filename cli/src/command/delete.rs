//! delete: the container's cgroup and state go; with --force its processes too.

use std::thread::sleep;
use std::time::{Duration, Instant};

use argh::FromArgs;
use rustix::process::Signal;

use crate::args::Global;
use crate::cgroup::Cgroup;
use crate::container::{Container, Found, does_not_exist};
use crate::dir::{Dir, check_id};
use crate::error::Error;
use crate::host::Host;
use crate::planner;
use crate::status::Status;

/// How long a killed process is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// remove a container that has stopped
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "delete", help_triggers("-h", "--help"))]
#[argh(example = "vial delete --force web")]
pub struct Delete {
    /// kill it if it runs; that there is none is no error
    #[argh(switch, short = 'f')]
    force: bool,
    /// the container's id
    #[argh(positional)]
    id: String,
}

impl Delete {
    /// Runs the verb. Engines look for the texts.
    pub fn run(self, global: &Global) -> Result<u8, Error> {
        check_id(&self.id)?;
        match Container::find(&global.root, &self.id)? {
            Found::Whole(container) => delete(&container, self.force)?,
            Found::Broken(dir, _) if self.force => clear(&dir, &self.id)?,
            Found::Broken(_, error) => {
                let hint = format!("`vial delete --force {}` removes what is left of it", self.id);
                return Err(error.context(&self.id).hint(hint));
            }
            Found::Nothing if self.force => {}
            Found::Nothing => return Err(does_not_exist(&self.id)),
        }
        Ok(0)
    }
}

fn delete(container: &Container, force: bool) -> Result<(), Error> {
    match container.status() {
        Status::Stopped => {}
        // Nothing of the user's has run yet.
        Status::Created => kill(container)?,
        _ if force => kill(container)?,
        status => {
            let id = &container.state.id;
            return Err(Error::new(format_args!(
                "cannot delete container {id} that is not stopped: {status}"
            ))
            .hint(format_args!("`vial kill {id} KILL` first, or `vial delete --force {id}`")));
        }
    }
    container.remove()
}

fn kill(container: &Container) -> Result<(), Error> {
    container.signal(Signal::KILL)?;
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Duration::from_micros(200);
    while container.status() != Status::Stopped {
        if Instant::now() > deadline {
            return Err(Error::new("container init still running")
                .hint("it may wait for a device or network filesystem; see /proc/PID/stack"));
        }
        if let Some(cgroup) = container.cgroup().filter(Cgroup::is_frozen) {
            let _ = cgroup.freeze(false); // A process that is being killed may be gone by now.
        }
        sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(100));
    }
    Ok(())
}

/// What a create left that died: a state dir without a state, and a cgroup
/// whose place follows from the config.json kept there.
fn clear(dir: &Dir, id: &str) -> Result<(), Error> {
    if let (Ok(config), Some(cgroup)) = (dir.config(), Host::read().cgroup)
        && let Ok(path) = planner::cgroup_path(&config.linux.cgroups_path, id, &cgroup)
    {
        Cgroup::new(cgroup.root.join(path)).remove()?;
    }
    dir.remove()
}
