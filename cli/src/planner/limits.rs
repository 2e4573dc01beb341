//! linux.resources: each limit as a file of cgroup v2 and the value to write.

use super::{refuse, wrong};
use crate::config::resources::{BlockIo, Cpu, Memory, Resources};
use crate::error::Error;

/// One write to the container's cgroup.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Limit {
    /// The name of the file.
    pub(super) file: String,
    /// The value to write.
    pub(super) value: String,
    /// The field of config.json.
    pub(super) origin: String,
    /// The file and value to write if the kernel does not have the first file. If both
    /// are empty, nothing is written then.
    pub(super) otherwise: Option<(String, String)>,
}

impl Limit {
    /// The controller that the file belongs to.
    pub(super) fn controller(&self) -> &str {
        self.file.split('.').next().unwrap_or_default()
    }
}

/// All limits, in the order of the writes.
pub(super) fn limits(resources: &Resources) -> Result<Vec<Limit>, Error> {
    let mut limits = Limits(Vec::new());
    memory(&resources.memory, &mut limits)?;
    cpu(&resources.cpu, &mut limits)?;
    if let Some(limit) = resources.pids.limit.filter(|limit| *limit != 0) {
        limits.add("pids.max", number_or_max(limit), "pids.limit");
    }
    block_io(&resources.block_io, &mut limits)?;
    for (index, huge) in resources.hugepage_limits.iter().enumerate() {
        let at = format!("hugepageLimits[{index}]");
        limits.add(&format!("hugetlb.{}.max", huge.page_size), huge.limit, &at);
    }
    for (device, rdma) in &resources.rdma {
        let mut value = device.clone();
        for (name, limit) in [("hca_handle", rdma.hca_handles), ("hca_object", rdma.hca_objects)] {
            if let Some(limit) = limit {
                value.push_str(&format!(" {name}={limit}"));
            }
        }
        limits.add("rdma.max", value, &format!("rdma.{device}"));
    }
    if resources.network.class_id.is_some() || !resources.network.priorities.is_empty() {
        return Err(only_v1("network"));
    }
    for (file, value) in &resources.unified {
        if file.contains('/') || !file.contains('.') || file.starts_with('.') {
            let at = format_args!("linux.resources.unified.{file}");
            return Err(wrong(at, "not the name of a cgroup file"));
        }
        limits.add(file, value, &format!("unified.{file}"));
    }
    Ok(limits.0)
}

struct Limits(Vec<Limit>);

impl Limits {
    fn add(&mut self, file: &str, value: impl ToString, field: &str) {
        self.0.push(Limit {
            file: file.to_owned(),
            value: value.to_string(),
            origin: format!("linux.resources.{field}"),
            otherwise: None,
        });
    }

    /// Sets what to write instead of the last one if its file is missing.
    fn otherwise(&mut self, file: &str, value: impl ToString) {
        if let Some(limit) = self.0.last_mut() {
            limit.otherwise = Some((file.to_owned(), value.to_string()));
        }
    }
}

fn memory(memory: &Memory, limits: &mut Limits) -> Result<(), Error> {
    for (field, present) in [
        ("memory.swappiness", memory.swappiness.is_some()),
        ("memory.disableOOMKiller", memory.disable_oom_killer == Some(true)),
        ("memory.kernelTCP", memory.kernel_tcp.is_some_and(|limit| limit > 0)),
    ] {
        if present {
            return Err(only_v1(field));
        }
    }
    // Swap first: with only a limit on memory, everything could be swapped out.
    if let Some(both) = memory.swap.filter(|both| *both != 0) {
        let swap = match (both, memory.limit) {
            (-1, _) => "max".to_owned(),
            (both, Some(limit)) if limit > 0 && both >= limit => (both - limit).to_string(),
            (_, Some(limit)) if limit > 0 => {
                return Err(wrong(
                    "linux.resources.memory.swap",
                    "below memory.limit, which it includes",
                ));
            }
            _ => {
                return Err(wrong(
                    "linux.resources.memory.swap",
                    "set without memory.limit, which it includes",
                ));
            }
        };
        let nothing_to_limit = matches!(&*swap, "max" | "0");
        limits.add("memory.swap.max", swap, "memory.swap");
        if nothing_to_limit {
            // The file is missing if the kernel does not account swap. Then no limit
            // was asked for, or there is no swap to use.
            limits.otherwise("", "");
        }
    }
    if let Some(limit) = memory.limit.filter(|limit| *limit != 0) {
        limits.add("memory.max", number_or_max(limit), "memory.limit");
    }
    if let Some(low) = memory.reservation.filter(|low| *low != 0) {
        limits.add("memory.low", number_or_max(low), "memory.reservation");
    }
    Ok(())
}

fn cpu(cpu: &Cpu, limits: &mut Limits) -> Result<(), Error> {
    if cpu.realtime_runtime.is_some_and(|time| time != 0)
        || cpu.realtime_period.is_some_and(|time| time != 0)
    {
        return Err(only_v1("cpu.realtimeRuntime"));
    }
    if let Some(idle) = cpu.idle {
        limits.add("cpu.idle", idle, "cpu.idle");
    }
    if let Some(shares) = cpu.shares.filter(|shares| *shares != 0) {
        limits.add("cpu.weight", weight(shares), "cpu.shares");
    }
    let period = cpu.period.filter(|period| *period != 0);
    match (cpu.quota.filter(|quota| *quota != 0), period) {
        (None, None) => {}
        (quota, period) => {
            let field = if quota.is_some() { "cpu.quota" } else { "cpu.period" };
            let quota = number_or_max(quota.unwrap_or(-1));
            limits.add("cpu.max", format_args!("{quota} {}", period.unwrap_or(100_000)), field);
        }
    }
    if let Some(burst) = cpu.burst {
        limits.add("cpu.max.burst", burst, "cpu.burst");
    }
    if !cpu.cpus.is_empty() {
        limits.add("cpuset.cpus", &cpu.cpus, "cpu.cpus");
    }
    if !cpu.mems.is_empty() {
        limits.add("cpuset.mems", &cpu.mems, "cpu.mems");
    }
    Ok(())
}

