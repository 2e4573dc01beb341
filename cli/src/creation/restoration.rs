//! From a bundle and the images of a checkpoint to a container: what create does,
//! except that criu makes the namespaces, the filesystem and the processes.

use std::fs;

use linux_raw_sys::general::{
    CLONE_NEWNET, CLONE_NEWNS, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY,
};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{OFlags, statvfs};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount_remount};
use rustix::process::{Pid, WaitOptions, waitpid};
use vial_init::namespace::loopback;
use vial_init::sys::clone3::{Side, clone3};
use vial_init::sys::exit::exit;
use vial_init::sys::setns::setns;
use vial_plan::{Item, NamespaceItem, RootfsItem, Stage2};

use super::{Console, Options, Prepared, prepare, write_pid};
use crate::container::Container;
use crate::container::dir::{CONFIG, Dir};
use crate::container::record::Record;
use crate::container::undo::Undo;
use crate::criu::room::Room;
use crate::criu::{self, Answer, Criu, Kind, external, program};
use crate::error::Error;
use crate::file::open;
use crate::flags::{CgroupManager, Global};
use crate::foreground::Foreground;
use crate::hooks;
use crate::launch::here;
use crate::launch::watch::Watch;
use crate::network::Devices;
use crate::plan::{CgroupPlace, Plan};
use crate::sd_notify::{self, Proxy};
use crate::socket;

/// The directory in the state dir where criu restores, in a mount namespace of its own.
const ROOM: &str = "criu";

/// Plans an existing container anew, for what a Plan of another build does not tell.
pub fn prepare_again(global: &Global, record: &Record, dir: &Dir) -> Result<Plan, Error> {
    let cgroups = match &record.cgroup {
        None => CgroupManager::Disabled,
        Some(_) if record.scope.is_empty() => CgroupManager::Cgroupfs,
        Some(_) => CgroupManager::Systemd,
    };
    let options = Options {
        bundle: Some(record.bundle.clone()),
        config: Some(dir.path.join(CONFIG)),
        cgroups,
        ..Options::default()
    };
    Ok(prepare(global, &record.id, &options)?.plan)
}

impl Prepared {
    /// Makes the container. If anything fails, guards undo what was made, in reverse
    /// order.
    pub fn restore(
        mut self,
        global: &Global,
        options: &Options,
        console: Console,
        foreground: Option<&Foreground>,
        mut from: criu::Restore,
    ) -> Result<(Container, Option<Proxy>), Error> {
        let console = console.connect()?;
        let mut devices = Devices::find(&self.plan.net_devices)?;
        let request = &mut from.options;
        from.images.replace_streams(request)?;
        let dir = Dir::create(&global.root, &self.id, &self.bytes)?;
        let mut undo = Undo::before(&dir, &mut self.plan)?;
        dir.write_plan(&self.plan)?;
        if self.config.mounts.last().is_some_and(|mount| mount.is_for_notify) {
            sd_notify::make_directory(&dir)?;
        }
        let proxy = if foreground.is_some() { Proxy::open(&dir)? } else { None };
        let (config, watch) = (&self.config, Watch { foreground, ..Watch::default() });
        let subject = hooks::Subject { config, id: &self.id, bundle: &self.bundle };
        undo.then(move || subject.poststop(&global.log));
        let place = dir.path.join(ROOM);
        fs::create_dir(&place)
            .map_err(|e| Error::io(format_args!("make {}: mkdir(2)", place.display()), &e))?;
        let room = Room::new(place, &self.plan)?;
        let inherited = external::restore(request, &self.plan, &room)?;
        external::make_mount_points(&self.plan, criu::room::rootfs(&self.plan)?.0)?;
        let criu = self.start(&mut from, &room, &watch)?;
        let mut record = None;
        let mut told = |answer: &Answer| match answer.script.as_str() {
            "setup-namespaces" => {
                set_up_network(&self.plan, answer.pid)?;
                devices.move_to(answer.pid)?;
                subject.before_pivot(answer.pid, &|| watch.interrupted())
            }
            "orphan-pts-master" => send_master(console.as_ref(), answer.fd.as_ref()),
            "post-restore" => {
                restrict_root(&self.plan, answer.pid)?;
                let made = self.record(answer.pid)?;
                dir.write_record(&made)?;
                record = Some(made);
                write_pid(options.pid_file.as_deref(), answer.pid)
            }
            _ => Ok(()),
        };
        criu.carry_out(Kind::Restore, from.options, &from.images, &mut told)?;
        drop(inherited);
        let record = record.ok_or_else(|| Error::new("criu did not tell which process it made"))?;
        let _ = fs::remove_dir(dir.path.join(ROOM)); // Else a delete removes it.
        devices.forget();
        undo.forget();
        Ok((Container::new(dir, record), proxy))
    }
}

