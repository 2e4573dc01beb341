//! The items of a Plan in words, for `vial plan` and for errors.

use std::ffi::CStr;

use linux_raw_sys::general::{self, MS_PRIVATE, MS_REC, MS_SLAVE, MS_UNBINDABLE};
use vial_plan::{
    CgroupItem, Item, LeaveItem, NO_SLOT, NamespaceItem, ProcessItem, RootfsItem, SetupItem,
    Stage0, Stage1, Stage2,
};

use crate::namespace::KINDS;
use crate::planner::{self, attribute_names, capability_name, flag_names, limit_name};
use crate::seccomp;

/// What an item does, as one clause.
pub fn describe(item: &Item<'_>) -> String {
    match item {
        Item::Stage0(Stage0::Setup(item)) => setup(item),
        Item::Stage0(Stage0::Cgroup(item)) => cgroup(item),
        Item::Stage0(Stage0::Leave(item)) => leave(item),
        Item::Stage1(item) => stage1(item),
        Item::Stage2(Stage2::Namespace(item)) => namespace(item),
        Item::Stage2(Stage2::Rootfs(item)) => rootfs(item),
        Item::Stage2(Stage2::Process(item)) => process(item),
    }
}

fn setup(item: &SetupItem<'_>) -> String {
    match item {
        SetupItem::CloseInherited { from } => format!("close every inherited fd from {from} on"),
        SetupItem::Procfs {} => "open the host's /proc".into(),
        SetupItem::DefaultSignals {} => "give every signal its default action".into(),
        SetupItem::OomScoreAdj { value } => format!("set oom_score_adj to {}", show(value)),
        SetupItem::RaiseRlimit { resource, hard } => {
            format!("raise the hard limit {} to {}", limit_name(*resource), limit(*hard))
        }
        SetupItem::Undumpable {} => "keep others from tracing this process".into(),
        SetupItem::Scheduler { attributes } => scheduler(attributes),
        SetupItem::IoPriority { priority } => io_priority(*priority),
        SetupItem::Affinity { cpus } => affinity(cpus),
        SetupItem::MakeIdMap { uids, gids, .. } => {
            format!("make a map for mounts of uids {} and gids {}", lines(uids), lines(gids))
        }
        SetupItem::OpenIdMap { path, .. } => {
            format!("take the map for mounts of the user namespace {}", show(path))
        }
        SetupItem::Opener { .. } => {
            "start a process that opens sources with the host's privileges".into()
        }
        SetupItem::EndOpener { .. } => "wait for the end of that process".into(),
        SetupItem::OpenRootfs { path, .. } => {
            format!("open the container's root /proc/{}", show(path))
        }
    }
}

fn cgroup(item: &CgroupItem<'_>) -> String {
    match item {
        CgroupItem::Root { path, magic } => {
            let what = match *magic {
                general::CGROUP2_SUPER_MAGIC => "cgroup2 filesystem",
                general::CGROUP_SUPER_MAGIC => "hierarchy of cgroup v1",
                _ => "resctrl filesystem",
            };
            format!("open the {what} at {}", show(path))
        }
        CgroupItem::Controllers { directory, controllers, required } => {
            let needed = match required.is_empty() {
                true => String::new(),
                false => format!(", of which limits need {}", show(required)),
            };
            format!("enable {} below cgroup /{}{needed}", show(controllers), show(directory))
        }
        CgroupItem::Mkdir { directory } => format!("make cgroup /{}", show(directory)),
        CgroupItem::Open { directory } => format!("use cgroup /{}", show(directory)),
        CgroupItem::AwaitScope { scope } => {
            format!("wait until systemd has put this process into {}", show(scope))
        }
        CgroupItem::Enter {} => "enter the cgroup".into(),
        CgroupItem::Tasks { .. } => "open the cgroup's tasks".into(),
        CgroupItem::Owner { file, uid, gid } => {
            let file = if file.is_empty() { "the cgroup".into() } else { show(file) };
            format!("give {file} to {uid}:{gid}")
        }
        CgroupItem::Write { file, value } => format!("write {} to {}", show(value), show(file)),
        CgroupItem::WriteEither { file, value, other, .. } if other.is_empty() => {
            format!("write {} to {}, if there is one", show(value), show(file))
        }
        CgroupItem::WriteEither { file, value, other, other_value } => {
            let either = format!("{} to {}", show(value), show(file));
            format!("write {either}, or else {} to {}", show(other_value), show(other))
        }
        CgroupItem::Devices { program: [] } => "let no program filter devices".into(),
        CgroupItem::Devices { program } => {
            format!("filter devices by {} eBPF instructions", program.len() / 8)
        }
    }
}

