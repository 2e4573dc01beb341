//! The life cycle of a container under podman.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use vial_targets::command::OnPath;

use crate::context::same;
use crate::engine::podman::{IMAGE, Podman, wait_until};
use crate::runner::topic;
use crate::system::at_once;
use crate::{Context, Outcome};

topic!(
    "podman-life",
    pause_freezes_and_unpause_thaws[Podman],
    stop_sends_sigterm_before_sigkill[Podman],
    podman_kill_sends_the_given_signal[Podman],
    inspect_tells_running_from_exited_and_start_restarts[Podman],
    restart_makes_a_new_process[Podman],
    top_lists_the_processes[Podman],
    created_container_waits_for_its_start[Podman],
    twenty_containers_live_at_once[Podman],
    removed_container_leaves_nothing[Podman],
    hooks_of_a_directory_run[Podman],
    unit_of_podman_is_active_once_the_container_is_ready[Systemd],
);

/// Whether the kernel reports the container's cgroup as frozen.
fn frozen(podman: &Podman, name: &str) -> Result<bool, String> {
    let words = |error: std::io::Error| error.to_string();
    let pid = podman.pid(name)?;
    let cgroup = fs::read_to_string(format!("/proc/{pid}/cgroup")).map_err(words)?;
    let path = cgroup.trim().strip_prefix("0::").ok_or("no cgroup v2")?;
    let events = format!("/sys/fs/cgroup{path}/cgroup.events");
    Ok(fs::read_to_string(events).map_err(words)?.contains("frozen 1"))
}

fn pause_freezes_and_unpause_thaws(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let name = podman.start(&[], "exec sleep 1000")?;
    podman.success(&["pause", &name])?;
    same("the status", podman.inspect(&name, "State.Status")?.as_str(), "paused")?;
    same("whether it is frozen", frozen(&podman, &name)?, true)?;
    podman.success(&["unpause", &name])?;
    same("the status", podman.inspect(&name, "State.Status")?.as_str(), "running")?;
    same("whether it is frozen", frozen(&podman, &name)?, false)?;
    // A frozen container can be removed.
    podman.success(&["pause", &name])?;
    Ok(podman.remove(&name)?)
}

fn stop_sends_sigterm_before_sigkill(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let polite = podman.start(&[], "trap 'exit 9' TERM; echo up; while :; do sleep 0.1; done")?;
    let deaf = podman.start(&[], "trap '' TERM; echo up; while :; do sleep 0.1; done")?;
    for (name, time, code) in [(&polite, "30", "9"), (&deaf, "1", "137")] {
        wait_until("its trap", || Ok(podman.call(&["logs", name])?.stdout == "up\n"))?;
        podman.success(&["stop", "--time", time, name])?;
        same("the exit code", podman.inspect(name, "State.ExitCode")?.as_str(), code)?;
        podman.remove(name)?;
    }
    Ok(())
}

fn podman_kill_sends_the_given_signal(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let script = "trap 'echo usr1' USR1; echo up; while :; do sleep 0.1; done";
    let name = podman.start(&[], script)?;
    let logged =
        |text: &str| wait_until(text, || Ok(podman.call(&["logs", &name])?.stdout == text));
    logged("up\n")?;
    podman.success(&["kill", "--signal", "USR1", &name])?;
    logged("up\nusr1\n")?;
    podman.success(&["kill", &name])?;
    same("the exit code", podman.success(&["wait", &name])?.as_str(), "137")?;
    let done = podman.call(&["kill", &name])?.failure()?;
    if !done.stderr.contains("can only kill running containers") {
        return Err(format!("a second kill: {done}").into());
    }
    Ok(podman.remove(&name)?)
}

