//! The Plan in the CLI: the bytes for vial-init, and for each item its origin, the
//! field of config.json that asked for it.

pub mod agent;
pub mod kept;
pub mod scope;

use std::borrow::Cow;
use std::fmt::Display;
use std::path::PathBuf;

use vial_plan::{Encode, Header, Item, Items, ProcessItem, Stage, Stage2, write_item};

use self::agent::Agent;
use self::scope::Scope;
use crate::cgroup::Cgroup;
use crate::cgroup::oom::MemoryFiles;
use crate::host::Hierarchy;

/// The path of a field of config.json, as in `mounts[2].options`. Empty for an item
/// that no field asked for.
pub type Origin = Cow<'static, str>;

/// A Plan.
#[derive(Debug, Default)]
pub struct Plan {
    pub(crate) sections: [Section; 3],
    pub(crate) pointers: u32,
    /// What vial lends to vial-init in each slot.
    pub(crate) slots: Vec<Option<Lent>>,
    /// What was left out or done differently, one sentence each.
    pub warnings: Vec<String>,
    /// The seccomp agent that gets the filter's listener; not kept.
    pub agent: Option<Agent>,
    /// The network devices to move: the names on the host and in the container; not kept.
    pub net_devices: Vec<(String, String)>,
    /// The scope that systemd is to make of stage 0; not kept.
    pub scope: Option<Scope>,
    /// The bundle; empty for an exec.
    pub bundle: PathBuf,
    /// The place of the container's cgroup, if it gets one.
    pub cgroup: Option<CgroupPlace>,
    /// Its places in the hierarchies of cgroup v1, and in resctrl.
    pub places: Vec<Place>,
}

/// An fd that vial lends to vial-init. If vial has none, the slot stays empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lent {
    /// The socket that start connects to.
    Start,
    /// The connected console socket.
    Console,
    /// A pidfd of the container's init, whose namespaces are joined.
    Init,
}

/// The place of a container's cgroup: the one by which its processes are found, frozen
/// and killed. In cgroup2 if the host has it, else in cgroup v1, by the freezer.
#[derive(Clone, Debug, Default)]
pub struct CgroupPlace {
    /// Which hierarchies hold the container.
    pub hierarchy: Hierarchy,
    /// Where the hierarchy is mounted.
    pub root: PathBuf,
    /// The path from there.
    pub path: PathBuf,
    /// How many cgroups create makes, of this one and its ancestors.
    pub made: usize,
    /// The scope of systemd whose cgroup it is; empty if vial itself makes it.
    pub scope: String,
}

impl CgroupPlace {
    /// The cgroup itself.
    pub fn cgroup(&self) -> Cgroup {
        Cgroup::of_scope(self.root.join(&self.path), self.hierarchy, self.scope.clone())
    }
}

/// A place in a hierarchy of cgroup v1, or in resctrl.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place {
    /// Where the hierarchy is mounted.
    pub root: PathBuf,
    /// The path from there.
    pub path: PathBuf,
    /// The controllers of the hierarchy, as in `cpu,cpuacct`, or [`Place::RESCTRL`].
    pub controllers: String,
    /// Whether it was there before, and is somebody else's.
    pub keeps: bool,
    /// How many directories create makes, of this one and its ancestors.
    pub made: usize,
}

impl Place {
    /// What stands for the controllers in resctrl.
    pub const RESCTRL: &str = "resctrl";

    /// Whether its hierarchy has this controller.
    pub fn has(&self, controller: &str) -> bool {
        self.controllers.split(',').any(|one| one == controller)
    }

    /// The cgroup itself.
    pub fn cgroup(&self) -> Cgroup {
        Cgroup::new(self.root.join(&self.path), Hierarchy::V1)
    }
}

