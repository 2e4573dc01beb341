//! What the program starts with: the capabilities that it can have, one entry for each
//! variable, the fds of socket activation, and streams that belong to it.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Stdio;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};

use super::edit::{self, Container};
use super::preserve_fds::inherited;
use crate::bundle::Bundle;
use crate::context::{Done, same};
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "process_setup",
    unknown_capability_is_left_out_with_a_warning [Root],
    capability_that_the_caller_lacks_is_left_out [Root],
    unpermitted_effective_capability_is_left_out [Root],
    variable_set_twice_has_the_last_value_once [Root],
    exec_replaces_a_variable [Root],
    empty_home_counts_as_none [Root],
    socket_activation_for_the_caller_is_passed_on [Root],
    socket_activation_for_another_process_is_ignored [Root],
    process_file_inherits_missing_fields_from_the_container [Root],
    device_of_the_host_keeps_its_owner [Root, Machine],
    caller_may_have_few_fds[Root],
    pipe_is_given_to_the_user [Root],
);

const KILL: &str = "0000000000000020";

/// Runs a bundle as a caller in this role, or in none. Also returns the log.
fn logged(
    context: &Context,
    role: Option<&str>,
    bundle: &Bundle,
) -> Result<(Done, String), String> {
    let log = context.directory.join(format!("log-{}", context.id()));
    let (path, log_path) = (bundle.path.to_string_lossy(), log.to_string_lossy());
    let id = context.id();
    let words = ["--log", &*log_path, "run", "--bundle", &path, &id];
    let mut command = match role {
        Some(role) => context.command_as(role, &words),
        None => context.command(&words),
    };
    let done = context.run(&mut command)?;
    Ok((done, fs::read_to_string(log).unwrap_or_default()))
}

fn report(done: Done) -> Result<Value, String> {
    let done = done.success()?;
    done.json()
}

fn warned(log: &str, field: &str, name: &str) -> Result<(), String> {
    let found = log
        .lines()
        .any(|line| line.contains("level=warning") && line.contains(field) && line.contains(name));
    same(&format!("a warning of {field} and {name} in {log:?}"), found, true)
}

fn effective(report: &Value) -> &str {
    report["capabilities"]["CapEff"].as_str().unwrap_or_default()
}

fn unknown_capability_is_left_out_with_a_warning(context: &Context) -> Outcome {
    let bundle = context.bundle(|c| edit::capabilities(c, &["CAP_NO_SUCH", "CAP_KILL"]))?;
    let (done, log) = logged(context, None, &bundle)?;
    same("the others", effective(&report(done)?), KILL)?;
    Ok(warned(&log, "process.capabilities.permitted[0]", "CAP_NO_SUCH")?)
}

fn capability_that_the_caller_lacks_is_left_out(context: &Context) -> Outcome {
    let bundle = context.bundle(|c| edit::capabilities(c, &["CAP_SYS_TIME", "CAP_KILL"]))?;
    let (done, log) = logged(context, Some("without:25"), &bundle)?;
    same("the others", effective(&report(done)?), KILL)?;
    Ok(warned(&log, "process.capabilities.permitted", "CAP_SYS_TIME")?)
}

fn unpermitted_effective_capability_is_left_out(context: &Context) -> Outcome {
    let bundle = context.bundle(|config| {
        edit::capabilities(config, &["CAP_KILL"]);
        config["process"]["capabilities"]["effective"] = json!(["CAP_KILL", "CAP_CHOWN"]);
    })?;
    let (done, log) = logged(context, None, &bundle)?;
    same("the others", effective(&report(done)?), KILL)?;
    Ok(warned(&log, "process.capabilities.effective", "CAP_CHOWN")?)
}

