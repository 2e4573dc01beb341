//! The kinds of namespaces.

use linux_raw_sys::general;

/// Each with the spec's name, its file in /proc/PID/ns, and its flag of clone(2).
pub const KINDS: [(&str, &str, u32); 8] = [
    ("user", "user", kind::USER),
    ("mount", "mnt", kind::MOUNT),
    ("uts", "uts", kind::UTS),
    ("ipc", "ipc", kind::IPC),
    ("network", "net", kind::NETWORK),
    ("pid", "pid", general::CLONE_NEWPID),
    ("cgroup", "cgroup", kind::CGROUP),
    ("time", "time", kind::TIME),
];

/// CLONE_NEW* of the kinds that the code names.
pub mod kind {
    #![allow(missing_docs, reason = "they are the spec's names")]
    use linux_raw_sys::general;

    pub const USER: u32 = general::CLONE_NEWUSER;
    pub const MOUNT: u32 = general::CLONE_NEWNS;
    pub const UTS: u32 = general::CLONE_NEWUTS;
    pub const IPC: u32 = general::CLONE_NEWIPC;
    pub const NETWORK: u32 = general::CLONE_NEWNET;
    pub const CGROUP: u32 = general::CLONE_NEWCGROUP;
    pub const TIME: u32 = general::CLONE_NEWTIME;
}
