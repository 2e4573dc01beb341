//! The Plan in the state dir. start words its failures by it, `vial plan ID` prints
//! it, and delete finds the cgroup of a dead create in it.
//!
//! ```text
//! length, texts   the bundle; where the hierarchy of the container's cgroup is mounted,
//!                 the cgroup's path below it, and in one text how many cgroups are made,
//!                 the kind of hierarchy, how many more places follow, and the scope of
//!                 systemd whose cgroup it is; for each of these places its mount point, its path, and in one text how many directories
//!                 are made, whether it stays, and its controllers; the origin of each
//!                 item; the warnings
//! the Plan        as vial-init got it
//! ```
//!
//! The list of texts must keep its form for ever, so that any build of vial can
//! remove the cgroup.

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use vial_plan::{Cursor, Header, Refused, Stage, Strings};

use super::{CgroupPlace, Place, Plan};
use crate::error::Error;
use crate::host::Hierarchy;
use crate::path_text::{escape, unescape};

impl Plan {
    /// The bytes for the state dir.
    pub fn to_kept(&self) -> Vec<u8> {
        let place = self.cgroup.clone().unwrap_or_default();
        let (made, hierarchy) = (place.made, place.hierarchy.name());
        let made = format!("{made} {hierarchy} {} {}", self.places.len(), place.scope);
        let head = [&self.bundle, &place.root, &place.path].map(|path| path.as_os_str().as_bytes());
        let mades: Vec<String> = self.places.iter().map(Place::kept).collect();
        let of_place = |(place, made)| {
            let (place, made): (&Place, &String) = (place, made);
            [place.root.as_os_str().as_bytes(), place.path.as_os_str().as_bytes(), made.as_bytes()]
        };
        let places = self.places.iter().zip(&mades).flat_map(of_place);
        let origins = self.sections.iter().flat_map(|section| &section.origins);
        let texts = head.into_iter().chain([made.as_bytes()]).chain(places);
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
        let (cgroup, places) = read_places(&mut texts);
        let header = Header::from_bytes(sent).map_err(|refused| match refused {
            Refused::NotAPlan => damaged(),
            Refused::OtherBuild => Error::new("it was made by another build of vial"),
        })?;
        let mut plan = Plan { bundle, cgroup, places, ..Plan::default() };
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

impl Place {
    /// What the state dir has of it besides the paths.
    fn kept(&self) -> String {
        format!("{} {} {}", self.made, u8::from(self.keeps), self.controllers)
    }

    fn read(root: PathBuf, path: PathBuf, kept: &str) -> Option<Place> {
        let mut words = kept.split(' ');
        let (made, keeps) = (words.next()?.parse().ok()?, words.next()? == "1");
        let controllers = words.next()?.to_owned();
        Some(Place { root, path, controllers, keeps, made })
    }

    /// As texts for JSON, three for each place.
    pub fn to_texts(places: &[Place]) -> Vec<String> {
        let texts = |place: &Place| [escape(&place.root), escape(&place.path), place.kept()];
        places.iter().flat_map(texts).collect()
    }

    /// Reads those texts.
    pub fn from_texts(texts: &[String]) -> Vec<Place> {
        let place = |texts: &[String]| match texts {
            [root, path, kept] => Place::read(unescape(root), unescape(path), kept),
            _ => None,
        };
        texts.chunks(3).filter_map(place).collect()
    }
}

/// Reads the places of the container's cgroups, even if another build wrote them.
pub fn places(bytes: &[u8]) -> Option<(Option<CgroupPlace>, Vec<Place>)> {
    Some(read_places(&mut parts(bytes)?.0.skip(1)))
}

fn read_places(texts: &mut dyn Iterator<Item = &CStr>) -> (Option<CgroupPlace>, Vec<Place>) {
    let mut next = || texts.next().unwrap_or_default();
    let (root, path, kept) = (path_of(next()), path_of(next()), next());
    // A build that knew only cgroup2 wrote only the first word.
    let mut words = kept.to_str().unwrap_or_default().split(' ');
    let made = words.next().and_then(|word| word.parse().ok());
    let hierarchy = words.next().and_then(Hierarchy::by_name).unwrap_or_default();
    let count: usize = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
    let scope = words.next().unwrap_or_default().to_owned();
    let mut places = Vec::new();
    while places.len() < count {
        let (root, path, kept) = (path_of(next()), path_of(next()), next());
        let Some(place) = Place::read(root, path, kept.to_str().unwrap_or_default()) else { break };
        places.push(place);
    }
    let made = made.filter(|_| !path.as_os_str().is_empty());
    (made.map(|made| CgroupPlace { hierarchy, root, path, made, scope }), places)
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
        let place = plan.cgroup.as_mut().unwrap();
        (place.made, place.scope) = (3, "a.scope".to_owned());
        let controllers = "cpu,cpuacct".to_owned();
        let (root, path) = ("/a b".into(), "c d".into());
        plan.places.push(Place { root, path, controllers, keeps: true, made: 7 });
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
        assert_eq!((place.path.to_str(), &*place.scope), (Some("vial-web"), "a.scope"));
        assert_eq!(kept.places, plan.places);
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
                places(&bytes);
                match Plan::from_kept(&bytes) {
                    Ok(plan) => _ = words(&plan),
                    Err(_) => refused += 1,
                }
            }
        }
        assert!(refused > 64 * 8, "{refused}");
    }

    #[test]
    fn a_cgroup_of_a_build_without_v1_is_found() {
        let list = b"/b\0/sys/fs/cgroup\0a/b\x002\0origin\0".to_vec();
        let bytes = [&(list.len() as u32).to_le_bytes()[..], &list].concat();
        let (place, others) = places(&bytes).unwrap();
        let place = place.unwrap();
        assert_eq!(
            (place.path.to_str(), place.made, place.hierarchy),
            (Some("a/b"), 2, Hierarchy::V2)
        );
        assert!(others.is_empty() && place.scope.is_empty());
    }

    #[test]
    fn a_cgroup_is_found_whatever_the_build() {
        let mut bytes = plan().to_kept();
        let magic = bytes.windows(8).position(|window| window == b"vialplan").unwrap();
        bytes[magic + 12] ^= 1;
        let error = Plan::from_kept(&bytes).unwrap_err().to_string();
        assert!(error.contains("another build"), "{error}");
        assert_eq!(places(&bytes).unwrap().0.unwrap().path.to_str(), Some("vial-web"));
    }
}
