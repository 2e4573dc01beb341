//! The verbs, one in each file.

pub mod checkpoint;
mod checkpointing;
pub mod create;
mod creating;
pub mod delete;
pub mod doctor;
mod each;
pub mod events;
pub mod exec;
pub mod features;
pub mod kill;
pub mod list;
pub mod pause;
pub mod plan;
pub mod ps;
pub mod restore;
pub mod run;
pub mod spec;
pub mod start;
pub mod state;
pub mod update;

pub(crate) use crate::container::dir::keep_error;
