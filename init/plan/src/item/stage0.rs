//! The items of stage 0, outside the container, in the order in which they run.

use core::ffi::CStr;

use crate::Strings;

items! {
    /// What the process does to itself, while it has the host's privileges and view.
    1 SetupItem "" of Zero {
        /// Close every inherited fd from this number on, except vial's.
        1 CloseInherited { from: u32, }
        /// Open the host's /proc, through which all later access to procfs goes.
        2 Procfs {}
        /// Reset every ignored signal to its default action.
        3 DefaultSignals {}
        /// Write the oom_score_adj of this process, which the container inherits.
        4 OomScoreAdj { value: &'a CStr, }
        /// Raise the hard limit, while the process is privileged to.
        5 RaiseRlimit { resource: u32, hard: u64, }
        /// Set the scheduling policy, which the container inherits. attributes: struct
        /// sched_attr.
        6 Scheduler { attributes: &'a [u8], }
        /// Set the I/O priority, which the container inherits.
        7 IoPriority { priority: u32, }
        /// Set the CPUs of this process, which an exec inherits, as a bit mask.
        8 Affinity { cpus: &'a [u8], }
        /// Make a user namespace with these mappings, for idmapped mounts. The slot
        /// gets it.
        9 MakeIdMap { uids: &'a CStr, gids: &'a CStr, namespace: u32, }
        /// Open a user namespace whose mappings idmapped mounts use. The slot gets it.
        10 OpenIdMap { path: &'a CStr, namespace: u32, }
        /// Start the opener, which keeps the host's privileges. The slot gets the
        /// socket to it.
        11 Opener { socket: u32, }
        /// Open the root of the container's init into a slot, for an exec. The path is
        /// below /proc.
        12 OpenRootfs { path: &'a CStr, root: u32, }
        /// Prevent processes of the namespaces to join from tracing this one.
        13 Undumpable {}
        /// Close the socket to the opener, and wait for the opener to exit.
        14 EndOpener { socket: u32, }
    }
}

items! {
    /// What is done to the container's cgroup.
    2 CgroupItem "Cgroup" of Zero {
        /// Open the filesystem mounted here. magic: the type that it must have, by
        /// linux/magic.h: cgroup2, a hierarchy of cgroup v1, or resctrl.
        1 Root { path: &'a CStr, magic: u32, }
        /// Enable these controllers for the children of this cgroup (`+a +b`).
        /// `required` is a subset of `controllers`; the others are skipped if they
        /// cannot be enabled.
        2 Controllers { directory: &'a CStr, controllers: &'a CStr, required: &'a CStr, }
        /// Make this cgroup.
        3 Mkdir { directory: &'a CStr, }
        /// Open this cgroup: the container's, in which its process is created.
        4 Open { directory: &'a CStr, }
        /// Write a file of the container's cgroup.
        5 Write { file: &'a CStr, value: &'a CStr, }
        /// Write a file of the container's cgroup. If the kernel does not have it,
        /// write the other one, or nothing if its name is empty.
        6 WriteEither { file: &'a CStr, value: &'a CStr, other: &'a CStr, other_value: &'a CStr, }
        /// Load this eBPF program and attach it as the cgroup's device filter,
        /// replacing those that are there. If the program is empty, attach none.
        7 Devices { program: &'a [u8], }
        /// Enter the container's cgroup, before its cgroup namespace is joined.
        8 Enter {}
        /// Open the file `tasks` of the container's cgroup into a slot. The next
        /// stage is not created in this cgroup, but writes itself into the file.
        9 Tasks { tasks: u32, }
        /// Give a file of the container's cgroup to this owner, if the kernel has it.
        /// An empty name means the cgroup itself.
        10 Owner { file: &'a CStr, uid: u32, gid: u32, }
        /// Wait until systemd has put this process into this scope, whose cgroup is the
        /// container's.
        11 AwaitScope { scope: &'a CStr, }
    }
}

items! {
    /// How the process leaves the host's namespaces, itself and through a child.
    3 LeaveItem "" of Zero {
        /// Open timens_offsets into a slot: this fails once the process is undumpable.
        1 OpenTimeOffsets { file: u32, }
        /// Join the namespace at this path. kind: its CLONE_NEW* flag.
        2 JoinPath { path: &'a CStr, kind: u32, }
        /// Join these namespaces of the container's init. pid: its pid; pidfd: the slot
        /// of its pidfd, if the kernel has pidfds.
        3 JoinProcess { kinds: u32, pid: u32, pidfd: u32, }
        /// Move the process into these new namespaces.
        4 Unshare { kinds: u32, }
        /// Write the offsets of the new time namespace, to the file in the slot if it
        /// is open.
        5 TimeOffsets { offsets: &'a CStr, file: u32, }
        /// Start the next stage in these new namespaces. pipe: the slot for the ends of
        /// a pipe, over which the child learns that it is mapped.
        6 Clone { stage: u32, kinds: u32, pipe: u32, }
        /// Deny setgroups(2), as a gid mapping by an unprivileged user requires.
        7 DenySetgroups {}
        /// Write the child's uid_map.
        8 UidMap { map: &'a CStr, }
        /// Write the child's gid_map.
        9 GidMap { map: &'a CStr, }
        /// Let newuidmap or newgidmap write the child's map.
        10 MapHelper { program: &'a CStr, map: Strings<'a>, }
        /// Tell the child that it is mapped.
        11 ReleaseChild { pipe: u32, }
    }
}
