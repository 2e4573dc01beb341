//! Containers without a mount namespace: chroot(2) changes their root, and the
//! host's mounts do not change.

use std::fs;
use std::os::unix::fs::symlink;

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use serde_json::{Value, json};

use super::container::{refused, words};
use super::device_binds::without_mknod;
use super::edit::{self, Container};
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome, sys};

topic!(
    "chroot",
    rootfs_is_the_root[Root],
    hosts_mounts_do_not_change[Root],
    device_that_cannot_be_made_causes_no_mount[Root],
    fields_that_need_a_mount_are_refused[Root],
    user_namespace_is_refused [Root, UserNamespaces],
    devices_are_made_in_the_rootfs[Root],
    dev_that_is_a_link_is_refused[Root],
    no_path_leads_out[Root],
    no_path_leads_out_without_newer_calls[Root],
    no_file_of_the_host_is_held[Root],
);

/// Removes the mount namespace, and every field that needs one.
pub(super) fn bare(config: &mut Value) {
    edit::without_namespace(config, "mount");
    config.as_object_mut().map(|fields| fields.remove("mounts"));
    for field in ["maskedPaths", "readonlyPaths"] {
        config["linux"].as_object_mut().map(|linux| linux.remove(field));
    }
}

pub(super) fn sleeping(context: &Context) -> Result<Container<'_>, String> {
    let container = Container::start(context, &["sleep", "60"], bare)?;
    fs::write(container.bundle.rootfs.join("marker"), "inside").map_err(words)?;
    Ok(container)
}

/// Gives this process a mount namespace of its own, whose mounts are all shared, as
/// an init system makes a host's.
pub(super) fn mounts_of_its_own() -> Result<(), String> {
    let flags = libc::CLONE_NEWNS as usize;
    sys::call(libc::SYS_unshare, [flags, 0, 0, 0, 0, 0]).map_err(words)?;
    let whole = MountPropagationFlags::REC;
    mount_change("/", MountPropagationFlags::PRIVATE | whole).map_err(words)?;
    mount_change("/", MountPropagationFlags::SHARED | whole).map_err(words)
}

pub(super) fn mounts() -> Result<String, String> {
    let bytes = fs::read("/proc/self/mountinfo").map_err(words)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn rootfs_is_the_root(context: &Context) -> Outcome {
    for options in [&[][..], &["--no-pivot"]] {
        let bundle = context.bundle(|config| {
            edit::deeds(config, &["cat", "/marker", "+", "echo", "", "+", "ls", "/"]);
            bare(config);
        })?;
        fs::write(bundle.rootfs.join("marker"), "inside").map_err(words)?;
        let said = context.run_bundle_with(&bundle, options)?.success()?.stdout;
        let (marker, names) = said.split_once('\n').ok_or("two lines")?;
        same("the marker", marker, "inside")?;
        let entries = fs::read_dir(&bundle.rootfs).map_err(words)?.flatten();
        let mut here: Vec<String> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        here.sort();
        same("the root", names.lines().collect::<Vec<_>>(), here)?;
    }
    Ok(())
}

fn hosts_mounts_do_not_change(context: &Context) -> Outcome {
    mounts_of_its_own()?;
    let before = mounts()?;
    let bundle = context.bundle(|config| {
        edit::deeds(config, &["sleep", "60"]);
        bare(config);
    })?;
    let container = Container::create(context, bundle)?;
    same("the mounts after create", mounts()?, before.as_str())?;
    same("its namespace", container.namespace_inode("mnt")?, edit::inode("/proc/self/ns/mnt")?)?;
    context.vial(&["start", &container.id])?.success()?;
    container.exec(&[], &["exit", "0"])?.success()?;
    same("the mounts after exec", mounts()?, before.as_str())?;
    drop(container);
    Ok(same("the mounts after delete", mounts()?, before.as_str())?)
}

fn device_that_cannot_be_made_causes_no_mount(context: &Context) -> Outcome {
    mounts_of_its_own()?;
    let (before, left) = (mounts()?, context.leftovers());
    let done = without_mknod(context, &context.bundle(bare)?)?;
    refused(
        &done,
        "make device /dev/null (c 1:3, mode 0666): make the device node: mknodat(2): E",
    )?;
    same("the mounts", mounts()?, before)?;
    Ok(context.nothing_left_since(&left)?)
}

fn fields_that_need_a_mount_are_refused(context: &Context) -> Outcome {
    mounts_of_its_own()?;
    let before = mounts()?;
    let refused = |field: &str, edit: &dyn Fn(&mut Value)| {
        edit::refused(context, &[field, "mount namespace", "add {\"type\": \"mount\"}"], |config| {
            bare(config);
            edit(config);
        })
    };
    refused("mounts[0]: ", &|config| edit::mount(config, "tmpfs", "tmpfs", "/tmp", &[]))?;
    refused("root.readonly: ", &|config| config["root"]["readonly"] = json!(true))?;
    refused("process.terminal: ", &|config| config["process"]["terminal"] = json!(true))?;
    let linux = |field: &'static str, value: Value| {
        refused(&format!("linux.{field}"), &|config| config["linux"][field] = value.clone())
    };
    linux("maskedPaths", json!(["/etc"]))?;
    linux("readonlyPaths", json!(["/etc"]))?;
    linux("rootfsPropagation", json!("private"))?;
    Ok(same("the mounts", mounts()?, before)?)
}

