//! Undoes what a failed create has made besides processes.

use std::fs;

use super::dir::Dir;
use crate::cgroup::Cgroup;
use crate::error::Error;
use crate::hooks::Subject;
use crate::log::Log;
use crate::plan::CgroupPlace;

/// A guard. Out of scope, it removes the state dir and the cgroups that did not
/// exist before.
pub struct Undo<'a> {
    dir: &'a Dir,
    cgroups: Vec<Cgroup>,
    /// What to do after that.
    last: Option<Box<dyn Fn() + 'a>>,
}

impl<'a> Undo<'a> {
    /// Call this before the container's cgroup is made. Counts the cgroups that do not
    /// exist yet.
    pub fn before(dir: &'a Dir, place: Option<&mut CgroupPlace>) -> Result<Undo<'a>, Error> {
        let mut undo = Undo { dir, cgroups: Vec::new(), last: None };
        let Some(place) = place else { return Ok(undo) };
        place.made = cgroups(place).take_while(|cgroup| !cgroup.path().exists()).count();
        undo.cgroups = cgroups(place).take(place.made).collect();
        let cgroup = place.cgroup();
        if undo.cgroups.is_empty() && cgroup.is_populated() {
            let path = cgroup.path().display().to_string();
            return Err(Error::new(format_args!("cgroup {path} holds processes already")).hint(
                "set linux.cgroupsPath to another one, or delete the container that uses it",
            ));
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

/// The container's cgroup and its ancestors.
fn cgroups(place: &CgroupPlace) -> impl Iterator<Item = Cgroup> {
    let paths = place.path.ancestors().filter(|path| !path.as_os_str().is_empty());
    paths.map(|path| Cgroup::new(place.root.join(path)))
}

/// Removes what a dead create of this id left behind, then runs the poststop hooks.
pub fn clear(dir: &Dir, id: &str, log: &Log) -> Result<(), Error> {
    let left = |place: CgroupPlace| cgroups(&place).take(place.made.max(1)).collect();
    let left: Vec<_> = dir.cgroup_place().map(left).unwrap_or_default();
    // Without them, the create died before it did anything.
    let known = (dir.config(), dir.bundle());
    remove(dir, &left)?;
    if let (Ok(config), Some(bundle)) = known {
        Subject { config: &config, id, bundle: &bundle }.poststop(log);
    }
    Ok(())
}

/// Removes cgroups, the deepest first. One that another container uses by now
/// stays.
fn remove(dir: &Dir, cgroups: &[Cgroup]) -> Result<(), Error> {
    let Some((own, above)) = cgroups.split_first() else {
        return dir.remove();
    };
    own.remove()?;
    for cgroup in above {
        let _ = fs::remove_dir(cgroup.path()); // ENOENT: it was not made yet. EBUSY: it is used.
    }
    dir.remove()
}
