//! The system tests: one topic a file, each test named as its claim.

use crate::runner::Topic;

mod harness;
mod run;

/// Every topic, from what must work first to what builds on it.
pub const ALL: &[&Topic] = &[&harness::TOPIC, &run::TOPIC];