/// Where the files of the memory controller are, for a container with these places.
pub fn memory_files(cgroup: Option<&CgroupPlace>, places: &[Place]) -> Option<MemoryFiles> {
    if let Some(place) = places.iter().find(|place| place.has("memory")) {
        return Some((place.root.join(&place.path), true));
    }
    let own = cgroup.filter(|own| own.hierarchy != Hierarchy::V1)?;
    Some((own.root.join(&own.path), false))
}

#[derive(Debug, Default)]
pub(crate) struct Section {
    pub(crate) bytes: Vec<u8>,
    pub(crate) origins: Vec<Origin>,
}

impl Plan {
    /// Adds an item to the end of its stage's section.
    pub fn push(&mut self, item: &dyn Encode, origin: impl Into<Origin>) {
        self.add(item, origin.into());
    }

    fn add(&mut self, item: &dyn Encode, origin: Origin) {
        let section = &mut self.sections[item.stage() as usize];
        let listed = write_item(item, &mut |part| section.bytes.extend_from_slice(part));
        section.origins.push(origin);
        if listed != 0 {
            // A list is for execve(2): it ends with a null pointer, and vial-init may add
            // two texts.
            self.pointers = self.pointers.max(listed as u32 + 4);
        }
    }

    /// Adds a slot for an fd that one item hands to another.
    pub fn slot(&mut self) -> u32 {
        self.add_slot(None)
    }

    /// The slot of an fd that vial lends; the same one each time.
    pub fn lent(&mut self, lent: Lent) -> u32 {
        match self.slots.iter().position(|slot| *slot == Some(lent)) {
            Some(slot) => slot as u32,
            None => self.add_slot(Some(lent)),
        }
    }

    fn add_slot(&mut self, lent: Option<Lent>) -> u32 {
        self.slots.push(lent);
        (self.slots.len() - 1) as u32
    }

    /// What vial lends in each slot.
    pub fn slots(&self) -> &[Option<Lent>] {
        &self.slots
    }

    /// Adds a warning about a field.
    pub fn warn(&mut self, field: impl Display, what: impl Display) {
        self.add_warning(&field, &what);
    }

    fn add_warning(&mut self, field: &dyn Display, what: &dyn Display) {
        self.warnings.push(format!("config.json {field}: {what}"));
    }

    /// The bytes for vial-init.
    pub fn to_bytes(&self) -> Vec<u8> {
        let sections = &self.sections;
        let header = Header {
            lengths: sections.each_ref().map(|section| section.bytes.len() as u32),
            counts: sections.each_ref().map(|section| section.origins.len() as u32),
            pointers: self.pointers,
            slots: self.slots.len() as u32,
        };
        let mut bytes = header.to_bytes().to_vec();
        for section in sections {
            bytes.extend_from_slice(&section.bytes);
        }
        bytes
    }

    /// Every item in order, with its stage and origin.
    pub fn items(&self) -> impl Iterator<Item = (Stage, Item<'_>, &str)> {
        Stage::ALL.into_iter().zip(&self.sections).flat_map(|(stage, section)| {
            let mut items = Items::new(stage, &section.bytes, 0);
            section.origins.iter().map_while(move |origin| {
                let (code, fields) = items.next_fields()?.ok()?;
                Some((stage, Item::from_fields(stage, code, &fields)?, &**origin))
            })
        })
    }

    /// Whether hooks run between start and execve, for as long as they like.
    pub fn has_start_hooks(&self) -> bool {
        let is_one = |item| {
            matches!(
                item,
                Item::Stage2(Stage2::Process(ProcessItem::Hook { at_rootfs: false, .. }))
            )
        };
        self.items().any(|(_, item, _)| is_one(item))
    }

    /// How many items there are.
    pub fn count(&self) -> usize {
        self.sections.iter().map(|section| section.origins.len()).sum()
    }

    /// The item with this index, counted over all stages, and its origin.
    pub fn item(&self, index: u32) -> Option<(Item<'_>, &str)> {
        self.items().nth(index as usize).map(|(_, item, origin)| (item, origin))
    }
}
