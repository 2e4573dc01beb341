//! Machines without cgroup2, where no filter controls devices: the nodes of an image or
//! a volume can still not be opened.

use std::fs;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use serde_json::{Value, json};

use super::chroot::{bare, mounts_of_its_own};
use super::container::words;
use super::edit;
use crate::bundle::Bundle;
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "unfiltered",
    node_of_the_image_cannot_be_opened[Root],
    node_of_a_volume_cannot_be_opened[Root],
    node_in_a_mount_below_a_volume_cannot_be_opened [Root, MountSetattr],
    node_that_was_copied_cannot_be_opened[Root],
    nodes_stay_closed_when_mounts_change[Root],
    nodes_stay_closed_without_newer_calls[Root],
    nodes_stay_closed_in_a_user_namespace [Root, UserNamespaces],
    default_devices_work_wherever_dev_is[Root],
    device_of_the_host_is_bound_if_the_rules_allow_it [Root, Machine],
    hosts_dev_allows_what_the_rules_allow [Root, Machine],
    devices_of_config_work_or_are_refused[Root],
    everything_opens_if_the_rules_allow_everything[Root],
    rules_that_are_not_enforced_cause_a_warning[Root],
);

/// Hides cgroup2 from this process.
fn without_cgroup2() -> Result<(), String> {
    mounts_of_its_own()?;
    for place in ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"] {
        let _ = unmount(place, UnmountFlags::DETACH); // EINVAL: nothing is mounted there.
    }
    Ok(())
}

/// Creates a node that the default rules allow to open: a /dev/null.
fn node(path: &Path) -> Result<(), String> {
    fs::create_dir_all(path.parent().unwrap_or(path)).map_err(words)?;
    let mode = Mode::from_raw_mode(0o666);
    mknodat(CWD, path, FileType::CharacterDevice, mode, makedev(1, 3)).map_err(words)?;
    rustix::fs::chmod(path, mode).map_err(words)
}

/// A bundle whose image has a node. Its process writes to /dev/null, and opens `path`.
fn opening(context: &Context, path: &str, edit: impl FnOnce(&mut Value)) -> Result<Bundle, String> {
    let bundle = context.bundle(|config| {
        edit::deeds(config, &["write", "/dev/null", "x", "+", "open-device", path, "rw"]);
        edit(config);
    })?;
    node(&bundle.rootfs.join("node"))?;
    node(&bundle.rootfs.join("directory/node"))?;
    fs::create_dir(bundle.rootfs.join("volume")).map_err(words)?;
    Ok(bundle)
}

fn is_closed(context: &Context, bundle: &Bundle) -> Result<(), String> {
    let done = context.run_bundle(bundle)?.failure()?;
    same("the outcome", done.stdout.trim(), "EACCES").map_err(|why| format!("{why}: {done}"))
}

fn opens(context: &Context, bundle: &Bundle) -> Result<(), String> {
    let done = context.run_bundle(bundle)?.success()?;
    same("the outcome", done.stdout.trim(), "opened")
}

fn closed(context: &Context, path: &str, edit: impl FnOnce(&mut Value)) -> Result<(), String> {
    is_closed(context, &opening(context, path, edit)?).map_err(|why| format!("{path}: {why}"))
}

fn open(context: &Context, path: &str, edit: impl FnOnce(&mut Value)) -> Result<(), String> {
    opens(context, &opening(context, path, edit)?).map_err(|why| format!("{path}: {why}"))
}

fn node_of_the_image_cannot_be_opened(context: &Context) -> Outcome {
    // With cgroup2 it can be opened: the filter allows a /dev/null.
    if fs::exists("/sys/fs/cgroup/cgroup.procs").unwrap_or(false) {
        open(context, "/node", |_| {})?;
    }
    without_cgroup2()?;
    closed(context, "/node", |_| {})?;
    closed(context, "/directory/node", |_| {})?;
    closed(context, "/node", |config| {
        config["linux"]["rootfsPropagation"] = json!("shared");
    })?;
    let bundle = opening(context, "/node", |_| {})?;
    let done = context.run_bundle_with(&bundle, &["--no-pivot"])?;
    same("without pivot_root", done.stdout.trim(), "EACCES")?;
    Ok(())
}

/// A directory of the host with a node in it, and another node on a submount.
fn volume(context: &Context) -> Result<String, String> {
    let volume = context.directory.join(format!("volume-{}", context.id()));
    node(&volume.join("node"))?;
    let below = volume.join("below");
    fs::create_dir(&below).map_err(words)?;
    mount("tmpfs", &below, "tmpfs", MountFlags::empty(), None).map_err(words)?;
    node(&below.join("node"))?;
    Ok(volume.to_string_lossy().into_owned())
}

