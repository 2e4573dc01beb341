//! Signals that the caller ignores, and signals that end a launch.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::container::{Container, cgroup_of, reap, refused, send, wait_until, words};
use super::edit;
use crate::context::{Done, same};
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "signals",
    caller_that_ignores_sigchld_gets_the_exit_code[Root],
    signals_that_the_caller_ignores_are_default_in_a_run[Root],
    signals_that_the_caller_ignores_are_default_after_create[Root],
    signals_that_the_caller_ignores_are_default_in_an_exec[Root],
    signal_to_a_launching_run_leaves_nothing[Root],
    signal_to_a_launching_exec_leaves_nothing[Root],
    frozen_cgroup_is_refused[Root],
    output_of_a_terminal_to_a_file_has_no_cr[Root],
);

/// HUP, INT, QUIT, USR1, PIPE, TERM, CHLD, TSTP, and two real-time signals: the first
/// that libcs do not reserve, and the last.
const IGNORED: &str = "1,2,3,10,13,15,17,20,35,64";
/// SIGPIPE, which the probe's standard library ignores.
const BY_THE_PROBE: u64 = 1 << 12;

/// A `vial` command whose caller ignores these signals.
fn ignoring(context: &Context, signals: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(&context.probe);
    command.args(["ignore", signals, "exec"]).arg(&context.vial);
    command.arg("--root").arg(&context.state).args(arguments);
    command
}

fn run_ignoring(context: &Context, signals: &str, deeds: &[&str]) -> Result<Done, String> {
    let container = Container::prepared(context, deeds)?;
    let bundle = container.bundle.path.to_string_lossy();
    let mut command = ignoring(context, signals, &["run", "--bundle", &bundle, &container.id]);
    Ok(context.run(&mut command)?)
}

fn caller_that_ignores_sigchld_gets_the_exit_code(context: &Context) -> Outcome {
    let before = context.leftovers();
    let done = run_ignoring(context, "17", &["exit", "42"])?;
    same("what run did", (done.code, done.stderr.as_str()), (42, ""))?;
    let container = Container::started(context, &["sleep", "3600"])?;
    let arguments = ["exec", &container.id, "/probe", "exit", "43"];
    let done = context.run(&mut ignoring(context, "17", &arguments))?;
    same("what exec did", (done.code, done.stderr.as_str()), (43, ""))?;
    container.remove()?;
    // A failure reaches the caller too.
    let container = Container::prepared(context, &["exit", "0"])?;
    fs::remove_file(container.bundle.rootfs.join("probe")).map_err(words)?;
    let bundle = container.bundle.path.to_string_lossy().into_owned();
    let arguments = ["run", "--bundle", &bundle, &container.id];
    let done = context.run(&mut ignoring(context, "17", &arguments))?;
    refused(&done, "no such file or directory")?;
    Ok(context.nothing_left_since(&before)?)
}

/// Checks that a process ignores and blocks no signal, by its proc_pid_status(5).
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
    // With many groups, SigIgn comes later in /proc/PID/status.
    let container = Container::prepared(context, &["cat", "/proc/self/status"])?;
    let bundle = container.bundle.path.to_string_lossy().into_owned();
    let arguments = ["run", "--bundle", &bundle, &container.id];
    let mut command = ignoring(context, IGNORED, &arguments);
    let done = with_many_groups(context, &mut command)?;
    Ok(all_default("a run by one of many groups", &done.success()?.stdout)?)
}

/// Runs a command with 2,000 supplementary groups.
fn with_many_groups(context: &Context, command: &mut Command) -> Result<Done, String> {
    let groups: Vec<_> = (100_000..102_000).map(rustix::process::Gid::from_raw).collect();
    let own = rustix::process::getgroups().map_err(words)?;
    rustix::thread::set_thread_groups(&groups).map_err(words)?;
    let done = context.run(command);
    rustix::thread::set_thread_groups(&own).map_err(words)?;
    Ok(done?)
}

fn signals_that_the_caller_ignores_are_default_after_create(context: &Context) -> Outcome {
    let container = Container::prepared(context, &["cat", "/proc/self/status"])?;
    let bundle = container.bundle.path.to_string_lossy().into_owned();
    let out = context.directory.join("status");
    let file = fs::File::create(&out).map_err(words)?;
    let arguments = ["create", "--bundle", &bundle, &container.id];
    let status = ignoring(context, IGNORED, &arguments).stdout(file).status();
    same("create", status.map_err(words)?.code(), Some(0))?;
    container.vial("start", &[])?.success()?;
    container.ends()?;
    all_default("a container", &fs::read_to_string(&out).map_err(words)?)?;
    Ok(container.remove()?)
}

fn signals_that_the_caller_ignores_are_default_in_an_exec(context: &Context) -> Outcome {
    let container = Container::started(context, &["sleep", "3600"])?;
    let arguments = ["exec", &container.id, "/probe", "cat", "/proc/self/status"];
    let done = context.run(&mut ignoring(context, IGNORED, &arguments))?.success()?;
    all_default("an exec", &done.stdout)?;
    let pid_file = context.directory.join("pid").to_string_lossy().into_owned();
    let arguments =
        ["exec", "--detach", "--pid-file", &pid_file, &container.id, "/probe", "sleep", "3600"];
    context.run(&mut ignoring(context, IGNORED, &arguments))?.success()?;
    let pid = fs::read_to_string(&pid_file).map_err(words)?;
    let status = || fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    wait_until("its program", || status().starts_with("Name:\tprobe"))?;
    all_default("a detached exec", &status())?;
    let process = Pid::from_raw(pid.parse().map_err(words)?).ok_or("no pid")?;
    kill_process(process, Signal::KILL).map_err(words)?;
    reap(std::path::Path::new(&pid_file))?;
    Ok(container.remove()?)
}

