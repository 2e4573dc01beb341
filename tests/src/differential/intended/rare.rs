//! Rows about what few documents have: rare options of mounts, seccomp's defaults, empty
//! labels, fds that the caller passes on.

use serde_json::Value;

use super::super::compare::Difference;
use super::super::runtime::{LISTENED, PRESERVED};
use super::super::when::{self, equal_without, texts};
use super::Row;

/// This part of the table.
pub(super) const ROWS: &[Row] = rows! {
    ["crun"] "end": "exit status: 0", "refused: AppArmor is not initialized correctly", empty_profile,
        "an empty profile or label is none, as in runc";
    ["crun"] "end": "exit status: 0", "refused: write to `/proc/self/attr/keycreate`: Invalid argument", empty_label,
        "an empty profile or label is none, as in runc";
    ["crun"] "end": "exit status: 0", "refused: mount `*` to `*`: Invalid argument", option_that_crun_lacks,
        "crun lacks options that config.md lists, and gives them to the filesystem";
    ["crun"] "report|mounts|*|options": "*nosymfollow*", "*", only_symlinks,
        "crun lacks options that config.md lists, and gives them to the filesystem";
    ["runc"] "end": "exit status: 0", "refused: *, data: *invalid argument*", option_defaults,
        "runc gives the option `defaults` to the filesystem";
    ["runc 1.1"] "end": "exit status: 0", "refused: *seccomp flags are not yet supported by runc*", when::always,
        "runc has flags of seccomp since 1.2";
    ["crun", "runc"] "end": "refused: *linux.seccomp.defaultErrnoRet: SCMP_ACT_* has no errno to return", "exit status: 0",
        when::always, "an errno for an action that returns none is refused: config-linux.md, \"Seccomp\"";
    ["crun"] "end": "refused: *no architecture of Linux has it: not_a_call*", "exit status: 0", unknown_by_default,
        "crun leaves out a rule with the default action before it looks at its names";
    ["crun"] "end": "exit status: 0", "refused: * sync socket: *", joined_time_with_new_pids,
        "crun forks to join a time namespace, and the process that then ends is PID 1 of the new PID namespace";
    ["crun"] "report|mounts|*|options": "*nodiratime*", "*", nodiratime_in_user_namespace,
        "in a user namespace crun loses the flags of a bind with nodiratime";
    ["crun"] "paths|*|write": "EROFS", "*", nodiratime_in_user_namespace,
        "in a user namespace crun loses the flags of a bind with nodiratime";
    ["crun"] "end": "exit status: 0", "refused: *", synchronised_listener,
        "the kernel refuses a listener together with TSYNC, which changes nothing for a process of one thread";
    ["crun 1.8", "crun 1.21"] "paths|*|mode": "0755", "1755", when::always,
        "crun makes missing directories with the sticky bit";
    ["crun 1.8"] "end": "exit status: 0", "refused: unknown version specified", when::always,
        "crun 1.8 takes no version of the specification after 1.0";
    ["crun 1.8"] "report|mounts|*|options": "*", "*", bind_in_user_namespace,
        "in a user namespace crun 1.8 binds without the flags";
    ["crun 1.8"] "report|mounts|*": "", "*", source_of_two,
        "in a user namespace crun 1.8 leaves all binds of a source in one peer group: a mount on one is on each";
    ["runc"] "hooks|*|fds|*": "", "*", preserved,
        "hooks inherit stdio alone; runc's have the fds for the container";
    ["crun"] "report|environ": "*LISTEN_FDS=*", "*LISTEN_PID=*", listens_in_config,
        "crun expects LISTEN_FDS in config.json; the pid is the process's own: sd_listen_fds(3)";
    ["runc"] "report|environ": "*LISTEN_FDS=*", "*LISTEN_PID=*", listens,
        "runc puts HOME at the end; the pid is the process's own: sd_listen_fds(3)";
};

fn empty_profile(config: &Value, _: &Difference) -> bool {
    config["process"]["apparmorProfile"] == ""
}

fn empty_label(config: &Value, _: &Difference) -> bool {
    config["process"]["selinuxLabel"] == ""
}

