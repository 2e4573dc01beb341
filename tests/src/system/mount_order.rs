//! The order of the mounts: a later entry may build on an earlier one.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::mount::MountFlags;
use serde_json::{Value, json};

use super::edit::{self, bind, has, mount, mount_at};
use super::fallbacks::hidden_with;
use super::mounted::Mounted;
use crate::bundle::Bundle;
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "mount_order",
    readonly_dev_has_its_nodes_and_mounts[Root],
    readonly_tmpfs_may_hold_mounts_and_nodes[Root],
    source_in_the_rootfs_may_be_an_earlier_mount[Root],
    source_in_the_rootfs_is_the_same_in_a_user_namespace[Root, UserNamespaces],
    recursive_relatime_reaches_submounts[Root],
    attributes_are_set_on_the_right_mount[Root],
);

/// Replaces the options of the mount on /dev.
fn dev(config: &mut Value, options: &[&str]) {
    let mounts = config["mounts"].as_array_mut().into_iter().flatten();
    for entry in mounts.filter(|entry| entry["destination"] == "/dev") {
        entry["options"] = json!(options);
    }
}

fn readonly_dev_has_its_nodes_and_mounts(context: &Context) -> Outcome {
    for also in ["tmpcopyup", "size=65536k"] {
        let options = ["nosuid", "strictatime", "mode=755", "ro", also];
        let report = context.report(|config| dev(config, &options))?;
        let seen = &mount_at(&report, "/dev")?["options"];
        same("options of /dev", seen, &json!(["ro", "nosuid"]))?;
        for point in ["/dev/pts", "/dev/shm", "/dev/mqueue"] {
            same(point, has(&mount_at(&report, point)?["options"], "rw"), true)?;
        }
        for name in ["null", "zero", "full", "random", "urandom", "tty"] {
            same(name, report["dev"][name]["type"].as_str(), Some("c"))?;
        }
        same("ptmx", report["dev"]["ptmx"]["link"].as_str(), Some("pts/ptmx"))?;
        let words = ["create", "/dev/shm/x", "", "+", "create", "/dev/x", ""];
        let done = edit::run(context, &words, |config| dev(config, &options))?.failure()?;
        same("creating /dev/x", done.stdout.trim(), "EROFS")?;
    }
    Ok(())
}

fn readonly_tmpfs_may_hold_mounts_and_nodes(context: &Context) -> Outcome {
    let words = ["cat", "/run/a/file", "+", "stat", "/run/b/node", "+", "create", "/run/x", ""];
    for also in ["tmpcopyup", "size=1m"] {
        let done = edit::run(context, &words, |config| {
            mount(config, "tmpfs", "tmpfs", "/run", &["nosuid,ro", also]);
            bind(config, "/proc/version", "/run/a/file", &["bind"]);
            let device = json!({ "type": "c", "path": "/run/b/node", "major": 1, "minor": 3 });
            edit::add(&mut config["linux"]["devices"], device);
        })?
        .failure()?;
        same("whether the bound file is read", done.stdout.starts_with("Linux version"), true)?;
        same("whether create fails with EROFS", done.stdout.trim().ends_with("EROFS"), true)?;
    }
    Ok(())
}

/// A bundle in which earlier mounts cover the sources of later ones.
fn sources(context: &Context, edit: impl Fn(&mut Value)) -> Result<Bundle, String> {
    let volume = context.directory.join(format!("volume-{}", context.id()));
    fs::create_dir(&volume).map_err(|e| e.to_string())?;
    fs::write(volume.join("file"), "of the volume\n").map_err(|e| e.to_string())?;
    let bundle = context.bundle(|config| {
        bind(config, &volume.to_string_lossy(), "/first", &["bind"]);
        bind(config, "rootfs/first", "/second", &["bind"]);
        bind(config, "rootfs/second/file", "/third", &["bind", "ro"]);
        edit::deeds(config, &["cat", "/second/file", "+", "cat", "/third"]);
        edit(config);
    })?;
    for directory in ["first", "second"] {
        fs::create_dir(bundle.rootfs.join(directory)).map_err(|e| e.to_string())?;
    }
    fs::write(bundle.rootfs.join("first/file"), "of the image\n").map_err(|e| e.to_string())?;
    fs::write(bundle.rootfs.join("third"), "").map_err(|e| e.to_string())?;
    Ok(bundle)
}