impl Prepared {
    /// Starts criu in the container's cgroups, where the restored processes are born.
    fn start<'a>(
        &self,
        from: &mut criu::Restore,
        room: &Room<'_>,
        watch: &'a Watch<'a>,
    ) -> Result<Criu<'a>, Error> {
        let waiting = program::start(&from.program, &from.images, Some(room), watch)?;
        here::enter(&self.plan, waiting.pid(), &|| watch.interrupted())?;
        if let Some(frozen) = self.plan.cgroup.as_ref().map(CgroupPlace::cgroup)
            && frozen.is_frozen()
        {
            return Err(frozen.error_frozen());
        }
        from.add_to(room, waiting.pid())?;
        let criu = waiting.go()?;
        criu.check(&[])?;
        Ok(criu)
    }
}

/// Sends the master of the container's terminal.
fn send_master(console: Option<&OwnedFd>, master: Option<&OwnedFd>) -> Result<(), Error> {
    let (Some(console), Some(master)) = (console, master) else {
        return Err(Error::new("the container has a terminal, but no console socket was given")
            .hint("set process.terminal to true in config.json, as it was at the checkpoint"));
    };
    socket::send_with_fd(console, b"terminal", master.as_fd())
        .map(drop)
        .map_err(|errno| Error::errno("send the terminal: sendmsg(2)", errno))
}

/// Gives the root the flags that it had: criu restores those of all other mounts. It
/// must be written to until now.
fn restrict_root(plan: &Plan, pid: u32) -> Result<(), Error> {
    let of_root = |(_, item, _)| match item {
        Item::Stage2(Stage2::Rootfs(RootfsItem::ReadonlyRoot {})) => MS_RDONLY,
        Item::Stage2(Stage2::Rootfs(RootfsItem::MountAttributes { target, set, .. }))
            if target == c"/" =>
        {
            // The attributes of mount_setattr(2) have the same bits.
            set as u32 & (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)
        }
        _ => 0,
    };
    let flags = plan.items().map(of_root).fold(0, |all, flags| all | flags);
    if flags == 0 {
        return Ok(());
    }
    let failed = |errno| Error::errno("restrict the root: mount(2)", errno);
    let path = format!("/proc/{pid}/ns/mnt");
    let namespace =
        open(&path, OFlags::RDONLY).map_err(|e| Error::io(format_args!("open {path}"), &e))?;
    // setns(2) changes the root and the working directory, so fork.
    let child = match clone3(0, None).map_err(failed)? {
        Side::Parent { child } => Pid::from_raw(child.cast_signed()),
        Side::Child { .. } => {
            let done = setns(namespace.as_fd(), CLONE_NEWNS).and_then(|()| statvfs("/")).and_then(
                |root| {
                    // Those that statvfs(2) tells have the same bits, too.
                    let all = MountFlags::from_bits_retain(flags | root.f_flag.bits() as u32);
                    mount_remount(c"/", MountFlags::BIND | (all & KEPT), c"")
                },
            );
            exit(done.map_or_else(|errno| errno.raw_os_error() as u8, |()| 0))
        }
    };
    let ended = waitpid(child, WaitOptions::empty()).map_err(failed)?;
    match ended.and_then(|(_, status)| status.exit_status()) {
        Some(0) => Ok(()),
        errno => Err(failed(Errno::from_raw_os_error(errno.unwrap_or(1)))),
    }
}

/// The flags that a remount keeps only if it is told them.
const KEPT: MountFlags = MountFlags::RDONLY
    .union(MountFlags::NOSUID)
    .union(MountFlags::NODEV)
    .union(MountFlags::NOEXEC)
    .union(MountFlags::NOATIME)
    .union(MountFlags::NODIRATIME)
    .union(MountFlags::RELATIME);

/// Sets up what criu does not restore of a new network namespace.
fn set_up_network(plan: &Plan, pid: u32) -> Result<(), Error> {
    let of_network = |(_, item, _)| match item {
        Item::Stage2(Stage2::Namespace(item)) => Some(item),
        _ => None,
    };
    let items: Vec<NamespaceItem<'_>> = plan.items().filter_map(of_network).collect();
    if !items.iter().any(|item| matches!(item, NamespaceItem::Loopback {})) {
        return Ok(());
    }
    let failed = |errno| Error::errno("set up the network namespace", errno);
    let opened = |path: String| {
        open(&path, OFlags::RDONLY).map_err(|e| Error::io(format_args!("open {path}"), &e))
    };
    let (own, its) = (opened("/proc/self/ns/net".into())?, opened(format!("/proc/{pid}/ns/net"))?);
    setns(its.as_fd(), CLONE_NEWNET).map_err(failed)?;
    let done = loopback::up().map_err(|fault| failed(fault.errno())).and_then(|()| {
        items.iter().try_for_each(|item| match item {
            NamespaceItem::Sysctl { path, value } if path.to_bytes().starts_with(b"net/") => {
                let path = format!("/proc/sys/{}", path.to_string_lossy());
                fs::write(&path, value.to_bytes())
                    .map_err(|e| Error::io(format_args!("write {path}"), &e))
            }
            _ => Ok(()),
        })
    });
    setns(own.as_fd(), CLONE_NEWNET).map_err(failed)?;
    done
}
