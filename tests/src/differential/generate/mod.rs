//! Makes valid config.json documents at random. One seed makes one document.
//!
//! Each feature is an independent part of the specification that a document may use. A
//! feature sees what the features before it added, so that the document stays valid: a
//! host name needs a UTS namespace.

mod allowed;
mod defaults;
mod extensions;
mod hooks;
mod mounts;
mod namespaces;
mod network;
mod process;
mod resources;
mod seccomp;
mod terminal;

use serde_json::{Value, json};

use super::random::Random;

/// What the machine can do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// The cgroup hierarchy has controllers.
    pub(super) controllers: bool,
    /// The test may raise limits and priorities.
    pub(super) privileged: bool,
    /// It has ip(8), which makes network devices.
    pub(super) has_ip: bool,
    /// Debian's AppArmor profiles are loaded.
    pub(super) has_profiles: bool,
}

/// Adds to a document, as far as the place permits.
type Add = fn(&mut Random, &mut Value, Place);

/// A part of the specification.
struct Feature {
    name: &'static str,
    /// In how many of a hundred documents it is.
    chance: usize,
    add: Add,
}

const fn feature(name: &'static str, chance: usize, add: Add) -> Feature {
    Feature { name, chance, add }
}

/// All features, in the order in which they are added.
const FEATURES: &[Feature] = &[
    feature("namespaces", 100, namespaces::own),
    feature("namespaces by path", 10, namespaces::joined),
    feature("namespaces time", 4, namespaces::time),
    feature("user namespace", 15, namespaces::user),
    feature("hostname", 60, namespaces::hostname),
    feature("domainname", 8, namespaces::domainname),
    feature("sysctl", 25, namespaces::sysctl),
    feature("mounts usual", 95, mounts::usual),
    feature("mounts cgroup", 25, mounts::cgroup),
    feature("mounts bind", 45, mounts::binds),
    feature("mounts tmpfs", 30, mounts::tmpfs),
    feature("mounts other", 10, mounts::others),
    feature("mounts with propagation", 12, mounts::propagating),
    feature("mounts with recursive options", 4, mounts::recursive),
    feature("mounts shuffled", 10, mounts::shuffled),
    feature("root readonly", 20, mounts::readonly_root),
    feature("rootfsPropagation", 20, mounts::rootfs_propagation),
    feature("maskedPaths", 45, mounts::masked),
    feature("readonlyPaths", 45, mounts::readonly),
    feature("devices", 35, mounts::devices),
    feature("process user", 50, process::user),
    feature("process umask", 20, process::umask),
    feature("process additionalGids", 25, process::additional_gids),
    feature("process capabilities", 75, process::capabilities),
    feature("process noNewPrivileges", 50, process::no_new_privileges),
    feature("process rlimits", 45, process::rlimits),
    feature("process oomScoreAdj", 30, process::oom_score_adj),
    feature("process cwd", 35, process::cwd),
    feature("process env", 60, process::env),
    feature("process scheduler", 6, process::scheduler),
    feature("process ioPriority", 6, process::io_priority),
    feature("personality", 4, process::personality),
    feature("seccomp", 25, seccomp::add),
    feature("cgroupsPath", 90, resources::path),
    feature("resources memory", 25, resources::memory),
    feature("resources cpu", 25, resources::cpu),
    feature("resources pids", 25, resources::pids),
    feature("resources devices", 35, resources::devices),
    feature("resources blockIO", 6, resources::block_io),
    feature("resources hugepageLimits", 6, resources::hugepages),
    feature("resources unified", 12, resources::unified),
    feature("annotations", 10, resources::annotations),
    feature("process args", 20, process::args),
    feature("hooks", 12, hooks::add),
    feature("process terminal", 8, terminal::add),
    feature("seccomp listener", 6, seccomp::listener),
    feature("mounts mapped", 5, extensions::mapped_mounts),
    feature("mounts of links", 5, extensions::links),
    feature("annotations of crun", 3, extensions::annotations),
    feature("fds", 8, process::fds),
    feature("netDevices", 4, network::devices),
    feature("defaults", 8, defaults::add),
    feature("ociVersion", 10, defaults::version),
    feature("root path", 10, defaults::root_path),
    feature("mounts with rare options", 8, mounts::rare_options),
    feature("namespaces time by path", 2, namespaces::joined_time),
    feature("mappings differ", 4, namespaces::other_mappings),
    feature("offsets", 2, namespaces::offsets),
    feature("process execCPUAffinity", 3, process::affinity),
    feature("process scheduler deadline", 2, process::deadline),
    feature("seccomp flags", 4, seccomp::flags),
    feature("seccomp more", 8, seccomp::more),
    feature("seccomp allows", 8, seccomp::allow_list),
    feature("hooks late", 1, hooks::late),
    feature("resources rare", 10, resources::rare),
    feature("resources of v1", 3, resources::of_v1),
    feature("resources of disks", 5, resources::disks),
    feature("mounts with more recursive options", 3, mounts::more_recursive),
    feature("process apparmorProfile", 10, process::apparmor_profile),
    feature("memoryPolicy", 2, process::memory_policy),
    feature("resources of the network", 2, resources::network),
    feature("intelRdt", 1, resources::intel_rdt),
];

