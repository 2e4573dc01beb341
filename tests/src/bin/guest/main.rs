//! guest: runs the system tests. As PID 1 it sets up a machine for them first.
//!
//!     guest run [FILTER [N]]       every system test whose topic::name contains
//!                                  FILTER, except for the first N
//!     guest engines [FILTER [N]]   the same for the engine tests
//!     guest differential SEED N    N cases of the differential test, from this seed on
//!     guest test NAME              this one test, in this process
//!     guest list                   prints the names of all tests
//!     guest job                    runs the program that a systemd machine was booted for
#![forbid(unsafe_code)]

mod boot;
mod systemd;

use std::process::ExitCode;

use vial_tests::runner::Topic;
use vial_tests::{differential, engine, runner, system};

fn main() -> ExitCode {
    if rustix::process::getpid().is_init() {
        boot::be_init();
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["run", ref rest @ ..] if rest.len() <= 2 => run(system::ALL, rest),
        ["engines", ref rest @ ..] if rest.len() <= 2 => run(engine::ALL, rest),
        ["differential", seed, count] => differ(seed, count),
        ["test", name] => runner::run_here(name),
        ["job"] => boot::be_job(),
        ["list"] => {
            for topics in [system::ALL, engine::ALL] {
                runner::names(topics, "").iter().for_each(|name| println!("{name}"));
            }
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!(
                "usage: guest run [FILTER [N]] | engines [FILTER [N]] | differential SEED N | test NAME | list"
            );
            ExitCode::from(2)
        }
    }
}

fn run(topics: &[&Topic], words: &[&str]) -> ExitCode {
    let filter = words.first().copied().unwrap_or_default();
    let pass_over = words.get(1).and_then(|number| number.parse().ok()).unwrap_or_default();
    match runner::run(topics, filter, pass_over) {
        Ok(totals) if totals.failed == 0 => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("guest: {error}");
            ExitCode::FAILURE
        }
    }
}

fn differ(seed: &str, count: &str) -> ExitCode {
    let (Ok(seed), Ok(count)) = (seed.parse(), count.parse()) else {
        eprintln!("guest: SEED and N are numbers");
        return ExitCode::from(2);
    };
    match differential::run(seed, count) {
        Ok(totals) if totals.failed == 0 => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("guest: {error}");
            ExitCode::FAILURE
        }
    }
}
