//! Callers of vial in unusual situations: the probe brings itself into one, and
//! then executes vial.

use std::fs;
use std::io;
use std::os::fd::IntoRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::mount::{MountPropagationFlags, mount_bind_recursive, mount_change};
use rustix::thread::{
    CapabilitySet, capabilities, configure_capability_in_ambient_set,
    remove_capability_from_bounding_set, set_capabilities,
};
use vial_tests::sys;

/// Executes a program in one of these roles:
///
/// | role | what the caller has |
/// |---|---|
/// | `parent:FILE` | a child that sleeps; FILE gets its pid |
/// | `activated` | fds from systemd's socket activation |
/// | `opened:N` | N more open files |
/// | `without:N` | root without capability N |
/// | `ambient:N` | capability N in the inheritable and ambient sets |
/// | `groups:N` | the supplementary group N |
/// | `covered:FILE:PLACE` | a new mount namespace, where FILE is bound on PLACE |
/// | `pinned:N` | CPU N only |
/// | `unshared:N` | a parent in new namespaces: N is the flags of unshare(2) |
/// | `namespaced` | a new user namespace without id maps |
/// | `namespaced-root` | a new user namespace, in which the caller is root |
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
        ("opened", count) => {
            for _ in 0..parse(count)? {
                let file = fs::File::open("/proc/self/exe")?;
                fcntl_setfd(&file, FdFlags::empty())?;
                let _ = file.into_raw_fd(); // It stays open.
            }
        }
        ("without", number) => {
            let bit = 1 << parse(number)?;
            // For root, execve(2) limits the permitted set to the bounding set.
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
            sys::call(sys::number::SETGROUPS, [1, list, 0, 0, 0, 0])?;
        }
        ("pinned", number) => {
            let cpus = [1_u64 << parse(number)?];
            let list = cpus.as_ptr().expose_provenance();
            sys::call(libc::SYS_sched_setaffinity, [0, 8, list, 0, 0, 0])?;
        }
        ("covered", words) => {
            let (file, place) = words.split_once(':').unwrap_or_default();
            let flags = libc::CLONE_NEWNS as usize;
            sys::call(libc::SYS_unshare, [flags, 0, 0, 0, 0, 0])?;
            mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
            mount_bind_recursive(file, place)?;
        }
        ("unshared", flags) => {
            let flags = usize::try_from(parse(flags)?).map_err(io::Error::other)?;
            sys::call(libc::SYS_unshare, [flags, 0, 0, 0, 0, 0])?;
            // Only a child is in a new pid namespace. Linux before 6.3 refuses a new time
            // namespace to the vfork(2) of `Command`.
            return sys::in_child(|| program.exec().raw_os_error().unwrap_or(255)).map(drop);
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

/// unshare(2). rustix's own wrapper is unsafe, as it may break a threaded process.
fn new_user_namespace() -> io::Result<()> {
    let flags = libc::CLONE_NEWUSER as usize;
    sys::call(libc::SYS_unshare, [flags, 0, 0, 0, 0, 0]).map(|_| ())
}
