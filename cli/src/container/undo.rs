//! What a create has made outside of its processes, until it is a container.

use std::fs;

use super::dir::Dir;
use crate::cgroup::Cgroup;
use crate::error::Error;
use crate::plan::CgroupPlace;

/// A guard: the state dir and the cgroups that were not there before go when it
/// goes out of scope, unless they are a container's by then.
#[derive(Debug)]
pub struct Undo<'a> {
    dir: &'a Dir,
    cgroups: Vec<Cgroup>,
}

impl<'a> Undo<'a> {
    /// Before the container's cgroup is made: counts those that will be.
    pub fn before(dir: &'a Dir, place: Option<&mut CgroupPlace>) -> Result<Undo<'a>, Error> {
        let mut undo = Undo { dir, cgroups: Vec::new() };
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

    /// It is a container now, and everything stays.
    pub fn forget(self) {
        std::mem::forget(self); // This process ends soon, and its memory with it.
    }
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        let _ = remove(self.dir, &self.cgroups); // What cannot be removed is of less use than the error.
    }
}

/// The container's cgroup, and those above it.
fn cgroups(place: &CgroupPlace) -> impl Iterator<Item = Cgroup> {
    let paths = place.path.ancestors().filter(|path| !path.as_os_str().is_empty());
    paths.map(|path| Cgroup::new(place.root.join(path)))
}

/// Removes what a create has left that died.
pub fn clear(dir: &Dir, place: Option<&CgroupPlace>) -> Result<(), Error> {
    let left = |place| cgroups(place).take(place.made.max(1)).collect();
    let left: Vec<_> = place.map(left).unwrap_or_default();
    remove(dir, &left)
}

/// The deepest cgroup first; one above it that another container has come to use
/// stays.
fn remove(dir: &Dir, cgroups: &[Cgroup]) -> Result<(), Error> {
    let Some((own, above)) = cgroups.split_first() else {
        return dir.remove();
    };
    own.remove()?;
    for cgroup in above {
        let _ = fs::remove_dir(cgroup.path()); // ENOENT: it was not made yet. EBUSY: see above.
    }
    dir.remove()
}
