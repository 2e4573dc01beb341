//! create: a container whose process waits for start.

use std::path::PathBuf;

use argh::FromArgs;

use crate::creation::{Options, Then, check_preserved, console, listen_fds, prepare};
use crate::error::Error;
use crate::flags::Global;

/// make a container from a bundle; its process waits for start
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "create", help_triggers("-h", "--help"))]
#[argh(example = "vial create --bundle /containers/web web")]
pub struct Create {
    /// the bundle's directory (default .)
    #[argh(option, short = 'b', arg_name = "dir")]
    bundle: Option<PathBuf>,
    /// socket to which the terminal's master is sent
    #[argh(option, arg_name = "socket")]
    console_socket: Option<PathBuf>,
    /// file to which the process's pid is written
    #[argh(option, arg_name = "file")]
    pid_file: Option<PathBuf>,
    /// move the root instead of pivoting it, for a ramdisk
    #[argh(switch)]
    no_pivot: bool,
    /// keep the caller's session keyring
    #[argh(switch)]
    no_new_keyring: bool,
    /// how many file descriptors from 3 on the container gets
    #[argh(option, arg_name = "n", default = "0")]
    preserve_fds: u32,
    /// the container's id
    #[argh(positional)]
    id: String,
}

impl Create {
    /// Runs the verb.
    pub fn run(self, global: &Global) -> Result<u8, Error> {
        let listen_fds = listen_fds();
        let preserve_fds = self.preserve_fds.saturating_add(listen_fds.count);
        check_preserved(preserve_fds)?;
        let options = Options {
            bundle: self.bundle,
            console_socket: self.console_socket,
            pid_file: self.pid_file,
            no_pivot: self.no_pivot,
            no_new_keyring: self.no_new_keyring,
            preserve_fds,
            listen_fds,
        };
        let prepared = prepare(&self.id, &options)?;
        global.log.warn(&prepared.plan.warnings);
        let console = console(&prepared.config, &options)?;
        prepared.create(global, &options, console, Then::Wait)?;
        Ok(0)
    }
}
