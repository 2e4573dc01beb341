//! From `SCMP_ACT_*` to what a filter returns (seccomp(2), linux/seccomp.h).

use linux_raw_sys::errno::{ENOSYS, EPERM};
use linux_raw_sys::ptrace::{
    SECCOMP_RET_ALLOW as ALLOW, SECCOMP_RET_DATA, SECCOMP_RET_ERRNO as ERRNO,
    SECCOMP_RET_KILL_PROCESS as KILL_PROCESS, SECCOMP_RET_LOG as LOG, SECCOMP_RET_TRACE as TRACE,
    SECCOMP_RET_TRAP as TRAP,
};

use super::Error;

pub(super) use linux_raw_sys::ptrace::{
    SECCOMP_RET_KILL_THREAD as KILL_THREAD, SECCOMP_RET_USER_NOTIF as NOTIFY,
};

/// The actions by their names. KILL is the old name of KILL_THREAD, in
/// libseccomp and in runc.
pub(super) const NAMES: [(&str, u32); 9] = [
    ("SCMP_ACT_ALLOW", ALLOW),
    ("SCMP_ACT_ERRNO", ERRNO),
    ("SCMP_ACT_KILL", KILL_THREAD),
    ("SCMP_ACT_KILL_PROCESS", KILL_PROCESS),
    ("SCMP_ACT_KILL_THREAD", KILL_THREAD),
    ("SCMP_ACT_LOG", LOG),
    ("SCMP_ACT_NOTIFY", NOTIFY),
    ("SCMP_ACT_TRACE", TRACE),
    ("SCMP_ACT_TRAP", TRAP),
];

/// The upper half of a return value, without the errno.
const ACTION: u32 = linux_raw_sys::ptrace::SECCOMP_RET_ACTION_FULL;

/// The return value for calls that are newer than the profile.
pub(super) const NO_SUCH_CALL: u32 = ERRNO | ENOSYS;

/// The return value for an action and its errno. `action` and `errno` are the paths
/// of their fields below linux.seccomp.
pub(super) fn resolve(
    name: &str,
    errno: Option<u32>,
    paths: &dyn Fn() -> (String, String),
) -> Result<u32, Error> {
    let Some((_, action)) = NAMES.iter().find(|(known, _)| *known == name) else {
        return Err(Error::new(paths().0, format!("unknown action {name:?}")));
    };
    let action = *action;
    // The kernel silently lowers a greater errno to 4095, and libseccomp refuses
    // it. A tracer gets 16 bits.
    let limit = match action {
        ERRNO => 4095,
        TRACE => SECCOMP_RET_DATA,
        _ if errno.is_some() => {
            // The spec demands this error. runc ignores the value.
            return Err(Error::new(paths().1, format!("{name} has no errno to return")));
        }
        _ => return Ok(action),
    };
    match errno.unwrap_or(EPERM) {
        errno if errno <= limit => Ok(action | errno),
        errno => Err(Error::new(
            paths().1,
            format!("{errno} is above {limit}, the greatest errno for {name}"),
        )),
    }
}

/// Whether a profile with this default action denies the calls that it does not
/// name. If it allows, logs or traces them, new calls reach the kernel, which
/// returns ENOSYS itself. An agent that is notified of them decides itself.
pub(super) fn denies(action: u32) -> bool {
    !matches!(action & ACTION, ALLOW | LOG | TRACE | NOTIFY)
}

/// Whether a call with this action may be made, at once or when an agent allows it.
pub(super) fn may_allow(action: u32) -> bool {
    matches!(action & ACTION, ALLOW | LOG | NOTIFY)
}

/// Whether an action has higher precedence than another (seccomp(2)). The kernel
/// compares them as signed numbers.
pub(super) fn is_stricter(action: u32, than: u32) -> bool {
    ((action & ACTION) as i32) < ((than & ACTION) as i32)
}
