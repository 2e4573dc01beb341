//! Measures on this machine. Prints each result at once, on a line, for the program
//! that makes the table:
//!
//!     sample ROW RUNTIME WALL-µs CPU-µs
//!     fact ROW RUNTIME VALUE
//!     version RUNTIME WORDS
//!     missing RUNTIME WHY

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change};
use vial_targets::Error;
use vial_targets::command::OnPath;
use vial_tests::runner::in_machine;
use vial_tests::{context, sys};

use crate::bundles::{Bundles, SHOWN, Seccomp, shows};
use crate::runtime::{self, Runtime};
use crate::timing::{self, Taken, measure, reap_all};
use crate::{memory, rows, trace};

/// The kernel frees a network namespace only after its last process is gone. The
/// pause keeps that work out of the next measurement.
const PAUSE: Duration = Duration::from_millis(40);

/// What all measurements share.
pub(crate) struct Here {
    pub(crate) directory: PathBuf,
    pub(crate) bundles: Bundles,
    /// The mount point of a cgroup2 file system.
    cgroups: PathBuf,
    pub(crate) runtimes: Vec<Runtime>,
    serial: std::cell::Cell<u32>,
}

/// Runs all measurements.
///
/// # Errors
/// vial or the floor cannot be measured. Another runtime is then left out, and
/// reported as missing.
pub(crate) fn measure_here(binaries: &Path, rounds: u32, mounts: u32) -> Result<(), Error> {
    let me = rustix::process::getpid();
    rustix::process::set_child_subreaper(Some(me))
        .map_err(|errno| Error::new(format!("prctl(PR_SET_CHILD_SUBREAPER): {errno}")))?;
    let directory = std::env::temp_dir().join(format!("vial-measure-{}", std::process::id()));
    fs::create_dir_all(&directory).on_path("make", &directory)?;
    mount_memory(&directory)?;
    mount_more(&directory, mounts)?;
    let result = Here::new(binaries, &directory).and_then(|mut here| here.everything(rounds));
    // If it fails, the mount still goes with this process's mount namespace.
    let _ = rustix::mount::unmount(&directory, UnmountFlags::DETACH);
    context::remove_directory(&directory);
    result
}

/// Runtimes keep their state in /run, which is a tmpfs, so this mounts one on the
/// directory, wherever it lies. No other process sees the mount.
fn mount_memory(directory: &Path) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::new(format!("mount a tmpfs: {error}"));
    let own = libc::CLONE_NEWNS.unsigned_abs() as usize;
    sys::call(libc::SYS_unshare, [own, 0, 0, 0, 0, 0]).map_err(failed)?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).map_err(|errno| failed(errno.into()))?;
    mount("tmpfs", directory, "tmpfs", MountFlags::empty(), None)
        .map_err(|errno| failed(errno.into()))
}

/// Mounts `count` file systems: each new mount namespace copies a host's mounts.
fn mount_more(directory: &Path, count: u32) -> Result<(), Error> {
    for number in 0..count {
        let place = directory.join("mounts").join(number.to_string());
        fs::create_dir_all(&place).on_path("make", &place)?;
        mount("tmpfs", &place, "tmpfs", MountFlags::empty(), None)
            .map_err(|errno| Error::new(format!("mount a tmpfs: {errno}")))?;
    }
    Ok(())
}

impl Here {
    fn new(binaries: &Path, directory: &Path) -> Result<Self, Error> {
        let runtimes = Runtime::all(binaries, directory);
        let vial = runtimes.iter().find(|runtime| runtime.name == runtime::VIAL);
        let vial = vial.ok_or_else(|| Error::new("vial is not among the binaries"))?;
        let bundles = Bundles::new(directory, vial)?;
        let cgroups = cgroup2().ok_or_else(|| Error::new("no cgroup2 filesystem is mounted"))?;
        let serial = std::cell::Cell::new(0);
        Ok(Self { directory: directory.to_owned(), bundles, cgroups, runtimes, serial })
    }

