//! Config -> Plan: the only place that validates, that fills in what the spec
//! leaves open, and that says what is not supported. A pure function of its
//! arguments, so that it is tested without privileges.
//!
//! **Invariant:** after the planner nobody asks whether something is set.
//! **Invariant:** every error names the field of config.json.

mod capabilities;
mod cgroup;
mod chroot;
mod device_filter;
mod device_nodes;
mod exec;
mod limits;
mod mount_options;
mod mounts;
mod namespaces;
mod nodev;
mod process;
mod program;
mod refuse;
mod sysctl;
#[cfg(test)]
mod tests;
mod timeline;

use std::ffi::CString;
use std::fmt::Display;
use std::path::PathBuf;

use crate::config::Config;
use crate::error::Error;
use crate::host::sources::Source;
use crate::host::{Host, Lineage, NamespaceOwner};
use crate::plan::Plan;

pub(crate) use capabilities::number as capability_number;
pub use capabilities::{CAPABILITIES, capability_name};
pub use cgroup::cgroup_path;
pub use exec::{Exec, exec};
pub use mount_options::{attribute_names, flag_names, supported as supported_mount_options};
pub use namespaces::Namespaces;
pub use process::limit_name;
pub use program::ListenFds;

/// What a caller asks for beside config.json.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The container's id.
    pub id: String,
    /// The bundle, an absolute path.
    pub bundle: PathBuf,
    /// Move the root instead of pivoting it.
    pub no_pivot: bool,
    /// Keep the caller's session keyring.
    pub no_new_keyring: bool,
    /// How many fds from 3 on the container is to have.
    pub preserve_fds: u32,
    /// Whose namespaces the paths of linux.namespaces name, one for each entry.
    /// place there.
    pub namespaces: Vec<NamespaceOwner>,
    /// Those of them that are from systemd's socket activation.
    pub listen_fds: ListenFds,
    /// What mounts brings, each in its place there; looked up where there is no
    /// cgroup2.
    pub sources: Vec<Source>,
    /// Whether other mounts lie below the rootfs, looked up likewise.
    pub rootfs_has_mounts: bool,
    /// The container's cgroup and those above it.
    pub lineage: Lineage,
    /// proc and sysfs mounts of the host, to be hidden if the root is moved.
    pub host_mounts: Vec<PathBuf>,
}

/// What is done to make a container and start it.
pub fn create(config: &Config, request: &Request, host: &Host) -> Result<Plan, Error> {
    refuse::refuse(config)?;
    timeline::create(config, request, host)
}

/// A text for the kernel; one that holds a NUL would end early.
fn text(value: impl Into<Vec<u8>>, field: &str) -> Result<CString, Error> {
    CString::new(value).map_err(|_| Error::new(format_args!("config.json {field}: holds a NUL")))
}

/// An error of a field.
fn wrong(field: impl Display, what: impl Display) -> Error {
    wrong_of(&field, &what)
}

fn wrong_of(field: &dyn Display, what: &dyn Display) -> Error {
    Error::new(format_args!("config.json {field}: {what}"))
}
