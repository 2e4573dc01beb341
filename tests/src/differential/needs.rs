//! What a document may ask for that a runtime lacks. It is not compared with this one.

use serde_json::Value;

use super::generate::has;
use super::runtime::Runtime;
use super::when::texts;

/// A part of a document, and since which version a runtime has it.
struct Need {
    is_asked: fn(&Value) -> bool,
    /// None: no version has it.
    crun: Option<[u32; 2]>,
    runc: Option<[u32; 2]>,
}

const EACH: Option<[u32; 2]> = Some([0, 0]);
const NEEDS: &[Need] = &[
    // crun 1.8 hangs, or fails.
    Need { is_asked: |config| has(config, "time"), crun: Some([1, 9]), runc: EACH },
    Need {
        is_asked: |config| has_option(config, &["copy-symlink"]),
        crun: Some([1, 10]),
        runc: None,
    },
    Need {
        is_asked: |config| has_option(config, &["src-nofollow", "dest-nofollow"]),
        crun: Some([1, 22]),
        runc: None,
    },
    Need { is_asked: has_own_map, crun: Some([1, 9]), runc: None },
    Need {
        is_asked: |config| has_mappings(config) || has_option(config, &["idmap", "ridmap"]),
        crun: Some([1, 9]),
        runc: Some([1, 2]),
    },
    Need {
        is_asked: |config| config["annotations"].to_string().contains("\"run.oci."),
        crun: EACH,
        runc: None,
    },
    Need {
        is_asked: |config| !config["linux"]["memoryPolicy"].is_null(),
        crun: Some([1, 24]),
        runc: Some([1, 4]),
    },
    Need {
        is_asked: |config| !config["linux"]["netDevices"].is_null(),
        crun: Some([1, 22]),
        runc: Some([1, 4]),
    },
];

/// Whether the runtime has all that the document asks for.
pub(super) fn are_met(runtime: &Runtime, config: &Value) -> bool {
    NEEDS.iter().filter(|need| (need.is_asked)(config)).all(|need| {
        let since = if runtime.name == "crun" { need.crun } else { need.runc };
        since.is_some_and(|since| numbers(&runtime.version) >= since)
    })
}

/// The first two numbers of a version.
fn numbers(version: &str) -> [u32; 2] {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    [(); 2].map(|()| parts.next().unwrap_or(0))
}

fn options(config: &Value) -> impl Iterator<Item = &str> {
    config["mounts"].as_array().into_iter().flatten().flat_map(|mount| texts(&mount["options"]))
}

fn has_option(config: &Value, names: &[&str]) -> bool {
    options(config).any(|option| names.contains(&option))
}

/// A map of ids in the options of a mount.
fn has_own_map(config: &Value) -> bool {
    options(config).any(|option| option.starts_with("idmap="))
}

fn has_mappings(config: &Value) -> bool {
    let mut mounts = config["mounts"].as_array().into_iter().flatten();
    mounts.any(|mount| !mount["uidMappings"].is_null())
}
