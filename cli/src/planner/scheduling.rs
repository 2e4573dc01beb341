//! process.scheduler, process.ioPriority, process.execCPUAffinity, linux.memoryPolicy
//! and linux.personality: when and where the process runs.

use linux_raw_sys::general;

use super::wrong;
use crate::config::linux::{MemoryPolicy, Personality};
use crate::config::process::{IoPriority, Scheduler};
use crate::error::Error;

const POLICIES: [(&str, u32); 6] = [
    ("SCHED_OTHER", general::SCHED_NORMAL),
    ("SCHED_FIFO", general::SCHED_FIFO),
    ("SCHED_RR", general::SCHED_RR),
    ("SCHED_BATCH", general::SCHED_BATCH),
    ("SCHED_IDLE", general::SCHED_IDLE),
    ("SCHED_DEADLINE", general::SCHED_DEADLINE),
];

const FLAGS: [(&str, u32); 7] = [
    ("SCHED_FLAG_RESET_ON_FORK", general::SCHED_FLAG_RESET_ON_FORK),
    ("SCHED_FLAG_RECLAIM", general::SCHED_FLAG_RECLAIM),
    ("SCHED_FLAG_DL_OVERRUN", general::SCHED_FLAG_DL_OVERRUN),
    ("SCHED_FLAG_KEEP_POLICY", general::SCHED_FLAG_KEEP_POLICY),
    ("SCHED_FLAG_KEEP_PARAMS", general::SCHED_FLAG_KEEP_PARAMS),
    ("SCHED_FLAG_UTIL_CLAMP_MIN", general::SCHED_FLAG_UTIL_CLAMP_MIN),
    ("SCHED_FLAG_UTIL_CLAMP_MAX", general::SCHED_FLAG_UTIL_CLAMP_MAX),
];

/// IOPRIO_CLASS_*, linux/ioprio.h, which linux-raw-sys lacks.
const CLASSES: [(&str, u32); 3] =
    [("IOPRIO_CLASS_RT", 1), ("IOPRIO_CLASS_BE", 2), ("IOPRIO_CLASS_IDLE", 3)];
/// IOPRIO_CLASS_SHIFT.
const CLASS_SHIFT: u32 = 13;

/// MPOL_*, linux/mempolicy.h, by their numbers.
const MODES: [&str; 7] = [
    "MPOL_DEFAULT",
    "MPOL_PREFERRED",
    "MPOL_BIND",
    "MPOL_INTERLEAVE",
    "MPOL_LOCAL",
    "MPOL_PREFERRED_MANY",
    "MPOL_WEIGHTED_INTERLEAVE",
];

const MODE_FLAGS: [(&str, u32); 3] = [
    ("MPOL_F_NUMA_BALANCING", 1 << 13),
    ("MPOL_F_RELATIVE_NODES", 1 << 14),
    ("MPOL_F_STATIC_NODES", 1 << 15),
];

/// PER_LINUX32, linux/personality.h.
const LINUX32: u32 = 8;

/// A scheduling policy.
pub(super) struct Attributes {
    /// struct sched_attr.
    pub(super) bytes: Vec<u8>,
    /// Whether a child inherits it.
    pub(super) is_inherited: bool,
}

fn named(table: &[(&str, u32)], name: &str, field: &str, what: &str) -> Result<u32, Error> {
    let found = table.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    found.ok_or_else(|| wrong(field, format_args!("unknown {what} \"{name}\"")))
}

fn flags(table: &[(&str, u32)], names: &[String], field: &str) -> Result<u32, Error> {
    let each = names.iter().enumerate();
    each.map(|(index, name)| named(table, name, &format!("{field}[{index}]"), "flag"))
        .try_fold(0, |all, flag| Ok(all | flag?))
}

/// Reads process.scheduler. `field` is its path.
pub(super) fn scheduler(scheduler: &Scheduler, field: &str) -> Result<Attributes, Error> {
    let at = |name: &str| format!("{field}.{name}");
    let policy = named(&POLICIES, &scheduler.policy, &at("policy"), "policy")?;
    let flags = flags(&FLAGS, &scheduler.flags, &at("flags"))?;
    let has_nice = matches!(policy, general::SCHED_NORMAL | general::SCHED_BATCH);
    if scheduler.nice != 0 && !(has_nice && (-20..=19).contains(&scheduler.nice)) {
        return Err(wrong(at("nice"), "it is -20 to 19, for SCHED_OTHER and SCHED_BATCH only"));
    }
    let is_realtime = matches!(policy, general::SCHED_FIFO | general::SCHED_RR);
    let range = if is_realtime { 1..=99 } else { 0..=0 };
    if !range.contains(&scheduler.priority) {
        return Err(wrong(
            at("priority"),
            "it is 1 to 99 for SCHED_FIFO and SCHED_RR, and 0 for the others",
        ));
    }
    let times = [scheduler.runtime, scheduler.deadline, scheduler.period];
    if policy != general::SCHED_DEADLINE && times != [0; 3] {
        return Err(wrong(field, "runtime, deadline and period are for SCHED_DEADLINE only"));
    }
    let mut bytes = vec![0; 4]; // The size, which the caller of sched_setattr(2) fills in.
    bytes.extend(policy.to_ne_bytes());
    bytes.extend(u64::from(flags).to_ne_bytes());
    bytes.extend(scheduler.nice.to_ne_bytes());
    bytes.extend(scheduler.priority.to_ne_bytes());
    times.iter().for_each(|time| bytes.extend(time.to_ne_bytes()));
    bytes.extend([0; 8]); // sched_util_min, sched_util_max
    let is_inherited =
        policy != general::SCHED_DEADLINE && flags & general::SCHED_FLAG_RESET_ON_FORK == 0;
    Ok(Attributes { bytes, is_inherited })
}

