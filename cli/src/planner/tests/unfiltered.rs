//! Machines without cgroup2, on which nothing filters devices.

use serde_json::{Value, json};
use vial_plan::Stage;

use super::{acts, has, host, order, plan_on};
use crate::host::Host;

#[test]
fn nothing_makes_devices_where_nothing_filters_them() {
    let mknod = |c: &mut Value| {
        let names = json!(["CAP_MKNOD", "CAP_KILL"]);
        c["process"]["capabilities"] =
            json!({"bounding": names, "effective": names, "permitted": names});
    };
    let without = Host { cgroup: None, ..host() };
    let plan = plan_on(&without, mknod).unwrap();
    has(&plan, Stage::Two, "limit the bounding set to CAP_KILL");
    assert!(acts(&plan, Stage::Two).iter().all(|act| !act.contains("MKNOD")));
    assert!(plan.warnings.iter().any(|warning| warning.contains("without cgroup2")));
    // A filter, or a list that allows all of them: as config.json says.
    has(&plan_on(&host(), mknod).unwrap(), Stage::Two, "CAP_MKNOD");
    let all = plan_on(&without, |c| {
        mknod(c);
        c["linux"]["resources"] = json!({"devices": [{"allow": true, "access": "rwm"}]});
    });
    has(&all.unwrap(), Stage::Two, "CAP_MKNOD");
}

#[test]
fn mounts_keep_devices_only_where_nobody_made_one_before() {
    let without = Host { cgroup: None, has_mount_setattr: true, ..host() };
    let edit = |c: &mut Value| {
        c["mounts"] = json!([
            {"destination": "/dev", "type": "tmpfs", "options": ["nosuid"]},
            {"destination": "/dev/pts", "type": "devpts"},
            {"destination": "/tmp", "type": "tmpfs"},
            {"destination": "/data", "type": "bind", "source": "/data", "options": ["bind", "dev"]},
        ]);
        c["linux"]["devices"] = json!([{"path": "/odd", "type": "c", "major": 1, "minor": 5}]);
    };
    let plan = plan_on(&without, edit).unwrap();
    let nodev = "make the mount at / and those below nodev";
    let expected =
        ["bind the rootfs", nodev, "mount tmpfs on /dev with nosuid", "on /data with nodev"];
    order(&plan, Stage::Two, &expected);
    for act in ["mount tmpfs on /tmp with nodev", "make device /dev/null", "bind device /odd"] {
        has(&plan, Stage::Two, act);
    }
    let lines = acts(&plan, Stage::Two);
    let kept = |act: &&String| act.contains("on /dev") && act.contains("nodev");
    assert_eq!(lines.iter().filter(kept).count(), 0, "{lines:#?}");
    // Where a filter says which device is opened, all is as config.json has it.
    let lines = acts(&plan_on(&host(), edit).unwrap(), Stage::Two);
    assert!(lines.iter().all(|act| !act.contains("nodev")), "{lines:#?}");
}
