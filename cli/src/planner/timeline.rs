//! The life of a container, act by act, each with the reason why it stands
//! where it stands. What vial-init does is what is written here, in this order.

use std::ffi::CStr;

use vial_plan::{
    CgroupItem, LeaveItem, NO_SLOT, NamespaceItem, ProcessItem, RootfsItem, SetupItem, Stage,
    Stage1, Strings,
};

use super::mount_options::{ms, root_propagation};
use super::namespaces::{Joined, Mapped, Mapping, time_offsets};
use super::nodev::Nodev;
use super::process::Subject;
use super::{
    Namespaces, Request, cgroup, chroot, device_nodes, mounts, process, sysctl, text, wrong,
};
use crate::config::{Config, Process};
use crate::error::Error;
use crate::host::Host;
use crate::namespace::kind;
use crate::plan::{Lent, Plan};
use crate::seccomp;

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
    let mapped = Mapped::from_config(config, &namespaces, host)?;
    let (namespaces, mapped) = (&namespaces, mapped.as_ref());
    let mut plan = Plan::default();
    let mut slot_if = |is_needed| if is_needed { plan.slot() } else { NO_SLOT };
    // A helper process keeps the host's privileges, and opens in the new mount
    // namespace what the root of a user namespace may not.
    let has_opener =
        host.uid == 0 && namespaces.has(kind::USER) && namespaces.new & kind::MOUNT != 0;
    let (opener, pipe) = (slot_if(has_opener), slot_if(mapped.is_some()));
    let new = New { config, request, host, process, namespaces, mapped, opener, pipe };
    let has_stage_1 = new.stage_0(&mut plan)?;
    new.stage_2(&mut plan, has_stage_1)?;
    Ok(plan)
}

/// A container to be made.
struct New<'a> {
    config: &'a Config,
    request: &'a Request,
    host: &'a Host,
    process: &'a Process,
    namespaces: &'a Namespaces,
    mapped: Option<&'a Mapped>,
    /// The slot of the socket to the opener, if there is one.
    opener: u32,
    /// The slot of the pipe over which the next stage hears that it is mapped.
    pipe: u32,
}

