//! Rows about what only some of the runtimes have, and about seccomp agents.

use serde_json::Value;

use super::super::compare::Difference;
use super::Row;

/// This part of the table.
pub(super) const ROWS: &[Row] = rows! {
    ["crun"] "agent|states|*": "", "*", no_notification,
        "a filter without SCMP_ACT_NOTIFY has no listener: config-linux.md, \"Seccomp\"";
};

pub(super) fn no_notification(config: &Value, _: &Difference) -> bool {
    let rules = config["linux"]["seccomp"]["syscalls"].as_array();
    rules.into_iter().flatten().all(|rule| rule["action"] != "SCMP_ACT_NOTIFY")
}
