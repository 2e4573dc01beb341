//! The seccomp agent: the program that answers for the calls with SCMP_ACT_NOTIFY.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

/// Where the listener of the filter goes, and what is said about it.
#[derive(Clone, Debug)]
pub struct Agent {
    /// The agent's socket.
    pub path: PathBuf,
    /// What is sent with the listener. `pid` is known only to launch.
    pub state: ContainerProcessState,
}

/// The container process state of config-linux.md, "Seccomp".
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerProcessState {
    /// The version of the spec that this follows.
    pub oci_version: &'static str,
    /// The names of the fds that come along.
    pub fds: [&'static str; 1],
    /// The pid of the process that is filtered.
    pub pid: u32,
    /// linux.seccomp.listenerMetadata.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
    /// The container's state.
    pub state: State,
}

/// The state of a container (runtime.md).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// config.json's version of the spec.
    pub oci_version: String,
    /// The container's id.
    pub id: String,
    /// creating, or running for an exec.
    pub status: &'static str,
    /// The pid of the container's init; 0 if it is the filtered process itself.
    pub pid: u32,
    /// The bundle.
    pub bundle: String,
    /// config.json's annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl ContainerProcessState {
    /// The JSON for a process with this pid.
    pub fn to_json(&self, pid: u32) -> String {
        let mut state = self.clone();
        state.pid = pid;
        if state.state.pid == 0 {
            state.state.pid = pid;
        }
        serde_json::to_string(&state).unwrap_or_default() // Only a map with other keys can fail.
    }
}
