//! pause and resume: freeze and thaw the container's cgroup.

use argh::{ArgsInfo, FromArgs};

use crate::container::Container;
use crate::container::status::Status;
use crate::error::Error;
use crate::flags::Global;

/// suspend every process of a container
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "pause", help_triggers("-h", "--help"))]
#[argh(example = "vial pause web")]
pub struct Pause {
    /// the container's id
    #[argh(positional)]
    id: String,
}

/// resume the processes of a paused container
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "resume", help_triggers("-h", "--help"))]
#[argh(example = "vial resume web")]
pub struct Resume {
    /// the container's id
    #[argh(positional)]
    id: String,
}

impl Pause {
    /// Runs the verb.
    pub fn run(self, global: &Global) -> Result<u8, Error> {
        let container = Container::open(&global.root, &self.id)?;
        match container.status()? {
            Status::Running | Status::Created => freeze(&container, true),
            status => Err(Error::new(format_args!("container not running: {status}"))),
        }
    }
}

impl Resume {
    /// Runs the verb.
    pub fn run(self, global: &Global) -> Result<u8, Error> {
        let container = Container::open(&global.root, &self.id)?;
        match container.status()? {
            Status::Paused => freeze(&container, false),
            // It was paused before it was started.
            Status::Created if container.freezer().is_ok_and(|cgroup| cgroup.is_frozen()) => {
                freeze(&container, false)
            }
            status => Err(Error::new(format_args!("container not paused: {status}"))),
        }
    }
}

fn freeze(container: &Container, frozen: bool) -> Result<u8, Error> {
    container.freezer()?.freeze(frozen)?;
    Ok(0)
}
