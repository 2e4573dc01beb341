//! Conditions of the rows that look at the mounts of a document.

use std::path::Path;

use serde_json::Value;

use super::compare::Difference;
use super::when::{place, resolved, texts};

/// On a mount that is shared.
pub(super) fn shared_above(config: &Value, difference: &Difference) -> bool {
    let is_shared = |mount: &&Value| texts(&mount["options"]).any(|o| o.ends_with("shared"));
    covering(config, difference).iter().any(is_shared)
}

/// A bind of /dev/null with something else on top.
pub(super) fn covered_null(config: &Value, _: &Difference) -> bool {
    let mounts = || config["mounts"].as_array().into_iter().flatten();
    let place = |mount: &Value| resolved(mount["destination"].as_str().unwrap_or_default());
    mounts().enumerate().any(|(index, null)| {
        null["source"] == "/dev/null" && mounts().skip(index + 1).any(|m| place(m) == place(null))
    })
}

/// A masked or read-only path at or above which something is bound.
pub(super) fn masked_bind(config: &Value, _: &Difference) -> bool {
    let mounts = config["mounts"].as_array();
    let mut places = mounts.into_iter().flatten().filter_map(|mount| {
        let is_bind = texts(&mount["options"]).any(|option| option.ends_with("bind"));
        is_bind.then(|| resolved(mount["destination"].as_str().unwrap_or_default()))
    });
    let linux = &config["linux"];
    let hides = |place: &String, list: &Value| {
        texts(list).any(|path| Path::new(place).starts_with(resolved(path)))
    };
    places
        .any(|place| hides(&place, &linux["maskedPaths"]) || hides(&place, &linux["readonlyPaths"]))
}

/// Several mounts at one place.
pub(super) fn mounted_twice(config: &Value, difference: &Difference) -> bool {
    options_of(config, difference).len() > 1
}

/// A mount with recursive access times.
pub(super) fn recursive_times(config: &Value, _: &Difference) -> bool {
    const TIMES: [&str; 5] = ["rnoatime", "rrelatime", "rstrictatime", "rnodiratime", "rdiratime"];
    let mounts = config["mounts"].as_array();
    mounts.into_iter().flatten().any(|mount| texts(&mount["options"]).any(|o| TIMES.contains(&o)))
}

/// The mounts whose destination is the field's path or above it.
pub(super) fn covering<'a>(config: &'a Value, difference: &Difference) -> Vec<&'a Value> {
    let place = resolved(place(difference));
    let mounts = config["mounts"].as_array().into_iter().flatten();
    let covers = |mount: &&Value| {
        let destination = resolved(mount["destination"].as_str().unwrap_or_default());
        place
            .strip_prefix(&*destination)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    mounts.filter(covers).collect()
}

fn has_mode(mount: &Value) -> bool {
    texts(&mount["options"]).any(|option| option.starts_with("mode="))
}

pub(super) fn tmpfs_without_mode(config: &Value, difference: &Difference) -> bool {
    covering(config, difference).iter().any(|mount| mount["type"] == "tmpfs" && !has_mode(mount))
}

pub(super) fn tmpfs_with_mode(config: &Value, difference: &Difference) -> bool {
    covering(config, difference).iter().any(|mount| mount["type"] == "tmpfs" && has_mode(mount))
}

/// The options of the mount at the field's path, which options exclude each other.
fn options_of<'a>(config: &'a Value, difference: &Difference) -> Vec<Vec<&'a str>> {
    let place = resolved(place(difference));
    let at = |mount: &&&Value| resolved(mount["destination"].as_str().unwrap_or_default()) == place;
    let covering = covering(config, difference);
    covering.iter().filter(at).map(|mount| texts(&mount["options"]).collect()).collect()
}

/// A mount with an option, and later its opposite.
pub(super) fn later_option(config: &Value, difference: &Difference) -> bool {
    let opposite = |one: &str, other: &str| match (one, other) {
        ("ro", "rw") | ("rw", "ro") | ("rro", "rrw") | ("rrw", "rro") => true,
        _ => one.strip_prefix("no") == Some(other) || other.strip_prefix("no") == Some(one),
    };
    covering(config, difference).iter().any(|mount| {
        let options: Vec<&str> = texts(&mount["options"]).collect();
        let both = |(index, one): (usize, &&str)| options[..index].iter().any(|o| opposite(o, one));
        options.iter().enumerate().any(both)
    })
}

/// A mount with two of the options for the time of access.
pub(super) fn two_access_times(config: &Value, difference: &Difference) -> bool {
    const TIMES: [&str; 3] = ["noatime", "relatime", "strictatime"];
    let is_time = |option: &&&str| {
        TIMES.contains(&option.strip_prefix('r').unwrap_or(option)) || TIMES.contains(option)
    };
    covering(config, difference).iter().any(|mount| {
        let options: Vec<&str> = texts(&mount["options"]).collect();
        options.iter().filter(is_time).count() > 1
    })
}

/// Below a bind that is not recursive, but has a recursive propagation.
pub(super) fn below_bind(config: &Value, difference: &Difference) -> bool {
    covering(config, difference).into_iter().any(is_below_bind)
}

/// A bind that is not recursive, but has a recursive propagation.
pub(super) fn below_bind_anywhere(config: &Value, _: &Difference) -> bool {
    config["mounts"].as_array().into_iter().flatten().any(is_below_bind)
}

fn is_below_bind(mount: &Value) -> bool {
    let options: Vec<&str> = texts(&mount["options"]).collect();
    let is_recursive = ["rprivate", "rslave", "rshared", "runbindable"];
    options.contains(&"bind") && options.iter().any(|option| is_recursive.contains(option))
}

/// A mount with two propagations.
pub(super) fn two_propagations(config: &Value, _: &Difference) -> bool {
    const KINDS: [&str; 4] = ["private", "slave", "shared", "unbindable"];
    let is_kind = |option: &&str| KINDS.contains(&option.strip_prefix('r').unwrap_or(option));
    let mounts = config["mounts"].as_array();
    mounts.into_iter().flatten().any(|mount| texts(&mount["options"]).filter(is_kind).count() > 1)
}
