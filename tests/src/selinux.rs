//! A policy for SELinux, with which a machine boots.

use std::path::{Path, PathBuf};
use std::process::Command;

use vial_targets::command::{self, OnPath};
use vial_targets::{Error, debian};

/// The policy's name among our binaries in the machine.
pub const POLICY: &str = "selinux.policy";
/// The parameters on the kernel's command line that turn SELinux on.
pub const WORDS: &str = " security=selinux selinux=1 enforcing=0";

/// The text of the policy.
const TEXT: &str = include_str!("selinux.conf");

/// Compiles the policy with Debian's checkpolicy, of the version that Linux 5.10 and later
/// take. Returns its file.
///
/// # Errors
/// checkpolicy cannot be fetched, or refuses the policy.
pub fn policy(directory: &Path) -> Result<PathBuf, Error> {
    let checkpolicy = debian::unpacked(None, "checkpolicy", "amd64")?.join("usr/bin/checkpolicy");
    let (text, policy) = (directory.join("selinux.conf"), directory.join(POLICY));
    std::fs::write(&text, TEXT).on_path("write", &text)?;
    let mut compile = Command::new(checkpolicy);
    compile.args(["-U", "allow", "-c", "31", "-o"]).arg(&policy).arg(&text);
    command::output(&mut compile)?;
    Ok(policy)
}
