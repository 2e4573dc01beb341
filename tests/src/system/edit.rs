//! Changes to config.json that several topics share, and a container that runs while
//! a test looks at it.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::Context;
use crate::bundle::Bundle;
use crate::context::{Done, probe_arguments};

/// Appends to a list of config.json, and creates the list if it is missing.
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

/// Adds a bind of a host path.
pub(super) fn bind(config: &mut Value, source: &str, destination: &str, options: &[&str]) {
    mount(config, "bind", source, destination, options);
}

/// Adds a new namespace.
pub(super) fn namespace(config: &mut Value, kind: &str) {
    add(&mut config["linux"]["namespaces"], json!({ "type": kind }));
}

/// Joins a namespace instead of creating one.
pub(super) fn join(config: &mut Value, kind: &str, path: &str) {
    without_namespace(config, kind);
    add(&mut config["linux"]["namespaces"], json!({ "type": kind, "path": path }));
}

/// Removes a namespace.
pub(super) fn without_namespace(config: &mut Value, kind: &str) {
    if let Some(list) = config["linux"]["namespaces"].as_array_mut() {
        list.retain(|namespace| namespace["type"] != kind);
    }
}

/// Removes the mounts at a path and below it.
pub(super) fn without_mounts(config: &mut Value, path: &str) {
    if let Some(list) = config["mounts"].as_array_mut() {
        list.retain(|mount| {
            let rest = mount["destination"].as_str().and_then(|at| at.strip_prefix(path));
            rest.is_none_or(|rest| !rest.is_empty() && !rest.starts_with('/'))
        });
    }
}

/// Removes the mount of /proc, and the masked and read-only paths.
pub(super) fn without_proc(config: &mut Value) {
    without_mounts(config, "/proc");
    for field in ["maskedPaths", "readonlyPaths"] {
        config["linux"][field] = json!([]);
    }
}

/// Removes the host name, which needs a new uts namespace.
pub(super) fn without_hostname(config: &mut Value) {
    config.as_object_mut().map(|fields| fields.remove("hostname"));
}

/// Removes the id maps, which a joined user namespace has already.
pub(super) fn without_maps(config: &mut Value) {
    for map in ["uidMappings", "gidMappings"] {
        config["linux"].as_object_mut().map(|linux| linux.remove(map));
    }
}

/// Adds a user namespace that maps ids 0 to 65535 to the host's from `first` on.
pub(super) fn user_namespace(config: &mut Value, first: u32) {
    namespace(config, "user");
    let map = json!([{ "containerID": 0, "hostID": first, "size": 65536 }]);
    config["linux"]["uidMappings"] = map.clone();
    config["linux"]["gidMappings"] = map;
}

/// Adds a cgroup namespace, and mounts its cgroup at /sys/fs/cgroup.
pub(super) fn show_cgroup(config: &mut Value, options: &[&str]) {
    namespace(config, "cgroup");
    mount(config, "cgroup", "cgroup", "/sys/fs/cgroup", options);
}

/// Makes the probe with these deeds the process.
pub(super) fn deeds(config: &mut Value, arguments: &[&str]) {
    config["process"]["args"] = probe_arguments(arguments);
}

/// Sets the bounding, effective and permitted capabilities.
pub(super) fn capabilities(config: &mut Value, names: &[&str]) {
    for set in ["bounding", "effective", "permitted"] {
        config["process"]["capabilities"][set] = json!(names);
    }
}

/// Runs a container whose process is the probe with these deeds, and whose config.json
/// is the base one after `edit`.
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

/// What such a container prints, without the last newline. It must succeed.
pub(super) fn said(
    context: &Context,
    arguments: &[&str],
    edit: impl FnOnce(&mut Value),
) -> Result<String, String> {
    Ok(run(context, arguments, edit)?.success()?.stdout.trim_end().to_owned())
}

/// Runs a bundle whose process is the probe, and returns its report.
pub(super) fn report_of(context: &Context, bundle: &Bundle) -> Result<Value, String> {
    context.run_bundle(bundle)?.success()?.json()
}

/// Checks that vial refuses the base config.json after `edit` in one sentence that
/// contains all of `words`, and leaves nothing behind.
pub(super) fn refused(
    context: &Context,
    words: &[&str],
    edit: impl FnOnce(&mut Value),
) -> Result<(), String> {
    let bundle = context.bundle(edit)?;
    refused_bundle(context, &bundle, words)
}

