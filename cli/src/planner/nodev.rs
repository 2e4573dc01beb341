//! Hosts without cgroup2, where nothing filters devices. Mounts are nodev there, so
//! that device nodes of an image or a volume cannot be opened. Only mounts that are
//! empty at first, in which vial makes the nodes, are not.

use std::ffi::CString;
use std::path::Path;

use linux_raw_sys::general::{MOUNT_ATTR_NODEV, MS_NODEV, MS_REC};
use vial_plan::{NO_SLOT, RootfsItem};

use super::mount_options::Options;
use super::mounts::below_root;
use super::{Namespaces, Request, cgroup, device_filter, text};
use crate::config::{Config, Mount};
use crate::error::Error;
use crate::host::Host;
use crate::host::sources::{Device, PTMX, PTMX_OF_DEVPTS, Source};
use crate::namespace::kind;
use crate::plan::Plan;

/// MOUNT_ATTR_NODEV, as the attributes of a Plan have it.
const NODEV: u64 = MOUNT_ATTR_NODEV as u64;

/// Decides which mounts are nodev.
#[derive(Debug)]
pub(super) struct Nodev<'a> {
    config: &'a Config,
    sources: &'a [Source],
    /// Whether nothing filters devices.
    pub(super) applies: bool,
    /// Whether the kernel can change a whole tree of mounts.
    recursive: bool,
}

impl<'a> Nodev<'a> {
    pub(super) fn new(
        config: &'a Config,
        request: &'a Request,
        host: &Host,
    ) -> Result<Self, Error> {
        let applies = !cgroup::filters_devices(config, host.filters_devices(), host)?;
        let recursive = host.has_mount_setattr;
        Ok(Nodev { config, sources: &request.sources, applies, recursive })
    }

    /// The entry of mounts that a path lies on. None: it lies on the rootfs.
    fn holder(&self, path: &str) -> Option<usize> {
        let holds = |mount: &Mount| {
            let place = below_root(&mount.destination);
            let rest = below_root(path);
            let rest = rest.strip_prefix(place.trim_end_matches('/'));
            !is_remount(mount) && rest.is_some_and(|rest| rest.starts_with('/'))
        };
        self.config.mounts.iter().rposition(holds)
    }

    /// Whether a node that vial makes at this path can be opened.
    pub(super) fn node_opens(&self, path: &str) -> bool {
        !self.applies || self.holder(path).is_some_and(|index| self.is_new_tmpfs(index))
    }

    /// Whether a mount is a tmpfs that is empty at first.
    fn is_new_tmpfs(&self, index: usize) -> bool {
        self.config.mounts.get(index).is_some_and(|mount| {
            mount.kind == "tmpfs"
                && !words(mount).any(|one| matches!(one, "tmpcopyup" | "bind" | "rbind"))
        })
    }

    /// Whether this mount is not nodev.
    fn keeps(&self, plan: &mut Plan, index: usize) -> Result<bool, Error> {
        let mounts = &self.config.mounts;
        let Some(mount) = mounts.get(index) else { return Ok(false) };
        if is_remount(mount) {
            let place = below_root(&mount.destination);
            let is_before =
                |other: &Mount| !is_remount(other) && below_root(&other.destination) == place;
            let before = mounts.iter().take(index).rposition(is_before);
            return before.map_or(Ok(false), |before| self.keeps(plan, before));
        }
        let source = self.sources.get(index);
        if let Some(device) = source.and_then(|source| source.itself) {
            let access = device_filter::access(&self.config.linux.resources.devices, device)?;
            let field = format!("mounts[{index}]");
            if access.is_empty() {
                let what =
                    "this device cannot be opened, as linux.resources.devices does not allow it";
                plan.warn(field, what);
            } else if access != "rw" {
                let what = format_args!(
                    "access to this device is not limited to {access}, as without cgroup2 nothing filters devices"
                );
                plan.warn(field, what);
            }
            return Ok(!access.is_empty());
        }
        let has_nodes = || {
            let named = self.config.linux.devices.iter().map(|device| device.path.as_str());
            let mut paths = named.chain(["/dev/null"]);
            paths.any(|path| self.holder(path) == Some(index))
        };
        let is_devpts = mount.kind == "devpts" || source.is_some_and(|source| source.is_devpts);
        Ok(is_devpts || (self.is_new_tmpfs(index) && has_nodes()))
    }

