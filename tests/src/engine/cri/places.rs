//! What a container finds in its surroundings: mounts, devices, a terminal, the network
//! and the kernel's parameters.

use std::fs;
use std::process::Command;

use vial_targets::command::OnPath;

use super::fields::security::PRIVILEGED;
use super::fields::{container, device, linux_pod, mount, namespaces, pod, pod_security};
use super::node::{Node, SCOPES};
use super::pods::{Pod, PodWanted, Wanted};
use super::protobuf::Message;
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "cri-places",
    mounts_are_the_nodes_directories[Containerd],
    mounts_are_propagated_as_asked[Containerd],
    device_is_the_nodes_with_the_given_access[Containerd],
    terminal_is_the_containers[Containerd],
    pod_has_a_network_and_parameters_of_its_own[Containerd],
);

fn with(config: Message) -> Wanted {
    Wanted { config, ..Wanted::default() }
}

fn mounts_are_the_nodes_directories(context: &Context) -> Outcome {
    let node = Node::ready(context)?;
    let pod = Pod::run(&node, SCOPES, PodWanted::default())?;
    let directory = context.directory.join("volume");
    fs::create_dir_all(&directory).on_path("create", &directory)?;
    let file = directory.join("file");
    fs::write(&file, "of the node\n").on_path("write", &file)?;
    let at = |path: &str, readonly| {
        Message::new()
            .text(mount::CONTAINER_PATH, path)
            .text(mount::HOST_PATH, &directory.to_string_lossy())
            .number(mount::READONLY, readonly)
    };
    let config = Message::new()
        .message(container::MOUNTS, &at("/volume/written", 0))
        .message(container::MOUNTS, &at("/volume/read", 1));
    let script = "cat /volume/read/file; echo more >/volume/written/file; \
                  echo no 2>&1 >/volume/read/file; cat /volume/read/file";
    let said = pod.says(script, with(config))?;
    let wanted = "of the node\nsh: can't create /volume/read/file: Read-only file system\nmore";
    same("what it sees", said.as_str(), wanted)?;
    same("the node's", fs::read_to_string(&file).on_path("read", &file)?.as_str(), "more\n")?;
    Ok(pod.remove()?)
}

fn mounts_are_propagated_as_asked(context: &Context) -> Outcome {
    let node = Node::ready(context)?;
    let security = Message::new().number(pod_security::PRIVILEGED, 1);
    let pod = Pod::run(&node, SCOPES, PodWanted { security, ..PodWanted::default() })?;
    let directory = context.directory.join("volume");
    let mount = |words: &[&str]| -> Result<(), String> {
        context.run(Command::new("mount").args(words).arg(&directory))?.success().map(drop)
    };
    fs::create_dir_all(&directory).on_path("create", &directory)?;
    mount(&["-t", "tmpfs", "tmpfs"])?;
    mount(&["--make-shared"])?;
    for name in ["from-node", "from-container"] {
        let path = directory.join(name);
        fs::create_dir(&path).on_path("create", &path)?;
    }
    let at = |path: &str, propagation| {
        let of = Message::new().text(mount::CONTAINER_PATH, path);
        of.text(mount::HOST_PATH, &directory.to_string_lossy())
            .number(mount::PROPAGATION, propagation)
    };
    let config = Message::new()
        .message(container::MOUNTS, &at("/private", 0))
        .message(container::MOUNTS, &at("/slave", mount::HOST_TO_CONTAINER))
        .message(container::MOUNTS, &at("/shared", mount::BIDIRECTIONAL));
    let security = Message::new().number(PRIVILEGED, 1);
    let wanted = Wanted { config, security, ..Wanted::default() };
    let container = pod.start("exec sleep 1000", wanted)?;
    let inner = directory.join("from-node");
    context.run(Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(&inner))?.success()?;
    fs::write(inner.join("file"), "").on_path("create", &inner)?;
    let script = "cd /; ls */from-node/file; mount -t tmpfs tmpfs /shared/from-container; \
                  touch /shared/from-container/file; ls */from-container/file";
    let said = container.says(script)?;
    let seen = directory.join("from-container/file").exists();
    pod.remove()?;
    context.run(Command::new("umount").args(["--recursive"]).arg(&directory))?.success()?;
    let wanted = "shared/from-node/file\nslave/from-node/file\n\
                  shared/from-container/file\nslave/from-container/file";
    same("what it sees", said.as_str(), wanted)?;
    Ok(same("whether the node sees its mount", seen, true)?)
}

