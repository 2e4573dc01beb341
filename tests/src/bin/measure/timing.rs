//! How long something takes: by the clock, and of the processors, in this
//! process's children and all that descends from them.

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
    /// By the clock, from before the first program starts until the last ends.
    pub(crate) wall: Duration,
    /// User and system time of every process of it.
    pub(crate) cpu: Duration,
}

/// Measures `work`, which must reap the children that it times by the clock.
///
/// Orphans become children of this process, a subreaper, and are waited for
/// outside the clock's time: what the runtime leaves to run on is its cost,
/// but nobody waits for it.
///
/// # Errors
/// The work failed.
pub(crate) fn measure(work: impl FnOnce() -> Result<(), Error>) -> Result<Taken, Error> {
    let before = cpu_of_children()?;
    let began = Instant::now();
    work()?;
    let wall = began.elapsed();
    reap_all();
    Ok(Taken { wall, cpu: cpu_of_children()?.saturating_sub(before) })
}

/// Runs a program in silence, and fails if it does.
///
/// # Errors
/// It cannot be started, or its exit code is another than `code`.
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

/// Waits for every child, orphans that came here too.
pub(crate) fn reap_all() {
    while let Ok(Some(_)) = wait(WaitOptions::empty()) {}
}

/// getrusage(2) `RUSAGE_CHILDREN`: user and system time of all that was waited
/// for, by whomever. Its sum is exact to the microsecond, whatever the tick.
fn cpu_of_children() -> Result<Duration, Error> {
    const RUSAGE_CHILDREN: usize = 1_usize.wrapping_neg();
    // ru_utime and ru_stime, as seconds and microseconds, lead 14 counters.
    let mut usage = [0_u64; 18];
    let place = usage.as_mut_ptr().expose_provenance();
    sys::call(libc::SYS_getrusage, [RUSAGE_CHILDREN, place, 0, 0, 0, 0])
        .map_err(|error| Error::new(format!("getrusage(2): {error}")))?;
    let [user, user_rest, system, system_rest, ..] = usage;
    Ok(Duration::from_secs(user + system) + Duration::from_micros(user_rest + system_rest))
}
