//! Stage 1, in between: in the new user namespace, and mapped, but before the
//! namespaces that must be prepared from within it. The one case there is: a
//! time namespace with offsets, which must be written before the first process
//! enters, by one who is privileged in the new user namespace.

use vial_plan::{Fields, Item, Step};

use crate::fault::{During, Fault, Prepared};
use crate::sys::unshare::unshare;
use crate::{Life, security, stage0};

/// One item of the section of stage 1.
pub fn act(life: &mut Life, code: u16, fields: &Fields<'static>) -> Result<(), Fault> {
    match Item::from_fields(code, fields).prepared()? {
        Item::AwaitMapping {} => security::user::await_mapping(&mut life.pipe)?,
        Item::BecomeRoot { groups } => security::user::become_root(groups)?,
        Item::Unshare { kinds } => unshare(kinds).during(Step::Unshare)?,
        Item::TimeOffsets { offsets } => {
            life.procfs()?.write(c"self/timens_offsets", offsets.to_bytes())?;
        }
        Item::Clone { stage, kinds, mapped } => return stage0::clone(life, stage, kinds, mapped),
        _ => return Err(Fault::PLAN),
    }
    Ok(())
}
