//! Rows about races that the others lose at times. A long run need not meet them.

use serde_json::Value;

use super::super::compare::Difference;
use super::super::when;
use super::Row;

/// This part of the table.
pub(super) static ROWS: &[Row] = rows! {
    ["runc 1.1"] "end": "exit status: 0", "refused: *could not ensure we are a cloned binary*busy*", when::always,
        "runc cannot always make its copy of itself read-only: it is busy";
    ["crun"] "end": "exit status: 0", "exit status: 1", last_poststart_has_timeout,
        "crun waits for SIGCHLD of a hook that has a timeout, and gets one signal if the container ends at that moment: run_process_with_stdin_timeout_envp";
    ["runc 1.1"] "report|mounts|*/mounted*": "*", "", super::rare::source_of_two,
        "at times runc's container lacks what is mounted below a source that is bound twice, as if it were not mounted on the host; why is not known";
    ["crun"] "calls|*": "E*", "E*", denied_by_a_rule,
        "crun takes a filter out of its cache without looking at errnoRet: calculate_seccomp_checksum";
};

/// A rule of the filter denies the call with an errno of its own.
fn denied_by_a_rule(config: &Value, difference: &Difference) -> bool {
    let call = difference.field.split(['|', '(']).nth(1).unwrap_or_default();
    let mut rules = config["linux"]["seccomp"]["syscalls"].as_array().into_iter().flatten();
    rules.any(|rule| {
        rule["action"] == "SCMP_ACT_ERRNO" && when::texts(&rule["names"]).any(|name| name == call)
    })
}

fn last_poststart_has_timeout(config: &Value, _: &Difference) -> bool {
    let hooks = config["hooks"]["poststart"].as_array();
    hooks.and_then(|hooks| hooks.last()).is_some_and(|hook| !hook["timeout"].is_null())
}
