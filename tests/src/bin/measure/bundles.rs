//! The bundles for every runtime: one rootfs, and `vial spec`'s config.json with
//! /bin/true as its process.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use vial_targets::Error;
use vial_targets::command::{self, OnPath};

use crate::profile;
use crate::runtime::Runtime;

/// Statically linked, so the rootfs needs no other file.
const BUSYBOX: &str = "/bin/busybox";
/// The exit code by which a container's process shows that it ran.
pub(crate) const SHOWN: i32 = 42;

/// Whether a bundle has the engines' default seccomp profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seccomp {
    /// No filter.
    None,
    /// The default profile.
    Profile,
}

impl Seccomp {
    /// Both, in the order of the table.
    pub(crate) const BOTH: [Seccomp; 2] = [Seccomp::None, Seccomp::Profile];

    /// The end of a row's name.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Seccomp::None => "",
            Seccomp::Profile => ", with the profile",
        }
    }
}

/// All bundles, below one directory.
#[derive(Debug)]
pub(crate) struct Bundles {
    directory: PathBuf,
    /// The rootfs that all bundles share.
    pub(crate) rootfs: PathBuf,
    base: Value,
    profile: Value,
}

impl Bundles {
    /// Creates the rootfs and the bundles below `directory`.
    ///
    /// # Errors
    /// They cannot be written, or vial writes no config.json.
    pub(crate) fn new(directory: &Path, vial: &Runtime) -> Result<Self, Error> {
        let rootfs = directory.join("rootfs");
        for name in ["bin", "dev", "proc", "sys", "etc", "tmp"] {
            let path = rootfs.join(name);
            fs::create_dir_all(&path).on_path("make", &path)?;
        }
        let busybox = rootfs.join("bin/busybox");
        fs::copy(BUSYBOX, &busybox).on_path("copy busybox to", &busybox)?;
        fs::set_permissions(&busybox, fs::Permissions::from_mode(0o755))
            .on_path("make executable", &busybox)?;
        for name in ["true", "sh", "grep", "sleep"] {
            let path = rootfs.join("bin").join(name);
            symlink("busybox", &path).on_path("make", &path)?;
        }
        command::output(vial.command().arg("spec").arg("--bundle").arg(directory))?;
        let path = directory.join("config.json");
        let text = fs::read_to_string(&path).on_path("read", &path)?;
        let mut base: Value = serde_json::from_str(&text)
            .map_err(|error| Error::new(format!("vial spec wrote no JSON: {error}")))?;
        // Older runtimes accept no later version.
        base["ociVersion"] = json!("1.0.2");
        base["process"]["terminal"] = json!(false);
        base["root"]["path"] = json!(rootfs);
        let profile = profile::default_profile()?;
        let bundles = Self { directory: directory.to_owned(), rootfs, base, profile };
        for seccomp in Seccomp::BOTH {
            bundles.write(&bundles.of_true(seccomp), &["/bin/true"], seccomp, |_| {})?;
            bundles.write(&bundles.that_shows(seccomp), &shows(seccomp), seccomp, |_| {})?;
            bundles.write(&bundles.of_sleep(seccomp), &["/bin/sleep", "3600"], seccomp, |_| {})?;
        }
        Ok(bundles)
    }

    /// The bundle whose process is /bin/true.
    pub(crate) fn of_true(&self, seccomp: Seccomp) -> PathBuf {
        self.directory.join(format!("true-{seccomp:?}"))
    }

    /// The bundle whose process sleeps.
    pub(crate) fn of_sleep(&self, seccomp: Seccomp) -> PathBuf {
        self.directory.join(format!("sleep-{seccomp:?}"))
    }

    /// The bundle whose process exits with [`SHOWN`] if its seccomp mode is right.
    pub(crate) fn that_shows(&self, seccomp: Seccomp) -> PathBuf {
        self.directory.join(format!("shows-{seccomp:?}"))
    }

    /// A bundle whose process is /bin/true, with this memory limit in bytes.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn with_memory(&self, limit: u64) -> Result<PathBuf, Error> {
        let path = self.directory.join("memory");
        self.write(&path, &["/bin/true"], Seccomp::None, |config| {
            config["linux"]["resources"]["memory"] = json!({ "limit": limit });
        })?;
        Ok(path)
    }

    fn write(
        &self,
        bundle: &Path,
        process: &[&str],
        seccomp: Seccomp,
        edit: impl FnOnce(&mut Value),
    ) -> Result<(), Error> {
        let mut config = self.base.clone();
        config["process"]["args"] = json!(process);
        if seccomp == Seccomp::Profile {
            config["linux"]["seccomp"] = self.profile.clone();
        }
        edit(&mut config);
        fs::create_dir_all(bundle).on_path("make", bundle)?;
        let path = bundle.join("config.json");
        fs::write(&path, format!("{config:#}")).on_path("write", &path)
    }
}

/// A process that exits with [`SHOWN`] if it is PID 1 of its pid namespace and has
/// the right seccomp mode.
pub(crate) fn shows(seccomp: Seccomp) -> [&'static str; 3] {
    let script = match seccomp {
        Seccomp::None => "test $$ = 1 && grep -q '^Seccomp:.*0' /proc/self/status && exit 42",
        Seccomp::Profile => "test $$ = 1 && grep -q '^Seccomp:.*2' /proc/self/status && exit 42",
    };
    ["/bin/sh", "-c", script]
}
