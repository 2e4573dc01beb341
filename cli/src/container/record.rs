//! The Record: what create writes down about a container, in state.json.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use crate::cgroup::Cgroup;
use crate::cgroup::oom::{MemoryFiles, OutOfMemory};
use crate::config::{Config, object};
use crate::host::{Hierarchy, Host};
use crate::path_text::{bytes, optional_bytes};
use crate::plan::{CgroupPlace, Place, memory_files};

object! {
    /// What create writes down about a container.
    #[derive(Clone, Debug, Default, Serialize)]
    #[serde(rename_all = "camelCase")]
    pub struct Record {
        /// The version of the spec that config.json follows.
        pub oci_version: String = "ociVersion" needed,
        /// The container's id.
        pub id: String = "id" needed,
        /// The pid of its process.
        pub pid: u32 = "pid" needed,
        /// When that process started, in clock ticks since boot.
        pub start_time: u64 = "startTime" needed,
        /// The bundle.
        #[serde(with = "bytes")]
        pub bundle: PathBuf = "bundle" needed,
        /// The rootfs.
        #[serde(with = "bytes")]
        pub rootfs: PathBuf = "rootfs" needed,
        /// When it was created, in RFC 3339.
        pub created: String = "created" needed,
        /// The uid that created it.
        pub owner: u32 = "owner" needed,
        /// The path of its cgroup from the root of the hierarchy, if it has one.
        #[serde(with = "optional_bytes")]
        pub cgroup: Option<PathBuf> = "cgroup",
        /// Where that hierarchy is mounted.
        #[serde(with = "bytes")]
        pub cgroup_root: PathBuf = "cgroupRoot" needed,
        /// Which hierarchies hold the container, by name. Empty means cgroup2.
        #[serde(skip_serializing_if = "String::is_empty")]
        pub hierarchy: String = "hierarchy",
        /// The scope of systemd whose cgroup it is; empty if vial itself made the cgroup.
        #[serde(skip_serializing_if = "String::is_empty")]
        pub scope: String = "scope",
        /// Its places in the hierarchies of cgroup v1 and in resctrl, as texts.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub places: Vec<String> = "places",
        /// Whether it kept its creator's session keyring; an exec then does too.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        pub no_new_keyring: bool = "noNewKeyring",
        /// Whether its root was changed by chroot(2), because it has no mount namespace.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        pub chroot: bool = "chroot",
        /// Whether config.json has no process, so that it cannot be started.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        pub no_process: bool = "noProcess",
        /// Whether config.json has hooks for start or delete.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        pub has_hooks: bool = "hasHooks",
        /// Whether only an agent that holds the listener of its filter can delay the program.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        pub awaits_agent: bool = "awaitsAgent",
        /// What was known of its want of memory when its process ended.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub oom: Option<OutOfMemory> = "oom",
        /// Which of its standard streams are pipes of the host, as in `pipe:[4711]`, for a
        /// checkpoint; empty if none is.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub streams: Vec<String> = "streams",
        /// config.json's annotations.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        pub annotations: BTreeMap<String, String> = "annotations",
        /// How far its create has come; not written down.
        #[serde(skip)]
        pub progress: String,
    }
}

impl Record {
    /// Its cgroup, if it has one.
    pub fn cgroup(&self) -> Option<Cgroup> {
        let cgroup = |path| {
            let path = self.cgroup_root.join(path);
            Cgroup::of_scope(path, self.hierarchy(), self.scope.clone())
        };
        self.cgroup.as_ref().map(cgroup)
    }

    /// Which hierarchies hold it.
    pub fn hierarchy(&self) -> Hierarchy {
        Hierarchy::by_name(&self.hierarchy).unwrap_or_default()
    }

    /// Its places in the hierarchies of cgroup v1, and in resctrl.
    pub fn places(&self) -> Vec<Place> {
        Place::from_texts(&self.places)
    }

    /// The host, with the mount of cgroup2 that create found: this caller may see another
    /// one, or none.
    pub fn host(&self) -> Host {
        let mut host = Host::read();
        if self.cgroup.is_some() && self.hierarchy() != Hierarchy::V1 {
            host.cgroup.get_or_insert_default().root.clone_from(&self.cgroup_root);
        }
        host
    }

    /// Where the files of its memory controller are.
    pub fn memory_files(&self) -> Option<MemoryFiles> {
        let place = self.cgroup.as_ref().map(|path| CgroupPlace {
            hierarchy: self.hierarchy(),
            root: self.cgroup_root.clone(),
            path: path.clone(),
            made: 0,
            scope: String::new(),
        });
        memory_files(place.as_ref(), &self.places())
    }

    /// Its processes that were killed for want of memory, if any were.
    pub fn out_of_memory(&self) -> Option<OutOfMemory> {
        // The cgroup may be gone, as systemd removes one that is empty.
        let now = self.memory_files().and_then(|files| OutOfMemory::read(&files));
        now.or_else(|| self.oom.clone())
    }

    /// Whether a cgroup filters its devices.
    pub fn filters_devices(&self) -> bool {
        match (&self.cgroup, self.hierarchy()) {
            (None, _) => false,
            (Some(_), Hierarchy::V2 | Hierarchy::Hybrid) => true,
            (Some(_), Hierarchy::V1) => self.places().iter().any(|place| place.has("devices")),
        }
    }

    /// The Record of a container that is being created.
    pub fn creating(id: &str, config: Config) -> Record {
        Record {
            oci_version: config.oci_version,
            id: id.to_owned(),
            pid: 0,
            start_time: 0,
            bundle: PathBuf::new(),
            rootfs: PathBuf::new(),
            created: String::new(),
            owner: 0,
            cgroup: None,
            cgroup_root: PathBuf::new(),
            hierarchy: String::new(),
            scope: String::new(),
            places: Vec::new(),
            no_new_keyring: false,
            chroot: false,
            no_process: config.process.is_none(),
            has_hooks: config.hooks.outlive_create(),
            awaits_agent: false,
            oom: None,
            streams: Vec::new(),
            annotations: config.annotations,
            progress: String::new(),
        }
    }
}
