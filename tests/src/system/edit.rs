//! Edits of a config.json that several topics need, and a container that runs
//! while a test looks at it.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::Context;
use crate::bundle::Bundle;
use crate::context::{Done, probe_arguments};

/// Adds to a list of config.json, which is made where there is none.
pub(super) fn add(list: &mut Value, item: Value) {
    match list {
        Value::Array(items) => items.push(item),
        other => *other = Value::Array(vec![item]),
    }
}

/// Adds a mount.
pub(super) fn mount(
    config: &mut Value,
    kind: &str,
    source: &str,
    destination: &str,
    options: &[&str],
) {
    let item = json!({
        "destination": destination, "type": kind, "source": source, "options": options
    });
    add(&mut config["mounts"], item);
}

/// Adds a bind of a path of the host.
pub(super) fn bind(config: &mut Value, source: &str, destination: &str, options: &[&str]) {
    mount(config, "bind", source, destination, options);
}

/// Adds a new namespace.
pub(super) fn namespace(config: &mut Value, kind: &str) {
    add(&mut config["linux"]["namespaces"], json!({ "type": kind }));
}

/// Joins a namespace instead of a new one.
pub(super) fn join(config: &mut Value, kind: &str, path: &str) {
    without_namespace(config, kind);
    add(&mut config["linux"]["namespaces"], json!({ "type": kind, "path": path }));
}

/// Takes a namespace away.
pub(super) fn without_namespace(config: &mut Value, kind: &str) {
    if let Some(list) = config["linux"]["namespaces"].as_array_mut() {
        list.retain(|namespace| namespace["type"] != kind);
    }
}

/// A new user namespace that maps every id of the container to `first` on.
pub(super) fn user_namespace(config: &mut Value, first: u32) {
    namespace(config, "user");
    let map = json!([{ "containerID": 0, "hostID": first, "size": 65536 }]);
    config["linux"]["uidMappings"] = map.clone();
    config["linux"]["gidMappings"] = map;
}

/// A cgroup namespace, and its cgroup at /sys/fs/cgroup.
pub(super) fn show_cgroup(config: &mut Value, options: &[&str]) {
    namespace(config, "cgroup");
    mount(config, "cgroup", "cgroup", "/sys/fs/cgroup", options);
}

/// The process is the probe with these arguments.
pub(super) fn deeds(config: &mut Value, arguments: &[&str]) {
    config["process"]["args"] = probe_arguments(arguments);
}

/// Gives these capabilities in the three sets that root uses.
pub(super) fn capabilities(config: &mut Value, names: &[&str]) {
    for set in ["bounding", "effective", "permitted"] {
        config["process"]["capabilities"][set] = json!(names);
    }
}

/// Runs the probe with these deeds in a container of the base config.json
/// after `edit`.
pub(super) fn run(
    context: &Context,
    arguments: &[&str],
    edit: impl FnOnce(&mut Value),
) -> Result<Done, String> {
    let bundle = context.bundle(|config| {
        deeds(config, arguments);
        edit(config);
    })?;
    Ok(context.run_bundle(&bundle)?)
}

/// What such a container printed, without the last newline.
pub(super) fn said(
    context: &Context,
    arguments: &[&str],
    edit: impl FnOnce(&mut Value),
) -> Result<String, String> {
    Ok(run(context, arguments, edit)?.success()?.stdout.trim_end().to_owned())
}

/// The report of the probe in the container of a bundle.
pub(super) fn report_of(context: &Context, bundle: &Bundle) -> Result<Value, String> {
    let done = context.run_bundle(bundle)?.success()?;
    serde_json::from_str(&done.stdout).map_err(|error| format!("report: {error}: {done}"))
}

/// Checks that vial refuses a config.json in one sentence that holds `words`,
/// and leaves nothing.
pub(super) fn refused(
    context: &Context,
    words: &[&str],
    edit: impl FnOnce(&mut Value),
) -> Result<(), String> {
    let bundle = context.bundle(edit)?;
    refused_bundle(context, &bundle, words)
}

/// The same of a bundle.
pub(super) fn refused_bundle(
    context: &Context,
    bundle: &Bundle,
    words: &[&str],
) -> Result<(), String> {
    let before = context.leftovers();
    words_of_refusal(&context.run_bundle(bundle)?, words)?;
    context.nothing_left_since(&before)
}

