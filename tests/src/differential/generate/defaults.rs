//! What changes nothing: defaults in so many words, empty lists, other versions and
//! another way to say where the rootfs is.

use serde_json::{Value, json};

use super::super::random::Random;
use super::super::stage::STAGE;
use super::Place;

/// Defaults, and values that ask for nothing, where the document says nothing.
const DEFAULTS: &[(&str, &str, &str)] = &[
    ("/root", "readonly", "false"),
    ("/process", "terminal", "false"),
    ("/process", "consoleSize", r#"{"height": 0, "width": 0}"#),
    ("/process", "rlimits", "[]"),
    ("/process", "apparmorProfile", r#""""#),
    ("/process", "selinuxLabel", r#""""#),
    ("/process", "noNewPrivileges", "false"),
    ("/process/user", "additionalGids", "[]"),
    ("", "hooks", "{}"),
    ("", "annotations", "{}"),
    ("", "hostname", r#""""#),
    ("", "domainname", r#""""#),
    ("/linux", "mountLabel", r#""""#),
    ("/linux", "rootfsPropagation", r#""""#),
    ("/linux", "maskedPaths", "[]"),
    ("/linux", "readonlyPaths", "[]"),
    ("/linux", "devices", "[]"),
    ("/linux", "sysctl", "{}"),
    ("/linux", "netDevices", "{}"),
    ("/linux", "resources", "{}"),
    ("/linux", "resources", r#"{"devices": [], "unified": {}}"#),
    ("/linux", "resources", r#"{"memory": {}, "cpu": {}, "blockIO": {}, "network": {}}"#),
    ("/linux", "resources", r#"{"hugepageLimits": [], "rdma": {}}"#),
    ("/linux", "uidMappings", "[]"),
    ("/linux", "timeOffsets", "{}"),
    ("/linux", "seccomp", r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}"#),
];

pub(super) fn add(random: &mut Random, config: &mut Value, _: Place) {
    for (parent, name, text) in random.some(DEFAULTS, 20) {
        let Some(members) = config.pointer_mut(parent).and_then(Value::as_object_mut) else {
            continue;
        };
        let value = serde_json::from_str(text).unwrap_or_default();
        members.entry(name).or_insert(value);
    }
}

pub(super) fn version(random: &mut Random, config: &mut Value, _: Place) {
    let versions = ["1.0.0", "1.0.2-dev", "1.1.0", "1.2.0", "1.2.1", "1.0.0-rc5+dev"];
    config["ociVersion"] = json!(random.one(&versions));
}

pub(super) fn root_path(random: &mut Random, config: &mut Value, _: Place) {
    let whole = format!("{STAGE}/bundle/rootfs");
    let paths = [whole.as_str(), "./rootfs", "rootfs/", "rootfs/data/..", "../bundle/rootfs"];
    config["root"]["path"] = json!(random.one(&paths));
}
