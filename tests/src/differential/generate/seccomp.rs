//! `linux.seccomp`: small profiles over the calls that the probe tries.

use serde_json::{Value, json};

use super::super::listened::AGENT;
use super::super::random::Random;
use super::super::stage::STAGE;
use super::{Place, allowed, push};

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

/// Rules for several calls, with several conditions, and an errno for the default action.
pub(super) fn more(random: &mut Random, config: &mut Value, _: Place) {
    let seccomp = &mut config["linux"]["seccomp"];
    if seccomp.is_null() {
        *seccomp = json!({ "defaultAction": "SCMP_ACT_ALLOW" });
    }
    if random.percent(30) {
        seccomp["defaultErrnoRet"] = json!(random.one(&[0, 1, 38]));
    }
    let rules = &mut seccomp["syscalls"];
    if random.percent(50) {
        let action = *random.one(&["SCMP_ACT_ERRNO", "SCMP_ACT_TRACE", "SCMP_ACT_LOG"]);
        let mut rule = json!({ "names": ["chroot", "umount2", "not_a_call"], "action": action });
        errno(random, &mut rule);
        push(rules, rule);
    }
    let value = |index, value: u64, op| json!({ "index": index, "value": value, "op": op });
    let args = match random.below(5) {
        0 => json!([value(0, 2, "SCMP_CMP_EQ"), value(1, 1, "SCMP_CMP_EQ")]),
        1 => json!([value(0, 16, "SCMP_CMP_GT"), value(1, 3, "SCMP_CMP_NE")]),
        2 => json!([value(0, 2, "SCMP_CMP_EQ"), value(0, 17, "SCMP_CMP_EQ")]),
        3 => json!([
            value(2, 0, "SCMP_CMP_LE"),
            value(0, 40, "SCMP_CMP_GE"),
            value(1, 1, "SCMP_CMP_EQ")
        ]),
        _ => json!([value(5, 1 << 33, "SCMP_CMP_LT")]),
    };
    for name in random.some(&["socket", "mkdirat", "sethostname"], 60) {
        let mut rule = json!({ "names": [name], "action": "SCMP_ACT_ERRNO", "args": args });
        errno(random, &mut rule);
        push(rules, rule);
    }
}

pub(super) fn flags(random: &mut Random, config: &mut Value, _: Place) {
    const FLAGS: &[&str] =
        &["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"];
    if !config["linux"]["seccomp"].is_null() {
        config["linux"]["seccomp"]["flags"] = json!(random.some(FLAGS, 50));
    }
}

/// A profile that denies what it does not list, as those of the engines do.
pub(super) fn allow_list(random: &mut Random, config: &mut Value, _: Place) {
    if !config["linux"]["seccomp"].is_null() {
        return;
    }
    let mut names: Vec<&str> = allowed::CALLS.split_whitespace().collect();
    names.extend(random.some(CALLS, 40));
    random.shuffle(&mut names);
    let mut seccomp = json!({
        "defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
        "syscalls": [{ "names": names, "action": "SCMP_ACT_ALLOW" }],
    });
    if random.percent(60) {
        seccomp["defaultErrnoRet"] = json!(random.one(&[1, 38, 95]));
    }
    let value = |index, value: u64| json!({ "index": index, "value": value, "op": "SCMP_CMP_EQ" });
    // Each alternative is a rule of its own, as in the engines' profiles.
    for domain in random.some(&[0_u64, 8, 0xffff_ffff], 60) {
        let rule = json!({ "names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [value(0, domain)] });
        push(&mut seccomp["syscalls"], rule);
    }
    for family in random.some(&[1_u64, 2, 16, 17], 60) {
        let rule =
            json!({ "names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [value(0, family)] });
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
