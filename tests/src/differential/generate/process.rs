//! `process`.

use serde_json::{Value, json};

use super::super::random::Random;
use super::super::runtime::{LISTENED, PRESERVED};
use super::{Place, push};

pub(super) fn user(random: &mut Random, config: &mut Value, _: Place) {
    let ids = [0, 1, 1000, 1000, 1001, 4999];
    config["process"]["user"]["uid"] = json!(random.one(&ids));
    config["process"]["user"]["gid"] = json!(random.one(&ids));
}

pub(super) fn umask(random: &mut Random, config: &mut Value, _: Place) {
    config["process"]["user"]["umask"] = json!(random.one(&[0, 0o22, 0o27, 0o77, 0o777, 0o2]));
}

pub(super) fn additional_gids(random: &mut Random, config: &mut Value, _: Place) {
    let mut gids = random.some(&[0, 5, 10, 1000, 2000, 4998], 40);
    if random.percent(15) {
        gids.extend(gids.first().copied()); // A group twice is one group.
    }
    config["process"]["user"]["additionalGids"] = json!(gids);
}

/// Capabilities that a host of ours has. CAP_SYS_RESOURCE is missing on some.
const CAPABILITIES: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_ADMIN",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_ADMIN",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_AUDIT_WRITE",
    "CAP_BPF",
    "CAP_DAC_READ_SEARCH",
    "CAP_IPC_LOCK",
    "CAP_SYS_NICE",
];

/// Five sets of which each is a subset of those that the kernel demands.
pub(super) fn capabilities(random: &mut Random, config: &mut Value, _: Place) {
    let chance = *random.one(&[10, 50, 90]);
    let bounding = random.some(CAPABILITIES, chance);
    let permitted = random.some(&bounding, 80);
    let effective = random.some(&permitted, 80);
    let mut sets = json!({ "bounding": bounding, "permitted": permitted, "effective": effective });
    if random.percent(40) {
        let inheritable = random.some(&permitted, 70);
        if random.percent(60) {
            sets["ambient"] = json!(random.some(&inheritable, 60));
        }
        sets["inheritable"] = json!(inheritable);
    }
    if random.percent(10) {
        let left_out = *random.one(&["bounding", "permitted", "effective"]);
        if let Some(members) = sets.as_object_mut() {
            members.remove(left_out);
        }
    }
    config["process"]["capabilities"] = sets;
}

pub(super) fn no_new_privileges(random: &mut Random, config: &mut Value, _: Place) {
    config["process"]["noNewPrivileges"] = json!(random.percent(80));
}

/// Limits that leave the probe, and a runtime in Go, enough to work with.
pub(super) fn rlimits(random: &mut Random, config: &mut Value, place: Place) {
    const INFINITY: u64 = u64::MAX;
    const ALL: &[(&str, &[u64])] = &[
        ("RLIMIT_AS", &[1 << 40, INFINITY]),
        ("RLIMIT_CORE", &[0]),
        ("RLIMIT_CPU", &[3600, INFINITY]),
        ("RLIMIT_DATA", &[1 << 38, INFINITY]),
        ("RLIMIT_FSIZE", &[1 << 30, INFINITY]),
        ("RLIMIT_LOCKS", &[100, INFINITY]),
        ("RLIMIT_MEMLOCK", &[65536, 1 << 22]),
        ("RLIMIT_MSGQUEUE", &[1000, 819_200]),
        ("RLIMIT_NICE", &[0]),
        ("RLIMIT_NOFILE", &[64, 1024, 4096]),
        ("RLIMIT_NPROC", &[2000, 3000]),
        ("RLIMIT_RSS", &[1 << 30, INFINITY]),
        ("RLIMIT_RTPRIO", &[0]),
        ("RLIMIT_RTTIME", &[1_000_000, INFINITY]),
        ("RLIMIT_SIGPENDING", &[100, 2000]),
        ("RLIMIT_STACK", &[1 << 20, 8 << 20]),
    ];
    const RAISED: &[(&str, &[u64])] = &[
        ("RLIMIT_CORE", &[4096, INFINITY]),
        ("RLIMIT_MEMLOCK", &[INFINITY]),
        ("RLIMIT_NICE", &[20, 40]),
        ("RLIMIT_NOFILE", &[1 << 20]),
        ("RLIMIT_RTPRIO", &[50]),
        ("RLIMIT_STACK", &[64 << 20]),
    ];
    let mut chosen = random.some(ALL, 25);
    if place.privileged && random.percent(40) {
        let raised = random.some(RAISED, 30);
        chosen.retain(|(kind, _)| raised.iter().all(|(other, _)| other != kind));
        chosen.extend(raised);
    }
    for (kind, values) in chosen {
        let hard = *random.one(values);
        let soft = if random.percent(50) { hard } else { *random.one(values) };
        let limit = json!({ "type": kind, "soft": soft.min(hard), "hard": hard });
        push(&mut config["process"]["rlimits"], limit);
    }
}

pub(super) fn oom_score_adj(random: &mut Random, config: &mut Value, place: Place) {
    let values: &[i32] =
        if place.privileged { &[-1000, -500, 0, 1, 500, 1000] } else { &[0, 1, 500, 1000] };
    config["process"]["oomScoreAdj"] = json!(random.one(values));
}

