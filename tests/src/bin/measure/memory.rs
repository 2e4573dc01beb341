//! The least `memory.max` with which a runtime runs /bin/true.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use vial_targets::Error;
use vial_targets::command::OnPath;
use vial_tests::processes;

use crate::here::Here;
use crate::rows;
use crate::runtime::Runtime;
use crate::timing::reap_all;

/// The kernel counts whole pages. A finer step than four pages does not repeat.
const STEP_KIB: u64 = 16;
/// A runtime that needs more than this is left out.
const MOST_KIB: u64 = 32 * 1024;
/// A limit is enough if this many runs in a row succeed.
const RUNS: u32 = 3;
/// A run that takes longer has hung at its limit, and failed.
const PATIENCE: Duration = Duration::from_secs(15);

/// Finds the least limit of each runtime, if the kernel has a memory controller.
///
/// # Errors
/// A bundle cannot be written.
pub(crate) fn bisect_all(here: &Here) -> Result<(), Error> {
    let controllers = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
    if !controllers.split_whitespace().any(|name| name == "memory") {
        return Ok(());
    }
    for runtime in here.runtimes.iter().filter(|runtime| !runtime.is_floor()) {
        let mut fails = 0;
        let mut runs = MOST_KIB / STEP_KIB;
        if !works(here, runtime, runs)? {
            continue;
        }
        while runs - fails > 1 {
            let middle = fails.midpoint(runs);
            match works(here, runtime, middle)? {
                true => runs = middle,
                false => fails = middle,
            }
        }
        println!("fact {} {} {}", rows::MEMORY, runtime.name, runs * STEP_KIB);
    }
    Ok(())
}

fn works(here: &Here, runtime: &Runtime, steps: u64) -> Result<bool, Error> {
    let bundle = here.bundles.with_memory(steps * STEP_KIB * 1024)?;
    for _ in 0..RUNS {
        if !runs_once(here, runtime, &bundle)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn runs_once(here: &Here, runtime: &Runtime, bundle: &Path) -> Result<bool, Error> {
    let id = here.id();
    let mut command = runtime.run(bundle, &id);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().on_path("start", &runtime.program)?;
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        match child.try_wait().on_path("wait for", &runtime.program)? {
            Some(status) => break Some(status),
            None if Instant::now() > deadline => break None,
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let success = status.is_some_and(|status| status.success());
    if !success {
        processes::end_descendants(std::process::id());
        // A failed run may leave a container behind.
        let mut delete = runtime.verb(&["delete", "--force"], &id);
        delete.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let _ = delete.status();
    }
    reap_all();
    Ok(success)
}
