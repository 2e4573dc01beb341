//! The mappings of idmapped mounts (config.md, "Mounts"): uidMappings and gidMappings
//! of a mount, a mapping in its option `idmap` (crun.1), or those of the container's
//! user namespace.

use std::ffi::CString;
use std::fmt::Write;

use vial_plan::SetupItem;

use super::mount_options::options;
use super::{Namespaces, text, wrong};
use crate::config::linux::IdMapping;
use crate::config::{Config, Mount};
use crate::error::Error;
use crate::host::Host;
use crate::namespace::kind;
use crate::plan::Plan;

/// The kernel takes no more lines in a map (user_namespaces(7)), and no more than a page
/// of text.
const MAX_LINES: usize = 340;
const MAX_TEXT: usize = 4095;

/// Where the mappings of a mount come from.
#[derive(Debug, PartialEq, Eq)]
enum Map {
    /// From these texts for uid_map and gid_map.
    New(CString, CString),
    /// From the user namespace at this path.
    Path(CString),
}

/// An idmapped mount.
#[derive(Clone, Copy, Debug)]
pub(super) struct IdMapped {
    /// The slot of the user namespace with the mappings.
    pub(super) id_map: u32,
    /// Whether the mounts below get them, too.
    pub(super) below: bool,
}

/// The mappings of all mounts. Mounts with the same mapping share a user namespace.
#[derive(Debug, Default)]
pub(super) struct IdMaps {
    maps: Vec<(Map, u32, String)>,
    mounts: Vec<Option<IdMapped>>,
}

impl IdMaps {
    pub(super) fn from_config(
        config: &Config,
        namespaces: &Namespaces,
        host: &Host,
        plan: &mut Plan,
    ) -> Result<IdMaps, Error> {
        let mut all = IdMaps::default();
        for (index, mount) in config.mounts.iter().enumerate() {
            let field = format!("mounts[{index}]");
            let given = !mount.uid_mappings.is_empty() || !mount.gid_mappings.is_empty();
            let options = options(&mount.options);
            let below = match options.bind.maps_ids {
                None if !given => {
                    all.mounts.push(None);
                    continue;
                }
                below => below.unwrap_or(false),
            };
            if !options.is_bind() && mount.kind != "bind" {
                let what = "ids can be mapped only for a bind mount";
                return Err(wrong(format_args!("{field}.options"), what)
                    .hint("add the option bind or rbind"));
            }
            if host.uid != 0 {
                let what = "only root can map the ids of a mount";
                return Err(wrong(field, what));
            }
            let map = match given {
                true => own(mount, &field)?,
                false => by_option(config, mount, namespaces, &field)?,
            };
            let known = all.maps.iter().find(|(known, ..)| *known == map).map(|(_, slot, _)| *slot);
            let id_map = known.unwrap_or_else(|| {
                let slot = plan.slot();
                all.maps.push((map, slot, field));
                slot
            });
            all.mounts.push(Some(IdMapped { id_map, below }));
        }
        Ok(all)
    }

    /// Adds the items that make or open the user namespaces.
    pub(super) fn make(&self, plan: &mut Plan) {
        for (map, slot, field) in &self.maps {
            let namespace = *slot;
            match map {
                Map::New(uids, gids) => {
                    plan.push(&SetupItem::MakeIdMap { uids, gids, namespace }, field.clone());
                }
                Map::Path(path) => {
                    plan.push(&SetupItem::OpenIdMap { path, namespace }, field.clone());
                }
            }
        }
    }

    pub(super) fn of_mount(&self, index: usize) -> Option<IdMapped> {
        self.mounts.get(index).copied().flatten()
    }
}

