//! The proof: what is claimed of vial, shown on real kernels.
//!
//! | word | meaning |
//! |---|---|
//! | probe | the program inside containers: says what it sees, does what it is told |
//! | guest | the program that runs the system tests; PID 1 of a virtual machine |
//! | system test | a claim about vial on a running kernel: one function, one topic a file in [`system`] |
//! | machine | a virtual machine with a target's kernel, made of an initramfs and nothing else |
//!
//! `cargo proof` runs all of it; `cargo proof NAME` runs the system tests whose
//! name has NAME in it, in a machine, in under a minute.
//!
//! **Invariant:** a system test asks the probe or the kernel, never vial's own
//! output alone, and leaves no process, cgroup, mount or state behind.
#![deny(unsafe_code)]

pub mod bundle;
pub mod context;
pub mod engine;
pub mod initramfs;
pub mod inject;
pub mod leftovers;
pub mod modules;
pub mod processes;
pub mod runner;
pub mod sys;
pub mod system;
pub mod vm;

pub use context::Context;
pub use runner::{Failure, Need, Outcome};
