//! Hints: what the user can do about a failed item.

use linux_raw_sys::ptrace::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV as WAIT_KILLABLE;
use rustix::io::Errno;
use vial_plan::{
    CgroupItem, Item, LeaveItem, NamespaceItem, ProcessItem, RootfsItem, SetupItem, Stage0, Stage1,
    Stage2, Step,
};

const NO_SELINUX: &str = "SELinux is off, or has no such label: see /sys/kernel/security/lsm, or leave out process.selinuxLabel and linux.mountLabel";

/// What the user can do. None: vial does not know.
pub fn hint(item: &Item<'_>, step: Step, errno: Errno) -> Option<&'static str> {
    let of_step = match step {
        Step::SymlinkTarget => Some("/proc, /sys and /dev themselves may not be symbolic links"),
        Step::LinkIntoProc => Some("programs trust what they read in /proc: mount it elsewhere"),
        Step::MakeDirectory | Step::MakeFile if errno == Errno::ROFS => {
            Some("the rootfs is read-only on the host: make this path in the image")
        }
        _ => None,
    };
    of_step.or_else(|| match item {
        Item::Stage0(item) => match item {
            Stage0::Setup(item) => setup(item, step, errno),
            Stage0::Cgroup(item) => cgroup(item, step, errno),
            Stage0::Leave(LeaveItem::Clone { .. }) => clone(errno),
            Stage0::Leave(item) => leave(item, step, errno),
        }
        .or_else(|| (errno == Errno::NOSPC).then_some("a limit of the host is used up")),
        Item::Stage1(Stage1::Clone { .. }) => clone(errno),
        Item::Stage2(Stage2::Namespace(NamespaceItem::EnterCgroup { .. })) => enter(errno),
        Item::Stage2(Stage2::Namespace(NamespaceItem::KeyLabel { .. })) => {
            matches!(errno, Errno::INVAL | Errno::NOENT).then_some(NO_SELINUX)
        }
        Item::Stage1(_) | Item::Stage2(Stage2::Namespace(_)) => None,
        Item::Stage2(Stage2::Rootfs(item)) => rootfs(item, step, errno),
        Item::Stage2(Stage2::Process(item)) => process(item, step, errno),
    })
}

fn setup(item: &SetupItem<'_>, step: Step, errno: Errno) -> Option<&'static str> {
    Some(match (item, step, errno) {
        (SetupItem::RaiseRlimit { .. }, _, Errno::PERM) => {
            "raising a hard limit needs CAP_SYS_RESOURCE, which the caller does not have"
        }
        (SetupItem::OomScoreAdj { .. }, _, Errno::ACCESS) => {
            "lowering the value needs CAP_SYS_RESOURCE, which the caller does not have"
        }
        (SetupItem::Procfs {}, _, _) => "mount -t proc proc /proc",
        _ => return None,
    })
}

fn cgroup(item: &CgroupItem<'_>, step: Step, errno: Errno) -> Option<&'static str> {
    Some(match (item, step, errno) {
        (CgroupItem::Devices { .. }, Step::LoadDeviceFilter, _) => {
            "the kernel may lack CONFIG_CGROUP_BPF; with {\"allow\": true, \"access\": \"rwm\"} as the last rule no device filter is needed"
        }
        (CgroupItem::Devices { .. }, Step::FindDeviceFilters | Step::DetachDeviceFilter, _) => {
            "this user may not replace the device filters that the cgroup already has: set linux.cgroupsPath to another place"
        }
        (CgroupItem::Write { file, .. }, Step::WriteCgroupFile, Errno::INVAL)
            if file.to_bytes().starts_with(b"cpu.rt_") =>
        {
            "the parent cgroup has less realtime than this: see its cpu.rt_runtime_us"
        }
        (CgroupItem::Write { file, .. }, Step::WriteCgroupFile, errno) => {
            return written(file.to_bytes(), errno);
        }
        (
            CgroupItem::Write { .. } | CgroupItem::WriteEither { .. },
            Step::OpenCgroupFile,
            Errno::NOENT,
        ) => "the kernel is too old for this limit, too new, or built without it",
        (CgroupItem::Controllers { .. }, _, Errno::NOENT) => {
            "a controller is not enabled in a parent cgroup"
        }
        (CgroupItem::Controllers { .. }, _, Errno::BUSY) => {
            "that cgroup holds processes, so it cannot enable controllers for its children: set linux.cgroupsPath to another place"
        }
        (CgroupItem::Mkdir { .. }, _, Errno::ACCESS | Errno::PERM) => {
            "this cgroup is not delegated to the user"
        }
        _ => return None,
    })
}

/// What the kernel means when it refuses a value for a file of a cgroup.
fn written(file: &[u8], errno: Errno) -> Option<&'static str> {
    Some(match errno {
        Errno::RANGE | Errno::INVAL if file == b"cpuset.cpus" => {
            "/sys/devices/system/cpu/online lists the CPUs of this machine, as in 0-2,4"
        }
        Errno::RANGE | Errno::INVAL if file == b"cpuset.mems" => {
            "/sys/devices/system/node/online lists the memory nodes of this machine, as in 0-1"
        }
        Errno::ACCESS if file.starts_with(b"cpuset.") => {
            "the parent cgroup does not have all of them: see its own file of this name"
        }
        Errno::BUSY if file.starts_with(b"memory.") => {
            "more is in use than the limit allows, and the kernel could not take it back"
        }
        Errno::NODEV if file.starts_with(b"io.") || file.starts_with(b"blkio.") => {
            "there is no such block device, or it is a partition: limits are those of the whole disk"
        }
        _ => return None,
    })
}

fn enter(errno: Errno) -> Option<&'static str> {
    Some(match errno {
        Errno::INVAL => {
            "with cgroup v1, a process with a realtime policy needs linux.resources.cpu.realtimeRuntime"
        }
        Errno::NOSPC => "the cgroup has no CPUs or memory nodes: see cpuset.cpus and cpuset.mems",
        _ => return None,
    })
}

fn clone(errno: Errno) -> Option<&'static str> {
    Some(match errno {
        Errno::PERM | Errno::NOSPC | Errno::USERS => {
            "user namespaces may be forbidden, or there may be too many: see /proc/sys/user/max_user_namespaces and /proc/sys/kernel/unprivileged_userns_clone"
        }
        Errno::OPNOTSUPP => {
            "a parent of the container's cgroup holds processes, so limits cannot be set: set linux.cgroupsPath to another place"
        }
        Errno::INVAL => {
            "the kernel may lack a type of namespace: /proc/self/ns lists those that it has"
        }
        _ => return None,
    })
}

