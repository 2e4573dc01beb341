//! Callers of vial that are not as simple as a test: what the probe is when it
//! executes vial in its own place.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};

/// Executes a program as one of them:
///
/// | role | what the caller has |
/// |---|---|
/// | `parent:FILE` | a child that sleeps, whose pid is in FILE |
/// | `activated` | fds of systemd's socket activation that are for it |
/// | `without:N` | no capability of number N, though it is root |
pub(crate) fn execute_as(role: &str, program: &mut Command) -> io::Result<()> {
    match role.split_once(':').unwrap_or((role, "")) {
        ("parent", file) => {
            let mut child = Command::new("/proc/self/exe");
            child.args(["sleep", "100"]).stdin(Stdio::null());
            child.stdout(Stdio::null()).stderr(Stdio::null());
            fs::write(file, child.spawn()?.id().to_string())?;
        }
        ("activated", "") => {
            program.env("LISTEN_PID", std::process::id().to_string());
        }
        ("without", number) => {
            let bit = 1 << number.parse::<u32>().map_err(io::Error::other)?;
            // execve(2) gives root what the bounding set holds, and no more.
            remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(bit))?;
        }
        _ => return Err(io::Error::other("no such role")),
    }
    Err(program.exec())
}
