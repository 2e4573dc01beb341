//! Limits, and the container's cgroup.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::container::cgroup_of;
use super::edit::{self, Container, show_cgroup};
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "cgroup",
    limits_are_in_the_files_of_the_cgroup [Root, Cgroup2],
    unified_values_are_written_as_they_are [Root, Cgroup2],
    unified_value_is_written_line_by_line [Root, Cgroup2],
    missing_cgroup_file_is_refused_with_its_field [Root, Cgroup2],
    fork_bomb_stops_at_the_limit [Root, Cgroup2],
    memory_beyond_the_limit_kills [Root, Cgroup2],
    limit_too_low_for_vial_init_is_reported [Root, Cgroup2],
    absolute_path_starts_at_the_root_cgroup [Root, Cgroup2],
    controllers_are_enabled_in_every_parent [Root, Cgroup2],
    cgroup_is_removed_with_its_container [Root, Cgroup2],
    empty_cgroup_is_used_and_a_populated_one_refused [Root, Cgroup2],
    unlisted_device_is_refused[Root],
    listed_device_is_opened[Root],
    default_devices_are_opened [Root],
    all_processes_end_with_a_container_without_a_pid_namespace [Root, Cgroup2],
);

const ROOT: &str = "/sys/fs/cgroup";

fn limited(context: &Context, resources: &Value) -> Result<Value, String> {
    context.report(|config| {
        show_cgroup(config, &["ro"]);
        if let (Some(all), Some(more)) =
            (config["linux"]["resources"].as_object_mut(), resources.as_object())
        {
            all.extend(more.clone());
        }
    })
}

fn limits_are_in_the_files_of_the_cgroup(context: &Context) -> Outcome {
    let report = limited(
        context,
        &json!({
            "memory": { "limit": 64 << 20, "swap": 96 << 20, "reservation": 32 << 20 },
            "cpu": { "shares": 1024, "quota": 50_000, "period": 200_000, "cpus": "0", "mems": "0" },
            "pids": { "limit": 77 },
        }),
    )?;
    for (file, value) in [
        ("memory.max", "67108864"),
        ("memory.low", "33554432"),
        ("memory.swap.max", "33554432"),
        ("cpu.max", "50000 200000"),
        ("cpu.weight", "100"),
        ("cpuset.cpus", "0"),
        ("pids.max", "77"),
    ] {
        let seen = report["cgroup_files"][file].as_str();
        if file == "memory.swap.max" && seen.is_none() {
            continue; // A kernel without CONFIG_SWAP.
        }
        same(file, seen, Some(value))?;
    }
    Ok(same("affinity", report["affinity"].as_str(), Some("0"))?)
}

fn unified_values_are_written_as_they_are(context: &Context) -> Outcome {
    let unified = json!({ "memory.high": "50331648", "cgroup.max.depth": "3", "pids.max": "12" });
    let report = limited(context, &json!({ "unified": unified }))?;
    same("memory.high", report["cgroup_files"]["memory.high"].as_str(), Some("50331648"))?;
    Ok(same("pids.max", report["cgroup_files"]["pids.max"].as_str(), Some("12"))?)
}

/// io.max and others take one line a write. So does this file, which needs no device.
fn unified_value_is_written_line_by_line(context: &Context) -> Outcome {
    let words = ["cat", "/sys/fs/cgroup/cgroup.subtree_control"];
    let said = edit::said(context, &words, |config| {
        show_cgroup(config, &["ro"]);
        config["linux"]["resources"]["unified"] =
            json!({ "cgroup.subtree_control": "+pids\n+cpu\n" });
    })?;
    Ok(same("the controllers", said.trim(), "cpu pids")?)
}

fn missing_cgroup_file_is_refused_with_its_field(context: &Context) -> Outcome {
    for file in ["memory.no_such", "nosuch.max", "../memory.max", "cgroup.procs/../x"] {
        let field = format!("linux.resources.unified.{file}");
        edit::refused(context, &[&field], |config| {
            config["linux"]["resources"]["unified"] = json!({ file: "1" });
        })?;
    }
    Ok(())
}

