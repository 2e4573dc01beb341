//! User, group and supplementary groups.

use rustix::io::Errno;
use rustix::process::{Gid, Uid};
use rustix::thread::{set_keep_capabilities, set_thread_res_gid, set_thread_res_uid};
use vial_plan::{Call, Step};

use crate::fault::{During, Fault};
use crate::sys::setgroups::setgroups;

/// Becomes uid and gid 0 of the user namespace, so that root owns what all later steps
/// make. groups: setgroups(2) is not denied.
pub fn become_root(groups: bool) -> Result<(), Fault> {
    change_ids(0, 0, groups.then_some(&[]))
}

/// Becomes the container's user. The permitted capabilities are kept until the sets of
/// config.json replace them.
pub fn change(uid: u32, gid: u32, groups: Option<&[u8]>) -> Result<(), Fault> {
    if uid != 0 {
        set_keep_capabilities(true).during(Call::Prctl, Step::KeepCapabilities)?;
    }
    change_ids(uid, gid, groups)
}

fn change_ids(uid: u32, gid: u32, groups: Option<&[u8]>) -> Result<(), Fault> {
    if let Some(groups) = groups {
        setgroups(groups).during(Call::Setgroups, Step::SetGroups)?;
    }
    // -1 is no id: it tells the kernel to leave the id as it is.
    if uid == u32::MAX || gid == u32::MAX {
        return Err(Fault::new(Call::Setresuid, Step::SetUid, Errno::INVAL));
    }
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    set_thread_res_gid(gid, gid, gid).during(Call::Setresgid, Step::SetGid)?;
    set_thread_res_uid(uid, uid, uid).during(Call::Setresuid, Step::SetUid)
}
