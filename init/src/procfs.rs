//! The one procfs fd. It is opened outside the container, before any mount of the
//! container exists, and serves every access to procfs. The container can neither cover
//! it nor replace it with another filesystem.

use core::ffi::CStr;

use linux_raw_sys::general;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    CWD, Mode, OFlags, ResolveFlags, fstat, fstatfs, openat, openat2, readlinkat_raw,
};
use rustix::io::{Errno, Result, write};
use vial_plan::{Call, Step};

use crate::fault::{During, Fault, Of};
use crate::path::PathBuffer;

pub(crate) const PROC_SUPER_MAGIC: u64 = general::PROC_SUPER_MAGIC as u64;
const PROC_ROOT_INO: u64 = 1;

/// The root of the host's procfs.
#[derive(Debug)]
pub struct Procfs(OwnedFd);

impl AsFd for Procfs {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Procfs {
    /// Opens /proc and checks that it is the root of a procfs.
    pub fn open() -> core::result::Result<Procfs, Fault> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd =
            openat(CWD, c"/proc", flags, Mode::empty()).during(Call::Openat, Step::OpenProcfs)?;
        check(fd.as_fd())?;
        let root = fstat(&fd).during(Call::Fstat, Step::CheckProcfs)?;
        if root.st_ino != PROC_ROOT_INO {
            return Err(Fault::new(Call::Fstat, Step::CheckProcfs, Errno::NOTDIR));
        }
        Ok(Procfs(fd))
    }

    /// Writes a file with one write(2).
    pub fn write(&self, path: &CStr, value: &[u8]) -> core::result::Result<(), Fault> {
        let file = self.open_file(path, OFlags::WRONLY)?;
        write(&file, value).during(Call::Write, Step::WriteProcFile)?;
        Ok(())
    }

    /// Writes a file of a process; `file` begins with a slash.
    pub fn write_of(&self, pid: u32, file: &[u8], value: &[u8]) -> core::result::Result<(), Fault> {
        let mut path: PathBuffer<32> = PathBuffer::empty();
        path.push_number(pid)
            .and_then(|path| path.push(file))
            .during(Call::None, Step::OpenProcFile)?;
        self.write(path.as_c_str(), value)
    }

    /// Writes a kernel parameter; `path` is below /proc/sys.
    #[inline(never)] // Keep this buffer out of the stack frame that stays resident while waiting.
    pub fn write_parameter(&self, path: &CStr, value: &[u8]) -> core::result::Result<(), Fault> {
        let mut file: PathBuffer = PathBuffer::empty();
        file.push(b"sys/")
            .and_then(|f| f.push(path.to_bytes()))
            .during(Call::None, Step::OpenProcFile)?;
        self.write(file.as_c_str(), value)
    }

    /// Opens a file. No mount and no magic link may be on the way.
    pub fn open_file(&self, path: &CStr, flags: OFlags) -> core::result::Result<OwnedFd, Fault> {
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
        match openat2(&self.0, path, flags, Mode::empty(), resolve) {
            // KERNEL(5.6): without openat2, check that the opened file is on a procfs.
            Err(Errno::NOSYS | Errno::PERM) => {
                let file = openat(&self.0, path, flags, Mode::empty());
                let file = file.during(Call::Openat, Step::OpenProcFile)?;
                check(file.as_fd()).of(Step::OpenProcFile)?;
                Ok(file)
            }
            result => result.during(Call::Openat2, Step::OpenProcFile),
        }
    }

    /// The pid of this process as this procfs counts it: in the CLI's pid namespace,
    /// even when called inside the container's.
    pub fn own_pid(&self) -> Result<u32> {
        let mut buffer = [0; 16];
        let length = readlinkat_raw(&self.0, c"self", &mut buffer[..])?;
        let mut pid: u32 = 0;
        for digit in buffer.iter().take(length) {
            pid = pid.wrapping_mul(10).wrapping_add(u32::from(digit.wrapping_sub(b'0')));
        }
        Ok(pid)
    }
}

fn check(fd: BorrowedFd<'_>) -> core::result::Result<(), Fault> {
    let (call, step) = (Call::Fstatfs, Step::CheckProcfs);
    match fstatfs(fd).during(call, step)?.f_type as u64 {
        PROC_SUPER_MAGIC => Ok(()),
        _ => Err(Fault::new(call, step, Errno::NODEV)),
    }
}
