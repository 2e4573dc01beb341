//! The items of stage 2, the container's first process or that of an exec, in the order
//! in which they run.

use core::ffi::CStr;

use crate::Strings;

items! {
    /// What the process does in the new namespaces.
    5 NamespaceItem "" of Two {
        /// Wait until the mapping is written.
        1 AwaitMapping { pipe: u32, }
        /// Join these namespaces of the container's init. pid: its pid; pidfd: the slot
        /// of its pidfd.
        2 JoinProcess { kinds: u32, pid: u32, pidfd: u32, }
        /// Become uid and gid 0 of the user namespace.
        3 BecomeRoot { groups: bool, }
        /// Make a session with this process as its leader.
        4 Session {}
        /// Give keys that the process makes this SELinux label, until it calls execve.
        5 KeyLabel { label: &'a CStr, }
        /// Join the session keyring of this name, or make it. make: it is new, and its
        /// user must be able to find it.
        6 Keyring { name: &'a CStr, make: bool, }
        /// Move the process into these new namespaces.
        7 Unshare { kinds: u32, }
        /// Bring up `lo` of the new network namespace.
        8 Loopback {}
        /// Wait until vial has moved these network devices into the namespace.
        9 NetDevices { names: &'a CStr, }
        /// Set the host name.
        10 Hostname { name: &'a CStr, }
        /// Set the domain name.
        11 Domainname { name: &'a CStr, }
        /// Write a kernel parameter. path: below /proc/sys.
        12 Sysctl { path: &'a CStr, value: &'a CStr, }
        /// Enter a cgroup by its file `tasks`, which is in this slot.
        13 EnterCgroup { tasks: u32, }
    }
}

items! {
    /// What is in the rootfs, and how it becomes the root.
    6 RootfsItem "" of Two {
        /// Set the propagation of every mount in the new mount namespace.
        1 Propagation { flags: u32, }
        /// Make the mount that contains this path private.
        2 ParentPrivate { path: &'a CStr, }
        /// Bind the rootfs on itself. Every later path is resolved below it. opener:
        /// the slot of the opener's socket, if there is an opener; covers: the options of
        /// the tmpfs that holds the covers for masked paths.
        3 Rootfs { path: &'a CStr, opener: u32, initramfs: bool, covers: &'a CStr, }
        /// Open the rootfs where nothing can be mounted. Every later path is resolved
        /// below it.
        4 OpenRootfs { path: &'a CStr, }
        /// Use the root in this slot as the rootfs (exec).
        5 LentRoot { root: u32, }
        /// Use the present root as the rootfs (exec).
        6 PresentRoot {}
        /// Use what was mounted on the rootfs as the rootfs.
        7 CoveredRoot {}
        /// Mount a new filesystem. strict: no symbolic link may lead to the target;
        /// mode: pass the mode of the covered directory as an option.
        8 Mount { source: &'a CStr, target: &'a CStr, fstype: &'a CStr, flags: u32, data: &'a CStr, strict: bool, mode: bool, }
        /// Mount a tmpfs and copy into it what it covers. mode, owner: copy those of
        /// the covered directory, too.
        9 MountCopy { source: &'a CStr, target: &'a CStr, fstype: &'a CStr, flags: u32, data: &'a CStr, mode: bool, owner: bool, }
        /// Mount cgroup2, or bind the host's if that is not allowed.
        10 MountCgroup { target: &'a CStr, flags: u32, host: &'a CStr, }
        /// Bind a file or directory of the host. set, clear: MOUNT_ATTR_*; bare_source,
        /// bare_target: a symbolic link there is not followed; copy_link: of a symbolic
        /// link make a copy; id_map: the slot of a user namespace whose mappings the
        /// mount gets; maps_below: those below it, too.
        11 Bind { source: &'a CStr, target: &'a CStr, set: u64, clear: u64, id_map: u32, recursive: bool, bare_source: bool, bare_target: bool, copy_link: bool, maps_below: bool, }
        /// Change attributes or propagation of the last mount made, which is at the
        /// target.
        12 MountAttributes { target: &'a CStr, set: u64, clear: u64, propagation: u64, recursive: bool, }
        /// Give the root of the last mount made, which is at the target, this SELinux
        /// label.
        13 LabelMount { target: &'a CStr, label: &'a CStr, }
        /// Reconfigure the filesystem mounted at the target.
        14 Remount { target: &'a CStr, flags: u32, data: &'a CStr, }
        /// Make a device node. mode: includes its type; bind: none can be made, as in a
        /// user namespace, so bind an existing one.
        15 DeviceNode { path: &'a CStr, mode: u32, major: u32, minor: u32, uid: u32, gid: u32, bind: bool, }
        /// Make a symbolic link, unless the path exists.
        16 Symlink { target: &'a CStr, path: &'a CStr, }
        /// Make a directory and its parents.
        17 Directory { path: &'a CStr, }
        /// Open a pseudo-terminal of the container, and send it to the console socket
        /// in this slot. console: bind it on /dev/console, too.
        18 Terminal { socket: u32, rows: u32, columns: u32, console: bool, }
        /// Wait at the hooks gate while vial runs the hooks of the host's namespaces.
        19 AwaitHooks {}
        /// Make the mount at this path read-only, after it was filled.
        20 ReadonlyMount { target: &'a CStr, }
        /// Cover a path with an empty file or directory.
        21 MaskPath { path: &'a CStr, }
        /// Make a path read-only.
        22 ReadonlyPath { path: &'a CStr, }
        /// Make the rootfs read-only.
        23 ReadonlyRoot {}
        /// Unmount or cover a mount of the host, before the root is moved.
        24 HideMount { path: &'a CStr, }
        /// Make the rootfs the root with pivot_root, and detach the host's. shared: the
        /// unmount would propagate to the host.
        25 PivotRoot { shared: bool, }
        /// Make the rootfs the root by moving its mount.
        26 MoveRoot {}
        /// Make the rootfs the root with chroot, without a mount.
        27 Chroot {}
        /// Set the propagation of the container's root.
        28 RootPropagation { flags: u32, }
    }
}

items! {
    /// What turns the process into the container's, up to execve.
    7 ProcessItem "" of Two {
        /// Close every fd from this number on, except those that later items need and
        /// the one in slot `but`.
        1 CloseFds { from: u32, but: u32, }
        /// Give standard input, output and error to this user.
        2 OwnStdio { uid: u32, }
        /// Change to this AppArmor profile on execve.
        3 AppArmorProfile { profile: &'a CStr, }
        /// Change to this SELinux label on execve.
        4 SelinuxLabel { label: &'a CStr, }
        /// Set the scheduling policy. attributes: struct sched_attr; by_vial: only the
        /// host's root may, so wait while vial sets it.
        5 Scheduler { attributes: &'a [u8], by_vial: bool, }
        /// Set the I/O priority: class and priority as ioprio_set(2) takes them.
        6 IoPriority { priority: u32, }
        /// Set the NUMA memory policy. nodes: a bit mask.
        7 MemoryPolicy { mode: u32, nodes: &'a [u8], }
        /// Set the execution domain.
        8 Personality { persona: u32, }
        /// Set the CPUs that the process may run on, as a bit mask.
        9 Affinity { cpus: &'a [u8], }
        /// Set a limit.
        10 Rlimit { resource: u32, soft: u64, hard: u64, }
        /// Change to the working directory.
        11 WorkingDirectory { path: &'a CStr, }
        /// Drop all other capabilities from the bounding set.
        12 BoundingSet { keep: u64, }
        /// Set the umask.
        13 Umask { mask: u32, }
        /// Set user, group and supplementary groups.
        14 User { uid: u32, gid: u32, groups: &'a [u8], set_groups: bool, }
        /// Set the capability sets.
        15 Capabilities { effective: u64, permitted: u64, inheritable: u64, ambient: u64, }
        /// Set no_new_privs.
        16 NoNewPrivs {}
        /// Find the program. path: the value of PATH.
        17 Program { args: Strings<'a>, env: Strings<'a>, path: &'a CStr, }
        /// Add HOME, from the container's /etc/passwd.
        18 Home { uid: u32, }
        /// Add LISTEN_PID, the pid of this process.
        19 ListenPid {}
        /// Wait at the start gate for vial's word. socket: the slot of a listening
        /// socket, if `start` is a later command that connects to it.
        20 AwaitStart { socket: u32, }
        /// Remember a limit for the hooks that follow. This process still needs more.
        21 HookLimit { resource: u32, soft: u64, hard: u64, }
        /// Run a hook. Its standard input is the state: head, the pid of this process,
        /// tail. timeout: in seconds, 0 is none; at_rootfs: the rootfs is not the root yet,
        /// and becomes the working directory; own_env: its environment is the program's.
        22 Hook { program: &'a CStr, head: &'a CStr, args: Strings<'a>, env: Strings<'a>, tail: &'a [u8], timeout: u32, at_rootfs: bool, own_env: bool, }
        /// Start a child that sends vial the listener of the next filter, and then waits
        /// at the start gate in this process's place. socket: as for AwaitStart.
        23 Courier { socket: u32, }
        /// Load the filter. flags: SECCOMP_FILTER_FLAG_*.
        24 Seccomp { flags: u32, filter: &'a [u8], }
        /// Wait for the end of that child.
        25 AwaitCourier {}
        /// Drop the capability that was kept to load the filter.
        26 DropCapabilities { effective: u64, permitted: u64, inheritable: u64, }
        /// Execute the program.
        27 Execute {}
    }
}
