//! What the hooks of a container noted, as flat fields.

use serde_json::{Map, Value, json};

use super::normal::{self, Seen};
use super::stage::{Helper, Stage};

/// Adds the order of the hooks, and what each of them saw. Of a container that was refused
/// because a hook failed, the order is part of what it left; otherwise it only tells when
/// the runtime refused it.
pub(super) fn add(config: &Value, helper: Option<&Helper>, stage: &Stage, seen: &mut Seen) {
    let notes = stage.notes();
    let order: Vec<String> = notes.iter().map(|note| normal::word(&note["name"])).collect();
    match seen.is_refused() {
        true if config["hooks"].to_string().contains("\"exit\"") => {
            return seen.add(&["left", "hooks"], order.join(" "));
        }
        true => return,
        false if notes.is_empty() => return,
        false => seen.add(&["hooks"], order.join(" ")),
    }
    for note in &notes {
        let path = format!("hooks|{}", normal::word(&note["name"]));
        seen.flatten(&path, &one(note, helper, stage));
    }
}

/// One hook. Only what a hook can expect: of the mounts, which there are in the rootfs.
fn one(note: &Value, helper: Option<&Helper>, stage: &Stage) -> Value {
    const SAME: [&str; 17] = [
        "args",
        "apparmor",
        "capabilities",
        "environ",
        "gid",
        "groups",
        "hostname",
        "interfaces",
        "no_new_privs",
        "oom_score_adj",
        "personality",
        "rlimits",
        "scheduler",
        "seccomp",
        "uid",
        "uid_map",
        "umask",
    ];
    let report = &note["report"];
    let mut all: Map<String, Value> =
        SAME.iter().map(|name| ((*name).to_owned(), report[name].clone())).collect();
    all.insert("environ".to_owned(), normal::environ(&report["environ"], &report["pid"]));
    let namespaces = report["namespaces"].as_object().into_iter().flatten();
    let namespaces = namespaces.map(|(name, link)| {
        (name.clone(), json!(normal::whose(name, &normal::word(link), helper)))
    });
    all.insert("namespaces".to_owned(), Value::Object(namespaces.collect()));
    all.insert("cwd".to_owned(), json!(below(stage, &normal::word(&report["cwd"]))));
    all.insert("fds".to_owned(), normal::fds(&report["fds"]));
    all.insert("signals".to_owned(), note["signals"].clone());
    let rootfs = stage.rootfs().to_string_lossy().into_owned();
    let mounts = report["mounts"].as_array().into_iter().flatten();
    let mut mounts: Vec<&str> = mounts
        .filter_map(|mount| mount["point"].as_str()?.strip_prefix(rootfs.as_str()))
        .filter(|place| !place.is_empty())
        .collect();
    mounts.sort_unstable();
    mounts.dedup();
    all.insert("mounts".to_owned(), json!(mounts));
    let mut state: Value =
        serde_json::from_str(&normal::word(&note["input"])).unwrap_or(json!("no JSON"));
    normalise_state(&mut state, stage);
    all.insert("state".to_owned(), state);
    Value::Object(all)
}

/// Replaces what differs from run to run in a container's state.
pub(super) fn normalise_state(state: &mut Value, stage: &Stage) {
    if let Some(state) = state.as_object_mut() {
        for (name, value) in state {
            match name.as_str() {
                "ociVersion" => *value = json!("a version"),
                "pid" => *value = json!(value.as_u64().map_or("no pid", |_| "a pid")),
                "bundle" => *value = json!(below(stage, &normal::word(value))),
                _ => {}
            }
        }
    }
}

/// A path without the stage's directory.
fn below(stage: &Stage, path: &str) -> String {
    path.replace(&*stage.directory.to_string_lossy(), "@stage@")
}
