//! A config.json without a process: it can be created but not started.

use serde_json::Value;

use super::container::{Container, refused};
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "no_process",
    container_without_a_process_can_be_created_but_not_started[Root],
    exec_enters_a_container_without_a_process[Root],
    run_without_a_process_is_refused[Root],
);

fn without(config: &mut Value) {
    config.as_object_mut().map(|config| config.remove("process"));
}

fn container_without_a_process_can_be_created_but_not_started(context: &Context) -> Outcome {
    let before = context.leftovers();
    let container = Container::created_from(context, without)?;
    container.is("created")?;
    refused(&container.vial("start", &[])?, "without a process")?;
    container.is("created")?;
    container.vial("kill", &["KILL"])?.success()?;
    container.ends()?;
    container.vial("delete", &[])?.success()?;
    Ok(context.nothing_left_since(&before)?)
}

/// Its namespaces and its rootfs can be used.
fn exec_enters_a_container_without_a_process(context: &Context) -> Outcome {
    let container = Container::created_from(context, without)?;
    let words = ["exec", "--cwd", "/tmp", &container.id, "/probe", "report"];
    let seen = context.vial(&words)?.success()?.json()?;
    same("the host name", seen["hostname"].as_str(), Some("vial"))?;
    same("the directory", seen["cwd"].as_str(), Some("/tmp"))?;
    let effective = seen["capabilities"]["CapEff"].as_str();
    same("its capabilities", effective, Some("0000000000000000"))?;
    Ok(container.remove()?)
}

fn run_without_a_process_is_refused(context: &Context) -> Outcome {
    let container = Container::prepared_from(context, without)?;
    let done = context.run_bundle(&container.bundle)?;
    Ok(refused(&done, "config.json process: missing")?)
}
