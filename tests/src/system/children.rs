//! Children that vial did not start: a shell may start some, and then execute vial in
//! its own place.

use std::fs;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use serde_json::json;

use super::edit;
use crate::bundle::Bundle;
use crate::context::{Done, same};
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "children",
    failed_run_waits_for_its_own_children_only[Root],
    foreground_run_waits_for_its_own_children_only[Root],
    failed_exec_waits_for_its_own_children_only[Root],
);

/// Executes vial in a process that has a child already. Returns how vial ended, and
/// fails unless the child is still there.
fn beside_another(context: &Context, words: &[&str]) -> Result<Done, String> {
    let file = context.directory.join("other");
    let role = format!("parent:{}", file.display());
    let done = context.run(&mut context.command_as(&role, words))?;
    let pid = fs::read_to_string(file).map_err(|e| e.to_string())?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    if let Some(pid) = pid.parse().ok().and_then(Pid::from_raw) {
        kill_process(pid, Signal::KILL).map_err(|e| e.to_string())?;
        let _ = waitpid(Some(pid), WaitOptions::empty()); // ECHILD: not yet our child.
    }
    same("the other child", name.trim(), "exe")?;
    Ok(done)
}

fn run_beside_another(context: &Context, bundle: &Bundle) -> Result<Done, String> {
    let path = bundle.path.to_string_lossy();
    beside_another(context, &["run", "--bundle", &path, &context.id()])
}

fn failed_run_waits_for_its_own_children_only(context: &Context) -> Outcome {
    let bundle = context.bundle(|c| c["process"]["args"] = json!(["/missing"]))?;
    edit::one_sentence(&run_beside_another(context, &bundle)?)?;
    let bundle = context.bundle(|c| edit::mount(c, "bogus", "bogus", "/tmp", &[]))?;
    Ok(edit::one_sentence(&run_beside_another(context, &bundle)?)?)
}

fn foreground_run_waits_for_its_own_children_only(context: &Context) -> Outcome {
    let bundle = context.probe_bundle(&["exit", "7"])?;
    Ok(same("the exit code", run_beside_another(context, &bundle)?.code, 7)?)
}

fn failed_exec_waits_for_its_own_children_only(context: &Context) -> Outcome {
    let container = edit::Container::start(context, &["sleep", "60"], |_| {})?;
    Ok(edit::one_sentence(&beside_another(context, &["exec", &container.id, "/missing"])?)?)
}
