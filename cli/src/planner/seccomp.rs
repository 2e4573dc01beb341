//! linux.seccomp: the filter, and the agent that it notifies.

use std::path::Path;

use super::wrong;
use crate::config::{Config, SPEC};
use crate::error::Error;
use crate::host::Host;
use crate::plan::Plan;
use crate::plan::agent::{Agent, ContainerProcessState, State};
use crate::seccomp::{self, Filter};

/// Compiles linux.seccomp to flags and instructions for the kernel.
pub(super) fn filter(
    plan: &mut Plan,
    config: &Config,
    host: &Host,
    state: &dyn Fn() -> State,
) -> Result<Option<Filter>, Error> {
    let Some(profile) = &config.linux.seccomp else {
        return Ok(None);
    };
    let filter =
        seccomp::compile(profile, host.arch).map_err(|error| wrong(error.path, error.message))?;
    for warning in &filter.warnings {
        plan.warn(&warning.path, &warning.message);
    }
    if filter.notifies {
        let path = &profile.listener_path;
        if path.is_empty() {
            return Err(wrong(
                "linux.seccomp.listenerPath",
                "missing, but SCMP_ACT_NOTIFY is used",
            )
            .hint("it is the socket of the agent that answers for the calls"));
        }
        if path.starts_with('@') {
            return Err(wrong("linux.seccomp.listenerPath", "not a path in the filesystem"));
        }
        let state = state();
        let path = Path::new(&state.bundle).join(path);
        let metadata = profile.listener_metadata.clone();
        let fds = ["seccompFd"];
        let state = ContainerProcessState { oci_version: SPEC, fds, pid: 0, metadata, state };
        plan.agent = Some(Agent { path, state });
    }
    Ok(Some(filter))
}
