//! User namespaces that root creates: bind sources that the mapped root cannot reach,
//! and mount flags that the kernel locks.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, MountPropagationFlags, mount_change, mount_remount};
use serde_json::{Value, json};

use super::container::refused;
use super::edit::{self, Container, bind, has, mount_at};
use super::fallbacks::without;
use super::mounted::Mounted;
use super::userns::{FIRST, bundle};
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "userns_sources",
    locked_flags_stay [Root, UserNamespaces],
    access_time_of_a_source_is_changed [Root, UserNamespaces, MountSetattr],
    mounts_below_a_source_stay_locked [Root, UserNamespaces, MountSetattr],
    source_that_protects_the_host_is_not_unlocked [Root, UserNamespaces, MountSetattr],
    recursive_access_time_of_a_source_is_refused [Root, UserNamespaces, MountSetattr],
    locked_flags_stay_under_recursive_options [Root, UserNamespaces, MountSetattr],
    source_in_a_closed_directory_is_bound [Root, UserNamespaces],
    mounts_below_a_source_are_left_out [Root, UserNamespaces, MountSetattr],
    source_in_a_joined_user_namespace_is_bound [Root, UserNamespaces],
    source_may_be_on_an_earlier_mount [Root, UserNamespaces],
    rootfs_in_a_closed_directory_is_used [Root, UserNamespaces],
    hundreds_of_sources_are_bound [Root, UserNamespaces],
    missing_source_is_refused_with_its_field [Root, UserNamespaces],
    failure_leaves_nothing [Root, UserNamespaces],
);

/// A read-only tmpfs on the host with every flag that the kernel can lock, and a file in
/// it.
fn locked(context: &Context) -> Result<Mounted, String> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOATIME;
    let locked = Mounted::tmpfs(context.directory.join("locked"), "x", flags)?;
    let file = locked.0.join("file");
    fs::write(&file, "of the host").map_err(|e| e.to_string())?;
    chown(&file, Some(FIRST), Some(FIRST)).map_err(|e| e.to_string())?;
    mount_remount(&locked.0, flags | MountFlags::RDONLY, "").map_err(|e| e.to_string())?;
    Ok(locked)
}

/// Binds it with these options, and checks its flags from inside.
fn stays_locked(context: &Context, path: &str, options: &[&str]) -> Outcome {
    let report = edit::report_of(context, &bundle(context, |c| bind(c, path, "/tmp/x", options))?)?;
    let seen = &mount_at(&report, "/tmp/x")?["options"];
    for flag in ["ro", "nosuid", "nodev", "noexec"] {
        same(flag, has(seen, flag), flag != "noexec" || options.contains(&"noexec"))?;
    }
    let writing = bundle(context, |config| {
        bind(config, path, "/tmp/x", options);
        edit::deeds(config, &["cat", "/tmp/x/file", "+", "write", "/tmp/x/file", "y"]);
    })?;
    let done = context.run_bundle(&writing)?.failure()?;
    Ok(same("what was read, and the errno", done.stdout.trim(), "of the hostEROFS")?)
}

fn locked_flags_stay(context: &Context) -> Outcome {
    let locked = locked(context)?;
    for options in [
        &["bind"][..],
        &["bind", "rw"],
        &["rbind", "rw", "suid", "dev", "exec"],
        &["bind", "rw", "noexec"],
    ] {
        stays_locked(context, &locked.path(), options)
            .map_err(|why| format!("{options:?}: {why:?}"))?;
    }
    Ok(())
}

fn locked_flags_stay_under_recursive_options(context: &Context) -> Outcome {
    let locked = locked(context)?;
    for options in [&["rbind", "rrw"][..], &["rbind", "rdev", "rnoexec", "noexec"]] {
        stays_locked(context, &locked.path(), options)
            .map_err(|why| format!("{options:?}: {why:?}"))?;
    }
    Ok(())
}

/// The access time protects nothing of the host, so it is what config.json says.
fn access_time_of_a_source_is_changed(context: &Context) -> Outcome {
    let directory = context.directory.join("plain");
    let plain = Mounted::tmpfs(directory, "plain", MountFlags::empty())?;
    for (options, wanted) in [
        (&["bind", "noatime"][..], "noatime"),
        (&["rbind", "strictatime"], ""),
        (&["bind", "nodiratime", "ro"], "nodiratime relatime"),
    ] {
        let path = plain.path();
        let report =
            edit::report_of(context, &bundle(context, |c| bind(c, &path, "/tmp/x", options))?)?;
        let seen = mount_at(&report, "/tmp/x")?["options"].clone();
        let mut times = ["nodiratime", "noatime", "relatime"].to_vec();
        times.retain(|time| has(&seen, time));
        same(&format!("{options:?}: {seen}"), times.join(" ").as_str(), wanted)?;
    }
    Ok(())
}

