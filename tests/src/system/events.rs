//! events: what a container uses, and its running out of memory.

use std::fs::File;
use std::process::Stdio;

use serde_json::{Value, json};

use super::container::{Container, has_controller, needs_memory, refused, wait_until, words};
use super::edit;
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "events",
    stats_have_the_names_that_programs_read[Root],
    stats_are_those_of_the_cgroup[Root],
    network_is_that_of_the_container[Root],
    stats_come_at_the_interval_until_the_end[Root],
    killed_process_is_told_as_oom[Root],
    reader_that_goes_away_ends_events[Root],
    wrong_calls_are_refused[Root],
    container_without_a_cgroup_has_no_stats[Root],
);

fn stats(container: &Container<'_>) -> Result<Value, String> {
    let done = container.context.vial(&["events", "--stats", &container.id])?.success()?;
    same("stderr", &*done.stderr, "")?;
    done.json()
}

fn stats_have_the_names_that_programs_read(context: &Context) -> Outcome {
    let container = Container::started(context, &["sleep", "3600"])?;
    let event = stats(&container)?;
    same("the type", event["type"].as_str(), Some("stats"))?;
    same("the id", event["id"].as_str(), Some(&*container.id))?;
    let data = &event["data"];
    for (pointer, is_there) in [
        ("/cpu/usage/kernel", true),
        ("/cpu/usage/user", true),
        ("/cpu/throttling", true),
        ("/cpuset/cpu_exclusive", true),
        ("/cpuset/sched_relax_domain_level", true),
        ("/memory/raw", true),
        ("/memory/usage/limit", has_controller("memory")),
        ("/memory/usage/usage", has_controller("memory")),
        ("/memory/usage/failcnt", has_controller("memory")),
        ("/pids/current", true),
        ("/blkio", true),
        ("/hugetlb", true),
        ("/intel_rdt", true),
        ("/network_interfaces/0/Name", true),
        ("/network_interfaces/0/TxDropped", true),
    ] {
        same(pointer, data.pointer(pointer).is_some(), is_there)?;
    }
    Ok(container.remove()?)
}

fn stats_are_those_of_the_cgroup(context: &Context) -> Outcome {
    let container = Container::created_from(context, |config| {
        edit::deeds(config, &["sleep", "3600"]);
        let resources = &mut config["linux"]["resources"];
        if has_controller("memory") {
            resources["memory"] = json!({ "limit": 64 << 20 });
        }
        if has_controller("pids") {
            resources["pids"] = json!({ "limit": 77 });
        }
        if has_controller("cpuset") {
            resources["cpu"] = json!({ "cpus": "0" });
        }
    })?;
    container.vial("start", &[])?.success()?;
    let data = stats(&container)?["data"].clone();
    same("the processes", &data["pids"]["current"], &json!(1))?;
    if has_controller("memory") {
        same("the limit of memory", &data["memory"]["usage"]["limit"], &json!(64 << 20))?;
        let used = data["memory"]["usage"]["usage"].as_u64().unwrap_or(0);
        same(&format!("whether {used} is some"), (1..64 << 20).contains(&used), true)?;
        // The kernel adds up the counts of each CPU only now and then.
        let faults = data["memory"]["raw"]["pgfault"].as_u64();
        same("whether faults are counted", faults.is_some(), true)?;
    }
    if has_controller("pids") {
        same("the limit of processes", &data["pids"]["limit"], &json!(77))?;
    }
    if has_controller("cpuset") {
        same("the CPUs", &data["cpuset"]["cpus"], &json!([0]))?;
    }
    if has_controller("cpuacct") || has_controller("cpu") {
        let total = data["cpu"]["usage"]["total"].as_u64().unwrap_or(0);
        // In nanoseconds: more than 10 us, less than a minute.
        same(
            &format!("whether {total} ns are right"),
            total > 10_000 && total < 60_000_000_000,
            true,
        )?;
    }
    Ok(container.remove()?)
}

fn network_is_that_of_the_container(context: &Context) -> Outcome {
    let container = Container::started(context, &["sleep", "3600"])?;
    let names = |event: &Value| {
        let all = event["data"]["network_interfaces"].as_array().cloned().unwrap_or_default();
        all.iter().map(|one| one["Name"].clone()).collect::<Vec<_>>()
    };
    same("the interfaces", names(&stats(&container)?).contains(&json!("lo")), true)?;
    let pid = container.pid()?;
    let of_kernel = std::fs::read_to_string(format!("/proc/{pid}/net/dev")).map_err(words)?;
    same("their number", names(&stats(&container)?).len(), of_kernel.lines().count() - 2)?;
    Ok(container.remove()?)
}