impl New<'_> {
    /// Stage 0, and stage 1 where it is needed: whether it is.
    fn stage_0(&self, plan: &mut Plan) -> Result<bool, Error> {
        let New { config, request, host, process, namespaces, mapped, .. } = *self;
        begin(plan, request.preserve_fds);
        // The limits before the process that they are for: it is born within them.
        cgroup::plan(plan, config, request, host)?;
        // What takes the host's privileges, and is inherited.
        process::oom_score_adj(plan, process, "process")?;
        process::raise_limits(plan, process, "process")?;
        // Before any namespace is joined: it keeps the host's privileges.
        if self.opener != NO_SLOT {
            plan.push(&SetupItem::Opener { socket: self.opener }, "");
        }
        let offsets = time_offsets(&config.linux)?;
        if offsets.is_some() && namespaces.new & kind::TIME == 0 {
            return Err(wrong("linux.timeOffsets", "set, but there is no new time namespace"));
        }
        let mut file = NO_SLOT;
        if !namespaces.joined.is_empty() {
            if offsets.is_some() && mapped.is_none() {
                // An undumpable process's files in /proc are those of the host's
                // root (proc(5)), which the caller may not be.
                file = plan.slot();
                plan.push(&LeaveItem::OpenTimeOffsets { file }, "linux.timeOffsets");
            }
            plan.push(&SetupItem::Undumpable {}, "");
        }
        // With cgroup2 mounted as systemd does (nsdelegate), nobody is born into a
        // cgroup from within a cgroup namespace that does not hold his own.
        if let (Some(_), Some(cgroup)) = (&plan.cgroup, &host.cgroup)
            && (namespaces.joins(kind::CGROUP)
                || cgroup::must_be_entered(config, &request.lineage, cgroup))
        {
            plan.push(&CgroupItem::Enter {}, "linux.namespaces");
        }
        // The user namespace comes first in the list: it grants the right to join
        // those that it owns. By this process itself, as it is done after this.
        for Joined { kind, path, field } in &namespaces.joined {
            plan.push(&LeaveItem::JoinPath { path, kind: *kind }, field.clone());
        }
        // A new cgroup namespace must be made within the cgroup, so not by clone3:
        // its root is where the caller is (cgroup_namespaces(7)).
        let by_clone = namespaces.new & !kind::CGROUP;
        match &offsets {
            None => self.clone_and_map(plan, Stage::Two, by_clone),
            Some(offsets) => self.set_clocks(plan, offsets, file, by_clone),
        }
        if self.opener != NO_SLOT {
            // Nothing that was started stays behind.
            plan.push(&SetupItem::EndOpener { socket: self.opener }, "");
        }
        Ok(offsets.is_some() && mapped.is_some())
    }

    /// Offsets are written before the first process enters the time namespace, by
    /// one who is privileged over it (time_namespaces(7)).
    fn set_clocks(&self, plan: &mut Plan, offsets: &CStr, file: u32, by_clone: u32) {
        let (kinds, field) = (kind::TIME, "linux.namespaces");
        let rest = by_clone & !kind::TIME;
        let Some(mapped) = self.mapped else {
            plan.push(&LeaveItem::Unshare { kinds }, field);
            plan.push(&LeaveItem::TimeOffsets { offsets, file }, "linux.timeOffsets");
            self.clone_and_map(plan, Stage::Two, rest);
            return;
        };
        self.clone_and_map(plan, Stage::One, kind::USER);
        plan.push(&Stage1::AwaitMapping { pipe: self.pipe }, "");
        plan.push(&Stage1::Unshare { kinds }, field);
        plan.push(&Stage1::TimeOffsets { offsets }, "linux.timeOffsets");
        // After the offsets: with other ids the process is undumpable, and its
        // files in /proc are those of the host's root (proc(5)).
        plan.push(&Stage1::BecomeRoot { groups: !mapped.denies_setgroups }, "");
        let (stage, kinds) = (Stage::Two as u32, rest & !kind::USER);
        plan.push(&Stage1::Clone { stage, kinds }, field);
    }

    /// One clone3 for every namespace, and the mapping from outside after it.
    fn clone_and_map(&self, plan: &mut Plan, to: Stage, kinds: u32) {
        let item = LeaveItem::Clone { stage: to as u32, kinds, pipe: self.pipe };
        plan.push(&item, "linux.namespaces");
        let Some(mapped) = self.mapped else { return };
        if mapped.denies_setgroups {
            plan.push(&LeaveItem::DenySetgroups {}, "linux.gidMappings");
        }
        let ids = [(&mapped.uids, "linux.uidMappings"), (&mapped.gids, "linux.gidMappings")];
        for (mapping, field) in ids {
            match mapping {
                Mapping::Write(map) if field.contains("uid") => {
                    plan.push(&LeaveItem::UidMap { map }, field);
                }
                Mapping::Write(map) => plan.push(&LeaveItem::GidMap { map }, field),
                Mapping::Helper(program, numbers) => {
                    if let Some(map) = Strings::new(numbers) {
                        plan.push(&LeaveItem::MapHelper { program, map }, field);
                    }
                }
            }
        }
        plan.push(&LeaveItem::ReleaseChild { pipe: self.pipe }, "");
    }

    /// Stage 2: what the container's first process does before it is one.
    fn stage_2(&self, plan: &mut Plan, has_stage_1: bool) -> Result<(), Error> {
        let New { config, request, host, process, namespaces, mapped, .. } = *self;
        // Root of the user namespace before anything is made, to own it. With stage 1
        // in between, it is who was mapped, and became root.
        match mapped {
            Some(mapped) if !has_stage_1 => {
                plan.push(&NamespaceItem::AwaitMapping { pipe: self.pipe }, "");
                plan.push(&NamespaceItem::BecomeRoot { groups: !mapped.denies_setgroups }, "");
            }
            None if namespaces.has(kind::USER) => {
                plan.push(&NamespaceItem::BecomeRoot { groups: false }, "linux.namespaces");
            }
            _ => {}
        }
        let keyring = (!request.no_new_keyring).then_some(&*request.id);
        session(plan, keyring, true)?;
        identity(plan, config, namespaces)?;
        // The old root is still there, and /proc the host's: nothing of the
        // container's can stand in the way of a kernel parameter.
        sysctl::sysctl(plan, config, namespaces)?;
        let nodev = Nodev::new(config, request, host)?;
        nodev.warn(plan, namespaces)?;
        let is_chroot = !namespaces.has(kind::MOUNT);
        match is_chroot {
            true => chroot::filesystem(plan, config, request, process)?,
            false => self.filesystem(plan, &nodev)?,
        }
        if config.process.is_none() {
            let socket = plan.lent(Lent::Start);
            let from = 3 + request.preserve_fds;
            plan.push(&ProcessItem::CloseFds { from, but: socket }, "");
            plan.push(&ProcessItem::AwaitStart { socket }, "");
            return Ok(());
        }
        let set_groups = mapped.is_none_or(|mapped| !mapped.denies_setgroups);
        let subject = Subject {
            process,
            at: "process",
            set_groups: set_groups && !keeps_groups(config),
            seccomp: filter(plan, config, host)?,
            preserve_fds: request.preserve_fds,
            user_namespace: namespaces.has(kind::USER),
            devices_are_filtered: !nodev.applies,
            is_chroot,
            listen_fds: &request.listen_fds,
        };
        process::plan(plan, &subject, host)
    }

    /// The mounts, from the rootfs to the root.
    fn filesystem(&self, plan: &mut Plan, nodev: &Nodev<'_>) -> Result<(), Error> {
        let New { config, request, host, process, namespaces, .. } = *self;
        let root = config.rootfs(&request.bundle)?.into_os_string().into_encoded_bytes();
        let root = text(root, "root.path")?;
        let propagation = root_propagation(&config.linux.rootfs_propagation)?;
        // First of all mounts: none that follows may reach the host. A shared root
        // is asked for to reach it; then at least the rootfs's own mount is not.
        // An unbindable rootfs could not be bound on itself: it becomes so later.
        let bindable = propagation.filter(|flags| flags & ms::UNBINDABLE == 0);
        let flags = bindable.unwrap_or(ms::SLAVE | ms::REC);
        plan.push(&RootfsItem::Propagation { flags: flags | ms::REC }, "linux.rootfsPropagation");
        if flags & ms::SHARED != 0 {
            plan.push(&RootfsItem::ParentPrivate { path: &root }, "linux.rootfsPropagation");
        }
        let item = RootfsItem::Rootfs {
            path: &root,
            opener: self.opener,
            initramfs: host.root_is_memory && !request.no_pivot,
        };
        plan.push(&item, "root.path");
        if flags & ms::SHARED != 0 {
            // Nor may the mount be shared that becomes the root (pivot_root(2)).
            let item = RootfsItem::MountAttributes {
                target: c"/",
                set: 0,
                clear: 0,
                propagation: u64::from(ms::PRIVATE),
                recursive: false,
            };
            plan.push(&item, "linux.rootfsPropagation");
        }
        // Before any mount, to which it is not meant.
        nodev.rootfs(plan, request);
        mounts::mounts(plan, config, &request.bundle, namespaces, host, nodev)?;
        // After the mounts, which bring /dev.
        let must_bind = host.in_user_namespace || namespaces.has(kind::USER);
        device_nodes::devices(plan, config, &|path| must_bind || !nodev.node_opens(path))?;
        process::make_directory(plan, process, "process")?;
        // After /dev/pts, of which the terminal is.
        terminal(plan, process, true);
        mounts::readonly(plan, config)?;
        // After everything that writes, or looks, where they are.
        mounts::masks(plan, config)?;
        if config.root.as_ref().is_some_and(|root| root.readonly) {
            plan.push(&RootfsItem::ReadonlyRoot {}, "root.readonly");
        }
        // Last, as it takes the host's files out of sight.
        match request.no_pivot {
            false => {
                let shared = flags & ms::SHARED != 0;
                plan.push(&RootfsItem::PivotRoot { shared }, "root.path");
            }
            true => {
                for path in &request.host_mounts {
                    let path = text(path.as_os_str().as_encoded_bytes(), "")?;
                    plan.push(&RootfsItem::HideMount { path: &path }, "");
                }
                plan.push(&RootfsItem::MoveRoot {}, "root.path");
            }
        }
        if let Some(flags) = propagation {
            plan.push(&RootfsItem::RootPropagation { flags }, "linux.rootfsPropagation");
        }
        Ok(())
    }
}

