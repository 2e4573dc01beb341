//! linux.namespaces: the new ones, the joined ones, and the id mappings.

use std::ffi::CString;
use std::fmt::Write;

use super::{id_maps, text, wrong};
use crate::config::Config;
use crate::config::linux::{IdMapping, Linux};
use crate::error::Error;
use crate::host::{Host, NamespaceOwner};
use crate::namespace::{KINDS, kind};

/// The namespaces of a container.
#[derive(Debug, Default)]
pub struct Namespaces {
    /// The kinds to make, as CLONE_NEW* flags.
    pub new: u32,
    /// Those to join, the user namespace first. The caller's own are left out: joining
    /// them changes nothing, and fails for a user namespace (setns(2)).
    pub joined: Vec<Joined>,
    /// The kinds that are shared with the caller or the host, each with its field in
    /// config.json. Settings in them would change the host.
    hosts: Vec<(u32, String)>,
}

/// A namespace to join.
#[derive(Debug)]
pub struct Joined {
    /// Its CLONE_NEW* flag.
    pub kind: u32,
    /// Its path.
    pub path: CString,
    /// Its field in config.json.
    pub field: String,
}

impl Namespaces {
    /// Reads linux.namespaces. `whose` has the owner of each entry.
    pub fn from_config(linux: &Linux, whose: &[NamespaceOwner]) -> Result<Namespaces, Error> {
        let mut result = Namespaces::default();
        let mut seen = 0;
        for (index, namespace) in linux.namespaces.iter().enumerate() {
            let field = format!("linux.namespaces[{index}]");
            let known = KINDS.iter().find(|(name, ..)| *name == namespace.kind);
            let Some((_, _, kind)) = known.copied() else {
                let what = format_args!("unknown namespace type \"{}\"", namespace.kind);
                return Err(wrong(format_args!("{field}.type"), what));
            };
            if seen & kind != 0 {
                let what = format_args!("a second namespace of type \"{}\"", namespace.kind);
                return Err(wrong(field, what));
            }
            seen |= kind;
            let whose = whose.get(index).copied().unwrap_or_default();
            if whose == NamespaceOwner::Nobody {
                let what = format_args!("this kernel has no {} namespaces", namespace.kind);
                return Err(wrong(field, what).hint("they need Linux 5.6 with CONFIG_TIME_NS"));
            }
            if namespace.path.is_empty() {
                result.new |= kind;
                continue;
            }
            let path = text(&*namespace.path, &field)?;
            let field = format!("{field}.path");
            if whose != NamespaceOwner::Other {
                result.hosts.push((kind, field.clone()));
            }
            if whose != NamespaceOwner::Caller {
                result.joined.push(Joined { kind, path, field });
            }
        }
        result.joined.sort_by_key(|joined| joined.kind != kind::USER);
        Ok(result)
    }

    /// Whether a kind is made or joined, rather than inherited.
    pub fn has(&self, kind: u32) -> bool {
        self.new & kind != 0 || self.joins(kind)
    }

    /// Whether a kind is joined.
    pub fn joins(&self, kind: u32) -> bool {
        self.joined.iter().any(|joined| joined.kind == kind)
    }

    /// Refuses a field that would change a namespace that is not the container's.
    pub(super) fn must_have(&self, kind: u32, field: &str) -> Result<(), Error> {
        if let Some((_, path)) = self.hosts.iter().find(|(hosts, _)| *hosts == kind) {
            let what = format_args!("{path} is the host's own namespace, which it would change");
            return Err(wrong(field, what));
        }
        if !self.has(kind) {
            let name =
                KINDS.iter().find(|(_, _, flag)| *flag == kind).map_or("", |(name, ..)| name);
            let what = format_args!("without a {name} namespace it would change the host");
            return Err(wrong(field, what));
        }
        Ok(())
    }
}

/// How the ids of a new user namespace are mapped.
#[derive(Debug)]
pub(super) enum Mapping {
    /// By a write to uid_map or gid_map.
    Write(CString),
    /// By newuidmap(1) or newgidmap(1), with these arguments, each NUL-terminated.
    Helper(CString, Vec<u8>),
}

