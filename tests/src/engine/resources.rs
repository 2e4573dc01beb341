//! Limits: the kernel enforces what podman is asked for.

use crate::context::same;
use crate::engine::podman::{IMAGE, Podman};
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "podman-limits",
    limits_are_in_the_containers_cgroup[Podman],
    update_changes_the_limits[Podman],
    pids_beyond_the_limit_are_refused[Podman],
    stats_count_the_processes[Podman],
    cgroup_namespace_is_private_or_the_hosts[Podman],
    ulimits_and_oom_score_are_set[Podman],
    oom_kill_is_reported[Podman],
);

fn limits_are_in_the_containers_cgroup(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let options = ["--memory=64m", "--memory-swap=96m", "--memory-reservation=32m", "--cpus=0.5"];
    let options =
        [&options[..], &["--cpu-shares=1024", "--pids-limit=77", "--cpuset-cpus=1"]].concat();
    let script = "cd /sys/fs/cgroup; cat memory.max memory.swap.max memory.low cpu.max pids.max \
                  cpuset.cpus cpu.weight; nproc; touch x 2>/dev/null || echo read-only";
    let said = podman.says(&options, script)?;
    let said: Vec<_> = said.lines().collect();
    let wanted = ["67108864", "33554432", "33554432", "50000 100000", "77", "1"];
    same("the limits", said.get(..6), Some(&wanted[..]))?;
    // 1024 shares give 39 by runc's old formula and 100 by the one of 2025.
    let weight = said.get(6).copied().unwrap_or_default();
    same("whether 1024 shares give a known weight", ["39", "100"].contains(&weight), true)?;
    Ok(same("processors, and the view", said.get(7..), Some(&["1", "read-only"][..]))?)
}

fn update_changes_the_limits(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let name = podman.start(&["--memory=64m", "--pids-limit=50"], "exec sleep 1000")?;
    let files = ["memory.max", "memory.swap.max", "pids.max", "cpu.max", "cpuset.cpus"];
    let paths: Vec<String> = files.iter().map(|file| format!("/sys/fs/cgroup/{file}")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let seen = || podman.success(&[&["exec", &name, "cat"], &paths[..]].concat());
    same("before", seen()?.as_str(), "67108864\n67108864\n50\nmax 100000")?;
    let options = ["--memory=96m", "--memory-swap=128m", "--pids-limit=60", "--cpus=0.5"];
    let done = podman.success(&[&["update", "--cpuset-cpus=0"], &options[..], &[&name]].concat());
    let after = seen();
    podman.remove(&name)?;
    done?;
    Ok(same("after", after?.as_str(), "100663296\n33554432\n60\n50000 100000\n0")?)
}

fn pids_beyond_the_limit_are_refused(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let script = "for n in 1 2 3 4 5 6; do sleep 9 & done 2>&1; echo no error";
    let done = podman.run(&["--pids-limit=4"], &["sh", "-c", script])?;
    let said = done.stdout + &done.stderr;
    Ok(same("whether fork failed", said.contains("can't fork") && !said.contains("no error"), true)
        .map_err(|why| format!("{why}: {said}"))?)
}

fn stats_count_the_processes(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let name = podman.start(&["--memory=64m"], "sleep 1000 & sleep 1000 & exec sleep 1000")?;
    podman.success(&["exec", &name, "true"])?;
    let format = "{{.PIDs}} {{.MemUsage}}";
    let seen = podman.success(&["stats", "--no-stream", "--format", format, &name]);
    podman.remove(&name)?;
    let seen = seen?;
    let well = seen.starts_with("3 ") && seen.ends_with("/ 67.11MB");
    Ok(if well { Ok(()) } else { Err(format!("stats: {seen}")) }?)
}

fn cgroup_namespace_is_private_or_the_hosts(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let script = "cat /proc/self/cgroup";
    same("its own", podman.says(&["--cgroupns=private"], script)?.as_str(), "0::/")?;
    let seen = podman.says(&["--cgroupns=host"], script)?;
    let hosts = seen.starts_with("0::/libpod_parent/libpod-");
    Ok(if hosts { Ok(()) } else { Err(format!("the host's: {seen}")) }?)
}

fn ulimits_and_oom_score_are_set(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let options = ["--ulimit=nofile=55:66", "--ulimit=core=0:0", "--oom-score-adj=99"];
    let script = "ulimit -Sn; ulimit -Hn; ulimit -Hc; cat /proc/self/oom_score_adj";
    Ok(same("what it sees", podman.says(&options, script)?.as_str(), "55\n66\n0\n99")?)
}

fn oom_kill_is_reported(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let create = ["create", "--memory=24m", "--memory-swap=24m", "--name"];
    for (mib, wanted) in [("4", "false 0"), ("64", "true 137")] {
        let name = context.id();
        podman.success(&[&create, &[&name, IMAGE, "probe", "allocate", mib][..]].concat())?;
        // conmon reports an OOM kill by a file in its working directory, and podman 4.3
        // looks for the file in the bundle. So start podman there.
        let bundle = podman.inspect(&name, "StaticDir")?;
        context.run(podman.command(&["start", &name]).current_dir(bundle))?.success()?;
        podman.success(&["wait", &name])?;
        let seen = podman.inspect(&name, "State.OOMKilled}} {{.State.ExitCode");
        podman.remove(&name)?;
        same(&format!("the state after allocating {mib} MiB"), seen?.as_str(), wanted)?;
    }
    Ok(())
}
