//! The items that set up the rootfs and make it the root. The arms are in the order in
//! which the planner writes the items.

use rustix::fd::AsFd;
use vial_plan::{Gate, NO_SLOT, RootfsItem, Step};

use super::bind::{Bind, Ids};
use super::mounted::Mounted;
use super::{Rootfs, attributes, bind, chroot, console, device, filesystem, link, mask, pivot};
use crate::fault::{Fault, Prepared};
use crate::stage2::Inside;
use crate::{Life, gate};

/// Carries out one item.
#[inline(always)]
pub fn carry_out(
    life: &mut Life,
    inside: &mut Inside,
    item: RootfsItem<'static>,
) -> Result<(), Fault> {
    match item {
        RootfsItem::Propagation { flags } => filesystem::set_propagation(c"/", flags),
        RootfsItem::ParentPrivate { path } => filesystem::make_parent_private(path),
        RootfsItem::Rootfs { path, opener, initramfs, covers } => {
            let opener = life.slots.take(opener);
            let procfs = life.procfs.take().prepared()?;
            inside.rootfs = Some(Rootfs::open(path, initramfs, procfs, opener, covers)?);
            Ok(())
        }
        RootfsItem::OpenRootfs { path } => {
            inside.rootfs = Some(Rootfs::bare(life.procfs()?, path)?);
            Ok(())
        }
        RootfsItem::LentRoot { root } => {
            inside.rootfs = Some(Rootfs::at(life.slots.take(root).prepared()?));
            Ok(())
        }
        RootfsItem::PresentRoot {} => {
            inside.rootfs = Some(Rootfs::present()?);
            Ok(())
        }
        RootfsItem::CoveredRoot {} => inside.rootfs_for_mount()?.take_covering(),
        RootfsItem::Mount { source, target, fstype, flags, data, strict, mode } => {
            let new = filesystem::New { source, fstype, flags, data };
            filesystem::mount(inside.rootfs_mut()?, target, &new, strict, mode)
        }
        RootfsItem::MountCopy { source, target, fstype, flags, data, mode, owner } => {
            let new = filesystem::New { source, fstype, flags, data };
            filesystem::mount_copy(inside.rootfs_for_mount()?, target, &new, mode, owner)
        }
        RootfsItem::MountCgroup { target, flags, host } => {
            filesystem::mount_cgroup(inside.rootfs_for_mount()?, target, flags, host)
        }
        RootfsItem::Bind {
            source,
            target,
            recursive,
            set,
            clear,
            bare_source,
            bare_target,
            copy_link,
            id_map,
            maps_below: below,
        } => {
            let rootfs = inside.rootfs_for_mount()?;
            if copy_link && link::copy(rootfs, source, target)? {
                rootfs.remember(Mounted::Nothing);
                return Ok(());
            }
            let ids = match id_map {
                NO_SLOT => None,
                slot => Some(Ids { namespace: life.slots.get(slot).prepared()?, below }),
            };
            let bind = Bind { source, target, recursive, bare_source, bare_target, ids };
            let mount = bind.mount(rootfs, &bind::attributes(set, clear))?;
            rootfs.remember(Mounted::Mount(mount));
            Ok(())
        }
        RootfsItem::MountAttributes { set, clear, propagation, recursive, .. } => {
            attributes::change(inside.rootfs_for_mount()?, recursive, set, clear, propagation)
        }
        RootfsItem::LabelMount { label, .. } => {
            attributes::label(inside.rootfs_for_mount()?, label)
        }
        RootfsItem::Remount { target, flags, data } => {
            filesystem::remount(inside.rootfs_for_mount()?, target, flags, data)
        }
        RootfsItem::DeviceNode { path, mode, major, minor, uid, gid, bind } => device::make(
            inside.rootfs_mut()?,
            path,
            &device::Node { mode, major, minor, uid, gid },
            bind,
        ),
        RootfsItem::Symlink { target, path } => device::symlink(inside.rootfs_mut()?, target, path),
        RootfsItem::Directory { path } => {
            inside.rootfs_for_mount()?.make_directory(path).map(|_| ())
        }
        RootfsItem::Terminal { socket, rows, columns, console } => {
            let socket = life.slots.take(socket).prepared()?;
            let terminal = console::open(inside.rootfs()?, socket.as_fd(), rows, columns)?;
            if console {
                console::bind(inside.rootfs()?, terminal.as_fd())?;
            }
            inside.terminal = Some(terminal);
            Ok(())
        }
        RootfsItem::AwaitHooks {} => {
            let procfs = inside.rootfs()?.procfs().or(life.procfs.as_ref());
            gate::await_vial(life, procfs.prepared()?, Gate::Hooks, Step::AwaitHooks)
        }
        RootfsItem::ReadonlyMount { target } => {
            attributes::make_mount_readonly(inside.rootfs_for_mount()?, target)
        }
        RootfsItem::MaskPath { path } => mask::mask(inside.rootfs_for_mount()?, path),
        RootfsItem::ReadonlyPath { path } => mask::make_readonly(inside.rootfs_for_mount()?, path),
        RootfsItem::ReadonlyRoot {} => attributes::make_root_readonly(inside.rootfs()?),
        RootfsItem::HideMount { path } => pivot::hide(path),
        RootfsItem::PivotRoot { shared } => pivot::pivot_root(inside.rootfs()?, shared),
        RootfsItem::MoveRoot {} => pivot::move_root(inside.rootfs()?),
        RootfsItem::Chroot {} => chroot::enter(inside.rootfs()?),
        RootfsItem::RootPropagation { flags } => filesystem::set_propagation(c"/", flags),
    }
}
