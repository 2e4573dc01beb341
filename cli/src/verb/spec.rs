//! spec: writes a config.json to begin with.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use argh::{ArgsInfo, FromArgs};
use serde_json::{Value, json};

use crate::error::Error;
use crate::host::Host;

/// write a config.json to begin with
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "spec", help_triggers("-h", "--help"))]
#[argh(example = "vial spec --rootless --bundle /containers/web")]
pub struct Spec {
    /// the bundle's directory (default .)
    #[argh(option, short = 'b', arg_name = "dir")]
    bundle: Option<PathBuf>,
    /// for a caller who is not root
    #[argh(switch)]
    rootless: bool,
}

impl Spec {
    /// Runs the verb. It does not overwrite a file.
    pub fn run(self) -> Result<u8, Error> {
        let path = self.bundle.unwrap_or_default().join("config.json");
        let host = Host::read();
        let text = match self.rootless {
            true => {
                let template = serde_json::from_str(TEMPLATE).map_err(Error::new)?;
                let config = rootless(template, host.uid, host.gid);
                serde_json::to_string_pretty(&config).map_err(Error::new)? + "\n"
            }
            false => TEMPLATE.to_owned(),
        };
        let failed = |e: std::io::Error| Error::io(format_args!("write {}", path.display()), &e);
        let mut file = match OpenOptions::new().write(true).create_new(true).open(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(Error::new(format_args!(
                    "File {} exists. Remove it first",
                    path.display()
                )));
            }
            result => result.map_err(failed)?,
        };
        file.write_all(text.as_bytes()).map_err(failed)?;
        Ok(0)
    }
}

/// A shell with its own namespaces, few capabilities, and a read-only rootfs.
const TEMPLATE: &str = include_str!("spec.json");

/// For a caller who is not root: the caller's uid is mapped to root. The host's
/// network is used and its /sys bound, since sysfs may only be mounted by the owner
/// of the network namespace. There are no limits.
fn rootless(mut config: Value, uid: u32, gid: u32) -> Value {
    let linux = &mut config["linux"];
    linux["resources"] = json!({});
    linux["uidMappings"] = json!([{"containerID": 0, "hostID": uid, "size": 1}]);
    linux["gidMappings"] = json!([{"containerID": 0, "hostID": gid, "size": 1}]);
    if let Some(namespaces) = linux["namespaces"].as_array_mut() {
        namespaces.retain(|namespace| namespace["type"] != "network");
        namespaces.push(json!({"type": "user"}));
    }
    if let Some(mounts) = config["mounts"].as_array_mut() {
        mounts.retain(|mount| mount["destination"] != "/sys/fs/cgroup");
        for mount in mounts {
            if mount["destination"] == "/sys" {
                *mount = json!({"destination": "/sys", "type": "none", "source": "/sys",
                    "options": ["rbind", "nosuid", "noexec", "nodev", "ro"]});
            }
            if let Some(options) = mount["options"].as_array_mut() {
                options.retain(|option| option != "gid=5");
            }
        }
    }
    config
}
