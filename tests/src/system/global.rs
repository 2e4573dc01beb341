//! The command line before the verb: global options in every form, --log, --version,
//! and unknown verbs.

use std::fs;
use std::process::Command;

use serde_json::Value;

use super::container::{refused, words};
use crate::context::{Done, same};
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "global",
    root_may_be_written_in_every_form,
    json_log_has_one_object_for_a_failure,
    log_of_a_success_is_empty,
    text_log_has_level_and_message,
    unknown_log_format_is_refused,
    rootless_and_log_level_are_known,
    warnings_are_left_out_at_the_level_error[Root],
    version_has_the_lines_that_engines_parse,
    unknown_verb_is_refused,
    podman_sees_that_checkpoints_work,
    help_names_every_verb,
    every_verb_has_a_help,
    option_without_its_value_is_refused,
    unknown_option_is_refused,
);

/// Runs vial with these arguments alone.
fn vial(context: &Context, words: &[&str]) -> Result<Done, String> {
    Ok(context.run(Command::new(&context.vial).args(words))?)
}

fn root_may_be_written_in_every_form(context: &Context) -> Outcome {
    let state = context.state.to_string_lossy().into_owned();
    fs::create_dir_all(context.state.join("here")).map_err(words)?;
    let (both, single) = (format!("--root={state}"), format!("-root={state}"));
    let forms: [&[&str]; 5] = [
        &["--root", &state],
        &[&both],
        &["-root", &state],
        &[&single],
        &["--debug", "--root", &state, "--log-format=json"],
    ];
    for form in forms {
        // A directory without a state, which exists only in this state directory.
        let done = vial(context, &[form, &["state", "here"]].concat())?;
        same("the exit code", done.code, 1)?;
        let found = done.stderr.contains("here") && !done.stderr.contains("does not exist");
        same("whether it used that state directory", found, true)
            .map_err(|why| format!("{form:?}: {why}: {done}"))?;
    }
    Ok(())
}

fn json_log_has_one_object_for_a_failure(context: &Context) -> Outcome {
    let log = context.directory.join("log.json");
    let log_word = log.to_string_lossy();
    let failing: [&[&str]; 4] = [
        &["state", "nobody"],
        &["start", "nobody\"\n\\"],
        &["create", "--bundle", "/no/such", "x"],
        &["exec", "nobody", "/probe"],
    ];
    for verb in failing {
        let words = [&["--log", &log_word, "--log-format", "json"][..], verb].concat();
        let done = context.vial(&words)?;
        let code = if verb[0] == "exec" { 255 } else { 1 };
        same("the exit code", done.code, code)?;
        let text = fs::read_to_string(&log).map_err(self::words)?;
        same("its lines", text.lines().count(), 1)?;
        let object: Value = serde_json::from_str(&text).map_err(self::words)?;
        same("level", object["level"].as_str(), Some("error"))?;
        let said = done.stderr.lines().next().unwrap_or_default().trim_start_matches("vial: ");
        let message = object["msg"].as_str().unwrap_or_default();
        same("whether msg begins like stderr", message.starts_with(said), true)?;
        let time = object["time"].as_str().unwrap_or_default();
        same(
            "length of the time, and whether it ends with Z",
            (time.len(), time.ends_with('Z')),
            (20, true),
        )?;
        fs::remove_file(&log).map_err(self::words)?;
    }
    Ok(())
}

fn log_of_a_success_is_empty(context: &Context) -> Outcome {
    let log = context.directory.join("log.json");
    let word = log.to_string_lossy();
    context.vial(&["--log", &word, "--log-format=json", "features"])?.success()?;
    Ok(same("the log", fs::read_to_string(&log).unwrap_or_default().as_str(), "")?)
}

fn text_log_has_level_and_message(context: &Context) -> Outcome {
    let log = context.directory.join("log");
    let word = log.to_string_lossy();
    for count in 1..3 {
        context.vial(&["--log", &word, "state", "nobody"])?.failure()?;
        let text = fs::read_to_string(&log).map_err(words)?;
        same("its lines", text.lines().count(), count)?;
        same("level", text.contains("level=error"), true)?;
        same("msg", text.contains("does not exist"), true)?;
    }
    Ok(())
}

