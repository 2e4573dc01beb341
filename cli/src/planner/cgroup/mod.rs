//! linux.cgroupsPath: the places of the container's cgroups, and the items that make
//! them with their limits.

mod annotations;
mod properties;
mod rdt;
mod unit;
mod update;
mod v1;
mod v2;

use std::ffi::CString;
use std::path::{Component, Path, PathBuf};

use linux_raw_sys::general;
use vial_plan::CgroupItem;

use super::devices_v1;
use super::limits::{Limit, limits};
use super::namespaces::Mapped;
use super::{Namespaces, Request, text, wrong};
use crate::config::Config;
use crate::error::Error;
use crate::host::{CgroupMount, Driver, Hierarchy, Host, Lineage};
use crate::plan::scope::{Property, Scope, Value, Way};
use crate::plan::{CgroupPlace, Place, Plan};

use self::unit::Unit;
pub use update::{Update, update};
pub(super) use v2::must_be_entered;

const CGROUP_SUPER_MAGIC: u32 = general::CGROUP_SUPER_MAGIC;
const CGROUP2_SUPER_MAGIC: u32 = general::CGROUP2_SUPER_MAGIC;
/// Of linux/magic.h; linux-raw-sys lacks it.
const RDTGROUP_SUPER_MAGIC: u32 = 0x0765_5821;

