//! Conditions of the rows: what a document asks for, and how two values differ.

use std::path::Path;

use serde_json::Value;

use super::compare::Difference;
pub(super) use super::mounted::{
    below_bind, below_bind_anywhere, covered_null, covering, later_option, masked_bind,
    mounted_twice, recursive_times, shared_above, tmpfs_with_mode, tmpfs_without_mode,
    two_access_times, two_propagations,
};

/// Whether a row is about this document and this difference.
pub(super) type Condition = fn(&Value, &Difference) -> bool;

pub(super) fn always(_: &Value, _: &Difference) -> bool {
    true
}

/// The path in the container that a field is about: `report|mounts|PATH|..` or
/// `paths|PATH|..`, without the number of a mount on top of others.
pub(super) fn place(difference: &Difference) -> &str {
    let mut parts = difference.field.split('|');
    let place = match (parts.next(), parts.next(), parts.next()) {
        (Some("report"), Some("mounts"), Some(place))
        | (Some("paths" | "rootfs"), Some(place), _) => place,
        _ => "",
    };
    place.split('#').next().unwrap_or_default()
}

/// A path after the symbolic links of the rootfs.
pub(super) fn resolved(path: &str) -> String {
    const LINKS: &[(&str, &str)] = &[
        ("/link", "/target"),
        ("/absolute", "/target"),
        ("/upwards", "/target"),
        ("/var/run", "/run"),
        ("/dangling", "/nowhere/yet"),
        ("/data/..", ""),
    ];
    for (link, target) in LINKS {
        match path.strip_prefix(link) {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => {
                return format!("{target}{rest}");
            }
            _ => {}
        }
    }
    path.to_owned()
}

pub(super) fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// Whether a list of paths has the field's.
pub(super) fn lists(list: &Value, difference: &Difference) -> bool {
    let place = resolved(place(difference));
    texts(list).any(|path| resolved(path) == place)
}

pub(super) fn masked(config: &Value, difference: &Difference) -> bool {
    lists(&config["linux"]["maskedPaths"], difference)
}

/// A masked file, which is /dev/null under the others.
pub(super) fn masked_file(config: &Value, difference: &Difference) -> bool {
    const CHANGED: [(&str, &str); 4] =
        [("type", "c"), ("device", "1:3"), ("write", "ok"), ("mode", "0666")];
    let end = difference.field.rsplit('|').next().unwrap_or_default();
    masked(config, difference)
        && (end == "owner" || CHANGED.contains(&(end, difference.theirs.as_str())))
}

pub(super) fn user_namespace(config: &Value, _: &Difference) -> bool {
    let list = config["linux"]["namespaces"].as_array();
    list.into_iter().flatten().any(|namespace| namespace["type"] == "user")
}

/// A user namespace whose cgroup is not mounted read/write.
pub(super) fn read_only_cgroup(config: &Value, difference: &Difference) -> bool {
    let is_writable = |mount: &Value| {
        let options = mount["options"].as_array();
        let is_ro = options.into_iter().flatten().any(|option| option == "ro");
        mount["type"].as_str().is_some_and(|kind| kind.starts_with("cgroup")) && !is_ro
    };
    let mounts = config["mounts"].as_array();
    user_namespace(config, difference) && !mounts.into_iter().flatten().any(is_writable)
}

/// A device that a container in a user namespace cannot make.
pub(super) fn bound_device(config: &Value, difference: &Difference) -> bool {
    const USUAL: [&str; 6] = ["null", "zero", "full", "tty", "random", "urandom"];
    let mut parts = difference.field.split('|').rev();
    let name = parts.find_map(|part| {
        let name = part.split('#').next()?;
        let name = name.strip_prefix("/dev/").unwrap_or(name);
        let listed = |device: &Value| device["path"].as_str() == Some(&format!("/dev/{name}"));
        let devices = config["linux"]["devices"].as_array();
        (USUAL.contains(&name) || devices.into_iter().flatten().any(listed)).then_some(name)
    });
    user_namespace(config, difference) && name.is_some()
}

/// A rootfs that receives the host's mounts, as it does where nothing is given.
pub(super) fn slave_root(config: &Value, _: &Difference) -> bool {
    let kind = &config["linux"]["rootfsPropagation"];
    kind.as_str().is_none_or(|kind| kind.is_empty() || kind.ends_with("slave"))
}

/// A rootfsPropagation that unshares.
pub(super) fn private_root(config: &Value, _: &Difference) -> bool {
    let kind = config["linux"]["rootfsPropagation"].as_str();
    kind.is_none_or(|kind| kind.is_empty() || kind.ends_with("private") || kind.ends_with("slave"))
}

