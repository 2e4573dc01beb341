//! doctor: what this machine lacks, and how a container stands.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use super::container::{Container, cgroup_root, nothing_left, refused, wait_until, words};
use super::edit;
use crate::context::{Done, same};
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "doctor",
    doctor_tells_what_the_machine_has,
    doctor_tells_a_call_that_is_hidden[Root],
    doctor_tells_a_container_that_is_broken[Root],
    doctor_tells_what_isolates_a_container[Root],
    doctor_keeps_the_last_error_of_a_verb[Root],
    doctor_tells_where_a_create_is_stuck[Root],
    doctor_works_for_a_user_without_a_runtime_directory[UserNamespaces],
    doctor_refuses_what_it_does_not_know,
);

/// The rows of a report.
fn rows(done: Done) -> Result<Vec<Value>, String> {
    match done.success()?.json()? {
        Value::Array(rows) => Ok(rows),
        other => Err(format!("no list: {other}")),
    }
}

fn doctor(context: &Context, id: &[&str]) -> Result<Vec<Value>, String> {
    rows(context.vial(&[&["doctor", "--format", "json"], id].concat())?)
}

/// The row of this name.
fn row<'a>(rows: &'a [Value], name: &str) -> Result<&'a Value, String> {
    let found = rows.iter().find(|row| row["name"] == name);
    found.ok_or_else(|| format!("no row {name} in {rows:?}"))
}

fn value<'a>(rows: &'a [Value], name: &str) -> Result<&'a str, String> {
    Ok(row(rows, name)?["value"].as_str().unwrap_or_default())
}

fn doctor_tells_what_the_machine_has(context: &Context) -> Outcome {
    let rows = doctor(context, &[])?;
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").map_err(words)?;
    same("the release", value(&rows, "release")?.starts_with(release.trim()), true)?;
    let init = context.vial.with_file_name("vial-init");
    same("vial-init", value(&rows, "vial-init")?, &*init.to_string_lossy())?;
    for kind in ["pid", "mnt", "time"] {
        let name = if kind == "mnt" { "mount" } else { kind };
        let is_there = fs::exists(format!("/proc/self/ns/{kind}")).map_err(words)?;
        let row = row(&rows, &format!("{name} namespaces"))?;
        same("what it says", row["value"].as_str(), Some(if is_there { "yes" } else { "no" }))?;
        same("whether it is a problem", row["problem"].is_string(), !is_there)?;
    }
    let is_v2 = fs::exists("/sys/fs/cgroup/cgroup.controllers").map_err(words)?;
    same("the layout", value(&rows, "layout")? == "cgroup2", is_v2)?;
    let text = context.vial(&["doctor"])?.success()?.stdout;
    let problems = rows.iter().filter(|row| row["problem"].is_string()).count();
    let marked = text.lines().filter(|line| line.starts_with("! ")).count();
    Ok(same("lines that are marked", marked, 2 * problems)?)
}

fn doctor_tells_a_call_that_is_hidden(context: &Context) -> Outcome {
    let hidden = context.hiding(libc::ENOSYS, &[libc::SYS_pidfd_open, libc::SYS_openat2])?;
    let rows = doctor(&hidden, &[])?;
    for (name, is_there) in
        [("pidfd_open(2)", false), ("openat2(2)", false), ("open_tree(2)", true)]
    {
        let row = row(&rows, name)?;
        same(name, row["value"].as_str(), Some(if is_there { "yes" } else { "no" }))?;
        let told = row["problem"].as_str().is_some_and(|problem| problem.starts_with("Linux 5."));
        same("whether the problem is told", told, !is_there)?;
    }
    Ok(())
}

fn doctor_tells_a_container_that_is_broken(context: &Context) -> Outcome {
    let id = context.id();
    let directory = context.state.join(&id);
    fs::create_dir_all(&directory).map_err(words)?;
    fs::write(directory.join("state.json"), "{").map_err(words)?;
    let rows = doctor(context, &[])?;
    let row = rows.iter().find(|row| row["value"] == *id).ok_or("it is not told")?;
    let advice = row["problem"].as_str().unwrap_or_default();
    same("the advice", advice.contains(&format!("vial delete --force {id}")), true)?;
    context.vial(&["delete", "--force", &id])?.success()?;
    Ok(())
}

