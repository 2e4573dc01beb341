//! Rows about terminals.

use serde_json::Value;

use super::super::compare::Difference;
use super::super::when::{lists, place, texts};
use super::Row;

/// This part of the table.
pub(super) const ROWS: &[Row] = rows! {
    ["crun", "runc"] "report|stdin|size": "*", "0x0", half_a_size,
        "a consoleSize of which only one number is 0 is set as it is given";
    ["crun", "runc"] "terminal|size": "*", "0x0", half_a_size,
        "a consoleSize of which only one number is 0 is set as it is given";
    ["crun"] "report|mounts|/dev/console*": "*", "", read_only_dev,
        "crun's read-only /dev is not recursive, and covers what it has bound in it before";
    ["crun"] "report|mounts|/dev/console*|options": "*", "relatime rw", console_mount,
        "crun binds the terminal without the flags of /dev/pts";
    ["crun", "runc"] "hooks|createContainer*|mounts": "*/dev/console*", "*", has_terminal,
        "the others open the terminal after these hooks";
    ["crun"] "end": "refused: *process.terminal): open the source: open_tree(2): EINVAL*", "exit status: 0", unbindable_terminals,
        "a mount of /dev/pts that is unbindable cannot be bound at /dev/console; runc refuses, too";
    ["crun", "runc"] "left|state": "", "yes", failed_hook,
        "a start that fails leaves nothing, also detached";
    ["runc"] "hooks|poststop*|cwd": "@stage@/bundle", "@stage@", has_terminal,
        "hooks on the host run in the bundle's directory; those of `runc delete` in its caller's";
    ["runc"] "hooks|poststop*|fds|*": "", "*", has_terminal,
        "hooks inherit stdio alone; those of `runc delete` have fds of its own";
};

fn has_terminal(config: &Value, _: &Difference) -> bool {
    config["process"]["terminal"] == true
}

fn unbindable_terminals(config: &Value, _: &Difference) -> bool {
    let mounts = config["mounts"].as_array();
    mounts.into_iter().flatten().any(|mount| {
        mount["type"] == "devpts" && texts(&mount["options"]).any(|o| o.ends_with("unbindable"))
    })
}

/// Detached, with a hook that fails.
fn failed_hook(config: &Value, difference: &Difference) -> bool {
    has_terminal(config, difference) && config["hooks"].to_string().contains("\"exit\"")
}

fn half_a_size(config: &Value, _: &Difference) -> bool {
    let size = &config["process"]["consoleSize"];
    !size.is_null() && (size["height"] == 0) != (size["width"] == 0)
}

fn read_only_dev(config: &Value, difference: &Difference) -> bool {
    console_mount(config, difference)
        && texts(&config["linux"]["readonlyPaths"]).any(|path| path == "/dev")
}

/// The terminal at /dev/console, which is no path that the document makes read-only.
fn console_mount(config: &Value, difference: &Difference) -> bool {
    has_terminal(config, difference)
        && place(difference) == "/dev/console"
        && !lists(&config["linux"]["readonlyPaths"], difference)
}
