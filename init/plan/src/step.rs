//! What vial-init was doing when it failed: one name a system call and purpose.

macro_rules! steps {
    ($( $(#[doc = $doc:literal])* $name:ident = $code:literal: $call:literal, )*) => {
        /// One act that can fail. What it acted on is the item's to say.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub enum Step {
            $( $(#[doc = $doc])* $name = $code, )*
        }

        impl Step {
            /// Every step there is, for tests and words.
            pub const ALL: &[Step] = &[ $( Step::$name, )* ];

            /// The step with this code.
            pub fn from_code(code: u32) -> Option<Step> {
                match code {
                    $( $code => Some(Step::$name), )*
                    _ => None,
                }
            }

            /// What it was doing, and the call that answered the errno.
            pub fn words(self) -> (&'static str, &'static str) {
                match self {
                    $( Step::$name => (concat!($($doc),*), $call), )*
                }
            }
        }
    };
}

steps! {
    /// read the plan
    ReadPlan = 1: "read(2)",
    /// make room for the plan
    MapPlan = 2: "mmap(2)",
    /// understand the plan
    DecodePlan = 3: "",
    /// recognise the plan's build
    OtherBuild = 4: "",
    /// close inherited file descriptors
    CloseFds = 5: "close_range(2)",
    /// open the host's /proc
    OpenProcfs = 6: "open(2)",
    /// check that /proc is a procfs
    CheckProcfs = 7: "fstatfs(2)",
    /// open the cgroup filesystem
    OpenCgroupRoot = 8: "open(2)",
    /// make the cgroup
    MakeCgroup = 9: "mkdir(2)",
    /// open the cgroup
    OpenCgroup = 10: "openat2(2)",
    /// open the cgroup file
    OpenCgroupFile = 11: "openat(2)",
    /// write the cgroup file
    WriteCgroupFile = 12: "write(2)",
    /// load the device filter
    LoadDeviceFilter = 13: "bpf(2)",
    /// attach the device filter
    AttachDeviceFilter = 14: "bpf(2)",
    /// move the process into the cgroup
    EnterCgroup = 15: "write(2)",
    /// open the procfs file
    OpenProcFile = 16: "openat2(2)",
    /// write the procfs file
    WriteProcFile = 17: "write(2)",
    /// set the limit
    SetRlimit = 18: "prlimit64(2)",
    /// become undumpable
    SetUndumpable = 19: "prctl(2)",
    /// open the namespace
    OpenNamespace = 20: "open(2)",
    /// join the namespace
    JoinNamespace = 21: "setns(2)",
    /// make the new namespace
    Unshare = 22: "unshare(2)",
    /// make the pipe between the stages
    MakePipe = 23: "pipe2(2)",
    /// start the container's process
    Clone = 24: "clone3(2)",
    /// start the mapping helper
    StartMapHelper = 25: "execve(2)",
    /// write the mapping by the helper
    MapHelper = 26: "waitid(2)",
    /// let the process go on
    ReleaseChild = 27: "write(2)",
    /// wait for the mapping
    AwaitMapping = 28: "read(2)",
    /// become root of the user namespace
    BecomeRoot = 29: "setresuid(2)",
    /// bring up the loopback interface
    Loopback = 30: "ioctl(2)",
    /// set the host name
    SetHostname = 31: "sethostname(2)",
    /// set the domain name
    SetDomainname = 32: "setdomainname(2)",
    /// set the propagation
    SetPropagation = 33: "mount(2)",
    /// open the rootfs
    OpenRootfs = 34: "open(2)",
    /// bind the rootfs on itself
    BindRootfs = 35: "open_tree(2)",
    /// attach the rootfs
    AttachRootfs = 36: "move_mount(2)",
    /// resolve the path in the rootfs
    ResolveTarget = 37: "openat2(2)",
    /// refuse a symbolic link on the way
    SymlinkTarget = 38: "openat2(2)",
    /// make the directory in the rootfs
    MakeDirectory = 39: "mkdirat(2)",
    /// make the file in the rootfs
    MakeFile = 40: "openat(2)",
    /// mount the filesystem
    Mount = 41: "mount(2)",
    /// open the source
    OpenSource = 42: "open_tree(2)",
    /// set the mount's attributes
    SetAttributes = 43: "mount_setattr(2)",
    /// attach the mount
    AttachMount = 44: "move_mount(2)",
    /// copy what the mount covers
    CopyUp = 45: "openat(2)",
    /// make the device node
    MakeDevice = 46: "mknodat(2)",
    /// set the owner
    SetOwner = 47: "fchownat(2)",
    /// set the mode
    SetMode = 48: "fchmodat(2)",
    /// find another file in the device's place
    OtherDevice = 49: "mknodat(2)",
    /// make the symbolic link
    MakeSymlink = 50: "symlinkat(2)",
    /// open the pseudo-terminal multiplexer
    OpenPtmx = 51: "openat2(2)",
    /// open the pseudo-terminal
    OpenTerminal = 52: "ioctl(2)",
    /// set the terminal's size
    SetTerminalSize = 53: "ioctl(2)",
    /// send the terminal over the console socket
    SendTerminal = 54: "sendmsg(2)",
    /// make the terminal standard input, output and error
    UseTerminal = 56: "dup3(2)",
    /// make the terminal the controlling one
    ControlTerminal = 57: "ioctl(2)",
    /// change to the rootfs
    EnterRootfs = 60: "fchdir(2)",
    /// make the rootfs the root
    PivotRoot = 61: "pivot_root(2)",
    /// unmount the host's root
    DetachOldRoot = 62: "umount2(2)",
    /// move the rootfs onto the root
    MoveRoot = 63: "mount(2)",
    /// change root
    Chroot = 64: "chroot(2)",
    /// make a session
    MakeSession = 65: "setsid(2)",
    /// make the session keyring
    MakeKeyring = 66: "keyctl(2)",
    /// drop from the bounding set
    DropBounding = 67: "prctl(2)",
    /// set no_new_privs
    SetNoNewPrivs = 68: "prctl(2)",
    /// keep capabilities across the change of user
    KeepCapabilities = 69: "prctl(2)",
    /// set the supplementary groups
    SetGroups = 70: "setgroups(2)",
    /// set the group
    SetGid = 71: "setresgid(2)",
    /// set the user
    SetUid = 72: "setresuid(2)",
    /// set the capabilities
    SetCapabilities = 73: "capset(2)",
    /// set the ambient capabilities
    SetAmbient = 74: "prctl(2)",
    /// change to the working directory
    ChangeDirectory = 75: "chdir(2)",
    /// find the working directory inside the rootfs
    UnreachableDirectory = 76: "getcwd(2)",
    /// find the program
    FindProgram = 77: "faccessat(2)",
    /// answer
    Answer = 78: "write(2)",
    /// wait for start
    AwaitStart = 79: "accept4(2)",
    /// load the seccomp filter
    LoadSeccomp = 80: "seccomp(2)",
    /// execute the program
    Execute = 81: "execve(2)",
    /// share the root's mounts no more
    ParentPrivate = 82: "mount(2)",
    /// give the terminal its owner
    OwnStdio = 83: "fchown(2)",
    /// build the list of arguments
    BuildArguments = 84: "",
    /// make what covers masked paths
    MakeCover = 90: "mknodat(2)",
    /// find the mount just made
    FindMount = 91: "openat2(2)",
    /// refuse a symbolic link that leads into /proc
    LinkIntoProc = 92: "openat2(2)",
    /// find the source
    FindSource = 93: "openat(2)",
    /// move the mount to its place
    MoveMount = 94: "mount(2)",
    /// read the mount's attributes
    ReadAttributes = 95: "fstatfs(2)",
    /// set the mount's attributes
    Remount = 96: "mount(2)",
    /// find the signals that are ignored
    ReadSignals = 104: "read(2)",
    /// reset the signal
    ResetSignal = 105: "rt_sigaction(2)",
    /// find the device filters of the cgroup
    FindDeviceFilters = 110: "bpf(2)",
    /// detach an earlier device filter
    DetachDeviceFilter = 111: "bpf(2)",
    /// open `/proc/self/attr/exec`
    OpenLabel = 120: "openat2(2)",
    /// write `/proc/self/attr/exec`
    WriteLabel = 121: "write(2)",
    /// write `/proc/self/attr/apparmor/exec`
    WriteAppArmorProfile = 122: "write(2)",
    /// start the opener
    StartOpener = 97: "clone3(2)",
    /// ask the opener
    AskOpener = 98: "sendmsg(2)",
    /// find the host's device in its place
    FindDevice = 99: "open(2)",
    /// start
    StartInit = 123: "execve(2)",
}