fn doctor_tells_what_isolates_a_container(context: &Context) -> Outcome {
    let before = context.leftovers();
    let container = Container::created_from(context, |config| {
        edit::deeds(config, &["sleep", "3600"]);
        edit::without_namespace(config, "uts");
        edit::without_hostname(config);
        edit::capabilities(config, &["CAP_KILL", "CAP_CHOWN"]);
        config["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["reboot"], "action": "SCMP_ACT_ERRNO"}]});
        config["process"]["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 88}]);
    })?;
    container.vial("start", &[])?.success()?;
    let rows = doctor(context, &[&container.id])?;
    for (name, wanted) in [
        ("status", "running"),
        ("pid", &*container.pid()?.to_string()),
        ("uts namespace", "the caller's"),
        ("pid namespace", "its own, or another container's"),
        ("CapEff", "CAP_CHOWN CAP_KILL"),
        ("CapAmb", "none"),
        ("seccomp", "filter"),
        ("no_new_privs", "1"),
        ("max open files", "77, at most 88"),
    ] {
        same(name, value(&rows, name)?, wanted)?;
    }
    let mount =
        |row: &&Value| row["value"].as_str().is_some_and(|v| v.starts_with("proc proc on /proc ("));
    same("whether /proc is told", rows.iter().any(|row| mount(&row)), true)?;
    if cgroup_root().join("cgroup.procs").exists() {
        same("whether the cgroup is told", value(&rows, "cgroup")?.starts_with('/'), true)?;
    }
    container.vial("kill", &["KILL"])?.success()?;
    container.ends()?;
    same("status", value(&doctor(context, &[&container.id])?, "status")?, "stopped")?;
    container.remove()?;
    Ok(nothing_left(context, &before)?)
}

fn doctor_keeps_the_last_error_of_a_verb(context: &Context) -> Outcome {
    let before = context.leftovers();
    let container = Container::started(context, &["sleep", "3600"])?;
    let last = |wanted: &str| -> Result<(), String> {
        let rows = doctor(context, &[&container.id])?;
        let said = value(&rows, "last error of a verb")?;
        same("whether it is told", said.contains(wanted), true)
            .map_err(|why| format!("{why}: {said}"))
    };
    same("errors at first", last("").is_err(), true)?;
    container.vial("exec", &["/no/such/program"])?.failure()?;
    last("/no/such/program")?;
    container.vial("kill", &["NOSUCH"])?.failure()?;
    last("NOSUCH")?;
    // Another id's error is nobody's.
    context.vial(&["state", "nobody"])?.failure()?;
    same("state dirs", context.state.join("nobody").exists(), false)?;
    container.vial("kill", &["KILL"])?.success()?;
    container.ends()?;
    container.remove()?;
    Ok(nothing_left(context, &before)?)
}

fn doctor_tells_where_a_create_is_stuck(context: &Context) -> Outcome {
    let before = context.leftovers();
    let hook = json!({"path": context.probe, "args": ["hook", "sleep", "3600"]});
    let container = Container::prepared_from(context, |config| {
        edit::deeds(config, &["sleep", "3600"]);
        config["hooks"] = json!({"createContainer": [hook]});
    })?;
    let mut child = super::container::start(&mut container.command("create"))?;
    let at = || -> Result<String, String> {
        Ok(value(&doctor(context, &[&container.id])?, "status")?.to_owned())
    };
    wait_until("the hook", || at().is_ok_and(|at| at.contains("hooks.createContainer[0]")))?;
    same("whether it is being created", at()?.starts_with("creating, stage 2"), true)?;
    container.vial("delete", &["--force"])?.success()?;
    child.wait().map_err(words)?;
    Ok(nothing_left(context, &before)?)
}

fn doctor_works_for_a_user_without_a_runtime_directory(context: &Context) -> Outcome {
    let run = |verb: &[&str]| {
        let mut command = Command::new(&context.probe);
        command.args(["be", "namespaced"]).arg(&context.vial).args(verb);
        context.run(command.env_remove("XDG_RUNTIME_DIR"))
    };
    let rows = rows(run(&["doctor", "--format=json"])?)?;
    let problem = row(&rows, "XDG_RUNTIME_DIR")?["problem"].as_str().unwrap_or_default();
    same("whether the way out is told", problem.contains("--root DIR"), true)?;
    row(&rows, "release")?;
    Ok(refused(&run(&["doctor", "web"])?, "XDG_RUNTIME_DIR is not set")?)
}

fn doctor_refuses_what_it_does_not_know(context: &Context) -> Outcome {
    refused(&context.vial(&["doctor", "nobody"])?, "container nobody does not exist")?;
    refused(&context.vial(&["doctor", "--format", "yaml"])?, "unknown format \"yaml\"")?;
    Ok(refused(&context.vial(&["doctor", "../x"])?, "invalid container id")?)
}
