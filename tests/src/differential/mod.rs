//! The differential test: containers under vial and under other runtimes, from the same
//! config.json, must look the same from inside.
//!
//! | word | meaning |
//! |---|---|
//! | case | one config.json, made at random from one seed, and its containers |
//! | stage | the directories that all containers of a run use in turn |
//! | seen | what the probe, the cgroup and the rootfs showed of a container |
//! | difference | a field of what was seen that is not the same under two runtimes |
//! | row | an intended difference, with its reason: see `intended` |
//!
//! Each difference is a fault of vial, or a row. `cargo proof differential` runs it in a
//! machine, for as many cases as one wants.

mod compare;
mod detached;
mod generate;
mod glob;
mod intended;
mod listened;
mod mounted;
mod needs;
mod network;
mod normal;
mod noted;
mod random;
mod runtime;
mod shrink;
mod stage;
mod when;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;
use serde_json::Value;
use vial_targets::Error;
use vial_targets::command::OnPath;

use crate::context;
use crate::runner::Totals;
use compare::Difference;
use generate::Place;
use normal::Seen;
use runtime::Runtime;
use stage::Stage;

/// How many differences of a run are shown with the smallest config.json.
const SHOWN: usize = 6;
/// How many containers of each runtime may be run to find it.
const TRIES: usize = 60;
/// How long finding one may take.
const SHRINKING: Duration = Duration::from_secs(20);
/// From this number of cases on, each row must have matched.
const LONG: usize = 1500;

/// Runs `count` cases in a machine, the first of which has this seed, and each further one the next.
/// Prints the differences that no row explains.
///
/// # Errors
/// The stage cannot be made, or a runtime cannot be started.
pub fn run(first: u64, count: usize) -> Result<Totals, Error> {
    let exe = std::env::current_exe().map_err(|error| Error::new(format!("find: {error}")))?;
    let beside = exe.parent().unwrap_or(Path::new("/"));
    if !crate::runner::in_machine() && std::env::var_os("VIAL_ON_HOST").is_none() {
        return Err(Error::new("this belongs in a machine; VIAL_ON_HOST=1 runs it here, as root"));
    }
    let _alone = alone()?;
    let controllers = stage::own_mounts()?;
    let me = rustix::process::getpid();
    rustix::process::set_child_subreaper(Some(me))
        .map_err(|errno| Error::new(format!("prctl(PR_SET_CHILD_SUBREAPER): {errno}")))?;
    let directory = context::directory_of(std::process::id());
    std::fs::create_dir_all(&directory)
        .map_err(|error| Error::new(format!("create {}: {error}", directory.display())))?;
    let vial = std::env::var_os("VIAL_RUNTIME").map(PathBuf::from);
    let vial = vial.unwrap_or_else(|| beside.join("vial"));
    let mut run = Run {
        stage: Stage::new(&directory, &beside.join("probe"))?,
        runtimes: Runtime::all(&vial, controllers),
        place: Place {
            controllers,
            privileged: crate::runner::in_machine(),
            has_ip: network::has_ip(),
            has_profiles: has_profiles(),
        },
        matched: vec![0; intended::rows().count()],
        shown: BTreeMap::new(),
    };
    for runtime in &run.runtimes {
        println!("{} {}", runtime.name, runtime.version);
    }
    if run.runtimes.len() < 2 {
        return Err(Error::new("there is no crun and no runc here to compare with"));
    }
    if count == 1 {
        println!("{}", generate::config(first, run.place));
    }
    let mut totals = Totals::default();
    for seed in first..first + count as u64 {
        match run.case(seed)? {
            true => totals.passed += 1,
            false => totals.failed += 1,
        }
        let done = totals.passed + totals.failed;
        if done % 10 == 0 {
            println!("{done} cases, {} with differences", totals.failed);
        }
    }
    totals.failed += run.end(count);
    println!("{totals}");
    Ok(totals)
}

/// Whether the kernel has the profiles of [`generate`].
fn has_profiles() -> bool {
    std::fs::read_to_string("/sys/kernel/security/apparmor/profiles")
        .is_ok_and(|all| ["crun (", "runc ("].iter().all(|profile| all.contains(profile)))
}

/// Waits until no other run is on this host: all containers have one name.
fn alone() -> Result<File, Error> {
    let path = std::env::temp_dir().join("vial-differential.lock");
    let file = File::create(&path).on_path("create", &path)?;
    rustix::fs::flock(&file, FlockOperation::LockExclusive)
        .map_err(|errno| Error::new(format!("lock {}: {errno}", path.display())))?;
    Ok(file)
}

