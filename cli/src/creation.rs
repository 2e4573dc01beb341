//! From a bundle to a container whose process waits for start: the part that
//! create and run share.

mod restoration;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::OFlags;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use vial_plan::{Item, ProcessItem, RootfsItem, Stage2};

use crate::config::Config;
use crate::container::Container;
use crate::container::dir::Dir;
use crate::container::record::Record;
use crate::container::status::Process;
use crate::container::undo::Undo;
use crate::criu::images::own_streams;
use crate::debug;
use crate::error::Error;
use crate::file::write_whole;
use crate::flags::{CgroupManager, Global};
use crate::foreground::Foreground;
use crate::hooks;
use crate::host::cgroups::delegated;
use crate::host::mountinfo;
use crate::host::resctrl::Resctrl;
use crate::host::sources::{Source, rootfs_has_mounts};
use crate::host::{Driver, Hierarchy, Host, NamespaceOwner};
use crate::launch::watch::Watch;
use crate::launch::{go, launch};
use crate::network::Devices;
use crate::plan::{CgroupPlace, Lent, Place, Plan};
use crate::planner::{self, ListenFds, Request};
use crate::sd_notify::{self, Proxy};
use crate::socket;
use crate::spawn;
use crate::systemd;
use crate::time;

pub use restoration::prepare_again;

/// How long the reader of a pidfd may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The options that create and run share.
#[derive(Debug, Default)]
pub struct Options {
    /// The bundle; empty is the working directory.
    pub bundle: Option<PathBuf>,
    /// What to read instead of the bundle's config.json.
    pub config: Option<PathBuf>,
    /// Where to send a pidfd of the process.
    pub pidfd_socket: Option<PathBuf>,
    /// Where the console socket is.
    pub console_socket: Option<PathBuf>,
    /// Where the pid is written.
    pub pid_file: Option<PathBuf>,
    /// Move the root instead of pivoting it.
    pub no_pivot: bool,
    /// Keep the caller's session keyring.
    pub no_new_keyring: bool,
    /// How many fds, from 3 on, the container gets.
    pub preserve_fds: u32,
    /// Which of them come from systemd's socket activation.
    pub listen_fds: ListenFds,
    /// What makes the cgroups.
    pub cgroups: CgroupManager,
}

/// A bundle that was read and planned. Nothing has been done yet.
#[derive(Debug)]
pub struct Prepared {
    id: String,
    bundle: PathBuf,
    /// The Config.
    pub config: Config,
    bytes: Vec<u8>,
    host: Host,
    no_new_keyring: bool,
    /// What create will do.
    pub plan: Plan,
}

/// Reads a bundle and plans everything. Changes nothing on the machine.
pub fn prepare(global: &Global, id: &str, options: &Options) -> Result<Prepared, Error> {
    crate::container::dir::check_id(id)?;
    let mut host = Host::read();
    match options.cgroups {
        CgroupManager::Cgroupfs => {}
        CgroupManager::Systemd => host.driver = systemd_driver(&host)?,
        CgroupManager::Disabled => host.forget_cgroups(),
    }
    let bundle = bundle(options.bundle.as_deref(), &host)?;
    let file = options.config.clone().unwrap_or_else(|| bundle.join("config.json"));
    let (mut config, bytes) = Config::load(&file)?;
    debug::said(format_args!("read {}, {} bytes", file.display(), bytes.len()));
    if sd_notify::address()?.is_some() {
        sd_notify::add_to(&mut config, &global.root.join(id));
    }
    let linux = &config.linux;
    let mut lineage = planner::lineage(&linux.cgroups_path, id, &host);
    if !linux.uid_mappings.is_empty() && host.cgroup.is_some() {
        lineage.delegated = delegated();
    }
    let filters = host.filters_devices();
    let request = Request {
        lineage,
        no_cgroups: options.cgroups == CgroupManager::Disabled,
        resctrl: linux.intel_rdt.as_ref().and_then(|rdt| Resctrl::read(rdt, id)),
        environment: environment_for(&config),
        sources: if filters { Vec::new() } else { Source::of(&config, &bundle) },
        rootfs_has_mounts: !filters && rootfs_has_mounts(&config, &bundle),
        id: id.to_owned(),
        bundle: bundle.clone(),
        no_pivot: options.no_pivot,
        no_new_keyring: options.no_new_keyring,
        preserve_fds: options.preserve_fds,
        namespaces: NamespaceOwner::of(&config.linux),
        host_mounts: if options.no_pivot { mountinfo::kernel_mounts() } else { Vec::new() },
        listen_fds: options.listen_fds.clone(),
    };
    let mut plan = planner::create(&config, &request, &host)?;
    plan.bundle.clone_from(&bundle);
    let no_new_keyring = options.no_new_keyring;
    Ok(Prepared { id: id.to_owned(), bundle, config, bytes, host, no_new_keyring, plan })
}