/// Reads process.ioPriority, as ioprio_set(2) takes it.
pub(super) fn io_priority(given: &IoPriority, field: &str) -> Result<u32, Error> {
    let class = named(&CLASSES, &given.class, &format!("{field}.class"), "class")?;
    match u32::try_from(given.priority) {
        Ok(priority @ 0..=7) => Ok(class << CLASS_SHIFT | priority),
        _ => Err(wrong(format_args!("{field}.priority"), "it is 0 to 7")),
    }
}

/// Reads linux.memoryPolicy: the mode with its flags, and the mask of nodes.
pub(super) fn memory_policy(policy: &MemoryPolicy) -> Result<(u32, Vec<u8>), Error> {
    let field = |name: &str| format!("linux.memoryPolicy.{name}");
    let mode = MODES.iter().position(|mode| *mode == policy.mode);
    let unknown = || wrong(field("mode"), format_args!("unknown mode \"{}\"", policy.mode));
    let mode = mode.ok_or_else(unknown)? as u32;
    let flags = flags(&MODE_FLAGS, &policy.flags, &field("flags"))?;
    let nodes = match policy.nodes.as_str() {
        "" => Vec::new(),
        list => mask(list, &field("nodes"))?,
    };
    Ok((mode | flags, nodes))
}

/// Reads linux.personality.
pub(super) fn personality(personality: &Personality) -> Result<u32, Error> {
    if let Some(flag) = personality.flags.first() {
        let what = format_args!("unknown flag \"{flag}\": the spec defines none");
        return Err(wrong("linux.personality.flags[0]", what));
    }
    match personality.domain.as_str() {
        "LINUX" => Ok(0),
        "LINUX32" => Ok(LINUX32),
        domain => {
            let what = format_args!("unknown domain \"{domain}\"");
            Err(wrong("linux.personality.domain", what).hint("use LINUX or LINUX32"))
        }
    }
}

/// A list as in `0-3,7` as a bit mask in words of 8 bytes.
pub(super) fn mask(list: &str, field: &str) -> Result<Vec<u8>, Error> {
    let bad = || wrong(field, format_args!("\"{list}\" is not a list such as 0-3,7"));
    let number = |text: &str| text.trim().parse::<u16>().map_err(|_| bad());
    let mut mask: Vec<u8> = Vec::new();
    for range in list.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return Err(bad());
        }
        let length = (usize::from(last) / 64 + 1) * 8;
        mask.resize(mask.len().max(length), 0);
        for bit in first..=last {
            mask[usize::from(bit) / 8] |= 1 << (bit % 8);
        }
    }
    Ok(mask)
}

/// A bit mask as a list, as in `0-3,7`.
pub fn list_of(mask: &[u8]) -> String {
    let is_set = |bit: usize| mask.get(bit / 8).is_some_and(|byte| byte >> (bit % 8) & 1 == 1);
    let mut ranges: Vec<String> = Vec::new();
    let mut bit = 0;
    while bit < 8 * mask.len() {
        let first = bit;
        while is_set(bit) {
            bit += 1;
        }
        match bit - first {
            0 => bit += 1,
            1 => ranges.push(first.to_string()),
            _ => ranges.push(format!("{first}-{}", bit - 1)),
        }
    }
    ranges.join(",")
}

fn name_of(table: &[(&'static str, u32)], number: u32) -> &'static str {
    table.iter().find(|(_, known)| *known == number).map_or("?", |(name, _)| name)
}

/// The policy in a struct sched_attr.
pub fn policy_name(attributes: &[u8]) -> &'static str {
    let policy = attributes.get(4..8).and_then(|bytes| bytes.try_into().ok());
    name_of(&POLICIES, policy.map_or(u32::MAX, u32::from_ne_bytes))
}

/// The class and the priority within it.
pub fn io_priority_name(priority: u32) -> (&'static str, u32) {
    (name_of(&CLASSES, priority >> CLASS_SHIFT), priority & ((1 << CLASS_SHIFT) - 1))
}

/// The modes and the flags of linux.memoryPolicy, for `features`.
pub fn memory_policy_names() -> (Vec<&'static str>, Vec<&'static str>) {
    (MODES.to_vec(), MODE_FLAGS.iter().map(|(name, _)| *name).collect())
}

/// The mode of a memory policy, with its flags.
pub fn memory_mode_name(mode: u32) -> String {
    let flags: u32 = MODE_FLAGS.iter().map(|(_, flag)| flag).sum();
    let name = MODES.get((mode & !flags) as usize).copied().unwrap_or("?");
    let set = MODE_FLAGS.iter().filter(|(_, flag)| mode & flag != 0).map(|(name, _)| *name);
    std::iter::once(name).chain(set).collect::<Vec<_>>().join(" ")
}

/// The name of an execution domain.
pub fn personality_name(persona: u32) -> &'static str {
    if persona == LINUX32 { "LINUX32" } else { "LINUX" }
}

/// Every CPU that a kernel may have.
pub(super) const ALL_CPUS: [u8; 1024] = [0xff; 1024];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_becomes_a_mask() {
        let of = |list: &str| mask(list, "x").map_err(|error| error.to_string());
        assert_eq!(of("0"), Ok(vec![1, 0, 0, 0, 0, 0, 0, 0]));
        assert_eq!(of("0-3,7"), Ok(vec![0x8f, 0, 0, 0, 0, 0, 0, 0]));
        assert_eq!(of("64").unwrap().len(), 16);
        for list in ["0", "0-3,7", "5,64,66-67"] {
            assert_eq!(list_of(&of(list).unwrap()), list);
        }
        for list in ["", ",", "a", "3-1", "1-", "-1", "65536", "1,,2"] {
            assert!(of(list).is_err(), "{list}");
        }
    }
}
