//! create: a container whose process waits for start.

use super::creating::creating;
use crate::creation::{Then, console, prepare};
use crate::error::Error;
use crate::flags::Global;

creating! {
    /// make a container from a bundle; its process waits for start
    #[argh(subcommand, name = "create", help_triggers("-h", "--help"))]
    #[argh(example = "vial create --bundle /containers/web web")]
    pub struct Create {}
}

impl Create {
    /// Runs the verb.
    pub fn run(self, global: &Global) -> Result<u8, Error> {
        let options = self.options(global)?;
        let prepared = prepare(global, &self.id, &options)?;
        global.log.warn(&prepared.plan.warnings);
        let console = console(&prepared.config, &options)?;
        prepared.create(global, &options, console, Then::Wait)?;
        Ok(0)
    }
}
