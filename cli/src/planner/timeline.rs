//! The life of a container, item by item, each with the reason for its place.
//! vial-init does what is written here, in this order.

use std::ffi::CStr;

use linux_raw_sys::general::{MS_PRIVATE, MS_REC, MS_SHARED, MS_SLAVE, MS_UNBINDABLE};
use vial_plan::{
    CgroupItem, LeaveItem, NO_SLOT, NamespaceItem, ProcessItem, RootfsItem, SetupItem, Stage,
    Stage1, Strings,
};

use super::id_maps::IdMaps;
use super::mount_options::root_propagation;
use super::namespaces::{Joined, Mapped, Mapping, time_offsets};
use super::nodev::Nodev;
use super::process::Subject;
use super::{
    Namespaces, Request, cgroup, chroot, device_nodes, hooks, mount_label, mounts, net_devices,
    process, seccomp, sysctl, text, wrong,
};
use crate::config::{Config, Process};
use crate::error::Error;
use crate::host::{Hierarchy, Host};
use crate::namespace::kind;
use crate::plan::agent::State;
use crate::plan::{Lent, Plan};

/// Makes the Plan of a container.
pub(super) fn create(config: &Config, request: &Request, host: &Host) -> Result<Plan, Error> {
    // Only start needs a process (config.md, "Process").
    let none = Process { cwd: "/".into(), ..Process::default() };
    let process = config.process.as_ref().unwrap_or(&none);
    let namespaces = Namespaces::from_config(&config.linux, &request.namespaces)?;
    if host.uid != 0 && !namespaces.has(kind::USER) {
        return Err(wrong(
            "linux.namespaces",
            "vial does not run as root, so a user namespace is needed",
        )
        .hint("add {\"type\": \"user\"} with mappings; `vial spec --rootless` writes one"));
    }
    if !namespaces.has(kind::MOUNT) {
        chroot::refuse_mounts(config, process, &namespaces, host)?;
    }
    let mapped = Mapped::from_config(config, &namespaces, host)?;
    let (namespaces, mapped) = (&namespaces, mapped.as_ref());
    let mut plan = Plan::default();
    let mut slot_if = |is_needed| if is_needed { plan.slot() } else { NO_SLOT };
    // The opener keeps the host's privileges, and opens in the new mount namespace
    // what root of a user namespace may not.
    let has_opener =
        host.uid == 0 && namespaces.has(kind::USER) && namespaces.new & kind::MOUNT != 0;
    let (opener, pipe) = (slot_if(has_opener), slot_if(mapped.is_some()));
    let id_maps = &IdMaps::from_config(config, namespaces, host, &mut plan)?;
    let new = New { config, request, host, process, namespaces, mapped, opener, pipe, id_maps };
    let (has_stage_1, tasks) = new.stage_0(&mut plan)?;
    // Before anything that depends on it. A new cgroup namespace has the cgroups of its
    // creator as its roots.
    enter_cgroups(&mut plan, &tasks);
    new.stage_2(&mut plan, has_stage_1)?;
    Ok(plan)
}

/// A new container.
struct New<'a> {
    config: &'a Config,
    request: &'a Request,
    host: &'a Host,
    process: &'a Process,
    namespaces: &'a Namespaces,
    mapped: Option<&'a Mapped>,
    /// The slot of the socket to the opener, if there is one.
    opener: u32,
    /// The mappings of idmapped mounts.
    id_maps: &'a IdMaps,
    /// The slot of the pipe that tells the next stage that it was mapped.
    pipe: u32,
}

