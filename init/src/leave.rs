//! How stage 0 leaves the host's namespaces: it joins and unshares some itself, creates
//! the rest with the child that is the next stage, and maps that child's user
//! namespace.

use rustix::fd::AsFd;
use rustix::fs::OFlags;
use rustix::pipe::{PipeFlags, pipe_with};
use vial_plan::{Call, LeaveItem, NO_SLOT, Reply, Stage, Step};

use crate::cgroup::Cgroup;
use crate::fault::{During, Fault, Prepared};
use crate::namespace::join;
use crate::stage0::Outside;
use crate::sys::clone3::{self, Side, clone3};
use crate::sys::unshare::unshare;
use crate::{Life, cgroup, channel, spawn};

/// Carries out one item.
#[inline(always)]
pub fn carry_out(
    life: &mut Life,
    outside: &mut Outside,
    item: LeaveItem<'static>,
) -> Result<(), Fault> {
    match item {
        LeaveItem::OpenTimeOffsets { file } => {
            let fd = life.procfs()?.open_file(c"self/timens_offsets", OFlags::WRONLY)?;
            life.slots.put(file, fd)
        }
        LeaveItem::JoinPath { path, kind } => join::path(path, kind),
        LeaveItem::JoinProcess { kinds, pid, pidfd } => {
            join::process(life.slots.get(pidfd), pid, kinds, life.procfs()?)
        }
        LeaveItem::Unshare { kinds } => unshare(kinds).during(Call::Unshare, Step::Unshare),
        LeaveItem::TimeOffsets { offsets, file } => match life.slots.take(file) {
            Some(file) => rustix::io::write(&file, offsets.to_bytes())
                .map(|_| ())
                .during(Call::Write, Step::WriteProcFile),
            None => life.procfs()?.write(c"self/timens_offsets", offsets.to_bytes()),
        },
        LeaveItem::Clone { stage, kinds, pipe } => clone(life, &outside.cgroup, stage, kinds, pipe),
        LeaveItem::DenySetgroups {} => life.procfs()?.write_of(life.child, b"/setgroups", b"deny"),
        LeaveItem::UidMap { map } => {
            life.procfs()?.write_of(life.child, b"/uid_map", map.to_bytes())
        }
        LeaveItem::GidMap { map } => {
            life.procfs()?.write_of(life.child, b"/gid_map", map.to_bytes())
        }
        LeaveItem::MapHelper { program, map } => spawn::map_helper(program, life.child, map, life),
        LeaveItem::ReleaseChild { pipe } => {
            rustix::io::write(life.slots.get(pipe).prepared()?, b"m")
                .map(|_| ())
                .during(Call::Write, Step::ReleaseChild)
        }
    }
}

/// Starts the next stage as a child of the CLI, which is this process's parent
/// (CLONE_PARENT). No process of the runtime then stays between the container and its
/// engine.
pub(crate) fn clone(
    life: &mut Life,
    cgroup: &Cgroup,
    stage: u32,
    kinds: u32,
    pipe: u32,
) -> Result<(), Fault> {
    let stage = u8::try_from(stage).ok().and_then(Stage::from_number).ok_or(Fault::PLAN)?;
    let ends = match pipe != NO_SLOT {
        true => Some(pipe_with(PipeFlags::CLOEXEC).during(Call::Pipe2, Step::MakePipe)?),
        false => None,
    };
    let birth = cgroup.own.as_ref().map(|cgroup| cgroup.as_fd());
    let flags = u64::from(kinds) | clone3::PARENT;
    match clone3(flags, birth).during(Call::Clone3, Step::Clone)? {
        Side::Child { in_cgroup } => {
            // KERNEL(5.7): enter the cgroup before anything that depends on it. A new
            // cgroup namespace has the cgroup of its creator as its root.
            if let (Some(cgroup), false) = (birth, in_cgroup) {
                cgroup::enter(cgroup)?;
            }
            if let Some((reading, _)) = ends {
                life.slots.put(pipe, reading)?;
            }
            life.child = 0;
            life.stage = stage;
            Ok(())
        }
        Side::Parent { child } => {
            life.child = child;
            if let Some((_, writing)) = ends {
                life.slots.put(pipe, writing)?;
            }
            // vial waits for its children, and must know that this one is among them.
            channel::reply(&life.channel, &Reply::Started { pid: child })?;
            Ok(())
        }
    }
}
