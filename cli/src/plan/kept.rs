//! The Plan in the state dir. start words its failures by it, `vial plan ID` prints
//! it, and delete finds the cgroup of a dead create in it.
//!
//! ```text
//! length, texts   the bundle; the mount point of cgroup2, the container's cgroup below
//!                 it, how many cgroups are made; the origin of each item; the warnings
//! the Plan        as vial-init got it
//! ```
//!
//! The list of texts must keep its form for ever, so that any build of vial can
//! remove the cgroup.

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use vial_plan::{Cursor, Header, Refused, Stage, Strings};

use super::{CgroupPlace, Plan};
use crate::error::Error;

impl Plan {
    /// The bytes for the state dir.
    pub fn to_kept(&self) -> Vec<u8> {
        let place = self.cgroup.clone().unwrap_or_default();
        let made = place.made.to_string();
        let head = [&self.bundle, &place.root, &place.path].map(|path| path.as_os_str().as_bytes());
        let origins = self.sections.iter().flat_map(|section| &section.origins);
        let texts = head.into_iter().chain([made.as_bytes()]);
        let texts = texts.chain(origins.map(|origin| origin.as_bytes()));
        let texts = texts.chain(self.warnings.iter().map(|warning| warning.as_bytes()));
        let mut list = Vec::new();
        for text in texts {
            list.extend_from_slice(text);
            list.push(0);
        }
        [&(list.len() as u32).to_le_bytes()[..], &list, &self.to_bytes()].concat()
    }

    /// Reads those bytes.
    pub fn from_kept(bytes: &[u8]) -> Result<Plan, Error> {
        let (mut texts, sent) = parts(bytes).ok_or_else(damaged)?;
        let bundle = texts.next().map(path_of).unwrap_or_default();
        let cgroup = CgroupPlace::read(&mut texts);
        let header = Header::from_bytes(sent).map_err(|refused| match refused {
            Refused::NotAPlan => damaged(),
            Refused::OtherBuild => Error::new("it was made by another build of vial"),
        })?;
        let mut plan = Plan { bundle, cgroup, ..Plan::default() };
        plan.read(&header, sent, &mut texts).ok_or_else(damaged)?;
        plan.warnings = texts.map(|text| text.to_string_lossy().into_owned()).collect();
        Ok(plan)
    }

    /// Reads the items by section, and the origin of each.
    fn read<'a>(
        &mut self,
        header: &Header,
        sent: &[u8],
        origins: &mut impl Iterator<Item = &'a CStr>,
    ) -> Option<()> {
        let body = sent.get(Header::SIZE..).filter(|body| Some(body.len()) == header.body())?;
        let mut cursor = Cursor::new(body);
        let counts = header.lengths.into_iter().zip(header.counts);
        for ((stage, section), (length, count)) in
            Stage::ALL.into_iter().zip(&mut self.sections).zip(counts)
        {
            for (_, item) in header.items(stage, body)? {
                item.ok()?;
                section.origins.push(origins.next()?.to_string_lossy().into_owned().into());
            }
            section.bytes = cursor.take(length as usize).to_vec();
            if section.origins.len() != count as usize {
                return None;
            }
        }
        Some(())
    }
}

/// Reads the bundle from those bytes, even if another build wrote them.
pub fn bundle(bytes: &[u8]) -> Option<PathBuf> {
    parts(bytes)?.0.next().map(path_of)
}

impl CgroupPlace {
    /// Reads the place from those bytes, even if another build wrote them.
    pub fn from_kept(bytes: &[u8]) -> Option<CgroupPlace> {
        CgroupPlace::read(&mut parts(bytes)?.0.skip(1))
    }

    fn read<'a>(texts: &mut impl Iterator<Item = &'a CStr>) -> Option<CgroupPlace> {
        let [root, path, made] = [texts.next()?, texts.next()?, texts.next()?];
        let made = made.to_str().ok()?.parse().ok()?;
        (!path.is_empty()).then(|| CgroupPlace { root: path_of(root), path: path_of(path), made })
    }
}

