//! vial: reads an OCI bundle's config.json, decides everything, words every
//! error, and keeps state in /run. What it decides, vial-init carries out.
//!
//! ```text
//! config.json -> Config -> Plan -> bytes -> vial-init
//!  config/      planner/    plan.rs          launch.rs
//! ```
//!
//! **Invariant:** config.json is read once; nothing after the planner asks
//! whether something is set.
//! **Invariant:** an error is one sentence, said once, with exit status 1.
//! **Invariant:** no process of vial stays behind a detached container.
#![forbid(unsafe_code)]

pub mod args;
pub mod cgroup;
pub mod command;
pub mod config;
pub mod container;
pub mod create;
pub mod dir;
pub mod error;
pub mod failure;
pub mod file;
pub mod foreground;
pub mod hint;
pub mod host;
pub mod kept;
pub mod launch;
pub mod log;
pub mod mount_log;
pub mod mountinfo;
pub mod namespace;
pub mod plan;
pub mod planner;
pub mod printable;
pub mod progress;
pub mod record;
pub mod seccomp;
pub mod signals;
pub mod socket;
pub mod sources;
pub mod spawn;
pub mod status;
pub mod terminal;
pub mod time;
pub mod undo;
pub mod watch;
pub mod words;

/// Made for a process that ends soon, see there.
#[global_allocator]
static HEAP: vial_init::sys::heap::Heap = vial_init::sys::heap::Heap::new();
