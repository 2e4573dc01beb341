//! The probe's report in JSON. Values are the kernel's own words where it has
//! some, so that tests can compare them with the man pages.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use rustix::process::{Resource, getgroups, getrlimit};
use serde_json::{Map, Value, json};
use vial_tests::sys;

use crate::deeds::{kind, text};

/// The whole report.
pub(crate) fn everything() -> Value {
    json!({
        "pid": std::process::id(),
        "ppid": status("PPid").and_then(|value| value.parse::<u64>().ok()),
        "sid": session(),
        "args": strings(std::env::args_os()),
        "env": environment(),
        "environ": environ(),
        "cwd": std::env::current_dir().ok(),
        "hostname": kernel("hostname"),
        "domainname": kernel("domainname"),
        "uid": rustix::process::getuid().as_raw(),
        "gid": rustix::process::getgid().as_raw(),
        "groups": groups(),
        "umask": status("Umask"),
        "capabilities": capabilities(),
        "no_new_privs": status("NoNewPrivs"),
        "seccomp": status("Seccomp"),
        "seccomp_filters": status("Seccomp_filters"),
        "namespaces": namespaces(),
        "uid_map": text("/proc/self/uid_map"),
        "gid_map": text("/proc/self/gid_map"),
        "setgroups": text("/proc/self/setgroups"),
        "timens_offsets": text("/proc/self/timens_offsets"),
        "mounts": mounts(),
        "rlimits": rlimits(),
        "oom_score_adj": trimmed("/proc/self/oom_score_adj"),
        "affinity": status("Cpus_allowed_list"),
        "scheduler": scheduler(),
        "apparmor": trimmed("/proc/self/attr/current"),
        "cgroup": trimmed("/proc/self/cgroup"),
        "cgroup_files": cgroup_files(),
        "fds": fds(),
        "stdin": { "tty": is_tty(), "size": tty_size() },
        "dev": devices(),
        "session_keyring": keyring(),
        "loopback": trimmed("/sys/class/net/lo/flags"),
        "interfaces": interfaces(),
        "personality": trimmed("/proc/self/personality"),
        "memory": { "rss": status("VmRSS"), "peak": status("VmHWM") },
    })
}

/// getsid(2). rustix's own wrapper asserts that it is not 0, which it is for PID 1 of a
/// machine.
fn session() -> Option<libc::c_long> {
    sys::call(libc::SYS_getsid, [0; 6]).ok()
}

/// A field of proc_pid_status(5).
pub(crate) fn status(field: &str) -> Option<String> {
    let all = text("/proc/self/status")?;
    let line = all.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(line.trim().to_owned())
}

fn trimmed(path: &str) -> Option<String> {
    text(path).map(|text| text.trim_end_matches(['\n', '\0']).to_owned())
}

fn kernel(name: &str) -> Option<String> {
    // By uname(2), as /proc may not be mounted.
    let names = rustix::system::uname();
    let name = if name == "hostname" { names.nodename() } else { names.domainname() };
    Some(name.to_string_lossy().into_owned())
}

fn strings(list: impl Iterator<Item = std::ffi::OsString>) -> Vec<String> {
    list.map(|text| text.to_string_lossy().into_owned()).collect()
}

/// The environment as execve(2) got it, in order.
fn environ() -> Vec<String> {
    let whole = text("/proc/self/environ").unwrap_or_default();
    whole.split_terminator('\0').map(str::to_owned).collect()
}

fn environment() -> Map<String, Value> {
    std::env::vars_os()
        .map(|(name, value)| {
            (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned().into())
        })
        .collect()
}

fn groups() -> Option<Vec<u32>> {
    Some(getgroups().ok()?.iter().map(|group| group.as_raw()).collect())
}

fn capabilities() -> Map<String, Value> {
    ["Inh", "Prm", "Eff", "Bnd", "Amb"]
        .iter()
        .map(|set| (format!("Cap{set}"), json!(status(&format!("Cap{set}")))))
        .collect()
}

fn namespaces() -> Map<String, Value> {
    ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"]
        .iter()
        .map(|name| {
            let link = fs::read_link(format!("/proc/self/ns/{name}")).ok();
            ((*name).to_owned(), json!(link))
        })
        .collect()
}

/// The lines of proc_pid_mountinfo(5), in order.
fn mounts() -> Vec<Value> {
    let all = text("/proc/self/mountinfo").unwrap_or_default();
    all.lines().filter_map(mount).collect()
}

fn mount(line: &str) -> Option<Value> {
    let (front, back) = line.split_once(" - ")?;
    let front: Vec<&str> = front.split(' ').collect();
    let back: Vec<&str> = back.splitn(3, ' ').collect();
    Some(json!({
        "device": front.get(2)?,
        "root": front.get(3)?,
        "point": front.get(4)?,
        "options": front.get(5)?.split(',').collect::<Vec<_>>(),
        "propagation": front.get(6..)?,
        "type": back.first()?,
        "source": back.get(1)?,
        "super": back.get(2)?.split(',').collect::<Vec<_>>(),
    }))
}

