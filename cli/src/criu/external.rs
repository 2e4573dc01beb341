//! What criu neither dumps nor makes, because it is not the container's own: binds of
//! the host's files, covers of masked paths, and namespaces that were joined. At a dump
//! each gets a name, by which a restore finds what takes its place.

use std::ffi::{CStr, CString, OsStr};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use linux_raw_sys::general::CLONE_NEWPID;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, OFlags, fstat};
use vial_init::rootfs::resolve::Make;
use vial_init::rootfs::walk;
use vial_plan::{Item, LeaveItem, NO_SLOT, RootfsItem, Stage0, Stage2};

use super::program::lend;
use super::room::Room;
use super::{Message, option};
use crate::error::Error;
use crate::file::open;
use crate::host::mountinfo;
use crate::namespace::{KINDS, kind};
use crate::plan::Plan;

/// The names of the covers, and that of masked files in the images of runc.
const FILE: &[u8] = b"masked-file";
const DIRECTORY: &[u8] = b"masked-directory";
const NULL: &[u8] = b"/dev/null";

/// A bind of the host's: where in the container, and what. The first is also its name.
type Bind = (PathBuf, PathBuf);

/// Adds all of it to a dump of the container whose init has this pid.
pub fn dump(options: &mut Message, plan: &Plan, pid: u32) -> Result<(), Error> {
    let path = format!("/proc/{pid}/root");
    let root = open(&path, OFlags::PATH | OFlags::DIRECTORY)
        .map_err(|error| Error::io(format_args!("open {path}"), &error))?;
    for (target, _) in binds(plan)? {
        // A symbolic link may lead to it.
        if let Some(place) = find(&root, &target).and_then(|found| place(found.as_fd())) {
            let name = target.as_os_str().as_bytes();
            options.pair(option::EXT_MNT, [place.as_os_str().as_bytes(), name]);
        }
    }
    for (_, item, _) in plan.items() {
        let Item::Stage2(Stage2::Rootfs(RootfsItem::MaskPath { path })) = item else { continue };
        let Some(found) = find(&root, path_of(path)) else { continue };
        let is_directory = fstat(&found)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory);
        if let Some(place) = place(found.as_fd()) {
            let name = if is_directory { DIRECTORY } else { FILE };
            options.pair(option::EXT_MNT, [place.as_os_str().as_bytes(), name]);
        }
    }
    for joined in joined(plan)? {
        if let Some(key) = joined.key() {
            let path = format!("/proc/{pid}/ns/{}", joined.name);
            let inode = fs::metadata(&path)
                .map_err(|error| Error::io(format_args!("stat {path}"), &error))?
                .ino();
            options.text(option::EXTERNAL, format!("{}[{inode}]:{key}", joined.name).as_bytes());
        }
    }
    Ok(())
}

/// Adds all of it to a restore. Returns fds that criu inherits.
pub fn restore(options: &mut Message, plan: &Plan, room: &Room<'_>) -> Result<Vec<OwnedFd>, Error> {
    for (target, source) in binds(plan)? {
        options.pair(
            option::EXT_MNT,
            [target, source].each_ref().map(|path| path.as_os_str().as_bytes()),
        );
    }
    if let Some(covers) = room.covers() {
        for (name, cover) in [FILE, DIRECTORY].into_iter().zip(&covers) {
            options.pair(option::EXT_MNT, [name, cover.as_os_str().as_bytes()]);
        }
    }
    options.pair(option::EXT_MNT, [NULL; 2]);
    let mut inherited = Vec::new();
    for joined in joined(plan)? {
        let Some(key) = joined.key() else {
            options.pair(option::JOIN_NS, [joined.name.as_bytes(), joined.path.to_bytes()]);
            continue;
        };
        let path = path_of(&joined.path);
        let namespace = open(path, OFlags::RDONLY)
            .map_err(|error| Error::io(format_args!("open {}", path.display()), &error))?;
        inherit(options, key, namespace.as_fd())?;
        inherited.push(namespace);
    }
    Ok(inherited)
}

/// Has criu use an fd in place of what has this key.
pub fn inherit(options: &mut Message, key: &str, fd: BorrowedFd<'_>) -> Result<(), Error> {
    let mut message = Message::default();
    message.text(1, key.as_bytes());
    message.number(2, lend(fd)?.into());
    options.text(option::INHERIT_FD, message.bytes());
    Ok(())
}

