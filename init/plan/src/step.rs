//! What failed: the call, named where it is made, and the step that it was for.

macro_rules! calls {
    ($( $name:ident $words:literal, )*) => {
        /// A system call, named like its man page.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "the man pages say what they are")]
        #[repr(u8)]
        pub enum Call {
            $( $name, )*
        }

        impl Call {
            /// All of them.
            pub const ALL: &[Call] = &[ $( Call::$name, )* ];

            /// For example `openat2(2)`; empty for [`Call::None`].
            pub fn name(self) -> &'static str {
                match self { $( Call::$name => $words, )* }
            }
        }
    };
}

calls! {
    // No call failed: the Plan or a path is wrong.
    None "",
    Accept4 "accept4(2)",
    Bpf "bpf(2)",
    Capset "capset(2)",
    Chdir "chdir(2)",
    Chroot "chroot(2)",
    Clone3 "clone3(2)",
    CloseRange "close_range(2)",
    Dup3 "dup3(2)",
    Execve "execve(2)",
    Faccessat "faccessat(2)",
    Fchdir "fchdir(2)",
    Fchmod "fchmod(2)",
    Fchown "fchown(2)",
    Fchownat "fchownat(2)",
    Fcntl "fcntl(2)",
    Fstat "fstat(2)",
    Fstatat "fstatat(2)",
    Fstatfs "fstatfs(2)",
    Getcwd "getcwd(2)",
    Getdents64 "getdents64(2)",
    Ioctl "ioctl(2)",
    IoprioSet "ioprio_set(2)",
    Keyctl "keyctl(2)",
    MemfdCreate "memfd_create(2)",
    Mkdirat "mkdirat(2)",
    Mknodat "mknodat(2)",
    Mmap "mmap(2)",
    Mount "mount(2)",
    MountSetattr "mount_setattr(2)",
    Setxattr "setxattr(2)",
    MoveMount "move_mount(2)",
    Open "open(2)",
    OpenTree "open_tree(2)",
    Openat "openat(2)",
    Openat2 "openat2(2)",
    Personality "personality(2)",
    Pipe2 "pipe2(2)",
    PivotRoot "pivot_root(2)",
    Prctl "prctl(2)",
    Prlimit64 "prlimit64(2)",
    Pwrite "pwrite(2)",
    Read "read(2)",
    Readlinkat "readlinkat(2)",
    Recvmsg "recvmsg(2)",
    RtSigaction "rt_sigaction(2)",
    SchedSetaffinity "sched_setaffinity(2)",
    SchedSetattr "sched_setattr(2)",
    Seccomp "seccomp(2)",
    Sendfile "sendfile(2)",
    Sendmsg "sendmsg(2)",
    SetMempolicy "set_mempolicy(2)",
    Setdomainname "setdomainname(2)",
    Setgroups "setgroups(2)",
    Sethostname "sethostname(2)",
    Setns "setns(2)",
    Setresgid "setresgid(2)",
    Setresuid "setresuid(2)",
    Setsid "setsid(2)",
    Socket "socket(2)",
    Socketpair "socketpair(2)",
    Stat "stat(2)",
    Symlinkat "symlinkat(2)",
    Umount2 "umount2(2)",
    Unshare "unshare(2)",
    Waitid "waitid(2)",
    Write "write(2)",
}

impl Call {
    /// The call with this number.
    pub fn from_number(number: u8) -> Option<Call> {
        Call::ALL.get(usize::from(number)).copied()
    }
}

macro_rules! steps {
    ($( $name:ident $words:literal, )*) => {
        /// What a call was for. The item tells what it acted on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "their words say what they are")]
        #[repr(u8)]
        pub enum Step {
            $( $name, )*
        }

        impl Step {
            /// All of them.
            pub const ALL: &[Step] = &[ $( Step::$name, )* ];

            /// For example `mount the filesystem`.
            pub fn words(self) -> &'static str {
                match self { $( Step::$name => $words, )* }
            }
        }
    };
}

impl Step {
    /// The step with this number.
    pub fn from_number(number: u8) -> Option<Step> {
        Step::ALL.get(usize::from(number)).copied()
    }
}

