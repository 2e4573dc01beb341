//! Mounts, devices, masked paths and the root, as the container sees them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use serde_json::{Value, json};

use super::edit::{self, add, bind, has, mount, mount_at, said};
use crate::bundle::Bundle;
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "rootfs",
    mounts_follow_the_order_of_config_json[Root],
    mount_has_the_given_flags[Root],
    tmpfs_has_the_given_size_and_mode[Root],
    options_that_the_kernel_would_cut_off_are_refused[Root],
    tmpfs_has_the_mode_of_the_directory_that_it_covers[Root],
    kernel_filesystems_are_real[Root],
    relative_destination_starts_at_the_root[Root],
    missing_targets_are_made[Root],
    tmpcopyup_copies_the_covered_directory[Root],
    default_devices_and_links_exist[Root],
    devices_of_config_json_are_made_as_given[Root],
    unknown_device_type_is_refused[Root],
    masked_file_reads_as_empty_and_cannot_be_written[Root],
    masked_directory_is_empty_and_read_only[Root],
    missing_masked_path_is_ignored[Root],
    readonly_path_refuses_writes[Root],
    readonly_root_refuses_writes_but_not_its_mounts[Root],
    working_directory_is_created[Root],
    no_mount_of_the_host_is_visible[Root],
    container_works_without_pivot_root[Root],
    mounts_on_the_host_do_not_change[Root],
    missing_rootfs_is_refused[Root],
);

fn mounts_follow_the_order_of_config_json(context: &Context) -> Outcome {
    let report = context.report(|config| {
        mount(config, "tmpfs", "first", "/tmp/a", &[]);
        mount(config, "tmpfs", "second", "/tmp/a/b", &[]);
        mount(config, "tmpfs", "third", "/tmp/a", &[]); // Covers both.
        mount(config, "tmpfs", "fourth", "/tmp/a/b", &[]);
    })?;
    let mounts = report["mounts"].as_array().ok_or("no mounts")?;
    let ours: Vec<_> = mounts
        .iter()
        .filter(|mount| mount["point"].as_str().is_some_and(|point| point.starts_with("/tmp/")))
        .filter_map(|mount| mount["source"].as_str())
        .collect();
    Ok(same("the mounts", ours, vec!["first", "second", "third", "fourth"])?)
}

fn mount_has_the_given_flags(context: &Context) -> Outcome {
    const ALL: [(&str, &[&str], &[&str]); 9] = [
        ("/tmp/plain", &[], &["rw", "relatime"]),
        ("/tmp/ro", &["ro"], &["ro"]),
        ("/tmp/hard", &["nosuid", "nodev", "noexec"], &["rw", "nosuid", "nodev", "noexec"]),
        ("/tmp/noatime", &["noatime"], &["noatime"]),
        ("/tmp/strict", &["strictatime"], &[]),
        ("/tmp/nodiratime", &["nodiratime"], &["nodiratime"]),
        ("/tmp/later", &["ro", "nosuid", "rw", "suid"], &["rw"]),
        ("/tmp/nosymfollow", &["nosymfollow"], &["nosymfollow"]),
        ("/tmp/relatime", &["noatime", "relatime"], &["relatime"]),
    ];
    const NEVER: [(&str, &[&str]); 4] = [
        ("/tmp/plain", &["nosuid", "nodev", "noexec"]),
        ("/tmp/strict", &["relatime", "noatime"]),
        ("/tmp/later", &["nosuid", "ro"]),
        ("/tmp/relatime", &["noatime"]),
    ];
    let report = context.report(|config| {
        for (point, options, _) in ALL {
            mount(config, "tmpfs", "tmpfs", point, options);
        }
    })?;
    for (point, _, wanted) in ALL {
        let options = &mount_at(&report, point)?["options"];
        for word in wanted {
            same(&format!("{word} of {point} ({options})"), has(options, word), true)?;
        }
    }
    for (point, unwanted) in NEVER {
        let options = &mount_at(&report, point)?["options"];
        for word in unwanted {
            same(&format!("{word} of {point} ({options})"), has(options, word), false)?;
        }
    }
    Ok(())
}

