//! `linux.seccomp`: small profiles over the calls that the probe tries.

use serde_json::{Value, json};

use super::super::listened::AGENT;
use super::super::random::Random;
use super::super::stage::STAGE;
use super::{Place, push};

/// Calls that the probe tries, and no runtime makes once the filter is in place.
const CALLS: &[&str] = &[
    "acct",
    "add_key",
    "bpf",
    "init_module",
    "ioprio_set",
    "symlinkat",
    "perf_event_open",
    "ptrace",
    "quotactl",
    "swapon",
    "sync",
    "sched_setscheduler",
    "not_a_call",
];
const ACTIONS: &[&str] = &[
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_TRAP",
    "SCMP_ACT_LOG",
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_THREAD",
];

pub(super) fn add(random: &mut Random, config: &mut Value, _: Place) {
    let mut seccomp = json!({ "defaultAction": random.one(&["SCMP_ACT_ALLOW", "SCMP_ACT_ALLOW", "SCMP_ACT_LOG"]) });
    if random.percent(60) {
        let all: &[&[&str]] = &[
            &["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
            &["SCMP_ARCH_X86_64"],
            &["SCMP_ARCH_AARCH64", "SCMP_ARCH_X86_64"],
        ];
        seccomp["architectures"] = json!(random.one(all));
    }
    for name in random.some(CALLS, 25) {
        let mut rule = json!({ "names": [name], "action": random.one(ACTIONS) });
        errno(random, &mut rule);
        push(&mut seccomp["syscalls"], rule);
    }
    for _ in 0..random.below(3) {
        let (name, index, values): (&str, u32, &[u64]) = *random.one(&[
            ("personality", 0, &[0xffff_ffff, 8, 0][..]),
            ("socket", 0, &[2, 17, 40][..]),
            ("unshare", 0, &[0x1000_0000, 0x0400_0000][..]),
        ]);
        let op = *random.one(&[
            "SCMP_CMP_EQ",
            "SCMP_CMP_NE",
            "SCMP_CMP_LT",
            "SCMP_CMP_LE",
            "SCMP_CMP_GT",
            "SCMP_CMP_GE",
            "SCMP_CMP_MASKED_EQ",
        ]);
        let mut argument = json!({ "index": index, "value": random.one(values), "op": op });
        if op == "SCMP_CMP_MASKED_EQ" {
            argument["valueTwo"] = json!(random.one(values));
        }
        let mut rule = json!({ "names": [name], "action": random.one(&["SCMP_ACT_ERRNO", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_LOG"]), "args": [argument] });
        errno(random, &mut rule);
        push(&mut seccomp["syscalls"], rule);
    }
    config["linux"]["seccomp"] = seccomp;
}

/// A call for which an agent answers: see [`super::super::listened`].
pub(super) fn listener(random: &mut Random, config: &mut Value, _: Place) {
    if config["linux"]["seccomp"].is_null() {
        config["linux"]["seccomp"] = json!({ "defaultAction": "SCMP_ACT_ALLOW" });
    }
    let seccomp = &mut config["linux"]["seccomp"];
    seccomp["listenerPath"] = json!(format!("{STAGE}/{AGENT}"));
    if random.percent(60) {
        seccomp["listenerMetadata"] = json!(random.one(&["some text", "{\"a\": 1}", "\u{e4}"]));
    }
    let is_free = |name: &&&str| {
        let rules = seccomp["syscalls"].as_array();
        rules.into_iter().flatten().all(|rule| rule["names"][0] != json!(name))
    };
    let free: Vec<&str> = CALLS[..12].iter().filter(is_free).copied().collect();
    for name in random.some(&free, 20) {
        let rule = json!({ "names": [name], "action": "SCMP_ACT_NOTIFY" });
        push(&mut seccomp["syscalls"], rule);
    }
}

fn errno(random: &mut Random, rule: &mut Value) {
    if rule["action"] == "SCMP_ACT_ERRNO" && random.percent(50) {
        rule["errnoRet"] = json!(random.one(&[1, 2, 13, 38, 95]));
    }
}
