//! PID 1 of a machine: mounts the usual file systems, sets up / as asked, runs one
//! program, prints its exit code and powers off. With systemd it starts systemd
//! instead, whose last unit runs the program.

use std::ffi::CStr;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};

use rustix::fd::AsFd;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change, mount_move};
use rustix::process::{WaitOptions, wait};
use rustix::system::RebootCommand;
use vial_init::sys::bpf::{DeviceFilters, attach_device_filter, load_device_filter};
use vial_targets::Error;
use vial_targets::command::OnPath;
use vial_tests::cgroups::{CGROUPS, Cgroups};
use vial_tests::{processes, selinux, sys, vm};

use crate::systemd;

/// The usual file systems: path, type, data.
const USUAL: &[(&str, &str, &CStr)] = &[
    ("/proc", "proc", c""),
    ("/sys", "sysfs", c""),
    ("/dev", "devtmpfs", c"mode=755"),
    ("/dev/pts", "devpts", c"mode=620,gid=5,ptmxmode=666"),
    ("/dev/shm", "tmpfs", c"mode=1777"),
    ("/dev/mqueue", "mqueue", c""),
    ("/tmp", "tmpfs", c"mode=1777"),
];

/// Runs as PID 1.
pub(crate) fn be_init() -> ! {
    end(prepare().and_then(|()| run()))
}

/// Runs as the last unit of a machine whose PID 1 is systemd.
pub(crate) fn be_job() -> ! {
    end(run())
}

/// Prints the exit code and powers off.
fn end(ran: Result<i32, Error>) -> ! {
    let code = match ran {
        Ok(code) => code,
        Err(error) => {
            println!("guest: {error}");
            1
        }
    };
    println!("{}{code}", vm::EXIT);
    rustix::fs::sync();
    let off = rustix::system::reboot(RebootCommand::PowerOff);
    println!("guest: reboot(2): {off:?}");
    // The kernel panics when its init exits, and with panic=-1 QEMU then ends.
    std::process::exit(1)
}

fn prepare() -> Result<(), Error> {
    make("/proc")?;
    attach("proc", "/proc", "proc", c"")?;
    let words = fs::read_to_string("/proc/cmdline").on_path("read", Path::new("/proc/cmdline"))?;
    let root = words.split_whitespace().find_map(|word| word.strip_prefix(vm::ROOT));
    load_modules()?;
    match root {
        Some("initramfs") => {}
        Some("systemd") => return systemd::start(),
        Some("host") => {
            make("/host")?;
            make("/memory")?;
            make("/new")?;
            let data = c"trans=virtio,version=9p2000.L,cache=loose,msize=524288,ro";
            attach(vm::HOST_TAG, "/host", "9p", data)?;
            attach("tmpfs", "/memory", "tmpfs", c"mode=755")?;
            make("/memory/upper")?;
            make("/memory/work")?;
            let layers = c"lowerdir=/host,upperdir=/memory/upper,workdir=/memory/work";
            attach("overlay", "/new", "overlay", layers)?;
            enter("/new")?;
        }
        _ => {
            make("/new")?;
            attach("tmpfs", "/new", "tmpfs", c"mode=755")?;
            enter("/new")?;
        }
    }
    for (path, kind, data) in USUAL {
        make(path)?;
        // In the initramfs, /proc is mounted already.
        if *path != "/proc" || root != Some("initramfs") {
            attach(kind, path, kind, data)?;
        }
    }
    let cgroups = words.split_whitespace().find_map(|word| word.strip_prefix(CGROUPS));
    mount_cgroups(cgroups.and_then(Cgroups::by_name).unwrap_or_default())?;
    if words.contains(selinux::WORDS) {
        // As systemd does, before the first process with a label of its own.
        attach("selinuxfs", "/sys/fs/selinux", "selinuxfs", c"")?;
        let policy = Path::new(vm::BINARIES).join(selinux::POLICY);
        let policy = fs::read(&policy).on_path("read", &policy)?;
        let load = Path::new("/sys/fs/selinux/load");
        fs::write(load, policy).on_path("write", load)?;
    }
    // As systemd does, so that mounts propagate as on users' hosts.
    mount_change("/", MountPropagationFlags::SHARED | MountPropagationFlags::REC)
        .map_err(|errno| Error::new(format!("make / shared: {errno}")))?;
    sys::loopback_up().map_err(|error| Error::new(format!("bring lo up: {error}")))
}

/// The hierarchies of cgroup v1, as systemd mounts them.
const V1: &[&CStr] = &[
    c"blkio",
    c"cpu,cpuacct",
    c"cpuset",
    c"devices",
    c"freezer",
    c"hugetlb",
    c"memory",
    c"net_cls,net_prio",
    c"perf_event",
    c"pids",
    c"rdma",
];

