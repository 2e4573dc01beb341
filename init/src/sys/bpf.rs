//! bpf(2)

use linux_raw_sys::general::__NR_bpf;
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Result;

use super::answer;
use super::syscall::syscall;

const PROG_LOAD: usize = 5;
const PROG_ATTACH: usize = 8;
const PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const CGROUP_DEVICE: u32 = 6;
const ALLOW_MULTI: u32 = 2;

/// The head of union bpf_attr for BPF_PROG_LOAD.
#[repr(C)]
struct Load {
    kind: u32,
    instructions: u32,
    program: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

/// The head of union bpf_attr for BPF_PROG_ATTACH.
#[repr(C)]
struct Attach {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
}

/// bpf(2), BPF_PROG_LOAD: a cgroup device program of 8-byte instructions.
/// Linux 4.15.
pub fn load_device_filter(program: &[u8]) -> Result<OwnedFd> {
    let attributes = Load {
        kind: PROG_TYPE_CGROUP_DEVICE,
        instructions: (program.len() / 8) as u32,
        program: program.as_ptr().addr() as u64,
        license: c"Apache".as_ptr().addr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
    };
    let (place, size) = ((&raw const attributes).addr(), size_of::<Load>());
    // SAFETY: the kernel reads `size` bytes of attributes, and through them the
    // whole instructions in `program` and the license up to its NUL.
    let fd = answer(unsafe { syscall(__NR_bpf, [PROG_LOAD, place, size, 0, 0, 0]) })?;
    // SAFETY: the kernel has just made this fd (O_CLOEXEC); nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// bpf(2), BPF_PROG_ATTACH: every program of the cgroup and above must allow.
pub fn attach_device_filter(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Result<()> {
    let attributes = Attach {
        target: cgroup.as_raw_fd() as u32,
        program: program.as_raw_fd() as u32,
        kind: CGROUP_DEVICE,
        flags: ALLOW_MULTI,
    };
    let (place, size) = ((&raw const attributes).addr(), size_of::<Attach>());
    // SAFETY: the kernel reads `size` bytes of attributes.
    answer(unsafe { syscall(__NR_bpf, [PROG_ATTACH, place, size, 0, 0, 0]) })?;
    Ok(())
}
