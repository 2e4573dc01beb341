//! The children of vial that vial did not start: a shell's, which executed it
//! in its own place.

use std::fs;
use std::process::Command;

use serde_json::json;

use super::edit;
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "children",
    failed_run_waits_for_its_own_children_only[Root],
    foreground_run_waits_for_its_own_children_only[Root],
    failed_exec_waits_for_its_own_children_only[Root],
);

/// Runs vial in the place of a shell that has started `sleep`. Returns what
/// vial did, and fails unless the sleep outlived it.
fn beside_a_sleep(context: &Context, words: &str) -> Result<crate::context::Done, String> {
    let script = format!(
        "sleep 100 & echo $! >{}/sleep; exec {} --root {} {words}",
        context.folder.display(),
        context.vial.display(),
        context.state.display()
    );
    let done = context.run(Command::new("sh").args(["-c", &script]))?;
    let pid = fs::read_to_string(context.folder.join("sleep")).map_err(|e| e.to_string())?;
    let pid = pid.trim();
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let killed = context.run(Command::new("sh").args(["-c", &format!("kill {pid}")]))?;
    same("the other child", name.trim(), "sleep")?;
    killed.success()?;
    Ok(done)
}

fn failed_run_waits_for_its_own_children_only(context: &Context) -> Outcome {
    let bundle = context.bundle(|c| c["process"]["args"] = json!(["/missing"]))?;
    let words = format!("run --bundle {} {}", bundle.path.display(), context.id());
    let done = beside_a_sleep(context, &words)?;
    edit::one_sentence(&done)?;
    let bundle = context.bundle(|c| edit::mount(c, "bogus", "bogus", "/tmp", &[]))?;
    let words = format!("run --bundle {} {}", bundle.path.display(), context.id());
    Ok(edit::one_sentence(&beside_a_sleep(context, &words)?)?)
}

fn foreground_run_waits_for_its_own_children_only(context: &Context) -> Outcome {
    let bundle = context.probe_bundle(&["exit", "7"])?;
    let words = format!("run --bundle {} {}", bundle.path.display(), context.id());
    Ok(same("the exit code", beside_a_sleep(context, &words)?.code, 7)?)
}

fn failed_exec_waits_for_its_own_children_only(context: &Context) -> Outcome {
    let container = edit::Container::start(context, &["sleep", "60"], |_| {})?;
    let done = beside_a_sleep(context, &format!("exec {} /missing", container.id))?;
    Ok(edit::one_sentence(&done)?)
}
