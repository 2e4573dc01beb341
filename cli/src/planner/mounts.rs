//! mounts, linux.maskedPaths and linux.readonlyPaths.

use std::path::Path;

use linux_raw_sys::general::{MS_PRIVATE, MS_RDONLY, MS_REC, MS_REMOUNT};
use vial_plan::{NO_SLOT, RootfsItem};

use super::id_maps::{IdMapped, IdMaps};
use super::mount_label::MountLabel;
use super::mount_options::{BindOptions, Options, options};
use super::nodev::Nodev;
use super::{Namespaces, cgroup_mounts, text, wrong};
use crate::config::{Config, Mount};
use crate::error::Error;
use crate::host::Host;
use crate::plan::Plan;

/// Files of /proc that a mount may cover: those that lxcfs replaces, which tell the
/// size and load of the machine, and the switch for FIPS mode.
const PROC_FILES: [&str; 11] = [
    "cpuinfo",
    "diskstats",
    "loadavg",
    "meminfo",
    "net/dev",
    "slabinfo",
    "stat",
    "swaps",
    "sys/crypto/fips_enabled",
    "sys/kernel/ns_last_pid",
    "uptime",
];

/// The most data for a filesystem: a page of 4096 bytes, less its NUL and `mode=0755,`.
const MAX_DATA: usize = 4085;

/// Adds all mounts, in the order of config.json.
pub(super) fn mounts(
    plan: &mut Plan,
    config: &Config,
    bundle: &Path,
    namespaces: &Namespaces,
    host: &Host,
    nodev: &Nodev<'_>,
    id_maps: &IdMaps,
) -> Result<(), Error> {
    let label = MountLabel::from_config(config)?;
    for (index, mount) in config.mounts.iter().enumerate() {
        let field = match mount.is_for_notify {
            true => String::new(), // It is not in config.json.
            false => format!("mounts[{index}]"),
        };
        let mut options = options(&mount.options);
        if is_filled_later(config, mount) {
            options.flags &= !MS_RDONLY;
        }
        if mount.destination.is_empty() {
            return Err(wrong(format_args!("{field}.destination"), "missing"));
        }
        let is_bind = options.is_bind() || mount.kind == "bind";
        let is_new = !is_bind && options.flags & MS_REMOUNT == 0;
        let label = label.as_ref().filter(|_| is_new);
        if let Some(label) = label {
            label.add_to(mount, &mut options);
        }
        check_data(&options.data, &field)?;
        nodev.restrict(plan, index, &mut options)?;
        let mount = &Mount { destination: below_root(&mount.destination), ..mount.clone() };
        check_destination(mount, &options, &field)?;
        if is_bind {
            bind(plan, mount, &options, bundle, id_maps.of_mount(index), &field)?;
            nodev.bind_allowed(plan, index, &mount.destination, &options)?;
        } else if options.bind != BindOptions::default() {
            let what = "idmap, copy-symlink, src-nofollow and dest-nofollow are for binds";
            return Err(
                wrong(format_args!("{field}.options"), what).hint("add the option bind or rbind")
            );
        } else if options.flags & MS_REMOUNT != 0 {
            let (target, data) =
                (text(&*mount.destination, &field)?, text(&*options.data, &field)?);
            let flags = options.flags & !MS_REMOUNT;
            plan.push(&RootfsItem::Remount { target: &target, flags, data: &data }, field);
        } else {
            filesystem(plan, mount, &options, namespaces, host, &field)?;
            if let Some(label) = label {
                label.plan(plan, mount)?;
            }
            nodev.bind_allowed(plan, index, &mount.destination, &options)?;
        }
    }
    Ok(())
}

/// Whether something will be made in a read-only tmpfs: mount points, or the nodes
/// of /dev.
fn is_filled_later(config: &Config, mount: &Mount) -> bool {
    let readonly = mount.options.iter().flat_map(|text| text.split(','));
    let readonly = readonly.fold(false, |ro, one| one == "ro" || (ro && one != "rw"));
    let place = below_root(&mount.destination);
    let is_below = |path: &String| {
        below_root(path).strip_prefix(&*place).is_some_and(|rest| rest.starts_with('/'))
    };
    mount.kind == "tmpfs"
        && readonly
        && (place == "/dev"
            || config.mounts.iter().any(|other| is_below(&other.destination))
            || config.linux.devices.iter().any(|device| is_below(&device.path)))
}

