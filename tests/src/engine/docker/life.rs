//! The life of docker's containers, also when docker or its shim ends.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use super::Docker;
use crate::context::same;
use crate::engine::podman::{in_terminal, wait_until};
use crate::runner::topic;
use crate::system::at_once;
use crate::{Context, Outcome};

topic!(
    "docker-life",
    docker_pause_freezes_and_unpause_thaws[Docker],
    docker_kill_sends_the_given_signal[Docker],
    docker_restart_makes_a_new_process[Docker],
    docker_exec_has_a_terminal_user_and_workdir[Docker],
    docker_top_stats_and_ps_see_the_processes[Docker],
    docker_healthcheck_tells_healthy_from_unhealthy[Docker],
    docker_reports_an_oom_kill[Docker],
    docker_runs_ten_containers_at_once[Docker],
    docker_removes_a_busy_container_without_a_trace[Docker],
    docker_container_outlives_its_daemon[Docker],
    docker_container_ends_with_its_shim[Docker],
);

/// Checks a claim about a container that runs this shell script.
fn with(
    context: &Context,
    options: &[&str],
    script: &str,
    claim: impl FnOnce(&Docker, &str) -> Result<(), String>,
) -> Outcome {
    let docker = Docker::ready(context)?;
    let name = docker.start(options, script)?;
    let shown = claim(&docker, &name);
    docker.remove(&name)?;
    Ok(shown?)
}

const SLEEP: &str = "exec sleep 1000";

fn docker_pause_freezes_and_unpause_thaws(context: &Context) -> Outcome {
    let script = "while :; do date +%s%N > /tmp/now; sleep 0.1; done";
    with(context, &["--volume=/tmp"], script, |docker, name| {
        wait_until("its first word", || {
            Ok(docker.call(&["exec", name, "test", "-s", "/tmp/now"])?.code == 0)
        })?;
        let root = format!("/proc/{}/root", docker.inspect(name, "State.Pid")?);
        let now = || fs::read_to_string(format!("{root}/tmp/now")).unwrap_or_default();
        docker.success(&["pause", name])?;
        same("the status", docker.inspect(name, "State.Status")?.as_str(), "paused")?;
        let before = now();
        std::thread::sleep(std::time::Duration::from_millis(500));
        same("what it wrote meanwhile", now(), before.clone())?;
        let done = docker.call(&["exec", name, "true"])?;
        same("an exec", (done.code, done.stderr.contains("paused")), (1, true))?;
        docker.success(&["unpause", name])?;
        wait_until("it to go on", || Ok(now() != before))
    })
}

fn docker_kill_sends_the_given_signal(context: &Context) -> Outcome {
    let script = "trap 'echo got it' USR1; echo up; while :; do sleep 0.1; done";
    with(context, &[], script, |docker, name| {
        let says = |text: &str| Ok(docker.success(&["logs", name])? == text);
        wait_until("its trap", || says("up"))?;
        docker.success(&["kill", "--signal=USR1", name])?;
        wait_until("the signal", || says("up\ngot it"))?;
        docker.success(&["kill", name])?;
        same("the exit code", docker.success(&["wait", name])?.as_str(), "137")
    })
}

fn docker_restart_makes_a_new_process(context: &Context) -> Outcome {
    with(context, &[], "echo started; exec sleep 1000", |docker, name| {
        let before = docker.inspect(name, "State.Pid")?;
        docker.success(&["restart", "--time=0", name])?;
        let after = docker.inspect(name, "State.Pid")?;
        same("whether it has the same pid", before == after, false)?;
        same("the log", docker.success(&["logs", name])?.as_str(), "started\nstarted")?;
        docker.success(&["stop", "--time=0", name])?;
        docker.success(&["start", name])?;
        same("the status", docker.inspect(name, "State.Status")?.as_str(), "running")
    })
}

fn docker_exec_has_a_terminal_user_and_workdir(context: &Context) -> Outcome {
    with(context, &["--env=A=container"], SLEEP, |docker, name| {
        let options = ["exec", "--user=user:extra", "--env=B=exec", "--workdir=/data", name];
        let script = "id -u; id -g; echo $A $B; pwd";
        let said = docker.success(&[&options[..], &["sh", "-c", script]].concat())?;
        same("what it sees", said.as_str(), "1000\n2000\ncontainer exec\n/data")?;
        let exec = format!("docker exec -it {name} sh -c 'tty; exit 6'");
        let done = in_terminal(&exec, |script| docker.shell(script))?;
        same("in a terminal", (done.code, done.stdout.trim()), (6, "/dev/pts/0"))?;
        // docker 26 has one exit code for all of them.
        for (program, words) in [
            ("nosuch", "executable file not found in $PATH"),
            ("/no/such", "no such file or directory"),
            ("/bin/not-executable", "permission denied"),
        ] {
            let done = docker.call(&["exec", name, program])?;
            let seen = (done.code, format!("{done}").contains(words));
            same(program, seen, (126, true)).map_err(|why| format!("{why}: {done}"))?;
        }
        docker.success(&["exec", "--detach", name, "sh", "-c", "echo x > /tmp/note"])?;
        wait_until("the note", || {
            Ok(docker.call(&["exec", name, "cat", "/tmp/note"])?.stdout == "x\n")
        })
    })
}

