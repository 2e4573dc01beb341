//! Stage 1: in the new user namespace, and mapped, but before the namespaces that
//! must be prepared from within it. The one case there is: a time namespace with
//! offsets. They must be written before the first process enters, with privileges
//! in the new user namespace.

use vial_plan::{Call, Fields, NO_SLOT, Stage1, Step};

use crate::cgroup::Cgroup;
use crate::fault::{During, Fault, Prepared};
use crate::process::user;
use crate::sys::unshare::unshare;
use crate::{Life, gate, leave};

/// One item of the section of stage 1.
pub fn act(life: &mut Life, code: u16, fields: &Fields<'static>) -> Result<(), Fault> {
    match Stage1::from_fields(code, fields).prepared()? {
        Stage1::AwaitMapping { pipe } => gate::await_mapping(life, pipe),
        Stage1::BecomeRoot { groups } => user::become_root(groups),
        Stage1::Unshare { kinds } => unshare(kinds).during(Call::Unshare, Step::Unshare),
        Stage1::TimeOffsets { offsets } => {
            life.procfs()?.write(c"self/timens_offsets", offsets.to_bytes())
        }
        // Born where this process is: in the container's cgroup.
        Stage1::Clone { stage, kinds } => {
            leave::clone(life, &Cgroup::default(), stage, kinds, NO_SLOT)
        }
    }
}
