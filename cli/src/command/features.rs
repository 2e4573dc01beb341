//! features: what this vial can do, as the runtime-spec's features document.

use argh::FromArgs;
use serde_json::json;

use super::state::print_json;
use crate::args::SPEC;
use crate::error::Error;
use crate::planner::{CAPABILITIES, NAMESPACES, capability_name, supported_mount_options};

const ACTIONS: [&str; 8] = [
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_TRAP",
];
const OPERATORS: [&str; 7] = [
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_LE",
    "SCMP_CMP_LT",
    "SCMP_CMP_MASKED_EQ",
    "SCMP_CMP_NE",
];
const ARCHITECTURES: [&str; 6] = [
    "SCMP_ARCH_AARCH64",
    "SCMP_ARCH_ARM",
    "SCMP_ARCH_RISCV64",
    "SCMP_ARCH_X32",
    "SCMP_ARCH_X86",
    "SCMP_ARCH_X86_64",
];
const FLAGS: [&str; 3] =
    ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC"];

/// print what vial supports, as JSON
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "features", help_triggers("-h", "--help"))]
#[argh(example = "vial features")]
pub struct Features {}

impl Features {
    /// Runs the verb.
    pub fn run(self) -> Result<u8, Error> {
        let mut options: Vec<&str> = supported_mount_options().collect();
        options.sort_unstable();
        let namespaces: Vec<&str> = NAMESPACES.iter().map(|(name, ..)| *name).collect();
        let capabilities: Vec<String> =
            (0..CAPABILITIES.len()).filter_map(capability_name).collect();
        print_json(&json!({
            "ociVersionMin": "1.0.0",
            "ociVersionMax": SPEC,
            "hooks": [],
            "mountOptions": options,
            "linux": {
                "namespaces": namespaces,
                "capabilities": capabilities,
                "cgroup": {"v1": false, "v2": true, "systemd": false, "systemdUser": false, "rdma": true},
                "seccomp": {
                    "enabled": true,
                    "actions": ACTIONS,
                    "operators": OPERATORS,
                    "archs": ARCHITECTURES,
                    "knownFlags": FLAGS,
                    "supportedFlags": FLAGS,
                },
                "apparmor": {"enabled": true},
                "selinux": {"enabled": true},
                "intelRdt": {"enabled": false},
                "memoryPolicy": {},
                "mountExtensions": {"idmap": {"enabled": false}},
                "netDevices": {"enabled": false},
            },
            "potentiallyUnsafeConfigAnnotations": ["run.oci.keep_original_groups"],
            "annotations": {"org.vial.version": env!("CARGO_PKG_VERSION")},
        }))?;
        Ok(0)
    }
}