fn tmpfs_has_the_given_size_and_mode(context: &Context) -> Outcome {
    let edit = |config: &mut Value| {
        let options = ["size=64k", "mode=1711", "uid=7", "gid=8", "nr_inodes=9"];
        mount(config, "tmpfs", "tmpfs", "/small", &options);
    };
    let report = context.report(edit)?;
    let options = &mount_at(&report, "/small")?["super"];
    for word in ["size=64k", "mode=1711", "uid=7", "gid=8", "nr_inodes=9"] {
        same(&format!("{word} of {options}"), has(options, word), true)?;
    }
    let stat = said(context, &["stat", "/small"], edit)?;
    let stat: Value = serde_json::from_str(&stat).map_err(|e| e.to_string())?;
    Ok(same("the mode", stat["mode"].as_str(), Some("1711"))?)
}

fn options_that_the_kernel_would_cut_off_are_refused(context: &Context) -> Outcome {
    // The last mode counts. All options together take 4077 bytes, or 4088.
    let options = |first: &str| {
        let mut all = vec![first];
        all.extend(["mode=0700"; 406]);
        all.push("mode=0711");
        all.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let run = |first| {
        edit::run(context, &["stat", "/long"], |config| {
            let options = options(first);
            let options: Vec<&str> = options.iter().map(String::as_str).collect();
            mount(config, "tmpfs", "tmpfs", "/long", &options);
        })
    };
    let stat: Value = run("size=1m")?.success()?.json()?;
    same("the mode", stat["mode"].as_str(), Some("0711"))?;
    let done = run("size=100000000000k")?;
    edit::one_sentence(&done)?;
    Ok(edit::words_of_refusal(&done, &["mounts[6].options", "at most 4085"])?)
}

fn tmpfs_has_the_mode_of_the_directory_that_it_covers(context: &Context) -> Outcome {
    for (options, mode, uid) in [
        (&["size=64k"][..], "0710", 0),
        (&["mode=0701"], "0701", 0),
        (&["tmpcopyup"], "0710", 12),
        (&["tmpcopyup", "mode=0701"], "0701", 12),
        (&["tmpcopyup", "ro", "uid=7"], "0710", 7),
    ] {
        let bundle = context.bundle(|config| {
            mount(config, "tmpfs", "tmpfs", "/etc/directory", options);
            let new: &[&str] = if options[0] == "tmpcopyup" { &["tmpcopyup"] } else { &[] };
            mount(config, "tmpfs", "tmpfs", "/not/there", new);
            edit::deeds(config, &["stat", "/etc/directory", "+", "stat", "/not/there"]);
        })?;
        let directory = bundle.rootfs.join("etc/directory");
        std::fs::create_dir_all(&directory).map_err(|e| e.to_string())?;
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o710))
            .map_err(|e| e.to_string())?;
        chown(&directory, Some(12), Some(34)).map_err(|e| e.to_string())?;
        let done = context.run_bundle(&bundle)?.success()?;
        let seen: Vec<Value> =
            done.stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let [directory, new] = seen.as_slice() else {
            return Err(format!("not two answers: {done}").into());
        };
        same(
            &format!("mode and uid with {options:?}"),
            (&directory["mode"], &directory["uid"]),
            (&json!(mode), &json!(uid)),
        )?;
        same("the mode where nothing was", &new["mode"], "1777")?;
    }
    Ok(())
}

