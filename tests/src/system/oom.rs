//! A container that has used up its memory is told as such.

use serde_json::{Value, json};

use super::container::{Container, needs_memory, refused, v1_root};
use super::edit;
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "oom",
    run_tells_that_memory_was_used_up[Root],
    state_tells_it_of_a_stopped_container[Root],
    kept_container_remembers_it[Root],
    other_ends_are_not_told_as_such[Root],
    limit_too_low_to_start_names_one_that_is_enough[Root],
);

const LIMIT: u64 = 32 << 20;

fn greedy(config: &mut Value) {
    edit::deeds(config, &["allocate", "200"]);
    limited(config, LIMIT);
}

fn limited(config: &mut Value, limit: u64) {
    config["linux"]["resources"]["memory"] = json!({ "limit": limit, "swap": limit });
    if v1_root("memory").is_some_and(|root| !root.join("memory.memsw.limit_in_bytes").exists()) {
        config["linux"]["resources"]["memory"] = json!({ "limit": limit });
    }
}

fn run_tells_that_memory_was_used_up(context: &Context) -> Outcome {
    needs_memory()?;
    let done = context.run_bundle(&context.bundle(greedy)?)?;
    same("the code", done.code, 137)?;
    let told = "out of memory: the kernel has killed 1 process, the limit is 33554432 bytes";
    same(&format!("whether {:?} tells so", done.stderr), done.stderr.contains(told), true)?;
    Ok(same("the lines", done.stderr.lines().count(), 1)?)
}

fn state_tells_it_of_a_stopped_container(context: &Context) -> Outcome {
    needs_memory()?;
    let container = Container::created_from(context, greedy)?;
    same("before", &container.state()?["oom"], &Value::Null)?;
    container.vial("start", &[])?.success()?;
    container.ends()?;
    let oom = container.state()?["oom"].clone();
    same("the kills", &oom["kills"], &json!(1))?;
    same("the limit", &oom["limit"], &json!(LIMIT))?;
    if let Some(peak) = oom["peak"].as_u64() {
        same(&format!("whether {peak} is near"), (LIMIT / 2..=LIMIT).contains(&peak), true)?;
    }
    Ok(container.remove()?)
}

/// The cgroup is removed, as systemd does with one that is empty.
fn kept_container_remembers_it(context: &Context) -> Outcome {
    needs_memory()?;
    let container = Container::prepared_from(context, greedy)?;
    let mut run = container.command("run");
    same("the code", context.run(run.arg("--keep"))?.code, 137)?;
    let before = container.state()?["oom"].clone();
    same("the kills", &before["kills"], &json!(1))?;
    for line in std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default().lines() {
        if line.contains(" - cgroup") {
            let point = line.split(' ').nth(4).unwrap_or_default();
            let own = std::path::Path::new(point).join(format!("vial-{}", container.id));
            let _ = std::fs::remove_dir(own); // Not every hierarchy has one.
        }
    }
    same("without the cgroup", &container.state()?["oom"], &before)?;
    Ok(container.remove()?)
}

fn other_ends_are_not_told_as_such(context: &Context) -> Outcome {
    for deeds in [["exit", "137"], ["exit", "0"]] {
        let done = context.run_bundle(&context.bundle(|config| edit::deeds(config, &deeds))?)?;
        same("stderr", &*done.stderr, "")?;
    }
    let container = Container::started(context, &["sleep", "3600"])?;
    container.vial("kill", &["KILL"])?.success()?;
    container.ends()?;
    same("the state", &container.state()?["oom"], &Value::Null)?;
    Ok(container.remove()?)
}

fn limit_too_low_to_start_names_one_that_is_enough(context: &Context) -> Outcome {
    needs_memory()?;
    let bundle = context.bundle(|config| limited(config, 4096))?;
    let done = context.run_bundle(&bundle)?;
    refused(&done, "memory limit too low (config.json linux.resources.memory.limit)")?;
    let hint = done.stderr.lines().find(|line| line.starts_with("hint: "));
    let enough: u64 = hint
        .and_then(|line| line.split(' ').nth(1)?.parse().ok())
        .ok_or_else(|| format!("no number: {}", done.stderr))?;
    let container = Container::created_from(context, |config| {
        edit::deeds(config, &["sleep", "3600"]);
        limited(config, enough);
    })?;
    Ok(container.remove()?)
}
