//! config.json `linux.resources` (config-linux.md, "Control groups").

use std::collections::BTreeMap;

use super::object;
use serde::Deserialize;

/// The limits of the cgroup.
#[derive(Debug, Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", default)]
pub struct Resources {
    /// Which devices may be used. Later rules win.
    pub devices: Vec<DeviceRule>,
    /// Memory.
    pub memory: Memory,
    /// CPU time and placement.
    pub cpu: Cpu,
    /// The number of processes.
    pub pids: Pids,
    /// Block devices.
    #[serde(rename = "blockIO")]
    pub block_io: BlockIo,
    /// Huge pages.
    pub hugepage_limits: Vec<HugepageLimit>,
    /// net_cls and net_prio, which exist only on cgroup v1.
    pub network: Network,
    /// RDMA devices.
    pub rdma: BTreeMap<String, Rdma>,
    /// Files of cgroup v2 and what to write to them.
    pub unified: BTreeMap<String, String>,
}

/// Allows or denies devices.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(remote = "Self", default)]
pub struct DeviceRule {
    /// Allow or deny.
    pub allow: bool,
    /// a, b or c; empty is a.
    #[serde(rename = "type")]
    pub kind: String,
    /// The major number; None or -1 is any.
    pub major: Option<i64>,
    /// The minor number; None or -1 is any.
    pub minor: Option<i64>,
    /// Any of r, w and m.
    pub access: String,
}

/// Limits in bytes; -1 means no limit.
#[derive(Debug, Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", default)]
pub struct Memory {
    /// memory.max
    pub limit: Option<i64>,
    /// memory.low
    pub reservation: Option<i64>,
    /// The sum of memory and swap.
    pub swap: Option<i64>,
    /// v1 only, deprecated.
    pub kernel: Option<i64>,
    /// v1 only.
    #[serde(rename = "kernelTCP")]
    pub kernel_tcp: Option<i64>,
    /// v1 only.
    pub swappiness: Option<u64>,
    /// v1 only.
    #[serde(rename = "disableOOMKiller")]
    pub disable_oom_killer: Option<bool>,
    /// v1 only.
    pub use_hierarchy: Option<bool>,
    /// Whether update compares the limit with the usage first.
    pub check_before_update: Option<bool>,
}

/// CPU time in microseconds, and placement.
#[derive(Debug, Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", default)]
pub struct Cpu {
    /// The shares, 2 to 262144.
    pub shares: Option<u64>,
    /// The time within a period; -1 is no limit.
    pub quota: Option<i64>,
    /// The burst.
    pub burst: Option<u64>,
    /// The period.
    pub period: Option<u64>,
    /// v1 only.
    pub realtime_runtime: Option<i64>,
    /// v1 only.
    pub realtime_period: Option<u64>,
    /// The CPUs.
    pub cpus: String,
    /// The memory nodes.
    pub mems: String,
    /// cpu.idle
    pub idle: Option<i64>,
}

/// The number of processes.
#[derive(Debug, Default, Deserialize)]
#[serde(remote = "Self", default)]
pub struct Pids {
    /// The limit; -1 means none.
    pub limit: Option<i64>,
}

/// Block devices.
#[derive(Debug, Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", default)]
pub struct BlockIo {
    /// 10 to 1000.
    pub weight: Option<u16>,
    /// v1 only.
    pub leaf_weight: Option<u16>,
    /// Weights of devices.
    pub weight_device: Vec<WeightDevice>,
    /// Bytes per second.
    pub throttle_read_bps_device: Vec<ThrottleDevice>,
    /// Bytes per second.
    pub throttle_write_bps_device: Vec<ThrottleDevice>,
    /// Operations per second.
    #[serde(rename = "throttleReadIOPSDevice")]
    pub throttle_read_iops_device: Vec<ThrottleDevice>,
    /// Operations per second.
    #[serde(rename = "throttleWriteIOPSDevice")]
    pub throttle_write_iops_device: Vec<ThrottleDevice>,
}

/// The weight of a block device.
#[derive(Debug, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase")]
pub struct WeightDevice {
    /// The major number.
    pub major: i64,
    /// The minor number.
    pub minor: i64,
    /// 10 to 1000.
    pub weight: Option<u16>,
    /// v1 only.
    pub leaf_weight: Option<u16>,
}

/// The limit of a block device.
#[derive(Debug, Deserialize)]
#[serde(remote = "Self")]
pub struct ThrottleDevice {
    /// The major number.
    pub major: i64,
    /// The minor number.
    pub minor: i64,
    /// Bytes or operations per second.
    pub rate: u64,
}

/// A limit on huge pages of one size.
#[derive(Debug, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase")]
pub struct HugepageLimit {
    /// As 2MB.
    pub page_size: String,
    /// In bytes.
    pub limit: u64,
}

/// net_cls and net_prio.
#[derive(Debug, Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", default)]
pub struct Network {
    /// net_cls.classid
    #[serde(rename = "classID")]
    pub class_id: Option<u32>,
    /// net_prio.ifpriomap
    pub priorities: Vec<Priority>,
}

/// The priority of what is sent through a network interface.
#[derive(Debug, Deserialize)]
#[serde(remote = "Self")]
pub struct Priority {
    /// The interface.
    pub name: String,
    /// Its priority.
    pub priority: u32,
}

/// Limits of an RDMA device.
#[derive(Debug, Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", default)]
pub struct Rdma {
    /// hca_handle
    pub hca_handles: Option<u32>,
    /// hca_object
    pub hca_objects: Option<u32>,
}

object! { Resources, DeviceRule, Memory, Cpu, Pids, BlockIo, WeightDevice, ThrottleDevice, HugepageLimit, Network, Priority, Rdma }
