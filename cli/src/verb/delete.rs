//! delete: the container's cgroup and state go; with --force its processes too.

use std::thread::sleep;
use std::time::{Duration, Instant};

use argh::{ArgsInfo, FromArgs};
use rustix::process::{Pid, Signal};

use crate::container::dir::does_not_exist;
use crate::container::dir::{Dir, check_id};
use crate::container::progress;
use crate::container::status::{Process, Status};
use crate::container::undo;
use crate::container::{Container, Found};
use crate::error::Error;
use crate::flags::Global;

/// How long a killed process is waited for, and whoever else has the lock.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long who was killed may take to end, and whoever has the lock after what it
/// may wait for was killed.
const GRACE: Duration = Duration::from_secs(2);

/// remove a container that has stopped
#[derive(FromArgs, ArgsInfo, Debug)]
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
        let dir = match Dir::open(global.root.join(&self.id))? {
            Some(dir) => self.lock(dir)?,
            None => None,
        };
        match dir.map_or(Found::Nothing, Container::read) {
            Found::Whole(container) => delete(&container, self.force)?,
            Found::Broken(dir, _) if self.force => {
                end_workers(&dir, &self.id)?;
                undo::clear(&dir, dir.cgroup_place().as_ref())?;
            }
            Found::Nothing if self.force => {}
            found => _ = found.whole(&self.id)?,
        }
        Ok(0)
    }

    /// Takes the lock. Whoever has it may wait for a process that does not answer,
    /// such as one that was stopped: that is killed first, if need be. None: the
    /// container has been removed by another.
    fn lock(&self, dir: Dir) -> Result<Option<Dir>, Error> {
        let began = Instant::now();
        let (mut pause, mut dir, mut struck) = (Duration::from_micros(200), dir, false);
        loop {
            match dir.try_lock()? {
                Some(is_there) => return Ok(is_there.then_some(dir)),
                None if self.force && !struck => {
                    dir = strike(dir, &self.id)?;
                    struck = true;
                }
                None if self.force && began.elapsed() > 3 * GRACE => {
                    return Err(stuck(dir.holder(), &self.id));
                }
                None if self.force => end_holder(&dir, began.elapsed()),
                None if began.elapsed() > PATIENCE => return Err(busy(&dir, &self.id)),
                None => {}
            }
            sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(100));
        }
    }
}

/// Kills the container's processes without its lock, also those of a create that
/// is at work.
fn strike(dir: Dir, id: &str) -> Result<Dir, Error> {
    match Container::read(dir) {
        Found::Whole(container) => {
            container.signal(Signal::KILL)?;
            container.signal_all(Signal::KILL)?;
            Ok(container.into_dir())
        }
        Found::Broken(dir, _) => {
            if let Some(place) = dir.cgroup_place() {
                let _ = place.cgroup().signal(Signal::KILL); // ENOENT: it has not been made yet.
            }
            let children = dir.holder().map(progress::children).unwrap_or_default();
            children.into_iter().for_each(progress::end);
            progress::kill(&dir.path);
            Ok(dir)
        }
        Found::Nothing => Err(does_not_exist(id)),
    }
}

/// Kills whoever has the lock for so long already, and does nothing by itself: at
/// once if it is stopped, soon if it waits in the kernel.
fn end_holder(dir: &Dir, elapsed: Duration) {
    let Some(holder) = dir.holder() else { return };
    let state = Process::read(pid_of(holder)).ok().flatten().map_or(0, |process| process.state);
    let grace = match state {
        b'T' | b't' => Duration::ZERO,
        b'D' => GRACE / 8,
        _ => GRACE,
    };
    if elapsed >= grace {
        progress::end(holder);
    }
}

/// Ends what a create has left that died.
fn end_workers(dir: &Dir, id: &str) -> Result<(), Error> {
    let began = Instant::now();
    while let Some(pid) = progress::kill(&dir.path) {
        if began.elapsed() > GRACE {
            return Err(stuck(Pid::from_raw(pid.cast_signed()), id));
        }
        sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// Whoever has the lock, or what it has started, was killed and goes on.
fn stuck(pid: Option<Pid>, id: &str) -> Error {
    let pid = pid.map_or(0, pid_of);
    Error::new(format_args!(
        "container {id}: process {pid} was killed and has not ended: it waits in the kernel, for a device or filesystem that does not answer"
    ))
    .hint(format_args!("see /proc/{pid}/stack; once it has ended, `vial delete --force {id}` removes the rest"))
}

fn pid_of(pid: Pid) -> u32 {
    pid.as_raw_nonzero().get().unsigned_abs()
}

fn busy(dir: &Dir, id: &str) -> Error {
    let holder = dir
        .holder()
        .map_or("another process".to_owned(), |pid| format!("process {}", pid.as_raw_nonzero()));
    Error::new(format_args!("container {id} is in use: {holder} has held its lock for 10 s"))
        .hint(format_args!("`vial delete --force {id}` waits for no process"))
}

fn delete(container: &Container, force: bool) -> Result<(), Error> {
    match container.status()? {
        Status::Stopped => {}
        // Nothing of the user's has run yet.
        Status::Created => kill(container)?,
        _ if force => kill(container)?,
        status => {
            let id = &container.record.id;
            return Err(Error::new(format_args!(
                "cannot delete container {id} that is not stopped: {status}"
            ))
            .hint(format_args!("`vial kill {id} KILL` first, or `vial delete --force {id}`")));
        }
    }
    container.remove()
}

fn kill(container: &Container) -> Result<(), Error> {
    let frozen = container.frozen(); // Once it has ended, nobody knows where it was.
    container.signal(Signal::KILL)?;
    if let Some(cgroup) = &frozen {
        let _ = cgroup.freeze(false); // It may be gone by now, as was asked.
    }
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Duration::from_micros(200);
    while container.status()? != Status::Stopped {
        if Instant::now() > deadline {
            return Err(Error::new("container init still running")
                .hint("it may wait for a device or network filesystem; see /proc/PID/stack"));
        }
        sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(100));
    }
    Ok(())
}
