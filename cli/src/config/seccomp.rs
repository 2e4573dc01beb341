//! `linux.seccomp` of config.json (runtime-spec 1.3, config-linux.md,
//! "Seccomp").
//!
//! Actions, architectures, flags and operators stay strings here. `crate::seccomp`
//! resolves them: its errors can name the value and the JSON path in one sentence,
//! which those of a serde enum cannot.

use super::object;

object! {
    /// The system calls that the container may make: `linux.seccomp`.
    #[derive(Clone, Debug, Default)]
    pub struct Seccomp {
        /// The action for a system call that no rule matches, such as
        /// `SCMP_ACT_ERRNO`.
        pub default_action: String = "defaultAction" needed,
        /// The errno of the default action: only with `SCMP_ACT_ERRNO` and
        /// `SCMP_ACT_TRACE`, EPERM if absent.
        pub default_errno_ret: Option<u32> = "defaultErrnoRet",
        /// The architectures that the rules apply to besides the native one, such as
        /// `SCMP_ARCH_X86`.
        pub architectures: Vec<String> = "architectures",
        /// Flags for seccomp(2), such as `SECCOMP_FILTER_FLAG_LOG`. Absent is not
        /// the same as empty: see `crate::seccomp::compile`.
        pub flags: Option<Vec<String>> = "flags",
        /// The socket that gets the notification fd; without `SCMP_ACT_NOTIFY` the
        /// spec says to ignore it.
        pub listener_path: String = "listenerPath",
        /// Opaque data for the program that listens on that socket.
        pub listener_metadata: Option<String> = "listenerMetadata",
        /// The rules, in the order of config.json.
        pub syscalls: Vec<Syscall> = "syscalls",
    }

    /// One rule: `linux.seccomp.syscalls[]`.
    #[derive(Clone, Debug, Default)]
    pub struct Syscall {
        /// The names of its system calls, at least one.
        pub names: Vec<String> = "names" needed,
        /// The action for them, such as `SCMP_ACT_ALLOW`.
        pub action: String = "action" needed,
        /// The errno of the action: only with `SCMP_ACT_ERRNO` and
        /// `SCMP_ACT_TRACE`, EPERM if absent.
        pub errno_ret: Option<u32> = "errnoRet",
        /// Conditions on the arguments, all of which must hold.
        pub args: Vec<Arg> = "args",
    }

    /// One condition on one argument: `linux.seccomp.syscalls[].args[]`.
    #[derive(Clone, Debug, Default)]
    pub struct Arg {
        /// Which argument: 0 to 5.
        pub index: u32 = "index" needed,
        /// What it is compared with; for `SCMP_CMP_MASKED_EQ` the mask.
        pub value: u64 = "value" needed,
        /// For `SCMP_CMP_MASKED_EQ` what the masked argument is compared with.
        pub value_two: u64 = "valueTwo",
        /// How, such as `SCMP_CMP_EQ`.
        pub op: String = "op" needed,
    }
}
