//! Mounts on the root itself, and unusual spellings in a mount.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use rustix::mount::MountFlags;
use serde_json::{Value, json};

use super::edit::{self, Container, bind, has, mount, mount_at};
use super::mounted::Mounted;
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "root_mounts",
    bind_on_the_root_covers_it[Root],
    tmpfs_on_the_root_covers_it_and_holds_later_mounts[Root],
    covered_root_is_made_read_only[Root],
    copy_of_the_root_covers_it[Root],
    root_is_covered_without_openat2_and_without_pivot[Root],
    dots_in_a_destination_end_at_the_root[Root],
    dots_in_the_working_directory_end_at_the_root[Root],
    slash_after_a_file_is_ignored[Root],
    commas_separate_mount_options[Root],
    fips_enabled_may_be_bound_over[Root],
    hosts_sysfs_is_hidden_beside_any_other_mount [Root, UserNamespaces],
);

/// The path of another rootfs with the probe, and with a file that tells it apart.
fn other_root(context: &Context) -> Result<String, String> {
    let other = context.bundle(|_| {})?.rootfs;
    fs::write(other.join("other"), "the other").map_err(|e| e.to_string())?;
    Ok(other.to_string_lossy().into_owned())
}

/// Adds a mount on /, before all other mounts.
fn first(config: &mut Value, kind: &str, source: &str, options: &[&str]) {
    mount(config, kind, source, "/", options);
    if let Some(mounts) = config["mounts"].as_array_mut() {
        mounts.rotate_right(1);
    }
}

fn bind_on_the_root_covers_it(context: &Context) -> Outcome {
    let other = other_root(context)?;
    let report = context.report(|config| first(config, "bind", &other, &["rbind", "nosuid"]))?;
    same("nosuid", has(&mount_at(&report, "/")?["options"], "nosuid"), true)?;
    same("proc", mount_at(&report, "/proc")?["type"].as_str(), Some("proc"))?;
    let text = edit::said(context, &["cat", "/other"], |config| {
        first(config, "bind", &other, &["bind"]);
    })?;
    same("the file of the other root", text.as_str(), "the other")?;
    let container = Container::start(context, &["sleep", "60"], |config| {
        first(config, "bind", &other, &["bind"]);
    })?;
    let done = container.exec(&[], &["cat", "/other"])?.success()?;
    Ok(same("what an exec reads", done.stdout.as_str(), "the other")?)
}

/// Mounts a tmpfs on the root, and binds the probe into it.
fn tmpfs(config: &mut Value, probe: &str, options: &[&str]) {
    bind(config, probe, "/bin/probe", &["bind", "ro"]);
    if let Some(mounts) = config["mounts"].as_array_mut() {
        mounts.rotate_right(1);
    }
    first(config, "tmpfs", "tmpfs", options);
    config["process"]["args"][0] = json!("/bin/probe");
}

fn tmpfs_on_the_root_covers_it_and_holds_later_mounts(context: &Context) -> Outcome {
    let probe = context.probe.to_string_lossy().into_owned();
    let report = context.report(|config| tmpfs(config, &probe, &["mode=750", "size=1m"]))?;
    same("the root", mount_at(&report, "/")?["type"].as_str(), Some("tmpfs"))?;
    same("null", report["dev"]["null"]["device"].as_str(), Some("1:3"))?;
    let names = edit::said(context, &["ls", "/"], |config| tmpfs(config, &probe, &[]))?;
    let names: Vec<&str> = names.lines().collect();
    Ok(same("what the root holds", names, vec!["bin", "dev", "proc", "sys"])?)
}

fn covered_root_is_made_read_only(context: &Context) -> Outcome {
    let probe = context.probe.to_string_lossy().into_owned();
    let done = edit::run(context, &["create", "/new", "x"], |config| {
        tmpfs(config, &probe, &[]);
        config["root"]["readonly"] = json!(true);
    })?;
    Ok(same("the errno", done.failure()?.stdout.trim(), "EROFS")?)
}

fn copy_of_the_root_covers_it(context: &Context) -> Outcome {
    let bundle = context.bundle(|config| {
        first(config, "tmpfs", "tmpfs", &["tmpcopyup"]);
        edit::deeds(config, &["create", "/new", "x", "+", "stat", "/etc"]);
    })?;
    let done = context.run_bundle(&bundle)?.success()?;
    same("a directory that was copied", done.stdout.contains("\"type\":\"d\""), true)?;
    Ok(same("the file in the rootfs", bundle.rootfs.join("new").exists(), false)?)
}

fn root_is_covered_without_openat2_and_without_pivot(context: &Context) -> Outcome {
    let other = other_root(context)?;
    let bundle = context.bundle(|config| {
        first(config, "bind", &other, &["bind"]);
        edit::deeds(config, &["cat", "/other"]);
    })?;
    let old = context.hiding(libc::ENOSYS, &[libc::SYS_openat2])?;
    for done in [context.run_bundle_with(&bundle, &["--no-pivot"])?, old.run_bundle(&bundle)?] {
        same("the file of the other root", done.success()?.stdout.as_str(), "the other")?;
    }
    Ok(())
}

