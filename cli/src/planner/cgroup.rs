//! linux.cgroupsPath: the place of the container's cgroup, and the items that make
//! it and enable its controllers.

use std::ffi::CString;
use std::path::{Component, Path, PathBuf};

use vial_plan::CgroupItem;

use super::limits::{Limit, limits};
use super::{Request, device_filter, text, wrong};
use crate::config::Config;
use crate::error::Error;
use crate::host::{CgroupMount, Host, Lineage};
use crate::plan::{CgroupPlace, Plan};

/// The controllers that every container gets if they can be enabled, with or without
/// limits, so that its usage is accounted.
const ACCOUNTED: [&str; 4] = ["cpu", "io", "memory", "pids"];

/// The path of the container's cgroup from the root of the hierarchy. An absolute
/// path counts from the root. A relative one, or none, counts from the parent of
/// the caller's cgroup: the caller's own holds processes, so no controller could be
/// enabled below it.
pub fn cgroup_path(configured: &str, id: &str, cgroup: &CgroupMount) -> Result<PathBuf, Error> {
    let beside_own = cgroup.own.parent().unwrap_or(Path::new(""));
    let path = match configured {
        "" => beside_own.join(format!("vial-{id}")),
        path if path.starts_with('/') => PathBuf::from(path.trim_start_matches('/')),
        path if path.contains(':') => {
            return Err(wrong(
                "linux.cgroupsPath",
                format_args!("\"{path}\" is for the systemd driver, which vial does not support"),
            )
            .hint("have the engine use its cgroupfs driver"));
        }
        path => beside_own.join(path),
    };
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if !path.components().all(plain) {
        return Err(wrong(
            "linux.cgroupsPath",
            format_args!("\"{configured}\" leads out of its parent"),
        ));
    }
    let path: PathBuf = path.components().filter(|part| *part != Component::CurDir).collect();
    match path.as_os_str().is_empty() {
        true => Err(wrong("linux.cgroupsPath", "the root cgroup cannot be a container's")),
        false => Ok(path),
    }
}

/// Whether a process must enter the cgroup after its birth to get its CPUs.
///
/// KERNEL(6.4): a process that CLONE_INTO_CGROUP puts into a cgroup has its parent's
/// CPUs, not the cgroup's. A process that enters the cgroup gets the right ones.
pub(super) fn must_be_entered(config: &Config, lineage: &Lineage, cgroup: &CgroupMount) -> bool {
    !cgroup.birth_gives_cpus && (limits_cpus(config) || lineage.limits_cpus)
}

fn limits_cpus(config: &Config) -> bool {
    let resources = &config.linux.resources;
    let unified = resources.unified.keys().any(|file| file.starts_with("cpuset."));
    unified || !resources.cpu.cpus.is_empty() || !resources.cpu.mems.is_empty()
}

/// Adds the items that make the container's cgroup, and puts its place into the Plan.
pub(super) fn plan(
    plan: &mut Plan,
    config: &Config,
    request: &Request,
    host: &Host,
) -> Result<(), Error> {
    let limits = limits(&config.linux.resources)?;
    let Some(cgroup) = &host.cgroup else {
        return match limits.first() {
            None => Ok(()),
            Some(limit) => Err(wrong(
                &limit.origin,
                "no cgroup2 filesystem is mounted, so no limit can be set",
            )
            .hint("mount -t cgroup2 none /sys/fs/cgroup, or leave the limit out")),
        };
    };
    let path = cgroup_path(&config.linux.cgroups_path, &request.id, cgroup)?;
    if !may_make(&path, request, host) {
        return match limits.first() {
            None => Ok(()),
            Some(limit) => {
                let what = format_args!("this user may not make cgroup /{}", path.display());
                Err(wrong(&limit.origin, what)
                    .hint("have a cgroup delegated, or leave the limit out"))
            }
        };
    }
    check_offered(&limits, cgroup)?;

    plan.cgroup = Some(CgroupPlace { root: cgroup.root.clone(), path: path.clone(), made: 0 });
    let at = "linux.cgroupsPath";
    let root = text(cgroup.root.as_os_str().as_encoded_bytes(), at)?;
    plan.push(&CgroupItem::Root { path: &root }, "");
    make(plan, &path, &limits, cgroup, request, host)?;
    for limit in &limits {
        let origin = &limit.origin;
        let (file, value) = (text(&*limit.file, origin)?, text(&*limit.value, origin)?);
        let Some((other, other_value)) = &limit.otherwise else {
            let item = CgroupItem::Write { file: &file, value: &value };
            plan.push(&item, origin.clone());
            continue;
        };
        let (other, other_value) = (text(&**other, origin)?, text(&**other_value, origin)?);
        let (other, other_value) = (&other, &other_value);
        let item = CgroupItem::WriteEither { file: &file, value: &value, other, other_value };
        plan.push(&item, origin.clone());
    }
    if host.is_privileged() {
        // Push an empty program too: it removes the filter of a cgroup that existed.
        let program = device_filter::filter(&config.linux.resources.devices)?.unwrap_or_default();
        let item = CgroupItem::Devices { program: &program };
        plan.push(&item, "linux.resources.devices");
    }
    Ok(())
}

