//! linux.namespaces, and what else each kind of namespace allows.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::edit::{self, Container, has, inode, join, namespace, refused, without_namespace};
use crate::context::same;
use crate::runner::{Failure, topic};
use crate::{Context, Outcome, sys};

topic!(
    "namespaces",
    each_requested_namespace_is_new [Root, TimeNamespaces],
    other_namespaces_are_the_callers [Root],
    namespaces_of_another_container_are_joined [Root, TimeNamespaces],
    joined_pid_namespace_shows_its_processes [Root],
    new_pid_namespace_has_the_container_alone [Root],
    namespaces_of_a_joined_user_namespace_can_be_joined [Root, UserNamespaces],
    path_that_is_not_a_namespace_is_refused_with_its_field [Root],
    namespace_of_another_kind_is_refused_with_its_field [Root],
    second_namespace_of_a_kind_is_refused [Root],
    unknown_kind_is_refused [Root],
    container_without_mount_namespace_is_refused [Root],
    hostname_and_domainname_change_only_inside [Root],
    hostname_without_uts_namespace_is_refused [Root],
    loopback_is_up_in_a_new_network_namespace [Root],
    sysctls_change_only_inside [Root],
    sysctl_of_the_host_is_refused [Root],
    time_offsets_apply_inside [Root, TimeNamespaces],
    time_offsets_apply_inside_a_user_namespace [Root, TimeNamespaces, UserNamespaces],
    large_and_negative_time_offsets_are_right [Root, TimeNamespaces],
    time_namespace_that_the_kernel_lacks_is_refused [Root],
    cgroup_namespace_has_the_containers_cgroup_as_root [Root],
);

const KINDS: [(&str, &str); 7] = [
    ("mount", "mnt"),
    ("uts", "uts"),
    ("ipc", "ipc"),
    ("network", "net"),
    ("pid", "pid"),
    ("cgroup", "cgroup"),
    ("time", "time"),
];

fn all_new(config: &mut Value) {
    namespace(config, "cgroup");
    namespace(config, "time");
}

fn own(name: &str) -> Result<String, String> {
    inode(&format!("/proc/self/ns/{name}"))
}

fn each_requested_namespace_is_new(context: &Context) -> Outcome {
    let report = context.report(|config| {
        all_new(config);
        edit::user_namespace(config, 0);
    })?;
    for (_, name) in KINDS.into_iter().chain([("user", "user")]) {
        let seen = report["namespaces"][name].as_str().ok_or(format!("no namespace {name}"))?;
        if seen == own(name)? {
            return Err(format!("the {name} namespace is the host's, {seen}").into());
        }
    }
    Ok(())
}

fn other_namespaces_are_the_callers(context: &Context) -> Outcome {
    let report = context.report(|config| {
        for kind in ["uts", "ipc", "network", "pid"] {
            without_namespace(config, kind);
        }
        edit::without_hostname(config);
    })?;
    let names = ["uts", "ipc", "net", "pid", "cgroup", "time", "user"];
    // The kernels of some processors have no time namespaces.
    for name in names.into_iter().filter(|name| *name != "time" || own("time").is_ok()) {
        same(name, report["namespaces"][name].as_str(), Some(&*own(name)?))?;
    }
    Ok(())
}

fn namespaces_of_another_container_are_joined(context: &Context) -> Outcome {
    let other = Container::start(context, &["sleep", "60"], all_new)?;
    let report = context.report(|config| {
        for (kind, name) in KINDS.into_iter().filter(|(kind, _)| *kind != "mount") {
            join(config, kind, &other.namespace(name));
        }
        edit::without_hostname(config);
    })?;
    for (_, name) in KINDS.into_iter().filter(|(kind, _)| *kind != "mount") {
        let wanted = other.namespace_inode(name)?;
        same(name, report["namespaces"][name].as_str(), Some(&*wanted))?;
    }
    Ok(())
}

fn joined_pid_namespace_shows_its_processes(context: &Context) -> Outcome {
    let other = Container::start(context, &["sleep", "60"], |_| {})?;
    let report = context.report(|config| join(config, "pid", &other.namespace("pid")))?;
    if report["pid"].as_u64() == Some(1) {
        return Err("pid 1 in a namespace that has one already".into());
    }
    let command = edit::said(context, &["cat", "/proc/1/cmdline"], |config| {
        join(config, "pid", &other.namespace("pid"));
        // /proc/1 shows nothing to a process that may not trace it.
        edit::capabilities(config, &["CAP_SYS_PTRACE"]);
    })?;
    Ok(same("the command line of process 1", command.as_str(), "/probe\0sleep\x0060\0")?)
}