fn leave(item: &LeaveItem<'_>) -> String {
    match item {
        LeaveItem::JoinPath { path, kind } => {
            format!("join the {} namespace {}", kinds(*kind), show(path))
        }
        LeaveItem::JoinProcess { kinds: flags, .. } => join_container(*flags),
        LeaveItem::Unshare { kinds: flags } => format!("make a new {} namespace", kinds(*flags)),
        LeaveItem::OpenTimeOffsets { .. } => "open the file of clock offsets".into(),
        LeaveItem::TimeOffsets { offsets, .. } => format!("set clock offsets {}", lines(offsets)),
        LeaveItem::Clone { kinds: 0, .. } => "start the next stage".into(),
        LeaveItem::Clone { kinds: flags, .. } => {
            format!("start the next stage in new {} namespaces", kinds(*flags))
        }
        LeaveItem::DenySetgroups {} => "deny setgroups".into(),
        LeaveItem::UidMap { map } => format!("map uids {}", lines(map)),
        LeaveItem::GidMap { map } => format!("map gids {}", lines(map)),
        LeaveItem::MapHelper { program, .. } => format!("map ids by {}", show(program)),
        LeaveItem::ReleaseChild { .. } => "let the next stage go on".into(),
    }
}

fn join_container(flags: u32) -> String {
    format!("join the container's {} namespaces", kinds(flags))
}

/// Items that other stages have too are described alike.
fn stage1(item: &Stage1<'_>) -> String {
    match *item {
        Stage1::AwaitMapping { pipe } => namespace(&NamespaceItem::AwaitMapping { pipe }),
        Stage1::BecomeRoot { groups } => namespace(&NamespaceItem::BecomeRoot { groups }),
        Stage1::Unshare { kinds } => leave(&LeaveItem::Unshare { kinds }),
        Stage1::TimeOffsets { offsets } => {
            leave(&LeaveItem::TimeOffsets { offsets, file: NO_SLOT })
        }
        Stage1::Clone { stage, kinds } => leave(&LeaveItem::Clone { stage, kinds, pipe: NO_SLOT }),
    }
}

fn namespace(item: &NamespaceItem<'_>) -> String {
    match item {
        NamespaceItem::AwaitMapping { .. } => "wait to be mapped".into(),
        NamespaceItem::BecomeRoot { .. } => "become root of the user namespace".into(),
        NamespaceItem::Loopback {} => "bring up the interface lo".into(),
        NamespaceItem::NetDevices { names } => {
            format!("wait until vial has moved the network devices {}", show(names))
        }
        NamespaceItem::Hostname { name } => format!("set the host name to {}", show(name)),
        NamespaceItem::Domainname { name } => format!("set the domain name to {}", show(name)),
        NamespaceItem::Sysctl { path, value } => {
            format!("write {} to /proc/sys/{}", show(value), show(path))
        }
        NamespaceItem::EnterCgroup { .. } => "enter a cgroup by its tasks".into(),
        NamespaceItem::Session {} => "make a session".into(),
        NamespaceItem::KeyLabel { label } => {
            format!("write the SELinux label {} to `/proc/self/attr/keycreate`", show(label))
        }
        NamespaceItem::Keyring { name, .. } => format!("join the session keyring {}", show(name)),
        NamespaceItem::JoinProcess { kinds: flags, .. } => join_container(*flags),
        NamespaceItem::Unshare { kinds } => leave(&LeaveItem::Unshare { kinds: *kinds }),
    }
}

