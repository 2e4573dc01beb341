//! `cargo proof [--quick | FILTER]`: shows that what is claimed holds.
//!
//!     cargo proof            everything, on this host and in machines
//!     cargo proof --quick    what needs no machine
//!     cargo proof FILTER     system tests by name, in the x86_64 machine
//!
//! VIAL_MUST_WORK=1 makes a skipped test a failed one; VIAL_CONSOLE=1 shows a
//! machine's whole console; VIAL_KVM=1 uses KVM; VIAL_RUNTIME=/usr/bin/crun
//! puts another runtime in vial's place in a machine that has it.
#![forbid(unsafe_code)]

mod checks;
mod systems;

use std::process::ExitCode;
use std::time::Instant;

use vial_targets::{ALL, Error, Target};
use vial_tests::runner::{self, Topic, Totals};
use vial_tests::vm::Root;
use vial_tests::{engine, system};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut proof = Proof::default();
    match words[..] {
        [] => {
            proof.everything_on_the_host();
            proof.machines();
        }
        ["--quick"] => proof.everything_on_the_host(),
        [word] if !word.starts_with('-') => proof.by_name(word),
        _ => {
            eprintln!("usage: cargo proof [--quick | FILTER]");
            return ExitCode::from(2);
        }
    }
    proof.end()
}

/// The chapters so far.
struct Proof {
    began: Instant,
    totals: Totals,
}

impl Default for Proof {
    fn default() -> Self {
        Self { began: Instant::now(), totals: Totals::default() }
    }
}

impl Proof {
    fn everything_on_the_host(&mut self) {
        self.chapter("packages", checks::packages);
        self.chapter("format, lints and documentation", checks::lints);
        self.chapter("unit tests", checks::unit_tests);
        self.chapter("vial-init cannot panic", checks::no_panic);
        for target in ALL {
            self.chapter(&format!("ship {}", target.name), || checks::ship(target));
        }
        self.chapter("system tests on this host", systems::native);
    }

    fn machines(&mut self) {
        for target in ALL {
            self.machine(target, Root::Tmpfs, "");
        }
        if let Some(target) = vial_targets::native() {
            self.chapter("engines", || systems::engines(target, ""));
        }
    }

    /// In a machine, so that it is the same everywhere. A name that matches
    /// nothing would be a proof of nothing, and fails.
    fn by_name(&mut self, filter: &str) {
        let Some(target) = vial_targets::by_name("x86_64") else {
            return;
        };
        let named = |topics: &[&Topic]| !runner::names(topics, filter).is_empty();
        let (of_vial, of_engines) = (named(system::ALL), named(engine::ALL));
        if !of_vial && !of_engines {
            println!("no system test has {filter} in its name");
            self.totals.failed += 1;
            return;
        }
        self.chapter("ship x86_64", || checks::ship(target));
        if of_vial {
            self.machine(target, Root::Tmpfs, filter);
        }
        if of_engines {
            self.chapter("engines", || systems::engines(target, filter));
        }
    }

    fn machine(&mut self, target: &'static Target, root: Root, filter: &str) {
        let name = format!("system tests in the {} machine", target.name);
        self.chapter(&name, || systems::machine(target, root, filter));
    }

    /// One chapter: its heading, its work, its share of the totals.
    fn chapter(&mut self, name: &str, work: impl FnOnce() -> Result<Totals, Error>) {
        let elapsed = self.began.elapsed().as_secs();
        println!("\n== {name} (at {elapsed} s)");
        match work() {
            Ok(totals) => self.totals.add(totals),
            Err(error) => {
                println!("FAILED {error}");
                self.totals.failed += 1;
            }
        }
    }

    fn end(self) -> ExitCode {
        println!("\n== after {} s", self.began.elapsed().as_secs());
        println!("{}", self.totals);
        if self.totals.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
