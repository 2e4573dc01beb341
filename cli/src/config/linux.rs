//! config.json `linux` (config-linux.md), without resources and seccomp.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::object;
use super::resources::Resources;
use super::seccomp::Seccomp;

/// Settings for Linux.
#[derive(Debug, Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", default)]
pub struct Linux {
    /// New and joined namespaces.
    pub namespaces: Vec<Namespace>,
    /// The uid mappings of a new user namespace.
    pub uid_mappings: Vec<IdMapping>,
    /// The gid mappings of a new user namespace.
    pub gid_mappings: Vec<IdMapping>,
    /// The offsets of a new time namespace.
    pub time_offsets: BTreeMap<String, TimeOffset>,
    /// Devices beyond the default ones.
    pub devices: Vec<Device>,
    /// Network devices to move into the container.
    pub net_devices: BTreeMap<String, NetDevice>,
    /// The path of the container's cgroup.
    pub cgroups_path: String,
    /// The limits of the cgroup.
    pub resources: Resources,
    /// Intel RDT.
    pub intel_rdt: Option<IntelRdt>,
    /// The NUMA memory policy.
    pub memory_policy: Option<MemoryPolicy>,
    /// Kernel parameters.
    pub sysctl: BTreeMap<String, String>,
    /// The system call filter.
    pub seccomp: Option<Seccomp>,
    /// The propagation of the root mount.
    pub rootfs_propagation: String,
    /// Paths to hide.
    pub masked_paths: Vec<String>,
    /// Paths to make read-only.
    pub readonly_paths: Vec<String>,
    /// An SELinux context for mounts.
    pub mount_label: String,
    /// The execution domain.
    pub personality: Option<Personality>,
}

/// A namespace to make, or to join.
#[derive(Clone, Debug, Deserialize)]
#[serde(remote = "Self")]
pub struct Namespace {
    /// pid, network, mount, ipc, uts, user, cgroup or time.
    #[serde(rename = "type")]
    pub kind: String,
    /// The namespace to join; empty for a new one.
    #[serde(default)]
    pub path: String,
}

/// A range of ids.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase")]
pub struct IdMapping {
    /// The first id inside.
    #[serde(rename = "containerID")]
    pub container_id: u32,
    /// The first id outside.
    #[serde(rename = "hostID")]
    pub host_id: u32,
    /// How many.
    pub size: u32,
}

/// An offset of a clock.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(remote = "Self", default)]
pub struct TimeOffset {
    /// Seconds.
    pub secs: i64,
    /// Nanoseconds.
    pub nanosecs: u32,
}

/// A device node.
#[derive(Debug, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase")]
pub struct Device {
    /// c, b, u or p.
    #[serde(rename = "type")]
    pub kind: String,
    /// The path inside the container.
    pub path: String,
    /// The major number.
    #[serde(default)]
    pub major: i64,
    /// The minor number.
    #[serde(default)]
    pub minor: i64,
    /// The permissions.
    pub file_mode: Option<u32>,
    /// The owner.
    pub uid: Option<u32>,
    /// The group.
    pub gid: Option<u32>,
}

/// A network device to move.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(remote = "Self", default)]
pub struct NetDevice {
    /// Its name in the container; empty for that on the host.
    pub name: String,
}

/// Shares of the processor's caches and memory bandwidth.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", default)]
pub struct IntelRdt {
    /// The group; empty for one of the container's own.
    #[serde(rename = "closID")]
    pub clos_id: String,
    /// Lines for its schemata.
    pub schemata: Vec<String>,
    /// Lines about the L3 cache.
    pub l3_cache_schema: String,
    /// A line about memory bandwidth.
    pub mem_bw_schema: String,
    /// Whether the container gets a monitoring group.
    pub enable_monitoring: bool,
    /// Deprecated: the same.
    #[serde(rename = "enableCMT")]
    pub enable_cmt: bool,
    /// Deprecated: the same.
    #[serde(rename = "enableMBM")]
    pub enable_mbm: bool,
}

/// The NUMA memory policy, as set_mempolicy(2) takes it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(remote = "Self", default)]
pub struct MemoryPolicy {
    /// MPOL_*.
    pub mode: String,
    /// The nodes, a list as in `0-3,7`.
    pub nodes: String,
    /// MPOL_F_*.
    pub flags: Vec<String>,
}

/// The execution domain.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(remote = "Self", default)]
pub struct Personality {
    /// LINUX or LINUX32.
    pub domain: String,
    /// None is defined.
    pub flags: Vec<String>,
}

object! { Linux, Namespace, IdMapping, TimeOffset, Device, NetDevice, IntelRdt, MemoryPolicy, Personality }
