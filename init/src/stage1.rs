//! Stage 1: in the new and mapped user namespace, before the namespaces that must be
//! prepared from inside it. There is one case: a time namespace with offsets. The
//! offsets must be written before the first process enters, with privileges in the new
//! user namespace.

use vial_plan::{Call, Fields, NO_SLOT, Stage1, Step};

use crate::cgroup::Cgroup;
use crate::fault::{During, Fault, Prepared};
use crate::process::user;
use crate::sys::unshare::unshare;
use crate::{Life, gate, leave};

/// Carries out one item of stage 1.
pub fn carry_out(life: &mut Life, code: u16, fields: &Fields<'static>) -> Result<(), Fault> {
    match Stage1::from_fields(code, fields).prepared()? {
        Stage1::AwaitMapping { pipe } => gate::await_mapping(life, pipe),
        Stage1::BecomeRoot { groups } => user::become_root(groups),
        Stage1::Unshare { kinds } => unshare(kinds).during(Call::Unshare, Step::Unshare),
        Stage1::TimeOffsets { offsets } => {
            life.procfs()?.write(c"self/timens_offsets", offsets.to_bytes())
        }
        // The child is created in the cgroup of this process, which is the container's.
        Stage1::Clone { stage, kinds } => {
            leave::clone(life, &Cgroup::default(), stage, kinds, NO_SLOT)
        }
    }
}
