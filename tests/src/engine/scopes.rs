//! podman with its default cgroup manager, systemd.

use std::fs;
use std::process::Command;

use crate::context::{Done, same};
use crate::engine::podman::{Podman, default_manager};
use crate::engine::printed;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "podman-scopes",
    container_is_in_a_scope_by_default[Systemd],
    limits_of_the_scope_survive_a_reload[Systemd],
    pod_has_a_slice_with_its_scopes[Systemd],
);

struct Default<'a> {
    podman: Podman<'a>,
}

impl<'a> Default<'a> {
    fn ready(context: &'a Context) -> Result<Self, String> {
        Ok(Self { podman: Podman::ready(context)? })
    }

    fn call(&self, words: &[&str]) -> Result<Done, String> {
        let mut command = self.podman.command(words);
        Ok(self.podman.context.run(command.env("CONTAINERS_CONF", default_manager()))?)
    }

    fn success(&self, words: &[&str]) -> Result<String, String> {
        printed("podman", words, self.call(words)?)
    }

    /// Starts a container. Returns its id and the path of its cgroup.
    fn start(&self, options: &[&str]) -> Result<(String, String), String> {
        let front = ["run", "--detach"];
        let id = self.success(&[&front, options, &["box", "sleep", "1000"]].concat())?;
        let pid = self.success(&["inspect", "--format", "{{.State.Pid}}", &id])?;
        let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).map_err(|e| e.to_string())?;
        Ok((id, text.trim().trim_start_matches("0::").to_owned()))
    }

    fn property(&self, unit: &str, name: &str) -> Result<String, String> {
        let mut command = Command::new("systemctl");
        command.args(["show", "--value", "-p", name, unit]);
        Ok(self.podman.context.run(&mut command)?.success()?.stdout.trim().to_owned())
    }
}

fn container_is_in_a_scope_by_default(context: &Context) -> Outcome {
    let podman = Default::ready(context)?;
    let done = podman.call(&["run", "--rm", "box", "sh", "-c", "echo hello; exit 7"])?;
    same("run", (done.code, done.stdout.as_str()), (7, "hello\n"))
        .map_err(|why| format!("{why}: {done}"))?;
    let (id, cgroup) = podman.start(&[])?;
    let scope = format!("libpod-{id}.scope");
    same("its cgroup", cgroup, format!("/machine.slice/{scope}"))?;
    same("the state", podman.property(&scope, "ActiveState")?.as_str(), "active")?;
    same("exec", podman.success(&["exec", &id, "cat", "/proc/1/comm"])?.as_str(), "sleep")?;
    podman.success(&["pause", &id])?;
    podman.success(&["unpause", &id])?;
    podman.success(&["restart", "--time", "0", &id])?;
    same("the state", podman.property(&scope, "ActiveState")?.as_str(), "active")?;
    podman.success(&["rm", "--force", "--time", "0", &id])?;
    Ok(same("the scope", podman.property(&scope, "LoadState")?.as_str(), "not-found")?)
}

fn limits_of_the_scope_survive_a_reload(context: &Context) -> Outcome {
    let podman = Default::ready(context)?;
    let options = ["--memory=64m", "--memory-swap=64m", "--cpus=0.5", "--pids-limit=77"];
    let (id, cgroup) = podman.start(&options)?;
    let files = || {
        let names = ["memory.max", "memory.swap.max", "cpu.max", "pids.max"];
        let read = |name| fs::read_to_string(format!("/sys/fs/cgroup{cgroup}/{name}"));
        names.map(|name| read(name).unwrap_or_default().trim().to_owned()).join(", ")
    };
    let before = files();
    same("the limits", before.as_str(), "67108864, 0, 50000 100000, 77")?;
    context.run(Command::new("systemctl").arg("daemon-reload"))?.success()?;
    same("the limits after a reload", files(), before)?;
    Ok(podman.success(&["rm", "--force", "--time", "0", &id]).map(drop)?)
}

fn pod_has_a_slice_with_its_scopes(context: &Context) -> Outcome {
    let podman = Default::ready(context)?;
    let pod = podman.success(&["pod", "create", "--infra=false"])?;
    let (_, cgroup) = podman.start(&["--pod", &pod])?;
    let slice = format!("machine-libpod_pod_{pod}.slice");
    same("its slice", cgroup.starts_with(&format!("/machine.slice/{slice}/libpod-")), true)
        .map_err(|why| format!("{why}: {cgroup}"))?;
    Ok(podman.success(&["pod", "rm", "--force", "--time", "0", &pod]).map(drop)?)
}
