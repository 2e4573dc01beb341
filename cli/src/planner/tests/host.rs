//! The machine is a value: nothing else is looked at.

use super::*;
use crate::host::Lineage;
use crate::seccomp::Arch;

/// A Plan for another machine: what was written of it is all that decides.
#[test]
fn a_host_is_written_and_read_and_plans_alike() {
    let profile = json!({"defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mount"], "action": "SCMP_ACT_ERRNO"}]});
    let edit = |config: &mut Value| {
        config["linux"]["resources"] = json!({"memory": {"limit": 1 << 20}});
        config["linux"]["seccomp"] = profile.clone();
    };
    let host = Host { arch: Arch::Aarch64, uid: 0, ..host() };
    let read: Host = serde_json::from_str(&serde_json::to_string(&host).unwrap()).unwrap();
    assert_eq!(read, host);
    let (plan, again) = (plan_on(&host, edit).unwrap(), plan_on(&read, edit).unwrap());
    assert_eq!(plan.to_bytes(), again.to_bytes());
    // Filters are made for that machine's processors, not for this one's.
    let x86 = plan_on(&Host { arch: Arch::X86_64, ..host.clone() }, edit).unwrap();
    assert_ne!(plan.to_bytes(), x86.to_bytes());
}

/// What an ordinary user may make is looked up before, and told.
#[test]
fn a_cgroup_that_is_not_delegated_is_not_made() {
    let config = json!({"ociVersion": "1.3.0", "root": {"path": "rootfs"},
        "process": {"args": ["sh"], "cwd": "/"},
        "linux": {"namespaces": [{"type": "mount"}, {"type": "user"}], "cgroupsPath": "/a/b",
            "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 1}],
            "gidMappings": [{"containerID": 0, "hostID": 1000, "size": 1}]}});
    let config: Config = config::parse(config.to_string().as_bytes()).unwrap();
    let host = Host { uid: 1000, gid: 1000, ..host() };
    let acts_with = |writable: &[&str]| {
        let writable = writable.iter().map(PathBuf::from).collect();
        let lineage = Lineage { writable, ..Lineage::default() };
        let request = Request { id: "web".into(), lineage, ..Request::default() };
        acts(&create(&config, &request, &host).unwrap(), Stage::Zero).join("\n")
    };
    assert!(!acts_with(&[]).contains("cgroup"));
    let delegated = acts_with(&["a/b", "a"]);
    assert!(delegated.contains("make cgroup /a/b"), "{delegated}");
    assert!(delegated.contains("below cgroup /a"), "{delegated}");
    assert!(!delegated.contains("below cgroup /\n"), "{delegated}");
}
