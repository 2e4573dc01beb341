//! Devices where mknod(2) is not permitted: in user namespaces, and without
//! CAP_MKNOD.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use serde_json::{Value, json};

use super::edit::{self, Container, has, mount_at};
use super::userns::{NOBODY, bundle, own, rootless, run_as_nobody};
use crate::bundle::Bundle;
use crate::context::{Done, same};
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "device_binds",
    device_that_the_host_lacks_is_made [Root, UserNamespaces],
    default_devices_are_the_containers_own [Root, UserNamespaces],
    link_at_a_bound_devices_path_is_refused [Root, UserNamespaces],
    hosts_devices_do_not_change_with_all_ids_mapped [Root, UserNamespaces, Machine],
    hosts_devices_are_bound_without_mknod [Root],
    hosts_devices_do_not_change_without_mknod [Root, Machine],
    device_that_can_be_neither_made_nor_bound_is_reported [Root],
    ordinary_user_gets_the_hosts_device_or_an_error [Root, UserNamespaces],
);

/// Adds a character device that exists on no machine: /dev/zero's numbers under
/// another name.
fn device(config: &mut Value) {
    config["linux"]["devices"] = json!([{
        "path": "/dev/deep/odd", "type": "c", "major": 1, "minor": 5,
        "fileMode": 0o640, "uid": 7, "gid": 8
    }]);
    let allow = json!({ "allow": true, "type": "c", "major": 1, "minor": 5, "access": "rwm" });
    edit::add(&mut config["linux"]["resources"]["devices"], allow);
}

fn device_that_the_host_lacks_is_made(context: &Context) -> Outcome {
    let words = ["stat", "/dev/deep/odd", "+", "open-device", "/dev/deep/odd", "rw"];
    let made = |context: &Context, edit: &dyn Fn(&mut Value)| {
        let bundle = bundle(context, |config| {
            device(config);
            edit::deeds(config, &words);
            edit::capabilities(config, &["CAP_DAC_OVERRIDE"]);
            edit(config);
        })?;
        context.run_bundle(&bundle)?.success().map(|done| done.stdout)
    };
    let other = Container::create(context, bundle(context, |_| {})?)?;
    let join = |config: &mut Value| {
        edit::join(config, "user", &other.namespace("user"));
        edit::without_maps(config);
    };
    for said in [made(context, &|_| {})?, made(context, &join)?] {
        let (stat, opened) = said.trim_end().rsplit_once('\n').ok_or("two lines")?;
        let stat: Value = serde_json::from_str(stat).map_err(|e| e.to_string())?;
        same("opened", opened, "opened")?;
        same("the type", stat["type"].as_str(), Some("c"))?;
        same("the device", stat["device"].as_str(), Some("1:5"))?;
        same("the mode", stat["mode"].as_str(), Some("0640"))?;
        same("the owner", (&stat["uid"], &stat["gid"]), (&json!(7), &json!(8)))?;
    }
    same("whether it exists on the host", fs::exists("/dev/deep").unwrap_or(true), false)?;
    let mounts = fs::read("/proc/self/mountinfo").map_err(|e| e.to_string())?;
    let mounts = String::from_utf8_lossy(&mounts);
    Ok(same("a mount of it on the host", mounts.contains("vial-node"), false)?)
}

const DEFAULT: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

fn default_devices_are_the_containers_own(context: &Context) -> Outcome {
    let mut words = Vec::new();
    for name in DEFAULT {
        words.extend(["chmod", "600", name, "+", "stat", name, "+"]);
    }
    let words: Vec<String> = words
        .into_iter()
        .map(|word| if DEFAULT.contains(&word) { format!("/dev/{word}") } else { word.to_owned() })
        .collect();
    let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
    words.extend(["write", "/dev/null", "x"]);
    let report = edit::report_of(context, &bundle(context, |_| {})?)?;
    for name in DEFAULT {
        let mount = mount_at(&report, &format!("/dev/{name}"))?;
        for flag in ["nosuid", "noexec"] {
            same(&format!("{flag} of {name}"), has(&mount["options"], flag), true)?;
        }
    }
    let bundle = bundle(context, |config| edit::deeds(config, &words))?;
    let done = context.run_bundle(&bundle)?.success()?;
    // The container may change its own inodes. The host's stay as they were.
    same("the number", done.stdout.matches("\"mode\":\"0600\"").count(), DEFAULT.len())?;
    for name in DEFAULT {
        let mode = fs::metadata(format!("/dev/{name}")).map_err(|e| e.to_string())?.mode();
        same(name, mode & 0o777, 0o666)?;
    }
    Ok(())
}

fn link_at_a_bound_devices_path_is_refused(context: &Context) -> Outcome {
    let bundle = bundle(context, |config| {
        // Removes the mount on /dev, so that the image's /dev/null is used.
        edit::without_mounts(config, "/dev");
    })?;
    let target = bundle.rootfs.join("etc/target");
    fs::write(&target, "of the image").map_err(|e| e.to_string())?;
    symlink("/etc/target", bundle.rootfs.join("dev/null")).map_err(|e| e.to_string())?;
    edit::refused_bundle(context, &bundle, &["bind device /dev/null", "ELOOP"]).map_err(Into::into)
}