fn kernel_filesystems_are_real(context: &Context) -> Outcome {
    let report = context.report(|config| {
        edit::namespace(config, "cgroup");
        mount(config, "cgroup", "cgroup", "/sys/fs/cgroup", &["ro"]);
    })?;
    let is_v1 = !super::container::v1_hierarchies().is_empty();
    for (point, kind) in [
        ("/proc", "proc"),
        ("/dev", "tmpfs"),
        ("/dev/pts", "devpts"),
        ("/dev/shm", "tmpfs"),
        ("/dev/mqueue", "mqueue"),
        ("/sys", "sysfs"),
        ("/sys/fs/cgroup", if is_v1 { "tmpfs" } else { "cgroup2" }),
    ] {
        same(point, mount_at(&report, point)?["type"].as_str(), Some(kind))?;
    }
    // Its root is the container's own cgroup.
    Ok(same("root", mount_at(&report, "/sys/fs/cgroup")?["root"].as_str(), Some("/"))?)
}

fn relative_destination_starts_at_the_root(context: &Context) -> Outcome {
    let report = context.report(|c| mount(c, "tmpfs", "tmpfs", "tmp/below", &[]))?;
    mount_at(&report, "/tmp/below")?;
    Ok(())
}

fn missing_targets_are_made(context: &Context) -> Outcome {
    let file = context.directory.join("a-file");
    fs::write(&file, "text of the host").map_err(|e| e.to_string())?;
    let edit = |config: &mut Value| {
        bind(config, &file.to_string_lossy(), "/not/yet/there/file", &["bind"]);
        mount(config, "tmpfs", "tmpfs", "/nor/this/one", &[]);
    };
    let text = said(context, &["cat", "/not/yet/there/file", "+", "stat", "/nor/this/one"], edit)?;
    Ok(same("the file's text", text.starts_with("text of the host{"), true)?)
}

/// Creates a directory in the rootfs with every kind of file for tmpcopyup.
fn furnish(bundle: &Bundle) -> std::io::Result<()> {
    let directory = bundle.rootfs.join("etc/directory");
    fs::create_dir_all(directory.join("sub/subsub"))?;
    fs::write(directory.join("file"), "x".repeat(100_000))?;
    fs::write(directory.join("sub/setuid"), "")?;
    chown(directory.join("sub/setuid"), Some(12), Some(34))?;
    fs::set_permissions(directory.join("sub/setuid"), fs::Permissions::from_mode(0o4711))?;
    chown(directory.join("sub/subsub"), Some(56), Some(78))?;
    fs::set_permissions(directory.join("sub/subsub"), fs::Permissions::from_mode(0o1730))?;
    symlink("/nowhere/at/all", directory.join("link"))?;
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o710))
}

fn tmpcopyup_copies_the_covered_directory(context: &Context) -> Outcome {
    let bundle = context.bundle(|config| {
        edit::deeds(
            config,
            &[
                "stat",
                "/etc/directory",
                "+",
                "stat",
                "/etc/directory/file",
                "+",
                "stat",
                "/etc/directory/sub/setuid",
                "+",
                "stat",
                "/etc/directory/sub/subsub",
                "+",
                "stat",
                "/etc/directory/link",
                "+",
                "create",
                "/etc/directory/new",
                "x",
            ],
        );
        mount(config, "tmpfs", "tmpfs", "/etc/directory", &["tmpcopyup"]);
    })?;
    furnish(&bundle).map_err(|e| e.to_string())?;
    let done = context.run_bundle(&bundle)?.success()?;
    let seen: Vec<Value> =
        done.stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let [directory, file, setuid, subsub, link] = seen.as_slice() else {
        return Err(format!("not five answers: {done}").into());
    };
    same("the directory's mode", &directory["mode"], "0710")?;
    same("the file's size", &file["size"], 100_000)?;
    same(
        "setuid",
        (&setuid["mode"], &setuid["uid"], &setuid["gid"]),
        (&json!("4711"), &json!(12), &json!(34)),
    )?;
    same(
        "subsub",
        (&subsub["mode"], &subsub["uid"], &subsub["gid"]),
        (&json!("1730"), &json!(56), &json!(78)),
    )?;
    same("the link", &link["link"], "/nowhere/at/all")?;
    let written = bundle.rootfs.join("etc/directory/new").exists();
    Ok(same("whether the covered directory was written to", written, false)?)
}

