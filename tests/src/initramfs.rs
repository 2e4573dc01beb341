//! Writes an initramfs: a cpio archive in the "newc" format, uncompressed.
//! See Documentation/driver-api/early-userspace/buffer-format.rst.

use std::fs;
use std::path::{Path, PathBuf};

use vial_targets::Error;
use vial_targets::command::OnPath;

const S_IFDIR: u32 = 0o040_000;
const S_IFREG: u32 = 0o100_000;
const S_IFLNK: u32 = 0o120_000;
const S_IFCHR: u32 = 0o020_000;

/// One entry of an archive.
#[derive(Debug, Clone)]
pub enum Content {
    /// A directory.
    Directory,
    /// A file with these bytes.
    Bytes(Vec<u8>),
    /// A copy of a file of the host.
    File(PathBuf),
    /// A symbolic link with this target.
    Link(String),
    /// A character device: major, minor.
    Device(u32, u32),
}

/// An archive to write.
#[derive(Debug, Clone, Default)]
pub struct Initramfs {
    entries: Vec<(String, u32, Content)>,
}

impl Initramfs {
    /// Adds an entry at a path relative to the root, with these permission bits.
    /// Add the parent directories first: the kernel does not create them.
    #[must_use]
    pub fn with(mut self, path: &str, permissions: u32, content: Content) -> Self {
        self.entries.push((path.to_owned(), permissions, content));
        self
    }

    /// Writes the archive.
    ///
    /// # Errors
    /// A file cannot be read, or the archive cannot be written.
    pub fn write(&self, place: &Path) -> Result<(), Error> {
        let mut archive = Vec::new();
        for (index, (path, permissions, content)) in self.entries.iter().enumerate() {
            let (kind, device, data) = match content {
                Content::Directory => (S_IFDIR, (0, 0), Vec::new()),
                Content::Bytes(bytes) => (S_IFREG, (0, 0), bytes.clone()),
                Content::File(file) => (S_IFREG, (0, 0), fs::read(file).on_path("read", file)?),
                Content::Link(to) => (S_IFLNK, (0, 0), to.clone().into_bytes()),
                Content::Device(major, minor) => (S_IFCHR, (*major, *minor), Vec::new()),
            };
            append(&mut archive, index + 1, path, kind | permissions, device, &data);
        }
        append(&mut archive, 0, "TRAILER!!!", 0, (0, 0), &[]);
        fs::write(place, archive).on_path("write", place)
    }
}

/// Appends one entry: header, name and data. Name and data are padded to four bytes.
fn append(
    archive: &mut Vec<u8>,
    inode: usize,
    path: &str,
    mode: u32,
    device: (u32, u32),
    data: &[u8],
) {
    let (major, minor) = device;
    let (size, name_size) = (data.len(), path.len() + 1);
    // magic, ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor,
    // rdevmajor, rdevminor, namesize, check
    let header = format!(
        "070701{inode:08x}{mode:08x}{0:08x}{0:08x}{1:08x}{0:08x}{size:08x}{0:08x}{0:08x}\
         {major:08x}{minor:08x}{name_size:08x}{0:08x}",
        0, 1
    );
    archive.extend_from_slice(header.as_bytes());
    archive.extend_from_slice(path.as_bytes());
    archive.push(0);
    pad(archive);
    archive.extend_from_slice(data);
    pad(archive);
}

fn pad(archive: &mut Vec<u8>) {
    archive.resize(archive.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_a_110_byte_header_name_and_data_each_padded() {
        let mut archive = Vec::new();
        append(&mut archive, 1, "a", S_IFREG | 0o644, (0, 0), b"hello");
        assert_eq!(&archive[..6], b"070701");
        assert_eq!(archive[110], b'a');
        assert_eq!(&archive[112..117], b"hello");
        assert_eq!(archive.len(), 120);
    }

    #[test]
    fn a_device_keeps_its_numbers() {
        let mut archive = Vec::new();
        append(&mut archive, 1, "c", S_IFCHR | 0o600, (5, 1), &[]);
        assert_eq!(&archive[78..94], b"0000000500000001");
    }
}