/// The binds of the host's files, with those of mounts below them.
fn binds(plan: &Plan) -> Result<Vec<Bind>, Error> {
    let mut binds: Vec<Bind> = Vec::new();
    let mut below = Vec::new();
    for (_, item, origin) in plan.items() {
        let Item::Stage2(Stage2::Rootfs(item)) = item else { continue };
        match item {
            RootfsItem::Bind { id_map, .. } if id_map != NO_SLOT => {
                return Err(Error::new(format_args!(
                    "config.json {origin}: criu cannot restore an idmapped mount"
                )));
            }
            RootfsItem::Bind { source, target, recursive, .. } => {
                let (source, target) = (path_of(source), path_of(target));
                if recursive && let Ok(source) = fs::canonicalize(source) {
                    below.extend(mountinfo::below(&source).into_iter().filter_map(|point| {
                        let rest = point.strip_prefix(&source).ok()?;
                        Some((target.join(rest), point))
                    }));
                }
                binds.push((target.to_owned(), source.to_owned()));
            }
            RootfsItem::DeviceNode { path, bind: true, .. } => {
                binds.push((path_of(path).to_owned(), path_of(path).to_owned()));
            }
            _ => {}
        }
    }
    let targets: Vec<PathBuf> = plan.items().filter_map(|(_, item, _)| target(&item)).collect();
    binds.extend(below.into_iter().filter(|(place, _)| !targets.contains(place)));
    Ok(binds)
}

/// Where an item mounts something.
fn target(item: &Item<'_>) -> Option<PathBuf> {
    match item {
        Item::Stage2(Stage2::Rootfs(
            RootfsItem::Mount { target, .. }
            | RootfsItem::MountCopy { target, .. }
            | RootfsItem::MountCgroup { target, .. }
            | RootfsItem::Bind { target, .. },
        )) => Some(path_of(target).to_owned()),
        _ => None,
    }
}

/// A namespace that was joined.
struct Joined {
    name: &'static str,
    flag: u32,
    path: CString,
}

impl Joined {
    /// By which key criu knows it, if it neither dumps nor makes it. The others it does
    /// dump, and joins in place of making them.
    fn key(&self) -> Option<&'static str> {
        match self.flag {
            kind::NETWORK => Some("extRootNetNS"),
            CLONE_NEWPID => Some("extRootPidNS"),
            _ => None,
        }
    }
}

fn joined(plan: &Plan) -> Result<Vec<Joined>, Error> {
    let mut all = Vec::new();
    for (_, item, origin) in plan.items() {
        let Item::Stage0(Stage0::Leave(LeaveItem::JoinPath { path, kind: flag })) = item else {
            continue;
        };
        if flag == kind::CGROUP {
            return Err(Error::new(format_args!(
                "config.json {origin}: criu cannot join a cgroup namespace"
            )));
        }
        let name = KINDS.iter().find(|(.., of)| *of == flag).map_or("", |(_, name, _)| name);
        all.push(Joined { name, flag, path: path.to_owned() });
    }
    Ok(all)
}

/// Makes the mount points that are missing in the rootfs, as create does. criu makes
/// those in the filesystems that it mounts.
pub fn make_mount_points(plan: &Plan, rootfs: &CStr) -> Result<(), Error> {
    let failed = |path: &Path, errno| {
        Error::errno(format_args!("make the mount point {}", path.display()), errno)
    };
    let rootfs = path_of(rootfs);
    let mut made: Vec<(PathBuf, Option<PathBuf>)> = vec![("/".into(), Some(rootfs.to_owned()))];
    for (_, item, _) in plan.items() {
        let Some(target) = target(&item) else { continue };
        let source = match &item {
            Item::Stage2(Stage2::Rootfs(RootfsItem::Bind { source, .. })) => {
                Some(path_of(source).to_owned())
            }
            _ => None,
        };
        // The last one that covers this place.
        let parent = made.iter().rev().find(|(place, _)| target.starts_with(place));
        if let Some((place, Some(directory))) = parent
            && let Ok(rest) = target.strip_prefix(place)
            && !rest.as_os_str().is_empty()
        {
            let is_file = source.as_ref().is_some_and(|source| !source.is_dir());
            let make = if is_file { Make::File } else { Make::Directory };
            let root = open(directory, OFlags::PATH | OFlags::DIRECTORY)
                .map_err(|error| Error::io(format_args!("open {}", directory.display()), &error))?;
            walk::make(root.as_fd(), rest.as_os_str().as_bytes(), make, false)
                .map_err(|fault| failed(&target, fault.errno()))?;
        }
        made.push((target, source));
    }
    Ok(())
}

/// Finds a path below a root.
fn find(root: &OwnedFd, path: &Path) -> Option<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    walk::open(root.as_fd(), path.as_os_str().as_bytes(), flags, false).ok()
}

/// The path of what an fd refers to, in its mount namespace.
fn place(fd: BorrowedFd<'_>) -> Option<PathBuf> {
    fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).ok()
}

fn path_of(text: &CStr) -> &Path {
    Path::new(OsStr::from_bytes(text.to_bytes()))
}
