//! The container's cgroup in cgroup2, in which its process is created.

use std::ffi::CString;
use std::path::Path;

use vial_plan::CgroupItem;

use super::super::cgroup_mounts::is_writable;
use super::super::device_filter;
use super::super::limits::Limit;
use super::super::namespaces::Mapped;
use super::super::{Namespaces, Request, text};
use super::{CGROUP2_SUPER_MAGIC, directory, root, write};
use crate::config::Config;
use crate::error::Error;
use crate::host::{CgroupMount, Driver, Host, Lineage};
use crate::namespace::kind;
use crate::plan::Plan;

/// The controllers that every container gets if they can be enabled, with or without
/// limits, so that its usage is accounted.
const ACCOUNTED: [&str; 4] = ["cpu", "io", "memory", "pids"];

/// Whether a process must enter the cgroup after its birth to get its CPUs.
///
/// KERNEL(6.4): a process that CLONE_INTO_CGROUP puts into a cgroup has its parent's
/// CPUs, not the cgroup's. A process that enters the cgroup gets the right ones.
pub(in super::super) fn must_be_entered(
    config: &Config,
    lineage: &Lineage,
    cgroup: &CgroupMount,
) -> bool {
    !cgroup.birth_gives_cpus && (limits_cpus(config) || lineage.limits_cpus)
}

fn limits_cpus(config: &Config) -> bool {
    let resources = &config.linux.resources;
    let unified = resources.unified.keys().any(|file| file.starts_with("cpuset."));
    unified || !resources.cpu.cpus.is_empty() || !resources.cpu.mems.is_empty()
}

/// Whether this user may make cgroups in this one.
pub(super) fn may_make(path: &Path, request: &Request, host: &Host) -> bool {
    host.uid == 0
        || host.driver != Driver::Fs
        || request.lineage.writable.iter().any(|writable| writable == path)
}

/// The files of the cgroup that the root of a new user namespace gets, and its uid and
/// gid on the host. Only if the container has a cgroup namespace, and can write a mount
/// of it: otherwise it could not use them.
pub(super) struct Owner<'a> {
    files: &'a [String],
    uid: u32,
    gid: u32,
}

pub(super) fn owner<'a>(
    config: &Config,
    request: &'a Request,
    namespaces: &Namespaces,
    mapped: Option<&Mapped>,
) -> Option<Owner<'a>> {
    mapped?;
    let is_mounted = config.mounts.iter().any(is_writable);
    if namespaces.new & kind::CGROUP == 0 || !is_mounted {
        return None;
    }
    let linux = &config.linux;
    let root = |map: &[crate::config::linux::IdMapping]| {
        let range = map.iter().find(|range| range.container_id == 0 && range.size > 0);
        range.map(|range| range.host_id)
    };
    let (uid, gid) = (root(&linux.uid_mappings)?, root(&linux.gid_mappings)?);
    Some(Owner { files: &request.lineage.delegated, uid, gid })
}

/// Adds the items that make it.
#[allow(clippy::too_many_arguments, reason = "each is one part of what is known")]
pub(super) fn plan(
    plan: &mut Plan,
    config: &Config,
    path: &Path,
    limits: &[&Limit],
    cgroup: &CgroupMount,
    request: &Request,
    owner: Option<Owner<'_>>,
    host: &Host,
) -> Result<(), Error> {
    root(plan, &cgroup.root, CGROUP2_SUPER_MAGIC)?;
    make(plan, path, limits, cgroup, request, host)?;
    for limit in limits {
        write(plan, limit)?;
    }
    if let Some(Owner { files, uid, gid }) = owner.filter(|_| host.is_privileged()) {
        for name in files.iter().map(String::as_str).chain([""]) {
            let file = text(name, "linux.cgroupsPath")?;
            plan.push(&CgroupItem::Owner { file: &file, uid, gid }, "linux.uidMappings");
        }
    }
    if host.is_privileged() {
        // Push an empty program too: it removes the filter of a cgroup that existed.
        // Where v1 has a controller for devices, that one filters them, on any kernel.
        let program = match host.v1_of("devices") {
            None => device_filter::filter(&config.linux.resources.devices)?.unwrap_or_default(),
            Some(_) => Vec::new(),
        };
        let item = CgroupItem::Devices { program: &program };
        plan.push(&item, "linux.resources.devices");
    }
    Ok(())
}

/// Makes each cgroup on the way down, and enables its controllers before the next.
fn make(
    plan: &mut Plan,
    path: &Path,
    limits: &[&Limit],
    cgroup: &CgroupMount,
    request: &Request,
    host: &Host,
) -> Result<(), Error> {
    let origin = "linux.cgroupsPath";
    let limited = |name: &str| limits.iter().any(|limit| limit.controller() == name);
    let required = controllers(cgroup, &limited)?;
    let wanted = controllers(cgroup, &|name| ACCOUNTED.contains(&name) || limited(name))?;
    // systemd makes its slices and scopes itself, and a user's enables what was delegated
    // to it.
    let (makes, enables) = match &host.driver {
        Driver::Fs => (true, true),
        Driver::Systemd { is_of_user, .. } => (false, !is_of_user),
    };
    let mut parents: Vec<&Path> = path.ancestors().skip(1).collect();
    parents.reverse();
    for (depth, parent) in parents.into_iter().enumerate() {
        let directory = directory(parent)?;
        if depth > 0 && makes {
            plan.push(&CgroupItem::Mkdir { directory: &directory }, origin);
        }
        // An ordinary user may change only cgroups that were delegated to them.
        if enables && !wanted.is_empty() && may_make(parent, request, host) {
            let (directory, controllers) = (&directory, &wanted);
            let item = CgroupItem::Controllers { directory, controllers, required: &required };
            plan.push(&item, origin);
        }
    }
    let directory = directory(path)?;
    if makes {
        plan.push(&CgroupItem::Mkdir { directory: &directory }, origin);
    }
    plan.push(&CgroupItem::Open { directory: &directory }, origin);
    Ok(())
}

/// The text for cgroup.subtree_control, as in `+io +cpu`, of the controllers that
/// the kernel offers. Those for threads come last.
pub(super) fn controllers(
    cgroup: &CgroupMount,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<CString, Error> {
    let mut names: Vec<&String> = cgroup.controllers.iter().filter(|name| wanted(name)).collect();
    names.sort_by_key(|name| matches!(name.as_str(), "cpu" | "cpuset" | "perf_event" | "pids"));
    let enabled: Vec<String> = names.iter().map(|name| format!("+{name}")).collect();
    text(enabled.join(" "), "linux.cgroupsPath")
}