fn path_of(text: &CStr) -> PathBuf {
    OsStr::from_bytes(text.to_bytes()).into()
}

/// Splits the bytes into the texts and the Plan as vial-init got it.
fn parts(bytes: &[u8]) -> Option<(impl Iterator<Item = &CStr>, &[u8])> {
    let list = Cursor::new(bytes).bytes();
    let sent = bytes.get(size_of::<u32>() + list.len()..)?;
    Some((Strings::new(list)?.iter(), sent))
}

fn damaged() -> Error {
    Error::new("this is not a whole plan")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::host::{CgroupMount, Host};
    use crate::planner::{Request, create};
    use crate::words::describe;

    fn plan() -> Plan {
        let text = r#"{"ociVersion": "1.3.0", "root": {"path": "rootfs"},
            "process": {"args": ["sh"], "env": ["A=b"], "cwd": "/",
                "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1, "hard": 2}]},
            "mounts": [{"destination": "/dev", "type": "tmpfs", "source": "x"},
                {"destination": "/x", "source": "/y", "options": ["rbind", "ro"]}],
            "linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}],
                "maskedPaths": ["/proc/kcore"],
                "seccomp": {"defaultAction": "SCMP_ACT_ALLOW",
                    "syscalls": [{"names": ["nonsense"], "action": "SCMP_ACT_ALLOW"}]}}}"#;
        let cgroup = CgroupMount { root: "/sys/fs/cgroup".into(), ..CgroupMount::default() };
        let host = Host { cgroup: Some(cgroup), ..Host::default() };
        let request = Request { id: "web".into(), bundle: "/b".into(), ..Request::default() };
        let config = config::parse(text.as_bytes()).unwrap();
        let mut plan = create(&config, &request, &host).unwrap();
        plan.bundle = request.bundle;
        plan.cgroup.as_mut().unwrap().made = 3;
        plan
    }

    fn words(plan: &Plan) -> Vec<String> {
        let acts = plan.items();
        let acts =
            acts.map(|(stage, item, field)| format!("{stage:?} {} {field}", describe(&item)));
        acts.chain(plan.warnings.iter().cloned()).collect()
    }

    #[test]
    fn a_plan_comes_back_as_it_was_kept() {
        let plan = plan();
        let kept = Plan::from_kept(&plan.to_kept()).unwrap();
        assert_eq!(words(&kept), words(&plan));
        assert!(!plan.warnings.is_empty());
        assert_eq!(kept.bundle.to_str(), Some("/b"));
        let place = kept.cgroup.unwrap();
        assert_eq!((place.root.to_str(), place.made), (Some("/sys/fs/cgroup"), 3));
        assert_eq!(place.path.to_str(), Some("vial-web"));
        let without = Plan { cgroup: None, ..plan };
        assert!(Plan::from_kept(&without.to_kept()).unwrap().cgroup.is_none());
    }

    #[test]
    fn a_damaged_plan_is_refused_or_told() {
        let bytes = plan().to_kept();
        for length in 0..bytes.len() {
            assert!(Plan::from_kept(&bytes[..length]).is_err(), "{length} bytes");
        }
        let mut refused = 0;
        for place in 0..bytes.len() {
            for bit in 0..8 {
                let mut bytes = bytes.clone();
                bytes[place] ^= 1 << bit;
                CgroupPlace::from_kept(&bytes);
                match Plan::from_kept(&bytes) {
                    Ok(plan) => _ = words(&plan),
                    Err(_) => refused += 1,
                }
            }
        }
        assert!(refused > 64 * 8, "{refused}");
    }

    #[test]
    fn a_cgroup_is_found_whatever_the_build() {
        let mut bytes = plan().to_kept();
        let magic = bytes.windows(8).position(|window| window == b"vialplan").unwrap();
        bytes[magic + 12] ^= 1;
        let error = Plan::from_kept(&bytes).unwrap_err().to_string();
        assert!(error.contains("another build"), "{error}");
        assert_eq!(CgroupPlace::from_kept(&bytes).unwrap().path.to_str(), Some("vial-web"));
    }
}
