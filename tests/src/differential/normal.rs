//! What was seen of a container, as flat fields that are equal if the containers are:
//! without ids, numbers of devices and names that differ from run to run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::stage::{Helper, Stage};

/// What was seen of one container: fields such as `report/rlimits/RLIMIT_CORE/soft`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) fields: BTreeMap<String, String>,
    /// What the runtime wrote to its stderr, which is shown but not compared.
    pub(super) said: String,
}

/// The field that says whether the container ran.
pub(super) const END: &str = "end";
const REFUSED: &str = "refused: ";

impl Seen {
    /// A container that the runtime refused, with this message.
    pub(super) fn refused(message: &str) -> Self {
        let mut seen = Self::default();
        let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
        seen.add(&[END], format!("{REFUSED}{line}"));
        seen
    }

    /// Forgets what a runtime without cgroups cannot show: its filter of devices, too.
    pub(super) fn forget_cgroup(&mut self) {
        const OF_CGROUP: [&str; 7] = [
            "cgroup|",
            "left|cgroup",
            "paths|/dev/",
            "paths|/nodes",
            "paths|/sys/fs/cgroup",
            "report|cgroup",
            "report|mounts|/sys/fs/cgroup",
        ];
        self.fields.retain(|field, _| !OF_CGROUP.iter().any(|start| field.starts_with(start)));
    }

    /// Whether the runtime refused the container.
    pub(super) fn is_refused(&self) -> bool {
        self.fields.get(END).is_some_and(|end| end.starts_with(REFUSED))
    }

    /// Adds a field.
    pub(super) fn add(&mut self, path: &[&str], value: String) {
        self.fields.insert(path.join("|"), value);
    }

    /// Adds the members of an object, and theirs, as fields below a path.
    pub(super) fn flatten(&mut self, path: &str, value: &Value) {
        let below =
            |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}|{key}") };
        match value {
            Value::Object(members) => {
                members.iter().for_each(|(key, value)| self.flatten(&below(key), value));
            }
            Value::Array(list) if list.iter().all(|one| !one.is_object() && !one.is_array()) => {
                let words: Vec<String> = list.iter().map(word).collect();
                self.fields.insert(path.to_owned(), words.join(" "));
            }
            Value::Array(list) => {
                for (index, value) in list.iter().enumerate() {
                    self.flatten(&below(&index.to_string()), value);
                }
            }
            Value::Null => {}
            _ => _ = self.fields.insert(path.to_owned(), word(value)),
        }
    }
}

pub(super) fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Normalises the survey of a probe, and adds the files of its cgroup.
pub(super) fn seen(survey: &Value, cgroup: &Value, helper: Option<&Helper>, stage: &Stage) -> Seen {
    let mut all = survey.clone();
    let report = &mut all["report"];
    // Different at each start; the environment is compared in its order.
    for name in ["memory", "env"] {
        report[name] = Value::Null;
    }
    // The lines of other hierarchies are those of a host with v1.
    let cgroups = word(&report["cgroup"]);
    report["cgroup"] = json!(cgroups.lines().find(|line| line.starts_with("0::")));
    let own = report["pid"].clone();
    report["environ"] = environ(&report["environ"], &own);
    report["ppid"] = related(&report["ppid"], &own);
    report["sid"] = related(&report["sid"], &own);
    if own != 1 {
        report["pid"] = json!("not 1");
    }
    report["session_keyring"]["id"] = Value::Null;
    report["mounts"] = mounts(&report["mounts"], stage);
    report["fds"] = fds(&report["fds"]);
    if let Some(files) = report["cgroup_files"].as_object_mut() {
        files.retain(|name, text| {
            let defaults = FILES.iter().find(|(file, _)| file == name).map(|(_, texts)| texts);
            !defaults.is_some_and(|texts| texts.contains(&word(text).as_str()))
        });
    }
    if let Some(namespaces) = report["namespaces"].as_object_mut() {
        for (name, link) in namespaces {
            *link = json!(whose(name, &word(link), helper));
        }
    }
    all["cgroup"] = cgroup.clone();
    let mut seen = Seen::default();
    seen.flatten("", &all);
    seen
}

/// The environment, in which LISTEN_PID is the process's own, or another one's.
pub(super) fn environ(list: &Value, own: &Value) -> Value {
    let entry = |entry: &Value| match word(entry).strip_prefix("LISTEN_PID=") {
        Some(pid) if pid == word(own) => json!("LISTEN_PID=own"),
        Some("1") => json!("LISTEN_PID=1"),
        Some(_) => json!("LISTEN_PID=another"),
        None => entry.clone(),
    };
    list.as_array().map_or(Value::Null, |list| list.iter().map(entry).collect())
}

