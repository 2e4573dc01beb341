//! The life of a container, act by act, each with the reason why it stands
//! where it stands. What vial-init does is what is written here, in this order.

use vial_plan::{Item, Stage};

use super::mount_options::{ms, root_propagation};
use super::namespaces::{Joined, Mapping, kind, mapping, same_ids, time_offsets};
use super::nodev::Nodev;
use super::process::Subject;
use super::{
    Namespaces, Request, cgroup, chroot, mounts, nodes, process, rootfs, sysctl, text, wrong,
};
use crate::config::{Config, Process};
use crate::error::Error;
use crate::host::Host;
use crate::plan::Plan;

const OUTSIDE: Stage = Stage::Outside;
const BETWEEN: Stage = Stage::Between;
const INSIDE: Stage = Stage::Inside;

/// What is done to make a container and start it.
pub(super) fn create(config: &Config, request: &Request, host: &Host) -> Result<Plan, Error> {
    // It is needed by start alone (config.md, "Process").
    let none = Process { cwd: "/".into(), ..Process::default() };
    let process = config.process.as_ref().unwrap_or(&none);
    let namespaces = Namespaces::from_config(&config.linux, &request.namespaces)?;
    if host.uid != 0 && !namespaces.has(kind::USER) {
        return Err(wrong("linux.namespaces", "not root, so that a user namespace is needed")
            .hint("add {\"type\": \"user\"} with mappings; `vial spec --rootless` writes one"));
    }
    if !namespaces.has(kind::MOUNT) {
        chroot::refuse_mounts(config, process, &namespaces, host)?;
    }
    let mut plan = Plan::default();
    let mapped = Mapped::from_config(config, &namespaces, host)?;
    outside(&mut plan, config, request, host, process, &namespaces, mapped.as_ref())?;
    if has_opener(&namespaces, host) {
        // Nothing that was started stays behind.
        plan.push(OUTSIDE, &Item::EndOpener {}, "");
    }
    inside(&mut plan, config, request, host, process, &namespaces, mapped.as_ref())?;
    Ok(plan)
}

/// A new user namespace.
struct Mapped {
    uids: Mapping,
    gids: Mapping,
    /// Whether setgroups(2) is denied, the price of an unprivileged gid_map.
    denies_setgroups: bool,
}

impl Mapped {
    fn from_config(
        config: &Config,
        namespaces: &Namespaces,
        host: &Host,
    ) -> Result<Option<Mapped>, Error> {
        let linux = &config.linux;
        if namespaces.new & kind::USER == 0 {
            let given = !linux.uid_mappings.is_empty() || !linux.gid_mappings.is_empty();
            if given && !namespaces.has(kind::USER) {
                return Err(wrong(
                    "linux.uidMappings",
                    "set, but there is no user namespace to map",
                ));
            }
            return Ok(None);
        }
        if linux.uid_mappings.is_empty() && linux.gid_mappings.is_empty() && host.uid == 0 {
            // What a namespace without mappings could be asked for by root: its
            // own capabilities, and the ids as they are. crun does so; runc
            // refuses it.
            let [uids, gids] = host.ids.each_ref().map(|ids| same_ids(ids));
            return Ok(Some(Mapped { uids, gids, denies_setgroups: false }));
        }
        let uids = mapping(&linux.uid_mappings, "linux.uidMappings", host.uid, host)?;
        let gids = mapping(&linux.gid_mappings, "linux.gidMappings", host.gid, host)?;
        let denies_setgroups = host.uid != 0 && matches!(gids, Mapping::Write(_));
        Ok(Some(Mapped { uids, gids, denies_setgroups }))
    }
}

