//! A container whose process was moved to another cgroup.

use std::fs;
use std::path::{Path, PathBuf};

use super::container::{refused, wait_until, words};
use super::edit::Container;
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "moved",
    moved_container_is_paused_in_its_new_cgroup[Root],
    container_that_shares_its_cgroup_is_not_paused[Root],
    paused_container_that_is_killed_leaves_nothing_frozen[Root],
);

/// The mount point of cgroup2; these tests need no controller.
fn root() -> &'static Path {
    let whole = Path::new("/sys/fs/cgroup");
    if whole.join("cgroup.procs").exists() { whole } else { Path::new("/sys/fs/cgroup/unified") }
}

/// A container whose process was moved to this cgroup, and whose own cgroup is gone.
fn moved<'a>(context: &'a Context, to: &Path) -> Result<Container<'a>, String> {
    let container = Container::start(context, &["sleep", "60"], |_| {})?;
    let text = fs::read_to_string(format!("/proc/{}/cgroup", container.pid)).map_err(words)?;
    let own = text.lines().find_map(|line| line.strip_prefix("0::/")).ok_or("no cgroup v2")?;
    fs::create_dir_all(to).map_err(words)?;
    fs::write(to.join("cgroup.procs"), container.pid.to_string()).map_err(words)?;
    fs::remove_dir(root().join(own)).map_err(words)?;
    Ok(container)
}

/// A cgroup of this test. Dropping it removes it.
struct Place(PathBuf);

impl Place {
    fn new(context: &Context) -> Self {
        Self(root().join(format!("moved-{}", context.id())))
    }

    fn is_frozen(&self) -> Result<bool, String> {
        let events = fs::read_to_string(self.0.join("cgroup.events")).map_err(words)?;
        Ok(events.contains("frozen 1"))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0); // The runner finds the leftovers of a test.
    }
}

fn status(context: &Context, container: &Container<'_>) -> Result<String, String> {
    let text = context.vial(&["state", &container.id])?.success()?.stdout;
    let state: serde_json::Value = serde_json::from_str(&text).map_err(words)?;
    Ok(state["status"].as_str().unwrap_or_default().to_owned())
}

fn moved_container_is_paused_in_its_new_cgroup(context: &Context) -> Outcome {
    let place = Place::new(context);
    let container = moved(context, &place.0)?;
    context.vial(&["pause", &container.id])?.success()?;
    same("it is frozen", place.is_frozen()?, true)?;
    same("the status", status(context, &container)?.as_str(), "paused")?;
    refused(&context.vial(&["pause", &container.id])?, "container not running: paused")?;
    refused(&container.exec(&[], &["exit", "0"])?, "cannot exec in a paused container")?;
    context.vial(&["resume", &container.id])?.success()?;
    same("it is frozen still", place.is_frozen()?, false)?;
    same("the status after", status(context, &container)?.as_str(), "running")?;
    container.exec(&[], &["exit", "0"])?.success()?;
    refused(&context.vial(&["resume", &container.id])?, "container not paused: running")?;
    drop(container);
    Ok(())
}

fn container_that_shares_its_cgroup_is_not_paused(context: &Context) -> Outcome {
    let place = Place::new(context);
    let container = moved(context, &place.0)?;
    let other = Container::start(context, &["sleep", "60"], |_| {})?;
    let below = place.0.join("below");
    fs::create_dir(&below).map_err(words)?;
    // The other process is beside it, below it, or in the root cgroup with it.
    let told = "holds others, so that it cannot be paused";
    for to in [&place.0, &below] {
        fs::write(to.join("cgroup.procs"), other.pid.to_string()).map_err(words)?;
        refused(&context.vial(&["pause", &container.id])?, told)?;
        same("it is frozen", place.is_frozen()?, false)?;
    }
    fs::write(root().join("cgroup.procs"), container.pid.to_string()).map_err(words)?;
    refused(&context.vial(&["pause", &container.id])?, told)?;
    same("the status", status(context, &container)?.as_str(), "running")?;
    drop((container, other));
    fs::remove_dir(&below).map_err(words)?;
    Ok(())
}

fn paused_container_that_is_killed_leaves_nothing_frozen(context: &Context) -> Outcome {
    for (verb, signal) in [(&["kill"][..], &["KILL"][..]), (&["delete", "--force"], &[])] {
        let place = Place::new(context);
        let container = moved(context, &place.0)?;
        context.vial(&["pause", &container.id])?.success()?;
        context.vial(&[verb, &[&container.id], signal].concat())?.success()?;
        wait_until("its end", || status(context, &container).map_or(true, |s| s == "stopped"))?;
        let freeze = fs::read_to_string(place.0.join("cgroup.freeze")).map_err(words)?;
        same("what is asked of the cgroup", freeze.trim(), "0")?;
    }
    Ok(())
}