fn rootfs(item: &RootfsItem<'_>) -> String {
    match item {
        RootfsItem::Propagation { flags } => format!("make every mount {}", propagation(*flags)),
        RootfsItem::ParentPrivate { path } => format!("make the mount of {} private", show(path)),
        RootfsItem::Rootfs { path, initramfs, covers, .. } => {
            let first = if *initramfs { "leave the initramfs for a bind of it, and " } else { "" };
            let over = if covers.is_empty() { "" } else { " over a tmpfs with " };
            format!("{first}bind the rootfs {}{over}{}", show(path), show(covers))
        }
        RootfsItem::OpenRootfs { path } => format!("open the rootfs {}", show(path)),
        RootfsItem::LentRoot { .. } => "take the container's root".into(),
        RootfsItem::PresentRoot {} => "open the container's root".into(),
        RootfsItem::Mount { target, fstype, flags, data, mode, .. } => {
            let mut names = flag_names(*flags);
            names.extend(mode.then_some("the mode of what it covers"));
            format!("mount {} on {}{}", show(fstype), show(target), with(names, data))
        }
        RootfsItem::MountCopy { target, fstype, flags, data, .. } => {
            let mut names = flag_names(*flags);
            names.push("a copy of what it covers");
            format!("mount {} on {}{}", show(fstype), show(target), with(names, data))
        }
        RootfsItem::MountCgroup { target, flags, .. } => {
            format!("mount cgroup2 on {}{}", show(target), with(flag_names(*flags), c""))
        }
        RootfsItem::Bind {
            source,
            target,
            recursive,
            set,
            clear,
            id_map,
            bare_source,
            bare_target,
            copy_link,
            maps_below,
        } => {
            let below = if *recursive { " and what is mounted below" } else { "" };
            let mut names = attribute_names(*set, *clear);
            for (is_set, name) in [
                (*id_map != NO_SLOT && !maps_below, "mapped ids"),
                (*maps_below, "mapped ids of all"),
                (*bare_source, "src-nofollow"),
                (*bare_target, "dest-nofollow"),
                (*copy_link, "copy-symlink"),
            ] {
                names.extend(is_set.then_some(name));
            }
            let with = with(names, c"");
            format!("bind {}{below} on {}{with}", show(source), show(target))
        }
        RootfsItem::MountAttributes { target, set, clear, propagation: 0, recursive } => {
            let below = if *recursive { " and those below" } else { "" };
            let names = attribute_names(*set, *clear).join(", ");
            format!("make the mount at {}{below} {names}", show(target))
        }
        RootfsItem::MountAttributes { target, propagation: kind, .. } => {
            format!("make the mount at {} {}", show(target), propagation(*kind as u32))
        }
        RootfsItem::LabelMount { target, label } => {
            format!("give {} the SELinux label {}", show(target), show(label))
        }
        RootfsItem::Remount { target, flags, data } => {
            format!("remount {}{}", show(target), with(flag_names(*flags), data))
        }
        RootfsItem::DeviceNode { path, mode, major, minor, bind, .. } => {
            let act = if *bind { "bind" } else { "make" };
            let kind = match mode & 0o170_000 {
                0o060_000 => 'b',
                0o010_000 => 'p',
                _ => 'c',
            };
            let mode = mode & 0o7777;
            format!("{act} device {} ({kind} {major}:{minor}, mode {mode:04o})", show(path))
        }
        RootfsItem::Symlink { target, path } => format!("link {} to {}", show(path), show(target)),
        RootfsItem::Directory { path } => format!("make directory {}", show(path)),
        RootfsItem::Terminal { .. } => "open a terminal and send it over the console socket".into(),
        RootfsItem::AwaitHooks {} => "wait while vial runs hooks".into(),
        RootfsItem::ReadonlyMount { target } => {
            format!("make the mount at {} read-only", show(target))
        }
        RootfsItem::MaskPath { path } => format!("mask {}", show(path)),
        RootfsItem::ReadonlyPath { path } => format!("make {} read-only", show(path)),
        RootfsItem::ReadonlyRoot {} => "make the rootfs read-only".into(),
        RootfsItem::RootPropagation { flags } => {
            format!("make the root mount {}", propagation(*flags))
        }
        RootfsItem::HideMount { path } => format!("hide {} of the host", show(path)),
        RootfsItem::CoveredRoot {} => "use the mount that covers the rootfs as the rootfs".into(),
        RootfsItem::PivotRoot { .. } => "make the rootfs the root".into(),
        RootfsItem::MoveRoot {} => "move the rootfs onto the root".into(),
        RootfsItem::Chroot {} => "change the root to the rootfs".into(),
    }
}