fn device_is_the_nodes_with_the_given_access(context: &Context) -> Outcome {
    let node = Node::ready(context)?;
    let pod = Pod::run(&node, SCOPES, PodWanted::default())?;
    let script = "for way in if of; do \
                  dd $way=/dev/disk bs=512 count=0 2>&1 >/dev/null </dev/null; done | grep -v rec";
    for (access, wanted) in
        [("rw", ""), ("r", "dd: can't open '/dev/disk': Operation not permitted")]
    {
        let disk = Message::new()
            .text(device::HOST_PATH, "/dev/vda")
            .text(device::CONTAINER_PATH, "/dev/disk")
            .text(device::PERMISSIONS, access);
        let config = Message::new().message(container::DEVICES, &disk);
        let said = pod.says(&format!("{script}; true"), with(config))?;
        same(&format!("with {access}"), said.as_str(), wanted)?;
    }
    let script = "mknod /x b 254 0 && dd if=/x bs=512 count=0 2>&1; true";
    let said = pod.says(script, Wanted::default())?;
    same("without it", said.as_str(), "dd: can't open '/x': Operation not permitted")?;
    Ok(pod.remove()?)
}

fn terminal_is_the_containers(context: &Context) -> Outcome {
    let node = Node::ready(context)?;
    let pod = Pod::run(&node, SCOPES, PodWanted::default())?;
    let config = Message::new().number(container::TTY, 1);
    let said = pod.says("tty; test -t 0 && test -t 1 && test -t 2 && echo all", with(config))?;
    same("with one", said.replace('\r', "").as_str(), "/dev/pts/0\nall")?;
    let said = pod.says("test -t 1 || tty; true", Wanted::default())?;
    same("without", said.as_str(), "not a tty")?;
    Ok(pod.remove()?)
}

fn pod_has_a_network_and_parameters_of_its_own(context: &Context) -> Outcome {
    let node = Node::ready(context)?;
    let spaces = Message::new()
        .number(namespaces::NETWORK, namespaces::POD)
        .number(namespaces::PID, namespaces::CONTAINER)
        .number(namespaces::IPC, namespaces::POD);
    let linux = Message::new().entry(linux_pod::SYSCTLS, "net.ipv4.ip_forward", "1").entry(
        linux_pod::SYSCTLS,
        "kernel.shm_rmid_forced",
        "1",
    );
    let config = Message::new().text(pod::HOSTNAME, "vial-pod");
    let wanted = PodWanted { namespaces: Some(spaces), config, linux, ..PodWanted::default() };
    let pod = Pod::run(&node, SCOPES, wanted)?;
    let server = "hostname; nc -l -p 8080 -e echo served";
    let server = pod.start(server, Wanted::default())?;
    // Another container of the pod reaches it by `lo`, and by the pod's address.
    let script = "hostname; until nc 127.0.0.1 8080; do sleep 0.2; done; \
                  ip -4 -o address show dev eth0 | tr -s ' ' | cut -d ' ' -f 4; \
                  cd /proc/sys; cat net/ipv4/ip_forward kernel/shm_rmid_forced";
    let said = pod.says(script, Wanted::default())?;
    same("what it sees", said.as_str(), "vial-pod\nserved\n192.0.2.7/24\n1\n1")?;
    same("its host's name", server.output()?.as_str(), "vial-pod")?;
    let network = node.call("PodSandboxStatus", &Message::new().text(1, &pod.id))?;
    same("the pod's address", network.text(&[1, 5, 1])?.as_str(), "192.0.2.7")?;
    Ok(pod.remove()?)
}
