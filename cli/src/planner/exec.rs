//! The Plan of an exec: the stages and the hardening of create, but it joins
//! namespaces instead of making them.

use std::path::{Path, PathBuf};

use vial_plan::{CgroupItem, LeaveItem, NO_SLOT, NamespaceItem, RootfsItem, SetupItem, Stage};

use super::process::Subject;
use super::{ListenFds, Namespaces, cgroup, chroot, process, seccomp, text, timeline};
use crate::config::{Config, Process};
use crate::error::Error;
use crate::host::{Host, Lineage};
use crate::namespace::{KINDS, kind};
use crate::plan::agent::State;
use crate::plan::scope::Scope;
use crate::plan::{Lent, Place, Plan};

/// What the planner needs to know for an exec.
#[derive(Debug)]
pub struct Exec<'a> {
    /// The container's id.
    pub id: &'a str,
    /// Its bundle.
    pub bundle: &'a Path,
    /// The pid of its init.
    pub pid: u32,
    /// The Config that create used.
    pub config: &'a Config,
    /// The process to execute.
    pub process: &'a Process,
    /// The cgroup in cgroup2 from its root, if the container has one.
    pub cgroup: Option<PathBuf>,
    /// The scope that holds it, if only systemd can put a process there.
    pub scope: Option<Scope>,
    /// The cgroups in the hierarchies of cgroup v1, and the groups in resctrl.
    pub places: Vec<Place>,
    /// Whether a cgroup filters the container's devices.
    pub filters_devices: bool,
    /// What is known of that cgroup and its ancestors.
    pub lineage: Lineage,
    /// Whether the container's user namespace differs from the caller's.
    pub user_namespace: bool,
    /// Whether the container's mount namespace differs from the caller's.
    pub mount_namespace: bool,
    /// Whether its root was changed by chroot(2).
    pub is_chroot: bool,
    /// Whether setgroups(2) is denied in it.
    pub denies_setgroups: bool,
    /// How many fds, from 3 on, the process gets.
    pub preserve_fds: u32,
    /// Which of them come from systemd's socket activation.
    pub listen_fds: ListenFds,
    /// Keep the caller's session keyring.
    pub no_new_keyring: bool,
}

/// Makes the Plan.
pub fn exec(exec: &Exec<'_>, host: &Host) -> Result<Plan, Error> {
    let process = exec.process;
    if exec.is_chroot {
        chroot::terminal(process)?;
    }
    let mut plan = Plan::default();
    timeline::begin(&mut plan, exec.preserve_fds);
    if let Some(scope) = &exec.scope {
        cgroup::await_scope(&mut plan, scope.clone())?;
    }
    let mut tasks = Vec::new();
    for place in &exec.places {
        tasks.push(cgroup::enter_place(&mut plan, place)?);
    }
    if let (Some(path), Some(cgroup)) = (&exec.cgroup, &host.cgroup) {
        cgroup::open_v2(&mut plan, &cgroup.root, path)?;
    }
    process::inherited(&mut plan, process, "process", exec.user_namespace)?;
    if let Some([cpus, _]) =
        process::exec_cpus(process, "process")?.filter(|[of, _]| !of.is_empty())
    {
        plan.push(&SetupItem::Affinity { cpus: &cpus }, "process.execCPUAffinity.initial");
    }
    // Before it joins: processes of the container must not trace this one.
    plan.push(&SetupItem::Undumpable {}, "");
    let Joins { first, later, enters_cgroup } = Joins::of(exec, host)?;
    if enters_cgroup {
        plan.push(&CgroupItem::Enter {}, "linux.namespaces");
    }
    let pid = exec.pid;
    let (root, pidfd) = (plan.slot(), plan.lent(Lent::Init));
    if exec.is_chroot {
        // Before a pid namespace is joined, in which this pid means another process.
        let path = text(format!("{pid}/root"), "root.path")?;
        plan.push(&SetupItem::OpenRootfs { path: &path, root }, "root.path");
    }
    plan.push(&LeaveItem::JoinProcess { kinds: first, pid, pidfd }, "linux.namespaces");
    // setns(2) into a pid or time namespace affects only children, so fork.
    plan.push(&LeaveItem::Clone { stage: Stage::Two as u32, kinds: 0, pipe: NO_SLOT }, "");

    timeline::enter_cgroups(&mut plan, &tasks);
    if later != 0 {
        plan.push(&NamespaceItem::JoinProcess { kinds: later, pid, pidfd }, "");
    }
    stage_2(&mut plan, exec, root, host)?;
    Ok(plan)
}

