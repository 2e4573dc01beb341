//! The owner of standard input, output and error.

use rustix::fd::BorrowedFd;
use rustix::fs::{FileType, Uid, fchown, fstat};
use rustix::io::Errno;
use vial_plan::{Call, Step};

use crate::fault::Fault;
use crate::sys::stdio::streams;

/// Gives the streams to the container's user, who could not open /dev/stdout
/// otherwise; devices only if they are the container's own terminal, since any
/// other is the host's.
pub(super) fn own(uid: u32, own_terminal: bool) -> Result<(), Fault> {
    for stream in streams() {
        own_stream(stream, uid, own_terminal)?;
    }
    Ok(())
}

fn own_stream(stream: BorrowedFd<'_>, uid: u32, own_terminal: bool) -> Result<(), Fault> {
    let stat = match fstat(stream) {
        Ok(stat) => stat,
        Err(Errno::BADF) => return Ok(()), // The caller gave none.
        Err(errno) => return Err(Fault::new(Call::Fstat, Step::OwnStdio, errno)),
    };
    let kind = FileType::from_raw_mode(stat.st_mode);
    let device = matches!(kind, FileType::CharacterDevice | FileType::BlockDevice);
    if stat.st_uid == uid || (device && !own_terminal) {
        return Ok(());
    }
    match fchown(stream, Some(Uid::from_raw(uid)), None) {
        // EPERM, EINVAL: of a user that the user namespace does not know;
        // EROFS: on a read-only filesystem. The streams work all the same.
        Ok(()) | Err(Errno::PERM | Errno::INVAL | Errno::ROFS) => Ok(()),
        Err(errno) => Err(Fault::new(Call::Fchown, Step::OwnStdio, errno)),
    }
}
