//! bpf(2)

use linux_raw_sys::general::__NR_bpf;
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Result;

use super::syscall::syscall;
use super::to_result;

const PROG_LOAD: usize = 5;
const PROG_ATTACH: usize = 8;
const PROG_DETACH: usize = 9;
const PROG_GET_FD_BY_ID: usize = 13;
const PROG_QUERY: usize = 16;
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

/// union bpf_attr for BPF_PROG_QUERY, with every field that any kernel has. A kernel
/// that knows fewer of them requires the rest to be 0.
#[repr(C)]
#[derive(Default)]
struct Query {
    target: u32,
    kind: u32,
    query_flags: u32,
    flags: u32,
    ids: u64,
    count: u32,
    unused: u32,
    more: [u64; 4],
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
    let (address, size) = ((&raw const attributes).addr(), size_of::<Load>());
    // SAFETY: the kernel reads `size` bytes of attributes, and through its pointers the
    // whole instructions of `program` and the license with its NUL.
    let fd = to_result(unsafe { syscall(__NR_bpf, [PROG_LOAD, address, size, 0, 0, 0]) })?;
    // SAFETY: the kernel has just made this fd (O_CLOEXEC), so nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// bpf(2), BPF_PROG_ATTACH: every program of the cgroup and of those above must allow
/// an access. Returns whether this replaced an earlier one: a cgroup whose program was
/// attached without BPF_F_ALLOW_MULTI has only that one, and attaching replaces it.
pub fn attach_device_filter(
    cgroup: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
    earlier: &DeviceFilters,
) -> Result<bool> {
    let replaces = earlier.count > 0 && earlier.flags & ALLOW_MULTI == 0;
    let attributes = Attach {
        target: cgroup.as_raw_fd() as u32,
        program: program.as_raw_fd() as u32,
        kind: CGROUP_DEVICE,
        flags: if replaces { earlier.flags } else { ALLOW_MULTI },
    };
    let (address, size) = ((&raw const attributes).addr(), size_of::<Attach>());
    // SAFETY: the kernel reads `size` bytes of attributes.
    to_result(unsafe { syscall(__NR_bpf, [PROG_ATTACH, address, size, 0, 0, 0]) })?;
    Ok(replaces)
}

/// The ids of the device filters that are attached to the cgroup itself.
#[derive(Debug)]
pub struct DeviceFilters {
    ids: [u32; DeviceFilters::MAX],
    count: u32,
    /// The BPF_F_* flags that they were attached with.
    flags: u32,
}

impl DeviceFilters {
    /// BPF_CGROUP_MAX_PROGS (kernel/bpf/cgroup.c).
    const MAX: usize = 64;

    /// Those of a new cgroup.
    pub fn none() -> DeviceFilters {
        DeviceFilters { ids: [0; DeviceFilters::MAX], count: 0, flags: 0 }
    }

    /// bpf(2), BPF_PROG_QUERY. Linux 4.15.
    pub fn of(cgroup: BorrowedFd<'_>) -> Result<DeviceFilters> {
        let mut filters = DeviceFilters::none();
        let mut query = Query {
            target: cgroup.as_raw_fd() as u32,
            kind: CGROUP_DEVICE,
            ids: (&raw mut filters.ids).expose_provenance() as u64,
            count: DeviceFilters::MAX as u32,
            ..Query::default()
        };
        let (address, size) = ((&raw mut query).expose_provenance(), size_of::<Query>());
        // SAFETY: the kernel reads and writes `size` bytes at query, and writes at most
        // `count` ids through it. Both outlive the call and are borrowed for writing.
        to_result(unsafe { syscall(__NR_bpf, [PROG_QUERY, address, size, 0, 0, 0]) })?;
        filters.count = query.count;
        filters.flags = query.flags;
        Ok(filters)
    }

    /// The ids, as BPF_PROG_GET_FD_BY_ID takes them.
    pub fn ids(&self) -> &[u32] {
        self.ids.get(..self.count as usize).unwrap_or_default()
    }
}

/// bpf(2), BPF_PROG_GET_FD_BY_ID and BPF_PROG_DETACH.
pub fn detach_device_filter(cgroup: BorrowedFd<'_>, id: u32) -> Result<()> {
    let (address, size) = ((&raw const id).addr(), size_of::<u32>());
    // SAFETY: the kernel reads `size` bytes at id.
    let fd = to_result(unsafe { syscall(__NR_bpf, [PROG_GET_FD_BY_ID, address, size, 0, 0, 0]) })?;
    // SAFETY: the kernel has just made this fd (O_CLOEXEC), so nothing else owns it.
    let program = unsafe { OwnedFd::from_raw_fd(fd as i32) };
    let attributes = Attach {
        target: cgroup.as_raw_fd() as u32,
        program: program.as_raw_fd() as u32,
        kind: CGROUP_DEVICE,
        flags: 0,
    };
    let (address, size) = ((&raw const attributes).addr(), size_of::<Attach>());
    // SAFETY: the kernel reads `size` bytes of attributes.
    to_result(unsafe { syscall(__NR_bpf, [PROG_DETACH, address, size, 0, 0, 0]) })?;
    Ok(())
}
