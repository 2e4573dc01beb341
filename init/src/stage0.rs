//! Stage 0, outside: everything that needs the host's privileges or its view,
//! then clone3, then what only a parent can do for the child.

use rustix::fd::{AsFd, AsRawFd};
use rustix::fs::OFlags;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::DumpableBehavior;
use vial_plan::{Fields, Item, Reply, Stage, Step};

use crate::fault::{During, Fault, Prepared};
use crate::path::PathBuffer;
use crate::procfs::Procfs;
use crate::rootfs::Rootfs;
use crate::sys::clone3::{self, Side, clone3};
use crate::sys::unshare::unshare;
use crate::{Life, cgroup, channel, join, opener, security, signals, start};

/// One item of the section of stage 0.
pub fn act(life: &mut Life, code: u16, fields: &Fields<'static>) -> Result<(), Fault> {
    match Item::from_fields(code, fields).prepared()? {
        Item::CloseInherited { from } => {
            let ours = [
                Some(&life.channel),
                life.start.as_ref(),
                life.console.as_ref(),
                life.pidfd.as_ref(),
            ];
            start::close_all_but(from, ours.map(|fd| fd.map(|fd| fd.as_raw_fd())), None)?;
        }
        Item::Procfs {} => life.procfs = Some(Procfs::open()?),
        Item::DefaultSignals {} => signals::reset(life.procfs()?)?,
        Item::CgroupRoot { path } => life.cgroup_root = Some(cgroup::open_root(path)?),
        Item::CgroupControllers { directory, controllers, required } => {
            let root = life.cgroup_root.as_ref().prepared()?;
            cgroup::enable(root.as_fd(), directory, controllers, required)?;
        }
        Item::CgroupMkdir { directory } => {
            let root = life.cgroup_root.as_ref().prepared()?;
            life.cgroup_is_new = cgroup::make(root.as_fd(), directory)?;
        }
        Item::CgroupOpen { directory } => {
            let root = life.cgroup_root.as_ref().prepared()?;
            life.cgroup = Some(cgroup::open(root.as_fd(), directory)?);
        }
        Item::CgroupWrite { file, value } => {
            let cgroup = life.cgroup.as_ref().prepared()?;
            cgroup::write_file(cgroup.as_fd(), file, value.to_bytes())?;
        }
        Item::CgroupWriteEither { file, value, other, other_value } => {
            let cgroup = life.cgroup.as_ref().prepared()?;
            cgroup::write_either(cgroup.as_fd(), [file, value], [other, other_value])?;
        }
        Item::CgroupDevices { program } => {
            let cgroup = life.cgroup.as_ref().prepared()?;
            cgroup::filter_devices(cgroup.as_fd(), life.cgroup_is_new, program)?;
        }
        Item::OomScoreAdj { value } => {
            life.procfs()?.write(c"self/oom_score_adj", value.to_bytes())?
        }
        Item::RaiseRlimit { resource, hard } => security::rlimit::raise_hard(resource, hard)?,
        Item::Undumpable {} => {
            rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
                .during(Step::SetUndumpable)?;
        }
        Item::CgroupEnter {} => {
            // The next stage is born where this process is.
            cgroup::enter(life.cgroup.take().prepared()?.as_fd())?;
        }
        Item::JoinPath { path, kind } => join::path(path, kind)?,
        Item::JoinProcess { kinds, pid } => {
            join::process(life.pidfd.as_ref().map(AsFd::as_fd), pid, kinds, life.procfs()?)?;
        }
        Item::OpenRootfs { path } => life.rootfs = Some(Rootfs::bare(life.procfs()?, path)?),
        Item::Unshare { kinds } => unshare(kinds).during(Step::Unshare)?,
        Item::Opener {} => opener::start(life)?,
        Item::EndOpener {} => opener::end(life)?,
        Item::OpenTimeOffsets {} => {
            let file = life.procfs()?.open_file(c"self/timens_offsets", OFlags::WRONLY);
            life.offsets = Some(file.during(Step::OpenProcFile)?);
        }
        Item::TimeOffsets { offsets } => match life.offsets.take() {
            Some(file) => {
                rustix::io::write(&file, offsets.to_bytes()).during(Step::WriteProcFile)?;
            }
            None => life.procfs()?.write(c"self/timens_offsets", offsets.to_bytes())?,
        },
        Item::Clone { stage, kinds, mapped } => return clone(life, stage, kinds, mapped),
        Item::DenySetgroups {} => write_of_child(life, b"/setgroups", b"deny")?,
        Item::UidMap { map } => write_of_child(life, b"/uid_map", map.to_bytes())?,
        Item::GidMap { map } => write_of_child(life, b"/gid_map", map.to_bytes())?,
        Item::MapHelper { program, map } => {
            start::map_helper(program, life.child, map, life)?;
        }
        Item::ReleaseChild {} => {
            rustix::io::write(life.pipe.as_ref().prepared()?, b"m").during(Step::ReleaseChild)?;
        }
        _ => return Err(Fault::PLAN),
    }
    Ok(())
}

/// Starts the next stage as a child of this process's parent, the CLI, so that
/// no process of the runtime stays between the container and its engine.
pub(crate) fn clone(life: &mut Life, stage: u32, kinds: u32, mapped: bool) -> Result<(), Fault> {
    let stage = u8::try_from(stage).ok().and_then(Stage::from_number).ok_or(Fault::PLAN)?;
    let ends = match mapped {
        true => Some(pipe_with(PipeFlags::CLOEXEC).during(Step::MakePipe)?),
        false => None,
    };
    let cgroup = life.cgroup.as_ref().map(|cgroup| cgroup.as_fd());
    let flags = u64::from(kinds) | clone3::PARENT;
    match clone3(flags, cgroup).during(Step::Clone)? {
        Side::Child { in_cgroup } => {
            // KERNEL(5.7): enter the cgroup before anything that depends on it,
            // above all a cgroup namespace, whose root is where its maker is.
            if let (Some(cgroup), false) = (cgroup, in_cgroup) {
                cgroup::enter(cgroup)?;
            }
            // The stage after this one is born where this one is. The fd stays until
            // all are closed together.
            core::mem::forget(life.cgroup.take());
            life.pipe = ends.map(|(reading, _)| reading);
            life.child = 0;
            life.stage = stage;
            Ok(())
        }
        Side::Parent { child } => {
            life.child = child;
            life.pipe = ends.map(|(_, writing)| writing);
            // Whoever waits for this process must know which children are its own.
            channel::answer(&life.channel, &Reply::Started { pid: child })?;
            Ok(())
        }
    }
}

fn write_of_child(life: &Life, file: &[u8], value: &[u8]) -> Result<(), Fault> {
    let mut path: PathBuffer<32> = PathBuffer::empty();
    path.push_number(life.child).and_then(|path| path.push(file)).during(Step::OpenProcFile)?;
    life.procfs()?.write(path.as_c_str(), value)
}
