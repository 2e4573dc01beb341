//! The proof: tests that show on real kernels what vial claims.
//!
//! | word | meaning |
//! |---|---|
//! | probe | the program inside containers: reports what it sees, does what its arguments say |
//! | guest | the program that runs the system tests; PID 1 of a virtual machine |
//! | system test | one claim about vial on a running kernel: a function in a topic's file in [`system`] |
//! | machine | a virtual machine that boots a target's kernel with an initramfs of ours |
//!
//! `cargo proof` runs all of it. `cargo proof NAME` runs the system tests whose
//! name contains NAME in a machine, in less than a minute.
//!
//! **Invariant:** a system test asks the probe or the kernel, and never relies on
//! vial's own output alone. It leaves no process, cgroup, mount or state behind.
#![deny(unsafe_code)]

pub mod agent;
pub mod bundle;
pub mod cgroups;
pub mod context;
pub mod differential;
pub mod engine;
pub mod initramfs;
pub mod inject;
pub mod leftovers;
pub mod modules;
pub mod need;
pub mod notify_host;
pub mod processes;
pub mod ptrace;
pub mod runner;
pub mod selinux;
pub mod sys;
pub mod system;
pub mod vm;

pub use context::Context;
pub use runner::{Failure, Need, Outcome};
