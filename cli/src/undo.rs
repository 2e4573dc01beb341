//! What a create has made outside of its processes, until it is a container.

use std::fs;
use std::path::PathBuf;

use crate::cgroup::Cgroup;
use crate::dir::Dir;
use crate::error::Error;

/// A guard: the state dir and the cgroups that were not there before go when it
/// goes out of scope, unless they are a container's by then.
#[derive(Debug)]
pub struct Undo<'a> {
    dir: &'a Dir,
    /// The container's, and those above it that are made with it.
    cgroups: Vec<Cgroup>,
    /// The container's, whether it was there or not.
    cgroup: Option<Cgroup>,
}

impl<'a> Undo<'a> {
    /// Before the container's cgroup is made: the mount point of cgroup2, and its
    /// path from there.
    pub fn before(dir: &'a Dir, place: Option<(PathBuf, PathBuf)>) -> Result<Undo<'a>, Error> {
        let mut undo = Undo { dir, cgroups: Vec::new(), cgroup: None };
        let Some((root, own)) = place else {
            return Ok(undo);
        };
        let paths = own.ancestors().filter(|path| !path.as_os_str().is_empty());
        let made = paths.map(|path| root.join(path)).take_while(|path| !path.exists());
        undo.cgroups = made.map(Cgroup::new).collect();
        let cgroup = Cgroup::new(root.join(&own));
        if undo.cgroups.is_empty() && cgroup.is_populated() {
            let path = cgroup.path().display().to_string();
            return Err(Error::new(format_args!("cgroup {path} holds processes already")).hint(
                "set linux.cgroupsPath to another one, or delete the container that uses it",
            ));
        }
        undo.cgroup = Some(cgroup);
        Ok(undo)
    }

    /// The container's cgroup, if it is to have one.
    pub fn cgroup(&self) -> Option<Cgroup> {
        self.cgroup.clone()
    }

    /// It is a container now, and everything stays.
    pub fn forget(self) {
        std::mem::forget(self); // This process ends soon, and its memory with it.
    }
}

impl Drop for Undo<'_> {
    /// The deepest first; one that another container has come to use stays.
    fn drop(&mut self) {
        for (depth, cgroup) in self.cgroups.iter().enumerate() {
            if depth > 0 && cgroup.is_populated() {
                break;
            }
            let _ = match depth {
                0 => cgroup.remove(),
                _ => fs::remove_dir(cgroup.path()).map_err(Error::new), // EBUSY: another uses it.
            };
        }
        let _ = self.dir.remove(); // What cannot be removed is of less use than the error.
    }
}
