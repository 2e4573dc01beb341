//! `linux.resources`, and what is left over: annotations.

use serde_json::{Value, json};

use super::super::random::Random;
use super::super::runtime::CGROUP;
use super::{Place, push};

pub(super) fn path(_: &mut Random, config: &mut Value, _: Place) {
    config["linux"]["cgroupsPath"] = json!(CGROUP);
}

pub(super) fn memory(random: &mut Random, config: &mut Value, place: Place) {
    if !place.controllers {
        return;
    }
    let mut memory = json!({});
    let limit = *random.one(&[64_i64 << 20, 100_000_000, 1 << 30, -1]);
    if random.percent(80) {
        memory["limit"] = json!(limit);
        if random.percent(40) {
            memory["swap"] = json!(*random.one(&[-1, limit, (1 << 30) + 4096]));
        }
    }
    if random.percent(40) {
        memory["reservation"] = json!(*random.one(&[32_i64 << 20, 0, 10_000_000]));
    }
    config["linux"]["resources"]["memory"] = memory;
}

pub(super) fn cpu(random: &mut Random, config: &mut Value, place: Place) {
    if !place.controllers {
        return;
    }
    let mut cpu = json!({});
    if random.percent(50) {
        cpu["shares"] = json!(*random.one(&[2, 102, 512, 1024, 2048, 100_000, 262_144]));
    }
    if random.percent(50) {
        cpu["quota"] = json!(*random.one(&[-1, 50_000, 100_000, 150_000]));
    }
    if random.percent(40) {
        cpu["period"] = json!(*random.one(&[50_000, 100_000, 1_000_000]));
    }
    if random.percent(30) {
        cpu["cpus"] = json!(*random.one(&["0", "0-1", "1"]));
        cpu["mems"] = json!("0");
    }
    config["linux"]["resources"]["cpu"] = cpu;
}

pub(super) fn pids(random: &mut Random, config: &mut Value, place: Place) {
    if place.controllers {
        let limit = *random.one(&[100, 1000, -1, 32_768]);
        config["linux"]["resources"]["pids"] = json!({ "limit": limit });
    }
}

/// Rules for the device filter.
pub(super) fn devices(random: &mut Random, config: &mut Value, place: Place) {
    if !place.controllers {
        return;
    }
    let mut rules = vec![json!({ "allow": false, "access": "rwm" })];
    const MORE: &[(bool, &str, i64, i64)] = &[
        (true, "c", 1, 11),
        (true, "c", 10, 229),
        (true, "b", 7, -1),
        (true, "c", 1, -1),
        (true, "b", -1, -1),
        (false, "c", 1, 7),
        (false, "c", 1, 3),
    ];
    for (allow, kind, major, minor) in random.some(MORE, 25) {
        let access = *random.one(&["rwm", "rw", "r", "w", "m", "mr"]);
        let mut rule = json!({ "allow": allow, "type": kind, "access": access });
        for (name, number) in [("major", major), ("minor", minor)] {
            if number >= 0 {
                rule[name] = json!(number);
            }
        }
        rules.push(rule);
    }
    if random.percent(10) {
        rules.push(json!({ "allow": true, "access": "rwm" }));
    }
    config["linux"]["resources"]["devices"] = json!(rules);
}

pub(super) fn block_io(random: &mut Random, config: &mut Value, place: Place) {
    if place.controllers {
        let weight = *random.one(&[10, 100, 500, 1000]);
        config["linux"]["resources"]["blockIO"] = json!({ "weight": weight });
    }
}

pub(super) fn hugepages(random: &mut Random, config: &mut Value, place: Place) {
    if place.controllers {
        let limit = json!({ "pageSize": "2MB", "limit": *random.one(&[0, 2 << 20, 64 << 20]) });
        push(&mut config["linux"]["resources"]["hugepageLimits"], limit);
    }
}

