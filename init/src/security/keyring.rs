//! The session keyring of keyrings(7).

use core::ffi::CStr;

use rustix::io::Errno;
use vial_plan::Step;

use crate::fault::{During, Fault};
use crate::sys::keyctl::{Serial, describe, join_session_keyring, set_permissions};

const USER_SEARCH: u32 = 0x0008_0000;

/// Joins the container's session keyring, so that it cannot reach the keys of its
/// caller. Who makes it lets its user search it, for a later exec to find it.
pub fn join(name: &CStr, make: bool) -> Result<(), Fault> {
    let keyring = match join_session_keyring(name) {
        Ok(keyring) => keyring,
        Err(Errno::NOSYS) => return Ok(()), // A kernel without keys has none to leak.
        Err(errno) => return Err(Fault { step: Step::MakeKeyring, errno }),
    };
    if !make {
        return Ok(());
    }
    let permissions = permissions(keyring).during(Step::MakeKeyring)?;
    set_permissions(keyring, permissions | USER_SEARCH).during(Step::MakeKeyring)
}

/// The fourth field of `type;uid;gid;perm;name`, in hexadecimal.
fn permissions(keyring: Serial) -> rustix::io::Result<u32> {
    let mut text = [0; 64];
    describe(keyring, &mut text)?;
    let field = text.split(|b| *b == b';').nth(3).unwrap_or_default();
    let mut bits: u32 = 0;
    for digit in field {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return Err(Errno::INVAL),
        };
        bits = (bits << 4) | u32::from(value);
    }
    Ok(bits)
}