/// Makes those tmpfs read-only, after they were filled.
pub(super) fn readonly(plan: &mut Plan, config: &Config) -> Result<(), Error> {
    let filled = |(_, mount): &(usize, &Mount)| is_filled_later(config, mount);
    for (index, mount) in config.mounts.iter().enumerate().filter(filled) {
        let field = format!("mounts[{index}]");
        let target = text(below_root(&mount.destination), &field)?;
        plan.push(&RootfsItem::ReadonlyMount { target: &target }, field);
    }
    Ok(())
}

/// Cleans a path, relative to the root: `..` stops at the root, and a slash at the
/// end is removed.
pub(super) fn below_root(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop(),
            name => parts.push(name),
        }
    }
    format!("/{}", parts.join("/"))
}

fn check_data(data: &str, field: &str) -> Result<(), Error> {
    if data.len() > MAX_DATA {
        let what = format_args!(
            "{} bytes of options for the filesystem: mount(2) cuts them off after a page, so at most {MAX_DATA} are safe",
            data.len()
        );
        return Err(wrong(format_args!("{field}.options"), what));
    }
    Ok(())
}

fn check_destination(mount: &Mount, options: &Options, field: &str) -> Result<(), Error> {
    let at = format!("{field}.destination");
    let below = Path::new(mount.destination.trim_start_matches('/'));
    if let Ok(file) = below.strip_prefix("proc") {
        // The runtime and security modules trust what they read in /proc, so
        // nothing else may be mounted there.
        let whole = file.as_os_str().is_empty();
        let real = mount.kind == "proc" || (options.is_bind() && mount.source == "/proc");
        let known = PROC_FILES.iter().any(|known| file == Path::new(known));
        if (whole && !real) || (!whole && !known) {
            let what = format_args!(
                "\"{}\" may not be mounted over: it is inside /proc",
                mount.destination
            );
            return Err(
                wrong(at, what).hint("mount proc itself, or bind over a file like /proc/meminfo")
            );
        }
    }
    Ok(())
}

fn bind(
    plan: &mut Plan,
    mount: &Mount,
    options: &Options,
    bundle: &Path,
    id_map: Option<IdMapped>,
    field: &str,
) -> Result<(), Error> {
    if mount.source.is_empty() {
        return Err(wrong(format_args!("{field}.source"), "missing, but a bind needs one"));
    }
    if !options.data.is_empty() {
        // The kernel, and so runc and crun, pay no attention to it.
        let what = format_args!("\"{}\" does nothing, as it is no option of a bind", options.data);
        plan.warn(format_args!("{field}.options"), what);
    }
    if options.copy_up {
        return Err(wrong(format_args!("{field}.options"), "tmpcopyup is for tmpfs"));
    }
    let BindOptions { bare_source, bare_target, copy_link, .. } = options.bind;
    if copy_link && (bare_source || bare_target) {
        let what = "copy-symlink excludes src-nofollow and dest-nofollow";
        return Err(wrong(format_args!("{field}.options"), what));
    }
    let IdMapped { id_map, below } = id_map.unwrap_or(IdMapped { id_map: NO_SLOT, below: false });
    let source = text(bundle.join(&mount.source).into_os_string().into_encoded_bytes(), field)?;
    let target = text(&*mount.destination, field)?;
    let item = RootfsItem::Bind {
        source: &source,
        target: &target,
        recursive: options.flags & MS_REC != 0,
        set: options.set,
        clear: options.clear,
        id_map,
        bare_source,
        bare_target,
        copy_link,
        maps_below: below,
    };
    plan.push(&item, field.to_owned());
    covered(plan, &target, field);
    attributes(plan, &target, options, true, field);
    Ok(())
}

