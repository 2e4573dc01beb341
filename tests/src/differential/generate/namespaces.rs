//! Namespaces, and what needs one of them.

use serde_json::{Value, json};

use super::super::random::Random;
use super::super::stage::HELPER;
use super::{Place, has, push};

/// Most of the namespaces, in random order.
pub(super) fn own(random: &mut Random, config: &mut Value, _: Place) {
    let mut kinds: Vec<&str> = vec!["mount"];
    for (kind, chance) in [("pid", 90), ("network", 85), ("ipc", 85), ("uts", 85), ("cgroup", 50)] {
        if random.percent(chance) {
            kinds.push(kind);
        }
    }
    random.shuffle(&mut kinds);
    config["linux"]["namespaces"] = kinds.iter().map(|kind| json!({ "type": kind })).collect();
}

/// Joins some of the helper's namespaces.
pub(super) fn joined(random: &mut Random, config: &mut Value, _: Place) {
    let list = config["linux"]["namespaces"].as_array_mut();
    for namespace in list.into_iter().flatten() {
        let name = match namespace["type"].as_str() {
            Some("network") => "net",
            Some(name @ ("pid" | "ipc" | "uts" | "cgroup")) => name,
            _ => continue,
        };
        if random.percent(40) {
            namespace["path"] = json!(format!("/proc/{HELPER}/ns/{name}"));
        }
    }
}

pub(super) fn time(random: &mut Random, config: &mut Value, _: Place) {
    push(&mut config["linux"]["namespaces"], json!({ "type": "time" }));
    if random.percent(70) {
        config["linux"]["timeOffsets"] = json!({
            "monotonic": { "secs": 1000, "nanosecs": 5 }, "boottime": { "secs": 86400 }
        });
    }
}

/// The helper's time namespace.
pub(super) fn joined_time(_: &mut Random, config: &mut Value, _: Place) {
    if !has(config, "time") && !has(config, "user") {
        let path = format!("/proc/{HELPER}/ns/time");
        push(&mut config["linux"]["namespaces"], json!({ "type": "time", "path": path }));
    }
}

/// Offsets of one clock, also negative ones.
pub(super) fn offsets(random: &mut Random, config: &mut Value, _: Place) {
    if has(config, "time") && !config["linux"]["timeOffsets"].is_null() {
        config["linux"]["timeOffsets"] = match random.below(3) {
            0 => json!({ "boottime": { "secs": -10 } }),
            1 => json!({ "monotonic": { "nanosecs": 999_999_999 } }),
            _ => json!({ "monotonic": { "secs": -1, "nanosecs": 1 }, "boottime": {} }),
        };
    }
}

/// Groups that are mapped in another way than users, ids that follow each other, and a gap.
pub(super) fn other_mappings(random: &mut Random, config: &mut Value, _: Place) {
    if !has(config, "user") {
        return;
    }
    let line =
        |inside, outside, size| json!({ "containerID": inside, "hostID": outside, "size": size });
    config["linux"]["gidMappings"] = match random.below(3) {
        0 => json!([line(0, 500_000, 65_536)]),
        1 => json!([line(0, 400_000, 1), line(1, 400_001, 4999), line(5000, 600_000, 60_000)]),
        _ => json!([line(2, 700_000, 65_000), line(0, 100_000, 2)]),
    };
}

/// A user namespace, which needs namespaces of its own beside it.
pub(super) fn user(random: &mut Random, config: &mut Value, _: Place) {
    let list = config["linux"]["namespaces"].as_array().into_iter().flatten();
    let time = list.filter(|namespace| namespace["type"] == "time").count();
    let mut kinds = vec!["user", "pid", "network", "ipc", "uts", "mount"];
    kinds.extend(random.percent(50).then_some("cgroup"));
    kinds.extend((time > 0).then_some("time"));
    random.shuffle(&mut kinds);
    config["linux"]["namespaces"] = kinds.iter().map(|kind| json!({ "type": kind })).collect();
    let line =
        |inside, outside, size| json!({ "containerID": inside, "hostID": outside, "size": size });
    let mappings = match random.below(4) {
        0 => json!([line(0, 100_000, 1000), line(1000, 200_000, 64_536)]),
        1 => json!([line(0, 0, 65_536)]),
        2 => json!([line(1000, 1000, 4000), line(0, 300_000, 1000)]),
        _ => json!([line(0, 100_000, 65_536)]),
    };
    config["linux"]["uidMappings"] = mappings.clone();
    config["linux"]["gidMappings"] = mappings;
}

pub(super) fn hostname(random: &mut Random, config: &mut Value, _: Place) {
    if has(config, "uts") {
        config["hostname"] = json!(*random.one(&["box", "a.b.example", "x", "UPPER-case"]));
    }
}

pub(super) fn domainname(random: &mut Random, config: &mut Value, _: Place) {
    if has(config, "uts") {
        config["domainname"] = json!(*random.one(&["example.org", "lan"]));
    }
}

/// Parameters of the network and IPC namespaces.
pub(super) fn sysctl(random: &mut Random, config: &mut Value, _: Place) {
    const NETWORK: &[(&str, &str)] = &[
        ("net.ipv4.ip_forward", "1"),
        ("net.ipv4.ip_unprivileged_port_start", "0"),
        ("net.ipv4.ping_group_range", "0 1000"),
        ("net.core.somaxconn", "512"),
        ("net.ipv4.conf.lo.rp_filter", "1"),
        ("net/ipv4/ip_default_ttl", "77"),
    ];
    const IPC: &[(&str, &str)] = &[
        ("kernel.msgmax", "4096"),
        ("kernel.msgmnb", "32768"),
        ("kernel.sem", "250 32000 100 128"),
        ("kernel.shmmni", "2048"),
        ("kernel.shm_rmid_forced", "1"),
        ("fs.mqueue.msg_max", "9"),
        ("fs.mqueue.queues_max", "100"),
    ];
    let mut chosen = Vec::new();
    if has(config, "network") {
        chosen.extend(random.some(NETWORK, 30));
    }
    // Only the user namespace that owns the IPC namespace may change these, and only
    // since Linux 6.4 if it is not the host's.
    if has(config, "ipc") && !has(config, "user") {
        chosen.extend(random.some(IPC, 25));
    }
    let members = chosen.into_iter().map(|(name, value)| (name.to_owned(), json!(value)));
    config["linux"]["sysctl"] = Value::Object(members.collect());
}
