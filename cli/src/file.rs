//! Files, in few system calls. std asks for a file's size before it reads, which
//! files of /proc do not know, and musl sets O_CLOEXEC once more by fcntl(2).
//!
//! An fd is rustix's type here, not std's. They are one type only if rustix is
//! built with std, and cargo would then build it so for vial-init too.

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

/// open(2) with O_CLOEXEC.
pub fn open(path: impl AsRef<Path>, flags: OFlags) -> io::Result<OwnedFd> {
    let path = c_path(path.as_ref()).map_err(as_io)?;
    rustix::fs::open(&*path, flags | OFlags::CLOEXEC, Mode::from(0o644)).map_err(as_io)
}

/// The path as the kernel takes it, of any length. EINVAL if it holds a NUL.
pub fn c_path(path: &Path) -> rustix::io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::INVAL)
}

/// The errno as std's error.
pub fn as_io(errno: Errno) -> io::Error {
    io::Error::from_raw_os_error(errno.raw_os_error())
}

/// Reads a file of /proc or of a cgroup. It is not always UTF-8: processes and
/// containers choose some of the bytes. The kernel must produce the file whole
/// (single_open(), kernfs), so that a short read is the last one.
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

/// Reads to the end, but at most this many bytes.
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

/// Fills the buffer. False: the file ended before.
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

/// read(2), again after EINTR.
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

/// Writes a file that must not exist yet. Pass a [`c_path`] if the path may be
/// long.
pub fn write_new(directory: impl AsFd, path: impl Arg, bytes: &[u8]) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    openat(directory, path, flags, Mode::from(0o644))
        .and_then(|file| write_all(file, bytes))
        .map_err(as_io)
}

/// Writes a new file and renames it to `path`. Nobody sees half of it, and if the
/// disk is full the old file stays.
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