/// Checks that vial refused in one sentence that holds `words`.
pub(super) fn words_of_refusal(done: &Done, words: &[&str]) -> Result<(), String> {
    one_sentence(done)?;
    match words.iter().find(|word| !done.stderr.contains(**word)) {
        Some(word) => Err(format!("no word of {word:?}: {done}")),
        None => Ok(()),
    }
}

/// Checks that vial failed with code 1 and exactly one sentence of its own.
pub(super) fn one_sentence(done: &Done) -> Result<(), String> {
    let own = done.stderr.lines().filter(|line| line.starts_with("vial: ")).count();
    let others = done.stderr.lines().any(|l| !l.starts_with("vial: ") && !l.starts_with("hint: "));
    if done.code != 1 || own != 1 || others {
        return Err(format!("not exit code 1 with one sentence: {done}"));
    }
    Ok(())
}

/// The mount of a report at that path, the uppermost one.
pub(super) fn mount_at<'a>(report: &'a Value, point: &str) -> Result<&'a Value, String> {
    let mounts = report["mounts"].as_array().ok_or("no mounts in the report")?;
    mounts.iter().rfind(|mount| mount["point"] == point).ok_or_else(|| {
        let points: Vec<_> = mounts.iter().map(|mount| &mount["point"]).collect();
        format!("no mount at {point}, only at {points:?}")
    })
}

/// Whether a list of a report, as a mount's options, holds a word.
pub(super) fn has(list: &Value, word: &str) -> bool {
    list.as_array().is_some_and(|words| words.iter().any(|w| w == word))
}

/// A container that was created, and perhaps started; it goes with this.
pub(super) struct Container<'a> {
    context: &'a Context,
    /// Its id.
    pub(super) id: String,
    /// Its first process, as the host numbers it.
    pub(super) pid: u32,
    /// Its bundle.
    pub(super) bundle: Bundle,
}

impl<'a> Container<'a> {
    /// One that waits to be started.
    pub(super) fn create(context: &'a Context, bundle: Bundle) -> Result<Self, String> {
        Self::create_with(context, bundle, &[])
    }

    /// The same with these options of `create`.
    pub(super) fn create_with(
        context: &'a Context,
        bundle: Bundle,
        options: &[&str],
    ) -> Result<Self, String> {
        let id = context.id();
        let mut command = context.command(&["create", "--bundle"]);
        context.run(command.arg(&bundle.path).args(options).arg(&id))?.success()?;
        let mut container = Self { context, id, pid: 0, bundle };
        let state = context.vial(&["state", &container.id])?.success()?;
        let state: Value = serde_json::from_str(&state.stdout).map_err(|e| e.to_string())?;
        container.pid = state["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0);
        Ok(container)
    }

    /// One that runs the probe with these deeds.
    pub(super) fn start(
        context: &'a Context,
        arguments: &[&str],
        edit: impl FnOnce(&mut Value),
    ) -> Result<Self, String> {
        let bundle = context.bundle(|config| {
            deeds(config, arguments);
            edit(config);
        })?;
        let container = Self::create(context, bundle)?;
        context.vial(&["start", &container.id])?.success()?;
        Ok(container)
    }

    /// The path of one of its namespaces, by the name in /proc.
    pub(super) fn namespace(&self, name: &str) -> String {
        format!("/proc/{}/ns/{name}", self.pid)
    }

    /// What the link of that namespace says.
    pub(super) fn namespace_inode(&self, name: &str) -> Result<String, String> {
        inode(&self.namespace(name))
    }

    /// `vial exec` of the probe with these deeds, options before the id.
    pub(super) fn exec(&self, options: &[&str], arguments: &[&str]) -> Result<Done, String> {
        let mut words = vec!["exec"];
        words.extend(options);
        words.extend([&self.id, "/probe"]);
        words.extend(arguments);
        Ok(self.context.vial(&words)?)
    }

    /// Its root, as the host reaches it.
    pub(super) fn root(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.pid))
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        // A test that fails here leaves a process, which its runner finds.
        let _ = self.context.vial(&["delete", "--force", &self.id]);
    }
}

/// What a link of /proc/PID/ns says: "kind:[inode]".
pub(super) fn inode(path: &str) -> Result<String, String> {
    let link = fs::read_link(path).map_err(|error| format!("{path}: {error}"))?;
    Ok(link.to_string_lossy().into_owned())
}
