//! Callers of vial that are not as simple as a test: what the probe is when it
//! executes vial in its own place.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::mount::{MountPropagationFlags, mount_bind_recursive, mount_change};
use rustix::thread::{
    CapabilitySet, capabilities, configure_capability_in_ambient_set,
    remove_capability_from_bounding_set, set_capabilities,
};
use vial_tests::sys;

/// Executes a program as one of them:
///
/// | role | what the caller has |
/// |---|---|
/// | `parent:FILE` | a child that sleeps, whose pid is in FILE |
/// | `activated` | fds of systemd's socket activation that are for it |
/// | `without:N` | no capability of number N, though it is root |
/// | `ambient:N` | capability number N in its inheritable and ambient sets |
/// | `groups:N` | the supplementary group N |
/// | `covered:FILE:PLACE` | a mount namespace of its own, where FILE is bound on PLACE |
/// | `namespaced` | a user namespace of its own, which nobody has mapped |
/// | `namespaced-root` | one in which it is root |
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
            let bit = 1 << parse(number)?;
            // execve(2) gives root what the bounding set holds, and no more.
            remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(bit))?;
        }
        ("ambient", number) => {
            let bit = CapabilitySet::from_bits_retain(1 << parse(number)?);
            let mut sets = capabilities(None)?;
            sets.inheritable |= bit;
            set_capabilities(None, sets)?;
            configure_capability_in_ambient_set(bit, true)?;
        }
        ("groups", number) => {
            let groups = [parse(number)?];
            let list = groups.as_ptr().expose_provenance();
            sys::call(libc::SYS_setgroups, [1, list, 0, 0, 0, 0])?;
        }
        ("covered", words) => {
            let (file, place) = words.split_once(':').unwrap_or_default();
            let flags = libc::CLONE_NEWNS as usize;
            sys::call(libc::SYS_unshare, [flags, 0, 0, 0, 0, 0])?;
            mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
            mount_bind_recursive(file, place)?;
        }
        ("namespaced", "") => new_user_namespace()?,
        ("namespaced-root", "") => {
            let (uid, gid) = (rustix::process::getuid(), rustix::process::getgid());
            new_user_namespace()?;
            fs::write("/proc/self/setgroups", "deny")?;
            fs::write("/proc/self/uid_map", format!("0 {} 1", uid.as_raw()))?;
            fs::write("/proc/self/gid_map", format!("0 {} 1", gid.as_raw()))?;
        }
        _ => return Err(io::Error::other("no such role")),
    }
    Err(program.exec())
}

fn parse(number: &str) -> io::Result<u32> {
    number.parse().map_err(io::Error::other)
}

/// unshare(2), which rustix counts among what may break a process of threads.
fn new_user_namespace() -> io::Result<()> {
    let flags = libc::CLONE_NEWUSER as usize;
    sys::call(libc::SYS_unshare, [flags, 0, 0, 0, 0, 0]).map(|_| ())
}
