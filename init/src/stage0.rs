//! Stage 0, outside the container: everything that needs the host's privileges or view,
//! then clone3, then what only the parent can do for the child.

use rustix::fd::AsFd;
use rustix::process::DumpableBehavior;
use vial_plan::{Call, Fields, SetupItem, Stage0, Step};

use crate::cgroup::Cgroup;
use crate::fault::{During, Fault, Prepared};
use crate::process::{rlimit, scheduling};
use crate::procfs::Procfs;
use crate::rootfs::chroot;
use crate::{Life, cgroup, fds, id_map, leave, opener, signals};

/// What only stage 0 holds.
#[derive(Debug, Default)]
pub struct Outside {
    /// The container's cgroup.
    pub cgroup: Cgroup,
    /// The pid of the opener.
    pub opener_pid: u32,
}

/// Carries out one item of stage 0.
pub fn carry_out(
    life: &mut Life,
    outside: &mut Outside,
    code: u16,
    fields: &Fields<'static>,
) -> Result<(), Fault> {
    match Stage0::from_fields(code, fields).prepared()? {
        Stage0::Setup(item) => setup(life, outside, item),
        // The limits come before the process that they apply to: it is created in the
        // cgroup.
        Stage0::Cgroup(item) => cgroup::carry_out(life, &mut outside.cgroup, item),
        // Last, because each item puts something of the host out of reach.
        Stage0::Leave(item) => leave::carry_out(life, outside, item),
    }
}

/// Carries out one item that changes the process itself.
#[inline(always)]
fn setup(life: &mut Life, outside: &mut Outside, item: SetupItem<'static>) -> Result<(), Fault> {
    match item {
        SetupItem::CloseInherited { from } => {
            fds::close_all_but(from, &[life.channel.as_fd()], &life.slots, None)
        }
        SetupItem::Procfs {} => {
            life.procfs = Some(Procfs::open()?);
            Ok(())
        }
        SetupItem::DefaultSignals {} => signals::reset(life.procfs()?),
        SetupItem::OomScoreAdj { value } => {
            life.procfs()?.write(c"self/oom_score_adj", value.to_bytes())
        }
        SetupItem::RaiseRlimit { resource, hard } => rlimit::raise_hard(resource, hard),
        SetupItem::Scheduler { attributes } => scheduling::set_scheduler(attributes),
        SetupItem::IoPriority { priority } => scheduling::set_io_priority(priority),
        SetupItem::Affinity { cpus } => scheduling::set_affinity(cpus),
        SetupItem::MakeIdMap { uids, gids, namespace } => {
            let fd = id_map::make(life.procfs()?, uids, gids)?;
            life.slots.put(namespace, fd)
        }
        SetupItem::OpenIdMap { path, namespace } => life.slots.put(namespace, id_map::open(path)?),
        SetupItem::Opener { socket } => opener::start(life, outside, socket),
        SetupItem::OpenRootfs { path, root } => {
            let fd = chroot::open_root(life.procfs()?, path)?;
            life.slots.put(root, fd)
        }
        SetupItem::Undumpable {} => {
            rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
                .during(Call::Prctl, Step::SetUndumpable)
        }
        SetupItem::EndOpener { socket } => opener::end(life, outside, socket),
    }
}