fn default_devices_and_links_exist(context: &Context) -> Outcome {
    let report = context.report(|_| {})?;
    for (name, numbers) in [
        ("null", "1:3"),
        ("zero", "1:5"),
        ("full", "1:7"),
        ("random", "1:8"),
        ("urandom", "1:9"),
        ("tty", "5:0"),
    ] {
        let seen = &report["dev"][name];
        let wanted = json!({
            "type": "c", "device": numbers, "mode": "0666", "uid": 0, "gid": 0, "link": null
        });
        same(name, seen, &wanted)?;
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
    ] {
        same(name, report["dev"][name]["link"].as_str(), Some(target))?;
    }
    Ok(())
}

fn devices_of_config_json_are_made_as_given(context: &Context) -> Outcome {
    let report = context.report(|config| {
        for device in [
            json!({ "type": "c", "path": "/dev/chars", "major": 1, "minor": 3,
                    "fileMode": 0o640, "uid": 11, "gid": 12 }),
            json!({ "type": "b", "path": "/dev/blocks", "major": 7, "minor": 300 }),
            json!({ "type": "p", "path": "/dev/pipe", "fileMode": 0o600 }),
            json!({ "type": "u", "path": "/dev/unbuffered", "major": 1, "minor": 5 }),
            json!({ "type": "c", "path": "/dev/null", "major": 1, "minor": 3, "fileMode": 0o600 }),
        ] {
            add(&mut config["linux"]["devices"], device);
        }
    })?;
    for (name, kind, device, mode, uid, gid) in [
        ("chars", "c", "1:3", "0640", 11, 12),
        ("blocks", "b", "7:300", "0666", 0, 0),
        ("pipe", "p", "0:0", "0600", 0, 0),
        ("unbuffered", "c", "1:5", "0666", 0, 0),
        ("null", "c", "1:3", "0600", 0, 0),
    ] {
        let wanted = json!({
            "type": kind, "device": device, "mode": mode, "uid": uid, "gid": gid, "link": null
        });
        same(name, &report["dev"][name], &wanted)?;
    }
    Ok(())
}

fn unknown_device_type_is_refused(context: &Context) -> Outcome {
    Ok(edit::refused(context, &["linux.devices[0].type", "\"x\""], |config| {
        add(&mut config["linux"]["devices"], json!({ "type": "x", "path": "/dev/x" }));
    })?)
}

fn masked_file_reads_as_empty_and_cannot_be_written(context: &Context) -> Outcome {
    let mask = |config: &mut Value| config["linux"]["maskedPaths"] = json!(["/etc/secret"]);
    let secret = context.bundle(|config| {
        mask(config);
        edit::deeds(config, &["cat", "/etc/secret", "+", "write", "/etc/secret", "gone"]);
    })?;
    let place = secret.rootfs.join("etc/secret");
    fs::write(&place, "a secret").map_err(|e| e.to_string())?;
    let done = context.run_bundle(&secret)?;
    // The second deed may succeed or fail, but must not change the file.
    same("what was read", done.stdout.contains("a secret"), false)?;
    let after = fs::read_to_string(&place).map_err(|e| e.to_string())?;
    Ok(same("the file", after.as_str(), "a secret")?)
}

fn masked_directory_is_empty_and_read_only(context: &Context) -> Outcome {
    let words = ["ls", "/etc/secrets", "+", "create", "/etc/secrets/x", ""];
    let bundle = context.bundle(|config| {
        config["linux"]["maskedPaths"] = json!(["/etc/secrets", "/sys/firmware"]);
        edit::deeds(config, &words);
    })?;
    let directory = bundle.rootfs.join("etc/secrets");
    fs::create_dir(&directory).map_err(|e| e.to_string())?;
    fs::write(directory.join("secret"), "").map_err(|e| e.to_string())?;
    let done = context.run_bundle(&bundle)?.failure()?;
    Ok(same("what ls and create printed", done.stdout.trim(), "EROFS")?)
}