pub(super) fn cwd(random: &mut Random, config: &mut Value, _: Place) {
    config["process"]["cwd"] = json!(*random.one(&[
        "/data",
        "/work",
        "/new",
        "/new/deep",
        "/link",
        "/absolute",
        "/tmp/made",
        "/data/../data",
        "/root",
        "/home/user",
        "/proc",
        "/dev",
    ]));
}

/// Variables in an order that is not the alphabet's, also twice.
pub(super) fn env(random: &mut Random, config: &mut Value, _: Place) {
    const ALL: &[&str] = &[
        "PATH=/usr/sbin:/usr/bin:/sbin:/bin:/",
        "TERM=xterm",
        "HOME=/data",
        "HOME=",
        "EMPTY=",
        "Z=1",
        "A=2",
        "Z=3",
        "SPACES=a b  c",
        "UNICODE=\u{e4}\u{4e16}",
        "EQUALS=a=b=c",
        "LISTEN_FDS=1",
        "container=oci",
        "HOSTNAME=other",
        "USER=somebody",
    ];
    config["process"]["env"] = json!(random.some(ALL, 30));
}

pub(super) fn scheduler(random: &mut Random, config: &mut Value, place: Place) {
    let mut scheduler = match random.below(if place.privileged { 5 } else { 3 }) {
        0 => json!({ "policy": "SCHED_OTHER", "nice": random.below(20) }),
        1 => json!({ "policy": "SCHED_BATCH", "nice": random.below(20) }),
        2 => json!({ "policy": "SCHED_IDLE" }),
        3 => json!({ "policy": "SCHED_FIFO", "priority": 1 + random.below(99) }),
        _ => json!({ "policy": "SCHED_RR", "priority": 1 + random.below(99) }),
    };
    if random.percent(30) {
        scheduler["flags"] = json!(["SCHED_FLAG_RESET_ON_FORK"]);
    }
    config["process"]["scheduler"] = scheduler;
}

pub(super) fn io_priority(random: &mut Random, config: &mut Value, place: Place) {
    let classes: &[&str] = if place.privileged {
        &["IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE", "IOPRIO_CLASS_RT"]
    } else {
        &["IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"]
    };
    config["process"]["ioPriority"] =
        json!({ "class": random.one(classes), "priority": random.below(8) });
}

pub(super) fn personality(random: &mut Random, config: &mut Value, _: Place) {
    config["linux"]["personality"] = json!({ "domain": random.one(&["LINUX", "LINUX32"]) });
}

/// The probe by a name that PATH or the working directory completes.
pub(super) fn args(random: &mut Random, config: &mut Value, _: Place) {
    let (name, path, cwd) = match random.below(4) {
        0 => ("probe", Some("/"), None),
        1 => ("probe", Some("/usr/bin:/nowhere::/"), None),
        2 => ("./probe", None, Some("/")),
        _ => ("/data/../probe", None, None),
    };
    config["process"]["args"][0] = json!(name);
    if let Some(path) = path {
        config["process"]["env"] = json!([format!("PATH={path}")]);
    }
    if let Some(cwd) = cwd {
        config["process"]["cwd"] = json!(cwd);
    }
}

/// Open files that the runtime gets, some of them from systemd's socket activation.
pub(super) fn fds(random: &mut Random, config: &mut Value, _: Place) {
    if config["annotations"].is_null() {
        config["annotations"] = json!({});
    }
    for name in random.some(&[PRESERVED, LISTENED], 60) {
        config["annotations"][name] = json!(random.one(&["1", "2", "5"]));
    }
}

/// CPUs that only `exec` heeds.
pub(super) fn affinity(random: &mut Random, config: &mut Value, _: Place) {
    config["process"]["execCPUAffinity"] =
        json!({ "initial": "0", "final": random.one(&["0", "0-1"]) });
}

pub(super) fn deadline(random: &mut Random, config: &mut Value, place: Place) {
    if !place.privileged {
        return;
    }
    config["process"]["scheduler"] = match random.below(2) {
        0 => json!({ "policy": "SCHED_OTHER", "nice": -5 }),
        _ => json!({
            "policy": "SCHED_DEADLINE", "runtime": 1_000_000, "deadline": 10_000_000,
            "period": random.one(&[10_000_000, 20_000_000]),
        }),
    };
}

/// Profiles of Debian's package, which confine nothing.
pub(super) fn apparmor_profile(random: &mut Random, config: &mut Value, place: Place) {
    if place.has_profiles {
        let profile = random.one(&["unconfined", "crun", "runc"]);
        config["process"]["apparmorProfile"] = json!(profile);
    }
}

pub(super) fn memory_policy(random: &mut Random, config: &mut Value, _: Place) {
    config["linux"]["memoryPolicy"] = match random.below(3) {
        0 => json!({ "mode": "MPOL_BIND", "nodes": "0" }),
        1 => json!({ "mode": "MPOL_PREFERRED", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"] }),
        _ => json!({ "mode": "MPOL_LOCAL" }),
    };
}
