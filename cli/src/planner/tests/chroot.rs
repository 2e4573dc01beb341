//! Containers without a mount namespace.

use serde_json::{Value, json};
use vial_plan::Stage;

use super::{acts, host, order, plan, plan_on};
use crate::host::Host;

fn bare(config: &mut Value) {
    config["linux"]["namespaces"] = json!([{"type": "pid"}]);
}

#[test]
fn root_is_changed_without_a_mount() {
    let plan = plan(bare).unwrap();
    let words = ["open the rootfs /bundle/rootfs", "make device /dev/null", "change the root"];
    order(&plan, Stage::Two, &words);
    for act in acts(&plan, Stage::Two) {
        let mounts = ["mount", "bind ", "pivot", "read-only"].iter().any(|word| act.contains(word));
        assert!(!mounts, "{act}");
    }
    assert_eq!(plan.warnings, Vec::<String>::new());
}

#[test]
fn what_takes_a_mount_is_refused_by_its_field() {
    let refused = |host: &Host, edit: &dyn Fn(&mut Value), field: &str| {
        let edit = |config: &mut Value| {
            bare(config);
            edit(config);
        };
        let error = plan_on(host, edit).unwrap_err().to_string();
        assert!(error.contains(field), "{error}");
        assert!(error.contains("mount namespace"), "{error}");
    };
    let mount = json!({"destination": "/tmp", "type": "tmpfs"});
    let host = host();
    refused(&host, &|c| c["mounts"] = json!([mount]), "mounts[0]: ");
    refused(&host, &|c| c["linux"]["maskedPaths"] = json!(["/x"]), "linux.maskedPaths[0]: ");
    refused(&host, &|c| c["linux"]["readonlyPaths"] = json!(["/x"]), "linux.readonlyPaths[0]: ");
    refused(&host, &|c| c["root"]["readonly"] = json!(true), "root.readonly: ");
    refused(&host, &|c| c["linux"]["rootfsPropagation"] = json!("slave"), "rootfsPropagation: ");
    refused(&host, &|c| c["process"]["terminal"] = json!(true), "process.terminal: ");
    for user in [json!({"type": "user"}), json!({"type": "user", "path": "/proc/9/ns/user"})] {
        let add = |c: &mut Value| c["linux"]["namespaces"] = json!([{"type": "pid"}, user]);
        refused(&host, &add, "linux.namespaces[1]: ");
    }
    let inside = Host { in_user_namespace: true, ..host };
    refused(&inside, &|_| {}, "linux.namespaces: ");
}

#[test]
fn capability_that_leads_out_is_warned_of() {
    for set in ["bounding", "permitted"] {
        let with = |config: &mut Value| {
            config["process"]["capabilities"] = json!({set: ["CAP_SYS_CHROOT", "CAP_KILL"]});
        };
        let warnings = plan(|config| {
            bare(config);
            with(config);
        })
        .unwrap()
        .warnings;
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("CAP_SYS_CHROOT"), "{warnings:?}");
        assert_eq!(plan(with).unwrap().warnings, Vec::<String>::new());
    }
}