fn process(item: &ProcessItem<'_>) -> String {
    match item {
        ProcessItem::OwnStdio { uid } => {
            format!("give standard input, output and error to user {uid}")
        }
        ProcessItem::Scheduler { attributes, .. } => scheduler(attributes),
        ProcessItem::IoPriority { priority } => io_priority(*priority),
        ProcessItem::MemoryPolicy { mode, nodes } => {
            let nodes = planner::list_of(nodes);
            let with = if nodes.is_empty() { String::new() } else { format!(" for nodes {nodes}") };
            format!("set the memory policy {}{with}", planner::memory_mode_name(*mode))
        }
        ProcessItem::Personality { persona } => {
            format!("set the execution domain {}", planner::personality_name(*persona))
        }
        ProcessItem::Affinity { cpus } => affinity(cpus),
        ProcessItem::Rlimit { resource, soft, hard } => {
            let name = limit_name(*resource);
            format!("set {name} to {}, at most {}", limit(*soft), limit(*hard))
        }
        ProcessItem::HookLimit { resource, soft, hard } => {
            let name = limit_name(*resource);
            format!("for hooks, set {name} to {}, at most {}", limit(*soft), limit(*hard))
        }
        ProcessItem::WorkingDirectory { path } => format!("change to {}", show(path)),
        ProcessItem::BoundingSet { keep } => {
            format!("limit the bounding set to {}", capabilities(*keep))
        }
        ProcessItem::User { uid, gid, .. } => format!("become user {uid}, group {gid}"),
        ProcessItem::Umask { mask } => format!("set the umask to {mask:04o}"),
        ProcessItem::Capabilities { effective, .. } => {
            format!("set capabilities {}", capabilities(*effective))
        }
        ProcessItem::NoNewPrivs {} => "set no_new_privs".into(),
        ProcessItem::AppArmorProfile { profile } => {
            format!("set the AppArmor profile {} for execve", show(profile))
        }
        ProcessItem::SelinuxLabel { label } => {
            format!("set the SELinux label {} for execve", show(label))
        }
        ProcessItem::ListenPid {} => "set LISTEN_PID to its own pid".into(),
        ProcessItem::Home { uid } => format!("set HOME of user {uid}"),
        ProcessItem::Program { args, .. } => {
            let name = args.iter().next().map(show).unwrap_or_default();
            format!("find the program {name}")
        }
        ProcessItem::CloseFds { from, .. } => format!("close every fd from {from} on"),
        ProcessItem::AwaitStart { .. } => "wait for start".into(),
        ProcessItem::Courier { .. } => {
            "start a process that passes the filter's listener on, and then waits for start".into()
        }
        ProcessItem::AwaitCourier {} => "wait for the end of that process".into(),
        ProcessItem::Hook { program, .. } => hook(&show(program)),
        ProcessItem::Seccomp { flags, filter } => {
            let names = seccomp::FLAGS.iter().filter(|(_, flag)| flags & flag != 0);
            let names = names.map(|(name, _)| *name).collect();
            let with = with(names, c"");
            format!("load a seccomp filter of {} instructions{with}", filter.len() / 8)
        }
        ProcessItem::DropCapabilities { effective, .. } => {
            format!("keep only capabilities {}", capabilities(*effective))
        }
        ProcessItem::Execute {} => "execute the program".into(),
    }
}

/// What runs a hook.
pub fn hook(program: &str) -> String {
    format!("run the hook {program}")
}

/// As in ` with nosuid, noexec, mode=755`: the mount's flags, then the
/// filesystem's data.
fn with(names: Vec<&str>, data: &CStr) -> String {
    let all: Vec<&str> =
        names.into_iter().chain(data.to_str()).filter(|name| !name.is_empty()).collect();
    match all.is_empty() {
        true => String::new(),
        false => format!(" with {}", all.join(", ")),
    }
}

/// A resource limit, or "unlimited" for RLIM_INFINITY.
fn limit(value: u64) -> String {
    if value == u64::MAX { "unlimited".into() } else { value.to_string() }
}

fn lines(text: &CStr) -> String {
    show(text).trim_end().replace('\n', ", ")
}

fn show(text: &CStr) -> String {
    text.to_string_lossy().into_owned()
}

fn kinds(flags: u32) -> String {
    let names = KINDS.iter().filter(|(_, _, flag)| flags & flag != 0).map(|(name, ..)| *name);
    names.collect::<Vec<_>>().join(", ")
}

fn propagation(flags: u32) -> &'static str {
    match flags & !MS_REC {
        MS_UNBINDABLE => "unbindable",
        MS_PRIVATE => "private",
        MS_SLAVE => "slave",
        _ => "shared",
    }
}

fn capabilities(bits: u64) -> String {
    let names: Vec<String> =
        (0..64).filter(|bit| bits & (1 << bit) != 0).filter_map(capability_name).collect();
    match names.len() {
        0 => "none".into(),
        // Numbers have no gaps: as many as there are names.
        count if capability_name(count).is_none() => "all".into(),
        _ => names.join(" "),
    }
}

fn scheduler(attributes: &[u8]) -> String {
    format!("set the scheduling policy {}", planner::policy_name(attributes))
}

fn io_priority(priority: u32) -> String {
    let (class, priority) = planner::io_priority_name(priority);
    format!("set the I/O priority {class} {priority}")
}

fn affinity(cpus: &[u8]) -> String {
    if cpus.iter().all(|byte| *byte == 0xff) {
        return "allow all CPUs".into();
    }
    format!("allow CPUs {}", planner::list_of(cpus))
}
