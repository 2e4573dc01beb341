//! exec: starts one more process in a running container.

use std::fs;
use std::path::{Component, Path, PathBuf};

use argh::{ArgsInfo, FromArgs};
use rustix::fd::AsFd;
use rustix::process::Pid;

use crate::config::process::{Capabilities, User};
use crate::config::{self, Config, Process};
use crate::container::record::Record;
use crate::container::status::Status;
use crate::container::{Container, Init};
use crate::creation::{
    Console, check_preserved, connect_for_pidfd, console_socket, listen_fds, send_pidfd, write_pid,
};
use crate::error::Error;
use crate::flags::Global;
use crate::foreground::Foreground;
use crate::host::{Hierarchy, Host, Lineage};
use crate::launch::watch::Watch;
use crate::launch::{go, launch};
use crate::network::Devices;
use crate::plan::scope::{Scope, Way};
use crate::plan::{Lent, Place, Plan};
use crate::planner::{self, capability_number};

/// execute a program in a running container; the exit status is the program's, or 255
/// if it was not started
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "exec", help_triggers("-h", "--help"))]
#[argh(example = "vial exec -t -e TERM=xterm web /bin/sh")]
pub struct Exec {
    /// socket to which the terminal's master is sent
    #[argh(option, arg_name = "socket")]
    console_socket: Option<PathBuf>,
    /// the working directory
    #[argh(option, arg_name = "dir")]
    cwd: Option<String>,
    /// set NAME=value in the environment
    #[argh(option, short = 'e', arg_name = "name=value")]
    env: Vec<String>,
    /// allocate a terminal
    #[argh(switch, short = 't')]
    tty: bool,
    /// the user: uid or uid:gid
    #[argh(option, short = 'u', arg_name = "uid[:gid]")]
    user: Option<String>,
    /// add a supplementary group
    #[argh(option, short = 'g', arg_name = "gid")]
    additional_gids: Vec<u32>,
    /// file with the process as JSON, as config.json's process
    #[argh(option, short = 'p', arg_name = "file")]
    process: Option<PathBuf>,
    /// return once the process is started
    #[argh(switch, short = 'd')]
    detach: bool,
    /// socket to which a pidfd of the process is sent
    #[argh(option, arg_name = "socket")]
    pidfd_socket: Option<PathBuf>,
    /// file to which the process's pid is written
    #[argh(option, arg_name = "file")]
    pid_file: Option<PathBuf>,
    /// the SELinux label
    #[argh(option, arg_name = "label")]
    process_label: Option<String>,
    /// the AppArmor profile
    #[argh(option, arg_name = "profile")]
    apparmor: Option<String>,
    /// forbid execve to grant privileges
    #[argh(switch)]
    no_new_privs: bool,
    /// add a capability to the bounding, effective and permitted set, and to the
    /// ambient set if config.json has it inheritable
    #[argh(option, short = 'c', arg_name = "capability")]
    cap: Vec<String>,
    /// pass on this many file descriptors from 3 on
    #[argh(option, arg_name = "n", default = "0")]
    preserve_fds: u32,
    /// a cgroup below the container's
    #[argh(option, arg_name = "path")]
    cgroup: Option<String>,
    /// accept a paused container; the process waits until it is resumed
    #[argh(switch)]
    ignore_paused: bool,
    /// the container's id
    #[argh(positional)]
    id: String,
    /// the program and its arguments
    #[argh(positional, greedy)]
    command: Vec<String>,
}