/// Sends SIGSTOP to every vial-init that is a child of `of`. Returns whether it found one.
/// A vial-init lives for a few milliseconds, and a look through all of /proc may take
/// longer. So this reads only the list of children, if the kernel has one
/// (CONFIG_PROC_CHILDREN).
fn stop_inits(of: u32) -> bool {
    let pids: Vec<u32> = match fs::read_to_string(format!("/proc/{of}/task/{of}/children")) {
        Ok(list) => list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect(),
        Err(_) => crate::processes::descendants(of).into_iter().map(|(pid, _)| pid).collect(),
    };
    let is_init = |pid: &u32| {
        fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "vial-init\n")
    };
    let inits = pids.into_iter().filter(is_init);
    inits.filter(|pid| send(u64::from(*pid), Signal::STOP).is_ok()).count() > 0
}

/// Sends a signal to vials whose vial-init is stopped, until one of them was still
/// launching. It must exit with 128 plus the signal's number.
fn ends_at_once(
    signal: Signal,
    mut vial: impl FnMut() -> Result<std::process::Child, String>,
    mut after: impl FnMut() -> Result<(), String>,
) -> Result<(), String> {
    for _ in 0..400 {
        let mut child = vial()?;
        let pid = child.id();
        // Poll without a pause: on real hardware vial-init lives for a few milliseconds.
        let ended = |child: &mut std::process::Child| child.try_wait().is_ok_and(|s| s.is_some());
        while !stop_inits(pid) && !ended(&mut child) {}
        std::thread::sleep(Duration::from_millis(20));
        let launching = stop_inits(pid);
        let sent = send(pid.into(), signal);
        if launching {
            sent?;
        } else {
            // It may have exited, or executed the program before the stop.
            for (process, _) in crate::processes::descendants(pid) {
                let _ = send(u64::from(process), Signal::CONT); // ESRCH: it has exited.
            }
        }
        let began = Instant::now();
        wait_until("it to end", || {
            let all = crate::processes::descendants(pid);
            if all.iter().all(|(_, name)| name != "vial-init") {
                // The stop may have hit the program instead of vial-init.
                for (process, _) in all {
                    let _ = send(u64::from(process), Signal::CONT); // ESRCH: it has exited.
                }
            }
            ended(&mut child)
        })?;
        let code = child.wait().map_err(words)?.code();
        after()?;
        // A stage 0 that stops at its very end delays nothing: the program has run.
        if launching && code != Some(0) {
            same("whether it ended at once", began.elapsed() < Duration::from_secs(5), true)?;
            return same("the exit code", code, Some(128 + signal.as_raw()));
        }
    }
    Err("no signal hit a launching vial".into())
}

fn signal_to_a_launching_run_leaves_nothing(context: &Context) -> Outcome {
    let before = context.leftovers();
    for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT] {
        let run = || {
            // Many runs are not hit, so the program must exit by itself.
            let container = Container::prepared(context, &["exit", "0"])?;
            container.command("run").stderr(Stdio::null()).spawn().map_err(words)
        };
        ends_at_once(signal, run, || context.nothing_left_since(&before))?;
    }
    Ok(())
}

fn signal_to_a_launching_exec_leaves_nothing(context: &Context) -> Outcome {
    let container = Container::started(context, &["sleep", "3600"])?;
    let before = crate::processes::descendants(std::process::id()).len();
    let exec = || {
        let mut command = context.command(&["exec", &container.id, "/probe", "exit", "0"]);
        command.stderr(Stdio::null()).spawn().map_err(words)
    };
    let left = || match crate::processes::descendants(std::process::id()).len() {
        count if count == before => Ok(()),
        count => Err(format!("{count} processes, before {before}")),
    };
    ends_at_once(Signal::TERM, exec, left)?;
    container.is("running")?;
    Ok(container.remove()?)
}

fn frozen_cgroup_is_refused(context: &Context) -> Outcome {
    let parent = cgroup_of(std::process::id())?.join(format!("{}-ice", context.tag));
    fs::create_dir(&parent).map_err(words)?;
    fs::write(parent.join("cgroup.freeze"), "1").map_err(words)?;
    let before = context.leftovers();
    let text = fs::read_to_string("/proc/self/cgroup").map_err(words)?;
    let own = text.lines().find_map(|line| line.strip_prefix("0::")).ok_or("no cgroup2")?;
    let path = format!("{}/{}-ice/inner", own.trim_end_matches('/'), context.tag);
    for verb in ["create", "run"] {
        let bundle =
            context.bundle(|config| config["linux"]["cgroupsPath"] = path.clone().into())?;
        let mut command = context.command(&[verb, "--bundle"]);
        let done = context.run(command.arg(&bundle.path).arg(context.id()))?;
        refused(&done, "is frozen, so that no process starts in it")?;
        context.nothing_left_since(&before)?;
        same("whether its cgroup exists", parent.join("inner").exists(), false)?;
    }
    fs::remove_dir(&parent).map_err(words)?;
    Ok(())
}

fn output_of_a_terminal_to_a_file_has_no_cr(context: &Context) -> Outcome {
    let container = Container::prepared_from(context, |config| {
        edit::deeds(config, &["echo", "one", "+", "echo", "two"]);
        config["process"]["terminal"] = true.into();
    })?;
    let done = context.run(&mut container.command("run"))?.success()?;
    same("what run printed", done.stdout.as_str(), "one\ntwo\n")?;
    let container = Container::started(context, &["sleep", "3600"])?;
    let words = ["exec", "--tty", &container.id, "/probe", "echo", "one"];
    let done = context.vial(&words)?.success()?;
    same("what exec printed", done.stdout.as_str(), "one\n")?;
    Ok(container.remove()?)
}
