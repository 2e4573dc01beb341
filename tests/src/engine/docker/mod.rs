//! docker on vial, its default runtime, with the cgroupfs driver.

mod life;
mod options;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use vial_targets::command::OnPath;

use crate::context::{Done, same};
use crate::engine::podman::{Podman, tar, wait_until};
use crate::engine::printed;
use crate::runner::{Topic, topic};
use crate::{Context, Outcome};

topic!(
    "docker",
    docker_run_passes_output_and_exit_code[Docker],
    docker_exec_enters_and_stop_sends_sigterm[Docker],
    docker_limits_are_in_the_containers_cgroup[Docker],
    docker_update_changes_the_limits[Docker],
    docker_connects_containers_by_its_bridge[Docker],
);

pub(super) const LIFE: &Topic = &life::TOPIC;
pub(super) const OPTIONS: &Topic = &options::TOPIC;

struct Docker<'a> {
    context: &'a Context,
}

impl<'a> Docker<'a> {
    /// Starts dockerd with vial as its default runtime, and imports the image.
    fn ready(context: &'a Context) -> Result<Self, String> {
        let docker = Self { context };
        let file = Path::new("/etc/docker/daemon.json");
        if !file.exists() {
            let settings = json!({
                "runtimes": { "vial": { "path": context.vial } },
                "default-runtime": "vial",
                "exec-opts": ["native.cgroupdriver=cgroupfs"],
                "live-restore": true,
            });
            fs::create_dir_all("/etc/docker").on_path("create", file)?;
            fs::write(file, settings.to_string()).on_path("write", file)?;
        }
        // The disk's units are masked, so that docker does not start at boot.
        for words in [&["unmask", "docker.socket", "docker.service"][..], &["start", "docker"]] {
            context.run(Command::new("systemctl").args(words))?.success()?;
        }
        if docker.success(&["images", "-q", "box"])?.is_empty() {
            Podman::ready(context)?;
            docker.success(&["import", &tar().to_string_lossy(), "box"])?;
        }
        Ok(docker)
    }

    fn call(&self, words: &[&str]) -> Result<Done, String> {
        Ok(self.context.run(Command::new("docker").args(words))?)
    }

    fn success(&self, words: &[&str]) -> Result<String, String> {
        printed("docker", words, self.call(words)?)
    }

    /// What a shell in a new container without a network prints, trimmed.
    fn says(&self, options: &[&str], script: &str) -> Result<String, String> {
        self.success(&[&RUN, options, &["box", "sh", "-c", script]].concat())
    }

    /// Runs a shell by `docker run --detach`. Returns the container's name.
    fn start(&self, options: &[&str], script: &str) -> Result<String, String> {
        let name = self.context.id();
        let front = ["run", "--detach", "--network=none", "--name", &name];
        self.success(&[&front, options, &["box", "sh", "-c", script]].concat())?;
        Ok(name)
    }

    /// Runs a shell on the host.
    fn shell(&self, script: &str) -> Result<Done, String> {
        Ok(self.context.run(Command::new("sh").args(["-c", script]))?)
    }

    /// A field of `docker inspect`.
    fn inspect(&self, name: &str, field: &str) -> Result<String, String> {
        self.success(&["inspect", "--format", &format!("{{{{.{field}}}}}"), name])
    }

    /// Removes a container, running or not.
    fn remove(&self, name: &str) -> Result<(), String> {
        self.success(&["rm", "--force", "--volumes", name]).map(drop)
    }
}

const RUN: [&str; 3] = ["run", "--rm", "--network=none"];

fn docker_run_passes_output_and_exit_code(context: &Context) -> Outcome {
    let docker = Docker::ready(context)?;
    let done = docker.call(&[
        "run",
        "--rm",
        "--network=host",
        "box",
        "sh",
        "-c",
        "echo out; echo err >&2; exit 42",
    ])?;
    let (out, err) = (done.stdout.as_str(), done.stderr.as_str());
    Ok(same("exit code and output", (done.code, out, err), (42, "out\n", "err\n"))?)
}

fn docker_exec_enters_and_stop_sends_sigterm(context: &Context) -> Outcome {
    let docker = Docker::ready(context)?;
    let name = context.id();
    let script = "trap 'exit 9' TERM; echo up; while :; do sleep 0.1; done";
    docker.success(&[
        "run",
        "--detach",
        "--network=host",
        "--name",
        &name,
        "box",
        "sh",
        "-c",
        script,
    ])?;
    wait_until("its trap", || Ok(docker.success(&["logs", &name])? == "up"))?;
    let done = docker.call(&["exec", &name, "sh", "-c", "cat /proc/1/comm; exit 7"])?;
    same("exec", (done.code, done.stdout.as_str()), (7, "sh\n"))?;
    docker.success(&["stop", "--time", "30", &name])?;
    let code = docker.success(&["inspect", "--format", "{{.State.ExitCode}}", &name])?;
    same("the exit code", code.as_str(), "9")?;
    Ok(docker.success(&["rm", &name]).map(drop)?)
}

fn docker_limits_are_in_the_containers_cgroup(context: &Context) -> Outcome {
    let docker = Docker::ready(context)?;
    let options = ["run", "--rm", "--network=host", "--memory", "64m", "--pids-limit", "50", "box"];
    let script = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max";
    let said = docker.success(&[&options[..], &["sh", "-c", script]].concat())?;
    Ok(same("the limits", said.as_str(), "67108864\n50")?)
}

fn docker_update_changes_the_limits(context: &Context) -> Outcome {
    let docker = Docker::ready(context)?;
    let name = context.id();
    let options = ["run", "--detach", "--network=host", "--memory=64m", "--name", &name, "box"];
    docker.success(&[&options[..], &["sleep", "1000"]].concat())?;
    let options = ["--memory=96m", "--memory-swap=96m", "--pids-limit=60", "--cpus=0.5"];
    let done = docker.success(&[&["update"], &options[..], &[&name]].concat());
    let script = "cd /sys/fs/cgroup; cat memory.max pids.max cpu.max";
    let after = docker.success(&["exec", &name, "sh", "-c", script]);
    docker.success(&["rm", "--force", &name])?;
    done?;
    Ok(same("after", after?.as_str(), "100663296\n60\n50000 100000")?)
}

/// docker makes the network of such a container in a prestart hook.
fn docker_connects_containers_by_its_bridge(context: &Context) -> Outcome {
    let docker = Docker::ready(context)?;
    let name = context.id();
    let script = "while :; do nc -l -p 80 -e echo served; done";
    let options = ["run", "--detach", "--publish", "127.0.0.1:8080:80", "--name"];
    docker.success(&[&options[..], &[&name, "box", "sh", "-c", script]].concat())?;
    let of = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let address = docker.success(&["inspect", "--format", of, &name])?;
    let client = format!("until nc {address} 80; do sleep 0.2; done");
    let said = docker.success(&["run", "--rm", "box", "sh", "-c", &client])?;
    same("what another container hears", said.as_str(), "served")?;
    wait_until("the published port", || {
        let mut host = Command::new("busybox");
        Ok(context.run(host.args(["nc", "127.0.0.1", "8080"]))?.stdout == "served\n")
    })?;
    Ok(docker.success(&["rm", "--force", &name]).map(drop)?)
}
