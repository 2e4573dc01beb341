//! The label that a security module gives the process on execve(2). It is written to
//! /proc/self/attr through the private procfs, which the container cannot replace with
//! a file of its own (CVE-2019-16884).

use core::ffi::CStr;

use rustix::fs::OFlags;
use rustix::io::{Errno, write};
use vial_plan::{Call, Step};

use crate::fault::{During, Fault, Of};
use crate::path::PathBuffer;
use crate::procfs::Procfs;

/// Sets an AppArmor profile, as aa_change_onexec(2) does.
#[inline(never)] // Keep this buffer out of the stack frame that stays resident while waiting.
pub(super) fn apparmor(procfs: &Procfs, profile: &CStr) -> Result<(), Fault> {
    let mut text: PathBuffer = PathBuffer::empty();
    text.push(b"exec ")
        .and_then(|text| text.push(profile.to_bytes()))
        .during(Call::None, Step::WriteAppArmorProfile)?;
    let written = match procfs.open_file(c"self/attr/apparmor/exec", OFlags::WRONLY) {
        Ok(file) => write(&file, text.as_bytes())
            .map(|_| ())
            .during(Call::Write, Step::WriteAppArmorProfile),
        // KERNEL(5.8): AppArmor has no directory of its own.
        Err(fault) if fault.errno() == Errno::NOENT => next(procfs, text.as_bytes()),
        Err(fault) => Err(fault.of(Step::OpenLabel)),
    };
    match written {
        // EINVAL: without AppArmor every process is unconfined already.
        Err(fault) if fault.errno() == Errno::INVAL && profile == c"unconfined" => Ok(()),
        result => result,
    }
}

/// Sets an SELinux label, as setexeccon(3) does.
pub(super) fn selinux(procfs: &Procfs, label: &CStr) -> Result<(), Fault> {
    next(procfs, label.to_bytes())
}

fn next(procfs: &Procfs, text: &[u8]) -> Result<(), Fault> {
    let file = procfs.open_file(c"self/attr/exec", OFlags::WRONLY).of(Step::OpenLabel)?;
    write(&file, text).during(Call::Write, Step::WriteLabel)?;
    Ok(())
}
