//! What the planner decides, without privileges: the same on every machine.

mod chroot;
mod hooks;
mod host;
mod scope;
mod unfiltered;

use std::path::PathBuf;

use serde_json::{Value, json};
use vial_plan::{Item, ProcessItem, Stage, Stage2};

use super::{Request, create, device_filter, limits};
use crate::config::resources::Resources;
use crate::config::{self, Config};
use crate::error::Error;
use crate::host::{CgroupMount, Host, Lineage, NamespaceOwner};
use crate::plan::Plan;

fn host() -> Host {
    let controllers = ["cpuset", "cpu", "io", "memory", "pids"].map(str::to_owned).to_vec();
    let root = PathBuf::from("/sys/fs/cgroup");
    Host {
        last_capability: 40,
        permitted: u64::MAX >> 23,
        cgroup: Some(CgroupMount { root, controllers, ..CgroupMount::default() }),
        ..Host::default()
    }
}

fn plan_on(host: &Host, edit: impl FnOnce(&mut Value)) -> Result<Plan, Error> {
    let mut value = json!({
        "ociVersion": "1.3.0",
        "root": {"path": "rootfs"},
        "process": {"args": ["sh"], "cwd": "/"},
        "linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}]},
    });
    edit(&mut value);
    let config: Config = config::parse(value.to_string().as_bytes())?;
    let (id, bundle) = ("web".to_owned(), PathBuf::from("/bundle"));
    create(&config, &Request { id, bundle, ..Request::default() }, host)
}

fn plan(edit: impl FnOnce(&mut Value)) -> Result<Plan, Error> {
    plan_on(&host(), edit)
}

/// Each act of a stage in words.
fn acts(plan: &Plan, stage: Stage) -> Vec<String> {
    let of_stage = plan.items().filter(|(at, ..)| *at == stage);
    of_stage.map(|(_, item, _)| crate::words::describe(&item)).collect()
}

fn has(plan: &Plan, stage: Stage, act: &str) {
    let acts = acts(plan, stage);
    assert!(acts.iter().any(|a| a.contains(act)), "{act} not in {acts:#?}");
}

fn order(plan: &Plan, stage: Stage, expected: &[&str]) {
    let acts = acts(plan, stage);
    let mut rest = acts.iter();
    for act in expected {
        assert!(rest.any(|a| a.contains(act)), "{act} not in its place in {acts:#?}");
    }
}

fn refused(edit: impl FnOnce(&mut Value), text: &str) {
    let error = plan(edit).unwrap_err().to_string();
    assert!(error.contains(text), "{error}");
}

#[test]
fn one_clone_makes_all_but_the_late_namespaces() {
    let plan = plan(|c| {
        c["linux"]["namespaces"] = json!([
            {"type": "user"}, {"type": "mount"}, {"type": "pid"}, {"type": "network"},
            {"type": "ipc"}, {"type": "uts"}, {"type": "cgroup"}, {"type": "time"},
        ]);
        c["linux"]["uidMappings"] = json!([{"containerID": 0, "hostID": 1000, "size": 10}]);
        c["linux"]["gidMappings"] = json!([{"containerID": 0, "hostID": 1000, "size": 10}]);
    })
    .unwrap();
    assert_eq!(acts(&plan, Stage::One), Vec::<String>::new());
    let clone = "start the next stage in new user, mount, uts, network, pid, time namespaces";
    order(&plan, Stage::Zero, &["make cgroup /vial-web", clone, "map uids 0 1000 10", "map gids"]);
    order(
        &plan,
        Stage::Two,
        &[
            "wait to be mapped",
            "become root",
            "make a new ipc, cgroup namespace",
            "bring up the interface lo",
        ],
    );
}

