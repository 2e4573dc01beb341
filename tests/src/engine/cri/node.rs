//! A node of Kubernetes without a kubelet: a containerd of its own with its CRI plugin
//! and vial as the handler of two runtime classes.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use vial_targets::command::OnPath;

use super::grpc::{self, Failed};
use super::protobuf::{Fields, Message};
use crate::Context;
use crate::engine::podman::{Podman, tar, wait_until};

/// The handler whose containers are in scopes of systemd, as kubelets have it.
pub(super) const SCOPES: &str = "vial";
/// The handler that makes cgroups itself.
pub(super) const CGROUPFS: &str = "vial-cgroupfs";

/// Everything of this containerd but its images.
const HOME: &str = "/run/vial-cri";
/// Its images: overlayfs cannot have its upper directory on all filesystems.
const ROOT: &str = "/var/lib/vial-cri";
const SOCKET: &str = "/run/vial-cri/containerd.sock";
/// Its log.
const LOG: &str = "/run/vial-cri/log";
const UNIT: &str = "vial-cri.service";

/// The image of pods and containers, in containerd's name. Its own command is that of a
/// pod: it lives on and does nothing.
pub(super) const IMAGE: &str = "localhost/pod:latest";

/// Like containerd.service. Shims outlive containerd.
const SERVICE: &str = "[Unit]
Description=containerd for vial's tests of CRI

[Service]
Type=notify
ExecStart=/usr/bin/containerd --config /run/vial-cri/config.toml
StandardError=append:/run/vial-cri/log
Delegate=yes
KillMode=process
LimitNOFILE=1048576
TasksMax=infinity
OOMScoreAdjust=-999
";

/// A network for each pod: a dummy device with an address.
const NETWORK: &str = r#"{"cniVersion": "1.0.0", "name": "dummy", "plugins": [{"type": "dummy"}]}"#;

/// A CNI plugin for that, which containerd also calls for `lo`.
const PLUGIN: &str = r#"#!/bin/sh
result() { echo "{\"cniVersion\": \"$version\", \"interfaces\": [{\"name\": \"$CNI_IFNAME\",
    \"sandbox\": \"$CNI_NETNS\"}], \"ips\": [{\"address\": \"$1\", \"interface\": 0}]}"; }
inside() { nsenter --net="$CNI_NETNS" ip "$@" >&2 || exit 1; }
version=$(sed -n 's/.*"cniVersion": *"\([^"]*\)".*/\1/p')
case $CNI_COMMAND,$CNI_IFNAME in
ADD,lo) inside link set lo up && result 127.0.0.1/8 ;;
ADD,*)
    inside link add "$CNI_IFNAME" type dummy && inside link set "$CNI_IFNAME" up
    inside address add 192.0.2.7/24 dev "$CNI_IFNAME" && result 192.0.2.7/24 ;;
VERSION,*) echo '{"cniVersion": "1.0.0", "supportedVersions": ["0.3.1", "1.0.0"]}' ;;
esac
"#;

/// A containerd whose CRI plugin answers.
pub(super) struct Node<'a> {
    pub(super) context: &'a Context,
}

impl<'a> Node<'a> {
    /// The first test after boot starts containerd and imports the image.
    pub(super) fn ready(context: &'a Context) -> Result<Self, String> {
        let node = Self { context };
        let ready = Path::new(HOME).join("ready");
        if !ready.exists() {
            node.configure()?;
            node.systemctl(&["daemon-reload"])?;
            node.systemctl(&["start", UNIT])?;
            node.import_image().map_err(|why| format!("{why}\n{}", node.complaints()))?;
            fs::write(&ready, "").on_path("create", &ready)?;
        }
        Ok(node)
    }

    /// Calls a method of CRI's runtime service.
    pub(super) fn call(&self, method: &str, message: &Message) -> Result<Fields, Failed> {
        let method = format!("runtime.v1.RuntimeService/{method}");
        grpc::call(Path::new(SOCKET), &method, message)
            .map_err(|failed| Failed { message: format!("{method}: {}", failed.message), ..failed })
    }

