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
    let profile = config.linux.seccomp.as_ref();
    let annotation = |name: &str| config.annotations.get(name).map(String::as_str);
    let filter = match (annotation("run.oci.seccomp_bpf_data"), profile) {
        (Some(text), _) => seccomp::decode(text, profile),
        (None, Some(profile)) => seccomp::compile(profile, host.arch),
        (None, None) => return Ok(None),
    }
    .map_err(|error| wrong(error.path, error.message))?;
    let unknown = filter.warnings.iter().find(|warning| warning.path.ends_with(".names"));
    if let Some(error) = unknown
        && annotation("run.oci.seccomp_fail_unknown_syscall").is_some_and(|value| value != "0")
    {
        return Err(wrong(&error.path, error.message.replace("skipped, as ", ""))
            .hint("run.oci.seccomp_fail_unknown_syscall asks for this error"));
    }
    for warning in &filter.warnings {
        plan.warn(&warning.path, &warning.message);
    }
    if filter.notifies {
        let path = profile.map_or("", |profile| &profile.listener_path);
        let path = match path {
            "" => annotation("run.oci.seccomp.receiver").unwrap_or_default(),
            path => path,
        };
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
        let metadata = profile.and_then(|profile| profile.listener_metadata.clone());
        let fds = ["seccompFd"];
        let state = ContainerProcessState { oci_version: SPEC, fds, pid: 0, metadata, state };
        plan.agent = Some(Agent { path, state });
    }
    Ok(Some(filter))
}

/// The field of config.json that the filter comes from.
pub(super) fn field(config: &Config) -> &'static str {
    match config.annotations.contains_key("run.oci.seccomp_bpf_data") {
        true => seccomp::BPF_DATA,
        false => "linux.seccomp",
    }
}
