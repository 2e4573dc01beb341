//! The life of pods and containers.

use std::fs;
use std::path::Path;

use super::fields::{namespaces, status};
use super::grpc;
use super::node::{CGROUPFS, Node, SCOPES};
use super::pods::{Ended, Pod, PodWanted, Wanted, is_gone};
use super::protobuf::Message;
use crate::context::same;
use crate::engine::podman::wait_until;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "cri",
    output_is_in_the_log_and_exit_code_in_the_status[Containerd],
    exec_sync_gives_output_and_exit_code_within_its_timeout[Containerd],
    stop_sends_sigterm_and_then_sigkill[Containerd],
    pid_namespace_is_the_containers_the_pods_or_anothers[Containerd],
    removed_pod_leaves_nothing_behind[Containerd],
    removed_pod_leaves_no_cgroup_behind_without_systemd[Containerd],
    containers_outlive_a_restart_of_containerd[Containerd],
);

fn output_is_in_the_log_and_exit_code_in_the_status(context: &Context) -> Outcome {
    let node = Node::ready(context)?;
    let pod = Pod::run(&node, SCOPES, PodWanted::default())?;
    let script = "echo out; echo err >&2; exit 42";
    let container = pod.start(script, Wanted::default())?;
    same("end", container.ended()?, Ended { code: 42, reason: "Error".into() })?;
    let log = container.log()?;
    let mut lines: Vec<_> = log.lines().collect();
    lines.sort_unstable(); // Two threads copy the two streams.
    same("the log", &lines[..], &["stderr F err", "stdout F out"][..])?;
    let container = pod.start("exit 0", Wanted::default())?;
    same("end", container.ended()?, Ended { code: 0, reason: "Completed".into() })?;
    container.call("RemoveContainer")?;
    is_gone(container.call("ContainerStatus"))?;
    Ok(pod.remove()?)
}

fn exec_sync_gives_output_and_exit_code_within_its_timeout(context: &Context) -> Outcome {
    let node = Node::ready(context)?;
    let pod = Pod::run(&node, SCOPES, PodWanted::default())?;
    let container = pod.start("exec sleep 1000", Wanted::default())?;
    let done = container.exec("cat /proc/1/comm; echo err >&2; exit 7", 0)?;
    let (out, err) = (done.stdout.as_str(), done.stderr.as_str());
    same("exec", (done.code, out, err), (7, "sleep\n", "err\n"))?;
    match container.exec("exec sleep 2000", 1) {
        Ok(done) => return Err(format!("no timeout: exit code {done}").into()),
        Err(failed) if failed.code.as_deref() == Some(grpc::DEADLINE_EXCEEDED) => {}
        Err(failed) => return Err(failed.into()),
    }
    // containerd killed it.
    container.wait_for("the command to end", "! grep -qs '20[0]0' /proc/[0-9]*/cmdline")?;
    same("the state", container.state()?, status::RUNNING)?;
    Ok(pod.remove()?)
}

fn stop_sends_sigterm_and_then_sigkill(context: &Context) -> Outcome {
    let node = Node::ready(context)?;
    let pod = Pod::run(&node, SCOPES, PodWanted::default())?;
    let loops = "touch /ready; while :; do sleep 0.1; done";
    for (trap, grace, code) in [("exit 9", 100, 9), ("", 1, 137)] {
        let container = pod.start(&format!("trap '{trap}' TERM; {loops}"), Wanted::default())?;
        container.wait_for("its trap", "test -e /ready")?;
        container.stop(grace)?;
        same(&format!("the code of the trap '{trap}'"), container.ended()?.code, code)?;
        container.stop(grace)?; // Once more is no error.
    }
    Ok(pod.remove()?)
}