pub(super) fn unbindable_root(config: &Value, _: &Difference) -> bool {
    config["linux"]["rootfsPropagation"].as_str().is_some_and(|kind| kind.ends_with("unbindable"))
}

/// The words of two values, sorted.
pub(super) fn words(text: &str) -> Vec<&str> {
    let mut words: Vec<&str> = text.split(' ').collect();
    words.sort_unstable();
    words
}

/// Whether the values are equal without these words.
pub(super) fn equal_without(difference: &Difference, ours: &[&str], theirs: &[&str]) -> bool {
    let rest = |text, out: &[&str]| {
        let mut rest = words(text).into_iter().map(str::to_owned).collect::<Vec<_>>();
        rest.retain(|word| !out.contains(&word.as_str()));
        rest
    };
    rest(&difference.ours, ours) == rest(&difference.theirs, theirs)
}

pub(super) fn read_only_super(_: &Value, difference: &Difference) -> bool {
    words(&difference.ours).contains(&"ro") && equal_without(difference, &["ro"], &["rw"])
}

pub(super) fn but_for_core(_: &Value, difference: &Difference) -> bool {
    equal_without(difference, &[], &["core"])
}

/// A read-only path, or what is mounted below it, whose mount has fewer flags than the
/// one that it lies on.
pub(super) fn loses_flags(config: &Value, difference: &Difference) -> bool {
    let place = resolved(place(difference));
    texts(&config["linux"]["readonlyPaths"])
        .any(|path| Path::new(&place).starts_with(resolved(path)))
        && words(&difference.theirs)
            .into_iter()
            .filter(|word| !["relatime", "rw"].contains(word))
            .all(|word| words(&difference.ours).contains(&word))
}

/// A bind whose mount has fewer flags than under vial.
pub(super) fn clears_flags(config: &Value, difference: &Difference) -> bool {
    let place = resolved(place(difference));
    let is_here =
        |mount: &&Value| mount["destination"].as_str().is_some_and(|path| resolved(path) == place);
    let mut mounts = config["mounts"].as_array().into_iter().flatten();
    mounts.rfind(is_here).is_some_and(|mount| {
        texts(&mount["options"]).any(|option| ["bind", "rbind"].contains(&option))
    }) && words(&difference.theirs).iter().all(|word| words(&difference.ours).contains(word))
}

/// At or below a read-only path.
pub(super) fn read_only_above(config: &Value, difference: &Difference) -> bool {
    let place = resolved(place(difference));
    texts(&config["linux"]["readonlyPaths"])
        .any(|path| Path::new(&place).starts_with(resolved(path)))
}

/// Below a masked path.
pub(super) fn masked_above(config: &Value, difference: &Difference) -> bool {
    let place = resolved(place(difference));
    texts(&config["linux"]["maskedPaths"]).any(|path| Path::new(&place).starts_with(resolved(path)))
}

/// A time namespace, but no new PID namespace.
pub(super) fn time_namespace_without_pids(config: &Value, _: &Difference) -> bool {
    let namespaces = || config["linux"]["namespaces"].as_array().into_iter().flatten();
    let is_new = |one: &Value| one["type"] == "pid" && one["path"].is_null();
    namespaces().any(|one| one["type"] == "time") && !namespaces().any(is_new)
}

/// Both have the same variables, HOME aside, where one is given twice or HOME is empty.
pub(super) fn same_variables(config: &Value, difference: &Difference) -> bool {
    let mut names: Vec<&str> =
        texts(&config["process"]["env"]).filter_map(|entry| entry.split('=').next()).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    let has_empty_home = texts(&config["process"]["env"]).any(|entry| entry == "HOME=");
    (count > names.len() || has_empty_home) && words(&difference.ours) == words(&difference.theirs)
}

pub(super) fn home_missing(_: &Value, difference: &Difference) -> bool {
    let without_home = |text: &str| {
        let words = words(text).into_iter().filter(|word| !word.starts_with("HOME="));
        words.map(str::to_owned).collect::<Vec<_>>()
    };
    let set =
        |text: &str| words(text).iter().any(|word| word.len() > 5 && word.starts_with("HOME="));
    set(&difference.ours)
        && !set(&difference.theirs)
        && without_home(&difference.ours) == without_home(&difference.theirs)
}

