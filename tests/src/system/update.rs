//! update: new limits for a running container.

use std::fs;
use std::io::{Write, pipe};

use serde_json::{Value, json};

use super::container::{
    Container, cgroup_of, has_controller, needs_memory, refused, v1_cgroup_of, v1_root, words,
};
use super::edit;
use crate::context::{Done, same};
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "update",
    flags_change_the_files_of_the_cgroup [Root, Cgroup2],
    flags_change_the_files_of_v1 [Root, CgroupV1],
    limits_may_be_json [Root],
    what_is_not_set_stays [Root, Cgroup2],
    period_and_quota_stay_in_v1 [Root, CgroupV1],
    failed_update_changes_nothing [Root],
    devices_are_replaced [Root],
    created_and_paused_containers_are_updated [Root],
    limits_below_the_usage_are_refused_on_request [Root],
    wrong_limits_are_refused [Root],
    stopped_and_unknown_containers_are_refused [Root],
    container_without_a_cgroup_is_refused [Root],
);

fn sleeping<'a>(
    context: &'a Context,
    also: impl FnOnce(&mut Value),
) -> Result<Container<'a>, String> {
    let container = Container::created_from(context, |config| {
        edit::deeds(config, &["sleep", "3600"]);
        also(config);
    })?;
    container.vial("start", &[])?.success()?;
    Ok(container)
}

/// vial update OPTIONS ID
fn update(container: &Container<'_>, options: &[&str]) -> Result<Done, String> {
    let words: Vec<&str> =
        ["update"].into_iter().chain(options.iter().copied()).chain([&*container.id]).collect();
    Ok(container.context.vial(&words)?)
}

/// The same with this text on its standard input.
fn update_from(container: &Container<'_>, options: &[&str], text: &str) -> Result<Done, String> {
    let mut command = container.context.command(&["update"]);
    let (input, mut end) = pipe().map_err(words)?;
    end.write_all(text.as_bytes()).map_err(words)?;
    drop(end);
    Ok(container.context.run_with(command.args(options).arg(&container.id), input.into())?)
}

/// What a file of the container's cgroup holds, wherever its controller is.
fn value(container: &Container<'_>, file: &str) -> Result<String, String> {
    let controller = file.split('.').next().unwrap_or_default();
    let pid = container.pid()?;
    let cgroup = match v1_root(controller) {
        Some(_) => v1_cgroup_of(pid, controller)?,
        None => cgroup_of(pid)?,
    };
    let path = cgroup.join(file);
    let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(text.trim().to_owned())
}

fn same_files(container: &Container<'_>, files: &[(&str, &str)]) -> Result<(), String> {
    files.iter().try_for_each(|(file, wanted)| same(file, &*value(container, file)?, *wanted))
}

fn flags_change_the_files_of_the_cgroup(context: &Context) -> Outcome {
    let container = sleeping(context, |_| {})?;
    let options = [
        "--memory=64M",
        "--memory-reservation",
        "32m",
        "--cpu-quota=50000",
        "--cpu-period=200000",
        "--cpu-share=2048",
        "--cpuset-cpus=0",
        "--cpuset-mems=0",
        "--pids-limit",
        "77",
    ];
    let done = update(&container, &options)?.success()?;
    same("what it printed", (&*done.stdout, &*done.stderr), ("", ""))?;
    let files = [
        ("memory.max", "67108864"),
        ("memory.low", "33554432"),
        ("cpu.max", "50000 200000"),
        ("cpu.weight", "174"),
        ("cpuset.cpus", "0"),
        ("cpuset.mems", "0"),
        ("pids.max", "77"),
    ];
    same_files(&container, &files)?;
    update(&container, &["--memory=-1", "--cpu-quota=-1", "--pids-limit=-1"])?.success()?;
    let files = [("memory.max", "max"), ("cpu.max", "max 200000"), ("pids.max", "max")];
    same_files(&container, &files)?;
    Ok(container.remove()?)
}

