//! run: create and start, and wait unless detached.

use std::path::PathBuf;

use argh::FromArgs;
use rustix::process::Pid;

use crate::creation::{Console, Options, Then, check_preserved, console, listen_fds, prepare};
use crate::error::Error;
use crate::flags::Global;
use crate::foreground::Foreground;

/// make a container from a bundle, start it, and wait for its end
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "run", help_triggers("-h", "--help"))]
#[argh(example = "vial run --detach --bundle /containers/web web")]
pub struct Run {
    /// the bundle's directory (default .)
    #[argh(option, short = 'b', arg_name = "dir")]
    bundle: Option<PathBuf>,
    /// socket to which the terminal's master is sent
    #[argh(option, arg_name = "socket")]
    console_socket: Option<PathBuf>,
    /// file to which the process's pid is written
    #[argh(option, arg_name = "file")]
    pid_file: Option<PathBuf>,
    /// return once the process is started
    #[argh(switch, short = 'd')]
    detach: bool,
    /// keep the container after its process has ended
    #[argh(switch)]
    keep: bool,
    /// accepted; vial is never a subreaper
    #[argh(switch)]
    #[allow(dead_code, reason = "what it asks for is always so")]
    no_subreaper: bool,
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

impl Run {
    /// Runs the verb; in the foreground its result is the process's own.
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
        if prepared.config.process.is_none() {
            return Err(Error::new("config.json process: missing, but run executes it"));
        }
        global.log.warn(&prepared.plan.warnings);
        let terminal = prepared.config.process.as_ref().is_some_and(|process| process.terminal);
        let proxied = terminal && !self.detach && options.console_socket.is_none();
        // Before the process is there: no signal meant for it may be lost.
        let mut foreground = if self.detach { None } else { Some(Foreground::prepare()?) };
        let console = match (&mut foreground, proxied) {
            (Some(foreground), true) => Console::Socket(foreground.offer_terminal()?),
            _ => console(&prepared.config, &options)?,
        };
        let then = Then::Go(foreground.as_mut());
        let container = prepared.create(global, &options, console, then)?;
        let Some(foreground) = foreground else {
            return Ok(0);
        };
        // Others may stop, pause and enter the container while it runs, or be
        // quicker to delete it.
        let pid = Pid::from_raw(container.record.pid.cast_signed());
        let wait = || foreground.wait(pid);
        let (code, is_there) = container.unlocked(wait)?;
        let code = code?;
        if !self.keep && is_there {
            container.remove()?;
        }
        Ok(code)
    }
}
