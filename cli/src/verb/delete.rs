//! delete: removes the container's cgroup and state, with --force its processes.

use std::thread::sleep;
use std::time::{Duration, Instant};

use argh::{ArgsInfo, FromArgs};
use rustix::process::{Pid, Signal};

use super::each::each;
use crate::container::dir::does_not_exist;
use crate::container::dir::{Dir, check_id};
use crate::container::ending::PATIENCE;
use crate::container::progress;
use crate::container::status::{Process, Status};
use crate::container::undo;
use crate::container::{Container, Found};
use crate::error::Error;
use crate::flags::Global;
use crate::log::Log;

/// With --force: how long a killed process may take to end, and how long another
/// vial may hold the lock after the container's processes were killed.
const GRACE: Duration = Duration::from_secs(2);

/// remove a container that has stopped
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "delete", help_triggers("-h", "--help"))]
#[argh(example = "vial delete --force web")]
pub struct Delete {
    /// kill the container first; succeed if there is none
    #[argh(switch, short = 'f')]
    force: bool,
    /// the id is a regular expression: every container whose id it matches
    #[argh(switch, short = 'r')]
    regex: bool,
    /// the container's id
    #[argh(positional)]
    id: String,
}

impl Delete {
    /// Runs the verb. Engines match the texts of its errors.
    pub fn run(self, global: &Global) -> Result<u8, Error> {
        if self.regex {
            let of_id = |id: &str| Delete { id: id.to_owned(), regex: false, ..self };
            return each(global, &self.id, &|id| of_id(id).run(global).map(drop));
        }
        check_id(&self.id)?;
        let dir = match Dir::open(global.root.join(&self.id))? {
            Some(dir) => self.lock(dir)?,
            None => None,
        };
        match dir.map_or(Found::Nothing, Container::read) {
            Found::Whole(container) => delete(&container, self.force, &global.log)?,
            Found::Broken(dir, _) if self.force => {
                end_workers(&dir, &self.id)?;
                undo::clear(&dir, &self.id, &global.log)?;
            }
            Found::Nothing if self.force => {}
            found => _ = found.whole(&self.id)?,
        }
        Ok(0)
    }

    /// Takes the lock. The vial that holds it may be waiting for a process that does
    /// not answer, for example one that is stopped: --force kills that one first.
    /// None: another vial has removed the container.
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

/// Kills the container's processes without holding the lock, also while it is
/// being created. The vial that holds the lock may wait for a hook, its child.
fn strike(dir: Dir, id: &str) -> Result<Dir, Error> {
    let children = dir.holder().map(progress::children).unwrap_or_default();
    children.into_iter().for_each(progress::end);
    match Container::read(dir) {
        Found::Whole(container) => {
            container.signal(Signal::KILL)?;
            container.signal_all(Signal::KILL)?;
            Ok(container.into_dir())
        }
        Found::Broken(dir, _) => {
            if let (Some(place), _) = dir.places() {
                let _ = place.cgroup().signal(Signal::KILL); // ENOENT: it has not been made yet.
            }
            progress::kill(&dir.path);
            Ok(dir)
        }
        Found::Nothing => Err(does_not_exist(id)),
    }
}

/// Kills the vial that has held the lock for this long: at once if it is stopped,
/// soon if it waits in the kernel.
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

/// Kills the processes of vial-init that a dead create left behind.
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

/// The error for a process that was killed and does not end.
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

fn delete(container: &Container, force: bool, log: &Log) -> Result<(), Error> {
    match container.status()? {
        Status::Stopped => {}
        // The user's program has not run yet.
        Status::Created => container.kill()?,
        _ if force => container.kill()?,
        status => {
            let id = &container.record.id;
            return Err(Error::new(format_args!(
                "cannot delete container {id} that is not stopped: {status}"
            ))
            .hint(format_args!("`vial kill {id} KILL` first, or `vial delete --force {id}`")));
        }
    }
    container.destroy(log)
}