#[test]
fn clock_offsets_are_set_before_anyone_enters() {
    let offsets = |c: &mut Value| {
        c["linux"]["namespaces"] = json!([{"type": "mount"}, {"type": "time"}]);
        c["linux"]["timeOffsets"] = json!({"boottime": {"secs": 60}});
    };
    let set =
        ["a new time namespace", "set clock offsets boottime 60 0", "start the next stage in"];
    order(&plan(offsets).unwrap(), Stage::Zero, &set);
    let plan = plan(|c| {
        offsets(c);
        c["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
        c["linux"]["uidMappings"] = json!([{"containerID": 0, "hostID": 1, "size": 1}]);
        c["linux"]["gidMappings"] = json!([{"containerID": 0, "hostID": 1, "size": 1}]);
    })
    .unwrap();
    // Only one who is root of the user namespace may: that is stage 1.
    order(&plan, Stage::One, &["wait to be mapped", set[0], set[1], set[2]]);
}

#[test]
fn nothing_is_done_after_the_filter_but_execve() {
    let plan = plan(|c| {
        c["process"]["noNewPrivileges"] = json!(true);
        c["process"]["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "soft": 3, "hard": 3}]);
        c["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW"});
    })
    .unwrap();
    let acts = acts(&plan, Stage::Two);
    let [.., wait, limit, filter, last] = &acts[..] else { panic!("{acts:?}") };
    assert!(wait.contains("wait for start") && limit.contains("RLIMIT_NOFILE to 3"), "{acts:?}");
    assert!(filter.contains("load a seccomp filter") && last == "execute the program", "{acts:?}");
}

#[test]
fn a_filter_without_no_new_privs_borrows_one_capability() {
    let plan = plan(|c| {
        c["process"]["capabilities"] =
            json!({"effective": ["CAP_KILL"], "permitted": ["CAP_KILL"]});
        c["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW"});
    })
    .unwrap();
    let steps = [
        "set capabilities CAP_KILL CAP_SYS_ADMIN",
        "load a seccomp",
        "keep only capabilities CAP_KILL",
    ];
    order(&plan, Stage::Two, &steps);
}

#[test]
fn no_capability_is_had_that_is_not_listed() {
    let plan = plan(|c| {
        let sets =
            json!({"effective": ["CAP_KILL"], "permitted": ["CAP_KILL"], "ambient": ["CAP_KILL"]});
        c["process"]["capabilities"] = sets;
    })
    .unwrap();
    let sets = plan.items().find_map(|(_, item, _)| match item {
        Item::Stage2(Stage2::Process(ProcessItem::Capabilities {
            effective,
            inheritable,
            ambient,
            ..
        })) => Some((effective, inheritable, ambient)),
        _ => None,
    });
    assert_eq!(sets, Some((1 << 5, 0, 0)));
    has(&self::plan(|_| {}).unwrap(), Stage::Two, "limit the bounding set to none");
}

#[test]
fn controllers_are_enabled_on_the_way_down() {
    let plan = plan(|c| {
        c["linux"]["cgroupsPath"] = json!("/a/b");
        c["linux"]["resources"] = json!({"memory": {"limit": 4096}, "cpu": {"cpus": "0"}});
    })
    .unwrap();
    let on = "enable +io +memory +cpuset +cpu +pids below cgroup /";
    order(&plan, Stage::Zero, &[on, "make cgroup /a", on, "make cgroup /a/b", "use cgroup /a/b"]);
    order(&plan, Stage::Zero, &["use cgroup", "write 4096 to memory.max", "start the next stage"]);
}

#[test]
fn a_limit_without_its_controller_names_both() {
    refused(
        |c| c["linux"]["resources"] = json!({"hugepageLimits": [{"pageSize": "2MB", "limit": 1}]}),
        "hugepageLimits[0]: hugetlb.2MB.max cannot be set, as the kernel offers no hugetlb",
    );
    let without = Host { cgroup: None, ..host() };
    let limit = |c: &mut Value| c["linux"]["resources"] = json!({"pids": {"limit": 1}});
    let error = plan_on(&without, limit).unwrap_err().to_string();
    assert!(error.contains("linux.resources.pids.limit: no cgroup2"), "{error}");
    assert!(plan_on(&without, |_| {}).is_ok());
}

#[test]
fn what_is_wrong_is_named_by_its_field() {
    refused(|c| c["ociVersion"] = json!("2.0.0"), "ociVersion: 2.0.0 is not supported");
    refused(|c| c["ociVersion"] = json!("new"), "ociVersion: \"new\" is not a version");
    refused(|c| c["process"]["args"] = json!([]), "process.args: empty");
    refused(|c| c["process"]["args"] = json!(["a\0b"]), "process.args[0]: contains a NUL byte");
    refused(|c| c["process"]["cwd"] = json!(""), "process.cwd: missing");
    refused(|c| c["process"]["cwd"] = json!("bin"), "process.cwd: \"bin\" is not an absolute path");
    refused(|c| c["process"]["env"] = json!(["A"]), "process.env[0]: \"A\" contains no `=`");
    refused(
        |c| c["process"]["user"] = json!({"uid": u32::MAX}),
        "process.user.uid: 4294967295 is not an id",
    );
    refused(
        |c| c["linux"]["namespaces"] = json!([{"type": "mount"}, {"type": "mount"}]),
        "linux.namespaces[1]: a second namespace of type \"mount\"",
    );
    refused(|c| c["linux"]["namespaces"] = json!([{"type": "x"}]), "namespaces[0].type: unknown");
    refused(|c| c["hostname"] = json!("x"), "hostname: without a uts namespace it would change");
    refused(
        |c| c["linux"]["sysctl"] = json!({"kernel.panic": "1"}),
        "sysctl.kernel.panic: not namespaced",
    );
    refused(|c| c["linux"]["sysctl"] = json!({"net.ipv4.x": "1"}), "without a network namespace");
    refused(|c| c["linux"]["cgroupsPath"] = json!("../x"), "leads out of its parent");
    refused(|c| c["linux"]["cgroupsPath"] = json!("/"), "the root cgroup");
    refused(
        |c| c["mounts"] = json!([{"destination": "/proc/self", "type": "bind", "source": "/", "options": ["bind"]}]),
        "mounts[0].destination: \"/proc/self\" may not be mounted over",
    );
}

