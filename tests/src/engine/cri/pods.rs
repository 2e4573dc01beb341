//! Pods and their containers, made by the calls that a kubelet makes.

use std::fs;
use std::path::{Path, PathBuf};

use vial_targets::command::OnPath;

use super::fields::{
    container, linux_container, linux_pod, metadata, namespaces, pod, pod_security, security,
    status,
};
use super::grpc::{self, Failed};
use super::node::{CGROUPFS, IMAGE, Node};
use super::protobuf::{Fields, Message};
use crate::context::{Done, same};
use crate::engine::podman::wait_until;

/// What a pod is asked to be: parts of its configuration.
#[derive(Default)]
pub(super) struct PodWanted {
    /// NamespaceOption; None for the node's network, and a pid namespace a container.
    pub(super) namespaces: Option<Message>,
    /// More of PodSandboxConfig.
    pub(super) config: Message,
    /// More of LinuxPodSandboxConfig.
    pub(super) linux: Message,
    /// More of LinuxSandboxSecurityContext.
    pub(super) security: Message,
}

/// What a container is asked to be: parts of its configuration.
#[derive(Default)]
pub(super) struct Wanted {
    /// NamespaceOption, if it is not the pod's.
    pub(super) namespaces: Option<Message>,
    /// More of ContainerConfig.
    pub(super) config: Message,
    /// LinuxContainerResources.
    pub(super) resources: Message,
    /// More of LinuxContainerSecurityContext.
    pub(super) security: Message,
}

/// A pod that runs.
pub(super) struct Pod<'a> {
    pub(super) node: &'a Node<'a>,
    pub(super) id: String,
    /// The cgroup of all its containers: a slice's name, or a path in cgroupfs.
    pub(super) parent: String,
    config: Message,
    namespaces: Message,
    logs: PathBuf,
}

impl<'a> Pod<'a> {
    /// Runs a pod by this handler.
    pub(super) fn run(
        node: &'a Node<'a>,
        handler: &str,
        wanted: PodWanted,
    ) -> Result<Self, String> {
        let uid = short(&node.context.id());
        let parent = match handler {
            CGROUPFS => format!("/vialpods/pod{uid}"),
            _ => format!("/vialpods.slice/vialpods-pod{uid}.slice"),
        };
        let logs = node.context.directory.join(format!("logs-{uid}"));
        let namespaces = wanted.namespaces.unwrap_or_else(|| {
            let network = Message::new().number(namespaces::NETWORK, namespaces::NODE);
            network.number(namespaces::PID, namespaces::CONTAINER)
        });
        let meta = Message::new()
            .text(metadata::NAME, &format!("pod-{uid}"))
            .text(metadata::UID, &uid)
            .text(metadata::NAMESPACE, "default");
        let security = wanted.security.message(pod_security::NAMESPACES, &namespaces);
        let linux = wanted
            .linux
            .text(linux_pod::CGROUP_PARENT, &parent)
            .message(linux_pod::SECURITY, &security);
        let config = wanted
            .config
            .message(pod::METADATA, &meta)
            .text(pod::LOG_DIRECTORY, &logs.to_string_lossy())
            .message(pod::LINUX, &linux);
        fs::create_dir_all(&logs).on_path("create", &logs)?;
        let ask = Message::new().message(1, &config).text(2, handler);
        let id = node.call("RunPodSandbox", &ask)?.text(&[1])?;
        Ok(Self { node, id, parent, config, namespaces, logs })
    }

    /// Creates a container that runs a shell.
    pub(super) fn create(&'a self, script: &str, wanted: Wanted) -> Result<Container<'a>, Failed> {
        let name = short(&self.node.context.id());
        let namespaces = wanted.namespaces.as_ref().unwrap_or(&self.namespaces);
        let linux = Message::new().message(linux_container::RESOURCES, &wanted.resources).message(
            linux_container::SECURITY,
            &wanted.security.message(security::NAMESPACES, namespaces),
        );
        let log = format!("{name}.log");
        let config = wanted
            .config
            .message(container::METADATA, &Message::new().text(metadata::NAME, &name))
            .message(container::IMAGE, &Message::new().text(1, IMAGE))
            .texts(container::COMMAND, &["sh", "-c", script])
            .text(container::LOG_PATH, &log)
            .message(container::LINUX, &linux);
        let ask = Message::new().text(1, &self.id).message(2, &config).message(3, &self.config);
        let id = self.node.call("CreateContainer", &ask)?.text(&[1])?;
        Ok(Container { pod: self, id, log: self.logs.join(log) })
    }

    /// Creates a container, and starts it.
    pub(super) fn start(&'a self, script: &str, wanted: Wanted) -> Result<Container<'a>, Failed> {
        let container = self.create(script, wanted)?;
        container.call("StartContainer")?;
        Ok(container)
    }

    /// Runs a shell in a new container until it ends. Returns what it printed.
    pub(super) fn says(&'a self, script: &str, wanted: Wanted) -> Result<String, String> {
        let container = self.start(script, wanted)?;
        let ended = container.ended()?;
        let said = container.output()?;
        same("exit code", ended.code, 0).map_err(|why| format!("{why}: {said}"))?;
        container.call("RemoveContainer")?;
        Ok(said)
    }

    /// Stops the pod, and removes it with all its containers and the cgroup of the pod,
    /// which is the kubelet's to remove.
    pub(super) fn remove(self) -> Result<(), String> {
        let by_id = Message::new().text(1, &self.id);
        self.node.call("StopPodSandbox", &by_id)?;
        self.node.call("RemovePodSandbox", &by_id)?;
        if self.parent.ends_with(".slice") {
            let slice = Path::new(&self.parent).file_name().unwrap_or_default();
            self.node.systemctl(&["stop", &slice.to_string_lossy()]).map(drop)
        } else {
            let cgroup = PathBuf::from(format!("/sys/fs/cgroup{}", self.parent));
            Ok(fs::remove_dir(&cgroup).on_path("remove", &cgroup)?)
        }
    }
}

/// A container of a pod.
pub(super) struct Container<'a> {
    pod: &'a Pod<'a>,
    pub(super) id: String,
    log: PathBuf,
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) code: u64,
    pub(super) reason: String,
}

