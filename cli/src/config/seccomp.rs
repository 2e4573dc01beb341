//! `linux.seccomp` of config.json (runtime-spec 1.3, config-linux.md,
//! "Seccomp").
//!
//! Actions, architectures, flags and operators stay strings here. `crate::seccomp`
//! resolves them: its errors can name the value and the JSON path in one sentence,
//! which those of a serde enum cannot.

use super::object;
use serde::Deserialize;

/// The system calls that the container may make: `linux.seccomp`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase")]
pub struct Seccomp {
    /// The action for a system call that no rule matches, such as
    /// `SCMP_ACT_ERRNO`.
    pub default_action: String,
    /// The errno of the default action: only with `SCMP_ACT_ERRNO` and
    /// `SCMP_ACT_TRACE`, EPERM if absent.
    pub default_errno_ret: Option<u32>,
    /// The architectures that the rules apply to besides the native one, such as
    /// `SCMP_ARCH_X86`.
    #[serde(default)]
    pub architectures: Vec<String>,
    /// Flags for seccomp(2), such as `SECCOMP_FILTER_FLAG_LOG`. Absent is not
    /// the same as empty: see `crate::seccomp::compile`.
    pub flags: Option<Vec<String>>,
    /// The socket that gets the notification fd; without `SCMP_ACT_NOTIFY` the
    /// spec says to ignore it.
    #[serde(default)]
    pub listener_path: String,
    /// Opaque data for the program that listens on that socket.
    pub listener_metadata: Option<String>,
    /// The rules, in the order of config.json.
    #[serde(default)]
    pub syscalls: Vec<Syscall>,
}

/// One rule: `linux.seccomp.syscalls[]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase")]
pub struct Syscall {
    /// The names of its system calls, at least one.
    pub names: Vec<String>,
    /// The action for them, such as `SCMP_ACT_ALLOW`.
    pub action: String,
    /// The errno of the action: only with `SCMP_ACT_ERRNO` and
    /// `SCMP_ACT_TRACE`, EPERM if absent.
    pub errno_ret: Option<u32>,
    /// Conditions on the arguments, all of which must hold.
    #[serde(default)]
    pub args: Vec<Arg>,
}

/// One condition on one argument: `linux.seccomp.syscalls[].args[]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase")]
pub struct Arg {
    /// Which argument: 0 to 5.
    pub index: u32,
    /// What it is compared with; for `SCMP_CMP_MASKED_EQ` the mask.
    pub value: u64,
    /// For `SCMP_CMP_MASKED_EQ` what the masked argument is compared with.
    #[serde(default)]
    pub value_two: u64,
    /// How, such as `SCMP_CMP_EQ`.
    pub op: String,
}

object! { Seccomp, Syscall, Arg }