/// A started `vial events` with its lines in a file.
fn watch(
    container: &Container<'_>,
    interval: &str,
) -> Result<(std::process::Child, std::path::PathBuf), String> {
    let context = container.context;
    let out = context.directory.join(format!("events-{}", container.id));
    let mut command = context.command(&["events", "--interval", interval, &container.id]);
    command.stdin(Stdio::null()).stdout(File::create(&out).map_err(words)?);
    Ok((command.spawn().map_err(words)?, out))
}

fn lines(out: &std::path::Path) -> Vec<Value> {
    let text = std::fs::read_to_string(out).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn stats_come_at_the_interval_until_the_end(context: &Context) -> Outcome {
    let container = Container::started(context, &["sleep", "3600"])?;
    let (mut events, out) = watch(&container, "200ms")?;
    wait_until("two lines", || lines(&out).len() >= 2)?;
    same("the early end", events.try_wait().map_err(words)?, None)?;
    // Other verbs find it unlocked.
    container.vial("exec", &["/probe", "exit", "0"])?.success()?;
    container.vial("kill", &["KILL"])?.success()?;
    same("how it ended", events.wait().map_err(words)?.code(), Some(0))?;
    let are_stats = lines(&out).iter().all(|line| line["type"] == "stats");
    same("whether all are stats", are_stats, true)?;
    Ok(container.remove()?)
}

fn killed_process_is_told_as_oom(context: &Context) -> Outcome {
    needs_memory()?;
    let container = Container::created_from(context, |config| {
        edit::deeds(config, &["sleep", "3600"]);
        config["linux"]["resources"]["memory"] = json!({ "limit": 32 << 20, "swap": 32 << 20 });
    })?;
    container.vial("start", &[])?.success()?;
    let (mut events, out) = watch(&container, "1h")?;
    std::thread::sleep(std::time::Duration::from_millis(500)); // It has counted those before.
    let done = container.vial("exec", &["/probe", "allocate", "200"])?;
    same("the code", done.code, 137)?;
    wait_until("the event", || !lines(&out).is_empty())?;
    let wanted = json!({ "type": "oom", "id": container.id });
    same("the events", lines(&out), vec![wanted])?;
    container.vial("kill", &["KILL"])?.success()?;
    same("how it ended", events.wait().map_err(words)?.code(), Some(0))?;
    Ok(container.remove()?)
}

fn reader_that_goes_away_ends_events(context: &Context) -> Outcome {
    let container = Container::started(context, &["sleep", "3600"])?;
    let mut command = context.command(&["events", "--interval", "50ms", &container.id]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut events = command.spawn().map_err(words)?;
    drop(events.stdout.take());
    same("how it ended", events.wait().map_err(words)?.code(), Some(1))?;
    container.is("running")?;
    Ok(container.remove()?)
}

fn wrong_calls_are_refused(context: &Context) -> Outcome {
    let container = Container::started(context, &["exit", "0"])?;
    container.ends()?;
    let id = container.id.clone();
    refused(&context.vial(&["events", "--stats", &id])?, "container not running")?;
    for interval in ["0", "-1s", "soon", "1.5x"] {
        let done = context.vial(&["events", &format!("--interval={interval}"), &id])?;
        refused(&done, "--interval").map_err(|why| format!("{interval}: {why}"))?;
    }
    container.remove()?;
    Ok(refused(&context.vial(&["events", "no-such"])?, "does not exist")?)
}

fn container_without_a_cgroup_has_no_stats(context: &Context) -> Outcome {
    let bundle = context.bundle(|config| edit::deeds(config, &["sleep", "3600"]))?;
    let id = context.id();
    let mut command = context.command(&["--cgroup-manager=disabled", "run", "--detach"]);
    command.arg("--bundle").arg(&bundle.path).arg(&id);
    context.run(&mut command)?.success()?;
    let result = refused(&context.vial(&["events", "--stats", &id])?, "has no cgroup");
    context.vial(&["delete", "--force", &id])?.success()?;
    Ok(result?)
}
