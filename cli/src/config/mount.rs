//! config.json `mounts` (config.md, "Mounts").

use super::linux::IdMapping;
use super::object;

object! {
    /// One mount.
    #[derive(Clone, Debug, Default)]
    pub struct Mount {
        /// The path inside the container.
        pub destination: String = "destination",
        /// The filesystem's type.
        pub kind: String = "type",
        /// A device, a file or directory of the host, or just a name.
        pub source: String = "source",
        /// The options of mount(8) and of the filesystem.
        pub options: Vec<String> = "options",
        /// The uid mappings of an idmapped mount.
        pub uid_mappings: Vec<IdMapping> = "uidMappings",
        /// The gid mappings of an idmapped mount.
        pub gid_mappings: Vec<IdMapping> = "gidMappings",
        /// Whether vial added it, for $NOTIFY_SOCKET.
        pub is_for_notify: bool,
    }
}