/// What few documents have, and what cgroup v2 does without.
pub(super) fn rare(random: &mut Random, config: &mut Value, place: Place) {
    if !place.controllers {
        return;
    }
    const RARE: &[(&str, &str, &str)] = &[
        ("memory", "kernel", "50000000"),
        ("memory", "useHierarchy", "true"),
        ("memory", "checkBeforeUpdate", "true"),
        ("memory", "disableOOMKiller", "false"),
        ("cpu", "burst", "10000"),
        ("cpu", "idle", "1"),
        ("cpu", "idle", "0"),
        ("pids", "limit", "0"),
        ("rdma", "mlx5_0", r#"{"hcaHandles": 3}"#),
    ];
    for (part, name, text) in random.some(RARE, 20) {
        let value = serde_json::from_str(text).unwrap_or_default();
        config["linux"]["resources"][part][name] = value;
    }
    if random.percent(30) {
        let rule = json!({ "allow": random.percent(50), "type": "a", "access": "rwm" });
        push(&mut config["linux"]["resources"]["devices"], rule);
    }
    if random.percent(30) {
        let limit = json!({ "pageSize": random.one(&["1GB", "64KB"]), "limit": 1 << 30 });
        push(&mut config["linux"]["resources"]["hugepageLimits"], limit);
    }
}

/// What only cgroup v1 has.
pub(super) fn of_v1(random: &mut Random, config: &mut Value, place: Place) {
    if !place.controllers {
        return;
    }
    let resources = &mut config["linux"]["resources"];
    match random.below(6) {
        0 => resources["memory"]["swappiness"] = json!(60),
        1 => resources["memory"]["kernelTCP"] = json!(50_000_000),
        2 => resources["memory"]["disableOOMKiller"] = json!(true),
        3 => resources["cpu"]["realtimeRuntime"] = json!(950_000),
        4 => resources["network"]["classID"] = json!(1_048_577),
        _ => resources["blockIO"]["leafWeight"] = json!(500),
    }
}

/// Priorities, which cgroup v2 lacks.
pub(super) fn network(_: &mut Random, config: &mut Value, place: Place) {
    if place.controllers {
        config["linux"]["resources"]["network"]["priorities"] =
            json!([{ "name": "lo", "priority": 5 }]);
    }
}

/// A class of a processor that no machine of the tests has.
pub(super) fn intel_rdt(_: &mut Random, config: &mut Value, _: Place) {
    config["linux"]["intelRdt"] = json!({ "closID": "vial-differential" });
}

/// Limits for one disk: for loop0, which most machines have.
pub(super) fn disks(random: &mut Random, config: &mut Value, place: Place) {
    if !place.controllers {
        return;
    }
    const RATES: &[&str] = &[
        "throttleReadBpsDevice",
        "throttleWriteBpsDevice",
        "throttleReadIOPSDevice",
        "throttleWriteIOPSDevice",
    ];
    for name in random.some(RATES, 50) {
        let rate = json!({ "major": 7, "minor": 0, "rate": random.one(&[1_048_576, 0, 500]) });
        config["linux"]["resources"]["blockIO"][name] = json!([rate]);
    }
    if random.percent(20) {
        config["linux"]["resources"]["blockIO"]["weightDevice"] =
            json!([{ "major": 7, "minor": 0, "weight": 200 }]);
    }
}

pub(super) fn unified(random: &mut Random, config: &mut Value, place: Place) {
    if !place.controllers {
        return;
    }
    const FILES: &[(&str, &str)] = &[
        ("memory.high", "200000000"),
        ("memory.oom.group", "1"),
        ("pids.max", "777"),
        ("cpu.weight", "55"),
        ("cgroup.max.descendants", "5"),
        ("memory.min", "1048576"),
    ];
    let chosen = random.some(FILES, 35);
    let members = chosen.iter().map(|(name, value)| ((*name).to_owned(), json!(value)));
    config["linux"]["resources"]["unified"] = Value::Object(members.collect());
}

pub(super) fn annotations(random: &mut Random, config: &mut Value, _: Place) {
    const ALL: &[(&str, &str)] = &[
        ("org.example.key", "value"),
        ("empty", ""),
        ("org.opencontainers.image.stopSignal", "SIGTERM"),
        ("io.kubernetes.cri.container-type", "sandbox"),
    ];
    let members = random.some(ALL, 40).into_iter();
    config["annotations"] = members.map(|(name, value)| (name.to_owned(), json!(value))).collect();
}
