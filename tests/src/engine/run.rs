//! `podman run`: input, output and exit codes.

use std::fs;

use crate::context::{Done, same};
use crate::engine::podman::{IMAGE, Podman, wait_until};
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "podman-run",
    output_and_exit_code_pass[Podman],
    exit_code_after_a_signal_is_128_plus_its_number[Podman],
    missing_program_exits_127_with_one_sentence[Podman],
    program_that_cannot_be_executed_exits_126[Podman],
    stdin_and_preserved_fds_reach_the_container[Podman],
    detached_container_is_logged_and_waited_for[Podman],
    terminal_has_the_callers_size_and_a_name[Podman],
    pidfile_names_the_containers_process[Podman],
    healthcheck_tells_healthy_from_unhealthy[Podman],
    missing_workdir_is_named[Podman],
    init_is_pid_1_and_passes_on_the_exit_code[Podman],
);

fn output_and_exit_code_pass(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let done = podman.run(&[], &["sh", "-c", "echo out; echo err >&2; exit 42"])?;
    let (out, err) = (done.stdout.as_str(), done.stderr.as_str());
    same("exit code and output", (done.code, out, err), (42, "out\n", "err\n"))?;
    let done = podman.run(&[], &["true"])?;
    same("the end of true", (done.code, done.stderr.as_str()), (0, ""))?;
    Ok(same("the end of false", podman.run(&[], &["false"])?.code, 1)?)
}

fn exit_code_after_a_signal_is_128_plus_its_number(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    // With the host's pid namespace, as a PID 1 is immune to its own signals.
    let done = podman.run(&["--pid=host"], &["sh", "-c", "kill -9 $$"])?;
    Ok(same("the exit code", done.code, 137).map_err(|why| format!("{why}: {done}"))?)
}

/// podman prints one line, made from the runtime's JSON log, and no raw JSON.
fn one_sentence(done: &Done, words: &[&str]) -> Result<(), String> {
    let lines = done.stderr.lines().count();
    let missing = words.iter().find(|word| !done.stderr.contains(**word));
    match missing {
        None if lines == 1 && !done.stderr.contains("level") => Ok(()),
        None => Err(format!("not one sentence: {done}")),
        Some(word) => Err(format!("stderr does not contain {word:?}: {done}")),
    }
}

fn missing_program_exits_127_with_one_sentence(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let kind = "OCI runtime attempted to invoke a command that was not found";
    for program in ["nosuch", "/no/such"] {
        let done = podman.run(&[], &[program])?;
        same(program, done.code, 127)?;
        one_sentence(&done, &[kind])?;
    }
    Ok(())
}

fn program_that_cannot_be_executed_exits_126(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    for program in ["/etc", "/bin/not-executable", "/etc/passwd/below-a-file"] {
        let done = podman.run(&[], &[program])?;
        // For a path below a file, 127 (not found) is right too.
        let codes: &[i32] = if program.contains("below") { &[126, 127] } else { &[126] };
        if !codes.contains(&done.code) {
            return Err(format!("{program}: {done}").into());
        }
        one_sentence(&done, &["Error: "])?;
    }
    Ok(())
}

fn stdin_and_preserved_fds_reach_the_container(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let done = podman.shell("echo typed | $PODMAN run --rm -i box cat")?.success()?;
    same("stdin", done.stdout.as_str(), "typed\n")?;
    let file = context.directory.join("preserved");
    fs::write(&file, "preserved\n").map_err(|error| error.to_string())?;
    let script = format!("$PODMAN run --rm --preserve-fds 1 box cat <&3 3<{}", file.display());
    let script = script.replace("cat <&3", "sh -c 'cat <&3'");
    let done = podman.shell(&script)?.success()?;
    Ok(same("fd 3", done.stdout.as_str(), "preserved\n")?)
}

