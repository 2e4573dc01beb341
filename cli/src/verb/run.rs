//! run: creates a container, starts it, and waits for its end unless detached.

use rustix::process::Pid;

use super::creating::creating;
use crate::config::Config;
use crate::container::Container;
use crate::creation::{Console, Options, Then, console, prepare};
use crate::error::Error;
use crate::flags::Global;
use crate::foreground::Foreground;
use crate::sd_notify::Proxy;

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
        let (mut foreground, console) = attend(&prepared.config, &options, self.detach)?;
        let then = Then::Go(foreground.as_mut());
        let (container, proxy) = prepared.create(global, &options, console, then)?;
        let check = || foreground.as_ref().map_or(Ok(()), Foreground::check);
        container.poststart(&check, &global.log)?;
        let Some(foreground) = foreground else {
            if let Some(proxy) = proxy {
                proxy.await_ready(&container, &global.log)?;
            }
            return Ok(0);
        };
        end_with(container, foreground, proxy.as_ref(), self.keep, global)
    }
}

/// What a process in the foreground needs: signals are passed on, and without a console
/// socket vial serves its terminal. None with --detach.
pub(super) fn attend(
    config: &Config,
    options: &Options,
    detach: bool,
) -> Result<(Option<Foreground>, Console), Error> {
    let terminal = config.process.as_ref().is_some_and(|process| process.terminal);
    // Block signals before the process exists, so that none for it is lost.
    let mut foreground = if detach { None } else { Some(Foreground::prepare()?) };
    let console = match &mut foreground {
        Some(foreground) if terminal && options.console_socket.is_none() => {
            Console::Socket(foreground.offer_terminal()?)
        }
        _ => console(config, options)?,
    };
    Ok((foreground, console))
}

/// Waits for the end of the container's process, and removes the container unless it is
/// kept. Returns the exit status.
pub(super) fn end_with(
    mut container: Container,
    foreground: Foreground,
    proxy: Option<&Proxy>,
    keep: bool,
    global: &Global,
) -> Result<u8, Error> {
    // Wait without the lock: other verbs work on the container while it runs, and may
    // delete it first.
    let pid = Pid::from_raw(container.record.pid.cast_signed());
    let (code, is_there) = container.unlocked(|| foreground.wait(pid, proxy))?;
    let code = code?;
    if let Some(oom) = container.record.out_of_memory().filter(|_| code == KILLED) {
        global.log.tell(&format!("container {}: {oom}", container.record.id));
        if keep && is_there {
            container.remember(oom)?;
        }
    }
    if !keep && is_there {
        container.destroy(&global.log)?;
    }
    Ok(code)
}