/// The same for a bundle.
pub(super) fn refused_bundle(
    context: &Context,
    bundle: &Bundle,
    words: &[&str],
) -> Result<(), String> {
    let before = context.leftovers();
    words_of_refusal(&context.run_bundle(bundle)?, words)?;
    context.nothing_left_since(&before)
}

/// Checks that vial refused in one sentence that contains all of `words`.
pub(super) fn words_of_refusal(done: &Done, words: &[&str]) -> Result<(), String> {
    one_sentence(done)?;
    match words.iter().find(|word| !done.stderr.contains(**word)) {
        Some(word) => Err(format!("stderr does not contain {word:?}: {done}")),
        None => Ok(()),
    }
}

/// Checks that vial failed with exit code 1, or 255 of exec, and exactly one sentence.
pub(super) fn one_sentence(done: &Done) -> Result<(), String> {
    let own = done.stderr.lines().filter(|line| line.starts_with("vial: ")).count();
    let others = done.stderr.lines().any(|l| !l.starts_with("vial: ") && !l.starts_with("hint: "));
    if !matches!(done.code, 1 | 255) || own != 1 || others {
        return Err(format!("not a refusal with one sentence: {done}"));
    }
    Ok(())
}

/// The topmost mount at `point` in a report.
pub(super) fn mount_at<'a>(report: &'a Value, point: &str) -> Result<&'a Value, String> {
    let mounts = report["mounts"].as_array().ok_or("no mounts in the report")?;
    mounts.iter().rfind(|mount| mount["point"] == point).ok_or_else(|| {
        let points: Vec<_> = mounts.iter().map(|mount| &mount["point"]).collect();
        format!("no mount at {point}, only at {points:?}")
    })
}

/// Whether a list of a report, such as a mount's options, contains `word`.
pub(super) fn has(list: &Value, word: &str) -> bool {
    list.as_array().is_some_and(|words| words.iter().any(|w| w == word))
}

/// A container that is created, or also started. Dropping it deletes it.
pub(super) struct Container<'a> {
    context: &'a Context,
    /// Its id.
    pub(super) id: String,
    /// The host's pid of its first process.
    pub(super) pid: u32,
    /// Its bundle.
    pub(super) bundle: Bundle,
}

impl<'a> Container<'a> {
    /// A created container.
    pub(super) fn create(context: &'a Context, bundle: Bundle) -> Result<Self, String> {
        Self::create_with(context, bundle, &[])
    }

    /// A created container; `create` gets these options.
    pub(super) fn create_with(
        context: &'a Context,
        bundle: Bundle,
        options: &[&str],
    ) -> Result<Self, String> {
        let id = context.id();
        let mut command = context.command(&["create", "--bundle"]);
        context.run(command.arg(&bundle.path).args(options).arg(&id))?.success()?;
        let mut container = Self { context, id, pid: 0, bundle };
        let state = context.vial(&["state", &container.id])?.success()?.json()?;
        container.pid = state["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0);
        Ok(container)
    }

    /// A started container whose process is the probe with these deeds.
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

    /// The path of one of its namespaces, by its name in /proc/PID/ns.
    pub(super) fn namespace(&self, name: &str) -> String {
        format!("/proc/{}/ns/{name}", self.pid)
    }

    /// The target of that namespace's link.
    pub(super) fn namespace_inode(&self, name: &str) -> Result<String, String> {
        inode(&self.namespace(name))
    }

    /// Runs `vial exec` with these options, and the probe with these deeds.
    pub(super) fn exec(&self, options: &[&str], arguments: &[&str]) -> Result<Done, String> {
        let mut words = vec!["exec"];
        words.extend(options);
        words.extend([&self.id, "/probe"]);
        words.extend(arguments);
        Ok(self.context.vial(&words)?)
    }

    /// The probe's report from an exec with these options.
    pub(super) fn exec_report(&self, options: &[&str]) -> Result<Value, String> {
        self.exec(options, &["report"])?.success()?.json()
    }

    /// The path of its root on the host.
    pub(super) fn root(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.pid))
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        // If this fails, the runner finds the process that is left.
        let _ = self.context.vial(&["delete", "--force", &self.id]);
    }
}

/// The target of a link in /proc/PID/ns: "kind:[inode]".
pub(super) fn inode(path: &str) -> Result<String, String> {
    let link = fs::read_link(path).map_err(|error| format!("{path}: {error}"))?;
    Ok(link.to_string_lossy().into_owned())
}