/// The mapping in uidMappings and gidMappings of a mount.
fn own(mount: &Mount, field: &str) -> Result<Map, Error> {
    let both = [("uidMappings", &mount.uid_mappings), ("gidMappings", &mount.gid_mappings)];
    let [uids, gids] = both.map(|(name, map)| {
        let field = format!("{field}.{name}");
        match map.is_empty() {
            true => Err(wrong(field, "missing: uidMappings and gidMappings come together")),
            false => text(lines(map, &field)?, &field),
        }
    });
    Ok(Map::New(uids?, gids?))
}

/// The mapping in the option `idmap=uids=..;gids=..`, or that of the container.
fn by_option(
    config: &Config,
    mount: &Mount,
    namespaces: &Namespaces,
    field: &str,
) -> Result<Map, Error> {
    let linux = &config.linux;
    let mut single = mount.options.iter().flat_map(|text| text.split(','));
    let given = single
        .rfind(|option| matches!(option.split('=').next(), Some("idmap" | "ridmap")))
        .and_then(|option| option.split_once('='));
    if let Some((_, mapping)) = given {
        let at = format!("{field}.options");
        let (mut uids, mut gids) = (Vec::new(), Vec::new());
        for part in mapping.split(';') {
            let (into, ranges, inside) = match part.split_once('=') {
                Some(("uids", ranges)) => (&mut uids, ranges, &linux.uid_mappings),
                Some(("gids", ranges)) => (&mut gids, ranges, &linux.gid_mappings),
                _ => return Err(bad_option(&at, mapping)),
            };
            for range in ranges.split('#') {
                let range =
                    range_of(range, inside, &at)?.ok_or_else(|| bad_option(&at, mapping))?;
                into.extend(range);
            }
        }
        if uids.is_empty() || gids.is_empty() {
            return Err(wrong(at, "idmap= needs both uids= and gids="));
        }
        let [uids, gids] = [uids, gids].map(|map| text(lines(&map, &at)?, &at));
        return Ok(Map::New(uids?, gids?));
    }
    let mut joined = namespaces.joined.iter();
    if let Some(joined) = joined.find(|joined| joined.kind == kind::USER) {
        return Ok(Map::Path(joined.path.clone()));
    }
    let (uids, gids) = (&linux.uid_mappings, &linux.gid_mappings);
    if namespaces.new & kind::USER == 0 || uids.is_empty() || gids.is_empty() {
        let what = "idmap without a mapping takes that of the container, which has none";
        return Err(wrong(format_args!("{field}.options"), what)
            .hint("add uidMappings and gidMappings to the mount"));
    }
    let uids = text(lines(uids, "linux.uidMappings")?, "linux.uidMappings")?;
    let gids = text(lines(gids, "linux.gidMappings")?, "linux.gidMappings")?;
    Ok(Map::New(uids, gids))
}

fn bad_option(field: &str, mapping: &str) -> Error {
    let what = format_args!(
        "\"{mapping}\" is not a mapping such as uids=0-100000-65536;gids=0-100000-65536"
    );
    wrong(field, what)
}

/// Reads `FIRST-SECOND-SIZE`. After a `@` the second id is one inside the container's
/// user namespace, whose mapping is `inside`: it is translated, which may take several
/// ranges. None: it is malformed.
fn range_of(
    range: &str,
    inside: &[IdMapping],
    field: &str,
) -> Result<Option<Vec<IdMapping>>, Error> {
    let (is_inside, numbers) = match range.strip_prefix('@') {
        Some(numbers) => (true, numbers),
        None => (false, range),
    };
    let mut numbers = numbers.split('-').map(|number| number.parse::<u32>().ok());
    let [Some(Some(first)), Some(Some(second)), Some(Some(size)), None] =
        [(); 4].map(|()| numbers.next())
    else {
        return Ok(None);
    };
    if !is_inside {
        return Ok(Some(vec![IdMapping { container_id: first, host_id: second, size }]));
    }
    let mut ranges = Vec::new();
    let mut done = 0;
    while done < size {
        let id = second.saturating_add(done);
        let holds = |range: &&IdMapping| {
            id.checked_sub(range.container_id).is_some_and(|at| at < range.size)
        };
        let Some(range) = inside.iter().find(holds) else {
            let what = format_args!("id {id} of \"@{second}\" is not mapped in the container");
            return Err(wrong(field, what));
        };
        let at = id - range.container_id;
        let size = (range.size - at).min(size - done);
        let (container_id, host_id) =
            (first.saturating_add(done), range.host_id.saturating_add(at));
        ranges.push(IdMapping { container_id, host_id, size });
        done += size;
    }
    Ok(Some(ranges))
}

