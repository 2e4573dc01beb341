//! Debian's kernels that the tests boot, by the version that users know them by.

use std::path::PathBuf;

use crate::{Error, Target, debian};

/// A kernel, and the suite of Debian that has it.
#[derive(Debug, PartialEq, Eq)]
pub struct Kernel {
    /// What `cargo proof --kernel` calls it.
    pub name: &'static str,
    /// The suite.
    pub suite: &'static str,
    /// Whether the suite changes from day to day. What it holds may not be
    /// there to fetch, which says nothing about vial.
    pub moves: bool,
}

/// Every kernel, the oldest first.
pub const ALL: &[&Kernel] = &[OLDEST, USUAL, OF_DISK, NEWEST];

/// The oldest.
pub const OLDEST: &Kernel = &Kernel { name: "5.10", suite: "bullseye", moves: false };

/// The newest, whatever it is today.
pub const NEWEST: &Kernel = &Kernel { name: "newest", suite: "sid", moves: true };

/// The kernel of a machine where nobody asks for another.
pub const USUAL: &Kernel = &Kernel { name: "6.1", suite: "bookworm", moves: false };

/// The kernel of the disk with systemd, and the disk's suite.
pub const OF_DISK: &Kernel = &Kernel { name: "6.12", suite: "trixie", moves: false };

impl Kernel {
    /// The kernel of that name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static Self> {
        ALL.iter().copied().find(|kernel| kernel.name == name)
    }

    /// The folder with boot/vmlinuz-* and the modules: of `target.kernel`, or
    /// of `target.full_kernel`.
    ///
    /// # Errors
    /// It is not in the cache and cannot be fetched.
    pub fn unpacked(&self, target: &Target, package: &str) -> Result<PathBuf, Error> {
        debian::unpacked_from(Some(self.suite), package, target.debian)
    }
}
