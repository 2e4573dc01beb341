//! Rows about hooks.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::super::compare::Difference;
use super::super::when;
use super::Row;

/// This part of the table.
pub(super) const ROWS: &[Row] = rows! {
    ["crun", "runc"] "hooks": "*", "*poststart*", poststart_early,
        "poststart hooks run after execve: runtime.md, \"Lifecycle\"; the others do not wait for it";
    ["crun", "runc"] "left|hooks": "*", "*poststart*", poststart_failed_early,
        "poststart hooks run after execve: runtime.md, \"Lifecycle\"; the others do not wait for it";
    ["crun", "runc"] "left|hooks": "*poststop*", "*", no_poststop,
        "poststop hooks run also after a hook failed: runtime.md, \"Lifecycle\"";
    ["crun", "runc"] "left|hooks": "", "*", seccomp_that_fails,
        "vial refuses the document before its hooks run, the others ignore what is wrong";
    ["crun", "runc"] "left|hooks": "*", "*create*", terminal_without_devpts,
        "vial opens the terminal before these hooks run, the others after";
    ["crun"] "hooks|*|cwd": "@stage@/bundle", "/", devices_in_user_namespace,
        "crun changes to / when it binds devices in a user namespace, and takes that for the bundle";
    ["crun"] "hooks|*|state|bundle": "@stage@/bundle", "/", devices_in_user_namespace,
        "crun changes to / when it binds devices in a user namespace, and takes that for the bundle";
    ["crun"] "hooks|*|namespaces|pid": "*", "*", when::time_namespace_without_pids,
        "crun makes a PID namespace together with a time namespace";
    ["crun"] "end": "exit status: 0", "refused: error executing hook `/probe` (exit code: 1)*", when::default_device,
        "crun opens the container's /dev/null for a hook, whatever mode linux.devices gives it";
    ["crun"] "end": "exit status: 0", "refused: ", hook_on_a_terminal,
        "crun opens the container's /dev/null for a hook, whatever mode linux.devices gives it";
    ["crun"] "end": "refused: *(config.json hooks.poststart*", "exit status: 0", when::always,
        "a poststart hook that fails stops the container: runtime.md, \"Lifecycle\"";
    ["crun", "runc"] "left|hooks": "*", "", as_demanded,
        "the others refuse the document before its hooks run";
    ["crun", "runc"] "left|hooks": "*", "*", refused_before_they_run,
        "the other refuses the document at a step before the hook that fails, for the reason of another row";
    ["runc"] "hooks": "*poststop*", "*", poststop_that_fails,
        "the hooks after a poststop hook that fails run, too: runtime.md, \"Lifecycle\"";
    ["runc"] "hooks|poststop*": "*", "", poststop_that_fails,
        "the hooks after a poststop hook that fails run, too: runtime.md, \"Lifecycle\"";
    ["crun"] "hooks|*|state|root": "", "*", when::always,
        "the state may have more properties: runtime.md, \"State\"";
    ["crun"] "hooks|startContainer*|state|status": "created", "starting", when::always,
        "crun has a status of its own before execve";
    ["crun"] "hooks|*|state|status": "creating", "created", when::always,
        "the container is created only after these hooks: runtime.md, \"Lifecycle\"";
    ["runc"] "hooks|poststart*|state|status": "running", "created", when::always,
        "the container runs when its poststart hooks do: runtime.md, \"Lifecycle\"";
    ["runc"] "hooks|poststop*|state|pid": "a pid", "", when::always,
        "pid is required of a container that is created or runs: runtime.md, \"State\"";
    ["crun"] "hooks|startContainer*|state|bundle": "@stage@/bundle", "/*", when::always,
        "crun resolves `.` in the container, where it is not the bundle";
    ["crun"] "hooks|createContainer*|cwd": "@stage@/bundle/rootfs", "@stage@/bundle", when::always,
        "the directory of these hooks is up to the runtime; runc's is the rootfs, too";
    ["crun"] "hooks|*|environ": "*", "* _LIBCONTAINER_CLONED_BINARY=1", no_environment,
        "crun adds a variable of its own";
    ["runc"] "hooks|createContainer*|environ": "*PATH=*", "*", no_environment,
        "a hook without env has the runtime's environment, and not the container's";
    ["runc"] "hooks|*|environ": "*", "*", a_variable_twice,
        "vial passes on the environment as it is given; Go removes the first of two variables";
    ["crun", "runc"] "hooks|startContainer*|environ": "*", "*", of_process,
        "of two variables of the process the last counts, and HOME is added at the end; the others run the hooks before or do it in another order";
    ["crun"] "hooks|createContainer*|groups": "*", "*", has_groups,
        "crun sets the groups of the container's process before these hooks";
    ["crun", "runc"] "hooks|createContainer*|hostname": "*", "*", has_hostname,
        "the environment is created before these hooks, and with it the host name: runtime.md, \"Lifecycle\"";
    ["crun"] "hooks|createContainer*|mounts": "*", "*", more_mounts,
        "crun masks paths and makes them read-only before these hooks, and takes a recursive propagation as a recursive bind";
    ["crun"] "hooks|*|rlimits|*": "*", "*", has_limits,
        "crun sets the limits of the container's process before it runs hooks";
    ["runc"] "hooks|createContainer*|rlimits|RLIMIT_NOFILE|*": "*", "*", has_limits,
        "runc sets this limit early";
    ["crun"] "hooks|*|scheduler|*": "*", "*", when::scheduled,
        "crun sets priorities of the container's process before it runs hooks";
    ["runc"] "hooks|startContainer*|scheduler|*": "*", "*", when::scheduled,
        "runc has scheduler and ioPriority since 1.2";
    ["crun"] "hooks|*|oom_score_adj": "*", "*", has_oom_score_adj,
        "crun changes its own score before it runs hooks";
    ["crun"] "hooks|*|umask": "0022", "0000", when::always,
        "hooks that run on the host have the umask of vial's caller; crun clears its own";
    ["crun"] "hooks|*|signals": "SigBlk:\t0000000000000000 *", "*", when::always,
        "hooks have no blocked signals; crun's have those that crun blocks for itself";
    ["crun"] "signals|*": "0000000000000000", "0000000000010000", starts,
        "crun keeps SIGCHLD blocked after its startContainer hooks";
    ["runc"] "hooks|createContainer*|fds|*": "", "*", when::always,
        "hooks inherit stdio alone; runc's have its sockets, and the fifo that starts the container";
    ["runc"] "hooks|startContainer*|groups": "*", "*", when::group_twice,
        "runc leaves out a group's second entry";
};

