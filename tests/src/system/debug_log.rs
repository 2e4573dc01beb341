//! --debug: what vial plans and does, and what the processes of vial-init are at.

use std::fs;

use serde_json::{Value, json};

use super::container::{refused, words};
use super::edit;
use crate::context::{Done, same};
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "debug_log",
    debug_log_tells_the_plan_the_gates_and_the_times[Root],
    debug_log_tells_the_item_that_takes_long[Root],
    debug_log_goes_to_the_log_file_in_its_format[Root],
    error_is_the_last_line_of_the_debug_log,
    debug_log_tells_what_other_verbs_do[Root],
);

/// Runs a container with these options before the verb.
fn run(context: &Context, options: &[&str], edit: impl FnOnce(&mut Value)) -> Result<Done, String> {
    let bundle = context.bundle(|config| {
        edit::deeds(config, &["echo", "hello"]);
        edit(config);
    })?;
    let (path, id) = (bundle.path.to_string_lossy().into_owned(), context.id());
    let verb = ["run", "--bundle", &path, &id];
    Ok(context.vial(&[options, &verb].concat())?)
}

fn holds(text: &str, parts: &[&str]) -> Result<(), String> {
    match parts.iter().find(|part| !text.contains(**part)) {
        Some(part) => Err(format!("there is no {part:?} in:\n{text}")),
        None => Ok(()),
    }
}

/// The times at the beginning of the messages.
fn times<'a>(messages: impl Iterator<Item = &'a str>) -> Result<Vec<f64>, String> {
    let time = |message: &str| {
        let (time, _) = message.split_once(" ms: ").ok_or_else(|| format!("no time: {message}"))?;
        time.parse().map_err(words)
    };
    messages.map(time).collect()
}

fn debug_log_tells_the_plan_the_gates_and_the_times(context: &Context) -> Outcome {
    let quiet = run(context, &[], |_| {})?.success()?;
    same("stderr without --debug", quiet.stderr.as_str(), "")?;
    for option in ["--debug", "--log-level=debug"] {
        let done = run(context, &[option], |_| {})?.success()?;
        same("stdout", done.stdout.as_str(), "hello\n")?;
        let parts = [
            "config.json, ",
            "planned: stage 0, item 0: close every inherited fd",
            "planned: stage 2, item ",
            "(config.json process.cwd)",
            "started vial-init, process ",
            "waits at gate Start",
            "has executed its program",
            "ms: removing /",
        ];
        holds(&done.stderr, &parts)?;
        let messages = done.stderr.lines().map(|line| line.strip_prefix("vial: debug: "));
        let messages: Option<Vec<&str>> = messages.collect();
        let messages = messages.ok_or_else(|| format!("another line: {done}"))?;
        let times = times(messages.into_iter())?;
        same("whether the times rise", times.is_sorted() && times[0] >= 0.0, true)?;
    }
    Ok(())
}

fn debug_log_tells_the_item_that_takes_long(context: &Context) -> Outcome {
    let hook = json!({"path": context.probe, "args": ["hook", "sleep", "1"]});
    let done = run(context, &["--debug"], |config| {
        config["hooks"] = json!({"createContainer": [hook]});
    })?;
    let done = done.success()?;
    let at = |line: &&str| line.contains(" is at stage 2, item ") && line.contains(" hook ");
    let line = done.stderr.lines().find(at).ok_or_else(|| format!("no such item: {done}"))?;
    Ok(holds(line, &["(config.json hooks.createContainer[0])"])?)
}

fn debug_log_goes_to_the_log_file_in_its_format(context: &Context) -> Outcome {
    let log = context.directory.join("debug.log");
    let file = format!("--log={}", log.display());
    for format in ["text", "json"] {
        let format_word = format!("--log-format={format}");
        let done = run(context, &["--debug", &file, &format_word], |_| {})?.success()?;
        same("stderr", done.stderr.as_str(), "")?;
        let text = fs::read_to_string(&log).map_err(words)?;
        holds(&text, &["planned: stage 2", "waits at gate Start"])?;
        for line in text.lines() {
            if format == "text" {
                holds(line, &["time=\"", " level=debug msg=\""])?;
            } else {
                let object: Value = serde_json::from_str(line).map_err(words)?;
                same("level", object["level"].as_str(), Some("debug"))?;
                times(object["msg"].as_str().into_iter())?;
            }
        }
        fs::remove_file(&log).map_err(words)?;
    }
    Ok(())
}

fn error_is_the_last_line_of_the_debug_log(context: &Context) -> Outcome {
    let log = context.directory.join("failed.log");
    let file = format!("--log={}", log.display());
    let words_before = ["--debug", &file, "--log-format=json", "state", "nobody"];
    refused(&context.vial(&words_before)?, "does not exist")?;
    let text = fs::read_to_string(&log).map_err(words)?;
    let levels = text.lines().map(|line| {
        let object: Value = serde_json::from_str(line).map_err(words)?;
        Ok(object["level"].as_str().unwrap_or_default().to_owned())
    });
    let levels: Vec<String> = levels.collect::<Result<_, String>>()?;
    Ok(same("the levels", levels.join(" "), "debug error")?)
}

fn debug_log_tells_what_other_verbs_do(context: &Context) -> Outcome {
    let container = super::container::Container::started(context, &["sleep", "3600"])?;
    let debug = |verb: &[&str]| -> Result<String, String> {
        let done = context.vial(&[&["--debug"], verb].concat())?;
        Ok(done.success()?.stderr)
    };
    holds(&debug(&["exec", &container.id, "/probe", "echo", "x"])?, &["planned: stage 0"])?;
    holds(&debug(&["kill", &container.id, "KILL"])?, &["sent ", " to process "])?;
    container.ends()?;
    holds(&debug(&["delete", &container.id])?, &["ms: removing /"])?;
    Ok(())
}
