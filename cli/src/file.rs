//! Files, in as few system calls as there can be: std asks for a file's size
//! before it reads it, which files of the kernel's do not tell, and musl sets
//! O_CLOEXEC a second time for kernels that did not know it.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::path::Arg;

use crate::error::Error;

/// Opens a file; O_CLOEXEC as always.
pub fn open(path: impl AsRef<Path>, flags: OFlags) -> io::Result<File> {
    let file = rustix::fs::open(path.as_ref(), flags | OFlags::CLOEXEC, Mode::from(0o644))?;
    Ok(File::from(file))
}

/// Reads a file of the kernel's, in bytes: processes and containers choose some
/// of them. It must be one that the kernel shows whole (single_open(), kernfs), as
/// it does a process's and a cgroup's: then what is not full is the end.
pub fn read_kernel(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let mut file = open(path, OFlags::RDONLY)?;
    let mut bytes = vec![0; 4096];
    let mut length = 0;
    loop {
        let count = file.read(&mut bytes[length..])?;
        length += count;
        if length < bytes.len() || length > 1 << 20 {
            bytes.truncate(length);
            return Ok(bytes);
        }
        bytes.resize(2 * length, 0);
    }
}

/// Writes a file that must not be there yet.
pub fn write_new(folder: impl AsFd, path: impl Arg, bytes: &[u8]) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    File::from(openat(folder, path, flags, Mode::from(0o644))?).write_all(bytes)
}

/// Writes a file beside, then renames it: nobody sees half of it, and a disk
/// that is full loses nothing that was there.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let failed = |e| Error::io(format_args!("write {}", path.display()), &e);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let result = (|| {
        write_new(CWD, &beside, bytes)?;
        fs::rename(&beside, path)
    })();
    if result.is_err() {
        let _ = fs::remove_file(&beside); // It may not have been made.
    }
    result.map_err(failed)
}