    fn everything(&mut self, rounds: u32) -> Result<(), Error> {
        self.copy_up();
        self.leave_out_failing()?;
        for runtime in &self.runtimes {
            let words = if runtime.is_floor() { String::new() } else { runtime.version() };
            println!("version {} {words}", runtime.name);
        }
        // Round 0 only fills the caches; its times are not printed.
        for round in 0..=rounds {
            self.round(round)?;
            if round % 5 == 0 {
                println!("progress round {round} of {rounds}");
            }
        }
        for seccomp in Seccomp::BOTH {
            for runtime in &self.runtimes {
                self.trace(runtime, seccomp)?;
                self.wait(runtime, seccomp)?;
            }
        }
        println!("progress the least memory");
        memory::bisect_all(self)
    }

    fn copy_up(&self) {
        if in_machine() {
            self.runtimes.iter().for_each(Runtime::copy_up);
        }
    }

    /// Leaves out each runtime that cannot run a container here.
    fn leave_out_failing(&mut self) -> Result<(), Error> {
        let mut able = Vec::new();
        for runtime in &self.runtimes {
            let shown = Seccomp::BOTH.into_iter().try_for_each(|seccomp| {
                let bundle = self.bundles.that_shows(seccomp);
                let mut command = match runtime.is_floor() {
                    true => self.floor(&shows(Seccomp::None)),
                    false => runtime.run(&bundle, &self.id()),
                };
                let done = command.output().on_path("start", &runtime.program)?;
                let said = String::from_utf8_lossy(&done.stderr).into_owned();
                let ended = done.status;
                let shown = done.status.code() == Some(SHOWN);
                let what = format!("run{}: {ended}", seccomp.words());
                if shown { Ok(()) } else { Err(runtime::failed(runtime.name, &what, &said)) }
            });
            match shown {
                Ok(()) => able.push(runtime.clone()),
                Err(error) if matches!(runtime.name, runtime::FLOOR | runtime::VIAL) => {
                    return Err(error);
                }
                Err(error) => println!("missing {} {error}", runtime.name),
            }
            reap_all();
        }
        self.runtimes = able;
        Ok(())
    }

    /// Runs every runtime once for every row. The first runtime changes each round.
    fn round(&self, round: u32) -> Result<(), Error> {
        for seccomp in Seccomp::BOTH {
            let print = |row: &str, runtime: &Runtime, taken: Taken| {
                if round > 0 {
                    let (wall, cpu) = (taken.wall.as_micros(), taken.cpu.as_micros());
                    println!("sample {row} {} {wall} {cpu}", runtime.name);
                }
            };
            let mut order: Vec<&Runtime> = self.runtimes.iter().collect();
            let count = order.len().max(1);
            order.rotate_left(round as usize % count);
            for runtime in &order {
                sleep(PAUSE);
                print(rows::run(seccomp), runtime, self.run(runtime, seccomp)?);
            }
            for runtime in order.iter().filter(|runtime| !runtime.is_floor()) {
                sleep(PAUSE);
                print(rows::lifecycle(seccomp), runtime, self.lifecycle(runtime, seccomp)?);
            }
            for runtime in order.iter().filter(|runtime| !runtime.is_floor()) {
                print(rows::exec(seccomp), runtime, self.exec(runtime, seccomp)?);
            }
        }
        Ok(())
    }

    /// Measures `run /bin/true`. The floor ignores the seccomp profile.
    fn run(&self, runtime: &Runtime, seccomp: Seccomp) -> Result<Taken, Error> {
        let mut command = match runtime.is_floor() {
            true => self.floor(&["/bin/true"]),
            false => runtime.run(&self.bundles.of_true(seccomp), &self.id()),
        };
        measure(|| timing::run(&mut command, 0))
    }