impl Exec {
    /// Runs the verb; in the foreground its result is the process's own.
    pub fn run(self, global: &Global) -> Result<u8, Error> {
        let listen_fds = listen_fds();
        let preserve_fds = self.preserve_fds.saturating_add(listen_fds.count);
        check_preserved(preserve_fds)?;
        let container = Container::open(&global.root, &self.id)?;
        match container.status()? {
            Status::Running | Status::Created => {}
            Status::Paused if self.ignore_paused => {}
            Status::Paused => {
                return Err(
                    Error::new("cannot exec in a paused container").hint("use --ignore-paused")
                );
            }
            status => return Err(Error::new(format_args!("cannot exec in a {status} container"))),
        }
        let config = container.dir().config()?;
        let process = self.process(&config)?;
        let init = container.init()?.ok_or_else(|| Error::new("container not running"))?;
        if container.record.chroot && init.pidfd().is_none() {
            return Err(Error::new(format_args!(
                "cannot make sure which root container {} has without a pidfd",
                self.id
            ))
            .hint("pidfd_open(2) needs Linux 5.3, and a seccomp filter around vial may deny it"));
        }
        let record = &container.record;
        let host = record.host();
        let pid = record.pid;
        let (cgroup, places) = self.cgroups(&container)?;
        let mut lineage = Lineage::default();
        if let (Some(of_host), Some(path)) = (&host.cgroup, &cgroup) {
            of_host.look(path, host.uid, &mut lineage);
        }
        let scope = cgroup.as_ref().and_then(|present| scope_for(record, present, &host));
        let exec = planner::Exec {
            id: &self.id,
            bundle: &container.record.bundle,
            pid,
            config: &config,
            process: &process,
            filters_devices: record.filters_devices(),
            cgroup,
            scope,
            places,
            lineage,
            user_namespace: differs(pid, "user"),
            mount_namespace: differs(pid, "mnt"),
            is_chroot: container.record.chroot,
            denies_setgroups: fs::read_to_string(format!("/proc/{pid}/setgroups"))
                .is_ok_and(|text| text.trim() == "deny"),
            preserve_fds,
            listen_fds,
            no_new_keyring: container.record.no_new_keyring,
        };
        let plan = planner::exec(&exec, &host)?;
        global.log.warn(&plan.warnings);
        // The lock protects the container's state, not the processes in it.
        drop(container);
        self.launch(&process, &plan, &global.root, &init)
    }

    fn launch(
        &self,
        process: &Process,
        plan: &Plan,
        root: &Path,
        init: &Init,
    ) -> Result<u8, Error> {
        let mut foreground = if self.detach { None } else { Some(Foreground::prepare()?) };
        let console = match &mut foreground {
            Some(foreground) if process.terminal && self.console_socket.is_none() => {
                Console::Socket(foreground.offer_terminal()?)
            }
            _ => console_socket(process.terminal, self.console_socket.as_deref())?,
        };
        let console = console.connect()?;
        let pidfd_socket = self.pidfd_socket.as_deref().map(connect_for_pidfd).transpose()?;
        let fds = [(Lent::Console, console.as_ref().map(AsFd::as_fd)), (Lent::Init, init.pidfd())];
        let watch = Watch { foreground: foreground.as_ref(), cgroup: None, deadline: None };
        let ready =
            launch(plan, &root.join(&self.id), &fds, &watch, &mut Devices::default(), &|_| Ok(()))?;
        // init still lives, so its pid was its own all the time.
        if init.has_ended()? {
            return Err(Error::new("container not running"));
        }
        let pid = ready.pid;
        if let Some(socket) = &pidfd_socket {
            send_pidfd(socket, pid, b"setns")?;
        }
        write_pid(self.pid_file.as_deref(), pid)?;
        if let Err(error) = go(ready, plan, foreground.as_mut()) {
            if let Some(file) = &self.pid_file {
                let _ = fs::remove_file(file); // It names a process that has ended.
            }
            return Err(error);
        }
        match foreground {
            Some(foreground) => foreground.wait(Pid::from_raw(pid.cast_signed()), None),
            None => Ok(0),
        }
    }

    /// The process to execute: the one of --process, or the container's own with what
    /// the flags change.
    fn process(&self, config: &Config) -> Result<Process, Error> {
        let own = config.process.as_ref().cloned().unwrap_or_default();
        let mut process = match &self.process {
            Some(file) => {
                let bytes = config::read(file)?;
                let said: Process =
                    config::parse(&bytes).map_err(|error| error.context(file.display()))?;
                said.completed_by(own)
            }
            None => {
                let terminal = self.tty;
                Process { args: self.command.clone(), terminal, console_size: None, ..own }
            }
        };
        if process.args.is_empty() {
            return Err(
                Error::new("no program to execute").hint("vial exec ID PROGRAM [ARGUMENT..]")
            );
        }
        if let Some(cwd) = &self.cwd {
            process.cwd.clone_from(cwd);
        }
        process.env.extend(self.env.iter().cloned());
        process.terminal |= self.tty;
        process.no_new_privileges |= self.no_new_privs;
        if let Some(user) = &self.user {
            process.user = parse_user(user, &process.user)?;
        }
        process.user.additional_gids.extend(&self.additional_gids);
        // Never to the inheritable set: a program with inheritable file capabilities
        // would gain privileges (CVE-2022-29162).
        if let Some(name) = self.cap.iter().find(|name| capability_number(name).is_none()) {
            return Err(Error::new(format_args!("--cap {name}: unknown capability")));
        }
        let sets = process.capabilities.get_or_insert_default();
        let Capabilities { bounding, effective, permitted, ambient, .. } = sets;
        // The planner leaves those out of the ambient set that config.json does not have
        // in the inheritable one.
        for set in [bounding, effective, permitted, ambient] {
            set.extend(self.cap.iter().cloned());
        }
        if let Some(label) = &self.process_label {
            process.selinux_label.clone_from(label);
        }
        if let Some(profile) = &self.apparmor {
            process.apparmor_profile.clone_from(profile);
        }
        Ok(process)
    }

