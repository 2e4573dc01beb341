//! The engines' default seccomp profile, as they pass it to a runtime for an
//! ordinary container on `x86_64`, which has three architectures.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use vial_targets::Error;
use vial_targets::command::OnPath;

/// Debian's golang-github-containers-common installs it.
const TEMPLATE: &str = "/usr/share/containers/seccomp.json";
/// The engines' word for the architecture.
const ARCHITECTURE: &str = "amd64";
/// The capabilities of such a container, by which the engines select rules.
const CAPABILITIES: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// `linux.seccomp` of such a container.
///
/// # Errors
/// The template is missing, or is not JSON.
pub(crate) fn default_profile() -> Result<Value, Error> {
    let path = Path::new(TEMPLATE);
    let text = fs::read_to_string(path).on_path("read", path)?;
    let template: Value = serde_json::from_str(&text)
        .map_err(|error| Error::new(format!("{TEMPLATE} is no JSON: {error}")))?;
    let rules = template["syscalls"].as_array().map_or(&[][..], Vec::as_slice);
    let syscalls: Vec<Value> = rules.iter().filter(|rule| applies(rule)).map(rule).collect();
    Ok(json!({
        "defaultAction": template["defaultAction"],
        "defaultErrnoRet": template["defaultErrnoRet"],
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": syscalls,
    }))
}

/// Whether all of a rule's `includes` hold, and none of its `excludes`.
fn applies(rule: &Value) -> bool {
    let texts = |chapter: &str, field: &str| -> Vec<String> {
        let list = rule[chapter][field].as_array().map_or(&[][..], Vec::as_slice);
        list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let is_here = |name: &String| name == ARCHITECTURE;
    let has = |name: &String| CAPABILITIES.contains(&name.as_str());
    let included = texts("includes", "arches");
    (included.is_empty() || included.iter().any(is_here))
        && texts("includes", "caps").iter().all(has)
        && !texts("excludes", "arches").iter().any(is_here)
        && !texts("excludes", "caps").iter().any(has)
}

/// The fields of a rule that the OCI spec knows. The others are the engines' own.
fn rule(rule: &Value) -> Value {
    let fields = ["names", "action", "errnoRet", "args"];
    let set = |field: &&str| !rule[*field].is_null();
    fields.iter().filter(|f| set(f)).map(|field| (*field, rule[*field].clone())).collect()
}