/// The text for uid_map or gid_map. Refuses what the kernel would refuse.
pub(super) fn lines(map: &[IdMapping], field: &str) -> Result<String, Error> {
    let mut text = String::new();
    for (index, range) in map.iter().enumerate() {
        let ends = |range: &IdMapping| {
            [range.container_id, range.host_id].map(|first| first.checked_add(range.size))
        };
        if range.size == 0 || ends(range).contains(&None) {
            return Err(wrong(format_args!("{field}[{index}].size"), "out of range"));
        }
        let overlaps = |other: &IdMapping| {
            let apart = |a: u32, b: u32| match a <= b {
                true => b - a >= range.size,
                false => a - b >= other.size,
            };
            !apart(range.container_id, other.container_id) || !apart(range.host_id, other.host_id)
        };
        if let Some(other) = map.iter().take(index).position(overlaps) {
            let what = format_args!("overlaps {field}[{other}]");
            return Err(wrong(format_args!("{field}[{index}]"), what));
        }
        let _ = writeln!(text, "{} {} {}", range.container_id, range.host_id, range.size); // To a String: cannot fail.
    }
    if map.len() > MAX_LINES || text.len() > MAX_TEXT {
        let what = format_args!(
            "{} ranges: the kernel takes at most {MAX_LINES}, and {MAX_TEXT} bytes of text",
            map.len()
        );
        return Err(wrong(field, what));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(ranges: &[[u32; 3]]) -> Vec<IdMapping> {
        let range =
            |[container_id, host_id, size]: [u32; 3]| IdMapping { container_id, host_id, size };
        ranges.iter().copied().map(range).collect()
    }

    #[test]
    fn ranges_may_not_overlap() {
        for (ranges, fits) in [
            (&[[0, 1000, 10], [10, 1010, 10]][..], true),
            (&[[0, 1000, 10], [9, 1010, 10]], false),
            (&[[10, 1000, 10], [0, 1010, 11]], false),
            (&[[0, 1000, 10], [10, 1009, 10]], false),
            (&[[0, 0, 0]], false),
            (&[[1, 0, u32::MAX]], false),
            (&[[0, 0, u32::MAX]], true),
        ] {
            assert_eq!(lines(&map(ranges), "x").is_ok(), fits, "{ranges:?}");
        }
        let many = |count| map(&(0..count).map(|id| [id, id, 1]).collect::<Vec<_>>());
        assert!(lines(&many(340), "x").is_ok());
        assert!(lines(&many(341), "x").is_err());
    }

    #[test]
    fn relative_ranges_are_translated() {
        let inside = map(&[[0, 0, 1], [1, 2, 1000], [1001, 5000, 10]]);
        let of = |text: &str| {
            range_of(text, &inside, "x").ok().flatten().map(|map| lines(&map, "x").unwrap())
        };
        assert_eq!(of("1-4-10").as_deref(), Some("1 4 10\n"));
        assert_eq!(of("@1-3-10").as_deref(), Some("1 4 10\n"));
        assert_eq!(of("@0-0-2").as_deref(), Some("0 0 1\n1 2 1\n"));
        assert_eq!(of("@7-999-4").as_deref(), Some("7 1000 2\n9 5000 2\n"));
        for text in ["@0-1010-2", "1-2", "1-2-3-4", "", "a-b-c", "@", "1-2--3"] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
