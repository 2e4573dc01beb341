//! User namespaces: mapped ranges, and callers that are not root.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::os::unix::process::CommandExt;

use serde_json::{Value, json};

use super::edit::{self, Container, user_namespace};
use crate::bundle::Bundle;
use crate::context::{Done, same};
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "userns",
    ids_are_mapped_as_given [Root, UserNamespaces],
    file_made_inside_belongs_to_the_mapped_user [Root, UserNamespaces],
    message_queues_belong_to_the_containers_root [Root, UserNamespaces],
    devices_are_usable_and_cannot_be_made [Root, UserNamespaces],
    user_and_groups_work_within_a_range [Root, UserNamespaces],
    unmapped_user_is_refused [Root, UserNamespaces],
    invalid_mapping_is_refused [Root, UserNamespaces],
    exec_enters_the_user_namespace [Root, UserNamespaces],
    unprivileged_user_runs_a_container [Root, UserNamespaces],
    unprivileged_user_without_user_namespace_is_refused [Root, UserNamespaces],
    cgroups_of_the_host_are_read_only_for_an_unprivileged_user [Root, UserNamespaces],
    cgroups_keep_all_flags_of_their_mount [Root, UserNamespaces],
    copy_of_a_directory_of_nobody_belongs_to_root [Root, UserNamespaces],
);

pub(super) const FIRST: u32 = 100_000;

/// A bundle with a user namespace, whose files belong to the mapped root.
pub(super) fn bundle(context: &Context, edit: impl FnOnce(&mut Value)) -> Result<Bundle, String> {
    let bundle = context.bundle(|config| {
        user_namespace(config, FIRST);
        edit(config);
    })?;
    own(&bundle, FIRST)?;
    Ok(bundle)
}

/// Changes the owner of a bundle and of everything in it.
pub(crate) fn own(bundle: &Bundle, id: u32) -> Result<(), String> {
    let mut directories = vec![bundle.path.clone()];
    while let Some(directory) = directories.pop() {
        lchown(&directory, Some(id), Some(id)).map_err(|e| e.to_string())?;
        for entry in fs::read_dir(&directory).map_err(|e| e.to_string())?.flatten() {
            // Not through a link, such as var/run: that is the host's.
            match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                true => directories.push(entry.path()),
                false => lchown(entry.path(), Some(id), Some(id)).map_err(|e| e.to_string())?,
            }
        }
    }
    Ok(())
}

/// The words of a uid_map or gid_map.
pub(crate) fn words(map: &Value) -> Vec<String> {
    map.as_str().unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

fn ids_are_mapped_as_given(context: &Context) -> Outcome {
    let report = edit::report_of(context, &bundle(context, |_| {})?)?;
    same("uid", report["uid"].as_u64(), Some(0))?;
    same("gid", report["gid"].as_u64(), Some(0))?;
    for map in ["uid_map", "gid_map"] {
        same(map, words(&report[map]), ["0", "100000", "65536"])?;
    }
    let report = edit::report_of(
        context,
        &bundle(context, |config| {
            config["linux"]["uidMappings"] = json!([
                { "containerID": 0, "hostID": 100_000, "size": 10 },
                { "containerID": 10, "hostID": 200_000, "size": 20 }
            ]);
        })?,
    )?;
    Ok(same("uid_map", words(&report["uid_map"]), ["0", "100000", "10", "10", "200000", "20"])?)
}

fn file_made_inside_belongs_to_the_mapped_user(context: &Context) -> Outcome {
    let bundle = bundle(context, |config| {
        config["process"]["user"] = json!({ "uid": 1000, "gid": 1001 });
        edit::deeds(config, &["create", "/tmp/made", ""]);
    })?;
    let directory = bundle.rootfs.join("tmp");
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o1777))
        .map_err(|e| e.to_string())?;
    context.run_bundle(&bundle)?.success()?;
    let meta = fs::metadata(directory.join("made")).map_err(|e| e.to_string())?;
    Ok(same("the owner", (meta.uid(), meta.gid()), (FIRST + 1000, FIRST + 1001))?)
}

fn message_queues_belong_to_the_containers_root(context: &Context) -> Outcome {
    let report = context.run_bundle(&bundle(context, |_| {})?)?.success()?.json()?;
    let queues = &report["dev"]["mqueue"];
    same("the owner of /dev/mqueue", &queues["uid"], &json!(0))?;
    same("its group", &queues["gid"], &json!(0))?;
    Ok(())
}