fn leave(item: &LeaveItem<'_>, step: Step, errno: Errno) -> Option<&'static str> {
    Some(match (item, step, errno) {
        (LeaveItem::UidMap { .. } | LeaveItem::GidMap { .. }, _, Errno::PERM) => {
            "the caller may not map these ids: see /etc/subuid and /etc/subgid"
        }
        (LeaveItem::MapHelper { .. }, Step::EndOfProgram, _) => {
            "the ranges must be the user's own in /etc/subuid and /etc/subgid; see the helper's message above"
        }
        _ => return None,
    })
}

fn rootfs(item: &RootfsItem<'_>, step: Step, errno: Errno) -> Option<&'static str> {
    Some(match (item, step, errno) {
        (RootfsItem::Mount { fstype, .. }, Step::Mount, Errno::PERM) if *fstype == c"proc" => {
            "the host hides part of /proc; in a user namespace proc can be mounted only if no mount covers a part of /proc"
        }
        (RootfsItem::Mount { fstype, .. }, Step::Mount, Errno::PERM) if *fstype == c"sysfs" => {
            "in a user namespace sysfs can be mounted only with a new network namespace; otherwise bind the host's /sys"
        }
        (
            RootfsItem::Mount { data, .. } | RootfsItem::MountCopy { data, .. },
            Step::Mount,
            Errno::INVAL,
        ) if data.to_bytes().ends_with(b"\"") => NO_SELINUX,
        (RootfsItem::Rootfs { covers, .. }, Step::Mount, Errno::INVAL) if !covers.is_empty() => {
            NO_SELINUX
        }
        (RootfsItem::Mount { .. }, Step::Mount, Errno::NODEV) => {
            "the kernel does not have this filesystem, or its module is not loaded"
        }
        (RootfsItem::PivotRoot { .. }, Step::PivotRoot, Errno::INVAL) => {
            "the rootfs lies on a root that cannot be pivoted; try --no-pivot"
        }
        (RootfsItem::Chroot {}, Step::Chroot, Errno::PERM) => {
            "chroot needs CAP_SYS_CHROOT, which the caller does not have"
        }
        (RootfsItem::DeviceNode { .. }, Step::MakeDevice, Errno::PERM) => {
            "making a device needs CAP_MKNOD; with {\"type\": \"mount\"} in linux.namespaces vial binds the host's instead"
        }
        (RootfsItem::Terminal { .. }, Step::OpenPtmx, Errno::NOENT) => {
            "a terminal needs devpts: mount it at /dev/pts"
        }
        (RootfsItem::MountAttributes { recursive: true, .. }, _, Errno::NOSYS) => {
            "recursive attributes need Linux 5.12: leave out the options that begin with r"
        }
        (RootfsItem::Bind { recursive: false, .. }, Step::OpenSource, Errno::INVAL) => {
            "in a user namespace a host's mount that is ro, nosuid, nodev or noexec is bound only with what is mounted below it: use rbind"
        }
        (RootfsItem::Bind { .. }, Step::MapMountIds, Errno::NOSYS) => {
            "idmapped mounts need Linux 5.12"
        }
        (RootfsItem::Bind { .. }, Step::MapMountIds, Errno::INVAL) => {
            "this kernel cannot map ids of the source's filesystem: ext4, xfs and btrfs can since 5.12 to 5.15, overlayfs since 5.19, tmpfs since 6.3"
        }
        (RootfsItem::Bind { .. }, Step::MapMountIds, Errno::PERM) => {
            "its ids are mapped already, or belong to another user namespace"
        }
        (
            RootfsItem::Bind { .. } | RootfsItem::MountAttributes { .. },
            Step::SetAttributes | Step::Remount,
            Errno::PERM,
        ) => {
            "in a user namespace only the access time of a host's mount can change, by an option without r before its name. It needs root and Linux 5.12, and a mount that is not ro, nosuid, nodev or noexec and has no other mount below it"
        }
        _ => return None,
    })
}

fn process(item: &ProcessItem<'_>, step: Step, errno: Errno) -> Option<&'static str> {
    Some(match (item, step, errno) {
        (
            ProcessItem::Scheduler { .. } | ProcessItem::IoPriority { .. },
            Step::SetScheduler | Step::SetIoPriority,
            Errno::PERM,
        ) => {
            "this needs CAP_SYS_NICE on the host, SCHED_DEADLINE all CPUs of the machine, and with cgroup v1 a realtime policy linux.resources.cpu.realtimeRuntime"
        }
        (ProcessItem::MemoryPolicy { .. }, _, Errno::NOSYS) => {
            "the kernel has no NUMA (CONFIG_NUMA): leave linux.memoryPolicy out"
        }
        (ProcessItem::WorkingDirectory { .. }, Step::UnreachableDirectory, _) => {
            "the path leads out of the rootfs"
        }
        (ProcessItem::Capabilities { .. }, Step::SetCapabilities, Errno::PERM) => {
            "the caller does not have all of these capabilities itself"
        }
        (ProcessItem::AppArmorProfile { .. }, _, Errno::NOENT) => {
            "the profile is not loaded: `apparmor_parser --replace FILE` loads one"
        }
        (ProcessItem::AppArmorProfile { .. }, _, Errno::INVAL) => {
            "AppArmor is off: see /sys/kernel/security/lsm, or leave out process.apparmorProfile"
        }
        (ProcessItem::SelinuxLabel { .. }, _, Errno::INVAL | Errno::NOENT) => NO_SELINUX,
        (ProcessItem::Seccomp { flags, .. }, _, Errno::INVAL) if flags & WAIT_KILLABLE != 0 => {
            "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV needs Linux 5.19"
        }
        (ProcessItem::Seccomp { .. }, _, Errno::INVAL) => {
            "the kernel refuses the program, or one of the flags"
        }
        (ProcessItem::Seccomp { .. }, _, Errno::BUSY) => {
            "vial itself runs under a filter with a listener, and the kernel allows only one"
        }
        (ProcessItem::AwaitCourier {}, _, _) => {
            "the seccomp agent must let waitid(2) happen, by which vial-init waits for start"
        }
        _ => return None,
    })
}