/// The same hooks, where the others run those of poststart before those of startContainer
/// have ended.
fn poststart_early(config: &Value, difference: &Difference) -> bool {
    starts(config, difference)
        && !config["hooks"]["poststart"].is_null()
        && same_but_order(config, difference)
}

fn devices_in_user_namespace(config: &Value, difference: &Difference) -> bool {
    when::user_namespace(config, difference) && !config["linux"]["devices"].is_null()
}

/// The hooks that are demanded, and without those that run at the start the same but for
/// those of poststop.
fn no_poststop(config: &Value, difference: &Difference) -> bool {
    const LATE: [&str; 3] = ["startContainer", "poststart", "poststop"];
    as_demanded(config, difference) && same_without(difference, &LATE)
}

/// Whether both have the same hooks, without those of these kinds.
fn same_without(difference: &Difference, kinds: &[&str]) -> bool {
    let rest = |text: &str| {
        let is_other =
            |word: &&str| !word.is_empty() && !kinds.iter().any(|kind| word.starts_with(kind));
        text.split(' ').filter(is_other).map(str::to_owned).collect::<Vec<_>>()
    };
    rest(&difference.ours) == rest(&difference.theirs)
}

/// Both refuse the document, and the other had run fewer of the hooks that are demanded.
fn refused_before_they_run(config: &Value, difference: &Difference) -> bool {
    let (ours, theirs) = (early(&difference.ours), early(&difference.theirs));
    as_demanded(config, difference) && ours.len() > theirs.len() && ours.starts_with(&theirs)
}

/// The hooks but for those of poststop.
fn early(text: &str) -> Vec<&str> {
    text.split(' ').filter(|word| !word.starts_with("poststop")).collect()
}

/// A poststop hook that fails before another one. The hooks before are the same.
fn poststop_that_fails(config: &Value, difference: &Difference) -> bool {
    let sorted = |text| {
        let mut words = early(text);
        words.sort_unstable();
        words
    };
    let hooks = config["hooks"]["poststop"].as_array().map(Vec::as_slice).unwrap_or_default();
    hooks.iter().rev().skip(1).any(fails)
        && (difference.field != "hooks" || sorted(&difference.ours) == sorted(&difference.theirs))
}

/// A startContainer hook, and a terminal, which gets what crun then says.
fn hook_on_a_terminal(config: &Value, difference: &Difference) -> bool {
    starts(config, difference)
        && config["process"]["terminal"] == true
        && when::default_device(config, difference)
}

/// A profile that vial refuses: with an errno that no action returns, or with a rule that
/// denies a call that does not exist.
fn seccomp_that_fails(config: &Value, _: &Difference) -> bool {
    let seccomp = &config["linux"]["seccomp"];
    !seccomp["defaultErrnoRet"].is_null() || seccomp["syscalls"].to_string().contains("not_a_call")
}

/// A terminal that cannot be opened, as there is no devpts.
fn terminal_without_devpts(config: &Value, _: &Difference) -> bool {
    let mounts = config["mounts"].as_array().map(Vec::as_slice).unwrap_or_default();
    config["process"]["terminal"] == true && !mounts.iter().any(|mount| mount["type"] == "devpts")
}

