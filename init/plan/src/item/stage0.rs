//! The items of stage 0, outside the container, in the order of its life.

use core::ffi::CStr;

use crate::Strings;

items! {
    /// What the process does to itself while it has the host's privileges and view.
    1 SetupItem "" of Zero {
        /// Close every inherited fd from this number on, but for those of vial.
        1 CloseInherited { from: u32, }
        /// Open the host's /proc, which serves every later access to procfs.
        2 Procfs {}
        /// Give every signal that the caller ignores its default action.
        3 DefaultSignals {}
        /// Write the own oom_score_adj, which the container inherits.
        4 OomScoreAdj { value: &'a CStr, }
        /// Raise the hard limit now, where the privilege is still at hand.
        5 RaiseRlimit { resource: u32, hard: u64, }
        /// Start the opener, which keeps the host's privileges; it is asked over the
        /// socket in this slot.
        6 Opener { socket: u32, }
        /// Open the root of the container's init, for an exec, into a slot; the path is
        /// below /proc.
        7 OpenRootfs { path: &'a CStr, root: u32, }
        /// Keep processes of namespaces to be joined from tracing this one.
        8 Undumpable {}
        /// Let go of the opener, and wait for its end.
        9 EndOpener { socket: u32, }
    }
}

items! {
    /// What is done to the container's cgroup.
    2 CgroupItem "Cgroup" of Zero {
        /// Open the cgroup2 filesystem mounted here.
        1 Root { path: &'a CStr, }
        /// Enable these controllers for the children of this cgroup, as `+a +b`; the
        /// required are among them, and the others are left where they cannot be.
        2 Controllers { directory: &'a CStr, controllers: &'a CStr, required: &'a CStr, }
        /// Make this cgroup.
        3 Mkdir { directory: &'a CStr, }
        /// Open this cgroup: the container's, which the process is born into.
        4 Open { directory: &'a CStr, }
        /// Write a file of the container's cgroup.
        5 Write { file: &'a CStr, value: &'a CStr, }
        /// Write a file of the container's cgroup, or where the kernel does not have
        /// it, the other one; empty: nothing.
        6 WriteEither { file: &'a CStr, value: &'a CStr, other: &'a CStr, other_value: &'a CStr, }
        /// Load this eBPF program and attach it as the cgroup's device filter, in the
        /// place of those that are there; none is attached if it is empty.
        7 Devices { program: &'a [u8], }
        /// Enter the container's cgroup now, before its cgroup namespace is joined.
        8 Enter {}
    }
}

items! {
    /// How the process leaves the host's namespaces, by itself and by a child.
    3 LeaveItem "" of Zero {
        /// Open the file of clock offsets into a slot: it is too late once undumpable.
        1 OpenTimeOffsets { file: u32, }
        /// Join the namespace at this path; kind is its CLONE_NEW* flag.
        2 JoinPath { path: &'a CStr, kind: u32, }
        /// Join these namespaces of the container's init, which has this pid, and its
        /// pidfd in a slot where the kernel has pidfds.
        3 JoinProcess { kinds: u32, pid: u32, pidfd: u32, }
        /// Make these namespaces for the process itself.
        4 Unshare { kinds: u32, }
        /// Set the offsets of the new time namespace, by the file if it is open.
        5 TimeOffsets { offsets: &'a CStr, file: u32, }
        /// Start the next stage in these new namespaces; pipe: a slot for the ends of
        /// a pipe, over which it hears that it is mapped.
        6 Clone { stage: u32, kinds: u32, pipe: u32, }
        /// Deny setgroups(2), as an unprivileged gid mapping requires.
        7 DenySetgroups {}
        /// Write the child's uid_map.
        8 UidMap { map: &'a CStr, }
        /// Write the child's gid_map.
        9 GidMap { map: &'a CStr, }
        /// Have newuidmap or newgidmap write the child's map.
        10 MapHelper { program: &'a CStr, map: Strings<'a>, }
        /// Tell the child that it is mapped.
        11 ReleaseChild { pipe: u32, }
    }
}
