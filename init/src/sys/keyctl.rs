//! keyctl(2)

use core::ffi::CStr;

use linux_raw_sys::general::__NR_keyctl;
use rustix::io::Result;

use super::syscall::syscall;
use super::to_result;

const JOIN_SESSION_KEYRING: usize = 1;
const SETPERM: usize = 5;

/// A key's serial number.
#[derive(Clone, Copy, Debug)]
pub struct Serial(usize);

/// keyctl(2), KEYCTL_JOIN_SESSION_KEYRING: joins the session keyring of this name, or
/// makes it.
pub fn join_session_keyring(name: &CStr) -> Result<Serial> {
    let name = name.as_ptr().addr();
    // SAFETY: the kernel reads name up to its NUL.
    to_result(unsafe { syscall(__NR_keyctl, [JOIN_SESSION_KEYRING, name, 0, 0, 0, 0]) }).map(Serial)
}

/// keyctl(2), KEYCTL_SETPERM: sets the key's permission bits.
pub fn set_permissions(key: Serial, bits: u32) -> Result<()> {
    // SAFETY: the call takes no pointer.
    to_result(unsafe { syscall(__NR_keyctl, [SETPERM, key.0, bits as usize, 0, 0, 0]) })?;
    Ok(())
}