/// Whether this user may make cgroups in this one.
fn may_make(path: &Path, request: &Request, host: &Host) -> bool {
    host.uid == 0 || request.lineage.writable.iter().any(|writable| writable == path)
}

/// Whether access to devices is limited as linux.resources.devices says. Without
/// cgroup2 nothing filters devices. In a user namespace nothing needs to: nobody can
/// make a device there that may be opened.
pub(super) fn filters_devices(config: &Config, host: &Host) -> Result<bool, Error> {
    let has_filter = host.cgroup.is_some() || !host.is_privileged();
    Ok(has_filter || device_filter::filter(&config.linux.resources.devices)?.is_none())
}

/// Makes each cgroup on the way down, and enables its controllers before the next.
fn make(
    plan: &mut Plan,
    path: &Path,
    limits: &[Limit],
    cgroup: &CgroupMount,
    request: &Request,
    host: &Host,
) -> Result<(), Error> {
    let origin = "linux.cgroupsPath";
    let limited = |name: &str| limits.iter().any(|limit| limit.controller() == name);
    let required = controllers(cgroup, limited)?;
    let wanted = controllers(cgroup, |name| ACCOUNTED.contains(&name) || limited(name))?;
    let mut parents: Vec<&Path> = path.ancestors().skip(1).collect();
    parents.reverse();
    for (depth, parent) in parents.into_iter().enumerate() {
        let directory = directory(parent)?;
        if depth > 0 {
            plan.push(&CgroupItem::Mkdir { directory: &directory }, origin);
        }
        // An ordinary user may change only cgroups that were delegated to them.
        if !wanted.is_empty() && may_make(parent, request, host) {
            let (directory, controllers) = (&directory, &wanted);
            let item = CgroupItem::Controllers { directory, controllers, required: &required };
            plan.push(&item, origin);
        }
    }
    let directory = directory(path)?;
    plan.push(&CgroupItem::Mkdir { directory: &directory }, origin);
    plan.push(&CgroupItem::Open { directory: &directory }, origin);
    Ok(())
}

fn directory(path: &Path) -> Result<CString, Error> {
    text(path.as_os_str().as_encoded_bytes(), "linux.cgroupsPath")
}

fn check_offered(limits: &[Limit], cgroup: &CgroupMount) -> Result<(), Error> {
    for limit in limits {
        let controller = limit.controller();
        if controller != "cgroup" && !cgroup.controllers.iter().any(|offered| offered == controller)
        {
            let what = format_args!(
                "{} cannot be set, as the kernel offers no {controller} controller at {}",
                limit.file,
                cgroup.root.display()
            );
            return Err(wrong(&limit.origin, what).hint(
                "see cgroup.controllers there: the kernel may lack it, or cgroup v1 may hold it",
            ));
        }
    }
    Ok(())
}

/// The text for cgroup.subtree_control, as in `+io +cpu`, of the controllers that
/// the kernel offers. Those for threads come last.
fn controllers(cgroup: &CgroupMount, wanted: impl Fn(&str) -> bool) -> Result<CString, Error> {
    let mut names: Vec<&String> = cgroup.controllers.iter().filter(|name| wanted(name)).collect();
    names.sort_by_key(|name| matches!(name.as_str(), "cpu" | "cpuset" | "perf_event" | "pids"));
    let enabled: Vec<String> = names.iter().map(|name| format!("+{name}")).collect();
    text(enabled.join(" "), "linux.cgroupsPath")
}
