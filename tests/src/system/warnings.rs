//! Warnings go to the log file with their level, and never where an engine would
//! misread them.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::container::{refused, words};
use super::edit::{self, Container};
use crate::bundle::Bundle;
use crate::context::{Done, same};
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "warnings",
    warning_is_in_the_text_log_with_its_level[Root],
    json_log_of_a_success_has_the_warning[Root],
    json_log_of_a_failure_has_the_error_alone[Root],
    no_warning_is_printed_unless_stderr_is_a_terminal[Root],
    warning_is_printed_on_a_terminal[Root],
    exec_warns_too[Root],
    kernel_memory_has_no_limit_of_its_own[Root],
    option_that_a_bind_does_not_have_changes_nothing[Root],
    plan_ends_with_its_warnings[Root],
    unopenable_log_is_refused_before_anything_is_done[Root],
    unwritable_log_hides_no_error,
);

/// The field and the name in the warning about this profile.
const FIELD: &str = "linux.seccomp.syscalls[0].names";
const NAME: &str = "a_call_of_tomorrow";

/// Adds a profile with an unknown name, which changes nothing but causes a warning.
fn warned(config: &mut Value) {
    config["linux"]["seccomp"] = json!({ "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{ "names": [NAME], "action": "SCMP_ACT_ALLOW" }] });
}

/// A bundle that causes a warning, and the path of a log that does not exist yet.
fn bundle_and_log(context: &Context) -> Result<(Bundle, PathBuf), String> {
    let bundle = context.bundle(|config| {
        edit::deeds(config, &["exit", "0"]);
        warned(config);
    })?;
    Ok((bundle, context.directory.join(format!("log-{}", context.id()))))
}

/// Runs `vial --log LOG --log-format FORMAT VERB..`.
fn logged(context: &Context, log: &Path, format: &str, verb: &[&str]) -> Result<Done, String> {
    let log = log.to_string_lossy();
    let all = [&["--log", &log, "--log-format", format][..], verb].concat();
    Ok(context.vial(&all)?)
}

/// The level and the message of each line of a JSON log.
fn objects(log: &Path) -> Result<Vec<(String, String)>, String> {
    let text = fs::read_to_string(log).map_err(words)?;
    let part = |object: &Value, name: &str| object[name].as_str().unwrap_or_default().to_owned();
    let read = |line| serde_json::from_str(line).map_err(words);
    let objects = text.lines().map(read).collect::<Result<Vec<Value>, String>>()?;
    Ok(objects.iter().map(|object| (part(object, "level"), part(object, "msg"))).collect())
}

fn warning_is_in_the_text_log_with_its_level(context: &Context) -> Outcome {
    let (bundle, log) = bundle_and_log(context)?;
    let path = bundle.path.to_string_lossy();
    let done = logged(context, &log, "text", &["run", "-b", &path, &context.id()])?.success()?;
    same("stderr", done.stderr.as_str(), "")?;
    let text = fs::read_to_string(&log).map_err(words)?;
    same("its lines", text.lines().count(), 1)?;
    for word in ["level=warning", FIELD, NAME] {
        same(word, text.contains(word), true).map_err(|why| format!("{why}: {text}"))?;
    }
    Ok(())
}

fn json_log_of_a_success_has_the_warning(context: &Context) -> Outcome {
    let (bundle, log) = bundle_and_log(context)?;
    let path = bundle.path.to_string_lossy();
    let done = logged(context, &log, "json", &["run", "-b", &path, &context.id()])?.success()?;
    same("stderr", done.stderr.as_str(), "")?;
    let objects = objects(&log)?;
    same("its objects", objects.len(), 1)?;
    same("level", objects[0].0.as_str(), "warning")?;
    let names_both = objects[0].1.contains(FIELD) && objects[0].1.contains(NAME);
    Ok(same("whether it names the field and the call", names_both, true)?)
}

fn json_log_of_a_failure_has_the_error_alone(context: &Context) -> Outcome {
    let (bundle, log) = bundle_and_log(context)?;
    let path = bundle.path.to_string_lossy().into_owned();
    let alone = |what: &str| {
        let objects = objects(&log)?;
        let levels: Vec<&str> = objects.iter().map(|(level, _)| level.as_str()).collect();
        same(what, levels, ["error"])
    };
    // The warning and the error come from the same verb.
    let failing = context.bundle(|config| {
        edit::deeds(config, &["exit", "0"]);
        config["process"]["args"][0] = "/no/such/program".into();
        warned(config);
    })?;
    let of_it = failing.path.to_string_lossy();
    logged(context, &log, "json", &["create", "-b", &of_it, &context.id()])?.failure()?;
    alone("levels after a create that failed")?;
    fs::remove_file(&log).map_err(words)?;
    // The warning comes from an earlier verb on the same container and log.
    let id = context.id();
    logged(context, &log, "json", &["create", "-b", &path, &id])?.success()?;
    logged(context, &log, "json", &["create", "-b", &path, &id])?.failure()?;
    alone("levels after a second create")?;
    // Only warnings are removed from the log.
    logged(context, &log, "json", &["state", "nobody"])?.failure()?;
    same("the number of objects after two errors", objects(&log)?.len(), 2)?;
    Ok(context.vial(&["delete", "--force", &id])?.success().map(drop)?)
}

fn no_warning_is_printed_unless_stderr_is_a_terminal(context: &Context) -> Outcome {
    let (bundle, _) = bundle_and_log(context)?;
    let done = context.run_bundle(&bundle)?.success()?;
    Ok(same("stderr", done.stderr.as_str(), "")?)
}

fn warning_is_printed_on_a_terminal(context: &Context) -> Outcome {
    let (bundle, _) = bundle_and_log(context)?;
    let (master, slave) = super::terminal::pair()?;
    let mut command = context.command(&["run", "--bundle"]);
    command.arg(&bundle.path).arg(context.id()).stderr(OwnedFd::from(slave));
    let code = command.status().map_err(words)?.code();
    drop(command);
    same("the exit code", code, Some(0))?;
    let said = super::terminal::read_until(&master, "\n")?;
    same("whether it is a warning", said.starts_with("vial: warning: "), true)?;
    Ok(same("whether it names the call", said.contains(NAME), true)?)
}

fn exec_warns_too(context: &Context) -> Outcome {
    let container = Container::start(context, &["sleep", "60"], warned)?;
    let log = context.directory.join("exec.log");
    let words = ["exec", &container.id, "/probe", "exit", "0"];
    logged(context, &log, "json", &words)?.success()?;
    let objects = objects(&log)?;
    same("its objects", objects.len(), 1)?;
    Ok(same("level", objects[0].0.as_str(), "warning")?)
}

fn kernel_memory_has_no_limit_of_its_own(context: &Context) -> Outcome {
    let bundle = context.bundle(|config| {
        config["linux"]["resources"]["memory"] = json!({ "kernel": 64 << 20 });
    })?;
    let path = bundle.path.to_string_lossy();
    let plan = context.vial(&["plan", "--bundle", &path])?.success()?.stdout;
    let text = "config.json linux.resources.memory.kernel: the limit 67108864 is not set";
    let warned = plan.lines().any(|line| line.contains(text));
    Ok(same("whether it warns", warned, true).map_err(|why| format!("{why}: {plan}"))?)
}

/// runc and crun hand it to the kernel, which does not look at it.
fn option_that_a_bind_does_not_have_changes_nothing(context: &Context) -> Outcome {
    let log = context.directory.join(format!("log-{}", context.id()));
    let bundle = context.bundle(|config| {
        edit::deeds(config, &["stat", "/mnt"]);
        let options = ["bind", "mode=755", "size=1k"];
        let mount = json!({ "destination": "/mnt", "source": "rootfs", "options": options });
        edit::add(&mut config["mounts"], mount);
    })?;
    let path = bundle.path.to_string_lossy();
    logged(context, &log, "json", &["run", "-b", &path, &context.id()])?.success()?;
    let text = r#"config.json mounts[N].options: "mode=755,size=1k" does nothing, as it is no option of a bind"#;
    let (level, said) = objects(&log)?.pop().ok_or("no warning")?;
    same("level", level.as_str(), "warning")?;
    let index = said.split_once("mounts[").and_then(|(_, rest)| rest.split_once(']'));
    let index = index.ok_or_else(|| said.clone())?.0;
    Ok(same("warning", said.as_str(), text.replace('N', index).as_str())?)
}

fn plan_ends_with_its_warnings(context: &Context) -> Outcome {
    let (bundle, _) = bundle_and_log(context)?;
    let path = bundle.path.to_string_lossy();
    let done = context.vial(&["plan", "--bundle", &path])?.success()?;
    let last: Vec<&str> = done.stdout.lines().rev().take(2).collect();
    same("the title", last.get(1).copied(), Some("warnings"))?;
    Ok(same("whether it names the call", last[0].contains(NAME), true)?)
}

fn unopenable_log_is_refused_before_anything_is_done(context: &Context) -> Outcome {
    let (bundle, _) = bundle_and_log(context)?;
    let path = bundle.path.to_string_lossy();
    let before = context.leftovers();
    for log in ["/no/such/directory/log", "/proc/version/log", "/"] {
        let id = context.id();
        let done = context.vial(&["--log", log, "create", "--bundle", &path, &id])?;
        refused(&done, &format!("--log {log}: open(2): E"))?;
        context.nothing_left_since(&before)?;
    }
    // Help and version need no log.
    Ok(context.vial(&["--log", "/no/such/directory/log", "--help"])?.success().map(drop)?)
}

fn unwritable_log_hides_no_error(context: &Context) -> Outcome {
    let done = context.vial(&["--log", "/dev/full", "state", "nobody"])?.failure()?;
    same("whether the error is reported", done.stderr.contains("does not exist"), true)?;
    Ok(same(
        "whether the error of the log is reported",
        done.stderr.contains("write /dev/full"),
        true,
    )?)
}
