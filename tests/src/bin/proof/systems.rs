//! Where the system tests run: this host, and machines.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use vial_targets::command::OnPath;
use vial_targets::{Error, Target, debian, ship};
use vial_tests::runner::Totals;
use vial_tests::vm::{Machine, Root};

/// The system tests on this host.
pub(crate) fn native() -> Result<Totals, Error> {
    let Some(target) = vial_targets::native() else {
        println!("skipped: this host's architecture is no target");
        return Ok(Totals { skipped: 1, ..Totals::default() });
    };
    if !debian::is_root() {
        println!("skipped: containers on this host need root; the machines below do not");
        return Ok(Totals { skipped: 1, ..Totals::default() });
    }
    let guest = ship::output_folder().join("ship").join(target.name).join("guest");
    let mut child =
        Command::new(&guest).arg("run").stdout(Stdio::piped()).spawn().on_path("start", &guest)?;
    let mut tally = Tally::default();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).lines().map_while(Result::ok).for_each(|line| tally.line(&line));
    }
    child.wait().on_path("wait for", &guest)?;
    tally.totals()
}

/// The system tests in a machine of that target.
pub(crate) fn machine(target: &'static Target, root: Root, filter: &str) -> Result<Totals, Error> {
    let mut machine = Machine::of_tests(target, root, filter);
    machine.environment = passed_on();
    let mut tally = Tally::default();
    machine.run(&mut |line| tally.line(line))?;
    tally.totals()
}

/// The engines that this host has, in a machine that borrows its /.
pub(crate) fn engines(target: &'static Target, filter: &str) -> Result<Totals, Error> {
    let machine = Machine {
        target,
        root: Root::Host,
        command: ["guest", "engines", filter].map(str::to_owned).to_vec(),
        environment: passed_on(),
        files: Vec::new(),
        time_limit: Duration::from_secs(900),
    };
    let mut tally = Tally::default();
    machine.run(&mut |line| tally.line(line))?;
    tally.totals()
}

/// Variables of this process that the tests in a machine heed too.
fn passed_on() -> Vec<String> {
    std::env::vars()
        .filter(|(name, _)| name == "VIAL_MUST_WORK")
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}

/// Prints the lines of a run, and keeps its totals.
#[derive(Default)]
struct Tally(Option<Totals>);

impl Tally {
    fn line(&mut self, line: &str) {
        println!("{line}");
        self.0 = Totals::read(line).or(self.0);
    }

    fn totals(self) -> Result<Totals, Error> {
        self.0.ok_or_else(|| Error::new("the tests ended without totals"))
    }
}