fn flags_change_the_files_of_v1(context: &Context) -> Outcome {
    let container = sleeping(context, |config| {
        config["linux"]["resources"]["memory"] = json!({ "limit": 32 << 20 });
    })?;
    let options = [
        "--memory=64M",
        "--memory-reservation=32M",
        "--cpu-quota=50000",
        "--cpu-period=200000",
        "--cpu-share=2048",
        "--cpuset-cpus=0",
        "--pids-limit=77",
    ];
    update(&container, &options)?.success()?;
    let files = [
        ("memory.limit_in_bytes", "67108864"),
        ("memory.soft_limit_in_bytes", "33554432"),
        ("cpu.cfs_quota_us", "50000"),
        ("cpu.cfs_period_us", "200000"),
        ("cpu.shares", "2048"),
        ("cpuset.cpus", "0"),
        ("pids.max", "77"),
    ];
    same_files(&container, &files)?;
    Ok(container.remove()?)
}

/// As containerd, CRI-O and podman pass them.
fn limits_may_be_json(context: &Context) -> Outcome {
    let container = sleeping(context, |_| {})?;
    let limited = |limit: u32| json!({ "pids": { "limit": limit }, "cpu": null }).to_string();
    let check = |limit: &str| match value(&container, "pids.max") {
        Ok(seen) => same("pids.max", seen.as_str(), limit),
        Err(_) => Ok(()), // The hierarchy has no controllers.
    };
    let file = context.directory.join("resources");
    fs::write(&file, limited(5)).map_err(words)?;
    let has_limit = value(&container, "pids.max").is_ok();
    let also = |done: Done| match has_limit {
        true => done.success().map(|_| ()),
        false => refused(&done, "resources.pids.limit"),
    };
    also(update(&container, &["--resources", &file.to_string_lossy()])?)?;
    check("5")?;
    also(update_from(&container, &["--resources=-"], &limited(6))?)?;
    check("6")?;
    also(update_from(&container, &["-r", "-"], &limited(7))?)?;
    check("7")?;
    // A flag has the last word.
    also(update_from(&container, &["--resources=-", "--pids-limit=8"], &limited(7))?)?;
    check("8")?;
    update_from(&container, &["--resources=-"], "{}")?.success()?;
    check("8")?;
    Ok(container.remove()?)
}

fn what_is_not_set_stays(context: &Context) -> Outcome {
    let container = sleeping(context, |config| {
        config["linux"]["resources"]["memory"] = json!({ "limit": 64 << 20, "swap": 64 << 20 });
        config["linux"]["resources"]["cpu"] = json!({ "quota": 50_000, "period": 100_000 });
    })?;
    update(&container, &["--cpu-period=200000"])?.success()?;
    same_files(&container, &[("cpu.max", "50000 200000")])?;
    update(&container, &["--cpu-quota=70000"])?.success()?;
    same_files(&container, &[("cpu.max", "70000 200000")])?;
    if value(&container, "memory.swap.max").is_ok() {
        update(&container, &["--memory-swap=96M"])?.success()?;
        let files = [("memory.max", "67108864"), ("memory.swap.max", "33554432")];
        same_files(&container, &files)?;
    }
    Ok(container.remove()?)
}

fn period_and_quota_stay_in_v1(context: &Context) -> Outcome {
    let container = sleeping(context, |config| {
        config["linux"]["resources"]["cpu"] = json!({ "quota": 50_000, "period": 100_000 });
    })?;
    update(&container, &["--cpu-period=200000"])?.success()?;
    let both = |quota| [("cpu.cfs_quota_us", quota), ("cpu.cfs_period_us", "200000")];
    same_files(&container, &both("50000"))?;
    update(&container, &["--cpu-quota=70000"])?.success()?;
    same_files(&container, &both("70000"))?;
    Ok(container.remove()?)
}

fn failed_update_changes_nothing(context: &Context) -> Outcome {
    let container = sleeping(context, |_| {})?;
    let files = ["cpu.weight", "cpu.shares", "pids.max", "memory.max", "cpuset.cpus"];
    let all = || files.map(|file| value(&container, file).ok());
    let before = all();
    let options = ["--cpu-share=2048", "--pids-limit=9", "--memory=99M", "--cpuset-cpus=9999"];
    let done = update(&container, &options)?;
    refused(&done, "resources.")?;
    if has_controller("cpuset") {
        refused(&done, "hint: /sys/devices/system/cpu/online lists the CPUs")?;
    }
    same("the files", all(), before)?;
    Ok(container.remove()?)
}

