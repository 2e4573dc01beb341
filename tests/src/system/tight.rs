//! Mounts keep their restrictive attributes, also when system calls are missing.

use std::fs;

use rustix::mount::MountFlags;
use serde_json::{Value, json};

use super::edit::{self, bind, has, mount_at};
use super::fallbacks::{hidden_with, without};
use super::mounted::Mounted;
use crate::bundle::Bundle;
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "tight",
    attributes_stay_when_others_are_set[Root],
    attributes_stay_without_one_newer_call[Root],
    attributes_stay_if_a_newer_call_is_denied[Root],
    attributes_stay_without_all_newer_calls[Root],
    attributes_stay_in_a_user_namespace[Root, UserNamespaces],
);

/// A tmpfs on the host with nosuid, nodev, noexec and noatime.
fn tight(context: &Context) -> Result<Mounted, String> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC | MountFlags::NOATIME;
    let tight = Mounted::tmpfs(context.directory.join("tight"), "tight", flags)?;
    fs::create_dir(tight.0.join("directory")).map_err(|e| e.to_string())?;
    fs::write(tight.0.join("file"), "").map_err(|e| e.to_string())?;
    Ok(tight)
}

/// The options of each path: those that were asked for, and those of the source.
const WANTED: [(&str, &[&str]); 5] = [
    ("/volume", &["rw", "nosuid", "nodev", "noexec", "noatime"]),
    ("/volume/directory", &["ro", "nosuid", "nodev", "noexec", "noatime"]),
    ("/volume/file", &["ro", "nosuid", "nodev", "noexec", "noatime"]),
    ("/readonly", &["ro", "nosuid", "nodev", "noexec", "noatime"]),
    ("/one-file", &["ro", "nosuid", "nodev", "noexec", "noatime"]),
];

fn bundle(context: &Context, tight: &Mounted, edit: impl Fn(&mut Value)) -> Result<Bundle, String> {
    let path = tight.path();
    let bundle = context.bundle(|config| {
        bind(config, &path, "/volume", &["rbind"]);
        bind(config, &path, "/readonly", &["bind", "ro"]);
        bind(config, &format!("{path}/file"), "/one-file", &["bind", "ro"]);
        for path in ["/volume/directory", "/volume/file"] {
            edit::add(&mut config["linux"]["readonlyPaths"], json!(path));
        }
        edit(config);
    })?;
    // Root of a user namespace can create nothing in a rootfs that the host's root owns.
    for directory in ["volume", "readonly"] {
        fs::create_dir_all(bundle.rootfs.join(directory)).map_err(|e| e.to_string())?;
    }
    fs::write(bundle.rootfs.join("one-file"), "").map_err(|e| e.to_string())?;
    Ok(bundle)
}

fn check(report: &Value) -> Result<(), String> {
    for (point, options) in WANTED {
        let seen = &mount_at(report, point)?["options"];
        same(&format!("options of {point}"), seen, &json!(options))?;
    }
    Ok(())
}

fn plain(context: &Context, edit: impl Fn(&mut Value)) -> Result<(), String> {
    let tight = tight(context)?;
    check(&edit::report_of(context, &bundle(context, &tight, edit)?)?)
}

/// The same with calls hidden. Also checks / of a container whose rootfs is such a mount.
fn hidden(context: &Context, calls: &[libc::c_long], errno: i32) -> Result<(), String> {
    let tight = tight(context)?;
    let report = |bundle: &Bundle| -> Result<Value, String> {
        let done = without(context, calls, errno, "run", bundle, &context.id())?.success()?;
        done.json()
    };
    check(&report(&bundle(context, &tight, |_| {})?)?)?;
    let place = context.directory.join(format!("root-{}", context.id()));
    let root = Mounted::tmpfs(place, "root", MountFlags::NOSUID | MountFlags::NODEV)?;
    let bundle = Bundle::new(&root.0, &context.probe, |config| {
        config["root"]["readonly"] = true.into();
    })?;
    let report = report(&bundle)?;
    for option in ["ro", "nosuid", "nodev"] {
        same(&format!("{option} of /"), has(&mount_at(&report, "/")?["options"], option), true)?;
    }
    Ok(())
}

fn each(context: &Context, errno: i32) -> Outcome {
    let failures: Vec<String> = hidden_with(errno)
        .filter_map(|(name, call)| {
            hidden(context, &[*call], errno).err().map(|why| format!("without {name}: {why}"))
        })
        .collect();
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n").into()) }
}

fn attributes_stay_when_others_are_set(context: &Context) -> Outcome {
    Ok(plain(context, |_| {})?)
}

fn attributes_stay_without_one_newer_call(context: &Context) -> Outcome {
    each(context, libc::ENOSYS)
}

fn attributes_stay_if_a_newer_call_is_denied(context: &Context) -> Outcome {
    each(context, libc::EPERM)
}

fn attributes_stay_without_all_newer_calls(context: &Context) -> Outcome {
    for errno in [libc::ENOSYS, libc::EPERM] {
        let all: Vec<_> = hidden_with(errno).map(|(_, call)| *call).collect();
        hidden(context, &all, errno)?;
    }
    Ok(())
}

fn attributes_stay_in_a_user_namespace(context: &Context) -> Outcome {
    Ok(plain(context, |config| edit::user_namespace(config, 100_000))?)
}
