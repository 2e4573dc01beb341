//! run: creates a container, starts it, and waits for its end unless detached.

use rustix::process::Pid;

use super::creating::creating;
use crate::creation::{Console, Then, console, prepare};
use crate::error::Error;
use crate::flags::Global;
use crate::foreground::Foreground;

creating! {
    /// make a container from a bundle, start it, and wait for its end
    #[argh(subcommand, name = "run", help_triggers("-h", "--help"))]
    #[argh(example = "vial run --detach --bundle /containers/web web")]
    pub struct Run {
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
    }
}

/// The exit status of a process that was killed by SIGKILL.
const KILLED: u8 = 137;

impl Run {
    /// Runs the verb; in the foreground its result is the process's own.
    pub fn run(self, global: &Global) -> Result<u8, Error> {
        let options = self.options(global)?;
        let prepared = prepare(global, &self.id, &options)?;
        if prepared.config.process.is_none() {
            return Err(Error::new("config.json process: missing, but run executes it"));
        }
        global.log.warn(&prepared.plan.warnings);
        let terminal = prepared.config.process.as_ref().is_some_and(|process| process.terminal);
        let proxied = terminal && !self.detach && options.console_socket.is_none();
        // Block signals before the process exists, so that none for it is lost.
        let mut foreground = if self.detach { None } else { Some(Foreground::prepare()?) };
        let console = match (&mut foreground, proxied) {
            (Some(foreground), true) => Console::Socket(foreground.offer_terminal()?),
            _ => console(&prepared.config, &options)?,
        };
        let then = Then::Go(foreground.as_mut());
        let (mut container, proxy) = prepared.create(global, &options, console, then)?;
        let check = || foreground.as_ref().map_or(Ok(()), Foreground::check);
        container.poststart(&check, &global.log)?;
        let Some(foreground) = foreground else {
            if let Some(proxy) = proxy {
                proxy.await_ready(&container, &global.log)?;
            }
            return Ok(0);
        };
        // Wait without the lock: other verbs work on the container while it runs, and
        // may delete it first.
        let pid = Pid::from_raw(container.record.pid.cast_signed());
        let wait = || foreground.wait(pid, proxy.as_ref());
        let (code, is_there) = container.unlocked(wait)?;
        let code = code?;
        if let Some(oom) = container.record.out_of_memory().filter(|_| code == KILLED) {
            global.log.tell(&format!("container {}: {oom}", self.id));
            if self.keep && is_there {
                container.remember(oom)?;
            }
        }
        if !self.keep && is_there {
            container.destroy(&global.log)?;
        }
        Ok(code)
    }
}