/// A run of many cases.
struct Run {
    stage: Stage,
    /// vial, then the others.
    runtimes: Vec<Runtime>,
    place: Place,
    /// How many differences each row explained.
    matched: Vec<usize>,
    /// How often each difference was found that no row explains.
    shown: BTreeMap<String, usize>,
}

impl Run {
    /// Whether the containers of a case have no unexplained difference.
    fn case(&mut self, seed: u64) -> Result<bool, Error> {
        let config = generate::config(seed, self.place);
        let Some((vial, others)) =
            self.runtimes.clone().split_first().map(|(v, o)| (v.clone(), o.to_vec()))
        else {
            return Ok(true);
        };
        let ours = vial.run(&self.stage, &config)?;
        let mut equal = true;
        for other in others.iter().filter(|other| needs::are_met(other, &config)) {
            let theirs = other.run(&self.stage, &config)?;
            for difference in differences(&ours, &theirs, other) {
                match intended::explanation(&difference, other, &config) {
                    Some(row) => self.matched[row] += 1,
                    None => {
                        equal = false;
                        self.show(seed, &vial, other, &config, &difference)?;
                        if difference.field == normal::END && !theirs.is_refused() {
                            println!("    {} wrote: {}", other.name, theirs.said.trim());
                        }
                    }
                }
            }
        }
        Ok(equal)
    }

    /// Prints a difference, the first time with the smallest config.json that shows it.
    fn show(
        &mut self,
        seed: u64,
        vial: &Runtime,
        other: &Runtime,
        config: &Value,
        difference: &Difference,
    ) -> Result<(), Error> {
        let name = format!("{} {difference}", other.name);
        let kinds = self.shown.len();
        let count = self.shown.entry(name.clone()).or_default();
        *count += 1;
        if *count > 1 {
            return Ok(());
        }
        println!("seed {seed}: {name}");
        if kinds < SHOWN {
            let began = Instant::now();
            let mut short = config.clone();
            short["process"]["args"] =
                serde_json::json!(["/probe", "survey", when::place(difference), "+", "copy"]);
            let small = shrink::shrink(&short, TRIES, |config| {
                // Without a mount namespace of its own, a container would change the
                // mounts of this process.
                if began.elapsed() > SHRINKING || !generate::has(config, "mount") {
                    return false;
                }
                let seen = |runtime: &Runtime| runtime.run(&self.stage, config);
                let (Ok(ours), Ok(theirs)) = (seen(vial), seen(other)) else { return false };
                still(&differences(&ours, &theirs, other), difference)
            });
            println!("    {small}");
        }
        Ok(())
    }

    /// Prints what was found. Returns the number of rows that a long run did not need.
    fn end(&self, count: usize) -> usize {
        let mut unused = 0;
        for (row, matched) in intended::rows().zip(&self.matched) {
            let is_about_one =
                row.is_certain() && self.runtimes.iter().any(|runtime| row.is_about(runtime));
            // Without controllers, many rows have no chance.
            if is_about_one && *matched == 0 && count >= LONG && self.place.controllers {
                println!("the table has a row that explains nothing: {row}");
                unused += 1;
            }
        }
        let explained: usize = self.matched.iter().sum();
        let used = self.matched.iter().filter(|matched| **matched > 0).count();
        println!("{explained} differences are in the table, in {used} of its rows");
        for (name, count) in &self.shown {
            println!("found {count}: {name}");
        }
        unused
    }
}

/// The differences that this runtime can show.
fn differences(ours: &Seen, theirs: &Seen, other: &Runtime) -> Vec<Difference> {
    let (mut ours, mut theirs) = (ours.clone(), theirs.clone());
    if !other.uses_cgroups() {
        ours.forget_cgroup();
        theirs.forget_cgroup();
    }
    compare::differences(&ours, &theirs)
}

/// Whether the same field still differs in the same way.
fn still(differences: &[Difference], wanted: &Difference) -> bool {
    differences.iter().any(|found| {
        found.field == wanted.field
            && letters(&found.ours) == letters(&wanted.ours)
            && letters(&found.theirs) == letters(&wanted.theirs)
    })
}

/// A text without its numbers, such as the time in a message.
fn letters(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_ascii_digit()).collect()
}
