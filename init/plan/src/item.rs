//! The items: every act a Plan can hold, with its fields, in the order of the
//! life of a container.

use core::ffi::CStr;

use crate::field::{Field, Fields, Kind, Shape, Taker};
use crate::{Cursor, Strings};

/// The bytes of a section end within an item, or hold no item known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Which item, counted over all sections.
    pub index: u32,
}

macro_rules! items {
    ($( $(#[doc = $doc:literal])* $code:literal $name:ident
        { $( $(#[doc = $field_doc:literal])* $field:ident: $kind:ty, )* } )*) => {
        /// One act of a Plan.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "the fields bear the man pages' names")]
        pub enum Item<'a> {
            $( $(#[doc = $doc])* $name { $( $(#[doc = $field_doc])* $field: $kind, )* }, )*
        }

        impl<'a> Item<'a> {
            /// What fields they have, by their codes.
            const SHAPES: [Shape; CODES] = {
                let mut shapes = [Shape::NONE; CODES];
                $( shapes[$code] = Shape::EMPTY $( .and(<$kind as Field>::SHAPE) )*; )*
                shapes
            };

            /// The item with this code and these fields. Where it is taken apart
            /// at once, it is never put together.
            #[inline(always)]
            pub fn from_fields(code: u16, fields: &Fields<'a>) -> Option<Item<'a>> {
                let mut taker = Taker::new(fields);
                let item = match code {
                    $( $code => Item::$name {
                        $( $field: <$kind as Field>::take(&mut taker), )*
                    }, )*
                    _ => return None,
                };
                let _ = &mut taker; // An item without fields takes none.
                Some(item)
            }

            fn code(&self) -> u16 {
                match self { $( Item::$name { .. } => $code, )* }
            }

            fn write_fields(&self, put: &mut dyn FnMut(&[u8])) {
                for kind in Kind::ALL {
                    match self {
                        $( Item::$name { $( $field, )* } => {
                            $( Field::write($field, kind, put); )*
                            let _ = (kind, &put);
                        } )*
                    }
                }
            }

            /// The item's name, as the source spells it.
            pub fn name(&self) -> &'static str {
                match self { $( Item::$name { .. } => stringify!($name), )* }
            }
        }
    };
}

/// One more than the highest code of an item.
const CODES: usize = 79;

items! {
    // Stage 0: outside.

    /// Close every inherited fd from this number on, but for those of vial.
    1 CloseInherited { from: u32, }
    /// Open the host's /proc, which serves every later access to procfs.
    2 Procfs {}
    /// Give every signal that the caller ignores its default action.
    3 DefaultSignals {}
    /// Open the cgroup2 filesystem mounted here.
    4 CgroupRoot { path: &'a CStr, }
    /// Enable these controllers for the children of this cgroup, as `+a +b`; the
    /// required are among them, and the others are left where they cannot be.
    5 CgroupControllers { directory: &'a CStr, controllers: &'a CStr, required: &'a CStr, }
    /// Make this cgroup.
    6 CgroupMkdir { directory: &'a CStr, }
    /// Open this cgroup: the container's, which the process is born into.
    7 CgroupOpen { directory: &'a CStr, }
    /// Write a file of the container's cgroup.
    8 CgroupWrite { file: &'a CStr, value: &'a CStr, }
    /// Write a file of the container's cgroup, or where the kernel does not have
    /// it, the other one; empty: nothing.
    9 CgroupWriteEither { file: &'a CStr, value: &'a CStr, other: &'a CStr, other_value: &'a CStr, }
    /// Load this eBPF program and attach it as the cgroup's device filter, in the
    /// place of those that are there; none is attached if it is empty.
    10 CgroupDevices { program: &'a [u8], }
    /// Write the own oom_score_adj, which the container inherits.
    11 OomScoreAdj { value: &'a CStr, }
    /// Raise the hard limit now, where the privilege is still at hand.
    12 RaiseRlimit { resource: u32, hard: u64, }
    /// Keep processes of namespaces to be joined from tracing this one.
    13 Undumpable {}
    /// Start the opener, which keeps the host's privileges.
    14 Opener {}
    /// Open the file of clock offsets, for which it is too late once undumpable.
    15 OpenTimeOffsets {}
    /// Join the namespace at this path; kind is its CLONE_NEW* flag.
    16 JoinPath { path: &'a CStr, kind: u32, }
    /// Join these namespaces of the container's init, which has this pid.
    17 JoinProcess { kinds: u32, pid: u32, }
    /// Make these namespaces for the process itself.
    18 Unshare { kinds: u32, }
    /// Enter the container's cgroup now, before its cgroup namespace is joined.
    19 CgroupEnter {}
    /// Set the offsets of the new time namespace.
    20 TimeOffsets { offsets: &'a CStr, }
    /// Start the next stage in these new namespaces; mapped: it waits for its
    /// user namespace to be mapped.
    21 Clone { stage: u32, kinds: u32, mapped: bool, }
    /// Deny setgroups(2), as an unprivileged gid mapping requires.
    22 DenySetgroups {}
    /// Write the child's uid_map.
    23 UidMap { map: &'a CStr, }
    /// Write the child's gid_map.
    24 GidMap { map: &'a CStr, }
    /// Have newuidmap or newgidmap write the child's map.
    25 MapHelper { program: &'a CStr, map: Strings<'a>, }
    /// Tell the child that it is mapped.
    26 ReleaseChild {}
    /// Wait for the opener's end.
    27 EndOpener {}

    // Stages 1 and 2: inside.

    /// Wait until the mapping is written.
    29 AwaitMapping {}
    /// Become uid and gid 0 of the user namespace.
    30 BecomeRoot { groups: bool, }
    /// Bring up `lo` of the new network namespace.
    31 Loopback {}
    /// Set the host name.
    32 Hostname { name: &'a CStr, }
    /// Set the domain name.
    33 Domainname { name: &'a CStr, }
    /// Write a kernel parameter; path is below /proc/sys.
    34 Sysctl { path: &'a CStr, value: &'a CStr, }
    /// Make a session, and its leader of the process.
    35 Session {}
    /// Join the session keyring of this name, made if there is none; make: it is
    /// new, and its user is to find it.
    36 Keyring { name: &'a CStr, make: bool, }

    // Stage 2: the rootfs.

    /// Set the propagation of every mount of the new mount namespace.
    37 Propagation { flags: u32, }
    /// Make the mount that holds this path private.
    38 ParentPrivate { path: &'a CStr, }
    /// Bind the rootfs on itself; every later path is resolved below it.
    39 Rootfs { path: &'a CStr, initramfs: bool, }
    /// Take what was mounted on the rootfs as the rootfs.
    40 CoveredRoot {}
    /// Open the rootfs, where nothing can be mounted; every later path is resolved
    /// below it. A relative path is below /proc: the root of a process (of an exec).
    28 OpenRootfs { path: &'a CStr, }
    /// Take the present root as the rootfs (of an exec).
    41 PresentRoot {}
    /// Mount a new filesystem; strict: no symbolic link may lead to the target;
    /// mode: it takes the mode of the directory that it covers, as an option.
    42 Mount { source: &'a CStr, target: &'a CStr, fstype: &'a CStr, flags: u32, data: &'a CStr, strict: bool, mode: bool, }
    /// Mount a tmpfs and copy into it what it covers; mode and owner: those of
    /// the directory itself too.
    43 MountCopy { source: &'a CStr, target: &'a CStr, fstype: &'a CStr, flags: u32, data: &'a CStr, mode: bool, owner: bool, }
    /// Mount cgroup2, or bind the host's where it may not be mounted.
    44 MountCgroup { target: &'a CStr, flags: u32, host: &'a CStr, }
    /// Bind a file or directory of the host; set and clear are MOUNT_ATTR_*.
    45 Bind { source: &'a CStr, target: &'a CStr, recursive: bool, set: u64, clear: u64, }
    /// Change attributes or propagation of the mount that was made last, at the
    /// target.
    46 MountAttributes { target: &'a CStr, set: u64, clear: u64, propagation: u64, recursive: bool, }
    /// Reconfigure the filesystem mounted at the target.
    47 Remount { target: &'a CStr, flags: u32, data: &'a CStr, }
    /// Make a device node; mode holds its type. bind: it may not be made there,
    /// as in a user namespace, and one from elsewhere is bound.
    48 DeviceNode { path: &'a CStr, mode: u32, major: u32, minor: u32, uid: u32, gid: u32, bind: bool, }
    /// Make a symbolic link, unless something is there.
    49 Symlink { target: &'a CStr, path: &'a CStr, }
    /// Make a directory, and those above it.
    50 Directory { path: &'a CStr, }
    /// Open a pseudo-terminal of the container and send it over the console
    /// socket; console: bind it on /dev/console too.
    51 Terminal { rows: u32, columns: u32, console: bool, }
    /// Make the mount at a path read-only, once everything lies in it.
    52 ReadonlyMount { target: &'a CStr, }
    /// Cover a path by an empty file or directory.
    53 MaskPath { path: &'a CStr, }
    /// Make a path read-only.
    54 ReadonlyPath { path: &'a CStr, }
    /// Make the rootfs read-only.
    55 ReadonlyRoot {}
    /// Set the propagation of the container's root.
    56 RootPropagation { flags: u32, }
    /// Unmount or cover a mount of the host before the root is moved.
    57 HideMount { path: &'a CStr, }
    /// Make the rootfs the root, and let go of the host's; shared: the host would
    /// hear of the unmounting.
    58 PivotRoot { shared: bool, }
    /// The same by moving the mount, without pivot_root.
    59 MoveRoot {}
    /// Make the rootfs the root by chroot, without a mount.
    60 Chroot {}

    // Stage 2: the process.

    /// Let go of everything but standard streams and this many more.
    61 CloseFds { from: u32, }
    /// Give standard input, output and error to this user.
    62 OwnStdio { uid: u32, }
    /// Set a limit.
    63 Rlimit { resource: u32, soft: u64, hard: u64, }
    /// Change to the working directory.
    64 WorkingDirectory { path: &'a CStr, }
    /// Drop all but these capabilities from the bounding set.
    65 BoundingSet { keep: u64, }
    /// Set user, group and supplementary groups.
    66 User { uid: u32, gid: u32, groups: &'a [u8], set_groups: bool, }
    /// Set the umask.
    67 Umask { mask: u32, }
    /// Set the capability sets.
    68 Capabilities { effective: u64, permitted: u64, inheritable: u64, ambient: u64, }
    /// Set no_new_privs.
    69 NoNewPrivs {}
    /// Change to this AppArmor profile by the execve to come.
    70 AppArmorProfile { profile: &'a CStr, }
    /// Change to this SELinux label by the execve to come.
    71 SelinuxLabel { label: &'a CStr, }
    /// Add LISTEN_PID, the own pid.
    72 ListenPid {}
    /// Add HOME from the container's /etc/passwd.
    73 Home { uid: u32, }
    /// Find the program; path is the PATH to search.
    74 Program { args: Strings<'a>, env: Strings<'a>, path: &'a CStr, }
    /// Answer ready and wait: for start on its socket, or for the CLI's word.
    75 AwaitStart {}
    /// Load the filter; flags are SECCOMP_FILTER_FLAG_*.
    76 Seccomp { flags: u32, filter: &'a [u8], }
    /// Drop the capability that loading the filter took.
    77 DropCapabilities { effective: u64, permitted: u64, inheritable: u64, }
    /// Become the program.
    78 Execute {}
}

const HEAD: usize = 8;

/// The length in bytes of an item as it is written.
pub fn item_size(item: &Item<'_>) -> usize {
    let mut size = HEAD;
    item.write_fields(&mut |part| size += part.len());
    size
}

/// Writes an item, in parts.
pub fn write_item(item: &Item<'_>, put: &mut dyn FnMut(&[u8])) {
    let size = (item_size(item) - HEAD) as u32;
    put(&item.code().to_le_bytes());
    put(&[0, 0]);
    put(&size.to_le_bytes());
    item.write_fields(put);
}

/// The items of one section, in order, each with its index.
#[derive(Clone, Copy, Debug)]
pub struct Items<'a> {
    cursor: Cursor<'a>,
    index: u32,
}

impl<'a> Items<'a> {
    /// The items in these bytes, the first having this index.
    pub fn new(section: &'a [u8], index: u32) -> Self {
        Items { cursor: Cursor::new(section), index }
    }

    /// The index of the next item.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// The next item, not put together yet: its code and its fields. None at the
    /// end; an item that is malformed is the last.
    pub fn next_fields(&mut self) -> Option<Result<(u16, Fields<'a>), Malformed>> {
        if self.cursor.is_empty() {
            return None;
        }
        let read = self.read().ok_or(Malformed { index: self.index });
        self.index = self.index.wrapping_add(1);
        if read.is_err() {
            self.cursor = Cursor::new(&[]); // Nothing after it can be trusted.
        }
        Some(read)
    }

    fn read(&mut self) -> Option<(u16, Fields<'a>)> {
        let code = u16::try_from(self.cursor.u32()).ok()?;
        let bytes = self.cursor.bytes();
        if !self.cursor.is_right() {
            return None;
        }
        let shape = *Item::SHAPES.get(usize::from(code))?;
        Some((code, Fields::read(shape, bytes)?))
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = (u32, Result<Item<'a>, Malformed>);

    fn next(&mut self) -> Option<Self::Item> {
        let index = self.index;
        let item = self
            .next_fields()?
            .and_then(|(code, fields)| Item::from_fields(code, &fields).ok_or(Malformed { index }));
        Some((index, item))
    }
}
