//! guest: runs the system tests; as PID 1, sets a machine up for them first.
//!
//!     guest run [FILTER]   each test whose topic::name has FILTER in it
//!     guest engines        the tests of engines on top of vial
//!     guest test NAME      that one test, in this process
//!     guest list           their names
#![forbid(unsafe_code)]

mod boot;

use std::process::ExitCode;

use vial_tests::runner::Topic;
use vial_tests::{engine, runner, system};

fn main() -> ExitCode {
    if rustix::process::getpid().is_init() {
        boot::be_init();
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["run"] => run(system::ALL, ""),
        ["run", filter] => run(system::ALL, filter),
        ["engines"] => run(engine::ALL, ""),
        ["engines", filter] => run(engine::ALL, filter),
        ["test", name] => runner::run_here(name),
        ["list"] => {
            for topic in system::ALL.iter().chain(engine::ALL) {
                topic.tests.iter().for_each(|test| println!("{}::{}", topic.name, test.name));
            }
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("usage: guest run [FILTER] | engines [FILTER] | test NAME | list");
            ExitCode::from(2)
        }
    }
}

fn run(topics: &[&Topic], filter: &str) -> ExitCode {
    match runner::run(topics, filter) {
        Ok(totals) if totals.failed == 0 => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("guest: {error}");
            ExitCode::FAILURE
        }
    }
}
