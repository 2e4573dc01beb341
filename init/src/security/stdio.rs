//! The owner of standard input, output and error.

use rustix::fd::BorrowedFd;
use rustix::fs::{FileType, Uid, fchown, fstat, makedev};
use rustix::io::Errno;
use vial_plan::Step;

use crate::fault::Fault;
use crate::sys::stdio::streams;

/// Gives the streams to the container's user, who could not open /dev/stdout
/// otherwise. Not /dev/null, which belongs to all.
pub fn own(uid: u32) -> Result<(), Fault> {
    for stream in streams() {
        own_stream(stream, uid)?;
    }
    Ok(())
}

fn own_stream(stream: BorrowedFd<'_>, uid: u32) -> Result<(), Fault> {
    let stat = match fstat(stream) {
        Ok(stat) => stat,
        Err(Errno::BADF) => return Ok(()), // The caller gave none.
        Err(errno) => return Err(Fault { step: Step::OwnStdio, errno }),
    };
    let device = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
    if stat.st_uid == uid || (device && stat.st_rdev == makedev(1, 3)) {
        return Ok(());
    }
    match fchown(stream, Some(Uid::from_raw(uid)), None) {
        // EPERM, EINVAL: of a user that the user namespace does not know;
        // EROFS: on a read-only filesystem. The streams work all the same.
        Ok(()) | Err(Errno::PERM | Errno::INVAL | Errno::ROFS) => Ok(()),
        Err(errno) => Err(Fault { step: Step::OwnStdio, errno }),
    }
}