fn fork_bomb_stops_at_the_limit(context: &Context) -> Outcome {
    let said = edit::said(context, &["fork", "100"], |config| {
        config["linux"]["resources"]["pids"] = json!({ "limit": 10 });
    })?;
    // The limit of ten includes the first process.
    Ok(same("the children", said.as_str(), "9 EAGAIN")?)
}

fn memory_beyond_the_limit_kills(context: &Context) -> Outcome {
    let done = edit::run(context, &["allocate", "200"], |config| {
        config["linux"]["resources"]["memory"] = json!({ "limit": 32 << 20, "swap": 32 << 20 });
    })?;
    same("the code", done.code, 137)?;
    let last: u32 = done.stdout.lines().last().and_then(|n| n.parse().ok()).unwrap_or_default();
    Ok(same(
        &format!("whether {last} MiB are between 8 and the limit"),
        (8..=32).contains(&last),
        true,
    )?)
}

fn limit_too_low_for_vial_init_is_reported(context: &Context) -> Outcome {
    Ok(edit::refused(context, &["memory.limit"], |config| {
        config["linux"]["resources"]["memory"] = json!({ "limit": 4096, "swap": 4096 });
    })?)
}

fn absolute_path_starts_at_the_root_cgroup(context: &Context) -> Outcome {
    let path = format!("/{}/below/it", context.tag);
    let container = Container::start(context, &["sleep", "60"], |config| {
        config["linux"]["cgroupsPath"] = json!(path);
    })?;
    let seen = cgroup_of(container.pid)?;
    same("the cgroup", seen, PathBuf::from(format!("{ROOT}{path}")))?;
    drop(container);
    remove_parents(context);
    Ok(())
}

/// Removes the parents of a cgroupsPath, which vial leaves, as other runtimes do.
fn remove_parents(context: &Context) {
    let top = Path::new(ROOT).join(&context.tag);
    let _ = fs::remove_dir(top.join("below")); // Gone if the runtime removed it.
    let _ = fs::remove_dir(top);
}

fn controllers_are_enabled_in_every_parent(context: &Context) -> Outcome {
    let path = format!("/{}/below/it", context.tag);
    let container = Container::start(context, &["sleep", "60"], |config| {
        config["linux"]["cgroupsPath"] = json!(path);
        config["linux"]["resources"]["pids"] = json!({ "limit": 5 });
    })?;
    for parent in [format!("{ROOT}/{}", context.tag), format!("{ROOT}/{}/below", context.tag)] {
        let file = format!("{parent}/cgroup.subtree_control");
        let enabled = fs::read_to_string(&file).map_err(|e| e.to_string())?;
        for name in ["cpu", "memory", "pids"] {
            let there = enabled.split_whitespace().any(|word| word == name);
            same(&format!("{name} in {file}"), there, true)?;
        }
    }
    drop(container);
    remove_parents(context);
    Ok(())
}

fn cgroup_is_removed_with_its_container(context: &Context) -> Outcome {
    let container = Container::start(context, &["fork", "3", "+", "sleep", "60"], |config| {
        edit::namespace(config, "cgroup");
    })?;
    let cgroup = cgroup_of(container.pid)?;
    same("whether it exists", cgroup.is_dir(), true)?;
    // A cgroup below it, as systemd in a container creates one.
    fs::create_dir(cgroup.join("below")).map_err(|e| e.to_string())?;
    drop(container);
    Ok(same("whether it exists", cgroup.exists(), false)?)
}

