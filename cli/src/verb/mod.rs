//! The verbs, one a file.

pub mod create;
pub mod delete;
pub mod exec;
pub mod features;
pub mod kill;
pub mod list;
pub mod pause;
pub mod plan;
pub mod ps;
pub mod run;
pub mod spec;
pub mod start;
pub mod state;

/// Their names.
pub const NAMES: [&str; 14] = [
    "create", "delete", "exec", "features", "kill", "list", "pause", "plan", "ps", "resume", "run",
    "spec", "start", "state",
];