/// Runs `edit`, and fails if one of the host's devices has changed.
fn unchanged(edit: impl FnOnce() -> Result<(), String>) -> Outcome {
    let look = || -> Result<Vec<_>, String> {
        let stat = |name: &&str| fs::metadata(format!("/dev/{name}")).map_err(|e| e.to_string());
        let seen = DEFAULT.iter().map(stat).collect::<Result<Vec<_>, _>>()?;
        Ok(seen.iter().map(|m| (m.mode(), m.uid(), m.gid(), m.mtime())).collect())
    };
    let before = look()?;
    edit()?;
    Ok(same("the devices of the host", look()?, before)?)
}

fn hosts_devices_do_not_change_with_all_ids_mapped(context: &Context) -> Outcome {
    unchanged(|| {
        for name in DEFAULT {
            let path = format!("/dev/{name}");
            let words = ["chmod", "600", &path, "+", "chown", "1", "1", &path];
            let done = edit::run(context, &words, |config| {
                edit::namespace(config, "user");
                edit::capabilities(config, &["CAP_SYS_ADMIN", "CAP_CHOWN", "CAP_FOWNER"]);
            })?;
            done.success()?;
        }
        Ok(())
    })
}

/// Runs a bundle by a vial without CAP_MKNOD, as inside another container.
pub(super) fn without_mknod(context: &Context, bundle: &Bundle) -> Result<Done, String> {
    let mut command = context.command_as("without:27", &["run", "--bundle"]);
    Ok(context.run(command.arg(&bundle.path).arg(context.id()))?)
}

fn hosts_devices_are_bound_without_mknod(context: &Context) -> Outcome {
    let report = without_mknod(context, &context.bundle(|_| {})?)?.success()?.json()?;
    for (name, number) in [("null", "1:3"), ("zero", "1:5"), ("tty", "5:0"), ("full", "1:7")] {
        same(name, report["dev"][name]["device"].as_str(), Some(number))?;
        let mount = mount_at(&report, &format!("/dev/{name}"))?;
        for flag in ["ro", "nosuid", "noexec"] {
            same(flag, has(&mount["options"], flag), true)?;
        }
    }
    let words = ["write", "/dev/null", "x", "+", "create", "/dev/null", "x", "+"];
    let words = [&words[..], &["open-device", "/dev/zero", "rw"]].concat();
    let plain = context.bundle(|config| edit::deeds(config, &words))?;
    let done = without_mknod(context, &plain)?.success()?;
    same("what was opened", done.stdout.as_str(), "opened\n")?;
    // The same in a user namespace.
    let mapped = bundle(context, |config| edit::deeds(config, &words))?;
    let done = without_mknod(context, &mapped)?.success()?;
    Ok(same("what was opened", done.stdout.as_str(), "opened\n")?)
}

fn hosts_devices_do_not_change_without_mknod(context: &Context) -> Outcome {
    unchanged(|| {
        for name in DEFAULT {
            let path = format!("/dev/{name}");
            for words in [&["chmod", "600", &path][..], &["chown", "1", "1", &path]] {
                let bundle = context.bundle(|config| {
                    edit::deeds(config, words);
                    edit::capabilities(config, &["CAP_CHOWN", "CAP_FOWNER"]);
                })?;
                let done = without_mknod(context, &bundle)?.failure()?;
                same(&path, done.stdout.trim(), "EROFS")?;
            }
        }
        Ok(())
    })
}

fn device_that_can_be_neither_made_nor_bound_is_reported(context: &Context) -> Outcome {
    let done = without_mknod(context, &context.bundle(device)?)?;
    edit::one_sentence(&done)?;
    for word in ["linux.devices[0]", "/dev/deep/odd", "ENOENT"] {
        same(word, done.stderr.contains(word), true).map_err(|why| format!("{why}: {done}"))?;
    }
    // A file that exists, but is another device.
    let other = context.bundle(|config| {
        device(config);
        config["linux"]["devices"][0]["path"] = json!("/dev/null");
    })?;
    let done = without_mknod(context, &other)?;
    edit::one_sentence(&done)?;
    Ok(same("the field", done.stderr.contains("linux.devices[0]"), true)?)
}

fn ordinary_user_gets_the_hosts_device_or_an_error(context: &Context) -> Outcome {
    let bundle = context.bundle(|config| {
        rootless(config);
        edit::deeds(config, &["write", "/dev/null", "x", "+", "stat", "/dev/null"]);
    })?;
    own(&bundle, NOBODY)?;
    let done = run_as_nobody(context, &bundle)?.success()?;
    same("the device", done.stdout.contains("\"1:3\""), true)?;
    let bundle = context.bundle(|config| {
        rootless(config);
        config["linux"]["resources"] = json!({});
        device(config);
        config["linux"].as_object_mut().map(|linux| linux.remove("resources"));
    })?;
    own(&bundle, NOBODY)?;
    let done = run_as_nobody(context, &bundle)?.failure()?;
    edit::one_sentence(&done)?;
    Ok(same("the field", done.stderr.contains("linux.devices[0]"), true)?)
}