/// The path of the container's cgroup from the root of a hierarchy. An absolute path
/// counts from the root. A relative one, or none, counts from the caller's cgroup in
/// cgroup v1. In cgroup2 it counts from the parent of that: the caller's own holds
/// processes, so no controller could be enabled below it.
pub fn cgroup_path(
    configured: &str,
    id: &str,
    cgroup: &CgroupMount,
    driver: &Driver,
) -> Result<PathBuf, Error> {
    if let Driver::Systemd { is_of_user, root } = driver {
        return Ok(root.join(Unit::from_config(configured, id, *is_of_user)?.path()?));
    }
    let beside_own = match cgroup.is_v1 {
        true => &cgroup.own,
        false => cgroup.own.parent().unwrap_or(Path::new("")),
    };
    let path = match configured {
        "" => beside_own.join(format!("vial-{id}")),
        path if path.starts_with('/') => PathBuf::from(path.trim_start_matches('/')),
        path if path.contains(':') => {
            return Err(wrong(
                "linux.cgroupsPath",
                format_args!("\"{path}\" is for the systemd driver"),
            )
            .hint("use --systemd-cgroup, or have the engine use its cgroupfs driver"));
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

/// What is known of the container's cgroups before they are made: asks `look_v1` and
/// `look` of each hierarchy.
pub fn lineage(configured: &str, id: &str, host: &Host) -> Lineage {
    let mut lineage = Lineage::default();
    for mount in host.cgroup.iter().chain(&host.cgroup_v1) {
        // If the path is wrong, the planner says so.
        let Ok(path) = cgroup_path(configured, id, mount, &host.driver) else { return lineage };
        match mount.is_v1 {
            false => mount.look(&path, host.uid, &mut lineage),
            true => lineage.v1.push(mount.look_v1(&path, host.uid)),
        }
        if mount.has("memory") {
            lineage.memory = mount.memory(&path);
        }
    }
    lineage
}

/// Adds the items that make the container's cgroups, and puts their places into the
/// Plan. Returns the slots of the files by which stage 2 enters those that it is not
/// created in.
pub(super) fn plan(
    plan: &mut Plan,
    config: &Config,
    request: &Request,
    namespaces: &Namespaces,
    mapped: Option<&Mapped>,
    host: &Host,
) -> Result<Vec<u32>, Error> {
    let limits = limits(&config.linux.resources, host, &request.lineage)?;
    for (field, what) in &limits.warnings {
        plan.warn(field, what);
    }
    let mut limits = limits.all;
    let mut tasks = Vec::new();
    for limit in &limits {
        check(limit, config, request, host)?;
    }
    // Before anything that works on the cgroup.
    if let Some(scope) = scope(plan, config, request, &mut limits, host)? {
        await_scope(plan, scope)?;
    }
    let Some(hierarchy) = host.hierarchy() else {
        rdt::plan(plan, config, request, &mut tasks)?;
        return Ok(tasks);
    };
    for (index, mount) in host.cgroup_v1.iter().enumerate() {
        let there = request.lineage.v1.get(index).cloned().unwrap_or_default();
        let path = cgroup_path(&config.linux.cgroups_path, &request.id, mount, &host.driver)?;
        if host.uid == 0 || there.is_writable {
            v1::plan(plan, config, &limits, &v1::Tree { mount, path: &path, there }, host)?;
            tasks.push(enter_later(plan));
            plan.places.push(place(mount, path));
        }
    }
    let mut own = None;
    if let Some(mount) = &host.cgroup {
        let path = cgroup_path(&config.linux.cgroups_path, &request.id, mount, &host.driver)?;
        if v2::may_make(&path, request, host) {
            let here = |limit: &&Limit| host.v1_of(limit.controller()).is_none();
            let limits: Vec<&Limit> = limits.iter().filter(here).collect();
            let owner = v2::owner(config, request, namespaces, mapped);
            v2::plan(plan, config, &path, &limits, mount, request, owner, host)?;
            own = Some(place(mount, path));
        }
    }
    plan.cgroup = place_of_container(plan, own, hierarchy);
    rdt::plan(plan, config, request, &mut tasks)?;
    Ok(tasks)
}

/// The place by which the container's processes are found. `own` is the one in cgroup2.
fn place_of_container(
    plan: &Plan,
    own: Option<Place>,
    hierarchy: Hierarchy,
) -> Option<CgroupPlace> {
    let hierarchy = match own {
        // A user may have been given only some of them.
        None if hierarchy == Hierarchy::Hybrid => Hierarchy::V1,
        _ => hierarchy,
    };
    let freezer = plan.places.iter().find(|place| place.has("freezer"));
    let Place { root, path, .. } = own.or_else(|| freezer.or(plan.places.first()).cloned())?;
    let scope = plan.scope.as_ref().map(|scope| scope.name.clone()).unwrap_or_default();
    Some(CgroupPlace { hierarchy, root, path, made: 0, scope })
}

/// Adds the gate at which systemd puts stage 0 into a scope. The later stages are then
/// born in it.
pub(super) fn await_scope(plan: &mut Plan, scope: Scope) -> Result<(), Error> {
    let name = text(&*scope.name, "linux.cgroupsPath")?;
    plan.push(&CgroupItem::AwaitScope { scope: &name }, "linux.cgroupsPath");
    plan.scope = Some(scope);
    Ok(())
}

/// What systemd is asked for, if it makes the cgroup. Fits the limits to what it can
/// keep.
fn scope(
    plan: &mut Plan,
    config: &Config,
    request: &Request,
    limits: &mut [Limit],
    host: &Host,
) -> Result<Option<Scope>, Error> {
    let Driver::Systemd { is_of_user, root } = &host.driver else { return Ok(None) };
    let unit = Unit::from_config(&config.linux.cgroups_path, &request.id, *is_of_user)?;
    let io = if host.v1_of("blkio").is_some() { "BlockIOAccounting" } else { "IOAccounting" };
    let mut list = vec![
        Property::new("Description", Value::Text(format!("container {}", request.id))),
        Property::new("Slice", Value::text(&unit.slice)),
        Property::new("Delegate", Value::boolean(true)),
        Property::new("DefaultDependencies", Value::boolean(false)),
        // If its create dies, nobody resets it.
        Property::new("CollectMode", Value::text("inactive-or-failed")),
    ];
    list.extend(annotations::properties(&config.annotations)?);
    for name in ["CPUAccounting", "MemoryAccounting", io, "TasksAccounting"] {
        list.push(Property::limit(name, Value::boolean(true)));
    }
    properties::fit(limits);
    list.extend(properties::of_limits(limits));
    if host.v1_of("devices").is_some() && host.is_privileged() {
        let field = "linux.resources.devices";
        let (devices, is_exact) =
            properties::of_devices(&devices_v1::writes(&config.linux.resources.devices, true)?);
        if !is_exact {
            plan.warn(
                field,
                "systemd knows no such rules, and denies all devices when it reloads its units",
            );
        }
        list.extend(devices);
    }
    // In cgroup2, systemd leaves a program alone that it has not loaded itself. With rules
    // of its own it would load one beside vial's, and deny what a hook has allowed since.
    let path = root.join(unit.path()?);
    let hierarchy = if host.hierarchy() == Some(Hierarchy::V1) { "name=systemd" } else { "" };
    Ok(Some(Scope { name: unit.scope, path, hierarchy, way: Way::Make(list) }))
}

fn place(mount: &CgroupMount, path: PathBuf) -> Place {
    let (root, controllers) = (mount.root.clone(), mount.controllers.join(","));
    Place { root, path, controllers, ..Place::default() }
}

/// Adds the opening of the file by which stage 2 enters the cgroup. Returns its slot.
fn enter_later(plan: &mut Plan) -> u32 {
    let tasks = plan.slot();
    plan.push(&CgroupItem::Tasks { tasks }, "linux.cgroupsPath");
    tasks
}

/// Adds the same for an exec: the place exists.
pub(super) fn enter_place(plan: &mut Plan, place: &Place) -> Result<u32, Error> {
    let magic = match place.controllers.as_str() {
        Place::RESCTRL => RDTGROUP_SUPER_MAGIC,
        _ => CGROUP_SUPER_MAGIC,
    };
    open_place(plan, place, magic)?;
    Ok(enter_later(plan))
}

/// Adds the opening of a place.
fn open_place(plan: &mut Plan, place: &Place, magic: u32) -> Result<(), Error> {
    root(plan, &place.root, magic)?;
    let directory = directory(&place.path)?;
    plan.push(&CgroupItem::Open { directory: &directory }, "linux.cgroupsPath");
    Ok(())
}

fn root(plan: &mut Plan, root: &Path, magic: u32) -> Result<(), Error> {
    let path = text(root.as_os_str().as_encoded_bytes(), "linux.cgroupsPath")?;
    plan.push(&CgroupItem::Root { path: &path, magic }, "");
    Ok(())
}

/// Adds the opening of cgroup2 and of a cgroup in it, in which the next stage is created.
pub(super) fn open_v2(plan: &mut Plan, mount: &Path, path: &Path) -> Result<(), Error> {
    root(plan, mount, CGROUP2_SUPER_MAGIC)?;
    let directory = directory(path)?;
    plan.push(&CgroupItem::Open { directory: &directory }, "linux.cgroupsPath");
    Ok(())
}

/// Checks that a limit can be set: its controller is there, and this user may make the
/// cgroup.
fn check(limit: &Limit, config: &Config, request: &Request, host: &Host) -> Result<(), Error> {
    let controller = limit.controller();
    let refused = |what: std::fmt::Arguments<'_>| wrong(&limit.origin, what);
    let configured = &config.linux.cgroups_path;
    let not_allowed = |path: &Path| {
        refused(format_args!("this user may not make cgroup /{}", path.display()))
            .hint("have a cgroup delegated, or leave the limit out")
    };
    if request.no_cgroups {
        return Err(refused(format_args!(
            "--cgroup-manager=disabled makes no cgroup, so no limit can be set"
        )));
    }
    if let Some(at) = host.cgroup_v1.iter().position(|mount| mount.has(controller)) {
        let is_writable = request.lineage.v1.get(at).is_some_and(|there| there.is_writable);
        return match host.uid == 0 || is_writable {
            true => Ok(()),
            false => Err(not_allowed(&cgroup_path(
                configured,
                &request.id,
                &host.cgroup_v1[at],
                &host.driver,
            )?)),
        };
    }
    let Some(cgroup) = &host.cgroup else {
        return Err(match host.cgroup_v1.is_empty() {
            true => refused(format_args!("no cgroup2 filesystem is mounted, so no limit can be set"))
                .hint("mount -t cgroup2 none /sys/fs/cgroup, or leave the limit out"),
            false => refused(format_args!(
                "{} cannot be set, as no hierarchy of cgroup v1 with the controller {controller} is mounted",
                limit.file
            ))
            .hint(format_args!("see /proc/cgroups; mount -t cgroup -o {controller} none /sys/fs/cgroup/{controller}")),
        });
    };
    let path = cgroup_path(configured, &request.id, cgroup, &host.driver)?;
    if !v2::may_make(&path, request, host) {
        return Err(not_allowed(&path));
    }
    if controller != "cgroup" && !cgroup.has(controller) {
        let what = format_args!(
            "{} cannot be set, as the kernel offers no {controller} controller at {}",
            limit.file,
            cgroup.root.display()
        );
        return Err(wrong(&limit.origin, what).hint(
            "see cgroup.controllers there: the kernel may lack it, or cgroup v1 may hold it",
        ));
    }
    Ok(())
}

/// Adds the write of a limit.
fn write(plan: &mut Plan, limit: &Limit) -> Result<(), Error> {
    let origin = &limit.origin;
    let (file, value) = (text(&*limit.file, origin)?, text(&*limit.value, origin)?);
    let Some((other, other_value)) = &limit.otherwise else {
        plan.push(&CgroupItem::Write { file: &file, value: &value }, origin.clone());
        return Ok(());
    };
    let (other, other_value) = (text(&**other, origin)?, text(&**other_value, origin)?);
    let (other, other_value) = (&other, &other_value);
    let item = CgroupItem::WriteEither { file: &file, value: &value, other, other_value };
    plan.push(&item, origin.clone());
    Ok(())
}

/// Whether access to devices is limited as linux.resources.devices says. Without
/// cgroups nothing filters devices. In a user namespace nothing needs to: nobody can
/// make a device there that may be opened.
pub(super) fn filters_devices(config: &Config, filters: bool, host: &Host) -> Result<bool, Error> {
    let has_filter = filters || !host.is_privileged();
    let devices = &config.linux.resources.devices;
    Ok(has_filter || super::device_filter::filter(devices)?.is_none())
}

fn directory(path: &Path) -> Result<CString, Error> {
    text(path.as_os_str().as_encoded_bytes(), "linux.cgroupsPath")
}
