//! Resource limits.

use vial_plan::{Call, Step};

use crate::fault::{During, Fault};
use crate::sys::setrlimit::{self, Limit};

/// How many resources have a limit (getrlimit(2)).
pub const RESOURCES: usize = 16;

/// Raises the hard limit if it is lower. The soft limit stays: this process must still
/// be able to work.
pub fn raise_hard(resource: u32, hard: u64) -> Result<(), Fault> {
    let present = setrlimit::get(resource).during(Call::Prlimit64, Step::SetRlimit)?;
    if present.hard >= hard {
        return Ok(());
    }
    setrlimit::set(resource, &Limit { hard, ..present }).during(Call::Prlimit64, Step::SetRlimit)
}

/// Sets both limits.
pub fn set(resource: u32, soft: u64, hard: u64) -> Result<(), Fault> {
    setrlimit::set(resource, &Limit { soft, hard }).during(Call::Prlimit64, Step::SetRlimit)
}