fn devices_are_replaced(context: &Context) -> Outcome {
    let rules = |access: &str| {
        json!([
            { "allow": false, "access": "rwm" },
            { "allow": true, "type": "c", "major": 1, "minor": 11, "access": access },
        ])
    };
    let container = sleeping(context, |config| {
        config["linux"]["devices"] =
            json!([{ "path": "/dev/kmsg", "type": "c", "major": 1, "minor": 11 }]);
        config["linux"]["resources"]["devices"] = rules("w");
    })?;
    let opens = || {
        let done = container.vial("exec", &["/probe", "open-device", "/dev/kmsg", "w"])?;
        Ok::<_, String>(done.code == 0)
    };
    same("whether it is opened", opens()?, true)?;
    for (access, wanted) in [("r", false), ("rw", true), ("m", false)] {
        let text = json!({ "devices": rules(access) }).to_string();
        update_from(&container, &["--resources=-"], &text)?.success()?;
        same(access, opens()?, wanted)?;
        // Those that every container has.
        container.vial("exec", &["/probe", "open-device", "/dev/null", "w"])?.success()?;
    }
    // No rules: they stay.
    update_from(&container, &["--resources=-"], "{\"devices\": []}")?.success()?;
    same("whether it is opened", opens()?, false)?;
    Ok(container.remove()?)
}

fn created_and_paused_containers_are_updated(context: &Context) -> Outcome {
    let container = Container::created(context, &["sleep", "3600"])?;
    update(&container, &[])?.success()?;
    container.is("created")?;
    container.vial("start", &[])?.success()?;
    container.vial("pause", &[])?.success()?;
    update(&container, &[])?.success()?;
    container.is("paused")?;
    Ok(container.remove()?)
}

fn limits_below_the_usage_are_refused_on_request(context: &Context) -> Outcome {
    needs_memory()?;
    let container = sleeping(context, |_| {})?;
    let text = json!({ "memory": { "limit": 4096, "checkBeforeUpdate": true } }).to_string();
    let done = update_from(&container, &["--resources=-"], &text)?;
    refused(&done, "resources.memory.limit")?;
    container.is("running")?;
    Ok(container.remove()?)
}

fn wrong_limits_are_refused(context: &Context) -> Outcome {
    let container = sleeping(context, |_| {})?;
    for (option, text) in [
        ("--memory=64X", "--memory 64X"),
        ("--memory=-2", "--memory -2"),
        ("--memory-swap=", "--memory-swap"),
        ("--pids-limit=many", "pids-limit"),
        ("--cpu-idle=2", "resources.cpu.idle"),
        ("--blkio-weight=5000", "resources.blockIO.weight"),
        ("--l3-cache-schema=L3:0=f", "resctrl"),
        ("--resources=/no/such/file", "/no/such/file"),
        ("--nonsense=1", "unknown option"),
    ] {
        let done = update(&container, &[option])?;
        refused(&done, text).map_err(|why| format!("{option}: {why}"))?;
    }
    for (json, text) in [
        ("", "EOF"),
        ("{", "EOF"),
        ("[]", "object"),
        ("{\"memory\": {\"limit\": \"64M\"}}", "memory.limit"),
        ("{\"memory\": {\"limit\": -7}}", "resources.memory.limit"),
        ("{\"unified\": {\"../cgroup.procs\": \"1\"}}", "resources.unified"),
        ("{\"devices\": [{\"type\": \"x\"}]}", "resources.devices[0]"),
    ] {
        let done = update_from(&container, &["--resources=-"], json)?;
        refused(&done, text).map_err(|why| format!("{json}: {why}"))?;
    }
    container.is("running")?;
    Ok(container.remove()?)
}

fn stopped_and_unknown_containers_are_refused(context: &Context) -> Outcome {
    let container = Container::started(context, &["exit", "0"])?;
    container.ends()?;
    refused(&update(&container, &["--pids-limit=5"])?, "container not running")?;
    container.remove()?;
    Ok(refused(&context.vial(&["update", "--pids-limit=5", "no-such"])?, "does not exist")?)
}

fn container_without_a_cgroup_is_refused(context: &Context) -> Outcome {
    let bundle = context.bundle(|config| edit::deeds(config, &["sleep", "3600"]))?;
    let id = context.id();
    let mut command = context.command(&["--cgroup-manager=disabled", "run", "--detach"]);
    command.arg("--bundle").arg(&bundle.path).arg(&id);
    context.run(&mut command)?.success()?;
    let done = context.vial(&["update", "--pids-limit=5", &id])?;
    let result = refused(&done, "resources.pids.limit");
    context.vial(&["delete", "--force", &id])?.success()?;
    Ok(result?)
}