/// A hook of poststart or startContainer failed, and the others had run in another order.
fn poststart_failed_early(config: &Value, difference: &Difference) -> bool {
    as_demanded(config, difference) && same_without(difference, &["startContainer", "poststart"])
}

/// vial ran the hooks up to the one that fails, and then those of poststop.
fn as_demanded(config: &Value, difference: &Difference) -> bool {
    const ORDER: [&str; 5] =
        ["prestart", "createRuntime", "createContainer", "startContainer", "poststart"];
    let all = |kind: &str| {
        let hooks = config["hooks"][kind].as_array().cloned().unwrap_or_default().into_iter();
        let kind = kind.to_owned();
        hooks.enumerate().map(move |(number, hook)| (format!("{kind}{number}"), hook))
    };
    let notes = |hook: &Value| when::texts(&hook["args"]).any(|word| word == "note");
    let mut failed = false;
    let mut names: Vec<String> = ORDER
        .iter()
        .flat_map(|kind| all(kind))
        .take_while(|(_, hook)| !std::mem::replace(&mut failed, fails(hook)))
        .filter(|(_, hook)| notes(hook))
        .map(|(name, _)| name)
        .collect();
    names.extend(all("poststop").filter(|(_, hook)| notes(hook)).map(|(name, _)| name));
    // A hook in the container may find no file to note itself in.
    let is_outside = |name: &&String| !name.starts_with("startContainer");
    let outside: Vec<String> = names.iter().filter(is_outside).cloned().collect();
    [names, outside].iter().any(|names| names.join(" ") == difference.ours)
}

/// Whether a hook fails. One that sleeps fails at its timeout, and leaves no note.
fn fails(hook: &Value) -> bool {
    when::texts(&hook["args"]).any(|word| matches!(word, "exit" | "sleep"))
}

fn starts(config: &Value, _: &Difference) -> bool {
    !config["hooks"]["startContainer"].is_null()
}

/// Whether both values have the same words.
fn same_but_order(_: &Value, difference: &Difference) -> bool {
    let words = |text: &str| {
        let mut words: Vec<_> = text.split(' ').map(str::to_owned).collect();
        words.sort_unstable();
        words
    };
    words(&difference.ours) == words(&difference.theirs)
}

/// The hook that a difference is about: `hooks|KINDn|..`.
fn hook<'a>(config: &'a Value, difference: &Difference) -> &'a Value {
    let name = difference.field.split('|').nth(1).unwrap_or_default();
    let (kind, number) = name.split_at(name.len().saturating_sub(1));
    &config["hooks"][kind][number.parse().unwrap_or(0_usize)]
}

fn no_environment(config: &Value, difference: &Difference) -> bool {
    hook(config, difference)["env"].is_null()
}

/// The environment of the process, with the same variables but for HOME.
fn of_process(config: &Value, difference: &Difference) -> bool {
    let names = |text: &str| {
        let names = text.split(' ').filter_map(|word| word.split_once('=').map(|(name, _)| name));
        let mut names: Vec<_> = names.filter(|name| *name != "HOME").map(str::to_owned).collect();
        names.sort_unstable();
        names.dedup();
        names
    };
    no_environment(config, difference) && names(&difference.ours) == names(&difference.theirs)
}

/// An environment that sets a variable twice.
fn a_variable_twice(config: &Value, difference: &Difference) -> bool {
    let env = &hook(config, difference)["env"];
    let mut names: Vec<&str> =
        when::texts(env).filter_map(|entry| entry.split('=').next()).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    count > names.len()
}

fn has_groups(config: &Value, _: &Difference) -> bool {
    config["process"]["user"]["additionalGids"].is_array()
}

fn has_hostname(config: &Value, difference: &Difference) -> bool {
    config["hostname"].as_str() == Some(&difference.ours)
}

/// The same mounts, and those of crun: at and below paths that the document hides or makes
/// read-only, and below a bind that is not recursive. It has no terminal yet.
fn more_mounts(config: &Value, difference: &Difference) -> bool {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<BTreeSet<_>>();
    let (ours, theirs) = (words(&difference.ours), words(&difference.theirs));
    let linux = &config["linux"];
    let is_hidden = |place: &String| {
        let mut paths =
            when::texts(&linux["maskedPaths"]).chain(when::texts(&linux["readonlyPaths"]));
        paths.any(|path| Path::new(place).starts_with(when::resolved(path)))
    };
    let below_bind = when::below_bind_anywhere(config, difference);
    theirs
        .difference(&ours)
        .all(|place| is_hidden(place) || below_bind && place.ends_with("/mounted"))
        && ours.difference(&theirs).all(|place| place == "/dev/console")
}

fn has_limits(config: &Value, difference: &Difference) -> bool {
    let limits = config["process"]["rlimits"].as_array();
    let name = difference.field.split('|').nth(3).unwrap_or_default();
    limits.into_iter().flatten().any(|limit| limit["type"] == name)
}

fn has_oom_score_adj(config: &Value, _: &Difference) -> bool {
    !config["process"]["oomScoreAdj"].is_null()
}