impl Container<'_> {
    /// Calls a method whose only argument is the container.
    pub(super) fn call(&self, method: &str) -> Result<Fields, Failed> {
        self.pod.node.call(method, &Message::new().text(1, &self.id))
    }

    /// Its ContainerStatus.
    pub(super) fn status(&self) -> Result<Fields, String> {
        let status = self.call("ContainerStatus")?.list(1)?.pop();
        status.ok_or_else(|| "there is no status".to_owned())
    }

    pub(super) fn state(&self) -> Result<u64, String> {
        self.status()?.number(&[status::STATE])
    }

    /// Waits until it ends.
    pub(super) fn ended(&self) -> Result<Ended, String> {
        let is_exited = || Ok(self.state()? == status::EXITED);
        wait_until("the container to end", is_exited)?;
        let status = self.status()?;
        let code = status.number(&[status::EXIT_CODE])?;
        Ok(Ended { code, reason: status.text(&[status::REASON])? })
    }

    /// Runs a shell in it by ExecSync. A timeout of 0 s is none.
    pub(super) fn exec(&self, script: &str, timeout: u64) -> Result<Done, Failed> {
        let ask = Message::new().text(1, &self.id).texts(2, &["sh", "-c", script]);
        let answer = self.pod.node.call("ExecSync", &ask.number(3, timeout))?;
        let (stdout, stderr) = (answer.text(&[1])?, answer.text(&[2])?);
        Ok(Done { code: answer.number(&[3])? as i32, stdout, stderr })
    }

    /// What a shell in it prints, trimmed.
    pub(super) fn says(&self, script: &str) -> Result<String, String> {
        Ok(self.exec(script, 0)?.success()?.stdout.trim().to_owned())
    }

    /// Waits until a shell in it succeeds.
    pub(super) fn wait_for(&self, what: &str, script: &str) -> Result<(), String> {
        wait_until(what, || Ok(self.exec(script, 0)?.code == 0))
    }

    /// Stops it. Its first process gets SIGTERM, and after the grace period SIGKILL.
    pub(super) fn stop(&self, grace: u64) -> Result<(), Failed> {
        let ask = Message::new().text(1, &self.id).number(2, grace);
        self.pod.node.call("StopContainer", &ask).map(drop)
    }

    /// The lines of its log: the stream, a full or partial line, and the text.
    pub(super) fn log(&self) -> Result<String, String> {
        let text = fs::read_to_string(&self.log).on_path("read", &self.log)?;
        let lines = text.lines().map(|line| line.split_once(' ').unwrap_or_default().1);
        Ok(lines.collect::<Vec<_>>().join("\n"))
    }

    /// What it printed to both streams, trimmed.
    pub(super) fn output(&self) -> Result<String, String> {
        let log = self.log()?;
        let lines = log.lines().map(|line| line.splitn(3, ' ').nth(2).unwrap_or_default());
        Ok(lines.collect::<Vec<_>>().join("\n").trim().to_owned())
    }
}

/// Fails unless the call failed with gRPC's NOT_FOUND.
pub(super) fn is_gone(answer: Result<Fields, Failed>) -> Result<(), String> {
    match answer {
        Ok(_) => Err("it still exists".into()),
        Err(failed) if failed.code.as_deref() == Some(grpc::NOT_FOUND) => Ok(()),
        Err(failed) => Err(failed.into()),
    }
}

/// The ends of an id: its process, and its number there.
fn short(id: &str) -> String {
    let end = id.len().saturating_sub(4);
    format!("{}{}", id.get(..8).unwrap_or_default(), id.get(end..).unwrap_or_default())
}
