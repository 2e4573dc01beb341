//! resources.memory.

use super::{Limits, negative, number_or_max, only_v1, wrong};
use crate::config::resources::Memory;
use crate::error::Error;

/// Adds the limits. `now`: the limit and the usage of the cgroup, if it exists.
pub(super) fn memory(
    memory: &Memory,
    is_v1: bool,
    now: Option<[u64; 2]>,
    limits: &mut Limits,
) -> Result<(), Error> {
    negative(memory.limit, "memory.limit")?;
    negative(memory.reservation, "memory.reservation")?;
    negative(memory.swap, "memory.swap")?;
    let limit = memory.limit.filter(|limit| *limit != 0);
    let swap = memory.swap.filter(|both| *both != 0);
    match (swap, limit) {
        (None | Some(-1), _) => {}
        (Some(both), Some(limit)) if limit > 0 && both >= limit => {}
        (Some(_), Some(limit)) if limit > 0 => {
            let what = "below memory.limit, which it includes";
            return Err(wrong("linux.resources.memory.swap", what));
        }
        _ => {
            let what = "set without memory.limit, which it includes";
            return Err(wrong("linux.resources.memory.swap", what));
        }
    }
    if let (Some(limit), Some([_, usage]), Some(true)) = (limit, now, memory.check_before_update)
        && u64::try_from(limit).is_ok_and(|limit| limit < usage)
    {
        let what = format_args!("the cgroup exists and uses {usage} bytes already");
        return Err(wrong("linux.resources.memory.limit", what)
            .hint("memory.checkBeforeUpdate asks for this check"));
    }
    // Without a limit on memory, there is none on the sum either.
    let swap = swap.or(limit.filter(|limit| *limit == -1));
    match is_v1 {
        true => v1(memory, limit, swap, now, limits),
        false => v2(memory, limit, swap, limits),
    }
}

fn v1(
    memory: &Memory,
    limit: Option<i64>,
    swap: Option<i64>,
    now: Option<[u64; 2]>,
    limits: &mut Limits,
) -> Result<(), Error> {
    if let Some(hierarchical) = memory.use_hierarchy {
        // Before Linux 5.11. Later kernels know no other way, and refuse 0.
        limits.add("memory.use_hierarchy", u8::from(hierarchical), "memory.useHierarchy");
    }
    let add_limit = |limits: &mut Limits| {
        if let Some(limit) = limit {
            limits.add("memory.limit_in_bytes", limit, "memory.limit");
        }
    };
    let add_swap = |limits: &mut Limits| {
        if let Some(both) = swap {
            let field = if memory.swap.is_some_and(|swap| swap != 0) { "swap" } else { "limit" };
            limits.add("memory.memsw.limit_in_bytes", both, &format!("memory.{field}"));
            if both == -1 || Some(both) == limit {
                // The file is missing if the kernel does not account swap. Then no limit
                // was asked for, or there is no swap to use.
                limits.otherwise("", "");
            }
        }
    };
    // At no moment may the limit on the sum be below the one on memory. A new cgroup has
    // no limits.
    let old = now.map_or(u64::MAX, |[limit, _]| limit);
    let raises = swap == Some(-1) || swap.is_some_and(|both| old < both.unsigned_abs());
    match raises {
        true => {
            add_swap(limits);
            add_limit(limits);
        }
        false => {
            add_limit(limits);
            add_swap(limits);
        }
    }
    v1_beside(memory, limits)
}

/// Adds what is beside the two limits.
fn v1_beside(memory: &Memory, limits: &mut Limits) -> Result<(), Error> {
    if let Some(low) = memory.reservation.filter(|low| *low != 0) {
        limits.add("memory.soft_limit_in_bytes", low, "memory.reservation");
    }
    if let Some(limit) = memory.kernel.filter(|limit| *limit != 0) {
        limits.warn("memory.kernel", format_args!("the limit {limit} is not set: the kernel limits its memory by memory.limit (Linux 5.16)"));
    }
    if let Some(limit) = memory.kernel_tcp.filter(|limit| *limit != 0) {
        limits.add("memory.kmem.tcp.limit_in_bytes", limit, "memory.kernelTCP");
    }
    if let Some(swappiness) = memory.swappiness {
        if swappiness > 100 {
            let what = format_args!("{swappiness} is not 0 to 100");
            return Err(wrong("linux.resources.memory.swappiness", what));
        }
        limits.add("memory.swappiness", swappiness, "memory.swappiness");
    }
    if memory.disable_oom_killer == Some(true) {
        limits.add("memory.oom_control", 1, "memory.disableOOMKiller");
    }
    Ok(())
}

fn v2(
    memory: &Memory,
    limit: Option<i64>,
    swap: Option<i64>,
    limits: &mut Limits,
) -> Result<(), Error> {
    for (field, present) in [
        ("memory.swappiness", memory.swappiness.is_some()),
        ("memory.disableOOMKiller", memory.disable_oom_killer == Some(true)),
        ("memory.kernelTCP", memory.kernel_tcp.is_some_and(|limit| limit > 0)),
    ] {
        if present {
            return Err(only_v1(field));
        }
    }
    if memory.use_hierarchy == Some(false) {
        let what = "cgroup v2 counts a cgroup's memory in its parents, too";
        return Err(wrong("linux.resources.memory.useHierarchy", what));
    }
    if let Some(limit) = memory.kernel.filter(|limit| *limit > 0) {
        limits.warn(
            "memory.kernel",
            format_args!(
                "the limit {limit} is not set: cgroup v2 limits the kernel's memory by memory.limit"
            ),
        );
    }
    // Swap first: with only a limit on memory, everything could be swapped out.
    if let Some(both) = swap {
        let swap = match limit {
            Some(limit) if both != -1 => (both - limit).to_string(),
            _ => "max".to_owned(),
        };
        let nothing_to_limit = matches!(&*swap, "max" | "0");
        let field = if memory.swap.is_some_and(|swap| swap != 0) { "swap" } else { "limit" };
        limits.add("memory.swap.max", swap, &format!("memory.{field}"));
        if nothing_to_limit {
            // The file is missing if the kernel does not account swap. Then no limit
            // was asked for, or there is no swap to use.
            limits.otherwise("", "");
        }
    }
    if let Some(limit) = limit {
        limits.add("memory.max", number_or_max(limit), "memory.limit");
    }
    if let Some(low) = memory.reservation.filter(|low| *low != 0) {
        limits.add("memory.low", number_or_max(low), "memory.reservation");
    }
    Ok(())
}
