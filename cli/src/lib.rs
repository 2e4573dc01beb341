//! vial: reads an OCI bundle's config.json, decides everything, words every
//! error, and keeps state in /run. vial-init carries out what it decides.
//!
//! ```text
//! config.json -> Config -> Plan -> bytes -> vial-init
//!             config/ planner/  plan/     launch/
//! ```
//!
//! **Invariant:** config.json is read once; nothing after the planner asks
//! whether something is set.
//! **Invariant:** an error is one sentence, said once, with exit status 1.
//! **Invariant:** no process of vial stays behind a detached container.
#![forbid(unsafe_code)]

pub mod cgroup;
pub mod config;
pub mod container;
pub mod creation;
pub mod criu;
pub mod debug;
pub mod doctor;
pub mod error;
pub mod file;
pub mod flags;
pub mod foreground;
pub mod hooks;
pub mod host;
pub mod launch;
pub mod log;
pub mod namespace;
pub mod network;
pub mod path_text;
pub mod pattern;
pub mod plan;
pub mod planner;
pub mod printable;
pub mod sd_notify;
pub mod seccomp;
pub mod signals;
pub mod socket;
pub mod spawn;
pub mod systemd;
pub mod time;
pub mod verb;
pub mod words;

/// An allocator for a process that ends soon; see vial_init::sys::heap.
#[global_allocator]
static HEAP: vial_init::sys::heap::Heap = vial_init::sys::heap::Heap::new();
