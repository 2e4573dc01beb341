//! Bundles for tests: a rootfs that holds the probe, and the smallest
//! config.json that still looks like an engine's.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use serde_json::Value;
use vial_targets::Error;
use vial_targets::command::OnPath;

/// A shortened `runc spec`; its process is `/probe report`.
const CONFIG: &str = include_str!("config.json");

/// The directories of a distribution's root that matter to a container.
const DIRECTORYS: [&str; 10] =
    ["proc", "sys", "dev", "tmp", "run", "etc", "usr/bin", "usr/lib", "usr/sbin", "var"];
/// Symbolic links of a distribution's root. etc/localtime dangles here.
const LINKS: [(&str, &str); 7] = [
    ("bin", "usr/bin"),
    ("sbin", "usr/sbin"),
    ("lib", "usr/lib"),
    ("var/run", "/run"),
    ("var/lock", "/run/lock"),
    ("etc/mtab", "../proc/self/mounts"),
    ("etc/localtime", "/usr/share/zoneinfo/Etc/UTC"),
];

/// A bundle on disk.
#[derive(Debug)]
pub struct Bundle {
    /// The directory of config.json.
    pub path: PathBuf,
    /// The directory that becomes the container's root.
    pub rootfs: PathBuf,
}

impl Bundle {
    /// Creates a bundle at `path`, whose config.json is the base one after `edit`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn new(path: &Path, probe: &Path, edit: impl FnOnce(&mut Value)) -> Result<Self, Error> {
        let rootfs = path.join("rootfs");
        for directory in DIRECTORYS {
            let directory = rootfs.join(directory);
            fs::create_dir_all(&directory).on_path("create", &directory)?;
        }
        for (link, target) in LINKS {
            let link = rootfs.join(link);
            symlink(target, &link).on_path("link", &link)?;
        }
        let inside = rootfs.join("probe");
        fs::copy(probe, &inside).on_path("copy the probe to", &inside)?;
        fs::set_permissions(&inside, fs::Permissions::from_mode(0o755))
            .on_path("make executable", &inside)?;
        let bundle = Self { path: path.to_owned(), rootfs };
        let mut config = base_config();
        edit(&mut config);
        bundle.write_config(&config)?;
        Ok(bundle)
    }

    /// Replaces config.json.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_config(&self, config: &Value) -> Result<(), Error> {
        let place = self.path.join("config.json");
        fs::write(&place, format!("{config:#}")).on_path("write", &place)
    }
}

/// The base config.json.
#[must_use]
pub fn base_config() -> Value {
    serde_json::from_str(CONFIG).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_base_config_is_json() {
        assert_eq!(super::base_config()["process"]["args"][0], "/probe");
    }
}