fn missing_masked_path_is_ignored(context: &Context) -> Outcome {
    context.report(|config| {
        config["linux"]["maskedPaths"] = json!(["/no/such", "/probe/below/a/file"]);
        config["linux"]["readonlyPaths"] = json!(["/nor/this", "/probe/below/a/file"]);
    })?;
    Ok(())
}

fn readonly_path_refuses_writes(context: &Context) -> Outcome {
    for path in ["/proc/sys/kernel/shmmax", "/proc/sysrq-trigger"] {
        if !Path::new(path).exists() {
            continue; // A kernel without CONFIG_MAGIC_SYSRQ.
        }
        let done = edit::run(context, &["write", path, "1"], |_| {})?.failure()?;
        same(path, done.stdout.trim(), "EROFS")?;
    }
    let done = edit::run(context, &["create", "/etc/x", "1"], |config| {
        config["linux"]["readonlyPaths"] = json!(["/etc"]);
    })?
    .failure()?;
    Ok(same("/etc", done.stdout.trim(), "EROFS")?)
}

fn readonly_root_refuses_writes_but_not_its_mounts(context: &Context) -> Outcome {
    let done = edit::run(
        context,
        &["create", "/dev/shm/x", "1", "+", "create", "/dev/y", "1", "+", "create", "/x", "1"],
        |config| config["root"]["readonly"] = true.into(),
    )?
    .failure()?;
    same("the errno", done.stdout.trim(), "EROFS")?;
    Ok(same("whether the right deed failed", done.stderr.contains("probe create /x 1"), true)?)
}

fn working_directory_is_created(context: &Context) -> Outcome {
    let report = context.report(|c| c["process"]["cwd"] = "/home/of/nobody".into())?;
    Ok(same("cwd", report["cwd"].as_str(), Some("/home/of/nobody"))?)
}

fn only_ours(report: &Value) -> Result<(), String> {
    let mounts = report["mounts"].as_array().ok_or("no mounts")?;
    for mount in mounts {
        let point = mount["point"].as_str().unwrap_or_default();
        let below = |root: &str| point == root || point.starts_with(&format!("{root}/"));
        if point != "/" && !["/proc", "/sys", "/dev"].iter().any(|root| below(root)) {
            return Err(format!("a mount of the host is inside: {mount}"));
        }
    }
    Ok(())
}

fn no_mount_of_the_host_is_visible(context: &Context) -> Outcome {
    Ok(only_ours(&context.report(|_| {})?)?)
}

fn container_works_without_pivot_root(context: &Context) -> Outcome {
    let bundle = context.bundle(|_| {})?;
    let report = context.run_bundle_with(&bundle, &["--no-pivot"])?.success()?.json()?;
    same("pid", report["pid"].as_u64(), Some(1))?;
    same("the type of /proc", mount_at(&report, "/proc")?["type"].as_str(), Some("proc"))?;
    Ok(only_ours(&report)?)
}

fn mounts_on_the_host_do_not_change(context: &Context) -> Outcome {
    let mounts = || fs::read_to_string("/proc/self/mountinfo").map_err(|e| e.to_string());
    let before = mounts()?;
    context.report(|config| mount(config, "tmpfs", "tmpfs", "/tmp/x", &[]))?;
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    Ok(same("the host's mounts", lines(&mounts()?), lines(&before))?)
}

fn missing_rootfs_is_refused(context: &Context) -> Outcome {
    let path = Path::new("no-rootfs");
    Ok(edit::refused(context, &["root.path", "no-rootfs"], |c| c["root"]["path"] = json!(path))?)
}