/// systemd, if it can make cgroups here.
fn systemd_driver(host: &Host) -> Result<Driver, Error> {
    let refused = |what: &str| Err(Error::new(format_args!("the systemd cgroup driver: {what}")));
    let (is_booted, is_of_user) = (systemd::is_booted(), systemd::is_of_user());
    match host.hierarchy() {
        _ if !is_booted => refused("this machine was not booted with systemd").map_err(|error| {
            error.hint("leave out --systemd-cgroup, and have the engine use its cgroupfs driver")
        }),
        None => refused("no cgroup filesystem is mounted"),
        Some(Hierarchy::V1 | Hierarchy::Hybrid) if is_of_user => {
            refused("a user's systemd may not make cgroups of cgroup v1")
                .map_err(|error| error.hint("boot with systemd.unified_cgroup_hierarchy=1"))
        }
        Some(_) if is_of_user => {
            Ok(Driver::Systemd { is_of_user, root: systemd::cgroup_of_manager()? })
        }
        Some(_) => Ok(Driver::Systemd { is_of_user, root: PathBuf::new() }),
    }
}

/// The environment of createContainer hooks that have none, if there are any.
fn environment_for(config: &Config) -> Vec<u8> {
    match config.hooks.create_container.iter().any(|hook| hook.env.is_none()) {
        true => spawn::variables().flat_map(|entry| [entry, vec![0]].concat()).collect(),
        false => Vec::new(),
    }
}

/// The bundle's absolute path, without symbolic links and `..`.
fn bundle(given: Option<&Path>, host: &Host) -> Result<PathBuf, Error> {
    let failed = |given: &Path, e| Error::io(format_args!("bundle {}", given.display()), &e);
    match given {
        None => std::env::current_dir().map_err(|e| failed(Path::new("."), e)),
        Some(given) if host.has_procfs => real_path(given).map_err(|e| failed(given, e)),
        Some(given) => fs::canonicalize(given).map_err(|e| failed(given, e)),
    }
}

