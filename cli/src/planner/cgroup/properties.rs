//! The properties of the container's scope. Each limit that systemd knows, too, is one:
//! systemd writes the limits that it knows to the cgroup whenever it reloads its units,
//! and would undo what only the cgroup has.

use super::super::devices_v1::Writes;
use super::super::limits::Limit;
use crate::plan::scope::{Property, Value};

/// What systemd counts one second of CPU time in.
const SECOND: u64 = 1_000_000;
/// It keeps a quota in percent of a CPU.
const PERCENT: u64 = SECOND / 100;
const QUOTA: &str = "CPUQuotaPerSecUSec";
/// The kernel's period of a quota.
const PERIOD: u64 = 100_000;
/// The most CPUs or memory nodes in a mask.
const MOST_BITS: usize = 1 << 16;

/// Changes the limits of which systemd can keep only others, so that both agree.
pub(super) fn fit(limits: &mut [Limit]) {
    let period = period_of(limits);
    for limit in limits {
        match (limit.file.as_str(), &mut limit.otherwise) {
            ("cpu.max", _) => {
                let Some((quota, period)) = quota(&limit.value) else { continue };
                limit.value = format!("{} {period}", rounded(quota, period));
            }
            ("cpu.cfs_quota_us", _) => {
                let Ok(quota) = limit.value.parse() else { continue };
                limit.value = rounded(quota, period).to_string();
            }
            ("io.bfq.weight", Some((file, value))) if file == "io.weight" => {
                if let Ok(weight) = limit.value.parse() {
                    *value = io_weight(weight).to_string();
                }
            }
            _ => {}
        }
    }
}

/// Reads the value of a file as that of its property.
type Reading = fn(&str) -> Option<Value>;

/// The file of a limit, its property, and how its value is read.
const PROPERTIES: [(&str, &str, Reading); 17] = [
    ("memory.max", "MemoryMax", amount),
    ("memory.high", "MemoryHigh", amount),
    ("memory.low", "MemoryLow", amount),
    ("memory.min", "MemoryMin", amount),
    ("memory.swap.max", "MemorySwapMax", amount),
    ("memory.zswap.max", "MemoryZSwapMax", amount),
    ("memory.limit_in_bytes", "MemoryLimit", amount),
    ("pids.max", "TasksMax", at_least_one),
    ("cpu.weight", "CPUWeight", amount),
    ("cpu.shares", "CPUShares", amount),
    ("cpu.max", "CPUQuotaPeriodUSec", |value| {
        Some(Value::u64(number(value.split_whitespace().nth(1)).unwrap_or(PERIOD)))
    }),
    ("cpu.cfs_period_us", "CPUQuotaPeriodUSec", amount),
    ("cpuset.cpus", "AllowedCPUs", mask),
    ("cpuset.mems", "AllowedMemoryNodes", mask),
    ("io.weight", "IOWeight", |value| default_of(value).map(Value::u64)),
    ("io.bfq.weight", "IOWeight", |value| default_of(value).map(io_weight).map(Value::u64)),
    ("blkio.weight", "BlockIOWeight", amount),
];

/// The properties for these limits. A value that is none is left to the kernel, which
/// refuses it.
pub(super) fn of_limits(limits: &[Limit]) -> Vec<Property> {
    let is_idle = limits.iter().any(|limit| limit.file == "cpu.idle" && limit.value == "1");
    let cfs_period = period_of(limits);
    let mut properties = Vec::new();
    for limit in limits {
        let value = limit.value.trim();
        let of_quota = match limit.file.as_str() {
            // Weight 0 means idle.
            "cpu.idle" if is_idle => Some(("CPUWeight", 0)),
            "cpu.weight" if is_idle => continue,
            "cpu.max" => Some((QUOTA, quota(value).map_or(u64::MAX, |(q, p)| per_second(q, p)))),
            "cpu.cfs_quota_us" => {
                Some((QUOTA, value.parse().map_or(u64::MAX, |q| per_second(q, cfs_period))))
            }
            _ => None,
        };
        properties.extend(of_quota.map(|(name, value)| Property::limit(name, Value::u64(value))));
        if let Some((_, name, read)) = PROPERTIES.iter().find(|(file, ..)| *file == limit.file) {
            properties.extend(read(value).map(|value| Property::limit(name, value)));
        }
    }
    properties
}

/// A number, or `max`, or -1 for the same.
fn amount(value: &str) -> Option<Value> {
    match value {
        "max" | "-1" => Some(Value::u64(u64::MAX)),
        number => number.parse().ok().map(Value::u64),
    }
}

