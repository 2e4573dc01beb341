//! The engine tests: podman, containerd, docker and buildah on top of vial, in
//! a machine with systemd; podman's also in one that borrows the host's
//! programs. One topic a file, each test named as its claim.
//!
//! A claim here is one about both: that what a user asks of podman is what the
//! container is. `VIAL_RUNTIME=/usr/bin/crun` in the machine shows whether a
//! test asks for that or for what vial happens to do.

use crate::runner::Topic;

mod buildah;
mod containerd;
mod docker;
mod exec;
mod files;
mod lifecycle;
mod namespaces;
mod podman;
mod resources;
mod rootless;
mod run;
mod security;
mod user;

/// Every topic, from what must work first to what builds on it.
pub const ALL: &[&Topic] = &[
    &run::TOPIC,
    &exec::TOPIC,
    &lifecycle::TOPIC,
    &resources::TOPIC,
    &files::TOPIC,
    &security::TOPIC,
    &namespaces::TOPIC,
    &rootless::TOPIC,
    &user::TOPIC,
    &containerd::TOPIC,
    &docker::TOPIC,
    &buildah::TOPIC,
];