impl New<'_> {
    /// Adds stage 0, and stage 1 if it is needed. Returns whether it is, and the slots
    /// by which stage 2 enters cgroups.
    fn stage_0(&self, plan: &mut Plan) -> Result<(bool, Vec<u32>), Error> {
        let New { config, request, host, process, namespaces, mapped, .. } = *self;
        begin(plan, request.preserve_fds);
        // Set the limits before clone, so that the process is born within them.
        let tasks = cgroup::plan(plan, config, request, namespaces, mapped, host)?;
        process::inherited(plan, process, "process", namespaces.has(kind::USER))?;
        // By the host's root, who alone may map ids of the host.
        self.id_maps.make(plan);
        // Before any namespace is joined, so that it keeps the host's privileges.
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
                // The files in /proc of an undumpable process belong to the host's
                // root (proc(5)), which the caller may not be.
                file = plan.slot();
                plan.push(&LeaveItem::OpenTimeOffsets { file }, "linux.timeOffsets");
            }
            plan.push(&SetupItem::Undumpable {}, "");
        }
        // If cgroup2 is mounted with nsdelegate, CLONE_INTO_CGROUP fails within a
        // cgroup namespace that does not hold the caller's own cgroup.
        if let (Some(place), Some(cgroup)) = (&plan.cgroup, &host.cgroup)
            && place.hierarchy != Hierarchy::V1
            && (namespaces.joins(kind::CGROUP)
                || cgroup::must_be_entered(config, &request.lineage, cgroup))
        {
            plan.push(&CgroupItem::Enter {}, "linux.namespaces");
        }
        // The user namespace is first: it grants the right to join those that it owns.
        // Stage 0 itself joins them; nothing else follows in it.
        for Joined { kind, path, field } in &namespaces.joined {
            plan.push(&LeaveItem::JoinPath { path, kind: *kind }, field.clone());
        }
        let by_clone = namespaces.new & !late(namespaces);
        match &offsets {
            None => self.clone_and_map(plan, Stage::Two, by_clone),
            Some(offsets) => self.set_clocks(plan, offsets, file, by_clone),
        }
        if self.opener != NO_SLOT {
            // No helper may stay behind.
            plan.push(&SetupItem::EndOpener { socket: self.opener }, "");
        }
        Ok((offsets.is_some() && mapped.is_some(), tasks))
    }

    /// Adds the offsets of clocks. They must be written before the first process enters
    /// the time namespace, by a process that is privileged over it (time_namespaces(7)).
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
        // After the offsets: a change of ids makes the process undumpable, and its
        // files in /proc then belong to the host's root (proc(5)).
        plan.push(&Stage1::BecomeRoot { groups: !mapped.denies_setgroups }, "");
        let (stage, kinds) = (Stage::Two as u32, rest & !kind::USER);
        plan.push(&Stage1::Clone { stage, kinds }, field);
    }

    /// Adds one clone3 for all namespaces, then the mapping from outside.
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

    /// Adds stage 2, up to execve.
    fn stage_2(&self, plan: &mut Plan, has_stage_1: bool) -> Result<(), Error> {
        let New { config, request, host, process, namespaces, mapped, .. } = *self;
        // Become root of the user namespace first, to own what is made. If there is a
        // stage 1, it has done so.
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
        session(plan, keyring.map(|id| (id, process)), true)?;
        identity(plan, config, namespaces, host)?;
        // While the old root is there: /proc is the host's, so that no file of the
        // container can stand in a kernel parameter's place.
        sysctl::sysctl(plan, config, namespaces)?;
        let nodev = Nodev::new(config, request, host)?;
        nodev.warn(plan, namespaces)?;
        let is_chroot = !namespaces.has(kind::MOUNT);
        match is_chroot {
            true => chroot::filesystem(plan, config, request, process)?,
            false => self.filesystem(plan, &nodev)?,
        }
        if config.process.is_none() {
            let (socket, from) = (plan.lent(Lent::Start), 3 + request.preserve_fds);
            plan.push(&ProcessItem::CloseFds { from, but: socket }, "");
            plan.push(&ProcessItem::AwaitStart { socket }, "");
            return Ok(());
        }
        let state = || State {
            oci_version: config.oci_version.clone(),
            id: request.id.clone(),
            status: "creating",
            pid: 0,
            bundle: request.bundle.to_string_lossy().into_owned(),
            annotations: config.annotations.clone(),
        };
        let set_groups = mapped.is_none_or(|mapped| !mapped.denies_setgroups);
        let subject = Subject {
            process,
            at: "process",
            linux: &config.linux,
            is_exec: false,
            set_groups,
            keeps_groups: keeps_groups(config),
            seccomp_field: seccomp::field(config),
            seccomp: seccomp::filter(plan, config, host, &state)?,
            preserve_fds: request.preserve_fds,
            user_namespace: namespaces.has(kind::USER),
            devices_are_filtered: !nodev.applies,
            is_chroot,
            listen_fds: &request.listen_fds,
            container: Some((config, request)),
        };
        process::plan(plan, &subject, host)
    }

    /// Adds all that makes the container's filesystem, up to the change of the root.
    fn filesystem(&self, plan: &mut Plan, nodev: &Nodev<'_>) -> Result<(), Error> {
        let New { config, request, host, process, namespaces, .. } = *self;
        let root = config.rootfs(&request.bundle)?.into_os_string().into_encoded_bytes();
        let root = text(root, "root.path")?;
        let propagation = root_propagation(&config.linux.rootfs_propagation)?;
        // Before all mounts, so that none propagates to the host; if a shared root is asked
        // for, they do, except for the rootfs's own. Unbindable, it could not be bound.
        let bindable = propagation.filter(|flags| flags & MS_UNBINDABLE == 0);
        let flags = bindable.unwrap_or(MS_SLAVE | MS_REC);
        plan.push(&RootfsItem::Propagation { flags: flags | MS_REC }, "linux.rootfsPropagation");
        if flags & MS_SHARED != 0 {
            plan.push(&RootfsItem::ParentPrivate { path: &root }, "linux.rootfsPropagation");
        }
        let (opener, covers) = (self.opener, &*mount_label::of_covers(config)?);
        let initramfs = host.root_is_memory && !request.no_pivot;
        let item = RootfsItem::Rootfs { path: &root, opener, initramfs, covers };
        plan.push(&item, "root.path");
        if flags & MS_SHARED != 0 {
            // pivot_root(2) refuses a new root that is shared.
            let item = RootfsItem::MountAttributes {
                target: c"/",
                set: 0,
                clear: 0,
                propagation: u64::from(MS_PRIVATE),
                recursive: false,
            };
            plan.push(&item, "linux.rootfsPropagation");
        }
        // Before the mounts, since it is only for the rootfs.
        nodev.rootfs(plan, request);
        mounts::mounts(plan, config, &request.bundle, namespaces, host, nodev, self.id_maps)?;
        // After the mounts, one of which is /dev.
        let must_bind = host.in_user_namespace || namespaces.has(kind::USER);
        device_nodes::devices(plan, config, &|path| must_bind || !nodev.node_opens(path))?;
        process::make_directory(plan, process, "process")?;
        // After the mount of /dev/pts, in which the terminal is opened.
        terminal(plan, process, true);
        // After everything was made, and while it can still be written to.
        hooks::before_pivot(plan, config, request)?;
        mounts::readonly(plan, config)?;
        // After everything that makes or opens files in these places.
        mounts::masks(plan, config)?;
        if config.root.as_ref().is_some_and(|root| root.readonly) {
            plan.push(&RootfsItem::ReadonlyRoot {}, "root.readonly");
        }
        // Last, since the host's files cannot be reached after it.
        match request.no_pivot {
            false => {
                let shared = flags & MS_SHARED != 0;
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
        // All mounts are private or slaves already, but for those that are to be shared.
        if let Some(flags) = propagation.filter(|flags| flags & (MS_PRIVATE | MS_SLAVE) == 0) {
            plan.push(&RootfsItem::RootPropagation { flags }, "linux.rootfsPropagation");
        }
        Ok(())
    }
}

/// Adds the items that every Plan begins with.
pub(super) fn begin(plan: &mut Plan, preserve_fds: u32) {
    // First, so that no fd that the caller leaked can be used.
    plan.push(&SetupItem::CloseInherited { from: 3 + preserve_fds }, "");
    // Before any namespace is joined, so that it is the host's.
    plan.push(&SetupItem::Procfs {}, "");
    plan.push(&SetupItem::DefaultSignals {}, "");
}

/// Adds the entry into the cgroups in which the process is not created.
pub(super) fn enter_cgroups(plan: &mut Plan, tasks: &[u32]) {
    for tasks in tasks {
        plan.push(&NamespaceItem::EnterCgroup { tasks: *tasks }, "linux.cgroupsPath");
    }
}

/// A container's id, and the process whose label its keyring gets.
type Keyring<'a> = Option<(&'a str, &'a Process)>;

/// Adds a new session, without the caller's terminal, and a new session keyring.
/// None keeps the caller's keyring.
pub(super) fn session(plan: &mut Plan, keyring: Keyring<'_>, make: bool) -> Result<(), Error> {
    plan.push(&NamespaceItem::Session {}, "");
    if let Some((id, process)) = keyring {
        process::key_label(plan, process)?;
        let name = text(format!("_ses.{id}"), "")?;
        plan.push(&NamespaceItem::Keyring { name: &name, make }, "");
    }
    Ok(())
}

/// The namespaces that stage 2 makes, because they depend on what it has become. The
/// caller's cgroup becomes the root of a cgroup namespace (cgroup_namespaces(7)). The root
/// of the message queues belongs to the user who makes the IPC namespace, which must be
/// the container's root.
fn late(namespaces: &Namespaces) -> u32 {
    let ipc = if namespaces.has(kind::USER) { kind::IPC } else { 0 };
    kind::CGROUP | ipc
}

/// Adds the late namespaces, the host name, the domain name and `lo`, in new namespaces
/// only.
fn identity(
    plan: &mut Plan,
    config: &Config,
    namespaces: &Namespaces,
    host: &Host,
) -> Result<(), Error> {
    let kinds = namespaces.new & late(namespaces);
    if kinds != 0 {
        plan.push(&NamespaceItem::Unshare { kinds }, "linux.namespaces");
    }
    if namespaces.new & kind::NETWORK != 0 {
        plan.push(&NamespaceItem::Loopback {}, "linux.namespaces");
    }
    // Before the kernel parameters, which may be a device's.
    net_devices::plan(plan, config, namespaces, host)?;
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

/// Adds process.terminal and process.consoleSize.
pub(super) fn terminal(plan: &mut Plan, process: &Process, console: bool) {
    if process.terminal {
        let size = process.console_size.unwrap_or_default();
        let (rows, columns) = (u32::from(size.height), u32::from(size.width));
        let socket = plan.lent(Lent::Console);
        plan.push(&RootfsItem::Terminal { socket, rows, columns, console }, "process.terminal");
    }
}

/// Whether the process keeps the caller's supplementary groups.
pub(super) fn keeps_groups(config: &Config) -> bool {
    config.annotations.contains_key("run.oci.keep_original_groups")
}