fn pid_namespace_is_the_containers_the_pods_or_anothers(context: &Context) -> Outcome {
    let node = Node::ready(context)?;
    let of = |mode| {
        let network = Message::new().number(namespaces::NETWORK, namespaces::NODE);
        network.number(namespaces::PID, mode)
    };
    // Processes by name: the pod's first one sleeps, as its image says.
    let script = "cat /proc/[0-9]*/comm | sort | uniq -c | tr -s ' \n' ' '";
    let wanted = PodWanted { namespaces: Some(of(namespaces::POD)), ..PodWanted::default() };
    let pod = Pod::run(&node, SCOPES, wanted)?;
    let pods = pod.start("exec tail -f /dev/null", Wanted::default())?;
    same("pid 1 of the pod's", pods.says("cat /proc/1/comm")?.as_str(), "sleep")?;
    same("the pod's", pods.says(script)?.contains("1 sleep 1 sort 1 tail"), true)?;
    let own = Wanted { namespaces: Some(of(namespaces::CONTAINER)), ..Wanted::default() };
    let own = pod.start("exec tail -f /dev/null", own)?;
    same("pid 1 of its own", own.says("cat /proc/1/comm")?.as_str(), "tail")?;
    same("its own", own.says(script)?.contains("sleep"), false)?;
    let target = of(namespaces::TARGET).text(namespaces::TARGET_ID, &own.id);
    let target = Wanted { namespaces: Some(target), ..Wanted::default() };
    // An ephemeral container, as `kubectl debug` makes one.
    let said = pod.says("cat /proc/1/comm; test $$ != 1", target)?;
    same("pid 1 of another's", said.as_str(), "tail")?;
    Ok(pod.remove()?)
}

fn removed_pod_leaves_nothing_behind(context: &Context) -> Outcome {
    let node = Node::ready(context)?;
    let pod = Pod::run(&node, SCOPES, PodWanted::default())?;
    let running = pod.start("exec sleep 1000", Wanted::default())?;
    let created = pod.create("exec sleep 1000", Wanted::default())?;
    let ids = [pod.id.clone(), running.id.clone(), created.id.clone()];
    let units = ids.clone().map(|id| format!("cri-containerd-{id}.scope"));
    let state = |unit: &String| node.systemctl(&["show", "--value", "-p", "LoadState", unit]);
    same("the scope", state(&units[1])?.as_str(), "loaded")?;
    same("whether traces are found", traces(&ids)?.is_empty(), false)?;
    pod.remove()?;
    wait_until("the shim to end", || Ok(processes_of(&ids).is_empty()))?;
    for unit in &units {
        same("the scope", state(unit)?.as_str(), "not-found")?;
    }
    Ok(same("what is left", traces(&ids)?, Vec::<String>::new())?)
}

fn removed_pod_leaves_no_cgroup_behind_without_systemd(context: &Context) -> Outcome {
    let node = Node::ready(context)?;
    let pod = Pod::run(&node, CGROUPFS, PodWanted::default())?;
    let container = pod.start("exec sleep 1000", Wanted::default())?;
    let cgroup = format!("/sys/fs/cgroup{}/{}", pod.parent, container.id);
    same("whether its cgroup exists", Path::new(&cgroup).exists(), true)?;
    container.stop(0)?;
    container.call("RemoveContainer")?;
    same("whether its cgroup exists", Path::new(&cgroup).exists(), false)?;
    let ids = [pod.id.clone(), container.id.clone()];
    pod.remove()?;
    wait_until("the shim to end", || Ok(processes_of(&ids).is_empty()))?;
    Ok(same("what is left", traces(&ids)?, Vec::<String>::new())?)
}

fn containers_outlive_a_restart_of_containerd(context: &Context) -> Outcome {
    let node = Node::ready(context)?;
    let pod = Pod::run(&node, SCOPES, PodWanted::default())?;
    let running =
        pod.start("trap 'exit 9' TERM; while :; do sleep 0.1; done", Wanted::default())?;
    running.wait_for("its trap", "true")?;
    node.restart()?;
    same("the state", running.state()?, status::RUNNING)?;
    same("exec", running.says("cat /proc/1/comm")?.as_str(), "sh")?;
    running.stop(100)?;
    same("the exit code", running.ended()?.code, 9)?;
    Ok(pod.remove()?)
}

/// Cgroups, mounts, and directories of containerd and the runtime that have one of these
/// ids in their paths.
fn traces(ids: &[String]) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    let has_id = |path: &str| ids.iter().any(|id| path.contains(id));
    for top in ["/run/containerd/runc/k8s.io", "/run/vial-cri", "/sys/fs/cgroup", "/run/netns"] {
        let mut directories = vec![Path::new(top).to_path_buf()];
        while let Some(directory) = directories.pop() {
            // A directory may vanish in between.
            for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
                let path = entry.path();
                if has_id(&path.to_string_lossy()) {
                    found.push(path.display().to_string());
                } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    directories.push(path);
                }
            }
        }
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(|error| error.to_string())?;
    found.extend(mounts.lines().filter(|line| has_id(line)).map(str::to_owned));
    Ok(found)
}

/// The processes with one of these ids on their command lines: the shim, and the runtime.
fn processes_of(ids: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        // Those without a command line are no processes, or have ended.
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        found.extend(ids.iter().any(|id| line.contains(id)).then_some(line));
    }
    found
}
