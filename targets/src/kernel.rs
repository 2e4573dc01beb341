//! The Debian kernels that tests boot, named by their version.

use std::path::PathBuf;

use crate::{Error, Target, debian};

/// A kernel, and the Debian suite that has it.
#[derive(Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Its name for `cargo proof --kernel`.
    pub name: &'static str,
    /// The suite.
    pub suite: &'static str,
    /// Whether the suite changes from day to day. Its packages may be missing for a
    /// while, which says nothing about vial.
    pub moves: bool,
}

/// Every kernel, the oldest first.
pub const ALL: &[&Kernel] = &[OLDEST, USUAL, OF_DISK, NEWEST];

/// The oldest.
pub const OLDEST: &Kernel = &Kernel { name: "5.10", suite: "bullseye", moves: false };

/// The newest, whatever version it has today.
pub const NEWEST: &Kernel = &Kernel { name: "newest", suite: "sid", moves: true };

/// The kernel of most machines by default.
pub const USUAL: &Kernel = &Kernel { name: "6.1", suite: "bookworm", moves: false };

/// The kernel and the suite of the disk with systemd.
pub const OF_DISK: &Kernel = &Kernel { name: "6.12", suite: "trixie", moves: false };

impl Kernel {
    /// The kernel of that name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static Self> {
        ALL.iter().copied().find(|kernel| kernel.name == name)
    }

    /// The directory with boot/vmlinuz-* and the modules of a package, `target.kernel` or
    /// `target.full_kernel`.
    ///
    /// # Errors
    /// It is not in the cache and cannot be fetched.
    pub fn unpacked(&self, target: &Target, package: &str) -> Result<PathBuf, Error> {
        debian::unpacked(Some(self.suite), package, target.kernel_debian)
    }
}
