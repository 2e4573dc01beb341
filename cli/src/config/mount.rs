//! config.json `mounts` (config.md, "Mounts").

use serde::Deserialize;

use super::linux::IdMapping;
use super::object;

/// One mount.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", default)]
pub struct Mount {
    /// The path inside the container.
    pub destination: String,
    /// The filesystem's type.
    #[serde(rename = "type")]
    pub kind: String,
    /// A device, a file or directory of the host, or just a name.
    pub source: String,
    /// The options of mount(8) and of the filesystem.
    pub options: Vec<String>,
    /// The uid mappings of an idmapped mount.
    pub uid_mappings: Vec<IdMapping>,
    /// The gid mappings of an idmapped mount.
    pub gid_mappings: Vec<IdMapping>,
    /// Whether vial added it, for $NOTIFY_SOCKET.
    #[serde(skip)]
    pub is_for_notify: bool,
}

object! { Mount }
