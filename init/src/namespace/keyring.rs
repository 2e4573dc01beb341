//! The session keyring of keyrings(7).

use core::ffi::CStr;

use rustix::io::Errno;
use vial_plan::{Call, Step};

use crate::fault::{During, Fault};
use crate::sys::keyctl::{join_session_keyring, set_permissions};

/// All rights for the possessor; view, read, search and link for the user. This is the
/// kernel's default for a session keyring plus search, by which a later exec finds it
/// (keyctl_join_session_keyring(3)).
const PERMISSIONS: u32 = 0x3f1b_0000;

/// Joins the container's session keyring, so that the container cannot reach the
/// caller's keys. make: it is new, and a later exec must find it by search.
pub(super) fn join(name: &CStr, make: bool) -> Result<(), Fault> {
    match join_session_keyring(name) {
        Ok(keyring) if make => {
            set_permissions(keyring, PERMISSIONS).during(Call::Keyctl, Step::MakeKeyring)
        }
        // ENOSYS: a kernel without keys has none to leak.
        Ok(_) | Err(Errno::NOSYS) => Ok(()),
        Err(errno) => Err(Fault::new(Call::Keyctl, Step::MakeKeyring, errno)),
    }
}
