//! `vial run`: its exit code, signals and streams, and what remains afterwards.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

use super::container::{Container, refused, wait_until, words};
use super::edit;
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};
use rustix::process::{Pid, Signal, kill_process};

topic!(
    "foreground",
    exit_code_is_that_of_the_process[Root],
    exit_code_after_a_signal_is_128_plus_the_signal[Root],
    exit_code_of_a_killed_pid_1_is_137[Root],
    no_signal_is_blocked_in_a_container[Root],
    signals_are_passed_on[Root],
    run_deletes_its_container[Root],
    keep_keeps_the_container[Root],
    detached_run_returns_and_the_container_stays[Root],
    pid_file_has_the_pid_and_nothing_else[Root],
    pid_file_that_cannot_be_written_is_refused[Root],
    pid_file_is_replaced[Root],
    streams_are_the_callers_own[Root],
    mebibyte_of_bytes_passes_unchanged[Root],
    detached_container_writes_to_the_callers_stdout[Root],
    missing_program_is_refused[Root],
);

fn exit_code_is_that_of_the_process(context: &Context) -> Outcome {
    for code in [0, 1, 2, 42, 125, 126, 127, 128, 137, 254, 255] {
        let done = context.run_bundle(&context.probe_bundle(&["exit", &code.to_string()])?)?;
        same("the exit code", done.code, code)?;
        same("stderr", done.stderr.as_str(), "")?;
    }
    Ok(())
}

/// Starts `run` of the container's bundle, and does not wait.
fn spawn(
    container: &Container<'_>,
    edit: impl FnOnce(&mut Command) -> &mut Command,
) -> Result<Child, String> {
    edit(container.command("run").stdin(Stdio::null())).spawn().map_err(words)
}

fn exit_code_after_a_signal_is_128_plus_the_signal(context: &Context) -> Outcome {
    for (signal, code) in [("TERM", 143), ("INT", 130), ("HUP", 129), ("KILL", 137)] {
        let container = Container::prepared_from(context, |config| {
            edit::deeds(config, &["sleep", "3600"]);
            edit::without_namespace(config, "pid");
        })?;
        let mut run = spawn(&container, |command| command)?;
        wait_until("it to run", || container.status().is_ok_and(|status| status == "running"))?;
        container.vial("kill", &[signal])?.success()?;
        wait_until("it to end", || run.try_wait().is_ok_and(|status| status.is_some()))?;
        same(signal, run.wait().map_err(words)?.code(), Some(code))?;
    }
    Ok(())
}

fn no_signal_is_blocked_in_a_container(context: &Context) -> Outcome {
    let done = context.run_bundle(&context.probe_bundle(&["cat", "/proc/self/status"])?)?;
    let mask = done.stdout.lines().find_map(|line| line.strip_prefix("SigBlk:"));
    Ok(same("SigBlk", mask.map(str::trim), Some("0000000000000000"))?)
}

fn exit_code_of_a_killed_pid_1_is_137(context: &Context) -> Outcome {
    let before = context.leftovers();
    let container = Container::prepared(context, &["sleep", "3600"])?;
    let mut run = spawn(&container, |command| command)?;
    wait_until("it to run", || container.status().is_ok_and(|status| status == "running"))?;
    container.vial("kill", &["KILL"])?.success()?;
    same("the exit code", run.wait().map_err(words)?.code(), Some(137))?;
    Ok(context.nothing_left_since(&before)?)
}

fn signals_are_passed_on(context: &Context) -> Outcome {
    let container = Container::prepared(context, &["signals"])?;
    let out = context.directory.join("signals");
    let file = File::create(&out).map_err(words)?;
    let mut run = spawn(&container, |command| command.stdout(file))?;
    let vial = i32::try_from(run.id()).ok().and_then(Pid::from_raw).ok_or("no pid")?;
    let lines = || fs::read_to_string(&out).unwrap_or_default().lines().count();
    let sent = [Signal::USR1, Signal::INT, Signal::HUP, Signal::QUIT, Signal::USR2, Signal::TERM];
    for (index, signal) in sent.iter().enumerate() {
        wait_until("the one before", || lines() == index + 1)?;
        kill_process(vial, *signal).map_err(words)?;
    }
    same("the exit code", run.wait().map_err(words)?.code(), Some(0))?;
    let arrived = fs::read_to_string(&out).map_err(words)?;
    Ok(same("what arrived", arrived.as_str(), "ready\n10\n2\n1\n3\n12\n15\n")?)
}

fn run_deletes_its_container(context: &Context) -> Outcome {
    let before = context.leftovers();
    let container = Container::prepared(context, &["exit", "3"])?;
    let mut run = spawn(&container, |command| command)?;
    same("the exit code", run.wait().map_err(words)?.code(), Some(3))?;
    refused(&container.vial("state", &[])?, "does not exist")?;
    Ok(context.nothing_left_since(&before)?)
}

