//! Units of systemd with Type=notify, whose service is a container.

use std::process::Command;

use super::container::{self, Container, wait_until, words};
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "units",
    unit_is_active_once_the_container_is_ready[Systemd],
    unit_of_a_detached_container_has_its_pid[Systemd],
);

/// Starts a unit of type notify in the background.
fn unit(container: &Container<'_>, name: &str, options: &[&str]) -> Command {
    let run = container.command("run");
    let mut command = Command::new("systemd-run");
    command.args(["--quiet", "--collect", "--service-type=notify", "--unit", name]);
    command.args(["--property=NotifyAccess=all", "--property=TimeoutStartSec=60"]);
    command.arg(run.get_program()).args(run.get_args()).args(options);
    command
}

fn property(context: &Context, unit: &str, name: &str) -> Result<String, String> {
    let mut command = Command::new("systemctl");
    let done = context.run(command.args(["show", "--value", "-p", name, unit]))?.success()?;
    Ok(done.stdout.trim().to_owned())
}

fn unit_is_active_once_the_container_is_ready(context: &Context) -> Outcome {
    let deeds = ["hold-signals", "+", "sleep", "5", "+", "notify", "READY=1\\nSTATUS=here"];
    let container = Container::prepared(context, &[&deeds[..], &["+", "signals"]].concat())?;
    let name = "vial-test-foreground.service";
    let mut starts = container::start(&mut unit(&container, name, &[]))?;
    wait_until("the container to run", || container.status().is_ok_and(|s| s == "running"))?;
    same("the early state", property(context, name, "ActiveState")?.as_str(), "activating")?;
    same("how its start ended", starts.wait().map_err(words)?.code(), Some(0))?;
    same("the state", property(context, name, "ActiveState")?.as_str(), "active")?;
    same("the status", property(context, name, "StatusText")?.as_str(), "here")?;
    context.run(Command::new("systemctl").args(["stop", name]))?.success()?;
    wait_until("the container's end", || container.status().is_err())?;
    Ok(())
}

fn unit_of_a_detached_container_has_its_pid(context: &Context) -> Outcome {
    let deeds = ["hold-signals", "+", "notify", "MAINPID=1\\nREADY=1", "+", "signals"];
    let container = Container::prepared(context, &deeds)?;
    let name = "vial-test-detached.service";
    context.run(&mut unit(&container, name, &["--detach"]))?.success()?;
    same("the state", property(context, name, "ActiveState")?.as_str(), "active")?;
    let pid = property(context, name, "MainPID")?;
    same("its main process", pid, container.pid()?.to_string())?;
    context.run(Command::new("systemctl").args(["stop", name]))?.success()?;
    container.ends()?;
    Ok(container.remove()?)
}
