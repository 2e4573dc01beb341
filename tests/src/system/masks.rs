//! Masked paths: their covers are read-only, and no inodes of the host.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_json::{Value, json};

use super::edit::{self, has};
use super::fallbacks::{hidden_with, without};
use crate::bundle::Bundle;
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "masks",
    cover_is_read_only_and_not_the_hosts[Root],
    cover_is_the_same_in_a_user_namespace[Root, UserNamespaces],
    cover_is_the_same_without_newer_calls[Root],
    masked_file_and_directory_are_empty[Root],
    path_masked_twice_has_one_cover[Root],
    every_user_may_read_a_masked_path[Root],
    changes_to_masked_paths_and_devices_do_not_reach_the_host[Root, Machine],
);

/// A bundle with a secret file and a secret directory, both masked besides the default.
fn bundle(context: &Context, edit: impl FnOnce(&mut Value)) -> Result<Bundle, String> {
    let bundle = context.bundle(|config| {
        edit::add(&mut config["linux"]["maskedPaths"], json!("/etc/secret"));
        edit::add(&mut config["linux"]["maskedPaths"], json!("/etc/secrets"));
        edit(config);
    })?;
    fs::create_dir(bundle.rootfs.join("etc/secrets")).map_err(|e| e.to_string())?;
    for path in ["etc/secret", "etc/secrets/file"] {
        fs::write(bundle.rootfs.join(path), "a secret").map_err(|e| e.to_string())?;
    }
    Ok(bundle)
}

/// The mounts of a report at `point`.
fn at<'a>(report: &'a Value, point: &str) -> Vec<&'a Value> {
    let mounts = report["mounts"].as_array().into_iter().flatten();
    mounts.filter(|mount| mount["point"] == point).collect()
}

/// Checks that each masked path has one read-only mount, and that one file system,
/// which the host has not mounted, covers all of them.
fn check(report: &Value) -> Result<(), String> {
    let host = fs::read_to_string("/proc/self/mountinfo").map_err(|e| e.to_string())?;
    let masked: Vec<String> = crate::bundle::base_config()["linux"]["maskedPaths"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|path| path.as_str().map(str::to_owned))
        .filter(|path| Path::new(path).exists())
        .chain(["/etc/secret".to_owned(), "/etc/secrets".to_owned()])
        .collect();
    let mut devices = Vec::new();
    for path in &masked {
        let mounts = at(report, path);
        let [mount] = mounts[..] else {
            return Err(format!("{path} has these mounts: {mounts:?}"));
        };
        for option in ["ro", "nosuid", "nodev", "noexec"] {
            same(&format!("{option} of {path}"), has(&mount["options"], option), true)?;
        }
        let device = mount["device"].as_str().unwrap_or_default().to_owned();
        let on_host = host.lines().any(|line| line.split(' ').nth(2) == Some(&device));
        same(&format!("whether the host has mounted what covers {path}"), on_host, false)?;
        devices.push(device);
    }
    devices.dedup();
    same("the number of file systems that cover masked paths", devices.len(), 1)
}

fn cover_is_read_only_and_not_the_hosts(context: &Context) -> Outcome {
    Ok(check(&edit::report_of(context, &bundle(context, |_| {})?)?)?)
}

fn cover_is_the_same_in_a_user_namespace(context: &Context) -> Outcome {
    let bundle = bundle(context, |config| edit::user_namespace(config, 100_000))?;
    Ok(check(&edit::report_of(context, &bundle)?)?)
}

fn cover_is_the_same_without_newer_calls(context: &Context) -> Outcome {
    for errno in [libc::ENOSYS, libc::EPERM] {
        for (name, call) in hidden_with(errno) {
            let bundle = bundle(context, |_| {})?;
            let done = without(context, &[*call], errno, "run", &bundle, &context.id())?;
            let done = done.success().map_err(|why| format!("{name} answers {errno}: {why}"))?;
            let report = done.json()?;
            check(&report).map_err(|why| format!("{name} answers {errno}: {why}"))?;
        }
    }
    Ok(())
}

fn masked_file_and_directory_are_empty(context: &Context) -> Outcome {
    for (words, wanted) in [
        (&["cat", "/etc/secret", "+", "ls", "/etc/secrets", "+", "echo", "end"][..], "end"),
        (&["write", "/etc/secret", "x"], "EROFS"),
        (&["create", "/etc/secrets/x", ""], "EROFS"),
    ] {
        let done = context.run_bundle(&bundle(context, |config| edit::deeds(config, words))?)?;
        same(&format!("what {words:?} printed"), done.stdout.trim(), wanted)?;
    }
    Ok(())
}

/// Listed twice, by two spellings and by a link.
fn path_masked_twice_has_one_cover(context: &Context) -> Outcome {
    let bundle = bundle(context, |config| {
        let paths = ["/etc/secret", "/etc/./secret", "/etc/secrets", "/etc/link", "/proc/kcore"];
        for path in paths {
            edit::add(&mut config["linux"]["maskedPaths"], json!(path));
        }
    })?;
    let link = bundle.rootfs.join("etc/link");
    std::os::unix::fs::symlink("secrets", link).map_err(|e| e.to_string())?;
    Ok(check(&edit::report_of(context, &bundle)?)?)
}

fn every_user_may_read_a_masked_path(context: &Context) -> Outcome {
    let done = context.run_bundle(&bundle(context, |config| {
        config["process"]["user"] = json!({ "uid": 1234, "gid": 1234 });
        config["process"]["capabilities"] = json!({});
        edit::deeds(config, &["cat", "/etc/secret", "+", "ls", "/etc/secrets"]);
    })?)?;
    Ok(same("what was read", done.success()?.stdout.as_str(), "")?)
}

/// The masks used to be binds of the host's /dev/null.
fn changes_to_masked_paths_and_devices_do_not_reach_the_host(context: &Context) -> Outcome {
    let host = || -> Result<Vec<String>, String> {
        let names = ["null", "zero", "full", "random", "urandom", "tty", "console", "ptmx"];
        let each = names.iter().map(|name| {
            let path = format!("/dev/{name}");
            let seen = fs::symlink_metadata(&path).map_err(|e| format!("{path}: {e}"))?;
            let words = (seen.mode(), seen.uid(), seen.gid(), seen.ctime(), seen.ctime_nsec());
            Ok(format!("{path}: {words:?}"))
        });
        each.collect()
    };
    let devices = ["null", "zero", "full", "random", "urandom", "tty", "ptmx", "console"];
    let masked = crate::bundle::base_config()["linux"]["maskedPaths"].clone();
    let mut words = vec!["spoil".to_owned(), "/etc/secret".to_owned()];
    words
        .extend(masked.as_array().into_iter().flatten().filter_map(|p| p.as_str()).map(Into::into));
    words.extend(devices.iter().map(|name| format!("/dev/{name}")));
    let before = host()?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = context.run_bundle(&bundle(context, |config| {
        edit::deeds(config, &words);
        edit::capabilities(config, &["CAP_CHOWN", "CAP_FOWNER", "CAP_DAC_OVERRIDE"]);
    })?)?;
    let done = done.success()?;
    for path in ["/etc/secret", "/proc/kcore", "/proc/timer_list"] {
        let line = done.stdout.lines().find(|line| line.starts_with(path)).unwrap_or_default();
        same("the errnos of the calls", line, &*format!("{path} EROFS EROFS EROFS"))?;
    }
    same("/dev/null inside", done.stdout.contains("/dev/null ok ok ok"), true)?;
    Ok(same("the host's devices", host()?, before)?)
}