fn filesystem(
    plan: &mut Plan,
    mount: &Mount,
    options: &Options,
    namespaces: &Namespaces,
    host: &Host,
    field: &str,
) -> Result<(), Error> {
    if mount.kind.is_empty() || mount.kind == "none" {
        return Err(wrong(format_args!("{field}.type"), "missing")
            .hint("name a filesystem, or add the option bind or rbind"));
    }
    let target = text(&*mount.destination, field)?;
    if mount.kind == "cgroup" && !host.cgroup_v1.is_empty() {
        return cgroup_mounts::v1(plan, &mount.destination, options, namespaces, host, field);
    }
    if matches!(mount.kind.as_str(), "cgroup" | "cgroup2") {
        cgroup_mounts::v2(plan, &target, options, namespaces, host, field)?;
        covered(plan, &target, field);
        attributes(plan, &target, options, false, field);
        return Ok(());
    }
    let source = if mount.source.is_empty() { &mount.kind } else { &mount.source };
    let (source, fstype) = (text(source.as_bytes(), field)?, text(&*mount.kind, field)?);
    let data = text(&*options.data, field)?;
    let (target, flags) = (&*target, options.flags);
    if options.copy_up && mount.kind != "tmpfs" {
        return Err(wrong(format_args!("{field}.options"), "tmpcopyup is for tmpfs"));
    }
    let (source, fstype, data) = (&*source, &*fstype, &*data);
    // A tmpfs gets the mode of the directory that it covers, as users expect of
    // /tmp. runc and crun do the same.
    let given = |name: &str| options.data.split(',').any(|option| option.starts_with(name));
    let mode = mount.kind == "tmpfs" && !given("mode=");
    let item = match options.copy_up {
        // It becomes read-only after the copy.
        true => {
            let (flags, owner) = (flags & !MS_RDONLY, !given("uid=") && !given("gid="));
            RootfsItem::MountCopy { source, target, fstype, flags, data, mode, owner }
        }
        false => {
            let strict = matches!(mount.kind.as_str(), "proc" | "sysfs");
            RootfsItem::Mount { source, target, fstype, flags, data, strict, mode }
        }
    };
    plan.push(&item, field.to_owned());
    covered(plan, target, field);
    if options.copy_up && flags & MS_RDONLY != 0 {
        let item = RootfsItem::MountAttributes {
            target,
            set: 1,
            clear: 0,
            propagation: 0,
            recursive: false,
        };
        plan.push(&item, field.to_owned());
    }
    attributes(plan, target, options, false, field);
    Ok(())
}

/// If a mount covers the root, all that follows is in that mount.
fn covered(plan: &mut Plan, target: &std::ffi::CStr, field: &str) {
    if target == c"/" {
        plan.push(&RootfsItem::CoveredRoot {}, field.to_owned());
    }
}

/// Adds recursive attributes and propagation, after the mount. A new filesystem is
/// private anyway.
fn attributes(
    plan: &mut Plan,
    target: &std::ffi::CStr,
    options: &Options,
    bind: bool,
    field: &str,
) {
    if options.recursive_set | options.recursive_clear != 0 {
        let item = RootfsItem::MountAttributes {
            target,
            set: options.recursive_set,
            clear: options.recursive_clear,
            propagation: 0,
            recursive: true,
        };
        plan.push(&item, field.to_owned());
    }
    if let Some((propagation, recursive)) = options.propagation
        && (bind || propagation != MS_PRIVATE)
    {
        let propagation = u64::from(propagation);
        let item = RootfsItem::MountAttributes { target, set: 0, clear: 0, propagation, recursive };
        plan.push(&item, field.to_owned());
    }
}

/// Adds linux.maskedPaths and linux.readonlyPaths.
pub(super) fn masks(plan: &mut Plan, config: &Config) -> Result<(), Error> {
    for (index, path) in config.linux.masked_paths.iter().enumerate() {
        let field = format!("linux.maskedPaths[{index}]");
        let path = absolute(path, &field)?;
        plan.push(&RootfsItem::MaskPath { path: &path }, field);
    }
    for (index, path) in config.linux.readonly_paths.iter().enumerate() {
        let field = format!("linux.readonlyPaths[{index}]");
        let path = absolute(path, &field)?;
        plan.push(&RootfsItem::ReadonlyPath { path: &path }, field);
    }
    Ok(())
}

pub(super) fn absolute(path: &str, field: &str) -> Result<std::ffi::CString, Error> {
    if !path.starts_with('/') {
        return Err(wrong(field, format_args!("\"{path}\" is not an absolute path")));
    }
    text(path, field)
}