fn detached_container_is_logged_and_waited_for(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let name = podman.start(&[], "echo one; echo two >&2; exit 3")?;
    same("the exit code from wait", podman.success(&["wait", &name])?.as_str(), "3")?;
    let done = podman.call(&["logs", &name])?.success()?;
    same("the log", (done.stdout.as_str(), done.stderr.as_str()), ("one\n", "two\n"))?;
    let runtime = context.vial.file_name().unwrap_or_default().to_string_lossy();
    same("the runtime", podman.inspect(&name, "OCIRuntime")?, runtime)?;
    Ok(podman.remove(&name)?)
}

fn terminal_has_the_callers_size_and_a_name(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let inner = "stty size; tty; test -c /dev/console && echo console; exit 5";
    let done = podman.terminal(&format!("$PODMAN run --rm -it box sh -c '{inner}'"))?;
    let wanted = (5, "33 77\n/dev/pts/0\nconsole\n");
    Ok(same("what it printed", (done.code, done.stdout.as_str()), wanted)?)
}

fn pidfile_names_the_containers_process(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let file = context.directory.join("pidfile");
    let name = podman.start(&["--pidfile", &file.to_string_lossy()], "exec sleep 1000")?;
    let pid = fs::read_to_string(&file).map_err(|error| error.to_string())?;
    same("the pid file", pid.trim(), podman.pid(&name)?)?;
    wait_until("sleep", || {
        Ok(fs::read_to_string(format!("/proc/{}/comm", pid.trim())).is_ok_and(|c| c == "sleep\n"))
    })?;
    Ok(podman.remove(&name)?)
}

fn healthcheck_tells_healthy_from_unhealthy(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let options = ["--health-cmd", "test -e /tmp/healthy", "--health-interval", "disable"];
    let name = podman.start(&options, "exec sleep 1000")?;
    same(
        "the exit code of an unhealthy check",
        podman.call(&["healthcheck", "run", &name])?.code,
        1,
    )?;
    podman.success(&["exec", &name, "touch", "/tmp/healthy"])?;
    same("the exit code of a healthy check", podman.call(&["healthcheck", "run", &name])?.code, 0)?;
    Ok(podman.remove(&name)?)
}

fn missing_workdir_is_named(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let done = podman.run(&["--workdir=/no/such"], &["true"])?.failure()?;
    same("whether the exit code is 126 or 127", [126, 127].contains(&done.code), true)
        .map_err(|why| format!("{why}: {done}"))?;
    Ok(one_sentence(&done, &["workdir", "/no/such", "does not exist"])?)
}

fn init_is_pid_1_and_passes_on_the_exit_code(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let name = context.id();
    let script = "tr '\\0' ' ' < /proc/1/cmdline; echo; echo $$; trap 'exit 9' TERM; echo up; \
                  while :; do sleep 0.1; done";
    podman.success(&["run", "--init", "--detach", "--name", &name, IMAGE, "sh", "-c", script])?;
    let log = || Ok::<_, String>(podman.call(&["logs", &name])?.stdout);
    wait_until("its trap", || Ok(log()?.ends_with("up\n")))?;
    let said = log()?;
    let said: Vec<_> = said.lines().collect();
    let init = said.first().copied().unwrap_or_default();
    same("PID 1 is init", init.contains("init -- sh -c"), true)
        .map_err(|why| format!("{why}: {init}"))?;
    same("the program's pid", said.get(1).copied(), Some("2"))?;
    // PID 1 adopts the orphan and must reap it.
    podman.success(&["exec", &name, "sh", "-c", "(true &); sleep 0.5"])?;
    let script = "cat /proc/[0-9]*/status 2>/dev/null | grep -c '^State:.Z'; true";
    let zombies = podman.success(&["exec", &name, "sh", "-c", script])?;
    same("the number of zombies", zombies.as_str(), "0")?;
    podman.success(&["stop", "--time", "30", &name])?;
    same("the exit code", podman.inspect(&name, "State.ExitCode")?.as_str(), "9")?;
    Ok(podman.remove(&name)?)
}