/// Mounts cgroups as systemd does. Its options of cgroup2 are the default: weaker ones
/// would hide faults.
fn mount_cgroups(cgroups: Cgroups) -> Result<(), Error> {
    const TOP: &str = "/sys/fs/cgroup";
    const UNIFIED: &str = "/sys/fs/cgroup/unified";
    match cgroups {
        Cgroups::V2 => {
            return attach("cgroup2", TOP, "cgroup2", c"nsdelegate,memory_recursiveprot");
        }
        Cgroups::Undelegated => return attach("cgroup2", TOP, "cgroup2", c""),
        Cgroups::V1 | Cgroups::Hybrid => attach("tmpfs", TOP, "tmpfs", c"mode=755")?,
    }
    for controllers in V1 {
        let name = controllers.to_string_lossy();
        let directory = format!("{TOP}/{name}");
        make(&directory)?;
        if let Err(error) = attach("cgroup", &directory, "cgroup", controllers) {
            println!("guest: {error}"); // This kernel lacks a controller.
            let _ = fs::remove_dir(&directory);
            continue;
        }
        for link in name.split(',').filter(|link| *link != name) {
            let place = format!("{TOP}/{link}");
            std::os::unix::fs::symlink(&*name, &place).on_path("link", Path::new(&place))?;
        }
    }
    let named = "/sys/fs/cgroup/systemd";
    make(named)?;
    attach("cgroup", named, "cgroup", c"none,name=systemd")?;
    if cgroups == Cgroups::Hybrid {
        make(UNIFIED)?;
        attach("cgroup2", UNIFIED, "cgroup2", c"nsdelegate")?;
    }
    Ok(())
}

/// Keeps a device filter attached until the machine powers off, as systemd's services
/// do. The kernel patches its own code when the first filter comes and when the last
/// one goes; an emulated processor hung in an exception then (Linux 5.10).
fn filter_devices() {
    // r0 = 1; exit: allows everything.
    const ALLOW: [u8; 16] = [0xb7, 0, 0, 0, 1, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0];
    let attach = || {
        let tops = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
        let is_v2 = |top: &&Path| top.join("cgroup.subtree_control").exists();
        let Some(top) = tops.into_iter().find(is_v2) else { return Ok(()) };
        let path = &top.join("filtered");
        fs::create_dir(path)?;
        let (cgroup, filter) = (File::open(path)?, load_device_filter(&ALLOW)?);
        attach_device_filter(cgroup.as_fd(), filter.as_fd(), &DeviceFilters::none())
            .map(drop)
            .map_err(std::io::Error::from)
    };
    if let Err(error) = attach() {
        println!("guest: attach a device filter: {error}");
    }
}

/// Copies our binaries to `new` and makes it the root. The root is then a mount of
/// its own and not the initramfs, as pivot_root(2) requires.
pub(super) fn enter(new: &str) -> Result<(), Error> {
    let run = format!("{new}/run");
    make(&run)?;
    attach("tmpfs", &run, "tmpfs", c"mode=755")?;
    let there = format!("{new}{}", vm::BINARIES);
    make(&there)?;
    let entries = fs::read_dir(vm::BINARIES).on_path("read", Path::new(vm::BINARIES))?;
    for entry in entries.flatten() {
        let place = Path::new(&there).join(entry.file_name());
        fs::copy(entry.path(), &place).on_path("write", &place)?;
        // A file of the initramfs occupies memory.
        let _ = fs::remove_file(entry.path());
    }
    std::env::set_current_dir(new).on_path("enter", Path::new(new))?;
    mount_move(".", "/").map_err(|errno| Error::new(format!("move {new} to /: {errno}")))?;
    rustix::process::chroot(".").map_err(|errno| Error::new(format!("chroot: {errno}")))?;
    std::env::set_current_dir("/").on_path("enter", Path::new("/"))
}

/// finit_module(2) for each file, sorted by name.
fn load_modules() -> Result<(), Error> {
    let directory = Path::new("/modules");
    let mut files: Vec<_> = fs::read_dir(directory)
        .on_path("read", directory)?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    files.sort();
    for path in files {
        let file = File::open(&path).on_path("open", &path)?;
        if let Err(errno) = rustix::system::finit_module(&file, c"", 0) {
            // Not every machine has every device; a test that needs it will fail.
            println!("guest: load {}: {errno}", path.display());
        }
        let _ = fs::remove_file(&path); // It occupies memory.
    }
    Ok(())
}

/// Runs the program, and reaps orphans meanwhile.
fn run() -> Result<i32, Error> {
    let read = |name: &str| {
        let path = Path::new(vm::BINARIES).join(name);
        fs::read_to_string(&path).on_path("read", &path)
    };
    let words = read("command")?;
    let mut words = words.lines();
    let program = words.next().unwrap_or("guest");
    if program == "guest" {
        filter_devices(); // Not for measurements, which it would speed up.
    }
    let ours = Path::new(vm::BINARIES).join(program);
    let program = if ours.exists() { ours.as_path() } else { Path::new(program) };
    let mut command = Command::new(program);
    command.args(words).env_clear();
    command.env(
        "PATH",
        format!("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:{}", vm::BINARIES),
    );
    command.envs([("HOME", "/root"), ("TERM", "dumb"), ("VIAL_MACHINE", std::env::consts::ARCH)]);
    command.envs(read("environment")?.lines().filter_map(|line| line.split_once('=')));
    println!("{}", vm::BEGIN);
    let child = command.spawn().on_path("start", program)?;
    let status = wait_for(&child)?;
    processes::reap();
    Ok(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default()))
}

fn wait_for(child: &Child) -> Result<ExitStatus, Error> {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid.as_raw_nonzero().get().cast_unsigned() == child.id() => {
                return Ok(ExitStatus::from_raw(status.as_raw()));
            }
            Ok(_) => {} // An orphan.
            Err(errno) => return Err(Error::new(format!("wait: {errno}"))),
        }
    }
}

pub(super) fn make(path: &str) -> Result<(), Error> {
    fs::create_dir_all(path).on_path("create", Path::new(path))
}

pub(super) fn attach(source: &str, path: &str, kind: &str, data: &CStr) -> Result<(), Error> {
    mount(source, path, kind, MountFlags::empty(), data)
        .map_err(|errno| Error::new(format!("mount {kind} on {path}: {errno}")))
}
