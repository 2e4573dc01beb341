//! Where criu restores: a mount namespace of its own, which ends with it. Whatever goes
//! wrong, no mount stays on the host.

use std::ffi::CStr;
use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use linux_raw_sys::general::CLONE_NEWNS;
use rustix::fs::{CWD, FileType, Mode, mkdirat, mknodat};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change, mount_remount};
use vial_init::sys::unshare::unshare;
use vial_plan::{Item, RootfsItem, Stage2};

use crate::error::Error;
use crate::file::c_path;
use crate::plan::Plan;

/// The names of the covers.
const FILE: &str = "file";
const DIRECTORY: &str = "directory";

/// That place. As a guard, it removes a directory when it goes out of scope.
#[derive(Debug)]
pub struct Room<'a> {
    root: PathBuf,
    rootfs: &'a CStr,
    /// Where the covers for masked paths are, if there are any, since those of the
    /// checkpoint are gone. Root of a user namespace must be able to look there, and
    /// neither proc nor sysfs may be covered in part, as it could not mount these then.
    covers: Option<PathBuf>,
    /// The options of the tmpfs with the covers.
    options: &'a CStr,
}

impl<'a> Room<'a> {
    /// The place for a Plan, with the rootfs at an existing directory.
    pub fn new(root: PathBuf, plan: &'a Plan) -> Result<Room<'a>, Error> {
        let (rootfs, options) = rootfs(plan)?;
        let has_masks = plan.items().any(|(_, item, _)| {
            matches!(item, Item::Stage2(Stage2::Rootfs(RootfsItem::MaskPath { .. })))
        });
        let mut room = Room { root, rootfs, covers: None, options };
        if has_masks {
            let path = PathBuf::from(format!("/run/vial-criu.{}", std::process::id()));
            match DirBuilder::new().mode(0o711).create(&path) {
                Err(e) if e.kind() != ErrorKind::AlreadyExists => {
                    return Err(Error::io(format_args!("make {}: mkdir(2)", path.display()), &e));
                }
                _ => room.covers = Some(path),
            }
        }
        Ok(room)
    }

    /// The covers for files and for directories.
    pub fn covers(&self) -> Option<[PathBuf; 2]> {
        let covers = self.covers.as_ref()?;
        Some([FILE, DIRECTORY].map(|name| covers.join(name)))
    }

    /// Where the rootfs is bound.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Moves this process there.
    pub(super) fn enter(&self) -> Result<(), Error> {
        self.bind_root().and_then(|()| self.make_covers()).map_err(|errno| {
            let path = self.rootfs.to_string_lossy();
            Error::errno(format_args!("bind {path}, so that criu can restore there"), errno)
        })
    }

    fn bind_root(&self) -> rustix::io::Result<()> {
        unshare(CLONE_NEWNS)?;
        // Mounts of the host still arrive, but none goes there.
        mount_change(c"/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)?;
        // criu wants a mount point whose parent is not covered, so not the rootfs itself.
        let root = c_path(&self.root)?;
        mount(self.rootfs, &*root, c"", MountFlags::BIND | MountFlags::REC, None)
    }

    fn make_covers(&self) -> rustix::io::Result<()> {
        let (Some(place), Some([file, directory])) = (&self.covers, self.covers()) else {
            return Ok(());
        };
        let (place, file, directory) = (c_path(place)?, c_path(&file)?, c_path(&directory)?);
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        let options = Some(self.options).filter(|options| !options.is_empty());
        mount(c"vial-covers", &*place, c"tmpfs", flags, options)?;
        mknodat(CWD, &*file, FileType::RegularFile, Mode::from_raw_mode(0o666), 0)?;
        mkdirat(CWD, &*directory, Mode::from_raw_mode(0o555))?;
        mount_remount(&*place, MountFlags::BIND | MountFlags::RDONLY | flags, c"")
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        if let Some(covers) = &self.covers {
            let _ = fs::remove_dir(covers); // A vial that was killed leaves it, empty.
        }
    }
}

/// The rootfs of a Plan, and the options of the tmpfs with its covers.
pub fn rootfs(plan: &Plan) -> Result<(&CStr, &CStr), Error> {
    let of = |(_, item, _)| match item {
        Item::Stage2(Stage2::Rootfs(RootfsItem::Rootfs { path, covers, .. })) => {
            Some((path, covers))
        }
        _ => None,
    };
    plan.items().find_map(of).ok_or_else(|| {
        Error::new("config.json linux.namespaces: without a mount namespace, criu cannot restore the container")
    })
}