    pub(super) fn systemctl(&self, words: &[&str]) -> Result<String, String> {
        let mut command = Command::new("systemctl");
        Ok(self.context.run(command.args(words))?.success()?.stdout.trim().to_owned())
    }

    /// Starts containerd again, while containers run.
    pub(super) fn restart(&self) -> Result<(), String> {
        self.systemctl(&["restart", UNIT])?;
        self.wait_until_it_answers()
    }

    fn wait_until_it_answers(&self) -> Result<(), String> {
        wait_until("containerd", || Ok(self.call("Version", &Message::new()).is_ok()))
    }

    /// What containerd has complained of.
    fn complaints(&self) -> String {
        let log = fs::read_to_string(LOG).unwrap_or_default(); // There may be none yet.
        let is_bad = |line: &&str| !line.contains("level=info");
        log.lines().filter(is_bad).collect::<Vec<_>>().join("\n")
    }

    fn configure(&self) -> Result<(), String> {
        let plugins = format!("{HOME}/cni");
        let write = |path: &str, text: &str, mode: u32| {
            let path = Path::new(path);
            fs::create_dir_all(path.parent().unwrap_or(path)).on_path("create", path)?;
            fs::write(path, text).on_path("write", path)?;
            fs::set_permissions(path, Permissions::from_mode(mode)).on_path("change", path)
        };
        write(&format!("{HOME}/config.toml"), &self.configuration(&plugins), 0o644)?;
        write(&format!("/run/systemd/system/{UNIT}"), SERVICE, 0o644)?;
        write(&format!("{plugins}/dummy.conflist"), NETWORK, 0o644)?;
        write(&format!("{plugins}/dummy"), PLUGIN, 0o755)?;
        Ok(write(&format!("{plugins}/loopback"), PLUGIN, 0o755)?)
    }

    fn configuration(&self, plugins: &str) -> String {
        let vial = self.context.vial.display();
        let handler = |name: &str, is_scopes: bool| {
            format!(
                r#"
                [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{name}]
                runtime_type = "io.containerd.runc.v2"
                options = {{BinaryName = "{vial}", SystemdCgroup = {is_scopes}}}
                "#
            )
        };
        format!(
            r#"
            version = 2
            root = "{ROOT}"
            state = "{HOME}/state"
            [grpc]
            address = "{SOCKET}"
            [plugins."io.containerd.grpc.v1.cri"]
            sandbox_image = "{IMAGE}"
            [plugins."io.containerd.grpc.v1.cri".cni]
            bin_dir = "{plugins}"
            conf_dir = "{plugins}"
            [plugins."io.containerd.grpc.v1.cri".containerd]
            default_runtime_name = "{SCOPES}"
            {}{}"#,
            handler(SCOPES, true),
            handler(CGROUPFS, false)
        )
    }

    fn import_image(&self) -> Result<(), String> {
        let podman = Podman::ready(self.context)?;
        let file = Path::new(HOME).join("image.tar").to_string_lossy().into_owned();
        let command = "ENTRYPOINT [\"/bin/sleep\", \"1000000\"]";
        podman.success(&["import", "--change", command, &tar().to_string_lossy(), "pod"])?;
        podman.success(&["save", "--output", &file, "pod"])?;
        let mut ctr = Command::new("ctr");
        ctr.args(["--address", SOCKET, "--namespace", "k8s.io", "images", "import", &file]);
        self.context.run(&mut ctr)?.success()?;
        let wanted = Message::new().message(1, &Message::new().text(1, IMAGE));
        let method = "runtime.v1.ImageService/ImageStatus";
        wait_until("the CRI plugin to find the image", || {
            let status = grpc::call(Path::new(SOCKET), method, &wanted)?;
            Ok(!status.text(&[1, 1])?.is_empty())
        })
    }
}
