//! The only unsafe code besides the entry point: system calls that rustix lacks, or
//! offers in a form that does not fit. One file each, named like the man page, and
//! without policy.
#![allow(unsafe_code, reason = "this is the one place for it; see each SAFETY")]

pub mod borrowed;
pub mod bpf;
pub mod clock_gettime;
pub mod clone3;
pub mod close_range;
pub mod execve;
pub mod exit;
pub mod getcwd;
pub mod heap;
pub mod ifup;
pub mod inherited;
pub mod ioprio_set;
pub mod keyctl;
pub mod memory;
pub mod mount_setattr;
mod number;
pub mod personality;
pub mod recvmsg;
pub mod sched_setaffinity;
pub mod sched_setattr;
pub mod seccomp;
pub mod set_mempolicy;
pub mod setgroups;
pub mod setns;
pub mod setrlimit;
pub mod signal;
pub mod start;
pub mod stdio;
#[cfg_attr(target_arch = "x86_64", path = "syscall/x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "syscall/aarch64.rs")]
#[cfg_attr(target_arch = "arm", path = "syscall/arm.rs")]
#[cfg_attr(target_arch = "x86", path = "syscall/x86.rs")]
#[cfg_attr(target_arch = "riscv64", path = "syscall/riscv64.rs")]
mod syscall;
pub mod unshare;

use rustix::io::Errno;

/// Splits the kernel's return value into a value or an errno.
fn to_result(value: isize) -> Result<usize, Errno> {
    match value {
        -4095..=-1 => Err(Errno::from_raw_os_error(value.unsigned_abs() as i32)),
        _ => Ok(value.cast_unsigned()),
    }
}