/// Stage 0, and stage 1 where it is needed.
fn outside(
    plan: &mut Plan,
    config: &Config,
    request: &Request,
    host: &Host,
    process: &Process,
    namespaces: &Namespaces,
    mapped: Option<&Mapped>,
) -> Result<(), Error> {
    // First, so that nothing that leaked into this process is in reach of it.
    plan.push(OUTSIDE, &Item::CloseInherited { from: 3 + request.preserve_fds }, "");
    // Before any namespace is joined: the host's, whatever a joined one holds.
    plan.push(OUTSIDE, &Item::Procfs {}, "");
    plan.push(OUTSIDE, &Item::DefaultSignals {}, "");
    // The limits before the process that they are for: it is born within them.
    cgroup::plan(plan, config, &request.id, host)?;
    // What takes the host's privileges, and is inherited.
    process::oom_score_adj(plan, process, "process")?;
    process::raise_limits(plan, process, "process")?;

    // Before any namespace is joined: it keeps the host's privileges.
    if has_opener(namespaces, host) {
        plan.push(OUTSIDE, &Item::Opener {}, "");
    }
    let offsets = time_offsets(&config.linux)?;
    if offsets.is_some() && namespaces.new & kind::TIME == 0 {
        return Err(wrong("linux.timeOffsets", "set, but there is no new time namespace"));
    }
    if !namespaces.joined.is_empty() {
        if offsets.is_some() && mapped.is_none() {
            // An undumpable process's files in /proc are those of the host's
            // root (proc(5)), which the caller may not be.
            plan.push(OUTSIDE, &Item::OpenTimeOffsets {}, "linux.timeOffsets");
        }
        plan.push(OUTSIDE, &Item::Undumpable {}, "");
    }
    // With cgroup2 mounted as systemd does (nsdelegate), nobody is born into a
    // cgroup from within a cgroup namespace that does not hold his own.
    let cgroup = host
        .cgroup
        .as_ref()
        .filter(|_| plan.items().any(|(_, item, _)| matches!(item, Item::CgroupOpen { .. })));
    if let Some(cgroup) = cgroup
        && (namespaces.joins(kind::CGROUP) || {
            let path = cgroup::cgroup_path(&config.linux.cgroups_path, &request.id, cgroup)?;
            cgroup::must_be_entered(config, &path, cgroup)
        })
    {
        plan.push(OUTSIDE, &Item::CgroupEnter {}, "linux.namespaces");
    }
    // The user namespace comes first in the list: it grants the right to join
    // those that it owns. By this process itself, as it is done after this.
    for Joined { kind, path, field } in &namespaces.joined {
        plan.push(OUTSIDE, &Item::JoinPath { path, kind: *kind }, field.clone());
    }
    // A new cgroup namespace must be made within the cgroup, so not by clone3:
    // its root is where the caller is (cgroup_namespaces(7)).
    let by_clone = namespaces.new & !kind::CGROUP;
    let Some(offsets) = offsets else {
        clone(plan, OUTSIDE, INSIDE, by_clone, mapped);
        return Ok(());
    };
    // Offsets are written before the first process enters, by one who is
    // privileged over the namespace (time_namespaces(7)).
    let writer = match mapped {
        None => OUTSIDE,
        Some(mapped) => {
            clone(plan, OUTSIDE, BETWEEN, kind::USER, Some(mapped));
            plan.push(BETWEEN, &Item::AwaitMapping {}, "");
            BETWEEN
        }
    };
    plan.push(writer, &Item::Unshare { kinds: kind::TIME }, "linux.namespaces");
    plan.push(writer, &Item::TimeOffsets { offsets: &offsets }, "linux.timeOffsets");
    if let Some(mapped) = mapped {
        // After the offsets: with other ids the process is undumpable, and its
        // files in /proc are those of the host's root (proc(5)).
        plan.push(BETWEEN, &Item::BecomeRoot { groups: !mapped.denies_setgroups }, "");
    }
    let rest = by_clone & !kind::TIME & !(if writer == BETWEEN { kind::USER } else { 0 });
    clone(plan, writer, INSIDE, rest, None);
    Ok(())
}

/// Whether the host's privileges are kept at hand by one who works in the new
/// mount namespace for the root of a user namespace.
fn has_opener(namespaces: &Namespaces, host: &Host) -> bool {
    host.uid == 0 && namespaces.has(kind::USER) && namespaces.new & kind::MOUNT != 0
}

