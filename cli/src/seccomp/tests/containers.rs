//! The engines' default profile, as they hand it to a runtime.

use crate::config::seccomp::Seccomp;
use crate::seccomp::Arch;
use serde_json::{Value, json};

/// Debian's golang-github-containers-common installs it.
const PATH: &str = "/usr/share/containers/seccomp.json";

/// The capabilities of a container that asks for none: podman's default.
const CAPABILITIES: [&str; 11] = [
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

/// The profile for a default container with these capabilities more, or none if
/// the file is missing.
pub(crate) fn default_profile(native: Arch, more: &[&str]) -> Option<Seccomp> {
    let Ok(text) = std::fs::read_to_string(PATH) else {
        skip(&format!("{PATH} (golang-github-containers-common)"));
        return None;
    };
    let template = serde_json::from_str(&text).unwrap();
    let profile = expand(&template, native, more).to_string();
    Some(crate::config::parse(profile.as_bytes()).unwrap())
}

/// Says what a test could not do without, and fails where nothing may be
/// missing.
pub(super) fn skip(missing: &str) {
    println!("skipped: {missing} is missing");
    assert!(
        std::env::var("VIAL_MUST_WORK").is_err(),
        "{missing} is missing and VIAL_MUST_WORK is set"
    );
}

/// The engine's part: its template's `archMap`, `includes` and `excludes`
/// become an OCI profile.
fn expand(template: &Value, native: Arch, more: &[&str]) -> Value {
    let (scmp, name) = match native {
        Arch::X86_64 => ("SCMP_ARCH_X86_64", "amd64"),
        Arch::X86 => ("SCMP_ARCH_X86", "x86"),
        Arch::X32 => ("SCMP_ARCH_X32", "x32"),
        Arch::Aarch64 => ("SCMP_ARCH_AARCH64", "arm64"),
        Arch::Arm => ("SCMP_ARCH_ARM", "arm"),
        Arch::Riscv64 => ("SCMP_ARCH_RISCV64", "riscv64"),
    };
    let mut archs = vec![json!(scmp)];
    for entry in template["archMap"].as_array().into_iter().flatten() {
        if entry["architecture"] == scmp {
            archs.extend(entry["subArchitectures"].as_array().into_iter().flatten().cloned());
        }
    }
    let caps: Vec<&str> = CAPABILITIES.iter().chain(more).copied().collect();
    let any = |list: &Value, of: &[&str]| {
        let mut items = list.as_array().into_iter().flatten().filter_map(Value::as_str);
        items.any(|item| of.contains(&item))
    };
    let all = |list: &Value, of: &[&str]| {
        let mut items = list.as_array().into_iter().flatten().filter_map(Value::as_str);
        items.all(|item| of.contains(&item))
    };
    let mut syscalls = Vec::new();
    for rule in template["syscalls"].as_array().into_iter().flatten() {
        // Kernels older than a rule's minKernel are older than vial's floor.
        let (includes, excludes) = (&rule["includes"], &rule["excludes"]);
        let for_arch = includes["arches"].is_null() || any(&includes["arches"], &[name]);
        if !for_arch
            || !all(&includes["caps"], &caps)
            || any(&excludes["arches"], &[name])
            || any(&excludes["caps"], &caps)
        {
            continue;
        }
        let mut syscall = json!({"names": rule["names"], "action": rule["action"]});
        for field in ["errnoRet", "args"] {
            if !rule[field].is_null() {
                syscall[field] = rule[field].clone();
            }
        }
        syscalls.push(syscall);
    }
    let mut profile = json!({
        "defaultAction": template["defaultAction"],
        "architectures": archs,
        "syscalls": syscalls,
    });
    if !template["defaultErrnoRet"].is_null() {
        profile["defaultErrnoRet"] = template["defaultErrnoRet"].clone();
    }
    profile
}
