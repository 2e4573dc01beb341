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
    ["crun"] "end": "exit status: 0", "refused: write file `*apparmor/exec`: Invalid argument", empty_profile,
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
    ["crun 1.21"] "report|mounts|*|options": "* rw", "relatime rw", access_time_in_user_namespace,
        "in a user namespace crun loses the flags of a bind with an access time, which the kernel has locked";
    ["crun"] "paths|*|write": "EROFS", "*", nodiratime_in_user_namespace,
        "in a user namespace crun loses the flags of a bind with nodiratime";
    ["crun 1.21"] "paths|*|write": "EROFS", "*", access_time_in_user_namespace,
        "in a user namespace crun loses the flags of a bind with an access time, which the kernel has locked";
    ["crun"] "end": "exit status: 0", "refused: *", synchronised_listener,
        "the kernel refuses a listener together with TSYNC, which changes nothing for a process of one thread";
    ["crun 1.8", "crun 1.21"] "paths|*|mode": "0755", "1755", when::always,
        "crun makes missing directories with the sticky bit";
    ["crun 1.8"] "end": "exit status: 0", "refused: unknown version specified", when::always,
        "crun 1.8 takes no version of the specification after 1.0";
    ["crun 1.8"] "report|mounts|*|options": "*", "*", bind_in_user_namespace,
        "in a user namespace crun 1.8 binds without the flags";
    ["crun 1.8", "crun 1.21"] "report|mounts|*": "", "*", source_of_two,
        "in a user namespace crun leaves all binds of a source in one peer group: a mount on one is on each";
    ["crun 1.8", "crun 1.21"] "paths|*": "*", "*", below_source_of_two,
        "in a user namespace crun leaves all binds of a source in one peer group: a mount on one is on each";
    ["crun", "runc"] "end": "refused: *cgroup v2 has nothing like it, only v1*", "exit status: 0", when::always,
        "a limit that cgroup v2 lacks is refused, the others ignore some";
    ["crun 1.8", "crun 1.21"] "left|cgroup": "", "yes", has_limits,
        "crun leaves the cgroup of a container whose limits cannot be set";
    ["runc"] "end": "refused: *linux.intelRdt: no resctrl*", "exit status: 0", when::always,
        "a class without resctrl is refused, runc leaves it out";
    ["runc"] "end": "exit status: 0", "refused: *not supported by devices cgroupv1*", when::always,
        "runc takes no rule away from a wider one, though cgroup v2 could";
    ["runc"] "paths|*": "EACCES", "*", copied_up_in_user_namespace,
        "vial's tmpcopyup copies the owner of the directory itself, too";
    ["runc 1.1"] "report|mounts|*|options": "*", "*", recursive_opposites,
        "of recursive options the later counts; runc 1.1 sets what it clears: recAttrClr in spec_linux.go";
    ["crun 1.21"] "report|mounts|*|options": "*", "*", recursive_opposites_or_symlinks,
        "of recursive options the later counts; crun sets what it clears, applies options that are not recursive last, lacks nosymfollow, and takes the host's flags away in a user namespace";
    ["runc"] "end": "exit status: 0", "refused: *error mounting *operation not permitted*", takes_away_what_is_locked,
        "vial leaves flags that the host has locked, runc refuses to take them away";
    ["runc"] "end": "refused: *io.bfq.weight*EOPNOTSUPP*", "exit status: 0", when::always,
        "a weight for a device whose scheduler knows none is refused, runc leaves it out";
    ["crun", "runc"] "end": "refused: *linux.resources.memory.swap: set without memory.limit*", "exit status: 0", when::always,
        "a limit of memory and swap includes one of memory";
    ["crun"] "end": "exit status: 0", "refused: *mount `*`: Invalid argument", empty_mount_label,
        "an empty profile or label is none, as in runc";
    ["crun"] "end": "exit status: 0", "refused: network limits not supported on cgroupv2*", when::always,
        "no limits for the network are none";
    ["crun"] "end": "exit status: 0", "refused: cannot set * with cgroupv2*", when::always,
        "vial accepts what cgroup v2 does anyway";
    ["runc 1.1"] "cgroup|cpu.*": "*", "", is_idle,
        "runc has cpu.idle since 1.2";
    ["crun"] "end": "exit status: 0", "refused: cannot set the memory limit lower than its current usage", checks_no_limit,
        "crun compares the usage with a limit that is not given";
    ["crun 1.8", "runc 1.1"] "cgroup|cpu.max.burst": "*", "", when::always,
        "these versions have no burst";
    ["crun", "runc 1.1"] "cgroup|hugetlb.*.rsvd.max": "*", "", when::always,
        "the limit is one of reservations, if the kernel has those: config-linux.md, \"Huge page limits\"";
    ["runc"] "report|mounts|*|options": "*nosymfollow*", "*", only_symlinks,
        "runc loses nosymfollow when it makes a tmpfs read-only";
    ["crun", "runc"] "paths|*": "ELOOP", "*", nosymfollow,
        "crun lacks nosymfollow, and runc loses it when it makes a tmpfs read-only";
    ["crun 1.21"] "paths|*": "*", "*", masked_source_of_two,
        "crun masks a path of a shared mount, and with it the same file elsewhere";
    ["crun"] "report|mounts|/sys|options": "*ro", "*relatime r*", when::user_namespace,
        "in a user namespace crun may bind the host's /sys, and not read-only: release notes of crun 1.29.1";
    ["crun"] "paths|/sys*|write": "EROFS", "*", when::user_namespace,
        "in a user namespace crun may bind the host's /sys, and not read-only: release notes of crun 1.29.1";
    ["crun"] "network|links|*": "", "*", when::user_namespace,
        "in a user namespace crun may bind the host's /sys, and not read-only: release notes of crun 1.29.1";
    ["crun"] "report|mounts|*|propagation": "unbindable", "", recursive_root_propagation,
        "after all mounts crun makes those in the root private or slaves, too: libcrun_do_pivot_root";
    ["runc 1.1"] "end": "exit status: 0", "refused: *create mount destination *: read-only file system*", read_only_and_writable,
        "of rro and rrw the later counts; runc 1.1 sets what it clears: recAttrClr in spec_linux.go";
    ["crun 1.8", "crun 1.21"] "report|mounts|*|super": "*mode=755*", "*mode=1755*", when::always,
        "crun makes missing directories with the sticky bit";
    ["runc"] "paths|*|write": "EACCES", "EROFS", when::mounted_twice,
        "runc makes a tmpfs read-only by its path after all mounts";
    ["runc"] "report|mounts|*#*": "", "*", propagated_copy,
        "where mounts are shared, runc's read-only path leaves a copy more below one that lies on it";
    ["runc"] "report|mounts|*#*|options": "*", "*", hidden_copy,
        "vial mounts a bind that is read-only already, and so its copies on shared mounts; runc changes the one afterwards";
    ["runc 1.1"] "hooks|createContainer*|scheduler|*": "*", "*", priority_of_user_namespace,
        "vial sets priorities while it may, before these hooks; runc has scheduler and ioPriority since 1.2";
    ["runc"] "hooks|*|signals": "*SigIgn:\t0000000000001000", "*SigIgn:\t0000*1*", when::always,
        "vial resets the signals that its caller ignores";
    ["runc 1.1"] "hooks|startContainer*|personality": "*", "00000000", when::personality,
        "runc has personality since 1.2";
    ["runc 1.1"] "hooks|*|rlimits|RLIMIT_NOFILE|soft": "*", "*", when::no_nofile,
        "Go raises its own limit, and runc passes it on: runc issue 4195";
    ["runc"] "hooks|*|rlimits|RLIMIT_MEMLOCK|*": "*", "", has_rules,
        "runc raises this limit to load its filter of devices, and hooks inherit it";
    ["runc"] "hooks|createContainer*|rlimits|*|hard": "*", "*", has_rlimits,
        "vial raises hard limits while it may, before these hooks";
    ["runc"] "hooks|*|fds|*": "", "*", preserved,
        "hooks inherit stdio alone; runc's have the fds for the container";
    ["crun"] "report|environ": "*LISTEN_FDS=*", "*LISTEN_PID=*", listens_in_config,
        "crun expects LISTEN_FDS in config.json; the pid is the process's own: sd_listen_fds(3)";
    ["crun"] "hooks|startContainer*|environ": "*LISTEN_FDS=*", "*LISTEN_PID=*", listens_in_config,
        "crun expects LISTEN_FDS in config.json; the pid is the process's own: sd_listen_fds(3)";
    ["runc"] "report|environ": "*LISTEN_FDS=*", "*LISTEN_PID=*", listens,
        "runc puts HOME at the end; the pid is the process's own: sd_listen_fds(3)";
};

