//! Who the process is, and what it may do.

pub mod capabilities;
pub mod keyring;
pub mod label;
pub mod loopback;
pub mod rlimit;
pub mod stdio;
pub mod user;