/// A copy whose attributes are not locked would let root of the container, with
/// CAP_SYS_ADMIN, make a read-only mount of the host writable.
fn source_that_protects_the_host_is_not_unlocked(context: &Context) -> Outcome {
    let tree = Mounted::tree(context, MountFlags::empty())?;
    for (options, words) in [
        (["rbind", "noatime"], ["EPERM", "hint: in a user namespace only"]),
        (["bind", "strictatime"], ["EINVAL", "use rbind"]),
    ] {
        let bundle = bundle(context, |c| bind(c, &tree.path(), "/tmp/x", &options))?;
        for flag in [MountFlags::RDONLY, MountFlags::NOSUID, MountFlags::NODEV, MountFlags::NOEXEC]
        {
            mount_remount(&tree.0, MountFlags::BIND | flag, "").map_err(|e| e.to_string())?;
            let done = context.run_bundle(&bundle)?;
            for text in words {
                refused(&done, text).map_err(|why| format!("{flag:?} {options:?}: {why}"))?;
            }
        }
    }
    Ok(())
}

/// In a copy that is not locked, root of the container could make the mounts below
/// writable, or unmount them.
fn mounts_below_a_source_stay_locked(context: &Context) -> Outcome {
    let tree = Mounted::tree(context, MountFlags::empty())?;
    let path = tree.path();
    for options in [["rbind", "noatime"], ["rbind", "strictatime"]] {
        let done = context.run_bundle(&bundle(context, |c| bind(c, &path, "/tmp/x", &options))?)?;
        for text in ["EPERM", "hint: in a user namespace only"] {
            refused(&done, text).map_err(|why| format!("{options:?}: {why}"))?;
        }
    }
    let single = bundle(context, |c| bind(c, &path, "/tmp/x", &["bind", "noatime"]))?;
    let report = edit::report_of(context, &single)?;
    same("below", mount_at(&report, "/tmp/x/below").is_ok(), false)?;
    let whole = bundle(context, |c| bind(c, &path, "/tmp/x", &["rbind"]))?;
    let report = edit::report_of(context, &whole)?;
    Ok(same("below", mount_at(&report, "/tmp/x/below").is_ok(), true)?)
}

fn recursive_access_time_of_a_source_is_refused(context: &Context) -> Outcome {
    let tree = Mounted::tree(context, MountFlags::empty())?;
    let bundle = bundle(context, |c| bind(c, &tree.path(), "/tmp/x", &["rbind", "rnoatime"]))?;
    let done = context.run_bundle(&bundle)?;
    for text in ["noatime", "EPERM", "hint: in a user namespace"] {
        refused(&done, text)?;
    }
    Ok(())
}

/// The kernel locks the host's mounts onto each other in a user namespace, so that what
/// they cover stays covered. The host's root may leave them out all the same.
fn mounts_below_a_source_are_left_out(context: &Context) -> Outcome {
    let tree = Mounted::tree(context, MountFlags::empty())?;
    mount_change(&tree.0, MountPropagationFlags::SHARED).map_err(|e| e.to_string())?;
    let (report, listed) = {
        let bundle = bundle(context, |config| {
            bind(config, &tree.path(), "/tmp/tree", &["bind", "ro"]);
            edit::deeds(config, &["ls", "/tmp/tree/below", "+", "report"]);
        })?;
        let done = context.run_bundle(&bundle)?.success()?;
        let (listed, report) = done.stdout.split_once('{').ok_or("the report is missing")?;
        let report: Value =
            serde_json::from_str(&format!("{{{report}")).map_err(|e| e.to_string())?;
        (report, listed.trim().to_owned())
    };
    same("what the covered directory holds", listed.as_str(), "")?;
    let mount = mount_at(&report, "/tmp/tree")?;
    same("ro", has(&mount["options"], "ro"), true)?;
    let fields = mount["propagation"].to_string();
    let kinds = ["shared", "master"].map(|kind| fields.contains(kind));
    Ok(same(&format!("whether it is shared, and a slave: {fields}"), kinds, [false, true])?)
}

