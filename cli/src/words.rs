//! Each act of a Plan in words: for `vial plan`, and for errors.

use std::ffi::CStr;

use vial_plan::Item;

use crate::planner::{NAMESPACES, attribute_names, capability_name, flag_names, limit_name};
use crate::seccomp;

/// What an item does, as one clause.
pub fn describe(item: &Item<'_>) -> String {
    match item {
        Item::CloseInherited { from } => format!("close every inherited fd from {from} on"),
        Item::Procfs {} => "open the host's /proc".into(),
        Item::DefaultSignals {} => "give every signal its default action".into(),
        Item::CgroupRoot { path } => format!("open the cgroup2 filesystem at {}", show(path)),
        Item::CgroupControllers { directory, controllers, required } => {
            let needed = match required.is_empty() {
                true => String::new(),
                false => format!(", of which limits need {}", show(required)),
            };
            format!("enable {} below cgroup /{}{needed}", show(controllers), show(directory))
        }
        Item::CgroupMkdir { directory } => format!("make cgroup /{}", show(directory)),
        Item::CgroupOpen { directory } => format!("use cgroup /{}", show(directory)),
        Item::CgroupEnter {} => "enter the cgroup".into(),
        Item::CgroupWrite { file, value } => format!("write {} to {}", show(value), show(file)),
        Item::CgroupWriteEither { file, value, other, .. } if other.is_empty() => {
            format!("write {} to {}, if there is one", show(value), show(file))
        }
        Item::CgroupWriteEither { file, value, other, other_value } => {
            let either = format!("{} to {}", show(value), show(file));
            format!("write {either}, or else {} to {}", show(other_value), show(other))
        }
        Item::CgroupDevices { program: [] } => "filter no devices".into(),
        Item::CgroupDevices { program } => {
            format!("filter devices by {} eBPF instructions", program.len() / 8)
        }
        Item::OomScoreAdj { value } => format!("set oom_score_adj to {}", show(value)),
        Item::RaiseRlimit { resource, hard } => {
            format!("raise the hard limit {} to {}", limit_name(*resource), limit(*hard))
        }
        Item::Undumpable {} => "keep others from tracing this process".into(),
        Item::JoinPath { path, kind } => {
            format!("join the {} namespace {}", kinds(*kind), show(path))
        }
        Item::JoinProcess { kinds: flags, .. } => {
            format!("join the container's {} namespaces", kinds(*flags))
        }
        Item::Unshare { kinds: flags } => format!("make a new {} namespace", kinds(*flags)),
        Item::Opener {} => "start a process that opens sources with the host's privileges".into(),
        Item::EndOpener {} => "wait for the end of that process".into(),
        Item::OpenTimeOffsets {} => "open the file of clock offsets".into(),
        Item::TimeOffsets { offsets } => {
            format!("set clock offsets {}", show(offsets).trim_end().replace('\n', ", "))
        }
        Item::Clone { kinds: 0, .. } => "start the next stage".into(),
        Item::Clone { kinds: flags, .. } => {
            format!("start the next stage in new {} namespaces", kinds(*flags))
        }
        Item::DenySetgroups {} => "deny setgroups".into(),
        Item::UidMap { map } => format!("map uids {}", show(map).trim_end().replace('\n', ", ")),
        Item::GidMap { map } => format!("map gids {}", show(map).trim_end().replace('\n', ", ")),
        Item::MapHelper { program, .. } => format!("map ids by {}", show(program)),
        Item::ReleaseChild {} => "let the next stage go on".into(),
        Item::AwaitMapping {} => "wait to be mapped".into(),
        Item::BecomeRoot { .. } => "become root of the user namespace".into(),
        Item::Loopback {} => "bring up the interface lo".into(),
        Item::Hostname { name } => format!("set the host name to {}", show(name)),
        Item::Domainname { name } => format!("set the domain name to {}", show(name)),
        Item::Sysctl { path, value } => {
            format!("write {} to /proc/sys/{}", show(value), show(path))
        }
        Item::Session {} => "make a session".into(),
        Item::Keyring { name, .. } => format!("join the session keyring {}", show(name)),
        item => describe_rootfs(item),
    }
}

