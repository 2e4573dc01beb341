//! Config -> Plan. Only the planner validates, fills in defaults, and refuses what is
//! not supported. It is a pure function of its arguments, so it can be tested without
//! privileges.
//!
//! **Invariant:** nothing after the planner asks whether a field is set.
//! **Invariant:** every error names the field of config.json.

mod capabilities;
mod cgroup;
mod cgroup_mounts;
mod chroot;
mod device_filter;
mod device_nodes;
mod devices_v1;
mod exec;
mod hooks;
mod id_maps;
mod limits;
mod mount_label;
mod mount_options;
mod mounts;
mod namespaces;
mod net_devices;
mod nodev;
mod process;
mod program;
mod refuse;
mod scheduling;
mod seccomp;
mod sysctl;
#[cfg(test)]
mod tests;
mod timeline;

use std::ffi::CString;
use std::fmt::Display;
use std::path::PathBuf;

use crate::config::Config;
use crate::error::Error;
use crate::host::resctrl::Resctrl;
use crate::host::sources::Source;
use crate::host::{Host, Lineage, NamespaceOwner};
use crate::plan::Plan;

pub(crate) use capabilities::number as capability_number;
pub use capabilities::{CAPABILITIES, capability_name};
pub use cgroup::{Update, cgroup_path, lineage, update};
pub use exec::{Exec, exec};
pub use hooks::state as state_for_hooks;
pub use mount_options::{attribute_names, flag_names, supported as supported_mount_options};
pub use namespaces::Namespaces;
pub use process::limit_name;
pub use program::ListenFds;
pub use scheduling::{
    io_priority_name, list_of, memory_mode_name, memory_policy_names, personality_name, policy_name,
};

/// What create needs to know besides config.json and the host.
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
    /// How many fds, from 3 on, the container gets.
    pub preserve_fds: u32,
    /// The owner of the namespace of each entry of linux.namespaces.
    pub namespaces: Vec<NamespaceOwner>,
    /// Which fds come from systemd's socket activation.
    pub listen_fds: ListenFds,
    /// The environment of vial, each entry with a NUL, for createContainer hooks without
    /// one. Looked up only if there are any.
    pub environment: Vec<u8>,
    /// The source of each entry of mounts. Looked up only if nothing filters
    /// devices.
    pub sources: Vec<Source>,
    /// Whether the host has mounts below the rootfs. Looked up only if there is no
    /// cgroup2.
    pub rootfs_has_mounts: bool,
    /// What is known of the container's cgroups and their ancestors.
    pub lineage: Lineage,
    /// Whether no cgroups are to be made.
    pub no_cgroups: bool,
    /// The resctrl filesystem. Looked up only if linux.intelRdt is set.
    pub resctrl: Option<Resctrl>,
    /// The host's mounts of proc and sysfs, to hide if the root is moved instead of
    /// pivoted.
    pub host_mounts: Vec<PathBuf>,
}

/// Makes the Plan of a container, from nothing to execve.
pub fn create(config: &Config, request: &Request, host: &Host) -> Result<Plan, Error> {
    refuse::refuse(config)?;
    hooks::check(&config.hooks)?;
    timeline::create(config, request, host)
}

/// A string for the kernel. Refuses a NUL, at which the kernel would stop.
fn text(value: impl Into<Vec<u8>>, field: &str) -> Result<CString, Error> {
    CString::new(value)
        .map_err(|_| Error::new(format_args!("config.json {field}: contains a NUL byte")))
}

/// An error about a field.
fn wrong(field: impl Display, what: impl Display) -> Error {
    wrong_of(&field, &what)
}

fn wrong_of(field: &dyn Display, what: &dyn Display) -> Error {
    Error::new(format_args!("config.json {field}: {what}"))
}
