//! Symbolic links as mount targets, and above and below mount targets.

use std::fs;
use std::os::unix::fs::{lchown, symlink};

use serde_json::{Value, json};

use super::edit::{self, bind, mount};
use super::fallbacks::without;
use crate::bundle::Bundle;
use crate::context::{Done, same};
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "links",
    link_that_leads_to_proc_is_not_mounted_over[Root],
    link_that_leads_to_proc_is_refused_before_proc_is_mounted[Root],
    target_of_a_dangling_link_is_created_and_the_link_stays[Root],
    target_of_a_dangling_link_is_created_in_a_user_namespace[Root, UserNamespaces],
    link_above_the_root_stays_within_it[Root],
    link_loop_is_refused[Root],
    bind_on_a_link_of_sysfs_covers_its_target[Root],
    bind_on_a_link_of_a_bound_dev_covers_its_target[Root],
    mount_below_proc_sys_or_dev_that_is_a_link_is_refused[Root],
    proc_and_sysfs_are_not_mounted_through_a_link[Root],
);

/// Creates links in a rootfs, and their parent directories.
fn link(bundle: &Bundle, links: &[(&str, &str)]) -> Result<(), String> {
    for (at, to) in links {
        let place = bundle.rootfs.join(at);
        let above = place.parent().unwrap_or(&bundle.rootfs);
        fs::create_dir_all(above).map_err(|e| e.to_string())?;
        // The path may be a directory, a link, or missing.
        let _ = fs::remove_dir(&place).or_else(|_| fs::remove_file(&place));
        symlink(to, &place).map_err(|e| format!("{at}: {e}"))?;
    }
    Ok(())
}

/// Runs the bundle with openat2 and without: both must give the same result.
fn both(
    context: &Context,
    bundle: &Bundle,
    check: impl Fn(Done) -> Result<(), String>,
) -> Result<(), String> {
    check(context.run_bundle(bundle)?)?;
    for errno in [libc::ENOSYS, libc::EPERM] {
        let calls = [libc::SYS_openat2];
        let done = without(context, &calls, errno, "run", bundle, &context.id())?;
        check(done).map_err(|why| format!("openat2 answers {errno}: {why}"))?;
    }
    Ok(())
}

fn link_that_leads_to_proc_is_not_mounted_over(context: &Context) -> Outcome {
    let volume = context.directory.join("volume");
    fs::create_dir(&volume).map_err(|e| e.to_string())?;
    let volume = volume.to_string_lossy().into_owned();
    let kinds: [(&str, &str, &[&str]); 4] = [
        ("bind", &volume, &["rbind"]),
        ("tmpfs", "tmpfs", &[]),
        ("tmpfs", "tmpfs", &["tmpcopyup"]),
        ("mqueue", "mqueue", &[]),
    ];
    for (at, to, target) in [
        ("data", "proc", "/data"),
        ("data", "/proc/sys", "/data"),
        ("data", "/proc", "/data/sys/kernel"),
        ("data", "more", "/data"),
    ] {
        for (kind, source, options) in kinds {
            let bundle = context.bundle(|config| {
                mount(config, kind, source, target, options);
                edit::deeds(config, &["echo", "ran"]);
            })?;
            link(&bundle, &[(at, to), ("more", "./../proc")])?;
            both(context, &bundle, |done| {
                edit::words_of_refusal(&done, &["mounts[6]", "/data", "into /proc"])
            })?;
        }
    }
    Ok(())
}

