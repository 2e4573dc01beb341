//! Namespaces: new ones, the host's, another container's, a pod's.

use std::fs;

use crate::context::same;
use crate::engine::podman::{IMAGE, Podman, wait_until};
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "podman-namespaces",
    namespaces_are_new_by_default[Podman],
    namespaces_are_the_hosts_on_request[Podman],
    network_none_has_only_a_loopback_that_is_up[Podman],
    namespaces_of_another_container_are_joined[Podman],
    user_namespace_maps_the_ids_given[Podman],
    automatic_user_namespace_works[Podman],
    mapped_root_has_no_power_over_the_host[Podman],
    hostname_changes_only_in_the_container[Podman],
    containers_of_a_pod_share_its_namespaces[Podman],
    bridge_connects_containers_and_host[Podman],
);

const KINDS: [&str; 5] = ["ipc", "mnt", "net", "pid", "uts"];
/// A shell command: prints the inodes of [`KINDS`], in order.
const INODES: &str = "for n in ipc mnt net pid uts; do readlink /proc/self/ns/$n; done";

fn hosts() -> Vec<String> {
    let link = |kind| fs::read_link(format!("/proc/self/ns/{kind}")).unwrap_or_default();
    KINDS.iter().map(|kind| link(kind).to_string_lossy().into_owned()).collect()
}

/// The namespaces that have the same inode on both sides.
fn shared(left: &[String], right: &str) -> Vec<&'static str> {
    let pairs = KINDS.iter().zip(left.iter().zip(right.lines()));
    pairs.filter(|(_, (left, right))| left == right).map(|(kind, _)| *kind).collect()
}

fn namespaces_are_new_by_default(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let seen = podman.says(&[], INODES)?;
    same("the number of namespaces", seen.lines().count(), KINDS.len())?;
    Ok(same("the host's namespaces among them", shared(&hosts(), &seen), Vec::<&str>::new())?)
}

fn namespaces_are_the_hosts_on_request(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let options = ["--pid=host", "--ipc=host", "--uts=host", "--network=host"];
    let seen = podman.says(&options, INODES)?;
    Ok(same(
        "the host's namespaces among them",
        shared(&hosts(), &seen),
        vec!["ipc", "net", "pid", "uts"],
    )?)
}

fn network_none_has_only_a_loopback_that_is_up(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let script = "ls /sys/class/net; ip -o addr show dev lo | grep -c 127.0.0.1; ping -c 1 -w 5 \
                  127.0.0.1 >/dev/null && echo answers";
    Ok(same("its network", podman.says(&["--network=none"], script)?.as_str(), "lo\n1\nanswers")?)
}

fn namespaces_of_another_container_are_joined(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let first = podman.start(&["--ipc=shareable"], "exec sleep 1000")?;
    let its = podman.success(&["exec", &first, "sh", "-c", INODES])?;
    let options = ["network", "pid", "ipc"].map(|kind| format!("--{kind}=container:{first}"));
    let options: Vec<_> = options.iter().map(String::as_str).collect();
    let seen = podman.says(&options, &format!("{INODES}; cat /proc/1/comm"))?;
    podman.remove(&first)?;
    let its: Vec<_> = its.lines().map(String::from).collect();
    // For the host name, podman may join the uts namespace along with the network.
    let joined = shared(&its, &seen);
    let well = joined == ["ipc", "net", "pid"] || joined == ["ipc", "net", "pid", "uts"];
    same("whether only those are joined", well, true)
        .map_err(|why| format!("{why}: {joined:?}"))?;
    Ok(same("its PID 1", seen.lines().last(), Some("sleep"))?)
}

/// What must work in a container with a user namespace.
const IN_USER_NAMESPACE: &str = "cat /proc/self/uid_map /proc/self/gid_map | xargs; id -u; stat -c \
    %u:%g /bin/busybox /proc/self /dev/null; echo x > /dev/null && touch /root/x && chown 5:6 /root/x \
    && stat -c %u:%g /root/x; hostname";

fn user_namespace_maps_the_ids_given(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let options = ["--uidmap=0:100000:5000", "--gidmap=0:200000:6000", "--hostname=mapped"];
    let said = podman.says(&options, IN_USER_NAMESPACE)?;
    let said = said.replace("65534:65534", "0:0"); // /dev/null may be bound from the host.
    let wanted = "0 100000 5000 0 200000 6000\n0\n0:0\n0:0\n0:0\n5:6\nmapped";
    Ok(same("what it sees", said.as_str(), wanted)?)
}