fn inspect_tells_running_from_exited_and_start_restarts(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let name = podman.start(&[], "test -e /tmp/again && exit 4; touch /tmp/again; sleep 1000")?;
    let state = "State.Status}} {{.State.Running}} {{.State.ExitCode";
    same("the state", podman.inspect(&name, state)?.as_str(), "running true 0")?;
    let status = fs::read_to_string(format!("/proc/{}/status", podman.pid(&name)?));
    same("whether the process exists", status.is_ok(), true)?;
    wait_until("the note", || Ok(podman.call(&["exec", &name, "ls", "/tmp/again"])?.code == 0))?;
    // podman tells the exit before it has cleaned up.
    let becomes = |wanted: &str| {
        wait_until(wanted, || Ok(podman.inspect(&name, state)? == wanted))
            .map_err(|why| format!("{why}: {:?}", podman.inspect(&name, state)))
    };
    podman.success(&["stop", "--time", "0", &name])?;
    becomes("exited false 137")?;
    same("the pid", podman.pid(&name)?.as_str(), "0")?;
    same("the exit code of start", podman.call(&["start", "--attach", &name])?.code, 4)?;
    becomes("exited false 4")?;
    Ok(podman.remove(&name)?)
}

fn restart_makes_a_new_process(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let name = podman.start(&[], "exec sleep 1000")?;
    let first = podman.pid(&name)?;
    podman.success(&["restart", "--time", "0", &name])?;
    let second = podman.pid(&name)?;
    let there = |pid: &str| fs::exists(format!("/proc/{pid}")).unwrap_or(false);
    same("which processes exist", (there(&first), there(&second)), (false, true))?;
    Ok(podman.remove(&name)?)
}

fn top_lists_the_processes(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let name = podman.start(&[], "sleep 2000 & exec sleep 1000")?;
    wait_until("both processes", || {
        let top = podman.success(&["top", &name, "pid", "args"])?;
        let mut lines: Vec<_> =
            top.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        lines.sort_unstable();
        Ok(lines == ["1 sleep 1000", "2 sleep 2000", "PID COMMAND"])
    })?;
    Ok(podman.remove(&name)?)
}

fn created_container_waits_for_its_start(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let name = context.id();
    podman.success(&["create", "--name", &name, IMAGE, "echo", "started"])?;
    podman.success(&["init", &name])?;
    same("the status", podman.inspect(&name, "State.Status")?.as_str(), "initialized")?;
    same("the log", podman.success(&["logs", &name])?.as_str(), "")?;
    same("its output", podman.success(&["start", "--attach", &name])?.as_str(), "started")?;
    Ok(podman.remove(&name)?)
}

fn twenty_containers_live_at_once(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let names: Vec<_> = (0..20).map(|_| context.id()).collect();
    let options = ["run", "--detach", "--name"];
    let run =
        |name: &String| podman.command(&[&options, &[name, IMAGE, "sleep", "1000"][..]].concat());
    for done in at_once(context, names.iter().map(run).collect())? {
        done.success()?;
    }
    let filter = format!("name={}", context.tag);
    let running =
        podman.success(&["ps", "--quiet", "--filter", "status=running", "--filter", &filter])?;
    same("the number of running containers", running.lines().count(), 20)?;
    let mut remove = vec!["rm", "--force", "--time", "0"];
    remove.extend(names.iter().map(String::as_str));
    podman.success(&remove)?;
    Ok(same(
        "how many are left",
        podman.success(&["ps", "--all", "--quiet", "--filter", &filter])?.as_str(),
        "",
    )?)
}

fn removed_container_leaves_nothing(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let runtime = context.vial.file_name().unwrap_or_default();
    let state = Path::new("/run").join(runtime);
    for end in [&["rm", "--force", "--time", "0"][..], &["stop", "--time", "0"][..]] {
        let name = podman.start(&[], "sleep 1000 & exec sleep 1000")?;
        let id = podman.inspect(&name, "Id")?;
        let cgroup = fs::read_to_string(format!("/proc/{}/cgroup", podman.pid(&name)?))
            .map_err(|error| error.to_string())?;
        let cgroup = cgroup.trim().strip_prefix("0::/").ok_or("no cgroup v2")?;
        let there = || {
            let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
            [
                state.join(&id).exists(),
                Path::new("/sys/fs/cgroup").join(cgroup).exists(),
                mounts.contains(&id),
            ]
        };
        same("state, cgroup and mounts while it runs", there(), [true; 3])?;
        podman.success(&[end, &[&name]].concat())?;
        // After `stop`, podman's clean-up process deletes the container later.
        wait_until("all to be removed", || Ok(there() == [false; 3]))
            .map_err(|why| format!("{why}: {:?}", there()))?;
        podman.call(&["rm", &name])?;
    }
    let left = fs::read_dir(&state).map(Iterator::count);
    Ok(same("how many states are left", left.ok(), Some(0))?)
}