#[test]
fn nothing_is_set_in_a_namespace_of_the_hosts() {
    let joining = |whose: NamespaceOwner, edit: fn(&mut Value)| {
        let mut value = json!({
            "ociVersion": "1.3.0",
            "root": {"path": "rootfs"},
            "process": {"args": ["sh"], "cwd": "/"},
            "linux": {"namespaces": [{"type": "mount"}, {"type": "network", "path": "/x"}]},
        });
        edit(&mut value);
        let config: Config = config::parse(value.to_string().as_bytes()).unwrap();
        let namespaces = vec![NamespaceOwner::Other, whose];
        let bundle = PathBuf::from("/bundle");
        create(&config, &Request { bundle, namespaces, ..Request::default() }, &host())
    };
    let sysctl = |c: &mut Value| c["linux"]["sysctl"] = json!({"net.ipv4.x": "1"});
    assert!(joining(NamespaceOwner::Other, sysctl).is_ok());
    for whose in [NamespaceOwner::Caller, NamespaceOwner::Host] {
        let error = joining(whose, sysctl).unwrap_err().to_string();
        let words = "linux.sysctl.net.ipv4.x: linux.namespaces[1].path is the host's own";
        assert!(error.contains(words), "{error}");
    }
    let join = "join the network namespace /x";
    has(&joining(NamespaceOwner::Host, |_| {}).unwrap(), Stage::Zero, join);
    let acts = acts(&joining(NamespaceOwner::Caller, |_| {}).unwrap(), Stage::Zero);
    assert!(acts.iter().all(|act| act != join), "to join the own one changes nothing: {acts:?}");
}

#[test]
fn namespace_that_the_kernel_lacks_is_refused() {
    let value = json!({
        "ociVersion": "1.3.0",
        "root": {"path": "rootfs"},
        "process": {"args": ["sh"], "cwd": "/"},
        "linux": {"namespaces": [{"type": "mount"}, {"type": "time"}]},
    });
    let config: Config = config::parse(value.to_string().as_bytes()).unwrap();
    let namespaces = vec![NamespaceOwner::Other, NamespaceOwner::Nobody];
    let error = create(&config, &Request { namespaces, ..Request::default() }, &host());
    let error = error.unwrap_err().to_string();
    let words = "linux.namespaces[1]: this kernel has no time namespaces";
    assert!(error.contains(words), "{error}");
}

