//! A seccomp agent for a container: it answers for the calls with SCMP_ACT_NOTIFY, and tells
//! what each runtime sent to it.

use std::fs;

use serde_json::{Value, json};
use vial_targets::Error;
use vial_targets::command::OnPath;

use super::normal::Seen;
use super::noted;
use super::stage::Stage;
use crate::agent::Agent;

/// The agent's socket, below the stage's directory.
pub(super) const AGENT: &str = "agent";
/// What it answers: an errno that no call of the probe has otherwise.
const EMLINK: i32 = 31;

/// Starts an agent if the document names one.
pub(super) fn start(config: &Value, stage: &Stage) -> Result<Option<Agent>, Error> {
    if config["linux"]["seccomp"]["listenerPath"].is_null() {
        return Ok(None);
    }
    let socket = stage.directory.join(AGENT);
    let _ = fs::remove_file(&socket); // There is none before the first case.
    Agent::start(&socket, |_| Some(Some(Err(EMLINK)))).map(Some).on_path("listen at", &socket)
}

/// Adds the messages that it got, and the calls that it answered.
pub(super) fn add(agent: &Agent, stage: &Stage, seen: &mut Seen) {
    agent.look(|all| {
        let mut states = all.states.clone();
        for message in &mut states {
            let Some(members) = message.as_object_mut() else { continue };
            for (name, value) in members {
                match name.as_str() {
                    "ociVersion" => *value = json!("a version"),
                    "pid" => *value = json!(value.as_u64().map_or("no pid", |_| "a pid")),
                    "state" => noted::normalise_state(value, stage),
                    _ => {}
                }
            }
        }
        let mut calls: Vec<String> = all.calls.iter().map(|call| call.number.to_string()).collect();
        calls.dedup();
        let all = json!({ "states": states, "calls": calls, "errors": all.errors });
        seen.flatten("agent", &all);
    });
}
