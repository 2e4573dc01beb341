//! Which devices the mounts of config.json bring in. Looked up only if the host has
//! no cgroup2 and so nothing filters devices.

use std::fs::{self, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use linux_raw_sys::general;
use rustix::fs::{major, minor, statfs};

use super::mountinfo;
use crate::config::{Config, Mount};
use crate::file::c_path;

const DEVPTS_SUPER_MAGIC: u64 = general::DEVPTS_SUPER_MAGIC as u64;

/// How deep to search /dev: /dev/bus/usb/001/002 is four levels below it.
const MAX_DEPTH: u32 = 6;

/// A device's type and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    /// Whether it is a block device; otherwise a character device.
    pub is_block: bool,
    /// The major number.
    pub major: u32,
    /// The minor number.
    pub minor: u32,
}

/// The pseudo-terminal multiplexer. The kernel looks for devpts beside such a node,
/// and finds none beside a bind mount of the node. The node inside devpts needs
/// nothing beside it.
pub const PTMX: Device = Device { is_block: false, major: 5, minor: 2 };
/// Its node inside devpts, below /dev.
pub const PTMX_OF_DEVPTS: &str = "pts/ptmx";

/// What one mount brings in.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// Its source on the host; empty for a new filesystem.
    pub path: PathBuf,
    /// The device, if the source is one.
    pub itself: Option<Device>,
    /// The devices below the source, if it is mounted on /dev, by their paths below it.
    pub below: Vec<(PathBuf, Device)>,
    /// Whether it is devpts, which holds only terminals.
    pub is_devpts: bool,
    /// Whether the host has other mounts below it.
    pub has_mounts: bool,
}

impl Source {
    /// The source of each entry of mounts.
    pub fn of(config: &Config, bundle: &Path) -> Vec<Source> {
        config.mounts.iter().map(|mount| Source::look(mount, bundle)).collect()
    }

    fn look(mount: &Mount, bundle: &Path) -> Source {
        let options = || mount.options.iter().flat_map(|text| text.split(','));
        let is_bind = mount.kind == "bind" || options().any(|one| matches!(one, "bind" | "rbind"));
        let path = match mount.kind.as_str() {
            "devtmpfs" => PathBuf::from("/dev"), // All mounts of devtmpfs show the same files.
            _ if is_bind => bundle.join(&mount.source),
            _ => return Source::default(),
        };
        // If it cannot be found, the bind mount will fail and say so.
        let (Ok(found), Ok(real)) = (fs::metadata(&path), fs::canonicalize(&path)) else {
            return Source { path, ..Source::default() };
        };
        let for_dev = real.starts_with("/dev") || mount.destination.starts_with("/dev");
        let mut below = Vec::new();
        if for_dev && found.is_dir() {
            add_devices(&path, Path::new(""), 0, &mut below);
        }
        let is_devpts = c_path(&path)
            .and_then(|path| statfs(&*path))
            .is_ok_and(|stat| stat.f_type as u64 == DEVPTS_SUPER_MAGIC);
        let has_mounts = mountinfo::has_mounts(&real);
        Source { path, itself: device(&found), below, is_devpts, has_mounts }
    }
}

/// Whether the host has other mounts below the rootfs.
pub fn rootfs_has_mounts(config: &Config, bundle: &Path) -> bool {
    let rootfs = config.rootfs(bundle).ok();
    let real = rootfs.and_then(|rootfs| fs::canonicalize(rootfs).ok());
    real.is_some_and(|real| mountinfo::has_mounts(&real))
}

fn device(found: &Metadata) -> Option<Device> {
    let (kind, number) = (found.file_type(), found.rdev());
    let is_device = kind.is_block_device() || kind.is_char_device();
    let is_block = kind.is_block_device();
    is_device.then(|| Device { is_block, major: major(number), minor: minor(number) })
}

/// Adds the devices of one filesystem, but not of filesystems mounted in it.
fn add_devices(top: &Path, below: &Path, depth: u32, found: &mut Vec<(PathBuf, Device)>) {
    let here = top.join(below);
    let Ok(filesystem) = fs::metadata(&here).map(|here| here.dev()) else { return };
    for entry in fs::read_dir(&here).into_iter().flatten().flatten() {
        let Ok(entry_found) = entry.metadata() else { continue }; // It was removed meanwhile.
        let path = below.join(entry.file_name());
        if let Some(device) = device(&entry_found) {
            if device != PTMX || top.join(PTMX_OF_DEVPTS).exists() {
                found.push((path, device));
            }
        } else if entry_found.is_dir() && entry_found.dev() == filesystem && depth < MAX_DEPTH {
            add_devices(top, &path, depth + 1, found);
        }
    }
}