/// One clone3 for every namespace, and the mapping from outside after it.
fn clone(plan: &mut Plan, from: Stage, to: Stage, kinds: u32, mapped: Option<&Mapped>) {
    let item = Item::Clone { stage: to as u32, kinds, mapped: mapped.is_some() };
    plan.push(from, &item, "linux.namespaces");
    let Some(mapped) = mapped else { return };
    if mapped.denies_setgroups {
        plan.push(from, &Item::DenySetgroups {}, "linux.gidMappings");
    }
    for (mapping, field) in
        [(&mapped.uids, "linux.uidMappings"), (&mapped.gids, "linux.gidMappings")]
    {
        match mapping {
            Mapping::Write(map) if field.contains("uid") => {
                plan.push(from, &Item::UidMap { map }, field)
            }
            Mapping::Write(map) => plan.push(from, &Item::GidMap { map }, field),
            Mapping::Helper(program, numbers) => {
                if let Some(map) = vial_plan::Strings::new(numbers) {
                    plan.push(from, &Item::MapHelper { program, map }, field);
                }
            }
        }
    }
    plan.push(from, &Item::ReleaseChild {}, "");
}

/// Stage 2: what the container's first process does before it is one.
fn inside(
    plan: &mut Plan,
    config: &Config,
    request: &Request,
    host: &Host,
    process: &Process,
    namespaces: &Namespaces,
    mapped: Option<&Mapped>,
) -> Result<(), Error> {
    // Root of the user namespace before anything is made, to own it.
    become_root(plan, namespaces, mapped);
    // Neither the caller's session, and terminal, nor its keys are shared.
    plan.push(INSIDE, &Item::Session {}, "");
    if !request.no_new_keyring {
        let name = text(format!("_ses.{}", request.id), "")?;
        plan.push(INSIDE, &Item::Keyring { name: &name, make: true }, "");
    }
    identity(plan, config, namespaces)?;
    // The old root is still there, and /proc the host's: nothing of the
    // container's can stand in the way of a kernel parameter.
    sysctl::sysctl(plan, config, namespaces)?;
    let nodev = Nodev::new(config, request, host)?;
    nodev.warn(plan, namespaces)?;
    let is_chroot = !namespaces.has(kind::MOUNT);
    match is_chroot {
        true => chroot::filesystem(plan, config, request, process)?,
        false => filesystem(plan, config, request, host, process, namespaces, &nodev)?,
    }
    if config.process.is_none() {
        plan.push(INSIDE, &Item::CloseFds { from: 3 + request.preserve_fds }, "");
        plan.push(INSIDE, &Item::AwaitStart {}, "");
        return Ok(());
    }

    let seccomp = match &config.linux.seccomp {
        Some(profile) => Some(super::exec::compile(plan, profile)?),
        None => None,
    };
    let set_groups = mapped.is_none_or(|mapped| !mapped.denies_setgroups)
        && !config.annotations.contains_key("run.oci.keep_original_groups");
    let subject = Subject {
        process,
        at: "process",
        set_groups,
        seccomp,
        preserve_fds: request.preserve_fds,
        user_namespace: namespaces.has(kind::USER),
        devices_are_filtered: !nodev.applies,
        is_chroot,
        listen_fds: &request.listen_fds,
    };
    process::plan(plan, &subject, host)
}

fn become_root(plan: &mut Plan, namespaces: &Namespaces, mapped: Option<&Mapped>) {
    match mapped {
        // With stage 1 in between, it is who was mapped, and became root.
        Some(mapped) if plan.items().all(|(stage, ..)| stage == OUTSIDE) => {
            plan.push(INSIDE, &Item::AwaitMapping {}, "");
            plan.push(INSIDE, &Item::BecomeRoot { groups: !mapped.denies_setgroups }, "");
        }
        Some(_) => {}
        None if namespaces.has(kind::USER) => {
            plan.push(INSIDE, &Item::BecomeRoot { groups: false }, "linux.namespaces");
        }
        None => {}
    }
}

