//! config.json `linux` (config-linux.md), without resources and seccomp.

use std::collections::BTreeMap;

use super::object;
use super::resources::Resources;
use super::seccomp::Seccomp;

object! {
    /// Settings for Linux.
    #[derive(Debug, Default)]
    pub struct Linux {
        /// New and joined namespaces.
        pub namespaces: Vec<Namespace> = "namespaces",
        /// The uid mappings of a new user namespace.
        pub uid_mappings: Vec<IdMapping> = "uidMappings",
        /// The gid mappings of a new user namespace.
        pub gid_mappings: Vec<IdMapping> = "gidMappings",
        /// The offsets of a new time namespace.
        pub time_offsets: BTreeMap<String, TimeOffset> = "timeOffsets",
        /// Devices beyond the default ones.
        pub devices: Vec<Device> = "devices",
        /// Network devices to move into the container.
        pub net_devices: BTreeMap<String, NetDevice> = "netDevices",
        /// The path of the container's cgroup.
        pub cgroups_path: String = "cgroupsPath",
        /// The limits of the cgroup.
        pub resources: Resources = "resources",
        /// Intel RDT.
        pub intel_rdt: Option<IntelRdt> = "intelRdt",
        /// The NUMA memory policy.
        pub memory_policy: Option<MemoryPolicy> = "memoryPolicy",
        /// Kernel parameters.
        pub sysctl: BTreeMap<String, String> = "sysctl",
        /// The system call filter.
        pub seccomp: Option<Seccomp> = "seccomp",
        /// The propagation of the root mount.
        pub rootfs_propagation: String = "rootfsPropagation",
        /// Paths to hide.
        pub masked_paths: Vec<String> = "maskedPaths",
        /// Paths to make read-only.
        pub readonly_paths: Vec<String> = "readonlyPaths",
        /// An SELinux context for mounts.
        pub mount_label: String = "mountLabel",
        /// The execution domain.
        pub personality: Option<Personality> = "personality",
    }

    /// A namespace to make, or to join.
    #[derive(Clone, Debug, Default)]
    pub struct Namespace {
        /// pid, network, mount, ipc, uts, user, cgroup or time.
        pub kind: String = "type" needed,
        /// The namespace to join; empty for a new one.
        pub path: String = "path",
    }

    /// A range of ids.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct IdMapping {
        /// The first id inside.
        pub container_id: u32 = "containerID" needed,
        /// The first id outside.
        pub host_id: u32 = "hostID" needed,
        /// How many.
        pub size: u32 = "size" needed,
    }

    /// An offset of a clock.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct TimeOffset {
        /// Seconds.
        pub secs: i64 = "secs",
        /// Nanoseconds.
        pub nanosecs: u32 = "nanosecs",
    }

    /// A device node.
    #[derive(Debug, Default)]
    pub struct Device {
        /// c, b, u or p.
        pub kind: String = "type" needed,
        /// The path inside the container.
        pub path: String = "path" needed,
        /// The major number.
        pub major: i64 = "major",
        /// The minor number.
        pub minor: i64 = "minor",
        /// The permissions.
        pub file_mode: Option<u32> = "fileMode",
        /// The owner.
        pub uid: Option<u32> = "uid",
        /// The group.
        pub gid: Option<u32> = "gid",
    }

    /// A network device to move.
    #[derive(Clone, Debug, Default)]
    pub struct NetDevice {
        /// Its name in the container; empty for that on the host.
        pub name: String = "name",
    }

    /// Shares of the processor's caches and memory bandwidth.
    #[derive(Clone, Debug, Default)]
    pub struct IntelRdt {
        /// The group; empty for one of the container's own.
        pub clos_id: String = "closID",
        /// Lines for its schemata.
        pub schemata: Vec<String> = "schemata",
        /// Lines about the L3 cache.
        pub l3_cache_schema: String = "l3CacheSchema",
        /// A line about memory bandwidth.
        pub mem_bw_schema: String = "memBwSchema",
        /// Whether the container gets a monitoring group.
        pub enable_monitoring: bool = "enableMonitoring",
        /// Deprecated: the same.
        pub enable_cmt: bool = "enableCMT",
        /// Deprecated: the same.
        pub enable_mbm: bool = "enableMBM",
    }

    /// The NUMA memory policy, as set_mempolicy(2) takes it.
    #[derive(Clone, Debug, Default)]
    pub struct MemoryPolicy {
        /// MPOL_*.
        pub mode: String = "mode",
        /// The nodes, a list as in `0-3,7`.
        pub nodes: String = "nodes",
        /// MPOL_F_*.
        pub flags: Vec<String> = "flags",
    }

    /// The execution domain.
    #[derive(Clone, Debug, Default)]
    pub struct Personality {
        /// LINUX or LINUX32.
        pub domain: String = "domain",
        /// None is defined.
        pub flags: Vec<String> = "flags",
    }
}