/// Features that vial does not have yet. Whoever adds one takes it out of this list.
const NOT_YET: &[&str] = &[];

/// The document of a seed.
pub(super) fn config(seed: u64, place: Place) -> Value {
    let mut random = Random::new(seed);
    let mut config = json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": { "uid": 0, "gid": 0 },
            "args": ["/probe", "survey"],
            "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
            "cwd": "/",
        },
        "root": { "path": "rootfs" },
        "mounts": [{ "destination": "/proc", "type": "proc", "source": "proc" }],
        "linux": {},
    });
    for feature in FEATURES.iter().filter(|feature| !NOT_YET.contains(&feature.name)) {
        if random.percent(feature.chance) {
            (feature.add)(&mut random, &mut config, place);
        }
    }
    let paths = paths(&config);
    if let Some(words) = config["process"]["args"].as_array_mut() {
        words.extend(paths.into_iter().map(Value::from));
        words.extend(["+", "copy"].map(Value::from));
    }
    config
}

/// The paths that the probe looks at: some of every container, and those that this
/// document names.
fn paths(config: &Value) -> Vec<String> {
    const ALWAYS: &[&str] = &[
        "/",
        "/dev",
        "/dev/null",
        "/dev/ptmx",
        "/dev/console",
        "/dev/tty",
        "/dev/fd",
        "/dev/core",
        "/proc/sys/kernel/hostname",
        "/proc/sysrq-trigger",
        "/proc/kcore",
        "/proc/1/environ",
        "/sys",
        "/sys/fs/cgroup",
        "/sys/kernel",
        "/etc",
        "/etc/hosts",
        "/etc/mtab",
        "/target",
        "/tmp",
        "/run",
        "/nodes/null",
        "/nodes/zero",
        "/nodes/full",
        "/nodes/kmsg",
        "/nodes/ptmx",
        "/nodes/fuse",
        "/nodes/loop",
    ];
    let mut paths: Vec<String> = ALWAYS.iter().map(|path| (*path).to_owned()).collect();
    let linux = &config["linux"];
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    for field in ["maskedPaths", "readonlyPaths"] {
        paths.extend(list(&linux[field]).iter().filter_map(text));
    }
    paths.extend(list(&linux["devices"]).iter().filter_map(|device| text(&device["path"])));
    for mount in list(&config["mounts"]) {
        let of_others = mount["source"].as_str().is_some_and(|source| source.ends_with("/owned"));
        for below in ["", "/user"].iter().take(1 + usize::from(of_others)) {
            paths.extend(text(&mount["destination"]).map(|place| place + below));
        }
    }
    let sysctls = linux["sysctl"].as_object().into_iter().flatten();
    paths.extend(sysctls.map(|(name, _)| format!("/proc/sys/{}", name.replace('.', "/"))));
    paths.extend(text(&config["process"]["cwd"]));
    paths.sort();
    paths.dedup();
    paths
}

/// Whether the document makes or joins a namespace.
pub(super) fn has(config: &Value, kind: &str) -> bool {
    let list = config["linux"]["namespaces"].as_array();
    list.into_iter().flatten().any(|namespace| namespace["type"] == kind)
}

/// Adds to a list of the document, which it creates if it is missing.
fn push(list: &mut Value, value: Value) {
    if !list.is_array() {
        *list = json!([]);
    }
    if let Some(list) = list.as_array_mut() {
        list.push(value);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{FEATURES, NOT_YET, Place, config};

    const PLACE: Place =
        Place { controllers: true, privileged: true, has_ip: true, has_profiles: true };

    #[test]
    fn a_seed_repeats_its_document() {
        for seed in 0..100 {
            assert_eq!(config(seed, PLACE), config(seed, PLACE));
        }
        assert_ne!(config(1, PLACE), config(2, PLACE));
    }

    #[test]
    fn each_feature_that_is_left_out_exists() {
        let names: BTreeSet<&str> = FEATURES.iter().map(|feature| feature.name).collect();
        assert_eq!(names.len(), FEATURES.len());
        assert!(NOT_YET.iter().all(|name| names.contains(name)), "{NOT_YET:?}");
    }
}
