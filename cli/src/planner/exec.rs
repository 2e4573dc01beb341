//! The Plan of an exec: the same stages and the same hardening as for the
//! container's own process, joining instead of creating.

use std::path::PathBuf;

use vial_plan::{Item, Stage};

use super::namespaces::kind;
use super::process::Subject;
use super::{Namespaces, process, refuse, text, timeline, wrong};
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
    /// The container's Config, as it was created.
    pub config: &'a Config,
    /// The process to execute.
    pub process: &'a Process,
    /// The container's cgroup from the root of the hierarchy, if it has one.
    pub cgroup: Option<PathBuf>,
    /// Whether the container has another user namespace than the caller.
    pub user_namespace: bool,
    /// Whether setgroups(2) is denied in it.
    pub denies_setgroups: bool,
    /// How many fds from 3 on the process is to have.
    pub preserve_fds: u32,
    /// Keep the caller's session keyring.
    pub no_new_keyring: bool,
}

/// What is done to execute a process in a container.
pub fn exec(exec: &Exec<'_>, host: &Host) -> Result<Plan, Error> {
    let process = exec.process;
    refuse::process(process, "process")?;
    let mut plan = Plan::default();
    let mut outside = |item: &Item<'_>, field: &'static str| plan.push(Stage::Outside, item, field);
    outside(&Item::CloseInherited { from: 3 + exec.preserve_fds }, "");
    outside(&Item::Procfs {}, "");
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
    let namespaces = Namespaces::from_config(&exec.config.linux)?;
    let mut kinds = super::NAMESPACES
        .iter()
        .map(|(_, _, flag)| *flag)
        .filter(|flag| namespaces.has(*flag))
        .sum::<u32>();
    if !exec.user_namespace {
        kinds &= !kind::USER; // Joining the own one is EINVAL.
    }
    plan.push(Stage::Outside, &Item::JoinProcess { kinds }, "linux.namespaces");
    // A joined pid namespace, and time namespace, are a child's first.
    plan.push(
        Stage::Outside,
        &Item::Clone { stage: Stage::Inside as u32, kinds: 0, mapped: false },
        "",
    );

    let mut inside = |item: &Item<'_>| plan.push(Stage::Inside, item, "");
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
