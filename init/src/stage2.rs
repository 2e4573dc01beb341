//! Stage 2, inside: the container's first process, or the process of an exec.
//! The arms stand in the order in which the planner writes the items.

use rustix::fd::AsFd;
use rustix::fs::Mode;
use rustix::thread::set_no_new_privs;
use vial_plan::{Fields, Item, Step};

use crate::fault::{During, Fault, Prepared};
use crate::rootfs::mounted::Mounted;
use crate::rootfs::{Rootfs, attributes, bind, chroot, console, device, filesystem, mask, pivot};
use crate::security::{capabilities, keyring, label, loopback, rlimit, stdio, user};
use crate::start::Program;
use crate::sys::unshare::unshare;
use crate::{Life, join, start, sys};

/// One item of the section of stage 2.
pub fn act(life: &mut Life, code: u16, fields: &Fields<'static>) -> Result<(), Fault> {
    match Item::from_fields(code, fields).prepared()? {
        Item::AwaitMapping {} => user::await_mapping(&mut life.pipe),
        Item::BecomeRoot { groups } => user::become_root(groups),
        Item::Unshare { kinds } => unshare(kinds).during(Step::Unshare),
        Item::JoinProcess { kinds, pid } => {
            join::process(life.pidfd.as_ref().map(AsFd::as_fd), pid, kinds, life.procfs()?)
        }
        Item::Session {} => rustix::process::setsid().map(|_| ()).during(Step::MakeSession),
        Item::Keyring { name, make } => keyring::join(name, make),
        Item::Loopback {} => loopback::up(),
        Item::Hostname { name } => {
            rustix::system::sethostname(name.to_bytes()).during(Step::SetHostname)
        }
        Item::Domainname { name } => {
            rustix::system::setdomainname(name.to_bytes()).during(Step::SetDomainname)
        }
        Item::Sysctl { path, value } => life.procfs()?.write_parameter(path, value.to_bytes()),
        Item::Propagation { flags } => filesystem::set_propagation(c"/", flags),
        Item::ParentPrivate { path } => filesystem::make_parent_private(path),
        Item::Rootfs { path, initramfs } => {
            let opener = life.opener.take();
            let procfs = life.procfs.take().prepared()?;
            life.rootfs = Some(Rootfs::open(path, initramfs, procfs, opener)?);
            Ok(())
        }
        Item::OpenRootfs { path } => {
            life.rootfs = Some(Rootfs::bare(life.procfs()?, path)?);
            Ok(())
        }
        Item::PresentRoot {} => {
            life.rootfs = Some(Rootfs::present()?);
            Ok(())
        }
        Item::Mount { source, target, fstype, flags, data, strict, mode } => {
            let new = filesystem::New { source, fstype, flags, data };
            filesystem::mount(life.rootfs_mut()?, target, &new, strict, mode)
        }
        Item::MountCopy { source, target, fstype, flags, data, mode, owner } => {
            let new = filesystem::New { source, fstype, flags, data };
            filesystem::mount_copy(life.furnish()?, target, &new, mode, owner)
        }
        Item::MountCgroup { target, flags, host } => {
            filesystem::mount_cgroup(life.furnish()?, target, flags, host)
        }
        Item::Bind { source, target, recursive, set, clear } => {
            let change = bind::attributes(set, clear);
            let rootfs = life.furnish()?;
            let mount = bind::bind_path(rootfs, source, target, recursive, &change)?;
            rootfs.remember(Mounted::By(mount));
            Ok(())
        }
        Item::MountAttributes { set, clear, propagation, recursive, .. } => {
            attributes::change(life.furnish()?, recursive, set, clear, propagation)
        }
        Item::Remount { target, flags, data } => {
            filesystem::remount(life.furnish()?, target, flags, data)
        }
        Item::DeviceNode { path, mode, major, minor, uid, gid, bind } => device::make(
            life.rootfs_mut()?,
            path,
            &device::Node { mode, major, minor, uid, gid },
            bind,
        ),
        Item::Symlink { target, path } => device::symlink(life.rootfs_mut()?, target, path),
        Item::Directory { path } => life.furnish()?.make_directory(path).map(|_| ()),
        Item::CoveredRoot {} => life.furnish()?.take_covering(),
        Item::ReadonlyMount { target } => attributes::make_mount_readonly(life.furnish()?, target),
        Item::MaskPath { path } => mask::mask(life.furnish()?, path),
        Item::ReadonlyPath { path } => mask::make_readonly(life.furnish()?, path),
        Item::Terminal { rows, columns, console } => {
            let socket = life.console.take().prepared()?;
            let terminal = console::open(life.rootfs()?, socket.as_fd(), rows, columns)?;
            if console {
                console::bind(life.rootfs()?, terminal.as_fd())?;
            }
            life.terminal = Some(terminal);
            Ok(())
        }
        Item::ReadonlyRoot {} => attributes::make_root_readonly(life.rootfs()?),
        Item::HideMount { path } => pivot::hide(path),
        Item::PivotRoot { shared } => pivot::pivot_root(life.rootfs()?, shared),
        Item::MoveRoot {} => pivot::move_root(life.rootfs()?),
        Item::Chroot {} => chroot::enter(life.rootfs()?),
        Item::RootPropagation { flags } => filesystem::set_propagation(c"/", flags),
        Item::CloseFds { from } => start::close_fds(life, from),
        Item::OwnStdio { uid } => {
            let terminal = life.terminal.take();
            let ours = terminal.is_some();
            if let Some(terminal) = terminal {
                console::make_controlling(terminal)?;
            }
            stdio::own(uid, ours)
        }
        Item::AppArmorProfile { profile } => label::apparmor(life.procfs()?, profile),
        Item::SelinuxLabel { label } => label::selinux(life.procfs()?, label),
        Item::Rlimit { resource, soft, hard } => rlimit::set(resource, soft, hard),
        Item::Umask { mask } => {
            rustix::process::umask(Mode::from_raw_mode(mask));
            Ok(())
        }
        Item::WorkingDirectory { path } => {
            life.directory_is_due = start::change_directory(path)?;
            Ok(())
        }
        Item::BoundingSet { keep } => capabilities::drop_bounding(keep),
        Item::User { uid, gid, groups, set_groups } => {
            user::change(uid, gid, set_groups.then_some(groups))
        }
        Item::Capabilities { effective, permitted, inheritable, ambient } => {
            capabilities::set(effective, permitted, inheritable)?;
            capabilities::set_ambient(ambient)
        }
        Item::NoNewPrivs {} => set_no_new_privs(true).during(Step::SetNoNewPrivs),
        Item::Program { args, env, path } => {
            if let Some(path) = life.directory_is_due {
                start::change_directory_again(path)?;
            }
            life.program = Some(Program::find(args, env, path, &mut life.memory)?);
            Ok(())
        }
        Item::Home { uid } => start::find_home(life, uid),
        Item::ListenPid {} => start::add_listen_pid(life),
        Item::AwaitStart {} => start::await_start(life),
        Item::Seccomp { flags, filter } => {
            sys::seccomp::load(flags, filter).during(Step::LoadSeccomp)
        }
        Item::DropCapabilities { effective, permitted, inheritable } => {
            capabilities::set(effective, permitted, inheritable)
        }
        Item::Execute {} => Err(life.program.as_ref().prepared()?.execute()),
        _ => Err(Fault::PLAN),
    }
}
