//! When and where the process runs: its scheduler, I/O priority, CPUs and memory nodes.

use rustix::io::Errno;
use vial_plan::{Call, Step};

use crate::fault::{During, Fault};
use crate::sys::ioprio_set::ioprio_set;
use crate::sys::sched_setaffinity::sched_setaffinity;
use crate::sys::sched_setattr::sched_setattr;
use crate::sys::set_mempolicy::set_mempolicy;

/// Sets the scheduling policy. The bytes are a struct sched_attr.
pub fn set_scheduler(attributes: &[u8]) -> Result<(), Fault> {
    let mut attributes = attributes
        .try_into()
        .map_err(|_| Fault::new(Call::SchedSetattr, Step::SetScheduler, Errno::INVAL))?;
    sched_setattr(0, &mut attributes).during(Call::SchedSetattr, Step::SetScheduler)
}

/// Sets the I/O priority.
pub fn set_io_priority(priority: u32) -> Result<(), Fault> {
    ioprio_set(priority).during(Call::IoprioSet, Step::SetIoPriority)
}

/// Sets the CPUs.
pub fn set_affinity(cpus: &[u8]) -> Result<(), Fault> {
    sched_setaffinity(cpus).during(Call::SchedSetaffinity, Step::SetAffinity)
}

/// Sets the memory policy.
pub fn set_memory_policy(mode: u32, nodes: &[u8]) -> Result<(), Fault> {
    set_mempolicy(mode, nodes).during(Call::SetMempolicy, Step::SetMemoryPolicy)
}
