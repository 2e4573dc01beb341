//! A container whose process was moved to another cgroup.

use std::fs;
use std::path::{Path, PathBuf};

use super::container::{cgroup_of, cgroup_root, refused, wait_until, words};
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

/// A container whose process was moved to this cgroup, and whose own cgroup is gone.
fn moved<'a>(context: &'a Context, to: &Path) -> Result<Container<'a>, String> {
    let container = Container::start(context, &["sleep", "60"], |_| {})?;
    let own = cgroup_of(container.pid)?;
    fs::create_dir_all(to).map_err(words)?;
    fs::write(to.join("cgroup.procs"), container.pid.to_string()).map_err(words)?;
    fs::remove_dir(own).map_err(words)?;
    Ok(container)
}

/// A cgroup of this test. Dropping it removes it.
struct Place(PathBuf);

impl Place {
    fn new(context: &Context) -> Self {
        Self(cgroup_root().join(format!("moved-{}", context.id())))
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
    let state = context.vial(&["state", &container.id])?.success()?.json()?;
    Ok(state["status"].as_str().unwrap_or_default().to_owned())
}

fn moved_container_is_paused_in_its_new_cgroup(context: &Context) -> Outcome {
    let place = Place::new(context);
    let container = moved(context, &place.0)?;
    context.vial(&["pause", &container.id])?.success()?;
    same("whether it is frozen", place.is_frozen()?, true)?;
    same("the status", status(context, &container)?.as_str(), "paused")?;
    refused(&context.vial(&["pause", &container.id])?, "container not running: paused")?;
    refused(&container.exec(&[], &["exit", "0"])?, "cannot exec in a paused container")?;
    context.vial(&["resume", &container.id])?.success()?;
    same("whether it is still frozen", place.is_frozen()?, false)?;
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
        same("whether it is frozen", place.is_frozen()?, false)?;
    }
    fs::write(cgroup_root().join("cgroup.procs"), container.pid.to_string()).map_err(words)?;
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
        wait_until("it to end", || status(context, &container).map_or(true, |s| s == "stopped"))?;
        let freeze = fs::read_to_string(place.0.join("cgroup.freeze")).map_err(words)?;
        same("cgroup.freeze", freeze.trim(), "0")?;
    }
    Ok(())
}