#[test]
fn user_namespace_of_root_without_mappings_has_its_ids() {
    let user = |c: &mut Value| {
        c["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
    };
    has(&plan(user).unwrap(), Stage::Zero, "map uids 0 0 4294967295");
    let ids = [vec![(0, 1), (10, 5)], vec![(0, 7)]];
    let nested = Host { in_user_namespace: true, ids, ..host() };
    let plan = plan_on(&nested, user).unwrap();
    order(&plan, Stage::Zero, &["map uids 0 0 1, 10 10 5", "map gids 0 0 7"]);
    let other = Host { uid: 1000, ..host() };
    let error = plan_on(&other, user).unwrap_err().to_string();
    assert!(error.contains("linux.uidMappings: missing"), "{error}");
}

#[test]
fn files_that_tell_of_the_machine_may_be_bound_over() {
    for path in ["/proc/meminfo", "/proc/net/dev", "/proc/sys/crypto/fips_enabled"] {
        let mount = json!({"destination": path, "source": "/x", "options": ["bind"]});
        assert!(plan(|c| c["mounts"] = json!([mount])).is_ok(), "{path}");
    }
}

#[test]
fn a_newer_minor_version_is_accepted() {
    for version in ["1.0.0", "1.0.2-dev", "1.3.0", "1.99.0"] {
        assert!(plan(|c| c["ociVersion"] = json!(version)).is_ok(), "{version}");
    }
}

#[test]
fn swap_is_what_is_beyond_memory() {
    let limits = |value: Value| {
        let resources: Resources = config::parse(value.to_string().as_bytes()).unwrap();
        let limits = limits::limits(&resources, &host(), &Lineage::default());
        let limits = limits.map_err(|error| error.to_string())?.all;
        Ok::<_, String>(
            limits.into_iter().map(|l| format!("{}={}", l.file, l.value)).collect::<Vec<_>>(),
        )
    };
    let both = json!({"memory": {"limit": 100, "swap": 150, "reservation": 50}});
    assert_eq!(limits(both).unwrap(), ["memory.swap.max=50", "memory.max=100", "memory.low=50"]);
    let none = json!({"memory": {"limit": -1, "swap": -1}});
    assert_eq!(limits(none).unwrap(), ["memory.swap.max=max", "memory.max=max"]);
    assert!(limits(json!({"memory": {"limit": 100, "swap": 50}})).unwrap_err().contains("below"));
    let cpu = json!({"cpu": {"quota": 5000, "period": 10000}, "pids": {"limit": -1}});
    assert_eq!(limits(cpu).unwrap(), ["cpu.max=5000 10000", "pids.max=max"]);
}

/// What a device program answers, by an interpreter of its instructions.
fn allows(rules: &Value, kind: u32, access: u32, major: u32, minor: u32) -> bool {
    let resources = json!({"devices": rules}).to_string();
    let resources: Resources = config::parse(resources.as_bytes()).unwrap();
    let Some(program) = device_filter::filter(&resources.devices).unwrap() else {
        return true;
    };
    let context = [access << 16 | kind, major, minor];
    let mut registers = [0_u32; 8];
    let mut at = 0;
    loop {
        let code = &program[at * 8..at * 8 + 8];
        let (target, source) = ((code[1] & 15) as usize, (code[1] >> 4) as usize);
        let offset = i16::from_ne_bytes([code[2], code[3]]) as usize;
        let value = u32::from_ne_bytes([code[4], code[5], code[6], code[7]]);
        at += 1;
        match code[0] {
            0x61 => registers[target] = context[offset / 4],
            0xbc => registers[target] = registers[source],
            0xb4 => registers[target] = value,
            0x54 => registers[target] &= value,
            0x64 => registers[target] <<= value,
            0x4c => registers[target] |= registers[source],
            0x74 => registers[target] >>= value,
            0x55 if registers[target] != value => at += offset,
            0x15 if registers[target] == value => at += offset,
            0x55 | 0x15 => {}
            0x95 => return registers[0] == 1,
            other => panic!("instruction {other:#x}"),
        }
    }
}

#[test]
fn devices_are_denied_unless_allowed() {
    let (block, char) = (1, 2);
    let (mknod, read, write) = (1, 2, 4);
    for deny in [json!([]), json!([{"allow": false, "access": "rwm"}])] {
        assert!(!allows(&deny, block, read, 8, 0));
        assert!(!allows(&deny, char, read | write, 10, 200));
        assert!(allows(&deny, char, read | write, 1, 3), "/dev/null");
        assert!(allows(&deny, char, read | write, 136, 7), "a terminal");
        assert!(allows(&deny, block, mknod, 8, 0), "a node alone grants nothing");
    }
    let some = json!([
        {"allow": false, "access": "rwm"},
        {"allow": true, "type": "b", "major": 8, "access": "r"},
        {"allow": false, "type": "b", "major": 8, "minor": 1, "access": "r"},
    ]);
    assert!(allows(&some, block, read, 8, 0));
    assert!(!allows(&some, block, read | write, 8, 0), "an allowance covers all of a request");
    assert!(!allows(&some, block, read, 8, 1), "a later rule wins");
    assert!(!allows(&some, char, read, 8, 0));
    assert!(allows(&json!([{"allow": true, "access": "rwm"}]), block, read, 8, 0));
    let device = |allow, kind, minor| json!({"allow": allow, "type": kind, "major": 10, "minor": minor, "access": "rwm"});
    let single = json!([
        device(true, "c", 1),
        device(true, "c", 2),
        device(true, "c", 3),
        device(false, "c", 2),
        device(true, "b", 4),
        device(true, "b", 5),
        device(false, "b", 5),
        device(false, "b", 6),
    ]);
    let chars = [1, 2, 3, 4].map(|minor| allows(&single, char, read, 10, minor));
    assert_eq!(chars, [true, false, true, false], "each of several devices");
    let blocks = [1, 4, 5, 6].map(|minor| allows(&single, block, write, 10, minor));
    assert_eq!(blocks, [false, true, false, false], "each of several devices");
    assert!(!allows(&single, char, read, 11, 1), "both numbers count");
    assert!(allows(&single, char, read | write, 5, 2), "/dev/ptmx");
}