    /// The cgroups for the process: those of --cgroup, below the container's, or the
    /// container's. In cgroup2 the one of the container's init, which an init system may
    /// have moved to one below.
    fn cgroups(&self, container: &Container) -> Result<(Option<PathBuf>, Vec<Place>), Error> {
        let record = &container.record;
        let all = record.places();
        let mut places = all.clone();
        let Some(own) = &record.cgroup else {
            return match &self.cgroup {
                None => Ok((None, places)),
                Some(_) => Err(Error::new("--cgroup: this container has no cgroup")),
            };
        };
        let in_v2 = record.hierarchy() != Hierarchy::V1;
        let present = || container.present().or_else(|| Some(own.clone())).filter(|_| in_v2);
        let Some(sub) = &self.cgroup else { return Ok((present(), places)) };
        let (controllers, path) = match sub.split_once(':') {
            Some((controllers, path)) => (Some(controllers), path),
            None => (None, sub.as_str()),
        };
        let path = Path::new(path.trim_start_matches('/'));
        if !path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
            return Err(Error::new(format_args!("bad sub cgroup path: {sub}")));
        }
        let of_cgroups = |place: &&mut Place| place.controllers != Place::RESCTRL;
        let Some(controllers) = controllers else {
            for place in places.iter_mut().filter(of_cgroups) {
                place.path.push(path);
            }
            return Ok((Some(own.join(path)).filter(|_| in_v2), places));
        };
        for controller in controllers.split(',') {
            let mut of_cgroups = places.iter_mut().filter(of_cgroups);
            let Some(place) = of_cgroups.find(|place| place.has(controller)) else {
                return Err(Error::new(format_args!(
                    "--cgroup {sub}: unknown controller {controller}: the container is in no hierarchy of cgroup v1 that has it"
                ))
                .hint("give only the path"));
            };
            if let Some(own) = all.iter().find(|original| original.root == place.root) {
                place.path = own.path.join(path); // Once, even if it has several of them.
            }
        }
        Ok((present(), places))
    }
}

/// The scope to join, for a caller who may not be able to enter its cgroup alone.
fn scope_for(record: &Record, present: &Path, host: &Host) -> Option<Scope> {
    if host.is_privileged() || record.scope.is_empty() {
        return None;
    }
    let below = present.strip_prefix(record.cgroup.as_ref()?).ok()?.to_owned();
    let (name, path) = (record.scope.clone(), present.to_owned());
    Some(Scope { name, path, hierarchy: "", way: Way::Join(below) })
}

/// Parses the whole text as digits: half a number would be another user
/// (CVE-2026-30892).
fn parse_user(text: &str, base: &User) -> Result<User, Error> {
    let wrong = || Error::new(format_args!("--user {text}: not uid or uid:gid in numbers"));
    let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => text.parse::<u32>().map_err(|_| wrong()),
        false => Err(wrong()),
    };
    let (uid, gid) = match text.split_once(':') {
        Some((uid, gid)) => (number(uid)?, number(gid)?),
        None => (number(text)?, base.gid),
    };
    Ok(User { uid, gid, ..base.clone() })
}

/// Whether a process is in another namespace of this kind than vial.
fn differs(pid: u32, kind: &str) -> bool {
    let of = |who: &str| fs::read_link(format!("/proc/{who}/ns/{kind}")).ok();
    of("self") != of(&pid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_numbers_to_the_end() {
        let base = User { uid: 1, gid: 2, ..User::default() };
        let ids = |text| parse_user(text, &base).map(|user| (user.uid, user.gid)).ok();
        assert_eq!(ids("0"), Some((0, 2)));
        assert_eq!(ids("1000:1001"), Some((1000, 1001)));
        for wrong in ["", "1x", "x", "1:", ":1", "1:2:3", "-1", "+1", "4294967296", " 1", "root"] {
            assert_eq!(ids(wrong), None, "{wrong:?}");
        }
    }
}