/// The same, but systemd does not take 0.
fn at_least_one(value: &str) -> Option<Value> {
    if value == "0" { Some(Value::u64(1)) } else { amount(value) }
}

fn number(word: Option<&str>) -> Option<u64> {
    word?.parse().ok()
}

/// The quota and the period of cpu.max, if there is a quota.
fn quota(value: &str) -> Option<(u64, u64)> {
    let mut words = value.split_whitespace();
    let quota = number(words.next())?;
    let period = words.next().map_or(Some(PERIOD), |word| word.parse().ok())?;
    (period > 0).then_some((quota, period))
}

fn period_of(limits: &[Limit]) -> u64 {
    let period = limits.iter().find(|limit| limit.file == "cpu.cfs_period_us");
    period.and_then(|limit| limit.value.parse().ok()).filter(|period| *period > 0).unwrap_or(PERIOD)
}

/// A quota in microseconds of each second, rounded up to a percent.
fn per_second(quota: u64, period: u64) -> u64 {
    let exact = u128::from(quota) * u128::from(SECOND) / u128::from(period);
    u64::try_from(exact).unwrap_or(u64::MAX / 2).div_ceil(PERCENT) * PERCENT
}

/// That quota in microseconds of each period.
fn rounded(quota: u64, period: u64) -> u64 {
    let exact = u128::from(per_second(quota, period)) * u128::from(period);
    u64::try_from(exact / u128::from(SECOND)).unwrap_or(quota)
}

/// The default weight of a file with weights of devices, too.
fn default_of(value: &str) -> Option<u64> {
    let of_line = |line: &str| line.trim().strip_prefix("default ").unwrap_or(line).trim().parse();
    value.lines().find_map(|line| of_line(line).ok())
}

/// The weight of which systemd makes this weight of the bfq scheduler, 1 to 1000. Both
/// have 100 as the default, and a straight line on each side of it.
fn io_weight(weight: u64) -> u64 {
    match weight {
        0..=100 => weight.max(1),
        _ => (100 + (weight - 100) * (10_000 - 100) / (1000 - 100)).min(10_000),
    }
}

/// A list such as `0-2,7` as bits, the lowest first.
fn mask(list: &str) -> Option<Value> {
    let mut bytes: Vec<u8> = Vec::new();
    for part in list.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        if last >= MOST_BITS {
            return None;
        }
        for bit in first..=last {
            bytes.resize(bytes.len().max(bit / 8 + 1), 0);
            *bytes.get_mut(bit / 8)? |= 1 << (bit % 8);
        }
    }
    let bytes = bytes.into_iter().map(|byte| Value::Number(b'y', u64::from(byte))).collect();
    Some(Value::Array("y".to_owned(), bytes))
}

/// The rules for devices in a new cgroup of v1, where systemd writes the same files as
/// vial, and whether it knows all of them. It only knows lists of what is allowed.
pub(super) fn of_devices(writes: &Writes) -> (Vec<Property>, bool) {
    // Nothing is written if all is allowed.
    let (listed, is_list) = match writes.split_first() {
        Some((("devices.deny", all), listed)) if all == "a" => (listed, true),
        _ => (&[][..], writes.is_empty()),
    };
    let allowed: Vec<Value> = listed.iter().filter_map(|(_, entry)| device(entry)).collect();
    let is_exact = is_list && allowed.len() == listed.len();
    let policy = if writes.is_empty() { "auto" } else { "strict" };
    // The list before the policy: the other way round, systemd wants a reload at once.
    let properties = vec![
        Property::new("DeviceAllow", Value::Array("(ss)".to_owned(), allowed)),
        Property::new("DevicePolicy", Value::text(policy)),
    ];
    (properties, is_exact)
}

/// An entry such as `c 1:3 rwm`, as `/dev/char/1:3` and `rwm`.
fn device(entry: &str) -> Option<Value> {
    let mut words = entry.split(' ');
    let kind = if words.next()? == "b" { "block" } else { "char" };
    let (major, minor) = words.next()?.split_once(':')?;
    let path = match (major, minor) {
        ("*", "*") => format!("{kind}-*"),
        ("*", _) => return None,
        (major, "*") => format!("{kind}-{major}"),
        (major, minor) => format!("/dev/{kind}/{major}:{minor}"),
    };
    Some(Value::Struct(vec![Value::Text(path), Value::text(words.next()?)]))
}

#[cfg(test)]
#[path = "tests/properties.rs"]
mod tests;
