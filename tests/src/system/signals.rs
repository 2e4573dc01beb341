//! Signals that the caller ignores, and signals that end a launch.

use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use super::container::{Container, reap, refused, wait_until, words};
use crate::context::{Done, probe_arguments, same};
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "signals",
    status_comes_to_a_caller_that_ignores_sigchld[Root],
    signals_that_the_caller_ignores_are_default_in_a_run[Root],
    signals_that_the_caller_ignores_are_default_after_create[Root],
    signals_that_the_caller_ignores_are_default_in_an_exec[Root],
);

/// HUP, INT, QUIT, USR1, PIPE, TERM, CHLD, TSTP, and of the real-time signals
/// the first that libcs leave alone and the last.
const IGNORED: &str = "1,2,3,10,13,15,17,20,35,64";
/// PIPE, which the probe's own standard library ignores.
const BY_THE_PROBE: u64 = 1 << 12;

/// `vial` with these words, started by one who ignores these signals.
fn ignoring(context: &Context, signals: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(&context.probe);
    command.args(["ignore", signals, "exec"]).arg(&context.vial);
    command.arg("--root").arg(&context.state).args(arguments);
    command
}

fn planned<'a>(context: &'a Context, deeds: &[&str]) -> Result<Container<'a>, String> {
    Container::planned(context, |config| config["process"]["args"] = probe_arguments(deeds))
}

fn run_ignoring(context: &Context, signals: &str, deeds: &[&str]) -> Result<Done, String> {
    let container = planned(context, deeds)?;
    let bundle = container.bundle.path.to_string_lossy();
    let mut command = ignoring(context, signals, &["run", "--bundle", &bundle, &container.id]);
    Ok(context.run(&mut command)?)
}

fn status_comes_to_a_caller_that_ignores_sigchld(context: &Context) -> Outcome {
    let before = context.leftovers();
    let done = run_ignoring(context, "17", &["exit", "42"])?;
    same("what run did", (done.code, done.stderr.as_str()), (42, ""))?;
    let container = Container::started(context, &["sleep", "3600"])?;
    let arguments = ["exec", &container.id, "/probe", "exit", "43"];
    let done = context.run(&mut ignoring(context, "17", &arguments))?;
    same("what exec did", (done.code, done.stderr.as_str()), (43, ""))?;
    container.remove()?;
    // Its failure is told too, as early as ever.
    let container = planned(context, &["exit", "0"])?;
    std::fs::remove_file(container.bundle.rootfs.join("probe")).map_err(words)?;
    let bundle = container.bundle.path.to_string_lossy().into_owned();
    let arguments = ["run", "--bundle", &bundle, &container.id];
    let done = context.run(&mut ignoring(context, "17", &arguments))?;
    refused(&done, "no such file or directory")?;
    Ok(context.nothing_left_since(&before)?)
}

/// Fails unless proc_pid_status(5) has these sets of signals.
fn all_default(who: &str, status: &str) -> Result<(), String> {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.map(str::trim).map(str::to_owned)
    };
    let ignored = field("SigIgn").and_then(|mask| u64::from_str_radix(&mask, 16).ok());
    let ignored = ignored.map(|signals| signals & !BY_THE_PROBE);
    same(&format!("SigIgn of {who}"), ignored, Some(0))?;
    same(&format!("SigBlk of {who}"), field("SigBlk").as_deref(), Some("0000000000000000"))
}

fn signals_that_the_caller_ignores_are_default_in_a_run(context: &Context) -> Outcome {
    let done = run_ignoring(context, IGNORED, &["cat", "/proc/self/status"])?.success()?;
    all_default("a run", &done.stdout)?;
    // In user groups without number the line of SigIgn stands further down.
    let container = Container::planned(context, |config| {
        config["process"]["args"] = probe_arguments(&["cat", "/proc/self/status"]);
    })?;
    let bundle = container.bundle.path.to_string_lossy().into_owned();
    let arguments = ["run", "--bundle", &bundle, &container.id];
    let mut command = ignoring(context, IGNORED, &arguments);
    let done = with_many_groups(context, &mut command)?;
    Ok(all_default("a run by one of many groups", &done.success()?.stdout)?)
}

/// Runs a command as a member of 2,000 groups.
fn with_many_groups(context: &Context, command: &mut Command) -> Result<Done, String> {
    let groups: Vec<_> = (100_000..102_000).map(rustix::process::Gid::from_raw).collect();
    let own = rustix::process::getgroups().map_err(words)?;
    rustix::thread::set_thread_groups(&groups).map_err(words)?;
    let done = context.run(command);
    rustix::thread::set_thread_groups(&own).map_err(words)?;
    Ok(done?)
}

fn signals_that_the_caller_ignores_are_default_after_create(context: &Context) -> Outcome {
    let container = planned(context, &["cat", "/proc/self/status"])?;
    let bundle = container.bundle.path.to_string_lossy().into_owned();
    let out = context.folder.join("status");
    let file = std::fs::File::create(&out).map_err(words)?;
    let arguments = ["create", "--bundle", &bundle, &container.id];
    let status = ignoring(context, IGNORED, &arguments).stdout(file).status();
    same("create", status.map_err(words)?.code(), Some(0))?;
    container.vial("start", &[])?.success()?;
    container.ends()?;
    all_default("a container", &std::fs::read_to_string(&out).map_err(words)?)?;
    Ok(container.remove()?)
}

fn signals_that_the_caller_ignores_are_default_in_an_exec(context: &Context) -> Outcome {
    let container = Container::started(context, &["sleep", "3600"])?;
    let arguments = ["exec", &container.id, "/probe", "cat", "/proc/self/status"];
    let done = context.run(&mut ignoring(context, IGNORED, &arguments))?.success()?;
    all_default("an exec", &done.stdout)?;
    let pid_file = context.folder.join("pid").to_string_lossy().into_owned();
    let arguments =
        ["exec", "--detach", "--pid-file", &pid_file, &container.id, "/probe", "sleep", "3600"];
    context.run(&mut ignoring(context, IGNORED, &arguments))?.success()?;
    let pid = std::fs::read_to_string(&pid_file).map_err(words)?;
    let status = || std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    wait_until("its program", || status().starts_with("Name:\tprobe"))?;
    all_default("a detached exec", &status())?;
    let process = Pid::from_raw(pid.parse().map_err(words)?).ok_or("no pid")?;
    kill_process(process, Signal::KILL).map_err(words)?;
    reap(std::path::Path::new(&pid_file))?;
    Ok(container.remove()?)
}
