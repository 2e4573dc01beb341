//! Files, in as few system calls as there can be: std asks for a file's size
//! before it reads it, which files of the kernel's do not tell, and musl sets
//! O_CLOEXEC a second time for kernels that did not know it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// Opens a file; O_CLOEXEC as always.
pub fn open(path: impl AsRef<Path>, flags: OFlags) -> io::Result<File> {
    let file = rustix::fs::open(path.as_ref(), flags | OFlags::CLOEXEC, Mode::from(0o644))?;
    Ok(File::from(file))
}

/// Reads a file of the kernel's.
pub fn read_kernel(path: impl AsRef<Path>) -> io::Result<String> {
    let file = open(path, OFlags::RDONLY)?;
    let mut text = Vec::with_capacity(4096);
    file.take(1 << 20).read_to_end(&mut text)?;
    String::from_utf8(text).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// Writes a file that must not be there yet.
pub fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    open(path, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL)?.write_all(bytes)
}