fn empty_cgroup_is_used_and_a_populated_one_refused(context: &Context) -> Outcome {
    let path = format!("/{}-shared", context.tag);
    let directory = PathBuf::from(format!("{ROOT}{path}"));
    fs::create_dir(&directory).map_err(|e| e.to_string())?;
    let at = |config: &mut Value| {
        config["linux"]["cgroupsPath"] = json!(path);
        edit::deeds(config, &["sleep", "60"]);
    };
    let container = Container::start(context, &["sleep", "60"], at)?;
    same("the cgroup", cgroup_of(container.pid)?, directory.clone())?;
    let second = context.run_bundle(&context.bundle(at)?)?.failure()?;
    edit::one_sentence(&second)?;
    same("the cgroup of the first container", cgroup_of(container.pid)?, directory)
        .map_err(|why| format!("{why} after {second}"))?;
    Ok(())
}

/// Adds /dev/kmsg, which is 1:11 on every kernel and not a default device. It is opened
/// for writing, as reading may need CAP_SYSLOG.
fn kmsg(config: &mut Value, rules: &Value) {
    let device = json!({ "type": "c", "path": "/dev/kmsg", "major": 1, "minor": 11 });
    edit::add(&mut config["linux"]["devices"], device);
    config["linux"]["resources"]["devices"] = rules.clone();
    edit::deeds(config, &["open-device", "/dev/kmsg", "w"]);
}

/// GHSA-g54h-m393-cpwq: an empty or missing list denied nothing.
fn unlisted_device_is_refused(context: &Context) -> Outcome {
    let deny = json!({ "allow": false, "access": "rwm" });
    let read = json!({ "allow": true, "type": "c", "major": 1, "minor": 11, "access": "r" });
    let again = json!({ "allow": false, "type": "c", "major": 1, "minor": 11, "access": "rwm" });
    let open = json!({ "allow": true, "type": "c", "major": 1, "minor": 11, "access": "rwm" });
    for rules in [json!([deny]), json!([]), json!([deny, read]), json!([deny, open, again])] {
        let bundle = context.bundle(|config| kmsg(config, &rules))?;
        let done = context.run_bundle(&bundle)?.failure()?;
        same(&rules.to_string(), done.stdout.trim(), "EPERM")?;
    }
    let bundle = context.bundle(|config| {
        kmsg(config, &json!([]));
        config["linux"].as_object_mut().map(|linux| linux.remove("resources"));
    })?;
    let done = context.run_bundle(&bundle)?.failure()?;
    Ok(same("no resources", done.stdout.trim(), "EPERM")?)
}

fn listed_device_is_opened(context: &Context) -> Outcome {
    let deny = json!({ "allow": false, "access": "rwm" });
    for rule in [
        json!({ "allow": true, "type": "c", "major": 1, "minor": 11, "access": "w" }),
        json!({ "allow": true, "type": "c", "major": 1, "access": "rw" }),
        json!({ "allow": true, "type": "a", "access": "rwm" }),
        json!({ "allow": true, "access": "rwm" }),
    ] {
        let bundle = context.bundle(|config| kmsg(config, &json!([deny, rule])))?;
        let done = context.run_bundle(&bundle)?;
        same(&format!("{rule}: {done}"), done.stdout.trim(), "opened")?;
    }
    Ok(())
}

fn default_devices_are_opened(context: &Context) -> Outcome {
    for name in ["null", "zero", "full", "random", "urandom"] {
        let path = format!("/dev/{name}");
        let said = edit::said(context, &["open-device", &path, "rw"], |_| {})?;
        same(&path, said.as_str(), "opened")?;
    }
    Ok(())
}

fn all_processes_end_with_a_container_without_a_pid_namespace(context: &Context) -> Outcome {
    let before = context.leftovers();
    let container = Container::start(context, &["fork", "4", "+", "sleep", "60"], |config| {
        edit::without_namespace(config, "pid");
    })?;
    let cgroup = cgroup_of(container.pid)?;
    for _ in 0..500 {
        let procs = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
        if procs.lines().count() == 5 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    drop(container);
    Ok(context.nothing_left_since(&before)?)
}