fn docker_top_stats_and_ps_see_the_processes(context: &Context) -> Outcome {
    with(context, &[], "sleep 1000 & exec sleep 1000", |docker, name| {
        wait_until("both processes", || {
            Ok(docker.success(&["top", name])?.matches("sleep 1000").count() == 2)
        })?;
        let stats = ["stats", "--no-stream", "--format", "{{.PIDs}} {{.MemUsage}}", name];
        let said = docker.success(&stats)?;
        same(&said, said.starts_with("2 ") && !said.contains("0B /"), true)?;
        let filter = format!("name={name}");
        let said = docker.success(&["ps", "--filter", &filter, "--format", "{{.Status}}"])?;
        same(&said, said.starts_with("Up "), true)
    })
}

fn docker_healthcheck_tells_healthy_from_unhealthy(context: &Context) -> Outcome {
    let options = ["--health-cmd=test -e /tmp/well", "--health-interval=1s", "--health-retries=1"];
    with(context, &options, SLEEP, |docker, name| {
        let is = |what: &str| Ok(docker.inspect(name, "State.Health.Status")? == what);
        wait_until("it to be unhealthy", || is("unhealthy"))?;
        docker.success(&["exec", name, "touch", "/tmp/well"])?;
        wait_until("it to be healthy", || is("healthy"))
    })
}

fn docker_reports_an_oom_kill(context: &Context) -> Outcome {
    let docker = Docker::ready(context)?;
    for (mib, wanted) in [("4", "false 0"), ("64", "true 137")] {
        let name = context.id();
        let options = ["run", "--network=none", "--memory=24m", "--memory-swap=24m", "--name"];
        docker.call(&[&options[..], &[&name, "box", "probe", "allocate", mib]].concat())?;
        let seen = docker.inspect(&name, "State.OOMKilled}} {{.State.ExitCode");
        docker.remove(&name)?;
        same(&format!("the state after allocating {mib} MiB"), seen?.as_str(), wanted)?;
    }
    Ok(())
}

fn docker_runs_ten_containers_at_once(context: &Context) -> Outcome {
    let docker = Docker::ready(context)?;
    let names: Vec<_> = (0..10).map(|_| context.id()).collect();
    let run = |name: &String| {
        let mut command = Command::new("docker");
        command.args(["run", "--detach", "--network=none", "--name", name, "box", "sleep", "1000"]);
        command
    };
    for done in at_once(context, names.iter().map(run).collect())? {
        done.success()?;
    }
    let filter = format!("name={}", context.tag);
    let running = docker.success(&["ps", "--quiet", "--filter", &filter])?;
    same("the number of running containers", running.lines().count(), 10)?;
    let all = names.iter().map(String::as_str);
    docker.success(&["rm", "--force"].into_iter().chain(all).collect::<Vec<_>>())?;
    let left = docker.success(&["ps", "--all", "--quiet", "--filter", &filter])?;
    Ok(same("how many are left", left.as_str(), "")?)
}

/// The state dirs of vial, and the cgroups of docker.
fn traces(docker: &Docker) -> Result<BTreeSet<String>, String> {
    let script = "ls -d /run/docker/runtime-*/moby/* /sys/fs/cgroup/docker/*/ 2>/dev/null; true";
    Ok(docker.shell(script)?.success()?.stdout.lines().map(str::to_owned).collect())
}

fn docker_removes_a_busy_container_without_a_trace(context: &Context) -> Outcome {
    let docker = Docker::ready(context)?;
    let before = traces(&docker)?;
    let script =
        "while :; do sh -c 'head -c 100k /dev/zero > /tmp/x$$; rm /tmp/x$$' & sleep 0.02; done";
    let name = docker.start(&[], script)?;
    let during = traces(&docker)?;
    same("the traces while it runs", during.difference(&before).count(), 2)?;
    docker.remove(&name)?;
    Ok(wait_until("its traces to go", || Ok(traces(&docker)? == before))?)
}

fn docker_container_outlives_its_daemon(context: &Context) -> Outcome {
    with(
        context,
        &[],
        "trap 'exit 9' TERM; echo up; while :; do sleep 0.1; done",
        |docker, name| {
            let before = docker.inspect(name, "State.Pid")?;
            docker.shell("systemctl restart docker")?.success()?;
            same("its pid", docker.inspect(name, "State.Pid")?, before)?;
            same("an exec", docker.success(&["exec", name, "echo", "in"])?.as_str(), "in")?;
            docker.success(&["stop", "--time=30", name])?;
            same("the exit code", docker.inspect(name, "State.ExitCode")?.as_str(), "9")
        },
    )
}

fn docker_container_ends_with_its_shim(context: &Context) -> Outcome {
    let docker = Docker::ready(context)?;
    let before = traces(&docker)?;
    let shown = with(context, &[], SLEEP, |docker, name| {
        let id = docker.inspect(name, "Id")?;
        let pid = docker.inspect(name, "State.Pid")?;
        let shim =
            docker.shell(&format!("pgrep -f '^/usr/bin/containerd-shim.*{id}'"))?.success()?;
        docker.shell(&format!("kill -KILL {}", shim.stdout.trim()))?.success()?;
        wait_until("docker to see it", || Ok(docker.inspect(name, "State.Running")? == "false"))?;
        wait_until("its process to end", || {
            Ok(!fs::exists(format!("/proc/{pid}")).unwrap_or(true))
        })?;
        docker.success(&["start", name])?;
        same("an exec", docker.success(&["exec", name, "echo", "in"])?.as_str(), "in")
    });
    shown?;
    Ok(wait_until("its traces to go", || Ok(traces(&docker)? == before))?)
}