    /// Measures `create`, `start`, the end of the process, and `delete`.
    fn lifecycle(&self, runtime: &Runtime, seccomp: Seccomp) -> Result<Taken, Error> {
        let (id, pid_file) = (self.id(), self.directory.join("pid"));
        let mut create = runtime.create(&self.bundles.of_true(seccomp), &pid_file, &id);
        measure(|| {
            timing::run(&mut create, 0)?;
            timing::run(&mut runtime.verb(&["start"], &id), 0)?;
            reap_all();
            timing::run(&mut runtime.verb(&["delete"], &id), 0)
        })
    }

    /// Measures `exec /bin/true`, as a health check calls it.
    fn exec(&self, runtime: &Runtime, seccomp: Seccomp) -> Result<Taken, Error> {
        let (id, pid_file) = (self.id(), self.directory.join("pid"));
        timing::run(&mut runtime.create(&self.bundles.of_sleep(seccomp), &pid_file, &id), 0)?;
        timing::run(&mut runtime.verb(&["start"], &id), 0)?;
        sleep(PAUSE);
        let mut exec = runtime.verb(&["exec"], &id);
        exec.arg("/bin/true");
        let taken = timing::measure_beside(|| timing::run(&mut exec, 0));
        timing::run(&mut runtime.verb(&["delete", "--force"], &id), 0)?;
        reap_all();
        taken
    }

    fn trace(&self, runtime: &Runtime, seccomp: Seccomp) -> Result<(), Error> {
        if runtime.is_floor() && seccomp == Seccomp::Profile {
            return Ok(());
        }
        let command = match runtime.is_floor() {
            true => self.floor(&["/bin/true"]),
            false => runtime.run(&self.bundles.of_true(seccomp), &self.id()),
        };
        let seen = trace::follow(&command, &self.bundles.rootfs.join("bin/busybox"))?;
        if seen.code != Some(0) {
            println!("missing {} traced run{}: {seen:?}", runtime.name, seccomp.words());
            return Ok(());
        }
        let calls = seen.calls_of_first + seen.calls_of_others;
        println!("fact {} {} {calls}", rows::calls(seccomp), runtime.name);
        println!("fact {} {} {}", rows::calls_of_cli(seccomp), runtime.name, seen.calls_of_first);
        println!("fact {} {} {}", rows::peak(seccomp), runtime.name, seen.peak_kib);
        Ok(())
    }

    /// Measures the memory of the process that waits for start.
    fn wait(&self, runtime: &Runtime, seccomp: Seccomp) -> Result<(), Error> {
        if runtime.is_floor() {
            return Ok(());
        }
        let (id, pid_file) = (self.id(), self.directory.join("pid"));
        timing::run(&mut runtime.create(&self.bundles.of_true(seccomp), &pid_file, &id), 0)?;
        let pid = fs::read_to_string(&pid_file).on_path("read", &pid_file)?;
        let rollup = format!("/proc/{}/smaps_rollup", pid.trim());
        for (row, name) in [(rows::rss(seccomp), "Rss:"), (rows::pss(seccomp), "Pss:")] {
            let kib = trace::field(&rollup, name)
                .ok_or_else(|| Error::new(format!("{rollup} has no {name}")))?;
            println!("fact {row} {} {kib}", runtime.name);
        }
        let deleted = timing::run(&mut runtime.verb(&["delete", "--force"], &id), 0);
        reap_all();
        deleted
    }

    fn floor(&self, process: &[&str]) -> std::process::Command {
        let floor = self.runtimes.iter().find(|runtime| runtime.is_floor());
        let program = floor.map_or(Path::new("floor"), |floor| &floor.program);
        let mut command = std::process::Command::new(program);
        command.arg(&self.bundles.rootfs).arg(self.cgroups.join(self.id())).args(process);
        command
    }

    pub(crate) fn id(&self) -> String {
        self.serial.set(self.serial.get() + 1);
        format!("measure-{}-{}", std::process::id(), self.serial.get())
    }
}

/// The mount point of cgroup2.
fn cgroup2() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let line = mounts.lines().find(|line| line.contains(" - cgroup2 "))?;
    line.split(' ').nth(4).map(PathBuf::from)
}