/// podman's conmon is then the proxy, and vial must let its mount and its variable be.
fn unit_of_podman_is_active_once_the_container_is_ready(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let name = context.id();
    let unit = "vial-test-podman.service";
    let script = "sleep 8; probe notify READY=1; exec sleep 1000";
    let run = podman.command(&["run", "--sdnotify=container", "--detach", "--name", &name]);
    let mut start = Command::new("systemd-run");
    start.args(["--quiet", "--collect", "--service-type=notify", "--unit", unit]);
    start.args(["--property=NotifyAccess=all", "--property=KillMode=none"]);
    for (name, value) in run.get_envs().filter_map(|(name, value)| Some((name, value?))) {
        start.arg(format!("--setenv={}={}", name.display(), value.display()));
    }
    start.arg(run.get_program()).args(run.get_args()).args([IMAGE, "sh", "-c", script]);
    let mut starts = start.spawn().map_err(|error| error.to_string())?;
    let state = || {
        let mut show = Command::new("systemctl");
        let done = context.run(show.args(["show", "--value", "-p", "ActiveState", unit]))?;
        Ok::<_, String>(done.success()?.stdout.trim().to_owned())
    };
    wait_until("the container to run", || {
        let done = podman.call(&["inspect", "--format", "{{.State.Status}}", &name])?;
        Ok(done.stdout.trim() == "running")
    })?;
    same("the early state", state()?.as_str(), "activating")?;
    let code = starts.wait().map_err(|error| error.to_string())?.code();
    same("how its start ended", code, Some(0))?;
    same("the state", state()?.as_str(), "active")?;
    podman.remove(&name)?;
    Ok(wait_until("the unit to end", || Ok(state()? != "active"))?)
}

/// As engines get hooks from packages, such as that of a vendor of GPUs: one enters the
/// container's namespaces by the pid in its state.
fn hooks_of_a_directory_run(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let directory = context.directory.join(format!("hooks-{}", context.id()));
    fs::create_dir_all(&directory).on_path("create", &directory)?;
    let write = |name: &str, text: &str| {
        let path = directory.join(name);
        fs::write(&path, text).on_path("write", &path).map(|()| path)
    };
    let enter = write(
        "enter",
        "#!/bin/sh\nset -e\npid=$(sed -n 's/.*\"pid\": *\\([0-9]*\\).*/\\1/p' | head -n 1)\n\
         nsenter --target $pid --uts hostname of-the-hook\n",
    )?;
    let leave = write("leave", &format!("#!/bin/sh\ncat > {}/state\n", directory.display()))?;
    for (path, stage) in [(&enter, "createRuntime"), (&leave, "poststop")] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).on_path("chmod", path)?;
        let hook = json!({ "version": "1.0.0", "hook": { "path": path },
            "when": { "always": true }, "stages": [stage] });
        write(&format!("{stage}.json"), &hook.to_string())?;
    }
    let mut run = podman.command(&["--hooks-dir"]);
    run.arg(&directory).args(["run", "--rm", "box", "hostname"]);
    let done = context.run(&mut run)?.success()?;
    same("the host name", done.stdout.as_str(), "of-the-hook\n")?;
    let state = fs::read_to_string(directory.join("state")).map_err(|e| e.to_string())?;
    let state: Value = serde_json::from_str(&state).map_err(|e| e.to_string())?;
    Ok(same("the status at poststop", state["status"].as_str(), Some("stopped"))?)
}
