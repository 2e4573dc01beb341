//! The items of stage 2, the container's first process or that of an exec, in the
//! order of its life.

use core::ffi::CStr;

use crate::Strings;

items! {
    /// What the new namespaces hold.
    5 NamespaceItem "" of Two {
        /// Wait until the mapping is written.
        1 AwaitMapping { pipe: u32, }
        /// Join these namespaces of the container's init, which has this pid.
        2 JoinProcess { kinds: u32, pid: u32, pidfd: u32, }
        /// Become uid and gid 0 of the user namespace.
        3 BecomeRoot { groups: bool, }
        /// Make a session, and its leader of the process.
        4 Session {}
        /// Join the session keyring of this name, made if there is none; make: it is
        /// new, and its user is to find it.
        5 Keyring { name: &'a CStr, make: bool, }
        /// Make these namespaces for the process itself.
        6 Unshare { kinds: u32, }
        /// Bring up `lo` of the new network namespace.
        7 Loopback {}
        /// Set the host name.
        8 Hostname { name: &'a CStr, }
        /// Set the domain name.
        9 Domainname { name: &'a CStr, }
        /// Write a kernel parameter; path is below /proc/sys.
        10 Sysctl { path: &'a CStr, value: &'a CStr, }
    }
}

items! {
    /// What lies in the rootfs, and how it becomes the root.
    6 RootfsItem "" of Two {
        /// Set the propagation of every mount of the new mount namespace.
        1 Propagation { flags: u32, }
        /// Make the mount that holds this path private.
        2 ParentPrivate { path: &'a CStr, }
        /// Bind the rootfs on itself; every later path is resolved below it. In a slot,
        /// the socket of the opener, if there is one.
        3 Rootfs { path: &'a CStr, opener: u32, initramfs: bool, }
        /// Open the rootfs, where nothing can be mounted; every later path is resolved
        /// below it.
        4 OpenRootfs { path: &'a CStr, }
        /// Take the root in a slot as the rootfs (of an exec).
        5 LentRoot { root: u32, }
        /// Take the present root as the rootfs (of an exec).
        6 PresentRoot {}
        /// Take what was mounted on the rootfs as the rootfs.
        7 CoveredRoot {}
        /// Mount a new filesystem; strict: no symbolic link may lead to the target;
        /// mode: it takes the mode of the directory that it covers, as an option.
        8 Mount { source: &'a CStr, target: &'a CStr, fstype: &'a CStr, flags: u32, data: &'a CStr, strict: bool, mode: bool, }
        /// Mount a tmpfs and copy into it what it covers; mode and owner: those of
        /// the directory itself too.
        9 MountCopy { source: &'a CStr, target: &'a CStr, fstype: &'a CStr, flags: u32, data: &'a CStr, mode: bool, owner: bool, }
        /// Mount cgroup2, or bind the host's where it may not be mounted.
        10 MountCgroup { target: &'a CStr, flags: u32, host: &'a CStr, }
        /// Bind a file or directory of the host; set and clear are MOUNT_ATTR_*.
        11 Bind { source: &'a CStr, target: &'a CStr, set: u64, clear: u64, recursive: bool, }
        /// Change attributes or propagation of the mount that was made last, at the
        /// target.
        12 MountAttributes { target: &'a CStr, set: u64, clear: u64, propagation: u64, recursive: bool, }
        /// Reconfigure the filesystem mounted at the target.
        13 Remount { target: &'a CStr, flags: u32, data: &'a CStr, }
        /// Make a device node; mode holds its type. bind: it may not be made there,
        /// as in a user namespace, and one from elsewhere is bound.
        14 DeviceNode { path: &'a CStr, mode: u32, major: u32, minor: u32, uid: u32, gid: u32, bind: bool, }
        /// Make a symbolic link, unless something is there.
        15 Symlink { target: &'a CStr, path: &'a CStr, }
        /// Make a directory, and those above it.
        16 Directory { path: &'a CStr, }
        /// Open a pseudo-terminal of the container and send it over the console socket
        /// in a slot; console: bind it on /dev/console too.
        17 Terminal { socket: u32, rows: u32, columns: u32, console: bool, }
        /// Make the mount at a path read-only, once everything lies in it.
        18 ReadonlyMount { target: &'a CStr, }
        /// Cover a path by an empty file or directory.
        19 MaskPath { path: &'a CStr, }
        /// Make a path read-only.
        20 ReadonlyPath { path: &'a CStr, }
        /// Make the rootfs read-only.
        21 ReadonlyRoot {}
        /// Unmount or cover a mount of the host before the root is moved.
        22 HideMount { path: &'a CStr, }
        /// Make the rootfs the root, and let go of the host's; shared: the host would
        /// hear of the unmounting.
        23 PivotRoot { shared: bool, }
        /// The same by moving the mount, without pivot_root.
        24 MoveRoot {}
        /// Make the rootfs the root by chroot, without a mount.
        25 Chroot {}
        /// Set the propagation of the container's root.
        26 RootPropagation { flags: u32, }
    }
}

items! {
    /// What makes the process the container's, to execve.
    7 ProcessItem "" of Two {
        /// Close every fd from this number on, but for what vial-init still needs and
        /// the one in this slot.
        1 CloseFds { from: u32, but: u32, }
        /// Give standard input, output and error to this user.
        2 OwnStdio { uid: u32, }
        /// Change to this AppArmor profile by the execve to come.
        3 AppArmorProfile { profile: &'a CStr, }
        /// Change to this SELinux label by the execve to come.
        4 SelinuxLabel { label: &'a CStr, }
        /// Set a limit.
        5 Rlimit { resource: u32, soft: u64, hard: u64, }
        /// Change to the working directory.
        6 WorkingDirectory { path: &'a CStr, }
        /// Drop all but these capabilities from the bounding set.
        7 BoundingSet { keep: u64, }
        /// Set the umask.
        8 Umask { mask: u32, }
        /// Set user, group and supplementary groups.
        9 User { uid: u32, gid: u32, groups: &'a [u8], set_groups: bool, }
        /// Set the capability sets.
        10 Capabilities { effective: u64, permitted: u64, inheritable: u64, ambient: u64, }
        /// Set no_new_privs.
        11 NoNewPrivs {}
        /// Find the program; path is the PATH to search.
        12 Program { args: Strings<'a>, env: Strings<'a>, path: &'a CStr, }
        /// Add HOME from the container's /etc/passwd.
        13 Home { uid: u32, }
        /// Add LISTEN_PID, the own pid.
        14 ListenPid {}
        /// Wait at the gate of start: for vial's word, and where a socket to listen on
        /// is in this slot, for `start` to connect to it.
        15 AwaitStart { socket: u32, }
        /// Load the filter; flags are SECCOMP_FILTER_FLAG_*.
        16 Seccomp { flags: u32, filter: &'a [u8], }
        /// Drop the capability that loading the filter took.
        17 DropCapabilities { effective: u64, permitted: u64, inheritable: u64, }
        /// Become the program.
        18 Execute {}
    }
}
