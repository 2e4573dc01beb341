//! New limits for a container that is there.

use std::path::{Path, PathBuf};

use vial_plan::CgroupItem;

use super::super::limits::{Limit, limits};
use super::super::{device_filter, devices_v1, text, wrong};
use super::{
    CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, RDTGROUP_SUPER_MAGIC, directory, open_place, open_v2,
    properties, root, v2, write,
};
use crate::config::resources::Resources;
use crate::error::Error;
use crate::host::{CgroupMount, Host, Lineage};
use crate::plan::scope::Property;
use crate::plan::{Place, Plan};

/// What the planner needs to know for an update.
#[derive(Debug)]
pub struct Update<'a> {
    /// The new limits. What is not set stays as it is.
    pub resources: &'a Resources,
    /// Lines for the `schemata` of the container's group in resctrl.
    pub schemata: &'a [String],
    /// The container's cgroup in cgroup2 from its root, if it has one.
    pub cgroup: Option<PathBuf>,
    /// Whether that is a scope's, so that systemd must know the limits, too.
    pub is_in_scope: bool,
    /// Its places in the hierarchies of cgroup v1, and in resctrl.
    pub places: Vec<Place>,
    /// What is known of the cgroups.
    pub lineage: Lineage,
    /// What devices.list of cgroup v1 says now.
    pub device_list: String,
}

/// Makes the Plan: only writes to files that are there. Returns the new properties of
/// the container's scope, too, if it is in one.
pub fn update(update: &Update<'_>, host: &Host) -> Result<(Plan, Vec<Property>), Error> {
    let mut plan = Plan::default();
    let mut limits = limits(update.resources, host, &update.lineage)?;
    let mut of_scope = Vec::new();
    if update.is_in_scope {
        properties::fit(&mut limits.all);
        of_scope = properties::of_limits(&limits.all);
    }
    for (field, what) in &limits.warnings {
        plan.warn(field, what);
    }
    writes(&mut plan, update, &limits.all, host)?;
    schemata(&mut plan, update)?;
    Ok((plan, of_scope))
}

/// Adds the writes of the limits, and of the rules for devices.
fn writes(
    plan: &mut Plan,
    update: &Update<'_>,
    limits: &[Limit],
    host: &Host,
) -> Result<(), Error> {
    let in_v1 = |controller: &str| update.places.iter().any(|place| place.has(controller));
    let devices = &update.resources.devices;
    for place in update.places.iter().filter(|place| place.controllers != Place::RESCTRL) {
        let own = limits.iter().filter(|limit| place.has(limit.controller()));
        let own: Vec<&Limit> = own.collect();
        let filters = place.has("devices") && !devices.is_empty();
        if own.is_empty() && !filters {
            continue;
        }
        open_place(plan, place, CGROUP_SUPER_MAGIC)?;
        for limit in own {
            write(plan, limit)?;
        }
        if filters {
            let origin = "linux.resources.devices";
            for (file, value) in devices_v1::changes(devices, &update.device_list)? {
                let (file, value) = (text(file, origin)?, text(value, origin)?);
                plan.push(&CgroupItem::Write { file: &file, value: &value }, origin);
            }
        }
    }
    let others = limits.iter().filter(|limit| !in_v1(limit.controller()));
    let others: Vec<&Limit> = others.collect();
    let filters = !in_v1("devices") && !devices.is_empty();
    match (&update.cgroup, &host.cgroup) {
        (Some(path), Some(mount)) if !others.is_empty() || filters => {
            enable(plan, mount, path, &others)?;
            open_v2(plan, &mount.root, path)?;
            for limit in others {
                write(plan, limit)?;
            }
            if filters {
                let program = device_filter::filter(devices)?.unwrap_or_default();
                plan.push(&CgroupItem::Devices { program: &program }, "linux.resources.devices");
            }
        }
        (Some(_), Some(_)) => {}
        _ => {
            let what = "the container has no cgroup in which this can be set";
            if let Some(limit) = others.first() {
                return Err(wrong(&limit.origin, what));
            }
            if filters {
                return Err(wrong("linux.resources.devices", what));
            }
        }
    }
    Ok(())
}

/// Adds the enabling of the controllers in the parents: create enables only those that
/// its limits need, and those that account.
fn enable(
    plan: &mut Plan,
    mount: &CgroupMount,
    path: &Path,
    limits: &[&Limit],
) -> Result<(), Error> {
    let needed = |name: &str| limits.iter().any(|limit| limit.controller() == name);
    let controllers = &v2::controllers(mount, &needed)?;
    if controllers.is_empty() {
        return Ok(());
    }
    root(plan, &mount.root, CGROUP2_SUPER_MAGIC)?;
    let mut parents: Vec<&Path> = path.ancestors().skip(1).collect();
    parents.reverse();
    for parent in parents {
        let directory = &directory(parent)?;
        let item = CgroupItem::Controllers { directory, controllers, required: controllers };
        plan.push(&item, "linux.resources");
    }
    Ok(())
}

fn schemata(plan: &mut Plan, update: &Update<'_>) -> Result<(), Error> {
    let field = "linux.intelRdt";
    if update.schemata.is_empty() {
        return Ok(());
    }
    let mut groups = update.places.iter().filter(|place| place.controllers == Place::RESCTRL);
    let Some(group) = groups.find(|group| !group.path.as_os_str().is_empty()) else {
        return Err(wrong(field, "the container has no group of its own in resctrl"));
    };
    open_place(plan, group, RDTGROUP_SUPER_MAGIC)?;
    let value = text(format!("{}\n", update.schemata.join("\n")), field)?;
    plan.push(&CgroupItem::Write { file: c"schemata", value: &value }, field);
    Ok(())
}