fn has_option(config: &Value, names: &[&str]) -> bool {
    let mounts = config["mounts"].as_array();
    mounts.into_iter().flatten().any(|mount| texts(&mount["options"]).any(|o| names.contains(&o)))
}

fn option_that_crun_lacks(config: &Value, _: &Difference) -> bool {
    const LACKING: [&str; 8] = [
        "iversion",
        "lazytime",
        "loud",
        "noiversion",
        "nolazytime",
        "nosymfollow",
        "silent",
        "symfollow",
    ];
    has_option(config, &LACKING)
}

fn only_symlinks(_: &Value, difference: &Difference) -> bool {
    equal_without(difference, &["nosymfollow"], &[])
}

fn option_defaults(config: &Value, _: &Difference) -> bool {
    has_option(config, &["defaults"])
}

/// A rule for a call that does not exist has the default action.
fn unknown_by_default(config: &Value, _: &Difference) -> bool {
    let seccomp = &config["linux"]["seccomp"];
    let mut rules = seccomp["syscalls"].as_array().into_iter().flatten();
    rules.any(|rule| {
        rule["action"] == seccomp["defaultAction"]
            && texts(&rule["names"]).any(|name| name == "not_a_call")
    })
}

fn joined_time_with_new_pids(config: &Value, _: &Difference) -> bool {
    let namespaces = || config["linux"]["namespaces"].as_array().into_iter().flatten();
    namespaces().any(|one| one["type"] == "time" && !one["path"].is_null())
        && namespaces().any(|one| one["type"] == "pid" && one["path"].is_null())
}

/// A bind with nodiratime, at or above the place.
fn nodiratime_in_user_namespace(config: &Value, difference: &Difference) -> bool {
    when::user_namespace(config, difference)
        && when::covering(config, difference)
            .iter()
            .any(|mount| texts(&mount["options"]).any(|option| option == "nodiratime"))
}

/// A rule for a listener, and SECCOMP_FILTER_FLAG_TSYNC.
fn synchronised_listener(config: &Value, difference: &Difference) -> bool {
    let mut flags = texts(&config["linux"]["seccomp"]["flags"]);
    flags.any(|flag| flag == "SECCOMP_FILTER_FLAG_TSYNC")
        && !super::extensions::no_notification(config, difference)
}

fn bind_in_user_namespace(config: &Value, difference: &Difference) -> bool {
    when::user_namespace(config, difference)
        && when::covering(config, difference)
            .iter()
            .any(|mount| texts(&mount["options"]).any(|option| option.ends_with("bind")))
}

fn source_of_two(config: &Value, difference: &Difference) -> bool {
    let mounts = config["mounts"].as_array().into_iter().flatten();
    let mut sources: Vec<&str> = mounts.filter_map(|mount| mount["source"].as_str()).collect();
    let count = sources.len();
    sources.sort_unstable();
    sources.dedup();
    when::user_namespace(config, difference) && count > sources.len()
}

fn preserved(config: &Value, _: &Difference) -> bool {
    !config["annotations"][PRESERVED].is_null() || !config["annotations"][LISTENED].is_null()
}

/// The same variables, those of sd_listen_fds(3) aside.
fn listens(config: &Value, difference: &Difference) -> bool {
    let rest = |text: &str| {
        let mut rest: Vec<_> = text.split(' ').map(str::to_owned).collect();
        rest.retain(|word| !word.starts_with("LISTEN_PID="));
        rest.sort_unstable();
        rest
    };
    !config["annotations"][LISTENED].is_null() && rest(&difference.ours) == rest(&difference.theirs)
}

/// The same variables, those of sd_listen_fds(3) and HOME aside: see `when::home_missing`.
fn listens_in_config(config: &Value, difference: &Difference) -> bool {
    let rest = |text: &str| {
        let mut rest: Vec<_> = text.split(' ').map(str::to_owned).collect();
        rest.retain(|word| !word.starts_with("LISTEN_") && !word.starts_with("HOME="));
        rest.sort_unstable();
        rest
    };
    !config["annotations"][LISTENED].is_null() && rest(&difference.ours) == rest(&difference.theirs)
}
