//! Mounts on the host, for tests that bind them.

use std::fs;
use std::path::PathBuf;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::container::words;
use crate::Context;

/// A path of the host that is a mount point. Dropping it unmounts it, with everything
/// that is mounted on or below it.
pub(super) struct Mounted(pub(super) PathBuf);

impl Mounted {
    /// Creates a directory, and mounts a tmpfs with these flags on it.
    pub(super) fn tmpfs(path: PathBuf, name: &str, flags: MountFlags) -> Result<Self, String> {
        fs::create_dir_all(&path).map_err(words)?;
        mount(name, &path, "tmpfs", flags, None).map_err(words)?;
        Ok(Self(path))
    }

    /// A tmpfs "upper", and a tmpfs "lower" on its directory `below`. Each has a file with
    /// its name.
    pub(super) fn tree(context: &Context, flags: MountFlags) -> Result<Self, String> {
        let tree = Self::tmpfs(context.directory.join("tree"), "upper", flags)?;
        let below = tree.0.join("below");
        fs::create_dir(&below).map_err(words)?;
        mount("lower", &below, "tmpfs", flags, None).map_err(words)?;
        fs::write(tree.0.join("upper"), "upper").map_err(words)?;
        fs::write(below.join("lower"), "lower").map_err(words)?;
        Ok(tree)
    }

    /// The path as text.
    pub(super) fn path(&self) -> String {
        self.0.to_string_lossy().into_owned()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // A test may have mounted more on top, so unmount until nothing is left.
        while unmount(&self.0, UnmountFlags::DETACH).is_ok() {}
    }
}
