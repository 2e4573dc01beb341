//! What the kernel's killer of processes did in a cgroup for want of memory.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::pair;
use crate::config::object;
use crate::file::read_kernel;

/// The files of a memory controller: the directory, and whether it is one of cgroup v1.
pub type MemoryFiles = (PathBuf, bool);

object! {
    /// Processes were killed for want of memory.
    #[derive(Clone, Debug, Default, PartialEq, Serialize)]
    pub struct OutOfMemory {
        /// How many.
        pub kills: u64 = "kills" needed,
        /// The limit in bytes, if there is one.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub limit: Option<u64> = "limit",
        /// The most that was in use, if the kernel tells.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub peak: Option<u64> = "peak",
    }
}

impl OutOfMemory {
    /// None: none was killed, or the kernel does not tell.
    pub fn read((directory, is_v1): &MemoryFiles) -> Option<OutOfMemory> {
        let [events, limit, peak] = match is_v1 {
            true => ["memory.oom_control", "memory.limit_in_bytes", "memory.max_usage_in_bytes"],
            false => ["memory.events", "memory.max", "memory.peak"],
        };
        let text = |file: &str| {
            let bytes = read_kernel(directory.join(file)).ok()?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        };
        let number = |file: &str| text(file)?.trim().parse::<u64>().ok();
        // Without a limit, v1 has the largest number that is a whole page.
        let limit = number(limit).filter(|limit| *limit < i64::MAX as u64 - (1 << 20));
        let kills = kills(&text(events)?);
        (kills > 0).then(|| OutOfMemory { kills, limit, peak: number(peak) })
    }
}

/// How many processes were killed: memory.events of cgroup2 and memory.oom_control of v1
/// have the same line.
pub fn kills(text: &str) -> u64 {
    pair(text, "oom_kill").unwrap_or(0)
}

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OutOfMemory { kills, limit, peak } = self;
        let processes = if *kills == 1 { "process" } else { "processes" };
        write!(f, "out of memory: the kernel has killed {kills} {processes}")?;
        match limit {
            Some(limit) => write!(f, ", the limit is {limit} bytes")?,
            None => write!(f, ", it has no limit of its own")?,
        }
        match peak {
            Some(peak) => write!(f, ", and its peak was {peak}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{OutOfMemory, kills};

    #[test]
    fn kills_are_counted_on_both_versions() {
        assert_eq!(kills("low 0\nhigh 0\nmax 9\noom 3\noom_kill 2\noom_group_kill 0\n"), 2);
        assert_eq!(kills("oom_kill_disable 1\nunder_oom 0\noom_kill 5\n"), 5);
        assert_eq!(kills("oom_kill_disable 1\nunder_oom 0\n"), 0);
    }

    #[test]
    fn it_is_told_with_limit_and_peak() {
        let mut oom = OutOfMemory { kills: 1, limit: Some(4096), peak: Some(4000) };
        let told = "out of memory: the kernel has killed 1 process, the limit is 4096 bytes, and its peak was 4000";
        assert_eq!(oom.to_string(), told);
        oom = OutOfMemory { kills: 2, ..OutOfMemory::default() };
        let told = "out of memory: the kernel has killed 2 processes, it has no limit of its own";
        assert_eq!(oom.to_string(), told);
    }
}