fn unknown_log_format_is_refused(context: &Context) -> Outcome {
    Ok(refused(&context.vial(&["--log-format", "yaml", "list"])?, "yaml")?)
}

fn rootless_and_log_level_are_known(context: &Context) -> Outcome {
    for words in [
        &["--rootless=true", "features"][..],
        &["--rootless", "false", "features"],
        &["--rootless=auto", "--log-level=error", "features"],
        &["--log-level", "info", "features"],
    ] {
        let done = vial(context, words)?;
        same(&words.join(" "), (done.code, &*done.stderr), (0, ""))?;
    }
    for (option, text) in [("--rootless=maybe", "--rootless"), ("--log-level=loud", "log level")] {
        refused(&vial(context, &[option, "list"])?, text)?;
    }
    Ok(())
}

fn warnings_are_left_out_at_the_level_error(context: &Context) -> Outcome {
    let bundle = context.bundle(|config| {
        super::edit::deeds(config, &["exit", "0"]);
        config["linux"]["resources"]["memory"]["kernel"] = serde_json::json!(1 << 20);
    })?;
    for (level, has_some) in [("warning", true), ("error", false)] {
        let log = context.directory.join(format!("log-{level}"));
        let mut command = context.command(&["--log-level", level, "--log"]);
        command.arg(&log).arg("run").arg("--bundle").arg(&bundle.path).arg(context.id());
        context.run(&mut command)?.success()?;
        let text = fs::read_to_string(&log).unwrap_or_default();
        same(level, text.contains("memory.kernel"), has_some)?;
    }
    Ok(())
}

fn version_has_the_lines_that_engines_parse(context: &Context) -> Outcome {
    for word in ["--version", "-v"] {
        let done = vial(context, &[word])?.success()?;
        same("stderr", done.stderr.as_str(), "")?;
        let lines: Vec<&str> = done.stdout.lines().collect();
        let starts =
            |place: usize, with: &str| lines.get(place).is_some_and(|l| l.starts_with(with));
        same("vial version", starts(0, "vial version "), true)?;
        same("commit", starts(1, "commit: "), true)?;
        same("spec", starts(2, "spec: 1."), true)?;
    }
    Ok(())
}

fn unknown_verb_is_refused(context: &Context) -> Outcome {
    Ok(refused(&context.vial(&["frobnicate", "x"])?, "frobnicate")?)
}

fn podman_sees_that_checkpoints_work(context: &Context) -> Outcome {
    // crutils asks this, and for pods whether restore knows the flag.
    vial(context, &["checkpoint", "--help"])?.success()?;
    let done = vial(context, &["restore", "--lsm-mount-context"])?;
    Ok(refused(&done, "--lsm-mount-context requires an argument")?)
}

fn help_names_every_verb(context: &Context) -> Outcome {
    let done = vial(context, &["--help"])?.success()?;
    for verb in VERBS {
        same(verb, done.stdout.contains(verb), true)?;
    }
    Ok(())
}

const VERBS: [&str; 18] = [
    "checkpoint",
    "create",
    "delete",
    "events",
    "exec",
    "features",
    "kill",
    "list",
    "pause",
    "plan",
    "ps",
    "restore",
    "resume",
    "run",
    "spec",
    "start",
    "state",
    "update",
];

fn every_verb_has_a_help(context: &Context) -> Outcome {
    for verb in VERBS {
        let done = vial(context, &[verb, "--help"])?;
        same(verb, done.code, 0).map_err(|why| format!("{why}: {done}"))?;
        same("whether it names the verb", done.stdout.contains(verb), true)?;
    }
    Ok(())
}

fn option_without_its_value_is_refused(context: &Context) -> Outcome {
    refused(&vial(context, &["--root"])?, "root")?;
    Ok(refused(&context.vial(&["create", "--bundle"])?, "bundle")?)
}

fn unknown_option_is_refused(context: &Context) -> Outcome {
    refused(&context.vial(&["--nonsense", "list"])?, "--nonsense")?;
    Ok(refused(&context.vial(&["list", "--nonsense"])?, "--nonsense")?)
}
