//! How containers end: by which signals, and together with which processes.

use std::fs;
use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::container::{Container, cgroup_of, nothing_left, refused, send, wait_until, words};
use super::edit;
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "endings",
    signal_0_checks_that_it_runs[Root],
    kill_without_a_pid_namespace_ends_every_process[Root],
    delete_without_a_pid_namespace_ends_every_process[Root],
    regular_expression_stands_for_every_id_that_it_matches[Root],
    verbs_follow_a_process_whose_cgroup_is_gone[Root],
    filter_that_denies_execve_is_reported[Root],
    verbs_work_without_pidfds_and_close_range[Root],
    list_is_null_without_containers_and_fails_without_a_root[Root],
);

fn signal_0_checks_that_it_runs(context: &Context) -> Outcome {
    let container = Container::created(context, &["sleep", "3600"])?;
    container.vial("kill", &["0"])?.success()?;
    container.vial("start", &[])?.success()?;
    container.vial("kill", &["0"])?.success()?;
    container.vial("kill", &["KILL"])?.success()?;
    container.ends()?;
    refused(&container.vial("kill", &["0"])?, "container not running")?;
    context.vial(&["kill", "--all", &container.id, "0"])?.success()?;
    container.remove()?;
    Ok(refused(&context.vial(&["kill", "nobody", "0"])?, "does not exist")?)
}

/// A container with the host's pid namespace. The probe forks children, which outlive
/// it if it exits.
fn shared<'a>(context: &'a Context, deeds: &[&str]) -> Result<Container<'a>, String> {
    let container = Container::created_from(context, |config| {
        edit::deeds(config, deeds);
        edit::without_namespace(config, "pid");
    })?;
    container.vial("start", &[])?.success()?;
    container.printed(1)?;
    Ok(container)
}

fn kill_without_a_pid_namespace_ends_every_process(context: &Context) -> Outcome {
    let before = context.leftovers();
    for deeds in [&["fork", "3", "+", "sleep", "3600"][..], &["fork", "3"]] {
        let container = shared(context, deeds)?;
        if deeds.len() == 2 {
            container.ends()?;
        }
        container.vial("kill", &["KILL"])?.success()?;
        container.ends()?;
        wait_until("the others to end", || container.pids().is_ok_and(|pids| pids.is_empty()))?;
        refused(&container.vial("kill", &["KILL"])?, "container not running")?;
        container.vial("delete", &[])?.success()?;
    }
    Ok(context.nothing_left_since(&before)?)
}

fn delete_without_a_pid_namespace_ends_every_process(context: &Context) -> Outcome {
    let before = context.leftovers();
    let container = shared(context, &["fork", "3"])?;
    container.ends()?;
    container.vial("delete", &[])?.success()?;
    nothing_left(context, &before)?;
    shared(context, &["fork", "3", "+", "sleep", "3600"])?.remove()?;
    Ok(nothing_left(context, &before)?)
}

fn regular_expression_stands_for_every_id_that_it_matches(context: &Context) -> Outcome {
    let before = context.leftovers();
    let start = || Container::started(context, &["sleep", "3600"]);
    let (one, two, other) = (start()?, start()?, start()?);
    let pattern = format!("^({}|[0-9a-f]+{})$", one.id, &two.id[56..]);
    // None of these ends anything.
    for wrong in ["(", "^nobody$", "a{300}"] {
        let done = context.vial(&["kill", "--regex", wrong, "KILL"])?;
        if wrong == "^nobody$" {
            done.success()?;
        } else {
            refused(&done, "regular expression")?;
        }
    }
    let done = context.vial(&["delete", "--regex", &pattern])?.failure()?;
    for id in [&one.id, &two.id] {
        let text = format!("vial: cannot delete container {id} that is not stopped: running\n");
        same("whether it is told", done.stderr.contains(&text), true)?;
    }
    [&one, &two, &other].iter().try_for_each(|container| container.is("running"))?;
    context.vial(&["kill", "-r", &pattern, "KILL"])?.success()?;
    one.ends()?;
    two.ends()?;
    // Those that have ended are passed over.
    context.vial(&["kill", "--regex", &pattern, "KILL"])?.success()?;
    let both = format!("^({}|{})$", one.id, other.id);
    refused(&context.vial(&["delete", "--regex", &both])?, &other.id)?;
    refused(&context.vial(&["state", &one.id])?, "does not exist")?;
    context.vial(&["delete", "--force", "-r", &format!("{pattern}|{}", other.id)])?.success()?;
    Ok(nothing_left(context, &before)?)
}