fn devices_are_usable_and_cannot_be_made(context: &Context) -> Outcome {
    let open = ["open-device", "/dev/null", "rw", "+", "open-device", "/dev/zero", "r"];
    let done = context.run_bundle(&bundle(context, |c| edit::deeds(c, &open))?)?.success()?;
    same("both", done.stdout.as_str(), "opened\nopened\n")?;
    let report = edit::report_of(context, &bundle(context, |_| {})?)?;
    same("null", report["dev"]["null"]["device"].as_str(), Some("1:3"))?;
    // Device nodes cannot be made inside.
    let number = libc::SYS_mknodat.to_string();
    let words = ["call", &number, "-100", ":/tmp/x", "0x21b6", "0x103"];
    let made = bundle(context, |config| {
        edit::capabilities(config, &["CAP_MKNOD"]);
        edit::deeds(config, &words);
    })?;
    let done = context.run_bundle(&made)?.failure()?;
    Ok(same("mknodat", done.stdout.trim(), "EPERM")?)
}

fn user_and_groups_work_within_a_range(context: &Context) -> Outcome {
    let report = edit::report_of(
        context,
        &bundle(context, |config| {
            config["process"]["user"] = json!({ "uid": 12, "gid": 34, "additionalGids": [56, 78] });
        })?,
    )?;
    same("uid", report["uid"].as_u64(), Some(12))?;
    same("groups", &report["groups"], &json!([56, 78]))?;
    Ok(same("setgroups", report["setgroups"].as_str().map(str::trim), Some("allow"))?)
}

fn unmapped_user_is_refused(context: &Context) -> Outcome {
    let bundle = bundle(context, |c| c["process"]["user"]["uid"] = json!(70_000))?;
    Ok(edit::refused_bundle(context, &bundle, &["process.user", "70000"])?)
}

fn invalid_mapping_is_refused(context: &Context) -> Outcome {
    let overlap = json!([
        { "containerID": 0, "hostID": 1000, "size": 10 },
        { "containerID": 5, "hostID": 2000, "size": 10 }
    ]);
    edit::refused(context, &["linux.uidMappings"], |config| {
        user_namespace(config, FIRST);
        config["linux"]["uidMappings"] = overlap;
    })?;
    Ok(edit::refused(context, &["linux.gidMappings[0].size"], |config| {
        user_namespace(config, FIRST);
        config["linux"]["gidMappings"][0]["size"] = json!(u32::MAX);
    })?)
}

fn exec_enters_the_user_namespace(context: &Context) -> Outcome {
    let bundle = bundle(context, |config| edit::deeds(config, &["sleep", "60"]))?;
    let container = Container::create(context, bundle)?;
    context.vial(&["start", &container.id])?.success()?;
    let report = container.exec(&["--user", "5:6"], &["report"])?.success()?.json()?;
    let wanted = container.namespace_inode("user")?;
    same("the user namespace", report["namespaces"]["user"].as_str(), Some(&*wanted))?;
    Ok(same("the user", (&report["uid"], &report["gid"]), (&json!(5), &json!(6)))?)
}

/// A uid and gid that no system assigns.
pub(crate) const NOBODY: u32 = 61_234;

/// Runs `vial run` as that user, with a state directory of its own.
pub(crate) fn run_as_nobody(context: &Context, bundle: &Bundle) -> Result<Done, String> {
    let runtime = context.directory.join("runtime");
    if !runtime.exists() {
        fs::create_dir_all(runtime.join("bin")).map_err(|e| e.to_string())?;
        lchown(&runtime, Some(NOBODY), Some(NOBODY)).map_err(|e| e.to_string())?;
    }
    // Copies of the binaries that every user may execute.
    for name in ["vial", "vial-init"] {
        let place = runtime.join("bin").join(name);
        fs::copy(context.vial.with_file_name(name), &place).map_err(|e| e.to_string())?;
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(&place, mode).map_err(|e| e.to_string())?;
    }
    let mut command = std::process::Command::new(runtime.join("bin/vial"));
    command.args(["run", "--bundle"]).arg(&bundle.path).arg(context.id());
    command.env("XDG_RUNTIME_DIR", &runtime).uid(NOBODY).gid(NOBODY);
    Ok(context.run(&mut command)?)
}

/// Changes config.json as `vial spec --rootless` does.
pub(crate) fn rootless(config: &mut Value) {
    edit::namespace(config, "user");
    let map = json!([{ "containerID": 0, "hostID": NOBODY, "size": 1 }]);
    config["linux"]["uidMappings"] = map.clone();
    config["linux"]["gidMappings"] = map;
    config["linux"].as_object_mut().map(|linux| linux.remove("resources"));
    // devpts's gid=5 is not mapped.
    for mount in config["mounts"].as_array_mut().into_iter().flatten() {
        if let Some(options) = mount.get_mut("options").and_then(Value::as_array_mut) {
            options.retain(|option| option != "gid=5");
        }
    }
}

