//! linux.intelRdt: the container's group in resctrl (Linux, "User Interface for
//! Resource Control feature"). It is used as a cgroup is: made, written, and entered by
//! its file `tasks`.

use std::path::{Path, PathBuf};

use vial_plan::CgroupItem;

use super::super::{Request, text, wrong};
use super::{RDTGROUP_SUPER_MAGIC, directory, enter_later, root};
use crate::config::Config;
use crate::config::linux::IntelRdt;
use crate::error::Error;
use crate::plan::{Place, Plan};

/// Adds the items that make the groups, and their places to the Plan.
pub(super) fn plan(
    plan: &mut Plan,
    config: &Config,
    request: &Request,
    tasks: &mut Vec<u32>,
) -> Result<(), Error> {
    let Some(rdt) = &config.linux.intel_rdt else { return Ok(()) };
    let field = "linux.intelRdt";
    check_id(&rdt.clos_id)?;
    let schemata = schemata(rdt);
    let monitors = rdt.enable_monitoring || rdt.enable_cmt || rdt.enable_mbm;
    if rdt.clos_id.is_empty() && schemata.is_empty() && !monitors {
        return Ok(()); // The process stays in the group of the caller, as the spec says.
    }
    let Some(resctrl) = &request.resctrl else {
        return Err(wrong(field, "no resctrl filesystem is mounted")
            .hint("mount -t resctrl resctrl /sys/fs/resctrl; it needs a processor with RDT or a like feature"));
    };
    let group = match rdt.clos_id.as_str() {
        "" if schemata.is_empty() => PathBuf::new(), // Only monitored: the root's own group.
        "" => PathBuf::from(&request.id),
        id => PathBuf::from(id),
    };
    let exists = resctrl.schemata.is_some() || group.as_os_str().is_empty();
    if !exists && schemata.is_empty() {
        let what = format_args!("{} has no group of this name", resctrl.root.display());
        return Err(wrong("linux.intelRdt.closID", what)
            .hint("make the group, or set schemata, with which vial makes it"));
    }
    if let Some(there) = resctrl.schemata.as_ref().filter(|_| !schemata.is_empty())
        && let Some(line) = schemata.iter().find(|line| !holds(there, line))
    {
        let what = format_args!("the group {} exists, and has not \"{line}\"", group.display());
        return Err(wrong("linux.intelRdt.closID", what));
    }
    root(plan, &resctrl.root, RDTGROUP_SUPER_MAGIC)?;
    add(plan, &resctrl.root, &group, exists, &schemata, tasks)?;
    if monitors {
        let group = group.join("mon_groups").join(&request.id);
        add(plan, &resctrl.root, &group, false, &[], tasks)?;
    }
    Ok(())
}

/// Adds one group.
fn add(
    plan: &mut Plan,
    mount: &Path,
    path: &Path,
    exists: bool,
    schemata: &[&str],
    tasks: &mut Vec<u32>,
) -> Result<(), Error> {
    let field = "linux.intelRdt";
    let directory = directory(path)?;
    if !exists {
        plan.push(&CgroupItem::Mkdir { directory: &directory }, field);
    }
    plan.push(&CgroupItem::Open { directory: &directory }, field);
    if !exists && !schemata.is_empty() {
        let value = text(format!("{}\n", schemata.join("\n")), field)?;
        plan.push(&CgroupItem::Write { file: c"schemata", value: &value }, field);
    }
    tasks.push(enter_later(plan));
    let (root, path, controllers) = (mount.to_owned(), path.to_owned(), Place::RESCTRL.to_owned());
    let place = Place { root, path, controllers, keeps: exists, ..Place::default() };
    plan.places.push(place);
    Ok(())
}

/// Refuses a name that is no single directory.
fn check_id(id: &str) -> Result<(), Error> {
    let field = "linux.intelRdt.closID";
    match id {
        "." | ".." => Err(wrong(field, format_args!("\"{id}\" is not a name"))),
        id if id.contains('/') || id.contains('\0') => {
            Err(wrong(field, format_args!("\"{id}\" is not a name, as it has a slash")))
        }
        id if id.len() > 255 => {
            Err(wrong(field, "longer than the 255 bytes that a name of a file has"))
        }
        _ => Ok(()),
    }
}

/// The lines for `schemata`.
fn schemata(rdt: &IntelRdt) -> Vec<&str> {
    let lines = |text| str::lines(text).map(str::trim).filter(|line| !line.is_empty());
    let cache = lines(&rdt.l3_cache_schema);
    // memBwSchema has the bandwidth, whatever l3CacheSchema says of it.
    let cache = cache.filter(|line| rdt.mem_bw_schema.is_empty() || !line.starts_with("MB:"));
    let listed = rdt.schemata.iter().flat_map(|text| lines(text));
    cache.chain(lines(&rdt.mem_bw_schema)).chain(listed).collect()
}

/// Whether a group has a line, as in `L3:0=ff;1=f`. The kernel pads it with spaces.
fn holds(there: &str, line: &str) -> bool {
    let bare = |line: &str| line.replace(' ', "");
    there.lines().any(|found| bare(found) == bare(line))
}

#[cfg(test)]
mod tests {
    use super::holds;

    #[test]
    fn a_group_is_compared_line_by_line() {
        let there = "    MB:0= 100;1=  50\n    L3:0=ff;1=0f\n";
        for line in ["L3:0=ff;1=0f", "MB:0=100;1=50"] {
            assert!(holds(there, line), "{line}");
        }
        for line in ["L3:0=ff", "L2:0=ff;1=0f", "MB:1=50;0=100", "nonsense"] {
            assert!(!holds(there, line), "{line}");
        }
    }
}
