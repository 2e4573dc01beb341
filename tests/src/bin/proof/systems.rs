//! Runs the system tests on this host and in machines.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use vial_targets::command::OnPath;
use vial_targets::{Error, Kernel, Target, debian, kernel};
use vial_tests::cgroups::Cgroups;
use vial_tests::runner::{self, Topic, Totals};
use vial_tests::vm::{Machine, Root};
use vial_tests::{engine, system};

/// Runs the system tests on this host, with the binaries in `directory`.
pub(crate) fn native(directory: &Path, filter: &str) -> Result<Totals, Error> {
    if vial_targets::native().is_none() {
        println!("skipped: this host's architecture is no target");
        return Ok(Totals { skipped: 1, ..Totals::default() });
    }
    if !debian::is_root() {
        println!("skipped: containers on this host need root; the machines below do not");
        return Ok(Totals { skipped: 1, ..Totals::default() });
    }
    let guest = directory.join("guest");
    let mut command = Command::new(&guest);
    command.args(["run", filter]).stdout(Stdio::piped());
    let mut child = command.spawn().on_path("start", &guest)?;
    let mut tally = Tally::default();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).lines().map_while(Result::ok).for_each(|line| tally.line(&line));
    }
    child.wait().on_path("wait for", &guest)?;
    if tally.whole { Ok(tally.totals) } else { Err(Error::new("the tests ended without totals")) }
}

/// A machine to run the system tests in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) target: &'static Target,
    pub(crate) kernel: &'static Kernel,
    pub(crate) root: Root,
    pub(crate) cgroups: Cgroups,
    pub(crate) selinux: bool,
}

impl Place {
    /// A machine with the usual cgroups.
    pub(crate) fn usual(target: &'static Target, kernel: &'static Kernel, root: Root) -> Self {
        Self { target, kernel, root, cgroups: Cgroups::default(), selinux: false }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (target, kernel, root) = (self.target.name, self.kernel.name, self.root.word());
        let cgroups = self.cgroups.word();
        let selinux = if self.selinux { ", SELinux" } else { "" };
        write!(f, "the {target} machine (kernel {kernel}, root {root}, cgroups {cgroups}{selinux})")
    }
}

/// Runs the system tests in a machine.
pub(crate) fn machine(place: Place, filter: &str) -> Result<Totals, Error> {
    let Place { target, kernel, root, cgroups, selinux } = place;
    match kernel.unpacked(target, target.kernel) {
        // sid changes daily, so a kernel that it lacks today is no failure.
        Err(error) if kernel.moves => {
            println!("skipped: the kernel of {} cannot be had today: {error}", kernel.suite);
            return Ok(Totals { skipped: 1, ..Totals::default() });
        }
        had => had?,
    };
    in_machines(system::ALL, filter, |pass_over| {
        let words = ["run", filter, pass_over];
        Machine { cgroups, selinux, ..Machine::of_tests(target, kernel, root, words, passed_on()) }
    })
}

/// Runs the engine tests in a whole system. Without systemd, the tests that need
/// it are skipped.
pub(crate) fn engines(place: Place, filter: &str) -> Result<Totals, Error> {
    let Place { target, kernel, root, .. } = place;
    in_machines(engine::ALL, filter, |pass_over| {
        Machine::of_tests(target, kernel, root, ["engines", filter, pass_over], passed_on())
    })
}

/// A run of the differential test.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Differential {
    /// The / of the machine, whose crun and runc are compared with vial.
    pub(crate) root: Root,
    pub(crate) seed: u64,
    pub(crate) cases: u64,
}

impl Default for Differential {
    /// Some cases, with Debian 13's crun and runc, which are on the disk.
    fn default() -> Self {
        Self { root: Root::Systemd, seed: 1, cases: 30 }
    }
}

impl std::fmt::Display for Differential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "seeds {} to {}", self.seed, self.seed.saturating_add(self.cases) - 1)?;
        write!(f, " in the machine with root {}", self.root.word())
    }
}

impl Differential {
    /// What the arguments ask for.
    pub(crate) fn from_words(words: &[&str]) -> Option<Self> {
        let mut wanted = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--seed" => wanted.seed = words.next()?.parse().ok()?,
                "--cases" => wanted.cases = words.next()?.parse().ok().filter(|n| *n > 0)?,
                "--host" => wanted.root = Root::Host,
                _ => return None,
            }
        }
        Some(wanted)
    }

    pub(crate) fn run(self) -> Result<Totals, Error> {
        let Some(target) = vial_targets::by_name("x86_64") else { return Ok(Totals::default()) };
        let kernel = match self.root {
            Root::Systemd => kernel::OF_DISK,
            _ => kernel::USUAL,
        };
        let (seed, cases) = (self.seed.to_string(), self.cases.to_string());
        let words = ["differential", &seed, &cases];
        let mut machine = Machine::of_tests(target, kernel, self.root, words, passed_on());
        // A case takes one to two seconds, and three minutes if a runtime hangs.
        machine.time_limit = Duration::from_secs(600 + 20 * self.cases);
        let mut tally = Tally::default();
        machine.run(&mut |line| tally.line(line))?;
        if tally.whole { Ok(tally.totals) } else { Err(Error::new("it ended without totals")) }
    }
}

/// How many machines may hang before the remaining tests are given up.
const MAX_STOPS: usize = 3;

/// Runs tests in a machine. An emulated machine may hang; another one then goes on
/// from the test in which it hung. If a second machine hangs in the same test, the
/// test has failed, and is left out.
fn in_machines(
    topics: &[&Topic],
    filter: &str,
    machine: impl Fn(&str) -> Machine,
) -> Result<Totals, Error> {
    let names = runner::names(topics, filter);
    let (mut tally, mut stops) = (Tally::default(), Vec::new());
    loop {
        tally.before = tally.totals;
        let done = tally.ended;
        let ran = machine(&done.to_string()).run(&mut |line| tally.line(line));
        let why = match (ran, tally.whole) {
            (Ok(_), true) => return Ok(tally.totals),
            (Ok(_), false) => Error::new("the tests ended without totals"),
            (Err(error), _) => error,
        };
        let Some(name) = names.get(tally.ended).filter(|_| stops.len() < MAX_STOPS) else {
            return Err(why);
        };
        println!("STOPPED in {name}: {why}");
        if stops.contains(&tally.ended) {
            println!("test {name} ... FAILED (two machines stopped in it)");
            tally.totals.failed += 1;
            tally.ended += 1;
        }
        stops.push(tally.ended);
    }
}

/// Environment variables that the tests in a machine get from this process.
fn passed_on() -> Vec<String> {
    std::env::vars()
        .filter(|(name, _)| ["VIAL_MUST_WORK", "VIAL_RUNTIME"].contains(&name.as_str()))
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}

/// Prints the lines of a run, and counts the tests that ended.
#[derive(Default)]
struct Tally {
    totals: Totals,
    /// How many tests ended.
    ended: usize,
    /// Whether the run printed its totals.
    whole: bool,
    /// The totals before this run.
    before: Totals,
}

impl Tally {
    fn line(&mut self, line: &str) {
        println!("{line}");
        if let Some((_, one)) = runner::ended(line) {
            self.totals.add(one);
            self.ended += 1;
        } else if let Some(mut all) = Totals::read(line) {
            // The kernel may garble a test's line on the console. The totals are exact.
            all.add(self.before);
            (self.totals, self.whole) = (all, true);
        }
    }
}
