//! Undoes what a failed create has made besides processes.

use std::fs;
use std::path::Path;

use super::dir::Dir;
use crate::cgroup::Cgroup;
use crate::error::Error;
use crate::hooks::Subject;
use crate::host::Hierarchy;
use crate::log::Log;
use crate::plan::{CgroupPlace, Plan};

/// A guard. Out of scope, it removes the state dir and the cgroups that did not
/// exist before.
pub struct Undo<'a> {
    dir: &'a Dir,
    /// Those to remove, in each hierarchy the deepest first.
    cgroups: Vec<Vec<Cgroup>>,
    /// What to do after that.
    last: Option<Box<dyn Fn() + 'a>>,
}

impl<'a> Undo<'a> {
    /// Call this before the container's cgroups are made. Counts those that do not
    /// exist yet.
    pub fn before(dir: &'a Dir, plan: &mut Plan) -> Result<Undo<'a>, Error> {
        let mut undo = Undo { dir, cgroups: Vec::new(), last: None };
        if let Some(place) = &mut plan.cgroup {
            place.made = missing(&place.root, &place.path);
            undo.cgroups.push(of_container(place, place.made));
            let cgroup = place.cgroup();
            if place.made == 0 && cgroup.is_populated() {
                let path = cgroup.path().display().to_string();
                return Err(Error::new(format_args!("cgroup {path} holds processes already")).hint(
                    "set linux.cgroupsPath to another one, or delete the container that uses it",
                ));
            }
            // A process that enters a frozen cgroup of v1 does not end, even if killed.
            if place.hierarchy == Hierarchy::V1 {
                let there = first(&place.root, &place.path, place.hierarchy, place.made + 1);
                if let Some(frozen) = there.last().filter(|cgroup| cgroup.is_frozen()) {
                    return Err(frozen.error_frozen());
                }
            }
        }
        for place in &mut plan.places {
            place.made = missing(&place.root, &place.path);
            undo.cgroups.push(first(&place.root, &place.path, Hierarchy::V1, place.made));
        }
        Ok(undo)
    }

    /// Does this last, if it comes to an undo.
    pub fn then(&mut self, last: impl Fn() + 'a) {
        self.last = Some(Box::new(last));
    }

    /// The container is complete: keep everything.
    pub fn forget(self) {
        std::mem::forget(self); // Its memory is freed when this process ends, soon.
    }
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        let _ = remove(self.dir, &self.cgroups); // Only the error that led here is told.
        if let Some(last) = &self.last {
            last();
        }
    }
}

/// How many cgroups of a path do not exist, of this one and its ancestors.
fn missing(root: &Path, path: &Path) -> usize {
    levels(path).take_while(|path| !root.join(path).exists()).count()
}

fn levels(path: &Path) -> impl Iterator<Item = &Path> {
    path.ancestors().filter(|path| !path.as_os_str().is_empty())
}

/// A cgroup and its ancestors, the first `count` of them.
fn first(root: &Path, path: &Path, hierarchy: Hierarchy, count: usize) -> Vec<Cgroup> {
    levels(path).take(count).map(|path| Cgroup::new(root.join(path), hierarchy)).collect()
}

/// The container's cgroup and its ancestors, the first `count` of them. Those above a
/// scope are slices of systemd, which removes them itself.
fn of_container(place: &CgroupPlace, count: usize) -> Vec<Cgroup> {
    match place.scope.is_empty() {
        true => first(&place.root, &place.path, place.hierarchy, count),
        false => (count > 0).then(|| place.cgroup()).into_iter().collect(),
    }
}

/// Removes what a dead create of this id left behind, then runs the poststop hooks.
pub fn clear(dir: &Dir, id: &str, log: &Log) -> Result<(), Error> {
    let (place, places) = dir.places();
    let mut cgroups = Vec::new();
    if let Some(place) = &place {
        cgroups.push(of_container(place, place.made.max(1)));
    }
    for place in places.iter().filter(|place| !place.keeps) {
        cgroups.push(first(&place.root, &place.path, Hierarchy::V1, place.made.max(1)));
    }
    // Without them, the create died before it did anything.
    let known = (dir.config(), dir.bundle());
    remove(dir, &cgroups)?;
    if let (Ok(config), Some(bundle)) = known {
        Subject { config: &config, id, bundle: &bundle }.poststop(log);
    }
    Ok(())
}

/// Removes cgroups. One that another container uses by now stays.
fn remove(dir: &Dir, cgroups: &[Vec<Cgroup>]) -> Result<(), Error> {
    for (own, above) in cgroups.iter().filter_map(|list| list.split_first()) {
        own.remove()?;
        for cgroup in above {
            let _ = fs::remove_dir(cgroup.path()); // ENOENT: it was not made yet. EBUSY: it is used.
        }
    }
    dir.remove()
}
