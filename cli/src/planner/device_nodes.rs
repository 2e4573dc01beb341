//! The nodes and links of /dev: linux.devices and the defaults of the spec.

use vial_plan::RootfsItem;

use super::mounts::below_root;
use super::{text, wrong};
use crate::config::Config;
use crate::config::linux::Device;
use crate::error::Error;
use crate::plan::Plan;

/// The default devices of the spec.
const DEVICES: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

/// The default links of the spec.
const LINKS: [(&std::ffi::CStr, &std::ffi::CStr); 5] = [
    (c"/proc/self/fd", c"/dev/fd"),
    (c"/proc/self/fd/0", c"/dev/stdin"),
    (c"/proc/self/fd/1", c"/dev/stdout"),
    (c"/proc/self/fd/2", c"/dev/stderr"),
    (c"pts/ptmx", c"/dev/ptmx"),
];

/// Adds device nodes and links, unless the host's /dev is bound there. `is_bound`
/// tells for a path whether a node there could not be opened, so that the host's
/// must be bound.
pub(super) fn devices(
    plan: &mut Plan,
    config: &Config,
    is_bound: &dyn Fn(&str) -> bool,
) -> Result<(), Error> {
    let bound = config.mounts.iter().any(|mount| {
        let options: Vec<&str> = mount.options.iter().flat_map(|text| text.split(',')).collect();
        let bind = mount.kind == "bind" || options.iter().any(|o| matches!(*o, "bind" | "rbind"));
        bind && below_root(&mount.destination) == "/dev"
    });
    if bound {
        return Ok(());
    }
    for (path, major, minor) in DEVICES {
        if config.linux.devices.iter().any(|device| device.path == path) {
            continue; // linux.devices has its own entry for it.
        }
        let bind = is_bound(path);
        let path = text(path, "")?;
        let (path, mode, uid, gid) = (&*path, 0o020_666, 0, 0);
        let item = RootfsItem::DeviceNode { path, mode, major, minor, uid, gid, bind };
        plan.push(&item, "");
    }
    for (index, configured) in config.linux.devices.iter().enumerate() {
        device(plan, configured, is_bound(&configured.path), &format!("linux.devices[{index}]"))?;
    }
    for (target, path) in LINKS {
        plan.push(&RootfsItem::Symlink { target, path }, "");
    }
    Ok(())
}

fn device(plan: &mut Plan, device: &Device, bind: bool, field: &str) -> Result<(), Error> {
    let kind = match device.kind.as_str() {
        "c" | "u" => 0o020_000,
        "b" => 0o060_000,
        "p" => 0o010_000,
        other => {
            let what = format_args!("\"{other}\" is none of c, b, u, p");
            return Err(wrong(format_args!("{field}.type"), what));
        }
    };
    if !device.path.starts_with('/') || device.path.split('/').any(|part| part == "..") {
        let what = format_args!("\"{}\" is not an absolute path without `..`", device.path);
        return Err(wrong(format_args!("{field}.path"), what));
    }
    let path = text(below_root(&device.path), field)?;
    let number = |value: i64, name: &str| {
        u32::try_from(value)
            .map_err(|_| wrong(format_args!("{field}.{name}"), "not a device number"))
    };
    let item = RootfsItem::DeviceNode {
        path: &path,
        mode: kind | (device.file_mode.unwrap_or(0o666) & 0o7777),
        major: number(device.major, "major")?,
        minor: number(device.minor, "minor")?,
        uid: device.uid.unwrap_or(0),
        gid: device.gid.unwrap_or(0),
        bind,
    };
    plan.push(&item, field.to_owned());
    Ok(())
}