/// What the new process does in the container, up to execve. `root` is the slot of
/// the container's root, for a chroot.
fn stage_2(plan: &mut Plan, exec: &Exec<'_>, root: u32, host: &Host) -> Result<(), Error> {
    let process = exec.process;
    if exec.is_chroot {
        // Before any step that looks at files of the container.
        plan.push(&RootfsItem::LentRoot { root }, "");
        plan.push(&RootfsItem::Chroot {}, "");
    }
    if exec.user_namespace {
        plan.push(&NamespaceItem::BecomeRoot { groups: false }, "");
    }
    let keyring = (!exec.no_new_keyring).then_some(exec.id);
    timeline::session(plan, keyring.map(|id| (id, process)), false)?;
    if process.terminal {
        plan.push(&RootfsItem::PresentRoot {}, "");
        timeline::terminal(plan, process, false);
    }
    let state = || State {
        oci_version: exec.config.oci_version.clone(),
        id: exec.id.to_owned(),
        status: "running",
        pid: exec.pid,
        bundle: exec.bundle.to_string_lossy().into_owned(),
        annotations: exec.config.annotations.clone(),
    };
    let subject = Subject {
        process,
        at: "process",
        linux: &exec.config.linux,
        is_exec: true,
        set_groups: !exec.denies_setgroups,
        keeps_groups: timeline::keeps_groups(exec.config),
        seccomp_field: seccomp::field(exec.config),
        seccomp: seccomp::filter(plan, exec.config, host, &state)?,
        preserve_fds: exec.preserve_fds,
        user_namespace: exec.user_namespace,
        devices_are_filtered: cgroup::filters_devices(exec.config, exec.filters_devices, host)?,
        is_chroot: exec.is_chroot,
        listen_fds: &exec.listen_fds,
        container: None,
    };
    process::plan(plan, &subject, host)
}

/// The namespaces to join, as CLONE_NEW* flags.
struct Joins {
    /// Joined by stage 0, which starts the new process.
    first: u32,
    /// Joined by the new process, once it is in the cgroup.
    later: u32,
    /// Whether stage 0 enters the cgroup, because the new process cannot be born into
    /// it.
    enters_cgroup: bool,
}

impl Joins {
    fn of(exec: &Exec<'_>, host: &Host) -> Result<Joins, Error> {
        let namespaces = Namespaces::from_config(&exec.config.linux, &[])?;
        let all = KINDS.iter().map(|(_, _, flag)| *flag);
        let mut kinds: u32 = all.filter(|flag| namespaces.has(*flag)).sum();
        if !exec.user_namespace {
            kinds &= !kind::USER; // setns(2) into one's own user namespace is EINVAL.
        }
        if exec.is_chroot {
            let mount = if exec.mount_namespace { kind::MOUNT } else { 0 };
            kinds = kinds & !kind::MOUNT | mount;
        }
        // If cgroup2 is mounted with nsdelegate, as systemd does, CLONE_INTO_CGROUP
        // fails within a cgroup namespace that does not hold the caller's own cgroup.
        // So the new process joins it, once it is in the cgroup. A namespace given by
        // path may belong to the host, and joining it needs stage 0's privileges.
        let later = if namespaces.joins(kind::CGROUP) { 0 } else { kinds & kind::CGROUP };
        let first = kinds & !later;
        let enters_cgroup = match (&exec.cgroup, &host.cgroup) {
            (Some(_), Some(cgroup)) => {
                first & kind::CGROUP != 0
                    || cgroup::must_be_entered(exec.config, &exec.lineage, cgroup)
            }
            _ => false,
        };
        Ok(Joins { first, later, enters_cgroup })
    }
}