fn describe_rootfs(item: &Item<'_>) -> String {
    match item {
        Item::Propagation { flags } => format!("make every mount {}", propagation(*flags)),
        Item::ParentPrivate { path } => format!("make the mount of {} private", show(path)),
        Item::Rootfs { path, initramfs: false } => format!("bind the rootfs {}", show(path)),
        Item::Rootfs { path, .. } => {
            format!("leave the initramfs for a bind of it, and bind the rootfs {}", show(path))
        }
        Item::OpenRootfs { path } if !path.to_bytes().starts_with(b"/") => {
            format!("open the container's root /proc/{}", show(path))
        }
        Item::OpenRootfs { path } => format!("open the rootfs {}", show(path)),
        Item::PresentRoot {} => "open the container's root".into(),
        Item::Mount { target, fstype, flags, data, mode, .. } => {
            let mut names = flag_names(*flags);
            names.extend(mode.then_some("the mode of what it covers"));
            format!("mount {} on {}{}", show(fstype), show(target), with(names, data))
        }
        Item::MountCopy { target, fstype, flags, data, .. } => {
            let mut names = flag_names(*flags);
            names.push("a copy of what it covers");
            format!("mount {} on {}{}", show(fstype), show(target), with(names, data))
        }
        Item::MountCgroup { target, flags, .. } => {
            format!("mount cgroup2 on {}{}", show(target), with(flag_names(*flags), c""))
        }
        Item::Bind { source, target, recursive, set, clear, .. } => {
            let below = if *recursive { " and what is mounted below" } else { "" };
            let with = with(attribute_names(*set, *clear), c"");
            format!("bind {}{below} on {}{with}", show(source), show(target))
        }
        Item::MountAttributes { target, set, clear, propagation: 0, recursive } => {
            let below = if *recursive { " and those below" } else { "" };
            let names = attribute_names(*set, *clear).join(", ");
            format!("make the mount at {}{below} {names}", show(target))
        }
        Item::MountAttributes { target, propagation: kind, .. } => {
            format!("make the mount at {} {}", show(target), propagation(*kind as u32))
        }
        Item::Remount { target, flags, data } => {
            format!("remount {}{}", show(target), with(flag_names(*flags), data))
        }
        Item::DeviceNode { path, mode, major, minor, bind, .. } => {
            let act = if *bind { "bind" } else { "make" };
            let kind = match mode & 0o170_000 {
                0o060_000 => 'b',
                0o010_000 => 'p',
                _ => 'c',
            };
            let mode = mode & 0o7777;
            format!("{act} device {} ({kind} {major}:{minor}, mode {mode:04o})", show(path))
        }
        Item::Symlink { target, path } => format!("link {} to {}", show(path), show(target)),
        Item::Directory { path } => format!("make directory {}", show(path)),
        Item::Terminal { .. } => "open a terminal and send it over the console socket".into(),
        Item::ReadonlyMount { target } => format!("make the mount at {} read-only", show(target)),
        Item::MaskPath { path } => format!("mask {}", show(path)),
        Item::ReadonlyPath { path } => format!("make {} read-only", show(path)),
        Item::ReadonlyRoot {} => "make the rootfs read-only".into(),
        Item::RootPropagation { flags } => format!("make the root mount {}", propagation(*flags)),
        Item::HideMount { path } => format!("hide {} of the host", show(path)),
        Item::CoveredRoot {} => "take what covers the rootfs as the rootfs".into(),
        Item::PivotRoot { .. } => "make the rootfs the root".into(),
        Item::MoveRoot {} => "move the rootfs onto the root".into(),
        Item::Chroot {} => "change the root to the rootfs".into(),
        item => describe_process(item),
    }
}

fn describe_process(item: &Item<'_>) -> String {
    match item {
        Item::OwnStdio { uid } => format!("give standard input, output and error to user {uid}"),
        Item::Rlimit { resource, soft, hard } => {
            let name = limit_name(*resource);
            format!("set {name} to {}, at most {}", limit(*soft), limit(*hard))
        }
        Item::WorkingDirectory { path } => format!("change to {}", show(path)),
        Item::BoundingSet { keep } => format!("keep in the bounding set {}", capabilities(*keep)),
        Item::User { uid, gid, .. } => format!("become user {uid}, group {gid}"),
        Item::Umask { mask } => format!("set the umask to {mask:04o}"),
        Item::Capabilities { effective, .. } => {
            format!("have capabilities {}", capabilities(*effective))
        }
        Item::NoNewPrivs {} => "set no_new_privs".into(),
        Item::AppArmorProfile { profile } => {
            format!("change to the AppArmor profile {} by execve", show(profile))
        }
        Item::SelinuxLabel { label } => {
            format!("change to the SELinux label {} by execve", show(label))
        }
        Item::ListenPid {} => "set LISTEN_PID to the own pid".into(),
        Item::Home { uid } => format!("set HOME of user {uid}"),
        Item::Program { args, .. } => {
            let name = args.iter().next().map(show).unwrap_or_default();
            format!("find the program {name}")
        }
        Item::CloseFds { from } => format!("close every fd from {from} on"),
        Item::AwaitStart {} => "wait for start".into(),
        Item::Seccomp { flags, filter } => {
            let names = seccomp::FLAGS.iter().filter(|(_, flag)| flags & flag != 0);
            let names = names.map(|(name, _)| *name).collect();
            let with = with(names, c"");
            format!("load a seccomp filter of {} instructions{with}", filter.len() / 8)
        }
        Item::DropCapabilities { effective, .. } => {
            format!("have capabilities {} only", capabilities(*effective))
        }
        Item::Execute {} => "execute the program".into(),
        item => item.name().into(),
    }
}

/// As in ` with nosuid, noexec, mode=755`: vial's own options, then the
/// filesystem's.
fn with(names: Vec<&str>, data: &CStr) -> String {
    let all: Vec<&str> =
        names.into_iter().chain(data.to_str()).filter(|name| !name.is_empty()).collect();
    match all.is_empty() {
        true => String::new(),
        false => format!(" with {}", all.join(", ")),
    }
}

/// RLIM_INFINITY is no number to a reader.
fn limit(value: u64) -> String {
    if value == u64::MAX { "unlimited".into() } else { value.to_string() }
}

fn show(text: &CStr) -> String {
    text.to_string_lossy().into_owned()
}

fn kinds(flags: u32) -> String {
    let names = NAMESPACES.iter().filter(|(_, _, flag)| flags & flag != 0).map(|(name, ..)| *name);
    names.collect::<Vec<_>>().join(", ")
}

fn propagation(flags: u32) -> &'static str {
    match flags & !0x4000 {
        0x2_0000 => "unbindable",
        0x4_0000 => "private",
        0x8_0000 => "slave",
        _ => "shared",
    }
}

fn capabilities(bits: u64) -> String {
    let names: Vec<String> =
        (0..64).filter(|bit| bits & (1 << bit) != 0).filter_map(capability_name).collect();
    match names.len() {
        0 => "none".into(),
        41 => "all".into(),
        _ => names.join(" "),
    }
}