fn dots_in_a_destination_end_at_the_root(context: &Context) -> Outcome {
    for (path, point) in [("/../../a", "/a"), ("/tmp/../../b", "/b"), ("../c/./", "/c")] {
        let report = context.report(|config| mount(config, "tmpfs", "tmpfs", path, &[]))?;
        same(path, mount_at(&report, point)?["type"].as_str(), Some("tmpfs"))?;
    }
    // Dots do not help to mount inside /proc.
    for path in ["/tmp/../proc/self", "../proc/1/../2"] {
        let words = ["mounts[6].destination", "/proc/"];
        edit::refused(context, &words, |c| bind(c, "/proc/version", path, &["bind"]))?;
    }
    Ok(())
}

fn dots_in_the_working_directory_end_at_the_root(context: &Context) -> Outcome {
    for (cwd, wanted) in [("/tmp/../..", "/"), ("/../new/./x/..", "/new"), ("/tmp/", "/tmp")] {
        let report = context.report(|config| config["process"]["cwd"] = json!(cwd))?;
        same(cwd, report["cwd"].as_str(), Some(wanted))?;
    }
    let container = Container::start(context, &["sleep", "60"], |_| {})?;
    let report = container.exec(&["--cwd", "/tmp/../../etc"], &["report"])?.success()?.json()?;
    Ok(same("the directory of an exec", report["cwd"].as_str(), Some("/etc"))?)
}

fn slash_after_a_file_is_ignored(context: &Context) -> Outcome {
    let text = edit::said(context, &["cat", "/etc/version"], |config| {
        bind(config, "/proc/version", "/etc/version/", &["bind"]);
    })?;
    Ok(same("the file", text.starts_with("Linux version"), true)?)
}

fn commas_separate_mount_options(context: &Context) -> Outcome {
    let source = context.directory.to_string_lossy().into_owned();
    let report = context.report(|config| {
        mount(config, "tmpfs", "tmpfs", "/a", &["nosuid,nodev,,size=64k", "mode=0710,noexec"]);
        bind(config, &source, "/b", &["rbind,ro"]);
    })?;
    let options = &mount_at(&report, "/a")?["options"];
    for word in ["nosuid", "nodev", "noexec"] {
        same(word, has(options, word), true)?;
    }
    same("ro", has(&mount_at(&report, "/b")?["options"], "ro"), true)?;
    let stat = edit::said(context, &["stat", "/a"], |config| {
        mount(config, "tmpfs", "tmpfs", "/a", &["size=64k,mode=0710"]);
    })?;
    Ok(same("the mode", stat.contains("0710"), true)?)
}

fn fips_enabled_may_be_bound_over(context: &Context) -> Outcome {
    let path = "/proc/sys/crypto/fips_enabled";
    if !fs::exists(path).unwrap_or(false) {
        return Err(crate::runner::Failure::Skipped("CONFIG_CRYPTO_FIPS".into()));
    }
    let file = context.directory.join("fips");
    fs::write(&file, "1\n").map_err(|e| e.to_string())?;
    let text = edit::said(context, &["cat", path], |config| {
        bind(config, &file.to_string_lossy(), path, &["bind", "ro"]);
    })?;
    Ok(same("the file", text.as_str(), "1")?)
}

/// Without pivot_root vial unmounts the host's sysfs in the container's mount namespace.
/// If one remained visible, a user namespace could mount its own.
fn hosts_sysfs_is_hidden_beside_any_other_mount(context: &Context) -> Outcome {
    let place = context.directory.join(OsStr::from_bytes(b"odd \xff\n\\#"));
    fs::create_dir(&place).map_err(|e| e.to_string())?;
    rustix::mount::mount("odd", &place, "sysfs", MountFlags::empty(), None)
        .map_err(|e| e.to_string())?;
    let _odd = Mounted(place); // Its path is not UTF-8.
    let (unshare, mount) = (libc::SYS_unshare.to_string(), libc::SYS_mount.to_string());
    // New user, mount and network namespaces, and a sysfs for the last.
    let words = ["call", &unshare, "0x50020000", "+"];
    let mounting = ["call", &mount, ":x", ":/tmp", ":sysfs", "0", "0"];
    let bundle = context.bundle(|config| {
        edit::deeds(config, &[&words[..], &mounting[..]].concat());
        edit::without_mounts(config, "/sys");
    })?;
    let done = context.run_bundle_with(&bundle, &["--no-pivot"])?;
    Ok(same("unshare and mount", done.stdout.as_str(), "0\nEPERM\n")?)
}
