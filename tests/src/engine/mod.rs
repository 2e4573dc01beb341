//! The engine tests: podman, containerd (also as Kubernetes calls it), docker and
//! buildah on vial, in a machine with systemd. podman's tests also run in a machine
//! that borrows the host's programs. One topic a file, and each test is named after
//! its claim.
//!
//! A claim here is about the engine and vial together: the container is what the
//! user asks the engine for. `VIAL_RUNTIME=/usr/bin/crun` in the machine shows
//! whether a test asks for that or for what vial happens to do.

use crate::context::Done;
use crate::runner::Topic;

mod buildah;
mod containerd;
mod cri;
mod docker;
mod exec;
mod files;
mod lifecycle;
mod namespaces;
mod podman;
mod resources;
mod rootless;
mod run;
mod scopes;
mod security;
mod user;

/// Every topic; later ones build on what earlier ones check.
pub const ALL: &[&Topic] = &[
    &run::TOPIC,
    &exec::TOPIC,
    &lifecycle::TOPIC,
    &resources::TOPIC,
    &files::TOPIC,
    &security::TOPIC,
    &namespaces::TOPIC,
    &rootless::TOPIC,
    &scopes::TOPIC,
    &user::TOPIC,
    &containerd::TOPIC,
    cri::LIFE,
    cri::RESOURCES,
    cri::SECURITY,
    cri::PLACES,
    &docker::TOPIC,
    docker::OPTIONS,
    docker::LIFE,
    &buildah::TOPIC,
];

/// A seccomp profile in which mkdir(2) has timed out.
const NO_MKDIR: &str = r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls":
        [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 110}]}"#;

/// What an engine's program printed, trimmed. It must have succeeded.
fn printed(program: &str, words: &[&str], done: Done) -> Result<String, String> {
    let done = done.success().map_err(|why| format!("{program} {}: {why}", words.join(" ")))?;
    Ok(done.stdout.trim().to_owned())
}