/// What every Plan begins with.
pub(super) fn begin(plan: &mut Plan, preserve_fds: u32) {
    // First, so that nothing that leaked into this process is in reach of it.
    plan.push(&SetupItem::CloseInherited { from: 3 + preserve_fds }, "");
    // Before any namespace is joined: the host's, whatever a joined one holds.
    plan.push(&SetupItem::Procfs {}, "");
    plan.push(&SetupItem::DefaultSignals {}, "");
}

/// Neither the caller's session, and terminal, nor its keys are shared. keyring:
/// the id of the container, if its session has a keyring of its own.
pub(super) fn session(plan: &mut Plan, keyring: Option<&str>, make: bool) -> Result<(), Error> {
    plan.push(&NamespaceItem::Session {}, "");
    if let Some(id) = keyring {
        let name = text(format!("_ses.{id}"), "")?;
        plan.push(&NamespaceItem::Keyring { name: &name, make }, "");
    }
    Ok(())
}

/// Names and interfaces, which belong to new namespaces only.
fn identity(plan: &mut Plan, config: &Config, namespaces: &Namespaces) -> Result<(), Error> {
    if namespaces.new & kind::CGROUP != 0 {
        // The process is in its cgroup by now, which becomes the root.
        plan.push(&NamespaceItem::Unshare { kinds: kind::CGROUP }, "linux.namespaces");
    }
    if namespaces.new & kind::NETWORK != 0 {
        plan.push(&NamespaceItem::Loopback {}, "linux.namespaces");
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
            "hostname" => plan.push(&NamespaceItem::Hostname { name: &name }, field),
            _ => plan.push(&NamespaceItem::Domainname { name: &name }, field),
        }
    }
    Ok(())
}

/// process.terminal and process.consoleSize
pub(super) fn terminal(plan: &mut Plan, process: &Process, console: bool) {
    if process.terminal {
        let size = process.console_size.unwrap_or_default();
        let (rows, columns) = (u32::from(size.height), u32::from(size.width));
        let socket = plan.lent(Lent::Console);
        plan.push(&RootfsItem::Terminal { socket, rows, columns, console }, "process.terminal");
    }
}

/// linux.seccomp as the kernel takes it: flags and instructions.
pub(super) fn filter(
    plan: &mut Plan,
    config: &Config,
    host: &Host,
) -> Result<Option<(u32, Vec<u8>)>, Error> {
    let Some(profile) = &config.linux.seccomp else {
        return Ok(None);
    };
    let filter =
        seccomp::compile(profile, host.arch).map_err(|error| wrong(error.path, error.message))?;
    for warning in &filter.warnings {
        plan.warn(&warning.path, &warning.message);
    }
    Ok(Some((filter.flags, filter.to_bytes())))
}

/// Whether the supplementary groups stay those of the caller.
pub(super) fn keeps_groups(config: &Config) -> bool {
    config.annotations.contains_key("run.oci.keep_original_groups")
}
