//! podman of an ordinary user with a logind session, on a host with systemd.

use std::path::Path;
use std::process::Command;

use vial_targets::disk::USER;

use crate::context::{Done, same};
use crate::engine::podman::{Podman, configuration, default_manager, tar};
use crate::engine::printed;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "user",
    users_container_has_the_users_subordinate_ids[Systemd],
    users_container_is_entered_and_stopped[Systemd],
    users_container_is_in_a_scope_by_default[Systemd],
);

struct User<'a> {
    context: &'a Context,
}

impl<'a> User<'a> {
    /// Starts the user's systemd, and imports the image into the user's storage.
    fn ready(context: &'a Context) -> Result<Self, String> {
        let user = Self { context };
        Podman::ready(context)?; // For the image and containers.conf.
        context.run(Command::new("loginctl").args(["enable-linger", USER]))?.success()?;
        if user.success(&["images", "-q", "box"])?.is_empty() {
            user.success(&["import", &tar().to_string_lossy(), "box"])?;
        }
        Ok(user)
    }

    /// Runs podman as a service of the user's own systemd.
    fn call(&self, words: &[&str]) -> Result<Done, String> {
        self.call_with(&configuration(), words)
    }

    /// The same with this containers.conf.
    fn call_with(&self, file: &Path, words: &[&str]) -> Result<Done, String> {
        let mut command = Command::new("systemd-run");
        command.args(["--quiet", "--pipe", "--wait", "--collect", "--user"]);
        command.arg(format!("--machine={USER}@.host"));
        command.arg(format!("--setenv=CONTAINERS_CONF={}", file.display()));
        // A detached container lives on when podman's unit ends.
        command.args(["--property=Delegate=yes", "--property=KillMode=process", "podman"]);
        command.args(words);
        Ok(self.context.run(&mut command)?)
    }

    fn success(&self, words: &[&str]) -> Result<String, String> {
        printed("podman", words, self.call(words)?)
    }
}

fn users_container_has_the_users_subordinate_ids(context: &Context) -> Outcome {
    let user = User::ready(context)?;
    let script = "id -u; cat /proc/self/uid_map | xargs";
    let said = user.success(&["run", "--rm", "box", "sh", "-c", script])?;
    let ids: Vec<&str> = said.split_whitespace().collect();
    same(
        "its uid, and the first entry of its uid_map",
        ids.get(..4),
        Some(&["0", "0", "1000", "1"][..]),
    )?;
    Ok(same("how many are subordinate", ids.get(6), Some(&"65536"))?)
}

fn users_container_is_entered_and_stopped(context: &Context) -> Outcome {
    let user = User::ready(context)?;
    let name = context.id();
    let script = "trap 'exit 9' TERM; while :; do sleep 0.1; done";
    user.success(&["run", "--detach", "--name", &name, "box", "sh", "-c", script])?;
    let done = user.call(&["exec", &name, "sh", "-c", "cat /proc/1/comm; exit 7"])?;
    same("exec", (done.code, done.stdout.as_str()), (7, "sh\n"))
        .map_err(|why| format!("{why}: {done}"))?;
    user.success(&["stop", "--time", "30", &name])?;
    let code = user.success(&["inspect", "--format", "{{.State.ExitCode}}", &name])?;
    same("the exit code", code.as_str(), "9")?;
    Ok(user.success(&["rm", &name]).map(drop)?)
}

fn users_container_is_in_a_scope_by_default(context: &Context) -> Outcome {
    let user = User::ready(context)?;
    let call =
        |words: &[&str]| printed("podman", words, user.call_with(&default_manager(), words)?);
    let name = context.id();
    let script = "cat /sys/fs/cgroup/pids.max; exec sleep 1000";
    let options = ["--pids-limit=55", "--memory=64m"];
    let id = call(
        &[&["run", "--detach", "--name", &name][..], &options, &["box", "sh", "-c", script]]
            .concat(),
    )?;
    let pid = call(&["inspect", "--format", "{{.State.Pid}}", &name])?;
    let cgroup =
        std::fs::read_to_string(format!("/proc/{pid}/cgroup")).map_err(|e| e.to_string())?;
    let wanted = format!("/user@1000.service/user.slice/libpod-{id}.scope");
    same("its cgroup", cgroup.trim().ends_with(&wanted), true)
        .map_err(|e| format!("{e}: {cgroup}"))?;
    same("its limit", call(&["logs", &name])?.as_str(), "55")?;
    let exec = ["exec", &name, "cat", "/proc/1/comm"];
    same("exec", call(&exec)?.as_str(), "sleep")?;
    call(&["rm", "--force", "--time", "0", &name])?;
    let path = format!("/sys/fs/cgroup{}", cgroup.trim().trim_start_matches("0::"));
    Ok(same("its cgroup is there", Path::new(&path).exists(), false)?)
}
