//! Sends the listener of a seccomp filter to the agent.

use std::time::Duration;

use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;

use crate::error::Error;
use crate::file::write_all;
use crate::plan::Plan;
use crate::plan::agent::Agent;
use crate::socket;

/// How long the agent may take to accept a connection, to read the message, and to let
/// the process execute its program.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Connects to the agent, sends the listener and the state, and closes the connection.
fn send(agent: &Agent, listener: &OwnedFd, pid: u32) -> Result<(), Error> {
    let failed = |call: &str, errno| {
        let path = agent.path.display();
        let what = format_args!(
            "send the listener to the seccomp agent at {path} (config.json linux.seccomp.listenerPath): {call}"
        );
        match errno {
            Errno::AGAIN => Error::new(format_args!("{what}: the agent does not answer")),
            errno => Error::errno(what, errno),
        }
    };
    let socket = socket::connect_within(&agent.path, PATIENCE)
        .map_err(|errno| failed("connect(2)", errno))
        .map_err(|error| error.hint("the agent must listen before the container is created"))?;
    let text = agent.state.to_json(pid);
    let sent = socket::send_with_fd(&socket, text.as_bytes(), listener.as_fd())
        .map_err(|errno| failed("sendmsg(2)", errno))?;
    let rest = text.as_bytes().get(sent..).unwrap_or_default();
    write_all(&socket, rest).map_err(|errno| failed("write(2)", errno))
}

/// The error for an agent that does not let the process execute its program.
pub fn silent() -> Error {
    Error::new(format_args!(
        "execute the program (config.json linux.seccomp): the seccomp agent has not let it happen for {} s",
        PATIENCE.as_secs()
    ))
    .hint("an agent must answer each call with SCMP_ACT_NOTIFY; execve is one of them, or runs after one")
}

/// Passes the listener of the filter on to the agent.
pub fn pass_on(plan: &Plan, listener: Option<OwnedFd>, pid: u32) -> Result<(), Error> {
    match (&plan.agent, listener) {
        (Some(agent), Some(listener)) => send(agent, &listener, pid),
        _ => Err(Error::new("vial-init sent a listener that the plan does not ask for")),
    }
}