fn rlimits() -> Map<String, Value> {
    const ALL: [(&str, Resource); 16] = [
        ("AS", Resource::As),
        ("CORE", Resource::Core),
        ("CPU", Resource::Cpu),
        ("DATA", Resource::Data),
        ("FSIZE", Resource::Fsize),
        ("LOCKS", Resource::Locks),
        ("MEMLOCK", Resource::Memlock),
        ("MSGQUEUE", Resource::Msgqueue),
        ("NICE", Resource::Nice),
        ("NOFILE", Resource::Nofile),
        ("NPROC", Resource::Nproc),
        ("RSS", Resource::Rss),
        ("RTPRIO", Resource::Rtprio),
        ("RTTIME", Resource::Rttime),
        ("SIGPENDING", Resource::Sigpending),
        ("STACK", Resource::Stack),
    ];
    // RLIM_INFINITY becomes None, and null in JSON.
    ALL.iter()
        .map(|(name, resource)| {
            let limit = getrlimit(*resource);
            (format!("RLIMIT_{name}"), json!({ "soft": limit.current, "hard": limit.maximum }))
        })
        .collect()
}

/// Nice value, real-time priority and policy, by proc_pid_stat(5).
/// ioprio_get(2)
fn io_priority() -> Option<libc::c_long> {
    const WHO_PROCESS: usize = 1;
    sys::call(libc::SYS_ioprio_get, [WHO_PROCESS, 0, 0, 0, 0, 0]).ok()
}

/// get_mempolicy(2): the mode and the mask of the first 64 nodes.
fn memory_policy() -> Option<Value> {
    let (mut mode, mut nodes) = (0_i32, [0_u64; 16]);
    let (at, list) = ((&raw mut mode).expose_provenance(), nodes.as_mut_ptr().expose_provenance());
    sys::call(libc::SYS_get_mempolicy, [at, list, 1024, 0, 0, 0]).ok()?;
    Some(json!([mode, nodes[0]]))
}

fn scheduler() -> Option<Value> {
    let stat = text("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let number = |place: usize| fields.get(place)?.parse::<i64>().ok();
    Some(json!({
        "nice": number(16), "priority": number(37), "policy": number(38),
        "io_priority": io_priority(), "memory_policy": memory_policy(),
    }))
}

/// Limits in the root of the cgroup tree that the container sees.
fn cgroup_files() -> Map<String, Value> {
    const FILES: [&str; 13] = [
        "cgroup.controllers",
        "cgroup.freeze",
        "cpu.max",
        "cpu.weight",
        "cpuset.cpus",
        "io.bfq.weight",
        "io.max",
        "io.weight",
        "memory.high",
        "memory.low",
        "memory.max",
        "memory.swap.max",
        "pids.max",
    ];
    FILES
        .iter()
        .filter_map(|file| {
            Some(((*file).to_owned(), json!(trimmed(&format!("/sys/fs/cgroup/{file}"))?)))
        })
        .collect()
}

/// The open fds and what they refer to, without the one of this listing.
pub(crate) fn fds() -> Value {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else {
        return Value::Null;
    };
    entries
        .flatten()
        .filter_map(|entry| {
            let link = fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned();
            let own = link.ends_with("/fd") && link.starts_with("/proc/");
            (!own).then(|| (entry.file_name().to_string_lossy().into_owned(), json!(link)))
        })
        .collect::<Map<_, _>>()
        .into()
}

fn is_tty() -> bool {
    rustix::termios::isatty(std::io::stdin().as_fd())
}

/// "COLUMNSxROWS" of the terminal at stdin; empty if it is no terminal.
pub(crate) fn tty_size() -> String {
    rustix::termios::tcgetwinsize(std::io::stdin().as_fd())
        .map(|size| format!("{}x{}", size.ws_col, size.ws_row))
        .unwrap_or_default()
}

/// "major:minor".
pub(crate) fn device(number: u64) -> String {
    format!("{}:{}", rustix::fs::major(number), rustix::fs::minor(number))
}

/// The entries of /dev: type, device numbers, mode, owner and link target.
fn devices() -> Map<String, Value> {
    let Ok(entries) = fs::read_dir("/dev") else {
        return Map::new();
    };
    entries
        .flatten()
        .filter_map(|entry| {
            let meta = entry.metadata().ok()?;
            let seen = json!({
                "type": kind(&meta.file_type()),
                "device": device(meta.rdev()),
                "mode": format!("{:04o}", meta.mode() & 0o7777),
                "uid": meta.uid(),
                "gid": meta.gid(),
                "link": fs::read_link(entry.path()).ok(),
            });
            Some((entry.file_name().to_string_lossy().into_owned(), seen))
        })
        .collect()
}

fn keyring() -> Value {
    match sys::session_keyring() {
        Ok(id) => {
            let text = sys::describe_key(id).unwrap_or_default();
            let mut fields = text.split(';').skip(3);
            json!({ "id": id, "permissions": fields.next(), "name": fields.next() })
        }
        Err(error) => json!({ "error": sys::errno_name(&error) }),
    }
}

fn interfaces() -> Option<Vec<String>> {
    let all = text("/proc/self/net/dev")?;
    let names = all.lines().filter_map(|line| line.split_once(':'));
    Some(names.map(|(name, _)| name.trim().to_owned()).collect())
}
