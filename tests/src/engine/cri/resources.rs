//! Limits and statistics of containers.

use super::fields::{resources, stats};
use super::node::{CGROUPFS, Node, SCOPES};
use super::pods::{Ended, Pod, PodWanted, Wanted};
use super::protobuf::{Fields, Message};
use crate::context::same;
use crate::engine::podman::wait_until;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "cri-resources",
    limits_are_in_the_containers_cgroup[Containerd],
    update_changes_the_limits_of_a_scope[Containerd],
    update_changes_the_limits_without_systemd[Containerd],
    stats_count_processors_and_memory[Containerd],
    oom_kill_is_the_reason[Containerd],
);

const MIB: u64 = 1 << 20;

/// A container that sleeps, with these limits.
fn sleeper(resources: Message) -> Wanted {
    Wanted { resources, ..Wanted::default() }
}

fn limits_are_in_the_containers_cgroup(context: &Context) -> Outcome {
    let node = Node::ready(context)?;
    let limits = Message::new()
        .number(resources::CPU_PERIOD, 100_000)
        .number(resources::CPU_QUOTA, 50_000)
        .number(resources::CPU_SHARES, 512)
        .number(resources::MEMORY, 64 * MIB)
        .number(resources::MEMORY_SWAP, 64 * MIB)
        .number(resources::OOM_SCORE_ADJ, 900)
        .text(resources::CPUSET_CPUS, "1")
        .entry(resources::UNIFIED, "pids.max", "77")
        .entry(resources::UNIFIED, "memory.high", "50331648");
    let files = ["memory.max", "memory.swap.max", "memory.high", "cpu.max", "pids.max"];
    let script = format!(
        "cd /sys/fs/cgroup; cat {} cpuset.cpus /proc/self/oom_score_adj; nproc; cat cpu.weight; \
         touch x 2>/dev/null || echo read-only; cat /proc/self/cgroup",
        files.join(" ")
    );
    for handler in [SCOPES, CGROUPFS] {
        let pod = Pod::run(&node, handler, PodWanted::default())?;
        let said = pod.says(&script, sleeper(limits.clone()))?;
        let said: Vec<_> = said.lines().collect();
        let wanted = ["67108864", "0", "50331648", "50000 100000", "77", "1", "900", "1"];
        same("the limits", said.get(..8), Some(&wanted[..]))?;
        // 512 shares give 20 by runc's old formula and 59 by the one of 2025.
        let weight = said.get(8).copied().unwrap_or_default();
        same(&format!("whether {weight} is a known weight"), ["20", "59"].contains(&weight), true)?;
        same("its cgroup", said.get(9..), Some(&["read-only", "0::/"][..]))?;
        pod.remove()?;
    }
    Ok(())
}

fn update_changes_the_limits_of_a_scope(context: &Context) -> Outcome {
    update_changes_the_limits(context, SCOPES)
}

fn update_changes_the_limits_without_systemd(context: &Context) -> Outcome {
    update_changes_the_limits(context, CGROUPFS)
}

/// A kubelet resizes containers in place since Kubernetes 1.33, and the manager of
/// processors moves them between processors.
fn update_changes_the_limits(context: &Context, handler: &str) -> Outcome {
    let node = Node::ready(context)?;
    let pod = Pod::run(&node, handler, PodWanted::default())?;
    let limits = |mib: u64, quota| {
        Message::new()
            .number(resources::MEMORY, mib * MIB)
            .number(resources::CPU_PERIOD, 100_000)
            .number(resources::CPU_QUOTA, quota)
    };
    let container = pod.start("exec sleep 1000", sleeper(limits(64, 20_000)))?;
    let script = "cd /sys/fs/cgroup; cat memory.max cpu.max; nproc";
    same("before", container.says(script)?.as_str(), "67108864\n20000 100000\n2")?;
    let wanted = limits(96, 50_000).text(resources::CPUSET_CPUS, "0");
    let ask = Message::new().text(1, &container.id).message(2, &wanted);
    node.call("UpdateContainerResources", &ask)?;
    same("after", container.says(script)?.as_str(), "100663296\n50000 100000\n1")?;
    if handler == SCOPES {
        node.systemctl(&["daemon-reload"])?;
        let after = container.says(script)?;
        same("after a reload of systemd", after.as_str(), "100663296\n50000 100000\n1")?;
    }
    Ok(pod.remove()?)
}

fn stats_count_processors_and_memory(context: &Context) -> Outcome {
    let node = Node::ready(context)?;
    let pod = Pod::run(&node, SCOPES, PodWanted::default())?;
    // 16 MiB of memory that stay in use.
    let script = "head -c 16777216 /dev/zero >/dev/shm/used; touch /ready; exec sleep 1000";
    let container = pod.start(script, Wanted::default())?;
    container.wait_for("its memory", "test -e /ready")?;
    let filter = Message::new().text(2, &pod.id);
    let list = node.call("ListContainerStats", &Message::new().message(1, &filter))?.list(1)?;
    let one = container.call("ContainerStats")?.list(1)?;
    same("how many", (list.len(), one.len()), (1, 1))?;
    for stats in list.iter().chain(&one) {
        same("whose they are", stats.text(&stats::ID)?, container.id.clone())?;
        same("whether it used a processor", stats.number(&stats::CPU_NANOSECONDS)? > 0, true)?;
    }
    // The memory of /dev/shm is the pod's, and counted where it was first used.
    let used = |stats: &Fields| stats.number(&stats::MEMORY_WORKING_SET);
    let memory = one.first().map(used).transpose()?.unwrap_or_default();
    let is_right = (16 * MIB..64 * MIB).contains(&memory);
    same(&format!("whether {memory} bytes are what it uses"), is_right, true)?;
    Ok(pod.remove()?)
}

fn oom_kill_is_the_reason(context: &Context) -> Outcome {
    let node = Node::ready(context)?;
    for handler in [SCOPES, CGROUPFS] {
        let pod = Pod::run(&node, handler, PodWanted::default())?;
        let limit = Message::new().number(resources::MEMORY, 24 * MIB);
        let limit = limit.number(resources::MEMORY_SWAP, 24 * MIB);
        let container = pod.start("exec probe allocate 4", sleeper(limit.clone()))?;
        same("end", container.ended()?, Ended { code: 0, reason: "Completed".into() })?;
        let container = pod.start("exec probe allocate 64", sleeper(limit))?;
        // containerd learns of both separately.
        wait_until("the reason", || Ok(container.ended()?.reason == "OOMKilled"))?;
        same("the exit code", container.ended()?.code, 137)?;
        pod.remove()?;
    }
    Ok(())
}