/// Converts cpu.shares to cpu.weight, so that the minima, the defaults 1024 and 100,
/// and the maxima correspond: a quadratic function of the logarithm of the shares.
fn weight(shares: u64) -> u64 {
    if shares <= 2 {
        return 1;
    }
    if shares >= 262_144 {
        return 10_000;
    }
    let log = log2(shares as f64);
    let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
    exp2(exponent * std::f64::consts::LOG2_10).ceil() as u64
}

/// The binary logarithm of a number that is at least 1, one binary digit at a time:
/// squaring doubles the logarithm, so the next digit is whether the square reaches 2.
/// libm's functions would bring 10 KiB of tables for this one formula.
fn log2(mut number: f64) -> f64 {
    let mut log = 0.0;
    while number >= 2.0 {
        number /= 2.0;
        log += 1.0;
    }
    let mut digit = 0.5;
    while digit > 1e-15 {
        number *= number;
        if number >= 2.0 {
            number /= 2.0;
            log += digit;
        }
        digit /= 2.0;
    }
    log
}

/// 2 to a power that is at least 0. Each binary digit of the power stands for a root.
fn exp2(mut power: f64) -> f64 {
    let mut result = 1.0;
    while power >= 1.0 {
        power -= 1.0;
        result *= 2.0;
    }
    let (mut digit, mut root) = (0.5, 2.0_f64.sqrt());
    while digit > 1e-15 {
        if power >= digit {
            power -= digit;
            result *= root;
        }
        digit /= 2.0;
        root = root.sqrt();
    }
    result
}

fn block_io(io: &BlockIo, limits: &mut Limits) -> Result<(), Error> {
    if io.leaf_weight.is_some_and(|weight| weight != 0) {
        return Err(only_v1("blockIO.leafWeight"));
    }
    if let Some(weight) = io.weight.filter(|weight| *weight != 0) {
        io_weight(limits, "", weight, "blockIO.weight")?;
    }
    for (index, device) in io.weight_device.iter().enumerate() {
        let field = format!("blockIO.weightDevice[{index}]");
        if device.leaf_weight.is_some_and(|weight| weight != 0) {
            return Err(only_v1(&field));
        }
        if let Some(weight) = device.weight.filter(|weight| *weight != 0) {
            let device = format!("{}:{} ", device.major, device.minor);
            io_weight(limits, &device, weight, &field)?;
        }
    }
    for (name, devices, key) in [
        ("throttleReadBpsDevice", &io.throttle_read_bps_device, "rbps"),
        ("throttleWriteBpsDevice", &io.throttle_write_bps_device, "wbps"),
        ("throttleReadIOPSDevice", &io.throttle_read_iops_device, "riops"),
        ("throttleWriteIOPSDevice", &io.throttle_write_iops_device, "wiops"),
    ] {
        for (index, device) in devices.iter().enumerate() {
            let value = format!("{}:{} {key}={}", device.major, device.minor, device.rate);
            limits.add("io.max", value, &format!("blockIO.{name}[{index}]"));
        }
    }
    Ok(())
}

/// Writes a weight of blkio, 10 to 1000, to io.bfq.weight unchanged, or, without the
/// bfq scheduler, to io.weight, scaled to 1 to 10000.
fn io_weight(limits: &mut Limits, device: &str, weight: u16, field: &str) -> Result<(), Error> {
    if !(10..=1000).contains(&weight) {
        let field = format_args!("linux.resources.{field}");
        return Err(wrong(field, format_args!("a weight of {weight} is not 10 to 1000")));
    }
    limits.add("io.bfq.weight", format_args!("{device}{weight}"), field);
    let converted = 1 + (u64::from(weight) - 10) * 9999 / 990;
    limits.otherwise("io.weight", format_args!("{device}{converted}"));
    Ok(())
}

fn number_or_max(limit: i64) -> String {
    if limit < 0 { "max".to_owned() } else { limit.to_string() }
}

fn only_v1(field: &str) -> Error {
    refuse::not_supported(&format!("linux.resources.{field}"))
        .hint("only cgroup v1 has it; leave it out")
}

#[cfg(test)]
mod tests {
    use super::weight;

    #[test]
    fn the_defaults_of_shares_and_weight_correspond() {
        for (shares, expected) in
            [(2, 1), (3, 2), (512, 59), (1024, 100), (2048, 174), (4096, 303), (262_144, 10_000)]
        {
            assert_eq!(weight(shares), expected, "cpu.shares {shares}");
        }
        let precise = |shares: u64| {
            let log = (shares as f64).log2();
            10_f64.powf((log * log + 125.0 * log) / 612.0 - 7.0 / 34.0)
        };
        for shares in (3..262_144).step_by(997) {
            let off = weight(shares) as f64 - precise(shares);
            assert!((-1e-6..=1.0 + 1e-6).contains(&off), "cpu.shares {shares}");
        }
    }
}