/// realpath(3) of a directory. It would take a readlink(2) for each component; an
/// fd's link in /proc tells the path at once.
fn real_path(directory: &Path) -> io::Result<PathBuf> {
    let file = crate::file::open(directory, OFlags::PATH | OFlags::DIRECTORY)?;
    fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Where to send the terminal's master.
#[derive(Debug)]
pub enum Console {
    /// The process has no terminal.
    None,
    /// Connect to the socket at this path.
    Path(PathBuf),
    /// Use this connected socket.
    Socket(OwnedFd),
}

/// What a process does once only execve is left.
#[derive(Debug)]
pub enum Then<'a> {
    /// It waits for start, for longer than this process lives.
    Wait,
    /// It calls execve at once; this process may wait for its end.
    Go(Option<&'a mut Foreground>),
}

impl Prepared {
    /// Makes the container. If anything fails, guards undo what was made, in reverse
    /// order. If it starts at once, returns the proxy for $NOTIFY_SOCKET too.
    pub fn create(
        mut self,
        global: &Global,
        options: &Options,
        console: Console,
        then: Then<'_>,
    ) -> Result<(Container, Option<Proxy>), Error> {
        let console = console.connect()?;
        let pidfd_socket = options.pidfd_socket.as_deref().map(connect_for_pidfd).transpose()?;
        let devices = Devices::find(&self.plan.net_devices)?;
        let dir = Dir::create(&global.root, &self.id, &self.bytes)?;
        let mut undo = Undo::before(&dir, &mut self.plan)?;
        dir.write_plan(&self.plan)?;
        if self.config.mounts.last().is_some_and(|mount| mount.is_for_notify) {
            sd_notify::make_directory(&dir)?;
        }
        // Before anything can be sent to it.
        let proxy = match then {
            Then::Go(_) => Proxy::open(&dir)?,
            Then::Wait => None,
        };
        let listener = match then {
            Then::Wait => Some(dir.listen()?),
            Then::Go(_) => None,
        };
        let fds = [
            (Lent::Start, listener.as_ref().map(AsFd::as_fd)),
            (Lent::Console, console.as_ref().map(AsFd::as_fd)),
        ];
        let foreground = match &then {
            Then::Go(foreground) => foreground.as_deref(),
            Then::Wait => None,
        };
        let cgroup = self.plan.cgroup.as_ref().map(CgroupPlace::cgroup);
        let (config, watch) = (&self.config, Watch { foreground, cgroup, deadline: None });
        let subject = hooks::Subject { config, id: &self.id, bundle: &self.bundle };
        undo.then(move || subject.poststop(&global.log));
        let mut devices = devices; // As a guard, it gives them back before the undo.
        let run_hooks = |pid| subject.before_pivot(pid, &|| watch.interrupted());
        let ready = launch(&self.plan, &dir.path, &fds, &watch, &mut devices, &run_hooks)?;
        let record = self.record(ready.pid)?;
        dir.write_record(&record)?;
        pidfd_socket.map_or(Ok(()), |socket| send_pidfd(&socket, ready.pid, b"standard"))?;
        write_pid(options.pid_file.as_deref(), ready.pid)?;
        match then {
            Then::Wait => ready.keep(&self.plan)?,
            Then::Go(foreground) => {
                // While startContainer hooks run, the container is not running yet.
                let created = (!config.hooks.start_container.is_empty()).then(|| dir.listen());
                let listener = created.transpose()?;
                go(ready, &self.plan, foreground)?;
                if listener.is_some() {
                    dir.forget_socket();
                }
            }
        }
        devices.forget();
        undo.forget();
        Ok((Container::new(dir, record), proxy))
    }

    fn record(&self, pid: u32) -> Result<Record, Error> {
        debug::said(format_args!("container {} is process {pid}", self.id));
        let rootfs = self.config.rootfs(&self.bundle).unwrap_or_default();
        // `./rootfs` becomes `rootfs`.
        let rootfs = rootfs.components().collect();
        Ok(Record {
            oci_version: self.config.oci_version.clone(),
            id: self.id.clone(),
            pid,
            start_time: Process::read(pid)?.map_or(0, |process| process.start_time),
            bundle: self.bundle.clone(),
            rootfs,
            created: time::now(),
            owner: self.host.uid,
            cgroup: self.plan.cgroup.as_ref().map(|place| place.path.clone()),
            cgroup_root: self
                .plan
                .cgroup
                .as_ref()
                .map(|place| place.root.clone())
                .unwrap_or_default(),
            hierarchy: match &self.plan.cgroup {
                Some(place) if place.hierarchy != Hierarchy::V2 => place.hierarchy.name().into(),
                _ => String::new(),
            },
            scope: self.plan.cgroup.as_ref().map(|place| place.scope.clone()).unwrap_or_default(),
            places: Place::to_texts(&self.plan.places),
            no_new_keyring: self.no_new_keyring,
            chroot: self.plan.items().any(|(_, item, _)| {
                matches!(item, Item::Stage2(Stage2::Rootfs(RootfsItem::Chroot {})))
            }),
            no_process: self.config.process.is_none(),
            has_hooks: self.config.hooks.outlive_create(),
            awaits_agent: !self.plan.has_start_hooks()
                && self.plan.items().any(|(_, item, _)| {
                    matches!(item, Item::Stage2(Stage2::Process(ProcessItem::Courier { .. })))
                }),
            oom: None,
            streams: own_streams(),
            annotations: self.config.annotations.clone(),
            progress: String::new(),
        })
    }
}

/// Connects to the socket for a pidfd.
pub fn connect_for_pidfd(path: &Path) -> Result<OwnedFd, Error> {
    socket::connect_within(path, PATIENCE).map_err(|errno| {
        let what = format_args!("connect to the pidfd socket {}: connect(2)", path.display());
        Error::errno(what, errno)
    })
}

/// Sends a pidfd of a child, with a word for its kind, as runc does.
pub fn send_pidfd(socket: &OwnedFd, pid: u32, kind: &[u8]) -> Result<(), Error> {
    let pid = Pid::from_raw(pid.cast_signed()).ok_or_else(|| Error::new("no pid"))?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty())
        .map_err(|errno| Error::errno("open a pidfd for --pidfd-socket: pidfd_open(2)", errno))?;
    socket::send_with_fd(socket, kind, pidfd.as_fd())
        .map(drop)
        .map_err(|errno| Error::errno("send to the pidfd socket: sendmsg(2)", errno))
}

