//! Covers for masked paths: an empty file and an empty directory in a tmpfs of vial's
//! own. The tmpfs is hidden below the mount of the rootfs, where no path of the
//! container leads, and goes away with the host's root.

use core::ffi::CStr;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, mkdirat, mknodat};
use rustix::mount::MountFlags;
use vial_plan::{Call, Step};

use super::filesystem::New;
use super::{Rootfs, attributes, bind, mounted};
use crate::fault::{During, Fault, Of};

const NAMES: [&CStr; 2] = [c"file", c"directory"];

/// Mounts the tmpfs on the directory of the rootfs, before the rootfs is bound there.
pub(super) fn make(rootfs: &Rootfs, directory: &OwnedFd, data: &CStr) -> Result<OwnedFd, Fault> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let (source, fstype) = (c"vial-covers", c"tmpfs");
    New { source, fstype, flags: flags.bits(), data }.mount_on(directory)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    let covers = mounted::covering(directory.as_fd(), flags).of(Step::MakeCover)?;
    let [file, directory] = NAMES;
    mknodat(&covers, file, FileType::RegularFile, Mode::from_raw_mode(0o666), 0)
        .during(Call::Mknodat, Step::MakeCover)?;
    mkdirat(&covers, directory, Mode::from_raw_mode(0o555))
        .during(Call::Mkdirat, Step::MakeCover)?;
    attributes::set(rootfs, covers.as_fd(), &bind::attributes(attributes::RDONLY, 0))?;
    Ok(covers)
}

/// The name of the cover for a file or for a directory.
pub(super) fn name(is_directory: bool) -> &'static CStr {
    let [file, directory] = NAMES;
    if is_directory { directory } else { file }
}