/// A process in relation to the container's own.
fn related(pid: &Value, own: &Value) -> Value {
    match pid.as_u64() {
        _ if pid == own => json!("own"),
        Some(0) => json!("outside"),
        Some(_) => json!("other"),
        None => Value::Null,
    }
}

/// Whose namespace it is.
pub(super) fn whose(name: &str, link: &str, helper: Option<&Helper>) -> &'static str {
    let host = fs::read_link(format!("/proc/self/ns/{name}")).unwrap_or_default();
    if host.to_string_lossy() == link {
        "host's"
    } else if helper.is_some_and(|helper| helper.namespace(name).as_deref() == Some(link)) {
        "helper's"
    } else {
        "own"
    }
}

/// The mounts by their place. Where several lie on each other, the topmost has the
/// greatest number.
fn mounts(list: &Value, stage: &Stage) -> Value {
    let mut by_place = Map::new();
    let mut count: BTreeMap<String, u32> = BTreeMap::new();
    for mount in list.as_array().into_iter().flatten() {
        let point = word(&mount["point"]);
        let number = count.entry(point.clone()).or_default();
        *number += 1;
        let place = if *number == 1 { point } else { format!("{point}#{number}") };
        let propagation: BTreeSet<String> = mount["propagation"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|word| word.as_str().unwrap_or_default())
            .filter_map(|word| word.split(':').next())
            .filter(|word| *word != "propagate_from")
            .map(str::to_owned)
            .collect();
        let directory = stage.directory.to_string_lossy();
        let sorted = |list: &Value| {
            let mut words: Vec<String> = list.as_array().into_iter().flatten().map(word).collect();
            words.sort();
            words
        };
        by_place.insert(
            place,
            json!({
                "root": word(&mount["root"]).replace(&*directory, "@stage@"),
                "options": sorted(&mount["options"]),
                "propagation": propagation,
                "type": mount["type"],
                "source": word(&mount["source"]).replace(&*directory, "@stage@"),
                "super": sorted(&mount["super"]),
            }),
        );
    }
    Value::Object(by_place)
}

/// What each fd refers to, without the numbers of pipes and sockets. Of the first three,
/// only that they are open: runc's `run` puts pipes in their place.
pub(super) fn fds(map: &Value) -> Value {
    let members = map.as_object().into_iter().flatten();
    let kinds = members.map(|(number, target)| {
        let target = if number.len() == 1 && ("0"..="2").contains(&number.as_str()) {
            "open".to_owned()
        } else {
            word(target)
        };
        let kind = target.split(":[").next().unwrap_or_default();
        (number.clone(), json!(kind))
    });
    Value::Object(kinds.collect())
}

/// Files of a cgroup that a limit may set, and their defaults. A file is missing where
/// its controller is not enabled, which limits the container as little as the default.
const FILES: &[(&str, &[&str])] = &[
    ("cgroup.freeze", &["0"]),
    ("cgroup.max.depth", &["max"]),
    ("cgroup.max.descendants", &["max"]),
    ("cgroup.type", &["domain"]),
    ("cgroup.subtree_control", &[""]),
    ("cpu.idle", &["0"]),
    ("cpu.max", &["max 100000"]),
    ("cpu.max.burst", &["0"]),
    ("cpu.weight", &["100"]),
    ("cpuset.cpus", &[""]),
    ("cpuset.cpus.partition", &["member"]),
    ("cpuset.mems", &[""]),
    ("hugetlb.2MB.max", &["max", "9223372036854771712"]),
    ("hugetlb.2MB.rsvd.max", &["max", "9223372036854771712"]),
    ("io.max", &[""]),
    ("io.weight", &["default 100"]),
    ("io.bfq.weight", &["default 100", "100"]),
    ("memory.high", &["max"]),
    ("memory.low", &["0"]),
    ("memory.max", &["max"]),
    ("memory.min", &["0"]),
    ("memory.oom.group", &["0"]),
    ("memory.swap.high", &["max"]),
    ("memory.swap.max", &["max"]),
    ("memory.zswap.max", &["max"]),
    ("misc.max", &[""]),
    ("pids.max", &["max"]),
    ("rdma.max", &[""]),
];

/// The files of a cgroup that do not have their default.
pub(super) fn cgroup_files(directory: &Path) -> Value {
    let text = |(name, defaults): &(&str, &[&str])| {
        let text = fs::read_to_string(directory.join(name)).ok()?;
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        (!defaults.contains(&text.as_str())).then(|| ((*name).to_owned(), json!(text)))
    };
    Value::Object(FILES.iter().filter_map(text).collect())
}
