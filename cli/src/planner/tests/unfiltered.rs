//! Machines without cgroup2, on which nothing filters devices.

use serde_json::{Value, json};
use vial_plan::Stage;

use super::{acts, has, host, plan_on};
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
    has(&plan, Stage::Inside, "keep in the bounding set CAP_KILL");
    assert!(acts(&plan, Stage::Inside).iter().all(|act| !act.contains("MKNOD")));
    assert!(plan.warnings.iter().any(|warning| warning.contains("without cgroup2")));
    // A filter, or a list that allows all of them: as config.json says.
    has(&plan_on(&host(), mknod).unwrap(), Stage::Inside, "CAP_MKNOD");
    let all = plan_on(&without, |c| {
        mknod(c);
        c["linux"]["resources"] = json!({"devices": [{"allow": true, "access": "rwm"}]});
    });
    has(&all.unwrap(), Stage::Inside, "CAP_MKNOD");
}