/// Maps every id of the caller to itself.
fn same_ids(ids: &[(u32, u32)]) -> Mapping {
    let all = [(0, u32::MAX)];
    let ids = if ids.is_empty() { &all[..] } else { ids };
    let lines: String =
        ids.iter().map(|(first, size)| format!("{first} {first} {size}\n")).collect();
    Mapping::Write(CString::new(lines).unwrap_or_default()) // Digits hold no NUL.
}

/// Decides how a map is written. An unprivileged caller may map only `own`, its own
/// id, without a helper.
fn mapping(map: &[IdMapping], field: &str, own: u32, host: &Host) -> Result<Mapping, Error> {
    if map.is_empty() {
        return Err(wrong(field, "missing, but a new user namespace needs a mapping"));
    }
    let lines = id_maps::lines(map, field)?;
    let alone = matches!(map, [range] if range.size == 1 && range.host_id == own);
    if host.uid == 0 || alone {
        return Ok(Mapping::Write(text(lines, field)?));
    }
    let (name, helper) = match field.ends_with("uidMappings") {
        true => ("newuidmap", &host.newuidmap),
        false => ("newgidmap", &host.newgidmap),
    };
    let Some(helper) = helper else {
        return Err(wrong(
            field,
            format_args!("{name} is needed for these ranges, and not installed"),
        )
        .hint("install the package uidmap, or map only your own id, with size 1"));
    };
    let mut numbers = Vec::new();
    for number in map.iter().flat_map(|range| [range.container_id, range.host_id, range.size]) {
        numbers.extend_from_slice(number.to_string().as_bytes());
        numbers.push(0);
    }
    Ok(Mapping::Helper(text(helper.as_os_str().as_encoded_bytes(), field)?, numbers))
}

/// The text for /proc/PID/timens_offsets.
pub(super) fn time_offsets(linux: &Linux) -> Result<Option<CString>, Error> {
    let mut lines = String::new();
    for (clock, offset) in &linux.time_offsets {
        let field = format!("linux.timeOffsets.{clock}");
        if !matches!(clock.as_str(), "monotonic" | "boottime") {
            return Err(wrong(field, "unknown clock; monotonic and boottime have offsets"));
        }
        if offset.nanosecs >= 1_000_000_000 {
            return Err(wrong(format_args!("{field}.nanosecs"), "not below 1000000000"));
        }
        let _ = writeln!(lines, "{clock} {} {}", offset.secs, offset.nanosecs); // To a String: cannot fail.
    }
    match lines.is_empty() {
        true => Ok(None),
        false => text(lines, "linux.timeOffsets").map(Some),
    }
}

/// A new user namespace.
pub(super) struct Mapped {
    pub(super) uids: Mapping,
    pub(super) gids: Mapping,
    /// Whether setgroups(2) is denied, as an unprivileged gid_map requires.
    pub(super) denies_setgroups: bool,
}

impl Mapped {
    pub(super) fn from_config(
        config: &Config,
        namespaces: &Namespaces,
        host: &Host,
    ) -> Result<Option<Mapped>, Error> {
        let linux = &config.linux;
        if namespaces.new & kind::USER == 0 {
            let given = !linux.uid_mappings.is_empty() || !linux.gid_mappings.is_empty();
            if given && !namespaces.has(kind::USER) {
                return Err(wrong(
                    "linux.uidMappings",
                    "set, but there is no user namespace to map",
                ));
            }
            return Ok(None);
        }
        if linux.uid_mappings.is_empty() && linux.gid_mappings.is_empty() && host.uid == 0 {
            // Without mappings, map all ids to themselves: root asked only for the
            // capabilities of a new namespace. crun does so; runc refuses it.
            let [uids, gids] = host.ids.each_ref().map(|ids| same_ids(ids));
            return Ok(Some(Mapped { uids, gids, denies_setgroups: false }));
        }
        let uids = mapping(&linux.uid_mappings, "linux.uidMappings", host.uid, host)?;
        let gids = mapping(&linux.gid_mappings, "linux.gidMappings", host.gid, host)?;
        let denies_setgroups = host.uid != 0 && matches!(gids, Mapping::Write(_));
        Ok(Some(Mapped { uids, gids, denies_setgroups }))
    }
}
