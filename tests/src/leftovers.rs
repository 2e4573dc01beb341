//! What a container may leave behind: processes, cgroups, mounts, state.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::{processes, runner};

/// Everything that could be left behind, at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leftovers(BTreeSet<String>);

impl Leftovers {
    /// The current descendants of this process, cgroups and mounts with `tag` in
    /// their path, and the entries of the state directory.
    ///
    /// In a machine every mount counts. On a host others mount and unmount
    /// meanwhile, so only mounts with the tag count.
    #[must_use]
    pub fn now(tag: &str, state: &Path) -> Self {
        let mut found = BTreeSet::new();
        for (pid, name) in processes::descendants(std::process::id()) {
            found.insert(format!("process {pid} ({name})"));
        }
        add_directories(Path::new("/sys/fs/cgroup"), tag, 8, &mut found);
        let mounts = fs::read("/proc/self/mountinfo").unwrap_or_default();
        let mounts = String::from_utf8_lossy(&mounts);
        for point in mounts.lines().filter_map(|line| line.split(' ').nth(4)) {
            if runner::in_machine() || point.contains(tag) {
                found.insert(format!("mount {point}"));
            }
        }
        if let Ok(entries) = fs::read_dir(state) {
            for entry in entries.flatten() {
                found.insert(format!("state {}", entry.file_name().to_string_lossy()));
            }
        }
        Self(found)
    }

    /// What exists now and did not exist before.
    #[must_use]
    pub fn since(&self, before: &Leftovers) -> Vec<String> {
        self.0.difference(&before.0).cloned().collect()
    }
}

fn add_directories(directory: &Path, tag: &str, depth: usize, found: &mut BTreeSet<String>) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|t| t.is_dir())) {
        let path = entry.path();
        if path.to_string_lossy().contains(tag) {
            found.insert(format!("cgroup {}", path.display()));
        }
        if depth > 0 {
            add_directories(&path, tag, depth - 1, found);
        }
    }
}