    /// Adds nodev to a mount's options, if it must be.
    pub(super) fn restrict(
        &self,
        plan: &mut Plan,
        index: usize,
        options: &mut Options,
    ) -> Result<(), Error> {
        if !self.applies || self.keeps(plan, index)? {
            return Ok(());
        }
        options.flags |= MS_NODEV;
        options.set |= NODEV;
        options.clear &= !NODEV;
        options.recursive_clear &= !NODEV;
        let Some(source) = self.sources.get(index) else { return Ok(()) };
        if !options.is_bind() || options.flags & MS_REC == 0 || !source.has_mounts {
            return Ok(());
        }
        // Below the host's /dev there is devpts, which must stay usable.
        match self.recursive && source.below.is_empty() {
            true => options.recursive_set |= NODEV,
            false => plan.warn(
                format_args!("mounts[{index}]"),
                "devices in the mounts below it can be opened, as without cgroup2 nothing filters them",
            ),
        }
        Ok(())
    }

    /// For a directory that is bound on /dev, binds each device that the rules allow.
    pub(super) fn bind_allowed(
        &self,
        plan: &mut Plan,
        index: usize,
        target: &str,
        options: &Options,
    ) -> Result<(), Error> {
        let Some(source) = self.sources.get(index).filter(|_| self.applies) else { return Ok(()) };
        for (path, device) in &source.below {
            let access = device_filter::access(&self.config.linux.resources.devices, *device)?;
            if access.is_empty() {
                continue;
            }
            let field = format!("mounts[{index}]");
            let from = if *device == PTMX { Path::new(PTMX_OF_DEVPTS) } else { path };
            let bytes = |path: &Path| text(path.as_os_str().as_encoded_bytes(), &field);
            let (source, target) =
                (bytes(&source.path.join(from))?, bytes(&Path::new(target).join(path))?);
            let (set, clear) = (options.set & !NODEV, options.clear);
            let item = RootfsItem::Bind {
                source: &source,
                target: &target,
                set,
                clear,
                id_map: NO_SLOT,
                recursive: false,
                bare_source: false,
                bare_target: false,
                copy_link: false,
                maps_below: false,
            };
            plan.push(&item, field);
        }
        Ok(())
    }

    /// Makes the rootfs nodev.
    pub(super) fn rootfs(&self, plan: &mut Plan, request: &Request) {
        if !self.applies {
            return;
        }
        let (target, recursive): (CString, _) = (c"/".into(), self.recursive);
        let set = NODEV;
        let item = RootfsItem::MountAttributes {
            target: &target,
            set,
            clear: 0,
            propagation: 0,
            recursive,
        };
        plan.push(&item, "linux.resources.devices");
        if request.rootfs_has_mounts && !recursive {
            plan.warn("root.path", "devices in the mounts below the rootfs can be opened, as without cgroup2 nothing filters them");
        }
    }

    /// Warns about devices that can be opened all the same.
    pub(super) fn warn(&self, plan: &mut Plan, namespaces: &Namespaces) -> Result<(), Error> {
        if !self.applies {
            return Ok(());
        }
        if !namespaces.has(kind::MOUNT) {
            plan.warn("linux.namespaces", "devices in the image can be opened, as without cgroup2 nothing filters them and without a mount namespace nothing hides them");
        }
        for (index, device) in self.config.linux.devices.iter().enumerate() {
            let number = |value: i64| u32::try_from(value).unwrap_or(u32::MAX);
            let is_block = device.kind == "b";
            let (major, minor) = (number(device.major), number(device.minor));
            let device = Device { is_block, major, minor };
            let access = device_filter::access(&self.config.linux.resources.devices, device)?;
            if self.config.linux.devices[index].kind != "p" && access != "rw" {
                plan.warn(format_args!("linux.devices[{index}]"), "this device can be opened whatever linux.resources.devices says, as without cgroup2 nothing filters devices");
            }
        }
        Ok(())
    }
}

fn words(mount: &Mount) -> impl Iterator<Item = &str> {
    mount.options.iter().flat_map(|text| text.split(','))
}

fn is_remount(mount: &Mount) -> bool {
    mount.kind != "bind"
        && words(mount).any(|one| one == "remount")
        && !words(mount).any(|one| matches!(one, "bind" | "rbind"))
}
