//! features: prints what vial supports, as the runtime-spec's features document.

use argh::{ArgsInfo, FromArgs};
use serde_json::json;

use super::state::print_json;
use crate::config::{Hooks, SPEC};
use crate::error::Error;
use crate::namespace::KINDS;
use crate::planner::{CAPABILITIES, capability_name, memory_policy_names, supported_mount_options};
use crate::seccomp;

/// print what vial supports, as JSON
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "features", help_triggers("-h", "--help"))]
#[argh(example = "vial features")]
pub struct Features {}

impl Features {
    /// Runs the verb.
    pub fn run(self) -> Result<u8, Error> {
        let mut options: Vec<&str> = supported_mount_options().collect();
        options.sort_unstable();
        let namespaces: Vec<&str> = KINDS.iter().map(|(name, ..)| *name).collect();
        let capabilities: Vec<String> =
            (0..CAPABILITIES.len()).filter_map(capability_name).collect();
        let (modes, mode_flags) = memory_policy_names();
        let [actions, operators, architectures, flags] = seccomp::known_names();
        print_json(&json!({
            "ociVersionMin": "1.0.0",
            "ociVersionMax": SPEC,
            "hooks": Hooks::default().lists().map(|(name, _)| name),
            "mountOptions": options,
            "linux": {
                "namespaces": namespaces,
                "capabilities": capabilities,
                "cgroup": {"v1": true, "v2": true, "systemd": true, "systemdUser": true, "rdma": true},
                "seccomp": {
                    "enabled": true,
                    "actions": actions,
                    "operators": operators,
                    "archs": architectures,
                    "knownFlags": flags,
                    "supportedFlags": flags,
                },
                "apparmor": {"enabled": true},
                "selinux": {"enabled": true},
                "intelRdt": {"enabled": true, "schemata": true, "monitoring": true},
                "memoryPolicy": {"modes": modes, "flags": mode_flags},
                "mountExtensions": {"idmap": {"enabled": true}},
                "netDevices": {"enabled": true},
            },
            "potentiallyUnsafeConfigAnnotations": [
                "org.criu.config",
                "run.oci.keep_original_groups",
                "run.oci.seccomp.receiver",
                "run.oci.seccomp_bpf_data",
                "run.oci.seccomp_fail_unknown_syscall",
            ],
            "annotations": {
                "org.opencontainers.runc.checkpoint.enabled": "true",
                "org.vial.version": env!("CARGO_PKG_VERSION"),
            },
        }))?;
        Ok(0)
    }
}
