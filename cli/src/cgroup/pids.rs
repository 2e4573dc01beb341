//! The processes of a cgroup.

use std::io;

use rustix::fd::BorrowedFd;
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;

use super::Cgroup;
use super::walk::walk;
use crate::file::{as_io, read_rest};

impl Cgroup {
    /// The pids in it and below, in this pid namespace.
    pub fn pids(&self) -> io::Result<Vec<u32>> {
        let mut pids = Vec::new();
        walk(&self.path, |cgroup| add_pids(cgroup, &mut pids), |_, _| Ok(()))?;
        pids.sort_unstable();
        Ok(pids)
    }
}

fn add_pids(cgroup: BorrowedFd<'_>, pids: &mut Vec<u32>) -> io::Result<()> {
    let mut text = Vec::new();
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let read = openat(cgroup, c"cgroup.procs", flags, Mode::empty())
        .and_then(|file| read_rest(file, &mut text, usize::MAX));
    match read {
        Ok(()) => {}
        // It was removed meanwhile, or is threaded: its parent lists the processes.
        Err(Errno::NOENT | Errno::NODEV | Errno::OPNOTSUPP) => return Ok(()),
        Err(errno) => return Err(as_io(errno)),
    }
    let lines = text.split(|byte| *byte == b'\n');
    let pids_of = lines.filter_map(|line| std::str::from_utf8(line).ok()?.parse::<u32>().ok());
    pids.extend(pids_of.filter(|pid| *pid != 0)); // 0: not in this pid namespace.
    Ok(())
}
