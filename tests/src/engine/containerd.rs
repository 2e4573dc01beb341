//! containerd on vial by its client ctr(8), with io.containerd.runc.v2 and another
//! binary, as nerdctl uses it. Kubernetes calls it by CRI: see [`super::cri`].

use std::path::Path;
use std::process::Command;

use crate::context::{Done, same};
use crate::engine::podman::{Podman, archive, wait_until};
use crate::engine::printed;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "containerd",
    ctr_run_passes_output_and_exit_code[Containerd],
    task_is_started_entered_killed_and_deleted[Containerd],
    task_is_paused_and_resumed[Containerd],
);

/// ctr's name for the image in our archive.
const IMAGE: &str = "localhost/box:latest";
/// The state directory that io.containerd.runc.v2 passes to the runtime.
const STATE: &str = "/run/containerd/runc/default";

struct Ctr<'a> {
    context: &'a Context,
}

impl<'a> Ctr<'a> {
    /// Starts containerd, and imports the image.
    fn ready(context: &'a Context) -> Result<Self, String> {
        let ctr = Self { context };
        context.run(Command::new("systemctl").args(["start", "containerd"]))?.success()?;
        if !ctr.success(&["images", "ls", "-q"])?.contains(IMAGE) {
            let file = archive(&Podman::ready(context)?)?;
            ctr.success(&["images", "import", &file.to_string_lossy()])?;
        }
        Ok(ctr)
    }

    fn call(&self, words: &[&str]) -> Result<Done, String> {
        Ok(self.context.run(Command::new("ctr").args(words))?)
    }

    fn success(&self, words: &[&str]) -> Result<String, String> {
        printed("ctr", words, self.call(words)?)
    }

    /// `ctr run OPTIONS IMAGE ID sh -c SCRIPT` on vial.
    fn run(&self, option: &str, id: &str, script: &str) -> Result<Done, String> {
        let vial = self.context.vial.to_string_lossy();
        let front = ["run", "--runc-binary", &vial, option, IMAGE, id];
        self.call(&[&front[..], &["sh", "-c", script]].concat())
    }

    /// The status that `ctr task ls` shows for a task.
    fn status(&self, id: &str) -> Result<Option<String>, String> {
        let tasks = self.success(&["task", "ls"])?;
        let line = tasks.lines().find(|line| line.starts_with(id));
        Ok(line.and_then(|line| line.split_whitespace().nth(2)).map(str::to_owned))
    }

    /// Kills a running container, and deletes it.
    fn end(&self, id: &str) -> Result<(), String> {
        self.success(&["task", "kill", "--signal", "KILL", id])?;
        wait_until("it to end", || Ok(self.status(id)?.as_deref() == Some("STOPPED")))?;
        // ctr exits with 0, and warns of the task's exit code.
        let done = self.call(&["task", "delete", id])?.success()?;
        same(&format!("whether it warns of code 137: {done}"), done.stderr.contains("137"), true)?;
        self.success(&["container", "delete", id])?;
        same("whether its state exists", Path::new(STATE).join(id).exists(), false)
    }
}

fn ctr_run_passes_output_and_exit_code(context: &Context) -> Outcome {
    let ctr = Ctr::ready(context)?;
    let done = ctr.run("--rm", &context.id(), "echo out; exit 42")?;
    Ok(same("exit code and output", (done.code, done.stdout.as_str()), (42, "out\n"))?)
}

fn task_is_started_entered_killed_and_deleted(context: &Context) -> Outcome {
    let ctr = Ctr::ready(context)?;
    let id = context.id();
    ctr.run("--detach", &id, "exec sleep 1000")?.success()?;
    same("the status", ctr.status(&id)?.as_deref(), Some("RUNNING"))?;
    let script = "cat /proc/1/comm; exit 7";
    let done = ctr.call(&["task", "exec", "--exec-id", "one", &id, "sh", "-c", script])?;
    same("exec", (done.code, done.stdout.as_str()), (7, "sleep\n"))?;
    Ok(ctr.end(&id)?)
}

fn task_is_paused_and_resumed(context: &Context) -> Outcome {
    let ctr = Ctr::ready(context)?;
    let id = context.id();
    ctr.run("--detach", &id, "exec sleep 1000")?.success()?;
    ctr.success(&["task", "pause", &id])?;
    same("the status", ctr.status(&id)?.as_deref(), Some("PAUSED"))?;
    ctr.success(&["task", "resume", &id])?;
    same("the status", ctr.status(&id)?.as_deref(), Some("RUNNING"))?;
    Ok(ctr.end(&id)?)
}