fn unprivileged_user_runs_a_container(context: &Context) -> Outcome {
    let bundle = context.bundle(rootless)?;
    own(&bundle, NOBODY)?;
    let report = run_as_nobody(context, &bundle)?.success()?.json()?;
    same("pid", report["pid"].as_u64(), Some(1))?;
    same("uid", report["uid"].as_u64(), Some(0))?;
    same("uid_map", words(&report["uid_map"]), ["0", "61234", "1"])?;
    same("setgroups", report["setgroups"].as_str().map(str::trim), Some("deny"))?;
    Ok(same("null", report["dev"]["null"]["device"].as_str(), Some("1:3"))?)
}

fn unprivileged_user_without_user_namespace_is_refused(context: &Context) -> Outcome {
    let bundle = context.bundle(|_| {})?;
    own(&bundle, NOBODY)?;
    let done = run_as_nobody(context, &bundle)?.failure()?;
    edit::one_sentence(&done)?;
    Ok(same("whether the error names it", done.stderr.contains("user namespace"), true)?)
}

/// CVE-2023-25809: without a cgroup namespace, the mount shows the host's hierarchy.
fn cgroups_of_the_host_are_read_only_for_an_unprivileged_user(context: &Context) -> Outcome {
    let bundle = context.bundle(|config| {
        rootless(config);
        edit::mount(config, "cgroup", "cgroup", "/sys/fs/cgroup", &[]);
    })?;
    own(&bundle, NOBODY)?;
    let report = run_as_nobody(context, &bundle)?.success()?.json()?;
    let mount = edit::mount_at(&report, "/sys/fs/cgroup")?;
    // With cgroup v1, a tmpfs that holds a mount for each hierarchy.
    let is_v1 = !super::container::v1_hierarchies().is_empty();
    let (kind, point) = match is_v1 {
        true => ("tmpfs", "/sys/fs/cgroup/unified"),
        false => ("cgroup2", "/sys/fs/cgroup"),
    };
    same("the type", mount["type"].as_str(), Some(kind))?;
    // The kernel mounts neither v1 nor, with v1 beside it, cgroup2 for such a user.
    let Ok(mount) = edit::mount_at(&report, point) else { return Ok(()) };
    Ok(same("ro", edit::has(&mount["options"], "ro"), true)?)
}

/// Without a cgroup namespace this is a bind, which takes no flags of mount(2).
fn cgroups_keep_all_flags_of_their_mount(context: &Context) -> Outcome {
    const FLAGS: [&str; 5] = ["ro", "nosuid", "nodev", "noexec", "nosymfollow"];
    let report = edit::report_of(
        context,
        &bundle(context, |config| {
            edit::mount(config, "cgroup", "cgroup", "/sys/fs/cgroup", &FLAGS);
        })?,
    )?;
    let mounts = report["mounts"].as_array().into_iter().flatten();
    let shown: Vec<&Value> = mounts
        .filter(|mount| mount["point"].as_str().is_some_and(|p| p.starts_with("/sys/fs/cgroup")))
        .collect();
    same("whether it is mounted", shown.is_empty(), false)?;
    for mount in shown {
        for flag in FLAGS {
            same(&format!("{flag} of {mount}"), edit::has(&mount["options"], flag), true)?;
        }
    }
    Ok(())
}

/// An owner without a mapping is shown as 65534, which this user namespace lacks, too.
fn copy_of_a_directory_of_nobody_belongs_to_root(context: &Context) -> Outcome {
    let bundle = bundle(context, |config| {
        let map = json!([{ "containerID": 0, "hostID": FIRST, "size": 1000 }]);
        config["linux"]["uidMappings"] = map.clone();
        config["linux"]["gidMappings"] = map;
        edit::mount(config, "tmpfs", "tmpfs", "/tmp", &["tmpcopyup"]);
        edit::deeds(config, &["stat", "/tmp", "+", "stat", "/tmp/file"]);
    })?;
    let file = bundle.rootfs.join("tmp/file");
    fs::write(&file, "").map_err(|e| e.to_string())?;
    lchown(&file, Some(FIRST + 1), Some(FIRST + 2)).map_err(|e| e.to_string())?;
    lchown(bundle.rootfs.join("tmp"), Some(0), Some(0)).map_err(|e| e.to_string())?;
    let said = context.run_bundle(&bundle)?.success()?.stdout;
    let stat = |line: &str| serde_json::from_str::<Value>(line).map_err(|e| e.to_string());
    let stats = said.lines().map(stat).collect::<Result<Vec<_>, _>>()?;
    let owners: Vec<_> =
        stats.iter().map(|stat| (stat["uid"].as_u64(), stat["gid"].as_u64())).collect();
    Ok(same("the owners", &*owners, &[(Some(0), Some(0)), (Some(1), Some(2))][..])?)
}
