//! The Record: what create writes down about a container, in state.json.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cgroup::Cgroup;
use crate::config::Config;

/// What create writes down about a container.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The version of the spec that config.json follows.
    pub oci_version: String,
    /// The container's id.
    pub id: String,
    /// The pid of its process.
    pub pid: u32,
    /// When that process started, in clock ticks since boot.
    pub start_time: u64,
    /// The bundle.
    #[serde(with = "bytes")]
    pub bundle: PathBuf,
    /// The rootfs.
    #[serde(with = "bytes")]
    pub rootfs: PathBuf,
    /// When it was created, in RFC 3339.
    pub created: String,
    /// The uid that created it.
    pub owner: u32,
    /// The path of its cgroup from the root of the hierarchy, if it has one.
    #[serde(with = "optional_bytes")]
    pub cgroup: Option<PathBuf>,
    /// Where the cgroup2 filesystem is mounted.
    #[serde(with = "bytes")]
    pub cgroup_root: PathBuf,
    /// Whether it kept its creator's session keyring; an exec then does too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_new_keyring: bool,
    /// Whether its root was changed by chroot(2), because it has no mount namespace.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub chroot: bool,
    /// Whether config.json has no process, so that it cannot be started.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_process: bool,
    /// Whether config.json has hooks for start or delete.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_hooks: bool,
    /// Whether only an agent that holds the listener of its filter can delay the program.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub awaits_agent: bool,
    /// config.json's annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// How far its create has come; not written down.
    #[serde(skip)]
    pub progress: String,
}

impl Record {
    /// Its cgroup, if it has one.
    pub fn cgroup(&self) -> Option<Cgroup> {
        self.cgroup.as_ref().map(|path| Cgroup::new(self.cgroup_root.join(path)))
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
            no_new_keyring: false,
            chroot: false,
            no_process: config.process.is_none(),
            has_hooks: config.hooks.outlive_create(),
            awaits_agent: false,
            annotations: config.annotations,
            progress: String::new(),
        }
    }
}

/// A path for JSON. A backslash, and each byte that is not UTF-8, is written as in
/// proc_pid_mountinfo(5), `\\134`.
fn escape(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        text.push_str(&chunk.valid().replace('\\', "\\134"));
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\{byte:03o}")));
    }
    text
}

fn unescape(text: &str) -> PathBuf {
    let mut parts = text.split('\\');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(3).unwrap_or((part, ""));
        bytes.extend(u8::from_str_radix(digits, 8));
        bytes.extend_from_slice(rest.as_bytes());
    }
    OsString::from_vec(bytes).into()
}

/// A path in JSON.
mod bytes {
    use super::*;

    pub(super) fn serialize<S: serde::Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&escape(path))
    }

    pub(super) fn deserialize<'a, D: serde::Deserializer<'a>>(
        from: D,
    ) -> Result<PathBuf, D::Error> {
        String::deserialize(from).map(|text| unescape(&text))
    }
}

/// A path in JSON, or null.
mod optional_bytes {
    use super::*;

    pub(super) fn serialize<S: serde::Serializer>(
        path: &Option<PathBuf>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        path.as_deref().map(escape).serialize(to)
    }

    pub(super) fn deserialize<'a, D: serde::Deserializer<'a>>(
        from: D,
    ) -> Result<Option<PathBuf>, D::Error> {
        Ok(Option::<String>::deserialize(from)?.map(|text| unescape(&text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_path_comes_back_from_json() {
        for path in [&b"/a b/\xc3\xa9"[..], b"/\xff\xfe/\xc3", b"\\x/\\134\\", b"", b"a\nb\x01"] {
            let path = PathBuf::from(OsString::from_vec(path.to_vec()));
            assert_eq!(unescape(&escape(&path)), path);
        }
        assert_eq!(escape(Path::new("/run/web")), "/run/web");
    }
}