/// A directory that only its owner may enter, with a file and a directory in it.
fn closed(context: &Context) -> Result<PathBuf, String> {
    let directory = context.directory.join("closed");
    fs::create_dir_all(directory.join("inner")).map_err(|e| e.to_string())?;
    for name in ["file", "inner/file"] {
        fs::write(directory.join(name), name).map_err(|e| e.to_string())?;
    }
    // The owner is not root, so opening it needs root's capabilities, not only uid 0.
    chown(&directory, Some(4321), Some(4321)).map_err(|e| e.to_string())?;
    let mode = fs::Permissions::from_mode(0o700);
    fs::set_permissions(&directory, mode).map_err(|e| e.to_string())?;
    Ok(directory)
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Binds the file and the directory, and lets the probe read them.
fn bind_closed(config: &mut Value, directory: &Path) {
    bind(config, &text(&directory.join("file")), "/etc/one", &["bind", "ro"]);
    bind(config, &text(&directory.join("inner")), "/tmp/two", &["rbind", "nosuid"]);
    edit::deeds(config, &["cat", "/etc/one", "+", "cat", "/tmp/two/file"]);
}

fn source_in_a_closed_directory_is_bound(context: &Context) -> Outcome {
    let directory = closed(context)?;
    let bundle = bundle(context, |config| bind_closed(config, &directory))?;
    for options in [&[][..], &["--no-pivot"]] {
        let done = context.run_bundle_with(&bundle, options)?.success()?;
        same("both files", done.stdout.as_str(), "fileinner/file")?;
    }
    let calls = [libc::SYS_open_tree, libc::SYS_move_mount, libc::SYS_mount_setattr];
    let id = context.id();
    let done = without(context, &calls, libc::ENOSYS, "run", &bundle, &id)?.success()?;
    Ok(same("both files", done.stdout.as_str(), "fileinner/file")?)
}

fn source_in_a_joined_user_namespace_is_bound(context: &Context) -> Outcome {
    let directory = closed(context)?;
    let other = Container::create(context, bundle(context, |_| {})?)?;
    let joining = bundle(context, |config| {
        bind_closed(config, &directory);
        edit::join(config, "user", &other.namespace("user"));
        edit::without_maps(config);
    })?;
    let done = context.run_bundle(&joining)?.success()?;
    Ok(same("both files", done.stdout.as_str(), "fileinner/file")?)
}

fn source_may_be_on_an_earlier_mount(context: &Context) -> Outcome {
    let directory = closed(context)?;
    let bundle = bundle(context, |config| {
        bind(config, &text(&directory.join("inner")), "/tmp/two", &["bind"]);
        edit::deeds(config, &["cat", "/etc/three"]);
    })?;
    let place = bundle.path.join("config.json");
    let read = fs::read(&place).map_err(|e| e.to_string())?;
    let mut config: Value = serde_json::from_slice(&read).map_err(|e| e.to_string())?;
    let source = bundle.rootfs.join("tmp/two/file");
    bind(&mut config, &text(&source), "/etc/three", &["bind"]);
    bundle.write_config(&config)?;
    let done = context.run_bundle(&bundle)?.success()?;
    Ok(same("the file", done.stdout.as_str(), "inner/file")?)
}

fn rootfs_in_a_closed_directory_is_used(context: &Context) -> Outcome {
    let bundle = bundle(context, |config| edit::deeds(config, &["echo", "runs"]))?;
    chown(&bundle.path, Some(4321), Some(4321)).map_err(|e| e.to_string())?;
    let mode = fs::Permissions::from_mode(0o700);
    fs::set_permissions(&bundle.path, mode).map_err(|e| e.to_string())?;
    let done = context.run_bundle(&bundle)?.success()?;
    Ok(same("what it printed", done.stdout.as_str(), "runs\n")?)
}

fn hundreds_of_sources_are_bound(context: &Context) -> Outcome {
    let directory = closed(context)?;
    let bundle = bundle(context, |config| {
        for number in 0..300 {
            bind(config, &text(&directory.join("file")), &format!("/tmp/{number}"), &["bind"]);
        }
        edit::deeds(config, &["cat", "/tmp/0", "+", "cat", "/tmp/299"]);
    })?;
    let done = context.run_bundle(&bundle)?.success()?;
    Ok(same("both", done.stdout.as_str(), "filefile")?)
}

fn missing_source_is_refused_with_its_field(context: &Context) -> Outcome {
    let directory = closed(context)?;
    let missing = bundle(context, |c| bind(c, &text(&directory.join("x")), "/tmp/x", &["bind"]))?;
    Ok(edit::refused_bundle(context, &missing, &["mounts[6]", "closed/x", "ENOENT"])?)
}

fn failure_leaves_nothing(context: &Context) -> Outcome {
    let before = context.leftovers();
    let late = bundle(context, |c| edit::deeds(c, &["no-such-deed"]))?;
    context.run_bundle(&late)?.failure()?;
    let refused = bundle(context, |c| c["process"]["args"] = json!(["/none"]))?;
    context.run_bundle(&refused)?.failure()?;
    let early = bundle(context, |c| c["linux"]["uidMappings"][0]["size"] = json!(u32::MAX - 1))?;
    context.run_bundle(&early)?.failure()?;
    Ok(context.nothing_left_since(&before)?)
}
