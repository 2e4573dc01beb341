//! vial-init, as it is started: a sealed copy.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::{MemfdFlags, OFlags, SealFlags, fcntl_add_seals, fstat, memfd_create, sendfile};
use rustix::io::Errno;

use crate::error::Error;
use crate::file;

/// Where packages install vial-init, if not beside vial.
const PLACES: [&str; 2] = ["/usr/libexec/vial/vial-init", "/usr/lib/vial/vial-init"];

/// A sealed copy of the vial-init beside vial, or where packages put it.
pub(super) fn find() -> Result<OwnedFd, Error> {
    first(sealed)
}

/// Where that vial-init is.
pub fn path() -> Result<PathBuf, Error> {
    first(|place| Ok(place.is_file().then(|| place.to_owned())))
}

/// What is found at the first place that has it.
fn first<T>(look: impl Fn(&Path) -> Result<Option<T>, Error>) -> Result<T, Error> {
    let own = fs::read_link("/proc/self/exe").map_err(|e| Error::io("read /proc/self/exe", &e))?;
    let beside = own.with_file_name("vial-init");
    for place in [beside.as_path(), Path::new(PLACES[0]), Path::new(PLACES[1])] {
        if let Some(found) = look(place)? {
            return Ok(found);
        }
    }
    Err(Error::new(format_args!(
        "vial-init is missing: not at {} and not in /usr/libexec/vial",
        beside.display()
    ))
    .hint("install both binaries of one build, side by side"))
}

/// A sealed copy of vial-init in memory, so that each start executes an inode of its
/// own. A container can open the program that it starts from as /proc/PID/exe. If
/// that were the host's file, or a file that two starts share, a container could
/// write to it (CVE-2019-5736) or delay all other starts by a lease (fcntl(2)).
/// A read-only overlayfs over the file would have an inode of its own too, but share
/// the host's pages: a kernel fault that lets a reader write to the page cache
/// (CVE-2022-0847, CVE-2026-31431) would let a container change the host's program.
/// None: there is no such file.
fn sealed(path: &Path) -> Result<Option<OwnedFd>, Error> {
    let failed =
        |what: &str, errno| Error::errno(format_args!("copy {}: {what}", path.display()), errno);
    let file = match file::open(path, OFlags::RDONLY) {
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        file => file.map_err(|e| Error::io(format_args!("open {}", path.display()), &e))?,
    };
    let size = fstat(&file).map_err(|errno| failed("fstat(2)", errno))?.st_size;
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memory = match memfd_create("vial-init", flags | MemfdFlags::EXEC) {
        // KERNEL(6.3): a memfd is executable without MFD_EXEC.
        Err(Errno::INVAL) => memfd_create("vial-init", flags),
        result => result,
    }
    .map_err(|errno| {
        failed("memfd_create(2)", errno)
            .hint("the kernel may lack CONFIG_MEMFD_CREATE, or vm.memfd_noexec forbid it")
    })?;
    let mut left = usize::try_from(size).unwrap_or_default();
    while left > 0 {
        match sendfile(&memory, &file, None, left).map_err(|errno| failed("sendfile(2)", errno))? {
            0 => return Err(Error::new(format_args!("copy {}: it shrank", path.display()))),
            count => left -= count.min(left),
        }
    }
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    fcntl_add_seals(&memory, seals).map_err(|errno| failed("fcntl(2)", errno))?;
    Ok(Some(memory))
}