/// The environment as execve(2) got it, in order.
fn environment(report: &Value) -> Vec<String> {
    let entries = report["environ"].as_array().cloned().unwrap_or_default();
    entries.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn variable_set_twice_has_the_last_value_once(context: &Context) -> Outcome {
    let report = context.report(|config| {
        config["process"]["env"] = json!(["A=1", "HOME=/x", "B=2", "A=3", "AB=4", "B="]);
    })?;
    Ok(same("the environment", environment(&report), ["HOME=/x", "A=3", "AB=4", "B="])?)
}

fn exec_replaces_a_variable(context: &Context) -> Outcome {
    let container = Container::start(context, &["sleep", "60"], |config| {
        config["process"]["env"] = json!(["FOO=old", "HOME=/", "BAR=kept"]);
    })?;
    let done = container.exec(&["-e", "FOO=new", "--env=FOO=newest"], &["report"])?;
    let seen = environment(&report(done)?);
    Ok(same("the environment", seen, ["HOME=/", "BAR=kept", "FOO=newest"])?)
}

fn empty_home_counts_as_none(context: &Context) -> Outcome {
    let bundle = context.bundle(|c| c["process"]["env"] = json!(["HOME=", "A=b"]))?;
    fs::write(bundle.rootfs.join("etc/passwd"), "root:x:0:0::/the/home:/bin/sh\n")
        .map_err(|e| e.to_string())?;
    let seen = environment(&edit::report_of(context, &bundle)?);
    Ok(same("the environment", seen, ["A=b", "HOME=/the/home"])?)
}

fn socket_activation_for_the_caller_is_passed_on(context: &Context) -> Outcome {
    let _open = (3..6).map(|number| inherited(context, number)).collect::<Result<Vec<_>, _>>()?;
    let bundle = context.bundle(|c| c["process"]["env"] = json!(["HOME=/", "LISTEN_PID=77"]))?;
    let path = bundle.path.to_string_lossy();
    let words = ["run", "--preserve-fds=1", "--bundle", &path, &context.id()];
    let mut command = context.command_as("activated", &words);
    command.env("LISTEN_FDS", "2").env("LISTEN_FDNAMES", "web:log");
    let seen = report(context.run(&mut command)?)?;
    let wanted = ["HOME=/", "LISTEN_FDS=2", "LISTEN_FDNAMES=web:log", "LISTEN_PID=1"];
    let variables = environment(&seen);
    same("the environment", wanted.iter().all(|entry| variables.iter().any(|v| v == entry)), true)
        .map_err(|why| format!("{why}: {variables:?}"))?;
    same("one LISTEN_PID", variables.iter().filter(|v| v.starts_with("LISTEN_PID")).count(), 1)?;
    let fds: Vec<_> = seen["fds"].as_object().map(|fds| fds.keys().collect()).unwrap_or_default();
    Ok(same("the fds", fds, ["0", "1", "2", "3", "4", "5"])?)
}

fn socket_activation_for_another_process_is_ignored(context: &Context) -> Outcome {
    let _open = (3..6).map(|number| inherited(context, number)).collect::<Result<Vec<_>, _>>()?;
    for pid in [Some("1"), Some("x"), None] {
        let bundle = context.bundle(|_| {})?;
        let mut command = context.command(&["run", "--bundle"]);
        command.arg(&bundle.path).arg(context.id()).env("LISTEN_FDS", "2");
        command.envs(pid.map(|pid| ("LISTEN_PID", pid)));
        let seen = report(context.run(&mut command)?)?;
        let fds = seen["fds"].as_object().map(serde_json::Map::len);
        same("the number of fds", fds, Some(3))?;
        let variables = environment(&seen);
        same("a variable", variables.iter().any(|v| v.starts_with("LISTEN")), false)?;
    }
    Ok(())
}

/// Engines pass a process without these two fields. Then the container's apply.
fn process_file_inherits_missing_fields_from_the_container(context: &Context) -> Outcome {
    let container = Container::start(context, &["sleep", "60"], |config| {
        edit::capabilities(config, &["CAP_KILL"]);
        config["process"]["oomScoreAdj"] = json!(321);
    })?;
    let file = context.directory.join("process.json");
    let process = json!({ "args": ["/probe", "report"], "cwd": "/", "env": [], "user": {} });
    fs::write(&file, process.to_string()).map_err(|e| e.to_string())?;
    let file = file.to_string_lossy();
    let seen = report(context.vial(&["exec", "--process", &file, &container.id])?)?;
    same("its capabilities", effective(&seen), KILL)?;
    Ok(same("oom_score_adj", seen["oom_score_adj"].as_str(), Some("321"))?)
}

fn device_of_the_host_keeps_its_owner(context: &Context) -> Outcome {
    for device in ["/dev/console", "/dev/null", "/dev/zero", "/dev/ttyS0"] {
        let Ok(before) = fs::metadata(device) else { continue };
        let bundle =
            context.bundle(|c| c["process"]["user"] = json!({"uid": 1000, "gid": 1000}))?;
        let mut command = context.command(&["run", "--bundle"]);
        command.arg(&bundle.path).arg(context.id());
        let Ok(input) = File::open(device) else { continue };
        let status = command.stdin(input).stdout(Stdio::null()).status();
        same("whether it succeeded", status.is_ok_and(|status| status.success()), true)?;
        let after = fs::metadata(device).map_err(|e| e.to_string())?;
        same(&format!("the owner of {device}"), after.uid(), before.uid())?;
    }
    Ok(same("whether there is a console", Path::new("/dev/console").exists(), true)?)
}

/// Otherwise the user could not open /dev/stdout again.
fn pipe_is_given_to_the_user(context: &Context) -> Outcome {
    let bundle = context.bundle(|config| {
        config["process"]["user"] = json!({"uid": 1000, "gid": 1000});
        edit::deeds(config, &["append", "/dev/stdout", "written"]);
    })?;
    let mut command = context.command(&["run", "--bundle"]);
    command.arg(&bundle.path).arg(context.id()).stdin(Stdio::null());
    let output = command.output().map_err(|e| e.to_string())?;
    Ok(same("what was written", &*output.stdout, &b"written"[..])?)
}

/// As on a board whose init sets a low limit. vial-init must keep few fds open.
fn caller_may_have_few_fds(context: &Context) -> Outcome {
    let own = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(16), ..own }).map_err(|e| e.to_string())?;
    let bundle = context.bundle(|config| edit::deeds(config, &["exit", "42"]))?;
    Ok(same("the code", context.run_bundle(&bundle)?.code, 42)?)
}