/// Writes the pid file: the decimal pid and nothing else, as engines parse it.
pub fn write_pid(path: Option<&Path>, pid: u32) -> Result<(), Error> {
    match path {
        Some(path) => write_whole(path, pid.to_string().as_bytes()),
        None => Ok(()),
    }
}

impl Console {
    /// Connects, if there is a socket to connect to.
    pub fn connect(self) -> Result<Option<OwnedFd>, Error> {
        match self {
            Console::None => Ok(None),
            Console::Socket(socket) => Ok(Some(socket)),
            Console::Path(path) => {
                let connected = socket::connect_within(&path, Duration::ZERO);
                connected.map(Some).map_err(|errno| {
                    let path = path.display();
                    let what = format_args!("connect to the console socket {path}: connect(2)");
                    Error::errno(what, errno)
                })
            }
        }
    }
}

/// The console of a container whose terminal another program serves.
pub fn console(config: &Config, options: &Options) -> Result<Console, Error> {
    let terminal = config.process.as_ref().is_some_and(|process| process.terminal);
    console_socket(terminal, options.console_socket.as_deref())
}

/// The same for any process: a terminal needs a socket, and a socket a terminal.
pub fn console_socket(terminal: bool, socket: Option<&Path>) -> Result<Console, Error> {
    match (socket, terminal) {
        (Some(path), true) => Ok(Console::Path(path.to_owned())),
        (None, false) => Ok(Console::None),
        (None, true) => Err(Error::new(
            "cannot allocate tty if vial will detach without setting console socket",
        )
        .hint("use --console-socket PATH, or set process.terminal to false in config.json")),
        (Some(_), false) => {
            Err(Error::new("cannot use console socket if vial will not allocate tty")
                .hint("leave --console-socket out, or set process.terminal to true in config.json"))
        }
    }
}

/// Checks that the fds to preserve are open. Call this before vial opens any fd:
/// it would get the number of one that is missing.
pub fn check_preserved(count: u32) -> Result<(), Error> {
    for number in 3..3_u32.saturating_add(count) {
        let path = format!("/proc/self/fd/{number}");
        if !Path::new(&path).exists() {
            return Err(Error::new(format_args!(
                "--preserve-fds {count}: file descriptor {number} is not open"
            )));
        }
    }
    Ok(())
}

/// The fds that systemd's socket activation passed to this process
/// (sd_listen_fds(3)).
pub fn listen_fds() -> ListenFds {
    let number = |name| std::env::var(name).ok()?.parse::<u32>().ok();
    match number("LISTEN_PID") {
        Some(pid) if pid == std::process::id() => ListenFds {
            count: number("LISTEN_FDS").unwrap_or(0),
            names: std::env::var("LISTEN_FDNAMES").ok(),
        },
        _ => ListenFds::default(),
    }
}
