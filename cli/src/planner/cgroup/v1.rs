//! The container's cgroup in a hierarchy of cgroup v1. Its process enters it: only in
//! cgroup2 can a process be created.

use std::path::Path;

use vial_plan::CgroupItem;

use super::super::limits::Limit;
use super::super::{devices_v1, text};
use super::{CGROUP_SUPER_MAGIC, directory, root, write};
use crate::config::Config;
use crate::error::Error;
use crate::host::cgroups::Ancestry;
use crate::host::{CgroupMount, Host};
use crate::plan::Plan;

/// A cgroup in one hierarchy.
pub(super) struct Tree<'a> {
    /// The hierarchy.
    pub(super) mount: &'a CgroupMount,
    /// The path of the cgroup.
    pub(super) path: &'a Path,
    /// What is there.
    pub(super) there: Ancestry,
}

/// Adds the items that make it, up to its limits.
pub(super) fn plan(
    plan: &mut Plan,
    config: &Config,
    limits: &[Limit],
    tree: &Tree<'_>,
    host: &Host,
) -> Result<(), Error> {
    let origin = "linux.cgroupsPath";
    let limits: Vec<&Limit> =
        limits.iter().filter(|limit| tree.mount.has(limit.controller())).collect();
    root(plan, &tree.mount.root, CGROUP_SUPER_MAGIC)?;
    let mut levels: Vec<&Path> =
        tree.path.ancestors().filter(|level| !level.as_os_str().is_empty()).collect();
    levels.reverse();
    for level in levels {
        let directory = directory(level)?;
        let is_last = level == tree.path;
        // Writable by the owner, so that a user whose mask is loose gives nothing away.
        plan.push(&CgroupItem::Mkdir { directory: &directory }, origin);
        let is_new = tree.there.missing.iter().any(|missing| missing == level);
        let in_parents = limits.iter().filter(|limit| limit.in_parents && is_new && !is_last);
        let in_parents: Vec<_> = in_parents.collect();
        let copied = copied(config, tree, level, is_last);
        if !is_last && in_parents.is_empty() && copied.is_empty() {
            continue;
        }
        plan.push(&CgroupItem::Open { directory: &directory }, origin);
        for (file, value) in copied {
            let (file, value) = (text(file, origin)?, text(value, origin)?);
            plan.push(&CgroupItem::Write { file: &file, value: &value }, origin);
        }
        for limit in in_parents {
            write(plan, limit)?;
        }
    }
    for limit in limits {
        write(plan, limit)?;
    }
    if tree.mount.has("devices") && host.is_privileged() {
        let origin = "linux.resources.devices";
        let is_new = !tree.there.missing.is_empty();
        for (file, value) in devices_v1::writes(&config.linux.resources.devices, is_new)? {
            let (file, value) = (text(file, origin)?, text(value, origin)?);
            plan.push(&CgroupItem::Write { file: &file, value: &value }, origin);
        }
    }
    Ok(())
}

/// The CPUs and memory nodes that a cgroup inherits: a new one of v1 has none
/// (cpuset(7)), and no process can enter it.
fn copied<'a>(
    config: &Config,
    tree: &'a Tree<'_>,
    level: &Path,
    is_last: bool,
) -> Vec<(&'static str, &'a str)> {
    let cpu = &config.linux.resources.cpu;
    let files = [("cpuset.cpus", &cpu.cpus), ("cpuset.mems", &cpu.mems)];
    let of =
        |((file, configured), inherited): ((_, &String), &'a crate::host::cgroups::Inherited)| {
            let is_heir = inherited.heirs.iter().any(|heir| heir == level);
            let is_set = is_last && !configured.is_empty();
            (is_heir && !is_set && !inherited.value.is_empty()).then_some((file, &*inherited.value))
        };
    files.into_iter().zip(&tree.there.inherited).filter_map(of).collect()
}