fn verbs_follow_a_process_whose_cgroup_is_gone(context: &Context) -> Outcome {
    let before = context.leftovers();
    for shares_pids in [false, true] {
        let container = Container::created_from(context, |config| {
            edit::deeds(config, &["fork", "1", "+", "sleep", "3600"]);
            if shares_pids {
                edit::without_namespace(config, "pid");
            }
        })?;
        container.vial("start", &[])?.success()?;
        container.printed(1)?;
        let own = cgroup_of(container.pid()?)?;
        let other = own.with_file_name(format!("{}-other", context.tag));
        fs::create_dir(&other).map_err(words)?;
        let pids = fs::read_to_string(own.join("cgroup.procs")).map_err(words)?;
        for pid in pids.lines() {
            fs::write(other.join("cgroup.procs"), pid).map_err(words)?;
        }
        wait_until("its cgroup to be removed", || fs::remove_dir(&own).is_ok())?;
        // Another process in the same cgroup: vial must neither list nor kill it.
        let mut stranger = std::process::Command::new(&context.probe);
        let mut stranger = stranger.args(["sleep", "3600"]).spawn().map_err(words)?;
        fs::write(other.join("cgroup.procs"), stranger.id().to_string()).map_err(words)?;
        container.is("running")?;
        let listed = container.pids()?;
        same("whether its process is listed", listed.contains(&container.pid()?), true)?;
        same("the number of listed processes", listed.len(), if shares_pids { 1 } else { 2 })?;
        container.vial("kill", &["KILL"])?.success()?;
        container.ends()?;
        same("the exit status of the other process", stranger.try_wait().map_err(words)?, None)?;
        container.vial("delete", &[])?.success()?;
        stranger.kill().and_then(|()| stranger.wait()).map_err(words)?;
        if shares_pids {
            // cgroup.kill needs Linux 5.14.
            let left = fs::read_to_string(other.join("cgroup.procs")).map_err(words)?;
            for pid in left.lines() {
                send(pid.parse().map_err(words)?, Signal::KILL)?;
            }
        }
        wait_until("the other cgroup to be removed", || {
            crate::processes::reap();
            fs::remove_dir(&other).is_ok()
        })?;
    }
    Ok(context.nothing_left_since(&before)?)
}

fn deny(config: &mut Value, action: &str, names: &[&str]) {
    config["linux"]["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{ "names": names, "action": action }],
    });
}

fn filter_that_denies_execve_is_reported(context: &Context) -> Outcome {
    let before = context.leftovers();
    let (errno, kill) = ("SCMP_ACT_ERRNO", "SCMP_ACT_KILL_PROCESS");
    let silent = ["execve", "execveat", "write", "exit", "exit_group"];
    let cases = [
        (errno, &silent[..1], "operation not permitted"),
        (errno, &silent[..3], "denied by the seccomp filter"),
        (errno, &silent, "denied by the seccomp filter"),
        (kill, &silent[..1], "killed by the seccomp filter"),
    ];
    for (action, names, text) in cases {
        let container = Container::prepared_from(context, |config| deny(config, action, names))?;
        let done = context.run(&mut container.command("run"))?;
        refused(&done, text).map_err(|why| format!("run, {names:?}: {why}"))?;
        container.create(&[])?.success()?;
        let done = container.vial("start", &[])?;
        refused(&done, text).map_err(|why| format!("start, {names:?}: {why}"))?;
        container.ends()?;
        container.remove()?;
    }
    context.nothing_left_since(&before)?;
    // The filter also keeps an exec from executing its program.
    let container = Container::started(context, &["sleep", "3600"])?;
    let config = context.state.join(&container.id).join("config.json");
    let mut edited: Value =
        serde_json::from_slice(&fs::read(&config).map_err(words)?).map_err(words)?;
    deny(&mut edited, errno, &silent[..3]);
    fs::write(&config, edited.to_string()).map_err(words)?;
    refused(&container.vial("exec", &["/probe", "exit", "0"])?, "denied by the seccomp filter")?;
    // A program that fails at once was still executed.
    deny(&mut edited, errno, &["swapon"]);
    fs::write(&config, edited.to_string()).map_err(words)?;
    for _ in 0..20 {
        same("exec", container.vial("exec", &["/probe", "exit", "1"])?.stderr.as_str(), "")?;
    }
    Ok(container.remove()?)
}

/// As before Linux 5.3, 5.1 and 5.9, and in a container without /proc.
fn verbs_work_without_pidfds_and_close_range(context: &Context) -> Outcome {
    let before = context.leftovers();
    let calls = [libc::SYS_pidfd_open, libc::SYS_pidfd_send_signal, libc::SYS_close_range];
    for hidden in [&calls[..1], &calls[1..2], &calls[2..], &calls] {
        let container = Container::prepared_from(context, |config| {
            edit::deeds(config, &["sleep", "3600"]);
            edit::without_proc(config);
        })?;
        let vial = |words: &[&str]| {
            let done = context.run(&mut context.command_without(hidden, libc::ENOSYS, words))?;
            done.success().map_err(|why| format!("{words:?} without {hidden:?}: {why}"))
        };
        let bundle = container.bundle.path.to_string_lossy().into_owned();
        vial(&["create", "--bundle", &bundle, &container.id])?;
        vial(&["start", &container.id])?;
        container.is("running")?;
        vial(&["exec", &container.id, "/probe", "exit", "0"])?;
        vial(&["kill", &container.id, "0"])?;
        vial(&["kill", &container.id, "KILL"])?;
        container.ends()?;
        vial(&["delete", "--force", &container.id])?;
    }
    Ok(context.nothing_left_since(&before)?)
}

fn list_is_null_without_containers_and_fails_without_a_root(context: &Context) -> Outcome {
    let done = context.vial(&["list"])?;
    refused(&done, &context.state.to_string_lossy())?;
    fs::create_dir_all(&context.state).map_err(words)?;
    same(
        "list",
        context.vial(&["list", "--format", "json"])?.success()?.stdout.as_str(),
        "null\n",
    )?;
    let lines = context.vial(&["list"])?.success()?.stdout.lines().count();
    same("the lines of the table", lines, 1)?;
    // The default root is created with the first container; without it list succeeds.
    let mut command = std::process::Command::new(&context.vial);
    let nowhere = Path::new(&context.directory).join("run");
    command.env("XDG_RUNTIME_DIR", &nowhere).args(["list", "--quiet"]);
    Ok(same("list by default", context.run(&mut command)?.code, 0)?)
}
