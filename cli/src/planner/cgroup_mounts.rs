//! Mounts of the type cgroup: what a container sees of its cgroups.

use std::ffi::CStr;
use std::path::Path;

use linux_raw_sys::general::{MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY};
use vial_init::rootfs::attributes::of_flags;
use vial_plan::{NO_SLOT, RootfsItem};

use super::mount_options::Options;
use super::{Namespaces, text, wrong};
use crate::config::Mount;
use crate::error::Error;
use crate::host::{CgroupMount, Host};
use crate::namespace::kind;
use crate::plan::Plan;

/// What systemd mounts each hierarchy with.
const LOCKED: u32 = MS_NOSUID | MS_NODEV | MS_NOEXEC;

/// Whether a mount shows cgroups that the container may write to.
pub(super) fn is_writable(mount: &Mount) -> bool {
    let options = mount.options.iter().flat_map(|text| text.split(','));
    let readonly = options.fold(false, |ro, one| one == "ro" || (ro && one != "rw"));
    matches!(mount.kind.as_str(), "cgroup" | "cgroup2") && !readonly
}

/// Adds a mount of cgroup2. Without a cgroup namespace it would show the host's whole
/// hierarchy, so it is read-only then (CVE-2023-25809).
pub(super) fn v2(
    plan: &mut Plan,
    target: &CStr,
    options: &Options,
    namespaces: &Namespaces,
    host: &Host,
    field: &str,
) -> Result<(), Error> {
    let mut flags = options.flags;
    if !namespaces.has(kind::CGROUP) && !host.is_privileged() {
        flags |= MS_RDONLY;
    }
    let root = host.cgroup.as_ref().map(|cgroup| cgroup.root.clone()).unwrap_or_default();
    let root = text(root.into_os_string().into_encoded_bytes(), field)?;
    plan.push(&RootfsItem::MountCgroup { target, flags, host: &root }, field.to_owned());
    Ok(())
}

/// Adds what a host with cgroup v1 has at /sys/fs/cgroup: a tmpfs with a directory for
/// each hierarchy, and a link for each controller of a shared one. With a cgroup
/// namespace a hierarchy is mounted anew. Without one the container's own cgroup is
/// bound, so that it sees no other.
pub(super) fn v1(
    plan: &mut Plan,
    target: &str,
    options: &Options,
    namespaces: &Namespaces,
    host: &Host,
    field: &str,
) -> Result<(), Error> {
    if options.recursive_set | options.recursive_clear != 0 {
        let what = "recursive options are not possible here, as on cgroup v1 this is many mounts";
        return Err(wrong(format_args!("{field}.options"), what));
    }
    let top = text(target, field)?;
    let flags = options.flags | LOCKED;
    let item = RootfsItem::Mount {
        source: c"cgroup",
        target: &top,
        fstype: c"tmpfs",
        flags: flags & !MS_RDONLY,
        data: c"mode=755",
        strict: false,
        mode: false,
    };
    plan.push(&item, field.to_owned());
    let has_namespace = namespaces.has(kind::CGROUP);
    for hierarchy in &host.cgroup_v1 {
        add_hierarchy(plan, target, hierarchy, has_namespace, flags, field)?;
    }
    if let Some(cgroup2) = &host.cgroup {
        let place = text(format!("{target}/unified"), field)?;
        let own = plan.cgroup.as_ref().filter(|own| own.root == cgroup2.root);
        match own.map(|own| own.root.join(&own.path)) {
            Some(own) if !has_namespace => bind(plan, &own, &place, flags, field)?,
            _ => {
                let options = Options { flags, ..Options::default() };
                v2(plan, &place, &options, namespaces, host, field)?;
            }
        }
    }
    if options.flags & MS_RDONLY != 0 {
        plan.push(&RootfsItem::ReadonlyMount { target: &top }, field.to_owned());
    }
    Ok(())
}

/// Adds the directory of a hierarchy, and the links to it.
fn add_hierarchy(
    plan: &mut Plan,
    target: &str,
    hierarchy: &CgroupMount,
    has_namespace: bool,
    flags: u32,
    field: &str,
) -> Result<(), Error> {
    let names = hierarchy.controllers.join(",");
    let directory = names.strip_prefix("name=").unwrap_or(&names);
    let place = text(format!("{target}/{directory}"), field)?;
    let own = plan.places.iter().find(|place| place.root == hierarchy.root);
    let own = own.map(|own| own.root.join(&own.path));
    if has_namespace {
        let data = text(&*names, field)?;
        let item = RootfsItem::Mount {
            source: c"cgroup",
            target: &place,
            fstype: c"cgroup",
            flags,
            data: &data,
            strict: false,
            mode: false,
        };
        plan.push(&item, field.to_owned());
    } else if let Some(own) = own {
        bind(plan, &own, &place, flags, field)?;
    }
    for link in hierarchy.controllers.iter().filter(|_| hierarchy.controllers.len() > 1) {
        let path = text(format!("{target}/{link}"), field)?;
        let target = text(directory, field)?;
        plan.push(&RootfsItem::Symlink { target: &target, path: &path }, field.to_owned());
    }
    Ok(())
}

fn bind(plan: &mut Plan, from: &Path, target: &CStr, flags: u32, field: &str) -> Result<(), Error> {
    let source = text(from.as_os_str().as_encoded_bytes(), field)?;
    let item = RootfsItem::Bind {
        source: &source,
        target,
        recursive: false,
        set: of_flags(flags),
        clear: 0,
        id_map: NO_SLOT,
        bare_source: false,
        bare_target: false,
        copy_link: false,
        maps_below: false,
    };
    plan.push(&item, field.to_owned());
    Ok(())
}
