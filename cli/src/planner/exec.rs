//! The Plan of an exec: the same stages and the same hardening as for the
//! container's own process, joining instead of creating.

use std::path::PathBuf;

use vial_plan::{Item, Stage};

use super::namespaces::kind;
use super::process::Subject;
use super::{ListenFds, Namespaces, cgroup, chroot, process, refuse, text, timeline, wrong};
use crate::config::seccomp::Seccomp;
use crate::config::{Config, Process};
use crate::error::Error;
use crate::host::Host;
use crate::plan::Plan;
use crate::seccomp;

/// What an exec is about.
#[derive(Debug)]
pub struct Exec<'a> {
    /// The container's id.
    pub id: &'a str,
    /// The pid of its init.
    pub pid: u32,
    /// The container's Config, as it was created.
    pub config: &'a Config,
    /// The process to execute.
    pub process: &'a Process,
    /// The container's cgroup from the root of the hierarchy, if it has one.
    pub cgroup: Option<PathBuf>,
    /// Whether the container has another user namespace than the caller.
    pub user_namespace: bool,
    /// Whether the container has another mount namespace than the caller.
    pub mount_namespace: bool,
    /// Whether its root was changed by chroot(2).
    pub is_chroot: bool,
    /// Whether setgroups(2) is denied in it.
    pub denies_setgroups: bool,
    /// How many fds from 3 on the process is to have.
    pub preserve_fds: u32,
    /// Those of them that are from systemd's socket activation.
    pub listen_fds: ListenFds,
    /// Keep the caller's session keyring.
    pub no_new_keyring: bool,
}

/// What is done to execute a process in a container.
pub fn exec(exec: &Exec<'_>, host: &Host) -> Result<Plan, Error> {
    let process = exec.process;
    refuse::process(process, "process")?;
    if exec.is_chroot {
        chroot::terminal(process)?;
    }
    let mut plan = Plan::default();
    let mut outside = |item: &Item<'_>, field: &'static str| plan.push(Stage::Outside, item, field);
    outside(&Item::CloseInherited { from: 3 + exec.preserve_fds }, "");
    outside(&Item::Procfs {}, "");
    let has_cgroup = exec.cgroup.is_some() && host.cgroup.is_some();
    outside(&Item::DefaultSignals {}, "");
    if let (Some(path), Some(cgroup)) = (&exec.cgroup, &host.cgroup) {
        let root = text(cgroup.root.as_os_str().as_encoded_bytes(), "linux.cgroupsPath")?;
        let path = text(path.as_os_str().as_encoded_bytes(), "linux.cgroupsPath")?;
        outside(&Item::CgroupRoot { path: &root }, "");
        outside(&Item::CgroupOpen { directory: &path }, "linux.cgroupsPath");
    }
    process::oom_score_adj(&mut plan, process, "process")?;
    process::raise_limits(&mut plan, process, "process")?;
    // Processes of the container must not trace this one once it is among them.
    plan.push(Stage::Outside, &Item::Undumpable {}, "");
    let namespaces = Namespaces::from_config(&exec.config.linux, &[])?;
    let mut kinds = super::NAMESPACES
        .iter()
        .map(|(_, _, flag)| *flag)
        .filter(|flag| namespaces.has(*flag))
        .sum::<u32>();
    if !exec.user_namespace {
        kinds &= !kind::USER; // Joining the own one is EINVAL.
    }
    if exec.is_chroot {
        let mount = if exec.mount_namespace { kind::MOUNT } else { 0 };
        kinds = kinds & !kind::MOUNT | mount;
    }
    // With cgroup2 mounted as systemd does (nsdelegate), nobody is born into a
    // cgroup from within a cgroup namespace that does not hold his own: the new
    // process joins it, once it is in the cgroup. One that was given by a path
    // may belong to the host, which takes the privileges of this process.
    let later = if namespaces.joins(kind::CGROUP) { 0 } else { kinds & kind::CGROUP };
    let joins = kinds & kind::CGROUP & !later != 0;
    let must_be_entered = match (&exec.cgroup, &host.cgroup) {
        (Some(path), Some(cgroup)) => cgroup::must_be_entered(exec.config, path, cgroup),
        _ => false,
    };
    if has_cgroup && (joins || must_be_entered) {
        plan.push(Stage::Outside, &Item::CgroupEnter {}, "linux.namespaces");
    }
    let pid = exec.pid;
    if exec.is_chroot {
        // Before a pid or mount namespace is joined, in which it is another's.
        let path = text(format!("{pid}/root"), "root.path")?;
        plan.push(Stage::Outside, &Item::OpenRootfs { path: &path }, "root.path");
    }
    plan.push(
        Stage::Outside,
        &Item::JoinProcess { kinds: kinds & !later, pid },
        "linux.namespaces",
    );
    // setns(2) into a pid or time namespace affects only children, so fork.
    plan.push(
        Stage::Outside,
        &Item::Clone { stage: Stage::Inside as u32, kinds: 0, mapped: false },
        "",
    );

    let mut inside = |item: &Item<'_>| plan.push(Stage::Inside, item, "");
    if later != 0 {
        inside(&Item::JoinProcess { kinds: later, pid });
    }
    if exec.is_chroot {
        // Before anything that the container's files decide.
        inside(&Item::Chroot {});
    }
    if exec.user_namespace {
        inside(&Item::BecomeRoot { groups: false });
    }
    inside(&Item::Session {});
    if !exec.no_new_keyring {
        let name = text(format!("_ses.{}", exec.id), "")?;
        inside(&Item::Keyring { name: &name, make: false });
    }
    if process.terminal {
        inside(&Item::PresentRoot {});
        timeline::terminal(&mut plan, process, false);
    }
    let seccomp = match &exec.config.linux.seccomp {
        Some(profile) => Some(compile(&mut plan, profile)?),
        None => None,
    };
    let keep = exec.config.annotations.contains_key("run.oci.keep_original_groups");
    let subject = Subject {
        process,
        at: "process",
        set_groups: !exec.denies_setgroups && !keep,
        seccomp,
        preserve_fds: exec.preserve_fds,
        user_namespace: exec.user_namespace,
        devices_are_filtered: cgroup::filters_devices(exec.config, host)?,
        is_chroot: exec.is_chroot,
        listen_fds: &exec.listen_fds,
    };
    process::plan(&mut plan, &subject, host)?;
    Ok(plan)
}

/// The filter as the kernel takes it: flags and instructions.
pub(super) fn compile(plan: &mut Plan, profile: &Seccomp) -> Result<(u32, Vec<u8>), Error> {
    let filter = seccomp::compile(profile, seccomp::Arch::native())
        .map_err(|error| wrong(error.path, error.message))?;
    for warning in &filter.warnings {
        plan.warn(&warning.path, &warning.message);
    }
    Ok((filter.flags, filter.to_bytes()))
}
