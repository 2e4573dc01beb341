//! resources.cpu.

use super::{Limits, only_v1, wrong};
use crate::config::resources::Cpu;
use crate::error::Error;

/// What the kernel accepts as cpu.shares.
const SHARES: std::ops::RangeInclusive<u64> = 2..=262_144;

/// Adds the limits on CPU time. `is_new`: the cgroup does not exist yet.
pub(super) fn time(cpu: &Cpu, is_v1: bool, is_new: bool, limits: &mut Limits) -> Result<(), Error> {
    if let Some(idle) = cpu.idle {
        if !matches!(idle, 0 | 1) {
            return Err(wrong("linux.resources.cpu.idle", format_args!("{idle} is not 0 or 1")));
        }
        limits.add("cpu.idle", idle, "cpu.idle");
    }
    let runtime = cpu.realtime_runtime.filter(|time| *time != 0);
    let realtime_period = cpu.realtime_period.filter(|time| *time != 0);
    match is_v1 {
        true => v1(cpu, is_new, limits)?,
        false if runtime.is_some() => return Err(only_v1("cpu.realtimeRuntime")),
        false if realtime_period.is_some() => return Err(only_v1("cpu.realtimePeriod")),
        false => v2(cpu, limits),
    }
    if let Some(burst) = cpu.burst {
        limits.add(if is_v1 { "cpu.cfs_burst_us" } else { "cpu.max.burst" }, burst, "cpu.burst");
    }
    Ok(())
}

fn v1(cpu: &Cpu, is_new: bool, limits: &mut Limits) -> Result<(), Error> {
    // In the parents that are made, too: none of their children may have more.
    if let Some(period) = cpu.realtime_period.filter(|time| *time != 0) {
        limits.add("cpu.rt_period_us", period, "cpu.realtimePeriod");
        limits.also_in_parents();
    }
    if let Some(runtime) = cpu.realtime_runtime.filter(|time| *time != 0) {
        limits.add("cpu.rt_runtime_us", runtime, "cpu.realtimeRuntime");
        limits.also_in_parents();
    }
    if let Some(shares) = cpu.shares.filter(|shares| *shares != 0) {
        // The kernel would take the nearest one instead.
        if !SHARES.contains(&shares) {
            let what = format_args!("{shares} is not {} to {}", SHARES.start(), SHARES.end());
            return Err(wrong("linux.resources.cpu.shares", what));
        }
        limits.add("cpu.shares", shares, "cpu.shares");
    }
    let quota = cpu.quota.filter(|quota| *quota != 0);
    let period = cpu.period.filter(|period| *period != 0);
    if let Some(period) = period {
        // An old quota need not fit into the new period.
        if !is_new && quota.is_some() {
            limits.add("cpu.cfs_quota_us", -1, "cpu.quota");
        }
        limits.add("cpu.cfs_period_us", period, "cpu.period");
    }
    if let Some(quota) = quota {
        limits.add("cpu.cfs_quota_us", quota.max(-1), "cpu.quota");
    }
    Ok(())
}

fn v2(cpu: &Cpu, limits: &mut Limits) {
    if let Some(shares) = cpu.shares.filter(|shares| *shares != 0) {
        limits.add("cpu.weight", weight(shares), "cpu.shares");
    }
    let quota = cpu.quota.filter(|quota| *quota != 0);
    let period = cpu.period.filter(|period| *period != 0);
    if quota.is_some() || period.is_some() {
        let field = if quota.is_some() { "cpu.quota" } else { "cpu.period" };
        let quota = super::number_or_max(quota.unwrap_or(-1));
        limits.add("cpu.max", format_args!("{quota} {}", period.unwrap_or(100_000)), field);
    }
}

/// Adds the CPUs and the memory nodes.
pub(super) fn places(cpu: &Cpu, limits: &mut Limits) {
    if !cpu.cpus.is_empty() {
        limits.add("cpuset.cpus", &cpu.cpus, "cpu.cpus");
    }
    if !cpu.mems.is_empty() {
        limits.add("cpuset.mems", &cpu.mems, "cpu.mems");
    }
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
