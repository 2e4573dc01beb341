//! Turns the process into the container's, up to execve. The arms are in the order in
//! which the planner writes the items.

pub mod capabilities;
mod courier;
mod directory;
mod environment;
mod label;
pub mod program;
pub mod rlimit;
pub mod scheduling;
mod stdio;
pub mod user;

use rustix::fs::Mode;
use rustix::thread::set_no_new_privs;
use vial_plan::{Call, Gate, ProcessItem, Step};

use self::program::Program;
use crate::fault::{During, Fault, Prepared};
use crate::rootfs::{Rootfs, console};
use crate::stage2::Inside;
use crate::sys::setrlimit::Limit;
use crate::{Life, fds, gate, spawn, sys};

/// Carries out one item.
#[inline(always)]
pub fn carry_out(
    life: &mut Life,
    inside: &mut Inside,
    item: ProcessItem<'static>,
) -> Result<(), Fault> {
    match item {
        ProcessItem::CloseFds { from, but } => fds::close_fds(life, inside, from, but),
        ProcessItem::OwnStdio { uid } => {
            let terminal = inside.terminal.take();
            let ours = terminal.is_some();
            if let Some(terminal) = terminal {
                console::make_controlling(terminal)?;
            }
            stdio::own(uid, ours)
        }
        ProcessItem::AppArmorProfile { profile } => label::apparmor(life.procfs()?, profile),
        ProcessItem::SelinuxLabel { label } => label::selinux(life.procfs()?, label),
        ProcessItem::Scheduler { by_vial: true, .. } => {
            gate::await_vial(life, life.procfs()?, Gate::Scheduler, Step::SetScheduler)
        }
        ProcessItem::Scheduler { attributes, .. } => scheduling::set_scheduler(attributes),
        ProcessItem::IoPriority { priority } => scheduling::set_io_priority(priority),
        ProcessItem::MemoryPolicy { mode, nodes } => scheduling::set_memory_policy(mode, nodes),
        ProcessItem::Personality { persona } => {
            sys::personality::personality(persona).during(Call::Personality, Step::SetPersonality)
        }
        ProcessItem::Affinity { cpus } => scheduling::set_affinity(cpus),
        ProcessItem::Rlimit { resource, soft, hard } => rlimit::set(resource, soft, hard),
        ProcessItem::WorkingDirectory { path } => {
            inside.retry_directory = directory::change(path)?;
            Ok(())
        }
        ProcessItem::BoundingSet { keep } => capabilities::drop_bounding(keep),
        ProcessItem::Umask { mask } => {
            rustix::process::umask(Mode::from_raw_mode(mask));
            Ok(())
        }
        ProcessItem::User { uid, gid, groups, set_groups } => {
            user::change(uid, gid, set_groups.then_some(groups))
        }
        ProcessItem::Capabilities { effective, permitted, inheritable, ambient } => {
            capabilities::set(effective, permitted, inheritable)?;
            capabilities::set_ambient(ambient)
        }
        ProcessItem::NoNewPrivs {} => {
            set_no_new_privs(true).during(Call::Prctl, Step::SetNoNewPrivs)
        }
        ProcessItem::Program { args, env, path } => {
            if let Some(path) = inside.retry_directory {
                directory::change_again(path)?;
            }
            inside.program = Some(Program::find(args, env, path, &mut life.memory)?);
            Ok(())
        }
        ProcessItem::Home { uid } => environment::find_home(life, inside, uid),
        ProcessItem::ListenPid {} => environment::add_listen_pid(life, inside),
        ProcessItem::AwaitStart { socket } => {
            let pid = gate::own_pid(life)?;
            gate::await_start(life, socket, pid)
        }
        ProcessItem::Courier { socket } => courier::start(life, socket),
        ProcessItem::HookLimit { resource, soft, hard } => {
            let limit = inside.hook_limits.get_mut(resource as usize).prepared()?;
            *limit = Some(Limit { soft, hard });
            Ok(())
        }
        ProcessItem::Hook { program, head, args, env, tail, timeout, at_rootfs, own_env } => {
            let state = [head.to_bytes(), tail];
            let hook = spawn::Hook { program, args, env, state, timeout };
            let limits = if at_rootfs { &[] } else { inside.hook_limits.as_slice() };
            let directory = inside.rootfs.as_ref().filter(|_| at_rootfs).map(Rootfs::root);
            let program = inside.program.as_ref().filter(|_| own_env);
            spawn::hook(&hook, directory, program.map(Program::environment), limits)
        }
        ProcessItem::Seccomp { flags, filter } => {
            sys::seccomp::load(flags, filter).during(Call::Seccomp, Step::LoadSeccomp)
        }
        ProcessItem::AwaitCourier {} => courier::wait(life),
        ProcessItem::DropCapabilities { effective, permitted, inheritable } => {
            capabilities::set(effective, permitted, inheritable)
        }
        ProcessItem::Execute {} => Err(inside.program.as_ref().prepared()?.execute()),
    }
}
