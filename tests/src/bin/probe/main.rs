//! probe: runs inside containers, reports what it sees and does what it is told.
//!
//!     probe report                prints what it sees, as a JSON object
//!     probe DEED [ARG...]         does one deed: see deeds.rs
//!     probe DEED ... + DEED ...   does several in turn, until one fails
#![forbid(unsafe_code)]

mod attacks;
mod callers;
mod deeds;
mod hook;
mod notify;
mod report;
mod survey;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    for deed in arguments.split(|word| word == "+") {
        let words: Vec<&str> = deed.iter().map(String::as_str).collect();
        match deeds::run(&words) {
            Ok(()) => {}
            Err(deeds::End::Exit(code)) => return ExitCode::from(code),
            Err(deeds::End::Failed(error)) => {
                println!("{}", vial_tests::sys::errno_name(&error));
                eprintln!("probe {}: {error}", words.join(" "));
                return ExitCode::FAILURE;
            }
            Err(deeds::End::Misused(why)) => {
                eprintln!("probe {}: {why}", words.join(" "));
                return ExitCode::from(2);
            }
        }
    }
    ExitCode::SUCCESS
}
