//! Plans for cgroups that systemd makes.

use super::*;
use crate::host::Driver;
use crate::plan::scope::{Property, Value as Of, Way};

fn by_systemd(is_of_user: bool) -> Host {
    let root = if is_of_user { "user.slice/user@5.service" } else { "" };
    Host { driver: Driver::Systemd { is_of_user, root: root.into() }, ..host() }
}

fn properties(plan: &Plan) -> &[Property] {
    match plan.scope.as_ref().map(|scope| &scope.way) {
        Some(Way::Make(properties)) => properties,
        other => panic!("{other:?}"),
    }
}

#[test]
fn stage_0_is_put_into_the_scope_before_its_limits_are_set() {
    let plan = plan_on(&by_systemd(false), |c| {
        c["linux"]["cgroupsPath"] = json!("a-b.slice:x:y");
        c["linux"]["resources"] = json!({"memory": {"limit": 4096}});
    })
    .unwrap();
    let path = "a.slice/a-b.slice/x-y.scope";
    let used = format!("use cgroup /{path}");
    let waits = "wait until systemd has put this process into x-y.scope";
    order(
        &plan,
        Stage::Zero,
        &["/proc", waits, &used, "write 4096 to memory.max", "start the next"],
    );
    let acts = acts(&plan, Stage::Zero).join("\n");
    assert!(!acts.contains("make cgroup"), "{acts}");
    let place = plan.cgroup.as_ref().unwrap();
    assert_eq!((place.path.to_str(), place.scope.as_str()), (Some(path), "x-y.scope"));
    let scope = plan.scope.as_ref().unwrap();
    assert_eq!((scope.path.to_str(), scope.hierarchy), (Some(path), ""));
    let properties = properties(&plan);
    for wanted in [
        Property::new("Slice", Of::text("a-b.slice")),
        Property::new("Delegate", Of::boolean(true)),
        Property::new("DefaultDependencies", Of::boolean(false)),
        Property::limit("MemoryMax", Of::u64(4096)),
    ] {
        assert!(properties.contains(&wanted), "{wanted:?}");
    }
    // In cgroup2, vial's own program filters devices, alone.
    assert!(properties.iter().all(|property| !property.name.starts_with("Device")));
}

#[test]
fn a_users_systemd_enables_controllers_itself() {
    let limit = |c: &mut Value| c["linux"]["resources"] = json!({"pids": {"limit": 5}});
    let plan = plan_on(&by_systemd(true), limit).unwrap();
    let path = "user.slice/user@5.service/user.slice/vial-web.scope";
    assert_eq!(plan.cgroup.as_ref().unwrap().path.to_str(), Some(path));
    assert!(!acts(&plan, Stage::Zero).join("\n").contains("enable"));
    // The machine's knows only some of the controllers.
    has(&plan_on(&by_systemd(false), limit).unwrap(), Stage::Zero, "enable +io +memory +cpu +pids");
}

#[test]
fn annotations_come_after_defaults_and_before_limits() {
    let plan = plan_on(&by_systemd(false), |c| {
        c["annotations"] = json!({"org.systemd.property.CollectMode": "'inactive'",
            "org.systemd.property.MemoryMax": "uint64 5"});
        c["linux"]["resources"] = json!({"memory": {"limit": 4096}});
    })
    .unwrap();
    let last = |name: &str| {
        let found = properties(&plan).iter().rfind(|property| property.name == name);
        found.map(|property| property.value.clone())
    };
    assert_eq!(last("CollectMode"), Some(Of::text("inactive")));
    assert_eq!(last("MemoryMax"), Some(Of::u64(4096)));
}

#[test]
fn cgroup_v1_gets_the_rules_for_devices_too() {
    let mount = |name: &str| CgroupMount {
        root: format!("/sys/fs/cgroup/{name}").into(),
        controllers: vec![name.to_owned()],
        is_v1: true,
        ..CgroupMount::default()
    };
    let cgroup_v1 = ["name=systemd", "memory", "devices", "freezer"].map(mount).to_vec();
    let host = Host { cgroup: None, cgroup_v1, ..by_systemd(false) };
    let plan = plan_on(&host, |c| {
        c["linux"]["resources"] = json!({"memory": {"limit": 4096}});
    })
    .unwrap();
    let path = "system.slice/vial-web.scope";
    assert_eq!(plan.places.len(), 4);
    assert!(plan.places.iter().all(|place| place.path.to_str() == Some(path)));
    let place = plan.cgroup.as_ref().unwrap();
    assert_eq!(place.root.to_str(), Some("/sys/fs/cgroup/freezer"));
    assert_eq!(plan.scope.as_ref().unwrap().hierarchy, "name=systemd");
    let properties = properties(&plan);
    assert!(properties.contains(&Property::limit("MemoryLimit", Of::u64(4096))));
    assert!(properties.contains(&Property::new("DevicePolicy", Of::text("strict"))));
    assert!(plan.warnings.is_empty(), "{:?}", plan.warnings);
    let all_but_one = json!({"devices": [{"allow": true, "access": "rwm"},
        {"allow": false, "type": "c", "major": 1, "minor": 1, "access": "rwm"}]});
    let plan = plan_on(&host, |c| c["linux"]["resources"] = all_but_one).unwrap();
    assert!(plan.warnings[0].contains("linux.resources.devices"), "{:?}", plan.warnings);
}
