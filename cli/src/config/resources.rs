//! config.json `linux.resources` (config-linux.md, "Control groups").

use std::collections::BTreeMap;

use super::object;

object! {
    /// The limits of the cgroup.
    #[derive(Debug, Default)]
    pub struct Resources {
        /// Which devices may be used. Later rules win.
        pub devices: Vec<DeviceRule> = "devices",
        /// Memory.
        pub memory: Memory = "memory",
        /// CPU time and placement.
        pub cpu: Cpu = "cpu",
        /// The number of processes.
        pub pids: Pids = "pids",
        /// Block devices.
        pub block_io: BlockIo = "blockIO",
        /// Huge pages.
        pub hugepage_limits: Vec<HugepageLimit> = "hugepageLimits",
        /// net_cls and net_prio, which exist only on cgroup v1.
        pub network: Network = "network",
        /// RDMA devices.
        pub rdma: BTreeMap<String, Rdma> = "rdma",
        /// Files of cgroup v2 and what to write to them.
        pub unified: BTreeMap<String, String> = "unified",
    }

    /// Allows or denies devices.
    #[derive(Clone, Debug, Default)]
    pub struct DeviceRule {
        /// Allow or deny.
        pub allow: bool = "allow",
        /// a, b or c; empty is a.
        pub kind: String = "type",
        /// The major number; None or -1 is any.
        pub major: Option<i64> = "major",
        /// The minor number; None or -1 is any.
        pub minor: Option<i64> = "minor",
        /// Any of r, w and m.
        pub access: String = "access",
    }

    /// Limits in bytes; -1 means no limit.
    #[derive(Debug, Default)]
    pub struct Memory {
        /// memory.max
        pub limit: Option<i64> = "limit",
        /// memory.low
        pub reservation: Option<i64> = "reservation",
        /// The sum of memory and swap.
        pub swap: Option<i64> = "swap",
        /// v1 only, deprecated.
        pub kernel: Option<i64> = "kernel",
        /// v1 only.
        pub kernel_tcp: Option<i64> = "kernelTCP",
        /// v1 only.
        pub swappiness: Option<u64> = "swappiness",
        /// v1 only.
        pub disable_oom_killer: Option<bool> = "disableOOMKiller",
        /// v1 only.
        pub use_hierarchy: Option<bool> = "useHierarchy",
        /// Whether update compares the limit with the usage first.
        pub check_before_update: Option<bool> = "checkBeforeUpdate",
    }

    /// CPU time in microseconds, and placement.
    #[derive(Debug, Default)]
    pub struct Cpu {
        /// The shares, 2 to 262144.
        pub shares: Option<u64> = "shares",
        /// The time within a period; -1 is no limit.
        pub quota: Option<i64> = "quota",
        /// The burst.
        pub burst: Option<u64> = "burst",
        /// The period.
        pub period: Option<u64> = "period",
        /// v1 only.
        pub realtime_runtime: Option<i64> = "realtimeRuntime",
        /// v1 only.
        pub realtime_period: Option<u64> = "realtimePeriod",
        /// The CPUs.
        pub cpus: String = "cpus",
        /// The memory nodes.
        pub mems: String = "mems",
        /// cpu.idle
        pub idle: Option<i64> = "idle",
    }

    /// The number of processes.
    #[derive(Debug, Default)]
    pub struct Pids {
        /// The limit; -1 means none.
        pub limit: Option<i64> = "limit",
    }

    /// Block devices.
    #[derive(Debug, Default)]
    pub struct BlockIo {
        /// 10 to 1000.
        pub weight: Option<u16> = "weight",
        /// v1 only.
        pub leaf_weight: Option<u16> = "leafWeight",
        /// Weights of devices.
        pub weight_device: Vec<WeightDevice> = "weightDevice",
        /// Bytes per second.
        pub throttle_read_bps_device: Vec<ThrottleDevice> = "throttleReadBpsDevice",
        /// Bytes per second.
        pub throttle_write_bps_device: Vec<ThrottleDevice> = "throttleWriteBpsDevice",
        /// Operations per second.
        pub throttle_read_iops_device: Vec<ThrottleDevice> = "throttleReadIOPSDevice",
        /// Operations per second.
        pub throttle_write_iops_device: Vec<ThrottleDevice> = "throttleWriteIOPSDevice",
    }

    /// The weight of a block device.
    #[derive(Debug, Default)]
    pub struct WeightDevice {
        /// The major number.
        pub major: i64 = "major" needed,
        /// The minor number.
        pub minor: i64 = "minor" needed,
        /// 10 to 1000.
        pub weight: Option<u16> = "weight",
        /// v1 only.
        pub leaf_weight: Option<u16> = "leafWeight",
    }

    /// The limit of a block device.
    #[derive(Debug, Default)]
    pub struct ThrottleDevice {
        /// The major number.
        pub major: i64 = "major" needed,
        /// The minor number.
        pub minor: i64 = "minor" needed,
        /// Bytes or operations per second.
        pub rate: u64 = "rate" needed,
    }

    /// A limit on huge pages of one size.
    #[derive(Debug, Default)]
    pub struct HugepageLimit {
        /// As 2MB.
        pub page_size: String = "pageSize" needed,
        /// In bytes.
        pub limit: u64 = "limit" needed,
    }

    /// net_cls and net_prio.
    #[derive(Debug, Default)]
    pub struct Network {
        /// net_cls.classid
        pub class_id: Option<u32> = "classID",
        /// net_prio.ifpriomap
        pub priorities: Vec<Priority> = "priorities",
    }

    /// The priority of what is sent through a network interface.
    #[derive(Debug, Default)]
    pub struct Priority {
        /// The interface.
        pub name: String = "name" needed,
        /// Its priority.
        pub priority: u32 = "priority" needed,
    }

    /// Limits of an RDMA device.
    #[derive(Debug, Default)]
    pub struct Rdma {
        /// hca_handle
        pub hca_handles: Option<u32> = "hcaHandles",
        /// hca_object
        pub hca_objects: Option<u32> = "hcaObjects",
    }
}
