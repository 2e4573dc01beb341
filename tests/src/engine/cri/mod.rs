//! Kubernetes' way to vial: containerd's CRI plugin, with vial as the handler of a
//! runtime class. The tests make the calls that a kubelet makes.
//!
//! Debian has no client for CRI, so here is one: [`grpc`] carries the messages of
//! [`protobuf`], whose fields have the numbers of [`fields`]. [`node`] sets up
//! containerd, and [`pods`] are what it runs.

use crate::runner::Topic;

mod fields;
mod grpc;
mod hpack;
mod life;
mod node;
mod places;
mod pods;
mod protobuf;
mod resources;
mod security;

/// The claims of the files here.
pub(super) const LIFE: &Topic = &life::TOPIC;
pub(super) const RESOURCES: &Topic = &resources::TOPIC;
pub(super) const SECURITY: &Topic = &security::TOPIC;
pub(super) const PLACES: &Topic = &places::TOPIC;
