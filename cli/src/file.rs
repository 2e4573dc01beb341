//! Files, in as few system calls as there can be: std asks for a file's size
//! before it reads it, which files of the kernel's do not tell, and musl sets
//! O_CLOEXEC a second time for kernels that did not know it.
//!
//! An fd is rustix's here, not std's: to have both be one type, rustix would
//! need std, and vial-init, which is built beside vial, has none.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::{Errno, read, retry_on_intr, write};
use rustix::path::Arg;

use crate::error::Error;

/// Opens a file; O_CLOEXEC as always.
pub fn open(path: impl AsRef<Path>, flags: OFlags) -> io::Result<OwnedFd> {
    let path = c_path(path.as_ref()).map_err(as_io)?;
    rustix::fs::open(&*path, flags | OFlags::CLOEXEC, Mode::from(0o644)).map_err(as_io)
}

/// The path as the kernel takes it, however long. EINVAL: there is a NUL in it.
pub fn c_path(path: &Path) -> rustix::io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::INVAL)
}

/// The same errno, as std has it.
pub fn as_io(errno: Errno) -> io::Error {
    io::Error::from_raw_os_error(errno.raw_os_error())
}

/// Reads a file of the kernel's, in bytes: processes and containers choose some
/// of them. It must be one that the kernel shows whole (single_open(), kernfs), as
/// it does a process's and a cgroup's: then what is not full is the end.
pub fn read_kernel(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let file = open(path, OFlags::RDONLY)?;
    let mut bytes = vec![0; 4096];
    let mut length = 0;
    loop {
        let count = read_once(&file, &mut bytes[length..]).map_err(as_io)?;
        length += count;
        if length < bytes.len() || length > 1 << 20 {
            bytes.truncate(length);
            return Ok(bytes);
        }
        bytes.resize(2 * length, 0);
    }
}

/// Reads to the end, or until there are as many bytes.
pub fn read_rest(fd: impl AsFd, bytes: &mut Vec<u8>, most: usize) -> rustix::io::Result<()> {
    let mut buffer = [0; 4096];
    while bytes.len() < most {
        let room = buffer.len().min(most - bytes.len());
        match read_once(&fd, &mut buffer[..room])? {
            0 => return Ok(()),
            count => bytes.extend_from_slice(&buffer[..count]),
        }
    }
    Ok(())
}

/// Fills the buffer. False: the end came before.
pub fn read_whole(fd: impl AsFd, buffer: &mut [u8]) -> rustix::io::Result<bool> {
    let mut length = 0;
    while length < buffer.len() {
        match read_once(&fd, &mut buffer[length..])? {
            0 => return Ok(false),
            count => length += count,
        }
    }
    Ok(true)
}

/// What is there to read, and waits for it.
pub fn read_once(fd: impl AsFd, buffer: &mut [u8]) -> rustix::io::Result<usize> {
    retry_on_intr(|| read(&fd, &mut *buffer))
}

/// Writes all of it.
pub fn write_all(fd: impl AsFd, mut bytes: &[u8]) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        let count = retry_on_intr(|| write(&fd, bytes))?;
        bytes = bytes.get(count..).unwrap_or_default();
    }
    Ok(())
}

/// Writes a file that must not be there yet. The path is a [`c_path`] where it may
/// be long.
pub fn write_new(folder: impl AsFd, path: impl Arg, bytes: &[u8]) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    openat(folder, path, flags, Mode::from(0o644))
        .and_then(|file| write_all(file, bytes))
        .map_err(as_io)
}

/// Writes a file beside, then renames it: nobody sees half of it, and a disk
/// that is full loses nothing that was there.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let failed = |e| Error::io(format_args!("write {}", path.display()), &e);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let result = (|| {
        write_new(CWD, &*c_path(&beside).map_err(as_io)?, bytes)?;
        fs::rename(&beside, path)
    })();
    if result.is_err() {
        let _ = fs::remove_file(&beside); // It may not have been made.
    }
    result.map_err(failed)
}