fn user_namespace_is_refused(context: &Context) -> Outcome {
    let words = ["user namespace", "add {\"type\": \"mount\"}"];
    let field = ["linux.namespaces[4]: ", words[0], words[1]];
    edit::refused(context, &field, |config| {
        bare(config);
        edit::user_namespace(config, 100_000);
    })?;
    let other = Container::create(context, context.bundle(|c| edit::user_namespace(c, 100_000))?)?;
    edit::refused(context, &field, |config| {
        bare(config);
        edit::join(config, "user", &other.namespace("user"));
    })?;
    // The user namespace of the caller.
    let bundle = context.bundle(bare)?;
    let mut command = context.command_as("namespaced-root", &["run", "--bundle"]);
    let done = context.run(command.arg(&bundle.path).arg(context.id()))?;
    Ok(edit::words_of_refusal(&done, &["linux.namespaces: ", words[0], words[1]])?)
}

fn devices_are_made_in_the_rootfs(context: &Context) -> Outcome {
    // The devices get the given modes under any umask of the caller.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let deeds = [
        &["stat", "/dev/null", "+", "stat", "/dev/own/odd", "+", "stat", "/dev/stdin", "+"][..],
        &["write", "/dev/null", "x", "+", "open-device", "/dev/own/odd", "rw"],
    ]
    .concat();
    let text = edit::said(context, &deeds, |config| {
        bare(config);
        let odd = json!({ "path": "/dev/own/odd", "type": "c", "major": 1, "minor": 5,
            "fileMode": 0o660, "uid": 7, "gid": 0 });
        config["linux"]["devices"] = json!([odd]);
        config["process"]["user"]["additionalGids"] = json!([0]);
    })?;
    let lines: Vec<&str> = text.lines().collect();
    let [null, odd, stdin, "opened"] = lines[..] else { return Err(text.into()) };
    let seen = |line: &str| serde_json::from_str::<Value>(line).map_err(words);
    let (null, odd, stdin) = (seen(null)?, seen(odd)?, seen(stdin)?);
    same("null", (&null["device"], &null["mode"]), (&json!("1:3"), &json!("0666")))?;
    same("odd", (&odd["device"], &odd["mode"]), (&json!("1:5"), &json!("0660")))?;
    same("its owner", &odd["uid"], &json!(7))?;
    Ok(same("stdin", &stdin["link"], &json!("/proc/self/fd/0"))?)
}

fn dev_that_is_a_link_is_refused(context: &Context) -> Outcome {
    let outside = context.directory.join("outside");
    fs::create_dir(&outside).map_err(words)?;
    for to in [outside.as_path(), "../outside".as_ref(), "/".as_ref()] {
        let bundle = context.bundle(bare)?;
        fs::remove_dir(bundle.rootfs.join("dev")).map_err(words)?;
        symlink(to, bundle.rootfs.join("dev")).map_err(words)?;
        edit::refused_bundle(context, &bundle, &["make device /dev/null", "ELOOP"])?;
    }
    same("the number of files outside", fs::read_dir(&outside).map_err(words)?.count(), 0)?;
    Ok(())
}

