//! The resctrl filesystem, by which Intel RDT and its like are set.

use std::fs;
use std::path::PathBuf;

use super::mountinfo;
use crate::config::linux::IntelRdt;

/// What is known of it.
#[derive(Clone, Debug, Default)]
pub struct Resctrl {
    /// Where it is mounted.
    pub root: PathBuf,
    /// The schemata of the container's group, if that exists.
    pub schemata: Option<String>,
}

impl Resctrl {
    /// Looks at it. None: it is not mounted.
    pub fn read(rdt: &IntelRdt, id: &str) -> Option<Resctrl> {
        let root = mountinfo::first_of("resctrl")?;
        let group = if rdt.clos_id.is_empty() { id } else { &rdt.clos_id };
        let schemata = fs::read_to_string(root.join(group).join("schemata")).ok();
        Some(Resctrl { root, schemata })
    }
}