const VOLUME_TWICE: &str = "of the volume\nof the volume\n";

fn source_in_the_rootfs_may_be_an_earlier_mount(context: &Context) -> Outcome {
    let done = context.run_bundle(&sources(context, |_| {})?)?.success()?;
    same("what both show", done.stdout.as_str(), VOLUME_TWICE)?;
    for errno in [libc::ENOSYS, libc::EPERM] {
        let calls: Vec<_> = hidden_with(errno).map(|(_, call)| *call).collect();
        let hiding = context.hiding(errno, &calls)?;
        let done = hiding.run_bundle(&sources(&hiding, |_| {})?)?.success()?;
        same("what both show without calls", done.stdout.as_str(), VOLUME_TWICE)?;
    }
    Ok(())
}

fn source_in_the_rootfs_is_the_same_in_a_user_namespace(context: &Context) -> Outcome {
    let bundle = sources(context, |config| edit::user_namespace(config, 100_000))?;
    let done = context.run_bundle(&bundle)?.success()?;
    Ok(same("what both show", done.stdout.as_str(), VOLUME_TWICE)?)
}

fn recursive_relatime_reaches_submounts(context: &Context) -> Outcome {
    let tree = Mounted::tree(context, MountFlags::STRICTATIME)?;
    let report = context.report(|config| {
        bind(config, &tree.path(), "/plain", &["rbind"]);
        bind(config, &tree.path(), "/tree", &["rbind", "rnostrictatime", "rnorelatime"]);
    })?;
    for (point, options) in [
        ("/plain", json!(["rw"])),
        ("/plain/below", json!(["rw"])),
        ("/tree", json!(["rw", "relatime"])),
        ("/tree/below", json!(["rw", "relatime"])),
    ] {
        same(point, &mount_at(&report, point)?["options"], &options)?;
    }
    let features = context.vial(&["features"])?.success()?.json()?;
    for option in ["rnostrictatime", "rnorelatime"] {
        same(option, has(&features["mountOptions"], option), true)?;
    }
    Ok(())
}

/// While vial sets attributes in a shared volume, another container swaps two directories
/// that are mount points.
fn attributes_are_set_on_the_right_mount(context: &Context) -> Outcome {
    let tree = Mounted::tree(context, MountFlags::empty())?;
    let volume = context.directory.join("volume");
    let (a, b) = (volume.join("a"), volume.join("b"));
    for directory in [&a, &b] {
        fs::create_dir_all(directory).map_err(|e| e.to_string())?;
    }
    let bundle = context.bundle(|config| {
        bind(config, &volume.to_string_lossy(), "/volume", &["bind"]);
        mount(config, "tmpfs", "other", "/volume/a", &[]);
        bind(config, &tree.path(), "/volume/b", &["rbind", "rro", "rslave"]);
    })?;
    let over = AtomicBool::new(false);
    let right = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                // EBUSY: it is a mount point at this moment.
                let _ = renameat_with(CWD, &a, CWD, &b, RenameFlags::EXCHANGE);
            }
        });
        let right = (0..50).map(|_| are_right(context, &bundle)).sum::<Result<usize, String>>();
        over.store(true, Ordering::Relaxed);
        right
    })?;
    Ok(same("whether any was made", right > 0, true)?)
}

/// Returns 1 if it ran, with each attribute on its own mount; 0 if it was refused.
fn are_right(context: &Context, bundle: &Bundle) -> Result<usize, String> {
    let done = context.run_bundle(bundle)?;
    if done.code != 0 {
        return edit::words_of_refusal(&done, &["config.json mounts["]).map(|()| 0);
    }
    let report: Value = done.json()?;
    for (source, option) in [("upper", "ro"), ("lower", "ro"), ("other", "rw")] {
        let mut mounts = report["mounts"].as_array().into_iter().flatten();
        let found = mounts.find(|mount| mount["source"] == source);
        let options = found.map(|mount| mount["options"].clone()).unwrap_or_default();
        same(&format!("{option} of {source}: {options}"), has(&options, option), true)?;
    }
    Ok(1)
}