fn new_pid_namespace_has_the_container_alone(context: &Context) -> Outcome {
    let entries = edit::said(context, &["ls", "/proc"], |_| {})?;
    let pids: Vec<&str> = entries.lines().filter(|name| name.parse::<u32>().is_ok()).collect();
    Ok(same("the processes", pids, vec!["1"])?)
}

fn namespaces_of_a_joined_user_namespace_can_be_joined(context: &Context) -> Outcome {
    let other = Container::start(context, &["sleep", "60"], |config| {
        edit::user_namespace(config, 0);
    })?;
    let report = context.report(|config| {
        // The user namespace is listed last, but must be joined first.
        for (kind, name) in [("network", "net"), ("ipc", "ipc"), ("uts", "uts"), ("user", "user")] {
            join(config, kind, &other.namespace(name));
        }
        edit::without_hostname(config);
    })?;
    for name in ["net", "ipc", "uts", "user"] {
        let wanted = other.namespace_inode(name)?;
        same(name, report["namespaces"][name].as_str(), Some(&*wanted))?;
    }
    Ok(same("uid", report["uid"].as_u64(), Some(0))?)
}

fn path_that_is_not_a_namespace_is_refused_with_its_field(context: &Context) -> Outcome {
    let place = context.directory.join("no-namespace");
    fs::write(&place, "").map_err(|e| e.to_string())?;
    for path in [place.to_string_lossy().as_ref(), "/proc/self/status", "/no/such/file"] {
        let words = ["linux.namespaces[", "].path", path];
        refused(context, &words, |config| join(config, "network", path))?;
    }
    Ok(())
}

fn namespace_of_another_kind_is_refused_with_its_field(context: &Context) -> Outcome {
    let words = ["linux.namespaces[4].path", "/proc/1/ns/uts"];
    Ok(refused(context, &words, |config| join(config, "ipc", "/proc/1/ns/uts"))?)
}

fn second_namespace_of_a_kind_is_refused(context: &Context) -> Outcome {
    let words = ["linux.namespaces[5]", "second", "uts"];
    Ok(refused(context, &words, |config| namespace(config, "uts"))?)
}

fn unknown_kind_is_refused(context: &Context) -> Outcome {
    let words = ["linux.namespaces[5].type", "syslog"];
    Ok(refused(context, &words, |config| namespace(config, "syslog"))?)
}

fn container_without_mount_namespace_is_refused(context: &Context) -> Outcome {
    Ok(refused(context, &["linux.namespaces", "mount"], |c| without_namespace(c, "mount"))?)
}

fn hostname_and_domainname_change_only_inside(context: &Context) -> Outcome {
    let names = || {
        let read = |name: &str| fs::read_to_string(format!("/proc/sys/kernel/{name}"));
        Ok::<_, String>((
            read("hostname").map_err(|e| e.to_string())?,
            read("domainname").map_err(|e| e.to_string())?,
        ))
    };
    let before = names()?;
    let report = context.report(|config| {
        config["hostname"] = "inside".into();
        config["domainname"] = "example.org".into();
    })?;
    same("hostname", report["hostname"].as_str(), Some("inside"))?;
    same("domainname", report["domainname"].as_str(), Some("example.org"))?;
    Ok(same("the host's names", names()?, before)?)
}

fn hostname_without_uts_namespace_is_refused(context: &Context) -> Outcome {
    Ok(refused(context, &["hostname", "uts"], |config| without_namespace(config, "uts"))?)
}

fn loopback_is_up_in_a_new_network_namespace(context: &Context) -> Outcome {
    let report = context.report(|_| {})?;
    same("the interfaces", has(&report["interfaces"], "lo"), true)?;
    let flags = report["loopback"].as_str().unwrap_or_default().trim_start_matches("0x");
    let flags = u32::from_str_radix(flags, 16).map_err(|e| format!("flags {flags:?}: {e}"))?;
    Ok(same("IFF_UP of lo", flags & 1, 1)?)
}

fn sysctls_change_only_inside(context: &Context) -> Outcome {
    const ALL: [(&str, &str, &str); 4] = [
        ("net.ipv4.ip_forward", "net/ipv4/ip_forward", "1"),
        ("net/ipv4/conf/lo/log_martians", "net/ipv4/conf/lo/log_martians", "1"),
        ("kernel.shmmax", "kernel/shmmax", "123456"),
        ("fs.mqueue.msg_max", "fs/mqueue/msg_max", "12"),
    ];
    for (key, path, value) in ALL {
        let path = format!("/proc/sys/{path}");
        if !Path::new(&path).exists() {
            continue; // The kernel has no POSIX queues, or no IPv4.
        }
        let before = fs::read_to_string(&path).map_err(|e| e.to_string())?;
        let seen = edit::said(context, &["cat", &path], |config| {
            config["linux"]["sysctl"] = json!({ key: value });
        })?;
        same(key, seen.as_str(), value)?;
        same(
            "the value on the host",
            fs::read_to_string(&path).map_err(|e| e.to_string())?,
            before,
        )?;
    }
    Ok(())
}

