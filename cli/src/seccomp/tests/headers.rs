//! The kernel's own headers as the measure: linux-raw-sys has the numbers of every
//! architecture as bindgen read them from there.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use super::EVERY;
use crate::seccomp::{Arch, table::Call};

/// Names of the headers of arm that are no calls.
const NO_CALLS: [&str; 3] = ["OABI_SYSCALL_BASE", "SYSCALL_BASE", "SYSCALL_MASK"];

/// The sources of linux-raw-sys, which cargo has already fetched.
fn sources() -> PathBuf {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let mut metadata = Command::new(cargo);
    metadata.args(["metadata", "--format-version=1", "--offline", "--filter-platform"]);
    metadata.arg(format!("{}-unknown-linux-gnu", std::env::consts::ARCH)).arg("--manifest-path");
    let said = metadata.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).output().unwrap();
    let said: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    let packages = said["packages"].as_array().unwrap();
    let found = packages.iter().find(|package| package["name"] == "linux-raw-sys").unwrap();
    PathBuf::from(found["manifest_path"].as_str().unwrap()).with_file_name("src")
}

/// The calls of an architecture in the headers, with their numbers.
fn numbers(directory: &str) -> BTreeMap<String, u32> {
    let text = std::fs::read_to_string(sources().join(directory).join("general.rs")).unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix("pub const __NR_"));
    let entry = |line: &str| {
        let (name, rest) = line.split_once(": u32 = ")?;
        Some((name.to_owned(), rest.strip_suffix(';')?.parse().ok()?))
    };
    lines.filter_map(entry).filter(|(name, _)| !NO_CALLS.contains(&name.as_str())).collect()
}

#[test]
fn every_call_of_the_headers_has_its_number() {
    let directories = ["x86_64", "x86", "x32", "aarch64", "arm", "riscv64"];
    let mut wrong = Vec::new();
    let mut compared = 0;
    for directory in directories {
        let arch = EVERY.iter().find(|arch| format!("{arch:?}").to_lowercase() == directory);
        let arch: Arch = *arch.unwrap();
        for (name, number) in numbers(directory) {
            let ours = Call::named(&name).and_then(|call| call.number(arch));
            compared += 1;
            if ours != Some(number) {
                wrong.push(format!("{directory} {name}: {ours:?}, not {number}"));
            }
        }
    }
    assert!(compared > 2000, "{compared}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