/// A tmpfs whose mode is not given.
pub(super) fn tmpfs_mode(_: &Value, difference: &Difference) -> bool {
    let mode = words(&difference.ours).into_iter().find(|word| word.starts_with("mode="));
    mode.is_some_and(|mode| {
        equal_without(difference, &[mode], &[]) || equal_without(difference, &[mode, "ro"], &["rw"])
    })
}

pub(super) fn scheduled(config: &Value, _: &Difference) -> bool {
    let process = &config["process"];
    !process["scheduler"].is_null() || !process["ioPriority"].is_null()
}

/// The effective set has more than the permitted one.
pub(super) fn capabilities_beyond(config: &Value, _: &Difference) -> bool {
    let sets = &config["process"]["capabilities"];
    texts(&sets["effective"]).any(|name| texts(&sets["permitted"]).all(|other| other != name))
        || texts(&sets["inheritable"])
            .any(|name| texts(&sets["bounding"]).all(|other| other != name))
}

pub(super) fn personality(config: &Value, _: &Difference) -> bool {
    !config["linux"]["personality"].is_null()
}

pub(super) fn no_cgroups_path(config: &Value, _: &Difference) -> bool {
    config["linux"]["cgroupsPath"].is_null()
}

pub(super) fn shared_root(config: &Value, _: &Difference) -> bool {
    config["linux"]["rootfsPropagation"].as_str().is_some_and(|kind| kind.ends_with("shared"))
}

/// A read-only path in another one that is listed later.
pub(super) fn read_only_within(config: &Value, difference: &Difference) -> bool {
    let place = resolved(place(difference));
    let paths: Vec<String> = texts(&config["linux"]["readonlyPaths"]).map(resolved).collect();
    let within =
        |path: &String| place.strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with('/'));
    paths.contains(&place) && paths.iter().any(within)
}

/// linux.devices lists a device that every container has.
pub(super) fn default_device(config: &Value, _: &Difference) -> bool {
    const USUAL: [&str; 2] = ["/dev/null", "/dev/full"];
    let devices = config["linux"]["devices"].as_array();
    devices
        .into_iter()
        .flatten()
        .any(|device| device["path"].as_str().is_some_and(|path| USUAL.contains(&path)))
}

/// A device that only rules for the filter allow.
pub(super) fn no_device_rules(config: &Value, difference: &Difference) -> bool {
    config["linux"]["resources"]["devices"].as_array().is_none_or(Vec::is_empty)
        && ["/nodes/", "/dev/", "/opt/", "/target/"]
            .iter()
            .any(|start| resolved(place(difference)).starts_with(start))
}

pub(super) fn group_twice(config: &Value, _: &Difference) -> bool {
    let mut groups: Vec<u64> = config["process"]["user"]["additionalGids"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_u64)
        .collect();
    let count = groups.len();
    groups.sort_unstable();
    groups.dedup();
    count > groups.len()
}

/// More than one rule for a system call.
pub(super) fn rule_twice(config: &Value, _: &Difference) -> bool {
    let rules = config["linux"]["seccomp"]["syscalls"].as_array();
    let mut names: Vec<&str> =
        rules.into_iter().flatten().flat_map(|rule| texts(&rule["names"])).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    count > names.len()
}

/// More than one rule for this call, with different actions.
pub(super) fn two_actions(config: &Value, difference: &Difference) -> bool {
    let call = difference.field.split(['|', '(']).nth(1).unwrap_or_default();
    let rules = config["linux"]["seccomp"]["syscalls"].as_array().into_iter().flatten();
    let of_call = rules.filter(|rule| texts(&rule["names"]).any(|name| name == call));
    let mut actions: Vec<_> = of_call.map(|rule| (&rule["action"], &rule["errnoRet"])).collect();
    actions.dedup();
    actions.len() > 1
}

pub(super) fn shares(config: &Value, _: &Difference) -> bool {
    !config["linux"]["resources"]["cpu"]["shares"].is_null()
}

pub(super) fn no_nofile(config: &Value, _: &Difference) -> bool {
    let limits = config["process"]["rlimits"].as_array();
    limits.into_iter().flatten().all(|limit| limit["type"] != "RLIMIT_NOFILE")
}

pub(super) fn empty_path_entry(config: &Value, _: &Difference) -> bool {
    texts(&config["process"]["env"]).any(|entry| entry.starts_with("PATH=") && entry.contains("::"))
}

/// A rootfsPropagation that is not recursive.
pub(super) fn one_root_propagation(config: &Value, _: &Difference) -> bool {
    let kind = config["linux"]["rootfsPropagation"].as_str();
    kind.is_some_and(|kind| ["private", "slave", "shared", "unbindable"].contains(&kind))
}