fn node_of_a_volume_cannot_be_opened(context: &Context) -> Outcome {
    without_cgroup2()?;
    let volume = volume(context)?;
    for options in [&["bind"][..], &["rbind"], &["bind", "dev"], &["rbind", "rdev", "ro"]] {
        closed(context, "/volume/node", |config| {
            edit::bind(config, &volume, "/volume", options);
        })?;
    }
    // A volume on the root itself.
    let bundle = opening(context, "/node", |config| edit::deeds(config, &["exit", "0"]))?;
    let image = bundle.rootfs.to_string_lossy().into_owned();
    closed(context, "/node", |config| {
        let root = json!({ "destination": "/", "type": "bind", "source": image,
            "options": ["rbind"] });
        if let Some(mounts) = config["mounts"].as_array_mut() {
            mounts.insert(0, root);
        }
    })?;
    Ok(())
}

fn node_in_a_mount_below_a_volume_cannot_be_opened(context: &Context) -> Outcome {
    without_cgroup2()?;
    let volume = volume(context)?;
    closed(context, "/volume/below/node", |config| {
        edit::bind(config, &volume, "/volume", &["rbind"]);
    })?;
    // The same below the rootfs.
    let bundle = opening(context, "/directory/below/node", |_| {})?;
    let below = bundle.rootfs.join("directory/below");
    fs::create_dir(&below).map_err(words)?;
    mount("tmpfs", &below, "tmpfs", MountFlags::empty(), None).map_err(words)?;
    node(&below.join("node"))?;
    Ok(is_closed(context, &bundle)?)
}

fn node_that_was_copied_cannot_be_opened(context: &Context) -> Outcome {
    without_cgroup2()?;
    closed(context, "/directory/node", |config| {
        edit::mount(config, "tmpfs", "tmpfs", "/directory", &["tmpcopyup"]);
    })?;
    let bundle = opening(context, "/dev/directory/node", |config| {
        config["mounts"][1]["options"] = json!(["nosuid", "mode=755", "tmpcopyup"]);
    })?;
    node(&bundle.rootfs.join("dev/directory/node"))?;
    Ok(is_closed(context, &bundle)?)
}

fn nodes_stay_closed_when_mounts_change(context: &Context) -> Outcome {
    without_cgroup2()?;
    let volume = volume(context)?;
    closed(context, "/node", |config| config["root"]["readonly"] = json!(true))?;
    closed(context, "/directory/node", |config| {
        config["linux"]["readonlyPaths"] = json!(["/directory"]);
    })?;
    closed(context, "/volume/node", |config| {
        edit::bind(config, &volume, "/volume", &["bind", "ro", "dev", "rdev", "rprivate"]);
        config["linux"]["readonlyPaths"] = json!(["/volume"]);
    })?;
    closed(context, "/directory/node", |config| {
        edit::mount(config, "tmpfs", "tmpfs", "/directory", &["tmpcopyup"]);
        edit::mount(config, "tmpfs", "tmpfs", "/directory", &["remount", "nosuid", "dev"]);
    })?;
    // A /dev that was empty at first keeps its devices after a remount.
    open(context, "/dev/zero", |config| {
        edit::mount(config, "tmpfs", "tmpfs", "/dev", &["remount", "nosuid"]);
    })?;
    Ok(())
}

fn nodes_stay_closed_without_newer_calls(context: &Context) -> Outcome {
    without_cgroup2()?;
    let volume = volume(context)?;
    let calls = [libc::SYS_mount_setattr, libc::SYS_open_tree, libc::SYS_move_mount];
    for (errno, calls) in [(libc::ENOSYS, &calls[..]), (libc::EPERM, &calls[..1])] {
        let context = context.hiding(errno, calls)?;
        closed(&context, "/node", |_| {})?;
        closed(&context, "/node", |config| config["root"]["readonly"] = json!(true))?;
        closed(&context, "/volume/node", |config| {
            edit::bind(config, &volume, "/volume", &["rbind", "ro"]);
        })?;
        closed(&context, "/volume/node", |config| {
            edit::bind(config, &volume, "/volume", &["bind"]);
            config["linux"]["readonlyPaths"] = json!(["/volume"]);
        })?;
    }
    Ok(())
}

fn nodes_stay_closed_in_a_user_namespace(context: &Context) -> Outcome {
    without_cgroup2()?;
    let volume = volume(context)?;
    rustix::fs::chmod(&*context.directory, Mode::from_raw_mode(0o755)).map_err(words)?;
    let mapped = |config: &mut Value| edit::user_namespace(config, 100_000);
    closed(context, "/node", mapped)?;
    closed(context, "/volume/node", |config| {
        mapped(config);
        edit::bind(config, &volume, "/volume", &["rbind"]);
    })?;
    Ok(open(context, "/dev/zero", mapped)?)
}

/// Removes all mounts but proc.
fn no_dev(config: &mut Value) {
    if let Some(mounts) = config["mounts"].as_array_mut() {
        mounts.retain(|one| one["destination"] == "/proc");
    }
}