/// Names and interfaces, which belong to new namespaces only.
fn identity(plan: &mut Plan, config: &Config, namespaces: &Namespaces) -> Result<(), Error> {
    if namespaces.new & kind::CGROUP != 0 {
        // The process is in its cgroup by now, which becomes the root.
        plan.push(INSIDE, &Item::Unshare { kinds: kind::CGROUP }, "linux.namespaces");
    }
    if namespaces.new & kind::NETWORK != 0 {
        plan.push(INSIDE, &Item::Loopback {}, "linux.namespaces");
    }
    for (field, name) in [("hostname", &config.hostname), ("domainname", &config.domainname)] {
        if name.is_empty() {
            continue;
        }
        namespaces.must_have(kind::UTS, field)?;
        if name.len() > 64 {
            return Err(wrong(field, "longer than the 64 bytes that the kernel holds"));
        }
        let name = text(&**name, field)?;
        match field {
            "hostname" => plan.push(INSIDE, &Item::Hostname { name: &name }, field),
            _ => plan.push(INSIDE, &Item::Domainname { name: &name }, field),
        }
    }
    Ok(())
}

fn filesystem(
    plan: &mut Plan,
    config: &Config,
    request: &Request,
    host: &Host,
    process: &Process,
    namespaces: &Namespaces,
    nodev: &Nodev<'_>,
) -> Result<(), Error> {
    let root = rootfs(config, &request.bundle)?.into_os_string().into_encoded_bytes();
    let root = text(root, "root.path")?;
    let propagation = root_propagation(&config.linux.rootfs_propagation)?;
    // First of all mounts: none that follows may reach the host. A shared root
    // is asked for to reach it; then at least the rootfs's own mount is not.
    // An unbindable rootfs could not be bound on itself: it becomes so later.
    let bindable = propagation.filter(|flags| flags & ms::UNBINDABLE == 0);
    let flags = bindable.unwrap_or(ms::SLAVE | ms::REC);
    plan.push(INSIDE, &Item::Propagation { flags: flags | ms::REC }, "linux.rootfsPropagation");
    if flags & ms::SHARED != 0 {
        plan.push(INSIDE, &Item::ParentPrivate { path: &root }, "linux.rootfsPropagation");
    }
    let item = Item::Rootfs { path: &root, initramfs: host.root_is_memory && !request.no_pivot };
    plan.push(INSIDE, &item, "root.path");
    if flags & ms::SHARED != 0 {
        // Nor may the mount be shared that becomes the root (pivot_root(2)).
        let item = Item::MountAttributes {
            target: c"/",
            set: 0,
            clear: 0,
            propagation: u64::from(ms::PRIVATE),
            recursive: false,
        };
        plan.push(INSIDE, &item, "linux.rootfsPropagation");
    }
    // Before any mount, to which it is not meant.
    nodev.rootfs(plan, request);
    mounts::mounts(plan, config, &request.bundle, namespaces, host, nodev)?;
    // After the mounts, which bring /dev.
    let must_bind = host.in_user_namespace || namespaces.has(kind::USER);
    nodes::devices(plan, config, &|path| must_bind || !nodev.node_opens(path))?;
    process::make_directory(plan, process, "process")?;
    // After /dev/pts, of which the terminal is.
    terminal(plan, process, true);
    mounts::readonly(plan, config)?;
    // After everything that writes, or looks, where they are.
    mounts::masks(plan, config)?;
    if config.root.as_ref().is_some_and(|root| root.readonly) {
        plan.push(INSIDE, &Item::ReadonlyRoot {}, "root.readonly");
    }
    // Last, as it takes the host's files out of sight.
    match request.no_pivot {
        false => {
            let shared = flags & ms::SHARED != 0;
            plan.push(INSIDE, &Item::PivotRoot { shared }, "root.path");
        }
        true => {
            for path in &request.host_mounts {
                let path = text(path.as_os_str().as_encoded_bytes(), "")?;
                plan.push(INSIDE, &Item::HideMount { path: &path }, "");
            }
            plan.push(INSIDE, &Item::MoveRoot {}, "root.path");
        }
    }
    if let Some(flags) = propagation {
        plan.push(INSIDE, &Item::RootPropagation { flags }, "linux.rootfsPropagation");
    }
    Ok(())
}

/// process.terminal and process.consoleSize
pub(super) fn terminal(plan: &mut Plan, process: &Process, console: bool) {
    if process.terminal {
        let size = process.console_size.unwrap_or_default();
        let (rows, columns) = (u32::from(size.height), u32::from(size.width));
        plan.push(INSIDE, &Item::Terminal { rows, columns, console }, "process.terminal");
    }
}