fn empty_profile(config: &Value, _: &Difference) -> bool {
    config["process"]["apparmorProfile"] == ""
}

fn empty_mount_label(config: &Value, _: &Difference) -> bool {
    config["linux"]["mountLabel"] == ""
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

/// A mount at or above the place has one of these options.
fn covered_with(config: &Value, difference: &Difference, names: &[&str]) -> bool {
    let mounts = when::covering(config, difference);
    mounts.iter().any(|mount| texts(&mount["options"]).any(|option| names.contains(&option)))
}

/// A bind with nodiratime, at or above the place.
fn nodiratime_in_user_namespace(config: &Value, difference: &Difference) -> bool {
    when::user_namespace(config, difference) && covered_with(config, difference, &["nodiratime"])
}

/// A bind with an access time, at or above the place.
fn access_time_in_user_namespace(config: &Value, difference: &Difference) -> bool {
    when::user_namespace(config, difference)
        && covered_with(config, difference, &["noatime", "strictatime"])
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

pub(super) fn source_of_two(config: &Value, difference: &Difference) -> bool {
    let mounts = config["mounts"].as_array().into_iter().flatten();
    let mut sources: Vec<&str> = mounts.filter_map(|mount| mount["source"].as_str()).collect();
    let count = sources.len();
    sources.sort_unstable();
    sources.dedup();
    when::user_namespace(config, difference) && count > sources.len()
}

/// At or below one of two binds of a source.
fn below_source_of_two(config: &Value, difference: &Difference) -> bool {
    let mounts = || config["mounts"].as_array().into_iter().flatten();
    let is_of_two = |mount: &&Value| {
        let is_same = |other: &&Value| other["source"] == mount["source"];
        mount["source"].as_str().is_some_and(|source| source.starts_with('@'))
            && mounts().filter(is_same).count() > 1
    };
    when::user_namespace(config, difference)
        && when::covering(config, difference).iter().any(is_of_two)
}

/// Rules that runc loads a filter for.
fn has_rules(config: &Value, _: &Difference) -> bool {
    !config["linux"]["cgroupsPath"].is_null() || !config["linux"]["resources"].is_null()
}

fn has_rlimits(config: &Value, _: &Difference) -> bool {
    !config["process"]["rlimits"].is_null()
}

fn has_limits(config: &Value, _: &Difference) -> bool {
    !config["linux"]["resources"].is_null()
}

fn nosymfollow(config: &Value, difference: &Difference) -> bool {
    let covering = when::covering(config, difference);
    covering.iter().any(|mount| texts(&mount["options"]).any(|option| option == "nosymfollow"))
}

/// A rootfsPropagation that is recursive, as it is where nothing is given.
fn recursive_root_propagation(config: &Value, difference: &Difference) -> bool {
    !when::one_root_propagation(config, difference)
}

fn is_idle(config: &Value, _: &Difference) -> bool {
    config["linux"]["resources"]["cpu"]["idle"] == 1
}

fn checks_no_limit(config: &Value, _: &Difference) -> bool {
    let memory = &config["linux"]["resources"]["memory"];
    memory["checkBeforeUpdate"] == true && memory["limit"].is_null()
}

fn copied_up_in_user_namespace(config: &Value, difference: &Difference) -> bool {
    when::user_namespace(config, difference) && covered_with(config, difference, &["tmpcopyup"])
}

/// The same, or one lacks nosymfollow, or nodiratime on a read-only path.
fn recursive_opposites_or_symlinks(config: &Value, difference: &Difference) -> bool {
    let is_read_only = when::read_only_above(config, difference);
    let is_lost = |word: &&str| *word == "nosymfollow" || is_read_only && *word == "nodiratime";
    let without = |text: &str| {
        let rest = when::words(text).into_iter().filter(|word| !is_lost(word));
        rest.collect::<Vec<_>>().join(" ")
    };
    let (ours, theirs) = (without(&difference.ours), without(&difference.theirs));
    let is_asked = covered_with(config, difference, &["rnosymfollow"]);
    let rest = Difference { field: difference.field.clone(), ours, theirs };
    match is_asked {
        true => rest.ours == rest.theirs || recursive_opposites(config, &rest),
        false => recursive_opposites(config, difference),
    }
}

/// In a user namespace, a bind with a recursive option that takes a flag away.
fn takes_away_what_is_locked(config: &Value, difference: &Difference) -> bool {
    when::user_namespace(config, difference)
        && has_option(config, &["rsuid", "rdev", "rexec", "rrw"])
}

/// Each word that one of the two lacks is that of a recursive option, and the mount has
/// another one about the same attribute, or the host has locked it.
fn recursive_opposites<'a>(config: &Value, difference: &'a Difference) -> bool {
    let (ours, theirs) = (when::words(&difference.ours), when::words(&difference.theirs));
    let lack = |these: &[&'a str], of: &[&'a str]| -> Vec<&'a str> {
        of.iter().copied().filter(|word| !these.contains(word)).collect()
    };
    let differing = [lack(&ours, &theirs), lack(&theirs, &ours)].concat();
    let mounts = when::covering(config, difference);
    let options: Vec<&str> = mounts.iter().flat_map(|mount| texts(&mount["options"])).collect();
    let locked = when::user_namespace(config, difference);
    let has = |name: &str| options.contains(&name);
    let is_explained = |word: &str| {
        let gives = word.strip_prefix("no").unwrap_or(word);
        let recursive = [format!("r{word}"), format!("r{gives}")];
        let plain = [word.to_owned(), gives.to_owned()];
        let count = recursive.iter().chain(&plain).filter(|name| has(name)).count();
        recursive.iter().any(|name| has(name)) && (count > 1 || locked && has(&recursive[1]))
    };
    !differing.is_empty() && differing.into_iter().all(is_explained)
}

/// A mount with the option rro, and later rrw.
fn read_only_and_writable(config: &Value, _: &Difference) -> bool {
    let mounts = config["mounts"].as_array();
    mounts.into_iter().flatten().any(|mount| {
        texts(&mount["options"]).skip_while(|o| *o != "rro").any(|option| option == "rrw")
    })
}

fn priority_of_user_namespace(config: &Value, difference: &Difference) -> bool {
    when::user_namespace(config, difference) && when::scheduled(config, difference)
}

/// Below a read-only path, where mounts propagate.
fn propagated_copy(config: &Value, difference: &Difference) -> bool {
    when::read_only_above(config, difference) && !config["linux"]["rootfsPropagation"].is_null()
}

/// A copy of a read-only path that is on a shared mount.
fn hidden_copy(config: &Value, difference: &Difference) -> bool {
    when::read_only_above(config, difference)
        && when::shared_above(config, difference)
        && when::read_only_super(config, difference)
}

/// Below a source that is bound twice, once at a masked path.
fn masked_source_of_two(config: &Value, difference: &Difference) -> bool {
    source_of_two(config, difference) && when::masked_bind(config, difference)
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