fn automatic_user_namespace_works(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let name = podman.start(&["--userns=auto:size=2048"], "exec sleep 1000")?;
    let seen =
        podman.success(&["exec", &name, "sh", "-c", "cat /proc/self/uid_map | xargs; id -u"]);
    let pid = podman.pid(&name)?;
    let outside = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    podman.remove(&name)?;
    let seen = seen?;
    let words: Vec<_> = seen.split_whitespace().collect();
    let &[inside, first, size, uid] = words.as_slice() else {
        return Err(format!("what it sees is {seen}").into());
    };
    same("the map", (inside, size, uid), ("0", "2048", "0"))?;
    let who = outside.lines().find_map(|line| line.strip_prefix("Uid:\t")).unwrap_or_default();
    Ok(same("its uid on the host", who.split('\t').next(), Some(first))?)
}

fn mapped_root_has_no_power_over_the_host(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let file = context.directory.join("private");
    fs::write(&file, "secret").map_err(|error| error.to_string())?;
    let script = format!("chmod 700 {0}; chown 0:0 {0}", context.directory.display());
    podman.shell(&script)?.success()?;
    let volume = format!("{}:/host", context.directory.display());
    let options = ["--uidmap=0:100000:5000", "--volume", &volume];
    let said = podman.says(
        &options,
        "cat /host/private 2>&1 | grep -c denied; mknod /tmp/m c 1 1 2>&1 | grep -c permitted",
    )?;
    Ok(same("what is refused", said.as_str(), "1\n1")?)
}

fn hostname_changes_only_in_the_container(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let hosts = || fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let before = hosts();
    let said = podman.says(&["--hostname=web"], "hostname; uname -n; cat /etc/hostname")?;
    same("its name", said.as_str(), "web\nweb\nweb")?;
    Ok(same("the host's name", hosts(), before)?)
}

fn containers_of_a_pod_share_its_namespaces(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let (pod, one, two) = (context.id(), context.id(), context.id());
    // podman 4.3 allows no devices below a pod's cgroup, with any runtime, so each
    // container gets a cgroup of its own.
    let create = ["pod", "create", "--share-parent=false", "--hostname=pod", "--name", &pod];
    podman.success(&create)?;
    let run = |name: &str, script: &str| {
        let options = ["run", "--detach", "--pod", &pod, "--name", name, IMAGE, "sh", "-c"];
        podman.success(&[&options[..], &[script]].concat()).map(drop)
    };
    let shown = (|| {
        run(&one, &format!("{INODES}; hostname; exec nc -l -p 80 -e echo served"))?;
        run(&two, &format!("{INODES}; hostname; until nc 127.0.0.1 80; do sleep 0.2; done"))?;
        podman.success(&["wait", &two])?;
        let status = podman.success(&["pod", "inspect", "--format", "{{.State}}", &pod])?;
        let logs = [&one, &two].map(|name| podman.success(&["logs", name]));
        Ok::<_, String>((status, logs))
    })();
    podman.success(&["pod", "rm", "--force", "--time", "0", &pod])?;
    let (status, [first, second]) = shown?;
    same("whether the pod is up", ["Running", "Degraded"].contains(&status.as_str()), true)
        .map_err(|why| format!("{why}: {status}"))?;
    let (first, second) = (first?, second?);
    let its: Vec<_> = first.lines().map(String::from).collect();
    same("what they share", shared(&its, &second), vec!["ipc", "net", "uts"])?;
    same("the host's namespaces among them", shared(&hosts(), &second), Vec::<&str>::new())?;
    let end: Vec<_> = second.lines().skip(KINDS.len()).collect();
    Ok(same("the host name, and what it received", end, vec!["pod", "served"])?)
}

fn bridge_connects_containers_and_host(context: &Context) -> Outcome {
    let podman = Podman::ready(context)?;
    let options = ["--network=bridge", "--publish=127.0.0.1:8088:80"];
    let server = podman.start(&options, "while :; do nc -l -p 80 -e echo hello; done")?;
    let shown = (|| {
        let address = podman.inspect(&server, "NetworkSettings.IPAddress")?;
        // By the container's address, and by the published port.
        for place in [format!("{address} 80"), "127.0.0.1 8088".to_owned()] {
            wait_until(&place, || {
                Ok(podman.shell(&format!("busybox nc {place}"))?.stdout == "hello\n")
            })?;
        }
        let script = format!("until nc {address} 80; do sleep 0.2; done");
        let said = podman.says(&["--network=bridge"], &script)?;
        same("what it tells another container", said.as_str(), "hello")
    })();
    podman.remove(&server)?;
    Ok(shown?)
}