/// Before procfs is mounted, /proc is only a directory, and procfs would cover the volume.
fn link_that_leads_to_proc_is_refused_before_proc_is_mounted(context: &Context) -> Outcome {
    let bundle = context.bundle(|config| {
        let entry = json!({ "destination": "/data", "type": "tmpfs", "source": "tmpfs" });
        config["mounts"].as_array_mut().into_iter().for_each(|l| l.insert(0, entry.clone()));
    })?;
    link(&bundle, &[("data", "proc")])?;
    let is_refused = |done| edit::words_of_refusal(&done, &["mounts[0]", "/data", "into /proc"]);
    both(context, &bundle, is_refused)?;
    // The same if the image has no /proc, and vial creates the directory.
    let remove = || fs::remove_dir(bundle.rootfs.join("proc")).map_err(|e| e.to_string());
    remove()?;
    Ok(both(context, &bundle, |done| is_refused(done).and_then(|()| remove()))?)
}

const RESOLV: &str = "../run/systemd/resolve/stub-resolv.conf";

fn resolv(context: &Context) -> Result<Bundle, String> {
    let file = context.directory.join("resolv.conf");
    fs::write(&file, "nameserver 192.0.2.1\n").map_err(|e| e.to_string())?;
    let bundle = context.bundle(|config| {
        bind(config, &file.to_string_lossy(), "/etc/resolv.conf", &["bind", "ro"]);
        mount(config, "tmpfs", "tmpfs", "/var/lock", &["mode=1777"]);
        mount(config, "tmpfs", "tmpfs", "/var/chain/below", &["tmpcopyup"]);
        edit::deeds(
            config,
            &[
                "cat",
                "/etc/resolv.conf",
                "+",
                "cat",
                "/run/systemd/resolve/stub-resolv.conf",
                "+",
                "create",
                "/run/lock/x",
                "",
                "+",
                "ls",
                "/var/lock",
                "+",
                "ls",
                "/opt/far/below",
            ],
        );
    })?;
    link(
        &bundle,
        &[
            ("etc/resolv.conf", RESOLV),
            ("var/lock", "/run/lock"),
            ("var/chain", "../etc/second"),
            ("etc/second", "/opt/far"),
        ],
    )?;
    Ok(bundle)
}

fn is_made_good(bundle: &Bundle, done: Done) -> Result<(), String> {
    let line = "nameserver 192.0.2.1\n";
    same("what the container read", done.success()?.stdout, format!("{line}{line}x\n"))?;
    let seen = fs::read_link(bundle.rootfs.join("etc/resolv.conf")).map_err(|e| e.to_string())?;
    same("the link", seen.to_str(), Some(RESOLV))?;
    // Remove them, so that the next start creates them again.
    for path in ["run/systemd", "run/lock", "opt"] {
        fs::remove_dir_all(bundle.rootfs.join(path)).map_err(|e| format!("{path}: {e}"))?;
    }
    Ok(())
}

fn target_of_a_dangling_link_is_created_and_the_link_stays(context: &Context) -> Outcome {
    let bundle = resolv(context)?;
    Ok(both(context, &bundle, |done| is_made_good(&bundle, done))?)
}

fn target_of_a_dangling_link_is_created_in_a_user_namespace(context: &Context) -> Outcome {
    let bundle = resolv(context)?;
    let config = fs::read_to_string(bundle.path.join("config.json")).map_err(|e| e.to_string())?;
    let mut config: Value = serde_json::from_str(&config).map_err(|e| e.to_string())?;
    edit::user_namespace(&mut config, 100_000);
    bundle.write_config(&config)?;
    for path in ["", "run", "etc", "var"] {
        lchown(bundle.rootfs.join(path), Some(100_000), Some(100_000))
            .map_err(|e| e.to_string())?;
    }
    Ok(both(context, &bundle, |done| is_made_good(&bundle, done))?)
}

