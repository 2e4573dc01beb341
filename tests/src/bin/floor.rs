//! floor: does the least that the start of a container needs, as a baseline for
//! measuring runtimes. It reads no config.json, keeps no state, protects nothing.
//!
//!     floor ROOTFS CGROUP PROGRAM [ARGUMENT..]
//!
//! Creates CGROUP and starts a process in it, with new pid, network, ipc, uts,
//! mount and cgroup namespaces, and with ROOTFS and a proc as its root. Executes
//! PROGRAM there, waits, and removes CGROUP. The exit code is PROGRAM's.
#![forbid(unsafe_code)]

use std::convert::Infallible;
use std::ffi::CString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use rustix::process::{Pid, WaitOptions, waitpid};
use vial_tests::sys;

/// The exit code if the start fails.
const FAILED: u8 = 125;

fn main() -> ExitCode {
    let words = std::env::args_os().skip(1).map(|word| CString::new(word.into_vec()));
    let Ok(words) = words.collect::<Result<Vec<CString>, _>>() else {
        return ExitCode::from(FAILED);
    };
    let [rootfs, cgroup, program @ ..] = &words[..] else {
        eprintln!("usage: floor ROOTFS CGROUP PROGRAM [ARGUMENT..]");
        return ExitCode::from(2);
    };
    match run(rootfs, cgroup, program) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("floor: {error}");
            ExitCode::from(FAILED)
        }
    }
}

fn run(rootfs: &CString, cgroup: &CString, program: &[CString]) -> std::io::Result<u8> {
    rustix::fs::mkdir(cgroup, Mode::from_raw_mode(0o755))?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let inside = rustix::fs::openat(CWD, cgroup, flags, Mode::empty())?;
    let Some(child) = clone3(&inside)? else {
        let Err(error) = become_container(rootfs, program);
        eprintln!("floor: in the container: {error}");
        std::process::exit(FAILED.into());
    };
    let status = waitpid(Some(child), WaitOptions::empty())?;
    rustix::fs::rmdir(cgroup)?;
    let code = status.and_then(|(_, status)| status.exit_status());
    Ok(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(FAILED))
}

/// clone3(2) into new namespaces and into the cgroup. Returns None in the child.
fn clone3(cgroup: &OwnedFd) -> std::io::Result<Option<Pid>> {
    const NAMESPACES: libc::c_int = libc::CLONE_NEWPID
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWCGROUP;
    const INTO_CGROUP: u64 = 0x2_0000_0000;
    // struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, stack,
    // stack_size, tls, set_tid, set_tid_size, cgroup.
    let mut arguments = [0_u64; 11];
    arguments[0] = INTO_CGROUP | u64::from(NAMESPACES.cast_unsigned());
    arguments[4] = libc::SIGCHLD as u64;
    arguments[10] = u64::from(cgroup.as_raw_fd().cast_unsigned());
    let place = arguments.as_ptr().expose_provenance();
    let child = sys::call(libc::SYS_clone3, [place, size_of_val(&arguments), 0, 0, 0, 0])?;
    Ok(Pid::from_raw(child as i32))
}

/// Returns only if it fails.
fn become_container(rootfs: &CString, program: &[CString]) -> std::io::Result<Infallible> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private)?;
    rustix::mount::mount_bind_recursive(rootfs, rootfs)?;
    rustix::process::chdir(rootfs)?;
    rustix::process::pivot_root(".", ".")?;
    rustix::mount::unmount(".", UnmountFlags::DETACH)?;
    rustix::mount::mount("proc", "/proc", "proc", MountFlags::empty(), None)?;

    let mut pointers: Vec<usize> =
        program.iter().map(|word| word.as_ptr().expose_provenance()).collect();
    pointers.push(0);
    let list = pointers.as_ptr().expose_provenance();
    let empty = [0_usize];
    let environment = empty.as_ptr().expose_provenance();
    sys::call(libc::SYS_execve, [pointers[0], list, environment, 0, 0, 0])?;
    Err(std::io::Error::other("execve(2) returned"))
}
