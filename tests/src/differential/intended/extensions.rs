//! Rows about what only some of the runtimes have, and about seccomp agents.

use serde_json::Value;

use super::super::compare::Difference;
use super::super::when::{place, texts};
use super::Row;

/// This part of the table.
pub(super) const ROWS: &[Row] = rows! {
    ["crun"] "agent|states|*": "", "*", no_notification,
        "a filter without SCMP_ACT_NOTIFY has no listener: config-linux.md, \"Seccomp\"";
    ["crun 1.21"] "paths|*": "*", "*", bare_source,
        "crun follows a symbolic link at the source all the same";
    ["crun 1.21"] "report|mounts|*|root": "*", "*", bare_source,
        "crun follows a symbolic link at the source all the same";
    ["crun 1.21"] "rootfs|*": "100644 *", "41755 *", bare_source,
        "crun follows a symbolic link at the source all the same";
    ["crun 1.21"] "end": "refused: *with dest-nofollow*move_mount(2): EINVAL*", "exit status: 0", super::super::when::always,
        "a directory cannot be mounted on a symbolic link; crun follows it all the same";
};

fn no_notification(config: &Value, _: &Difference) -> bool {
    let rules = config["linux"]["seccomp"]["syscalls"].as_array();
    rules.into_iter().flatten().all(|rule| rule["action"] != "SCMP_ACT_NOTIFY")
}

/// A link that is not to be followed, bound at this place.
fn bare_source(config: &Value, difference: &Difference) -> bool {
    config["mounts"].as_array().into_iter().flatten().any(|mount| {
        texts(&mount["options"]).any(|option| option == "src-nofollow")
            && mount["source"].as_str().is_some_and(|source| source.contains("/link"))
            && mount["destination"].as_str() == Some(place(difference))
    })
}
