//! Many containers at once.

use std::process::Command;

use serde_json::Value;

use super::container::{Container, at_once, nothing_left, words};
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!("crowd", hundred_containers_live_and_end_at_once[Root]);

/// How many of the containers in `list` have this status.
fn listed(context: &Context, crowd: &[Container<'_>], status: &str) -> Result<usize, String> {
    let done = context.vial(&["list", "--format", "json"])?.success()?;
    let all: Option<Vec<Value>> = serde_json::from_str(&done.stdout).map_err(words)?;
    let is_ours = |one: &&Value| crowd.iter().any(|container| one["id"] == *container.id);
    Ok(all.iter().flatten().filter(is_ours).filter(|one| one["status"] == status).count())
}

/// Runs these commands at once, of which each must succeed.
fn succeed(context: &Context, commands: impl Iterator<Item = Command>) -> Result<(), String> {
    at_once(context, commands.collect())?.into_iter().try_for_each(|done| done.success().map(drop))
}

fn hundred_containers_live_and_end_at_once(context: &Context) -> Outcome {
    let before = context.leftovers();
    let crowd: Vec<_> = (0..100)
        .map(|_| Container::prepared(context, &["hold-signals", "+", "sleep", "3600"]))
        .collect::<Result<_, _>>()?;
    let each = |verb: &str, more: &[&str]| {
        let command = |one: &Container<'_>| context.command(&[&[verb, &one.id], more].concat());
        succeed(context, crowd.iter().map(command))
    };
    succeed(context, crowd.iter().map(|container| container.command("create")))?;
    same("those that are created", listed(context, &crowd, "created")?, crowd.len())?;
    each("start", &[])?;
    same("those that run", listed(context, &crowd, "running")?, crowd.len())?;
    each("kill", &["KILL"])?;
    crowd.iter().try_for_each(Container::ends)?;
    same("those that have ended", listed(context, &crowd, "stopped")?, crowd.len())?;
    each("delete", &[])?;
    same("those that are left", listed(context, &crowd, "stopped")?, 0)?;
    Ok(nothing_left(context, &before)?)
}
