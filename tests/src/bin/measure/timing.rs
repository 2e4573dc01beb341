//! Measures wall time, and the CPU time of this process's children and all their
//! descendants.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{WaitOptions, wait};
use vial_targets::Error;
use vial_targets::command::OnPath;
use vial_tests::sys;

/// What one start of a container took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Taken {
    /// Wall time, from the start of the first program to the end of the last.
    pub(crate) wall: Duration,
    /// User and system time of all its processes.
    pub(crate) cpu: Duration,
}

/// Measures `work`, which must reap the children whose wall time counts.
///
/// This process is a subreaper, so orphans become its children. It reaps them
/// after the wall time has ended: their CPU time is a cost of the runtime, but no
/// caller waits for them.
///
/// # Errors
/// The work failed.
pub(crate) fn measure(work: impl FnOnce() -> Result<(), Error>) -> Result<Taken, Error> {
    measure_until(work, reap_all)
}

/// The same beside a child that goes on: only what `work` reaps counts.
///
/// # Errors
/// The work failed.
pub(crate) fn measure_beside(work: impl FnOnce() -> Result<(), Error>) -> Result<Taken, Error> {
    measure_until(work, || ())
}

fn measure_until(
    work: impl FnOnce() -> Result<(), Error>,
    reap: impl FnOnce(),
) -> Result<Taken, Error> {
    let before = cpu_of_children()?;
    let began = Instant::now();
    work()?;
    let wall = began.elapsed();
    reap();
    Ok(Taken { wall, cpu: cpu_of_children()?.saturating_sub(before) })
}

/// Runs a program without input or output.
///
/// # Errors
/// It cannot be started, or its exit code is not `code`.
pub(crate) fn run(command: &mut Command, code: i32) -> Result<(), Error> {
    let program = Path::new(command.get_program()).to_owned();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status().on_path("start", &program)?;
    if status.code() == Some(code) {
        return Ok(());
    }
    let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
    Err(Error::new(format!("{} {}: {status}", program.display(), words.join(" "))))
}

/// Reaps every child and orphan, and waits for those that still run.
pub(crate) fn reap_all() {
    while let Ok(Some(_)) = wait(WaitOptions::empty()) {}
}

/// getrusage(2) `RUSAGE_CHILDREN`: user and system time of all descendants that
/// were waited for. The sum of both is exact; only its split depends on the tick.
fn cpu_of_children() -> Result<Duration, Error> {
    const RUSAGE_CHILDREN: usize = 1_usize.wrapping_neg();
    // struct rusage: ru_utime and ru_stime, each as seconds and microseconds, then
    // 14 other fields.
    let mut usage = [0_u64; 18];
    let place = usage.as_mut_ptr().expose_provenance();
    sys::call(libc::SYS_getrusage, [RUSAGE_CHILDREN, place, 0, 0, 0, 0])
        .map_err(|error| Error::new(format!("getrusage(2): {error}")))?;
    let [user, user_rest, system, system_rest, ..] = usage;
    Ok(Duration::from_secs(user + system) + Duration::from_micros(user_rest + system_rest))
}
