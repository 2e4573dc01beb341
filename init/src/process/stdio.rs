//! The owner of standard input, output and error.

use rustix::fd::BorrowedFd;
use rustix::fs::{FileType, Uid, fchown, fstat};
use rustix::io::Errno;
use vial_plan::{Call, Step};

use crate::fault::Fault;
use crate::sys::stdio::streams;

/// Gives the streams to the container's user, who could not open /dev/stdout otherwise.
/// Leaves devices alone unless they are the container's own terminal: any other device
/// is the host's.
pub(super) fn own(uid: u32, own_terminal: bool) -> Result<(), Fault> {
    for stream in streams() {
        own_stream(stream, uid, own_terminal)?;
    }
    Ok(())
}

fn own_stream(stream: BorrowedFd<'_>, uid: u32, own_terminal: bool) -> Result<(), Fault> {
    let stat = match fstat(stream) {
        Ok(stat) => stat,
        Err(Errno::BADF) => return Ok(()), // The caller did not pass it.
        Err(errno) => return Err(Fault::new(Call::Fstat, Step::OwnStdio, errno)),
    };
    let kind = FileType::from_raw_mode(stat.st_mode);
    let device = matches!(kind, FileType::CharacterDevice | FileType::BlockDevice);
    if stat.st_uid == uid || (device && !own_terminal) {
        return Ok(());
    }
    match fchown(stream, Some(Uid::from_raw(uid)), None) {
        // EPERM, EINVAL: the user namespace does not map the file's user. EROFS: the
        // filesystem is read-only. The streams work in each case.
        Ok(()) | Err(Errno::PERM | Errno::INVAL | Errno::ROFS) => Ok(()),
        Err(errno) => Err(Fault::new(Call::Fchown, Step::OwnStdio, errno)),
    }
}