/// The link's target is resolved within the rootfs and created there.
fn link_above_the_root_stays_within_it(context: &Context) -> Outcome {
    let outside = context.directory.join("outside");
    fs::create_dir(&outside).map_err(|e| e.to_string())?;
    let path = outside.join("file").to_string_lossy().into_owned();
    for to in [path.clone(), format!("../../../../../../../..{path}")] {
        let bundle = context.bundle(|config| {
            bind(config, "/proc/version", "/etc/link", &["bind"]);
            edit::deeds(config, &["cat", &path]);
        })?;
        link(&bundle, &[("etc/link", &to)])?;
        both(context, &bundle, |done| {
            let text = done.success()?.stdout;
            same("whether the bound file is read", text.starts_with("Linux version"), true)?;
            let count = fs::read_dir(&outside).map_err(|e| e.to_string())?.count();
            same("the number of files on the host", count, 0)
        })?;
    }
    Ok(())
}

fn link_loop_is_refused(context: &Context) -> Outcome {
    for kind in ["bind", "tmpfs"] {
        let bundle = context.bundle(|config| mount(config, kind, "/tmp", "/etc/one", &["bind"]))?;
        link(&bundle, &[("etc/one", "two"), ("etc/two", "/etc/one")])?;
        both(context, &bundle, |done| {
            edit::words_of_refusal(&done, &["mounts[6]", "/etc/one", "ELOOP"])
        })?;
    }
    Ok(())
}

/// Docker's users hide a network interface like this: the path is a link to a device.
fn bind_on_a_link_of_sysfs_covers_its_target(context: &Context) -> Outcome {
    let directory = context.directory.join("lo");
    fs::create_dir(&directory).map_err(|e| e.to_string())?;
    fs::write(directory.join("bound"), "").map_err(|e| e.to_string())?;
    let bundle = context.bundle(|config| {
        bind(config, &directory.to_string_lossy(), "/sys/class/net/lo", &["bind"]);
        edit::deeds(config, &["ls", "/sys/class/net/lo", "+", "ls", "/sys/devices/virtual/net/lo"]);
    })?;
    Ok(both(context, &bundle, |done| {
        same("what is there", done.success()?.stdout.as_str(), "bound\nbound\n")
    })?)
}

fn bind_on_a_link_of_a_bound_dev_covers_its_target(context: &Context) -> Outcome {
    let dev = context.directory.join("dev");
    fs::create_dir(&dev).map_err(|e| e.to_string())?;
    symlink("../run/log", dev.join("log")).map_err(|e| e.to_string())?;
    let bundle = context.bundle(|config| {
        edit::without_mounts(config, "/dev");
        bind(config, &dev.to_string_lossy(), "/dev", &["rbind"]);
        bind(config, "/proc/version", "/dev/log", &["bind"]);
        edit::deeds(config, &["cat", "/run/log"]);
    })?;
    Ok(both(context, &bundle, |done| {
        same("the version", done.success()?.stdout.starts_with("Linux version"), true)
    })?)
}

fn mount_below_proc_sys_or_dev_that_is_a_link_is_refused(context: &Context) -> Outcome {
    for name in ["proc", "sys", "dev"] {
        let bundle = context.bundle(|config| {
            config["mounts"] = json!([]);
            let target = if name == "proc" { "/proc/uptime" } else { &format!("/{name}/below") };
            bind(config, "/proc/version", target, &["bind"]);
        })?;
        link(&bundle, &[(name, "tmp")])?;
        let hint = "may not be symbolic links";
        both(context, &bundle, |done| {
            edit::words_of_refusal(&done, &["mounts[0]", "ELOOP", hint])
        })?;
    }
    Ok(())
}

/// As runc does: both must be mounted on ordinary directories.
fn proc_and_sysfs_are_not_mounted_through_a_link(context: &Context) -> Outcome {
    for kind in ["proc", "sysfs"] {
        for target in ["/data", "/data/below"] {
            let bundle = context.bundle(|config| mount(config, kind, kind, target, &[]))?;
            link(&bundle, &[("data", "srv")])?;
            fs::create_dir_all(bundle.rootfs.join("srv/below")).map_err(|e| e.to_string())?;
            both(context, &bundle, |done| {
                edit::words_of_refusal(&done, &["mounts[6]", target, "ELOOP"])
            })?;
        }
    }
    Ok(())
}