fn keep_keeps_the_container(context: &Context) -> Outcome {
    let before = context.leftovers();
    let container = Container::prepared(context, &["exit", "3"])?;
    let mut run = spawn(&container, |command| command.arg("--keep"))?;
    same("the exit code", run.wait().map_err(words)?.code(), Some(3))?;
    container.is("stopped")?;
    container.vial("delete", &[])?.success()?;
    Ok(context.nothing_left_since(&before)?)
}

fn detached_run_returns_and_the_container_stays(context: &Context) -> Outcome {
    let container = Container::prepared(context, &["sleep", "3600"])?;
    let mut run = spawn(&container, |command| command.arg("--detach"))?;
    same("the exit code", run.wait().map_err(words)?.code(), Some(0))?;
    container.is("running")?;
    let left = crate::processes::descendants(std::process::id());
    same("the processes", left.len(), 1).map_err(|why| format!("{why}: {left:?}"))?;
    Ok(container.remove()?)
}

fn pid_file_has_the_pid_and_nothing_else(context: &Context) -> Outcome {
    let directory = context.directory.join("pids");
    fs::create_dir(&directory).map_err(words)?;
    let file = directory.join("pid");
    let container = Container::prepared(context, &["sleep", "3600"])?;
    let mut run =
        spawn(&container, |command| command.arg("--detach").arg("--pid-file").arg(&file))?;
    same("the exit code", run.wait().map_err(words)?.code(), Some(0))?;
    let text = fs::read_to_string(&file).map_err(words)?;
    same("the pid file", text, container.pid()?.to_string())?;
    same("the files there", fs::read_dir(&directory).map_err(words)?.count(), 1)?;
    Ok(container.remove()?)
}

fn pid_file_that_cannot_be_written_is_refused(context: &Context) -> Outcome {
    let before = context.leftovers();
    let container = Container::prepared(context, &["sleep", "3600"])?;
    let done = container.create(&["--pid-file", "/no/such/directory/pid"])?;
    refused(&done, "/no/such/directory/pid")?;
    Ok(context.nothing_left_since(&before)?)
}

fn pid_file_is_replaced(context: &Context) -> Outcome {
    let file = context.directory.join("pid");
    fs::write(&file, "1234567890123456789").map_err(words)?;
    let container = Container::prepared(context, &["sleep", "3600"])?;
    container.create(&["--pid-file", &file.to_string_lossy()])?.success()?;
    let text = fs::read_to_string(&file).map_err(words)?;
    same("the pid file", text, container.pid()?.to_string())?;
    Ok(container.remove()?)
}

fn streams_are_the_callers_own(context: &Context) -> Outcome {
    let container = Container::prepared(context, &["copy", "+", "complain", "oh dear"])?;
    let mut run = spawn(&container, |command| {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped())
    })?;
    run.stdin.take().ok_or("no stdin")?.write_all(b"one\ntwo").map_err(words)?;
    let done = run.wait_with_output().map_err(words)?;
    same("stdout", String::from_utf8_lossy(&done.stdout).as_ref(), "one\ntwo")?;
    same("stderr", String::from_utf8_lossy(&done.stderr).as_ref(), "oh dear\n")?;
    Ok(same("the exit code", done.status.code(), Some(0))?)
}

fn mebibyte_of_bytes_passes_unchanged(context: &Context) -> Outcome {
    let bytes: Vec<u8> =
        (0..1_u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let container = Container::prepared(context, &["copy"])?;
    let mut run =
        spawn(&container, |command| command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
    let mut stdin = run.stdin.take().ok_or("no stdin")?;
    let mut stdout = run.stdout.take().ok_or("no stdout")?;
    let given = bytes.clone();
    let writer = std::thread::spawn(move || stdin.write_all(&given));
    let mut taken = Vec::new();
    stdout.read_to_end(&mut taken).map_err(words)?;
    writer.join().map_err(|_| "the writer died")?.map_err(words)?;
    same("the exit code", run.wait().map_err(words)?.code(), Some(0))?;
    Ok(same(
        "length and equality of the bytes",
        (taken.len(), taken == bytes),
        (bytes.len(), true),
    )?)
}

fn detached_container_writes_to_the_callers_stdout(context: &Context) -> Outcome {
    let container = Container::prepared(context, &["echo", "hello"])?;
    let mut run = spawn(&container, |command| command.arg("--detach").stdout(Stdio::piped()))?;
    // Read up to EOF: no other process may keep the pipe open.
    let mut text = String::new();
    run.stdout.take().ok_or("no stdout")?.read_to_string(&mut text).map_err(words)?;
    same("stdout", text.as_str(), "hello\n")?;
    same("the exit code", run.wait().map_err(words)?.code(), Some(0))?;
    container.ends()?;
    Ok(container.remove()?)
}

fn missing_program_is_refused(context: &Context) -> Outcome {
    let before = context.leftovers();
    let bundle =
        context.bundle(|config| config["process"]["args"] = serde_json::json!(["nosuch"]))?;
    refused(&context.run_bundle(&bundle)?, "executable file not found in $PATH")?;
    Ok(context.nothing_left_since(&before)?)
}