fn no_path_leads_out(context: &Context) -> Outcome {
    fs::write(context.directory.join("secret"), "outside").map_err(words)?;
    let container = sleeping(context)?;
    symlink("/../../../..", container.bundle.rootfs.join("up")).map_err(words)?;
    symlink("../../../../..", container.bundle.rootfs.join("etc/up")).map_err(words)?;
    let secret = context.directory.join("secret");
    let secret = format!("..{}", secret.display());
    for directory in ["/", "/etc", "/..", "/up", "/etc/up", "/../../..", "/usr/../.."] {
        let told = format!("{directory}: ");
        for deeds in [&["cat", "../marker"], &["cat", "../../../../../marker"]] {
            let done = container.exec(&["--cwd", directory], deeds)?.success();
            let said = done.map_err(|why| format!("{told}{why}"))?.stdout;
            same(&told, said.as_str(), "inside")?;
        }
        for path in [secret.as_str(), "/up/etc/hostname", "/proc/1/root"] {
            let done = container.exec(&["--cwd", directory], &["cat", path])?.failure()?;
            same(path, done.stdout.trim(), "ENOENT")?;
        }
    }
    // The same for the container's first process.
    for directory in ["/..", "/../../..", "/usr/../.."] {
        let text = edit::said(context, &["stat", "probe"], |config| {
            bare(config);
            config["process"]["cwd"] = json!(directory);
        })?;
        same(directory, text.contains("\"type\":\"-\""), true)?;
    }
    edit::refused(context, &["process.cwd", "not an absolute path"], |config| {
        bare(config);
        config["process"]["cwd"] = json!("../..");
    })?;
    let done = container.exec(&["--cwd", "../.."], &["exit", "0"])?;
    Ok(edit::words_of_refusal(&done, &["process.cwd", "not an absolute path"])?)
}

fn no_path_leads_out_without_newer_calls(context: &Context) -> Outcome {
    let calls = [libc::SYS_openat2, libc::SYS_clone3, libc::SYS_close_range];
    for errno in [libc::ENOSYS, libc::EPERM] {
        no_path_leads_out(&context.hiding(errno, &calls)?)?;
        dev_that_is_a_link_is_refused(&context.hiding(errno, &calls)?)?;
    }
    Ok(())
}

/// A container whose rootfs has a procfs, which the host mounted.
fn with_proc(context: &Context) -> Result<Container<'_>, String> {
    mounts_of_its_own()?;
    let bundle = context.bundle(|config| {
        bare(config);
        edit::deeds(config, &["sleep", "60"]);
    })?;
    let place = bundle.rootfs.join("proc");
    mount("proc", place, "proc", MountFlags::empty(), None).map_err(words)?;
    Container::create(context, bundle)
}

/// The targets of a process's fds, and its working directory.
fn open_files(pid: u32) -> Result<Vec<String>, String> {
    let fds = fs::read_dir(format!("/proc/{pid}/fd")).map_err(words)?.flatten();
    let links = fds.map(|entry| entry.path()).chain([format!("/proc/{pid}/cwd").into()]);
    let read = |path| fs::read_link(path).map(|link| link.to_string_lossy().into_owned());
    links.map(|path| read(path).map_err(words)).collect()
}

fn no_file_of_the_host_is_held(context: &Context) -> Outcome {
    let container = with_proc(context)?;
    let root = container.bundle.rootfs.to_string_lossy().into_owned();
    for file in open_files(container.pid)? {
        // Sockets, /dev/null, and the output files of the test.
        let known = file == root || file == "/dev/null" || !file.starts_with('/');
        let stream = file.contains("/stdout-") || file.contains("/stderr-");
        same(&file, known || stream, true)?;
    }
    context.vial(&["start", &container.id])?.success()?;
    // No leaked fd can be the working directory.
    for fd in 3..16 {
        let directory = format!("/proc/self/fd/{fd}");
        let done = container.exec(&["--cwd", &directory], &["exit", "0"])?;
        edit::words_of_refusal(&done, &["process.cwd"])?;
    }
    let fds = container.exec(&[], &["fds"])?.success()?.json()?;
    Ok(same("its fds", fds.as_object().map(|fds| fds.len()), Some(3))?)
}