fn sysctl_of_the_host_is_refused(context: &Context) -> Outcome {
    let path = "/proc/sys/kernel/core_pattern";
    let before = fs::read_to_string(path).map_err(|e| e.to_string())?;
    for key in ["kernel.core_pattern", "kernel/core_pattern", "net/../kernel/core_pattern", "vm.x"]
    {
        let edit = |config: &mut Value| config["linux"]["sysctl"] = json!({ key: "|/bin/evil" });
        refused(context, &["linux.sysctl"], edit)?;
    }
    refused(context, &["linux.sysctl.net.ipv4.ip_forward", "network"], |config| {
        without_namespace(config, "network");
        config["linux"]["sysctl"] = json!({ "net.ipv4.ip_forward": "1" });
    })?;
    Ok(same(path, fs::read_to_string(path).map_err(|e| e.to_string())?, before)?)
}

const DAYS: u64 = 100;

fn offsets(config: &mut Value) {
    namespace(config, "time");
    config["linux"]["timeOffsets"] = json!({
        "monotonic": { "secs": 7200, "nanosecs": 5 }, "boottime": { "secs": DAYS * 86400 }
    });
}

/// Checks the offsets, and the boot clock by /proc/uptime.
fn check_offsets(context: &Context, edit: impl Fn(&mut Value)) -> Outcome {
    let report = context.report(&edit)?;
    let lines = report["timens_offsets"].as_str().unwrap_or_default();
    let words: Vec<&str> = lines.split_whitespace().collect();
    let boottime = (DAYS * 86400).to_string();
    same("timens_offsets", words, vec!["monotonic", "7200", "5", "boottime", &boottime, "0"])?;
    let uptime = edit::said(context, &["cat", "/proc/uptime"], edit)?;
    let seconds: f64 =
        uptime.split(' ').next().and_then(|n| n.parse().ok()).ok_or("no uptime inside")?;
    let inside = Duration::from_secs_f64(seconds);
    let least = Duration::from_secs(DAYS * 86400);
    Ok(same("whether the uptime exceeds 100 days", inside > least, true)?)
}

fn time_offsets_apply_inside(context: &Context) -> Outcome {
    check_offsets(context, offsets)
}

fn time_offsets_apply_inside_a_user_namespace(context: &Context) -> Outcome {
    check_offsets(context, |config| {
        offsets(config);
        edit::user_namespace(config, 0);
    })
}

fn large_and_negative_time_offsets_are_right(context: &Context) -> Outcome {
    // More seconds than 32 bits hold, and almost all since the boot.
    let back = 1 - sys::clocks()[0];
    for (clock, offset) in [
        ("monotonic", 3_000_000_000),
        ("boottime", 3_000_000_000),
        ("monotonic", back),
        ("boottime", back),
    ] {
        let before = sys::clocks();
        let said = edit::said(context, &["clocks"], |config| {
            namespace(config, "time");
            config["linux"]["timeOffsets"] = json!({ clock: { "secs": offset } });
        })?;
        let after = sys::clocks();
        let inside: [i64; 2] = serde_json::from_str(&said).map_err(|e| e.to_string())?;
        for (at, name) in ["monotonic", "boottime"].into_iter().enumerate() {
            let offset = if name == clock { offset } else { 0 };
            let right = (before[at] + offset..=after[at] + offset).contains(&inside[at]);
            let what = format!("{name} with {clock} {offset}: {before:?}, {inside:?}, {after:?}");
            same(&what, right, true)?;
        }
    }
    // The clock would be negative.
    let refused_offset = json!({ "monotonic": { "secs": -sys::clocks()[0] - 1000 } });
    refused(context, &["linux.timeOffsets", "ERANGE"], |config| {
        namespace(config, "time");
        config["linux"]["timeOffsets"] = refused_offset;
    })?;
    Ok(())
}

fn time_namespace_that_the_kernel_lacks_is_refused(context: &Context) -> Outcome {
    if own("time").is_ok() {
        return Err(Failure::Skipped("kernel without time namespaces".into()));
    }
    let words = ["linux.namespaces[", "this kernel has no time namespaces"];
    Ok(refused(context, &words, |config| namespace(config, "time"))?)
}

fn cgroup_namespace_has_the_containers_cgroup_as_root(context: &Context) -> Outcome {
    let report = context.report(|config| namespace(config, "cgroup"))?;
    let lines = report["cgroup"].as_str().unwrap_or_default();
    let own = lines.lines().find(|line| line.starts_with("0::"));
    Ok(same("the cgroup seen inside", own, Some("0::/"))?)
}