fn default_devices_work_wherever_dev_is(context: &Context) -> Outcome {
    without_cgroup2()?;
    for name in ["null", "zero", "full", "random", "urandom"] {
        open(context, &format!("/dev/{name}"), |_| {})?;
    }
    open(context, "/dev/pts/ptmx", |_| {})?;
    // On the rootfs, and on a mount that is not empty at first.
    open(context, "/dev/zero", no_dev)?;
    open(context, "/dev/zero", |config| {
        config["mounts"][1]["options"] = json!(["tmpcopyup"]);
    })?;
    open(context, "/dev/zero", |config| {
        no_dev(config);
        edit::mount(config, "tmpfs", "tmpfs", "/", &["mode=755"]);
        edit::bind(config, &context.probe.to_string_lossy(), "/probe", &["bind"]);
    })?;
    // The image has a node of its own at that path.
    let bundle = opening(context, "/dev/null", no_dev)?;
    node(&bundle.rootfs.join("dev/null"))?;
    Ok(opens(context, &bundle)?)
}

fn allow(config: &mut Value, minor: u32, access: &str) {
    let rule = json!({ "allow": true, "type": "c", "major": 1, "minor": minor, "access": access });
    edit::add(&mut config["linux"]["resources"]["devices"], rule);
}

fn device_of_the_host_is_bound_if_the_rules_allow_it(context: &Context) -> Outcome {
    without_cgroup2()?;
    let bind = |config: &mut Value| edit::bind(config, "/dev/full", "/own/odd", &["bind"]);
    open(context, "/own/odd", bind)?;
    // /dev/kmsg, which no default rule allows.
    let odd = context.directory.join("odd");
    let mode = Mode::from_raw_mode(0o666);
    mknodat(CWD, &odd, FileType::CharacterDevice, mode, makedev(1, 11)).map_err(words)?;
    let odd = odd.to_string_lossy().into_owned();
    let bind = |config: &mut Value| {
        edit::bind(config, &odd, "/own/odd", &["bind"]);
        edit::capabilities(config, &["CAP_SYSLOG"]);
    };
    closed(context, "/own/odd", bind)?;
    open(context, "/own/odd", |config| {
        bind(config);
        allow(config, 11, "rw");
    })?;
    Ok(())
}

fn hosts_dev_allows_what_the_rules_allow(context: &Context) -> Outcome {
    without_cgroup2()?;
    let bind = |config: &mut Value| {
        no_dev(config);
        edit::bind(config, "/dev", "/dev", &["rbind"]);
        edit::capabilities(config, &["CAP_SYSLOG"]); // For kmsg.
    };
    open(context, "/dev/zero", bind)?;
    open(context, "/dev/ptmx", bind)?;
    closed(context, "/dev/kmsg", bind)?;
    open(context, "/dev/kmsg", |config| {
        bind(config);
        allow(config, 11, "rw");
    })?;
    Ok(())
}

fn devices_of_config_work_or_are_refused(context: &Context) -> Outcome {
    without_cgroup2()?;
    let device = |config: &mut Value, path: &str| {
        let odd = json!({ "path": path, "type": "c", "major": 1, "minor": 5 });
        config["linux"]["devices"] = json!([odd]);
        allow(config, 5, "rwm");
    };
    open(context, "/dev/own/odd", |config| device(config, "/dev/own/odd"))?;
    open(context, "/own/odd", |config| {
        device(config, "/own/odd");
        edit::mount(config, "tmpfs", "tmpfs", "/own", &[]);
    })?;
    // A node on the rootfs could not be opened, and the host has none to bind.
    edit::refused(context, &["linux.devices[0]", "/own/odd", "ENOENT"], |config| {
        device(config, "/own/odd");
    })?;
    Ok(())
}

fn everything_opens_if_the_rules_allow_everything(context: &Context) -> Outcome {
    without_cgroup2()?;
    open(context, "/node", |config| {
        config["linux"]["resources"]["devices"] = json!([{ "allow": true, "access": "rwm" }]);
    })?;
    Ok(())
}

fn rules_that_are_not_enforced_cause_a_warning(context: &Context) -> Outcome {
    without_cgroup2()?;
    let warned = |field: &str, edit: &dyn Fn(&mut Value)| {
        let bundle = context.bundle(edit)?;
        let path = bundle.path.to_string_lossy();
        let plan = context.vial(&["plan", "--bundle", &path])?.success()?.stdout;
        let said = plan.lines().any(|line| line.contains(field) && line.contains("opened"));
        same(field, said, true).map_err(|why| format!("{why}: {plan}"))
    };
    warned("linux.namespaces: devices in the image", &bare)?;
    warned("linux.devices[0]: ", &|config| {
        let kmsg = json!({ "path": "/dev/kmsg", "type": "c", "major": 1, "minor": 11 });
        config["linux"]["devices"] = json!([kmsg]);
    })?;
    let bind = |config: &mut Value| edit::bind(config, "/dev/kmsg", "/kmsg", &["bind"]);
    warned("mounts[6]: ", &bind)?;
    Ok(())
}