steps! {
    ReadPlan "read the plan",
    MapPlan "map memory for the plan",
    DecodePlan "decode the plan",
    OtherBuild "check the plan's build",
    CloseFds "close inherited file descriptors",
    OpenProcfs "open the host's /proc",
    CheckProcfs "check that /proc is a procfs",
    OpenCgroupRoot "open the cgroup filesystem",
    MakeCgroup "make the cgroup",
    OpenCgroup "open the cgroup",
    OpenCgroupFile "open the cgroup file",
    WriteCgroupFile "write the cgroup file",
    LoadDeviceFilter "load the device filter",
    AttachDeviceFilter "attach the device filter",
    EnterCgroup "move the process into the cgroup",
    OpenProcFile "open the procfs file",
    WriteProcFile "write the procfs file",
    SetRlimit "set the limit",
    SetUndumpable "become undumpable",
    OpenNamespace "open the namespace",
    JoinNamespace "join the namespace",
    Unshare "make the new namespace",
    MakePipe "make the pipe between the stages",
    Clone "start the container's process",
    StartProgram "start it",
    EndOfProgram "wait for its end",
    ReleaseChild "release the child",
    AwaitMapping "wait for the mapping",
    Loopback "bring up the loopback interface",
    SetHostname "set the host name",
    SetDomainname "set the domain name",
    SetPropagation "set the propagation",
    OpenRootfs "open the rootfs",
    BindRootfs "bind the rootfs on itself",
    AttachRootfs "attach the rootfs",
    ResolveTarget "resolve the path in the rootfs",
    SymlinkTarget "resolve the path without a symbolic link",
    MakeDirectory "make the directory in the rootfs",
    MakeFile "make the file in the rootfs",
    Mount "mount the filesystem",
    OpenSource "open the source",
    SetAttributes "set the mount's attributes",
    AttachMount "attach the mount",
    CopyUp "copy what the mount covers",
    MakeDevice "make the device node",
    SetOwner "set the owner",
    OtherDevice "check the existing device node",
    MakeSymlink "make the symbolic link",
    OpenPtmx "open the pseudo-terminal multiplexer",
    OpenTerminal "open the pseudo-terminal",
    SetTerminalSize "set the terminal's size",
    SendTerminal "send the terminal over the console socket",
    UseTerminal "make the terminal standard input, output and error",
    ControlTerminal "make the terminal the controlling one",
    EnterRootfs "change directory to the rootfs",
    PivotRoot "make the rootfs the root",
    DetachOldRoot "unmount the host's root",
    MoveRoot "move the rootfs onto the root",
    Chroot "change root",
    MakeSession "make a session",
    LabelMount "set `security.selinux`",
    MakeKeyring "join the session keyring",
    DropBounding "drop capabilities from the bounding set",
    SetNoNewPrivs "set no_new_privs",
    KeepCapabilities "keep capabilities across the change of user",
    SetGroups "set the supplementary groups",
    SetGid "set the group",
    SetUid "set the user",
    SetCapabilities "set the capabilities",
    SetAmbient "set the ambient capabilities",
    ChangeDirectory "change to the working directory",
    UnreachableDirectory "find the working directory inside the rootfs",
    FindProgram "find the program",
    SendReply "send the reply",
    AwaitStart "wait for start",
    LoadSeccomp "load the seccomp filter",
    Execute "execute the program",
    ParentPrivate "make the parent mount private",
    OwnStdio "set the owner of the standard streams",
    BuildArguments "build the list of arguments",
    MakeCover "make the covers for masked paths",
    FindMount "find the mount just made",
    LinkIntoProc "refuse a symbolic link into /proc",
    FindSource "find the source",
    MoveMount "move the mount to its place",
    ReadAttributes "read the mount's attributes",
    Remount "set the mount's flags",
    ReadSignals "read which signals are ignored",
    ResetSignal "reset the signal",
    FindDeviceFilters "find the device filters of the cgroup",
    DetachDeviceFilter "detach an earlier device filter",
    OpenLabel "open `/proc/self/attr/exec`",
    WriteLabel "write `/proc/self/attr/exec`",
    WriteAppArmorProfile "write `/proc/self/attr/apparmor/exec`",
    StartOpener "start the opener",
    AskOpener "ask the opener",
    FindDevice "find the host's device",
    StartInit "start",
    SetScheduler "set the scheduling policy",
    SetIoPriority "set the I/O priority",
    SetMemoryPolicy "set the memory policy",
    SetPersonality "set the execution domain",
    SetAffinity "set the CPUs",
    MakeIdMap "make the user namespace of an idmapped mount",
    MapMountIds "map the ids of the mount",
    OtherLink "find another file or symbolic link there",
    StartCourier "start the process that passes the listener on",
    SendListener "send the listener",
    AwaitDevices "wait for the network devices",
    AwaitCourier "wait for the process that passes the listener on",
    AwaitHooks "wait for the hooks",
    MakeState "write the state for its standard input",
    EndAtTimeout "wait for its end within the timeout",
    AwaitScope "wait for systemd",
}
