//! A survey for the differential test: the report, and what paths, system calls and
//! settings of the process do when they are tried.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::process::{getpgrp, getsid};
use rustix::termios::{tcgetattr, tcgetpgrp, tcgetsid};
use serde_json::{Map, Value, json};
use vial_tests::sys;

use crate::{deeds, report};

/// The report, these paths, and the fixed set of system calls. Options of prctl(2) and
/// calls come first, because looking at paths opens files.
pub(crate) fn everything(paths: &[&str]) -> Value {
    let report = report::everything();
    let paths = paths.iter().map(|path| ((*path).to_owned(), look(Path::new(path))));
    json!({
        "report": report,
        "prctl": prctl(),
        "signals": signals(),
        "calls": calls(),
        "network": network(),
        "terminal": terminal(),
        "paths": paths.collect::<Map<_, _>>(),
    })
}

/// What a path is, and whether it can be read and written. A file that may hold more
/// than settings shows only that it can be read.
fn look(path: &Path) -> Value {
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) => return json!(sys::errno_name(&error)),
    };
    let (read, write) = if fs::metadata(path).is_ok_and(|target| target.is_dir()) {
        (names(path), make_in(path))
    } else {
        (content(path), open_to_write(path))
    };
    json!({
        "type": deeds::kind(&meta.file_type()),
        "mode": format!("{:04o}", meta.mode() & 0o7777),
        "owner": format!("{}:{}", meta.uid(), meta.gid()),
        "device": report::device(meta.rdev()),
        "read": read,
        "write": write,
    })
}

/// The entries of a directory outside /proc and /sys, where they change.
fn names(path: &Path) -> String {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) => return sys::errno_name(&error),
    };
    let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    let names: Vec<_> = names.iter().map(|name| name.to_string_lossy()).collect();
    match names.len() {
        0 => "nothing".to_owned(),
        _ if path.starts_with("/proc") || path.starts_with("/sys") => "names".to_owned(),
        _ => names.join(" "),
    }
}

/// Whether a directory can be made in this one.
fn make_in(path: &Path) -> String {
    let place = path.join(".probe");
    let made = fs::create_dir(&place);
    let _ = fs::remove_dir(&place); // It fails where creating failed.
    named(made)
}

/// The beginning of a small file of settings.
fn content(path: &Path) -> String {
    let mut bytes = [0; 200];
    let open = OpenOptions::new().read(true).custom_flags(NO_WAIT).open(path);
    match open.and_then(|mut file| read_some(&mut file, &mut bytes)) {
        Ok(0) => "nothing".to_owned(),
        Ok(length) if shows(path) => String::from_utf8_lossy(&bytes[..length]).trim().to_owned(),
        Ok(_) => "bytes".to_owned(),
        Err(error) => sys::errno_name(&error),
    }
}

const NO_WAIT: i32 = libc::O_NONBLOCK | libc::O_NOCTTY;

fn read_some(file: &mut File, bytes: &mut [u8]) -> io::Result<usize> {
    if file.metadata()?.is_dir() { Ok(0) } else { file.read(bytes) }
}

/// Whether a file has the same content in every container of one configuration.
fn shows(path: &Path) -> bool {
    let real = fs::canonicalize(path);
    let path = real.as_deref().unwrap_or(path);
    path.starts_with("/proc/sys") || !["/proc", "/sys", "/dev"].iter().any(|p| path.starts_with(p))
}

fn open_to_write(path: &Path) -> String {
    named(OpenOptions::new().write(true).custom_flags(NO_WAIT).open(path).map(drop))
}

fn named(result: io::Result<()>) -> String {
    result.map_or_else(|error| sys::errno_name(&error), |()| "ok".to_owned())
}

/// Settings that only prctl(2) shows.
fn prctl() -> Value {
    let get = |option: libc::c_int, argument: usize| {
        let option = usize::try_from(option).unwrap_or_default();
        match sys::call(libc::SYS_prctl, [option, argument, 0, 0, 0, 0]) {
            Ok(answer) => answer.to_string(),
            Err(error) => sys::errno_name(&error),
        }
    };
    // linux/prctl.h; libc has it for glibc alone.
    const PR_GET_SPECULATION_CTRL: libc::c_int = 52;
    const STORE_BYPASS: usize = 0;
    json!({
        "dumpable": get(libc::PR_GET_DUMPABLE, 0),
        "keepcaps": get(libc::PR_GET_KEEPCAPS, 0),
        "securebits": get(libc::PR_GET_SECUREBITS, 0),
        "speculation": get(PR_GET_SPECULATION_CTRL, STORE_BYPASS),
        "thp_disable": get(libc::PR_GET_THP_DISABLE, 0),
        "timerslack": get(libc::PR_GET_TIMERSLACK, 0),
    })
}

/// The terminal at stdin: its file, its settings, and whether it is the controlling one and
/// the console. Null if there is none.
fn terminal() -> Value {
    let (stdin, open) = (io::stdin(), |path| File::open(path).and_then(|file| file.metadata()));
    let Ok(modes) = tcgetattr(&stdin) else { return Value::Null };
    let own = fs::metadata("/proc/self/fd/0");
    let is_own = |other: io::Result<fs::Metadata>| match (&own, other) {
        (Ok(own), Ok(other)) => (own.dev(), own.ino()) == (other.dev(), other.ino()),
        _ => false,
    };
    let streams = ["1", "2"].map(|fd| is_own(fs::metadata(format!("/proc/self/fd/{fd}"))));
    json!({
        "name": fs::read_link("/proc/self/fd/0").ok(),
        "device": own.as_ref().ok().map(|own| report::device(own.rdev())),
        "mode": own.as_ref().ok().map(|own| format!("{:04o}", own.mode() & 0o7777)),
        "owner": own.as_ref().ok().map(|own| format!("{}:{}", own.uid(), own.gid())),
        "streams": streams,
        "console": is_own(fs::metadata("/dev/console")),
        "tty": named(open("/dev/tty").map(drop)),
        "size": report::tty_size(),
        "input": modes.input_modes.bits(),
        "output": modes.output_modes.bits(),
        "control": modes.control_modes.bits(),
        "local": modes.local_modes.bits(),
        "foreground": tcgetpgrp(&stdin).ok() == Some(getpgrp()),
        "session": tcgetsid(&stdin).ok() == getsid(None).ok(),
    })
}

/// The addresses and routes of network devices, as procfs shows them. Those that the
/// kernel gives itself come at some time after the start.
fn network() -> Value {
    let words = |line: &str, columns: &[usize]| {
        let words: Vec<&str> = line.split_whitespace().collect();
        columns.iter().filter_map(|place| words.get(*place).copied()).collect::<Vec<_>>().join(" ")
    };
    let lines = |path: &str| deeds::text(path).unwrap_or_default();
    let trie = lines("/proc/self/net/fib_trie");
    let mut local: Vec<&str> = trie
        .lines()
        .zip(trie.lines().skip(1))
        .filter(|(_, below)| below.contains("/32 host LOCAL"))
        .map(|(address, _)| address.trim_start_matches([' ', '|', '-']))
        .collect();
    local.sort_unstable();
    local.dedup();
    let inet6 = lines("/proc/self/net/if_inet6");
    let mut inet6: Vec<String> = inet6
        .lines()
        .filter(|line| !line.starts_with("fe80"))
        .map(|line| words(line, &[5, 0, 2]))
        .collect();
    inet6.sort();
    let routes = lines("/proc/self/net/route");
    let routes: Vec<String> =
        routes.lines().skip(1).map(|line| words(line, &[0, 1, 2, 7])).collect();
    let links = ["lo", "v0", "v1", "net0", "eth0", "eth1"].iter().filter_map(|name| {
        let file = |file| deeds::text(&format!("/sys/class/net/{name}/{file}"));
        let shown = [file("mtu")?, file("address")?, file("flags")?];
        Some(((*name).to_owned(), json!(shown.map(|text| text.trim().to_owned()))))
    });
    json!({
        "inet6": inet6, "local": local, "routes": routes, "links": links.collect::<Map<_, _>>(),
    })
}

/// The masks of signals, by proc_pid_status(5).
fn signals() -> Value {
    json!({
        "blocked": report::status("SigBlk"),
        "ignored": report::status("SigIgn"),
        "pending": report::status("ShdPnd"),
    })
}

/// What each call of the fixed set answers, tried in a child. The arguments are such
/// that no call changes anything outside of the child.
fn calls() -> Map<String, Value> {
    CALLS
        .iter()
        .map(|(name, number, arguments)| {
            let answer = sys::in_child(|| match sys::call(*number, *arguments) {
                Ok(_) => 0,
                Err(error) => error.raw_os_error().unwrap_or(255),
            });
            ((*name).to_owned(), json!(answer.unwrap_or_else(|error| sys::errno_name(&error))))
        })
        .collect()
}

/// Name, number and arguments. `-1` as a pointer answers EFAULT.
const CALLS: &[(&str, libc::c_long, [usize; 6])] = &[
    ("acct", libc::SYS_acct, [BAD, 0, 0, 0, 0, 0]),
    ("add_key", libc::SYS_add_key, [BAD, BAD, 0, 0, 0, 0]),
    ("bpf", libc::SYS_bpf, [9999, 0, 0, 0, 0, 0]),
    ("chroot", libc::SYS_chroot, [BAD, 0, 0, 0, 0, 0]),
    ("init_module", libc::SYS_init_module, [BAD, 1, BAD, 0, 0, 0]),
    ("ioprio_set", libc::SYS_ioprio_set, [9, 0, 0, 0, 0, 0]),
    ("mkdirat", libc::SYS_mkdirat, [0, BAD, 0o777, 0, 0, 0]),
    ("mount", libc::SYS_mount, [BAD, BAD, BAD, 0, 0, 0]),
    ("perf_event_open", libc::SYS_perf_event_open, [BAD, 0, 0, 0, 0, 0]),
    ("personality", libc::SYS_personality, [0xffff_ffff, 0, 0, 0, 0, 0]),
    ("personality(8)", libc::SYS_personality, [8, 0, 0, 0, 0, 0]),
    ("ptrace", libc::SYS_ptrace, [9999, 0, 0, 0, 0, 0]),
    ("quotactl", libc::SYS_quotactl, [BAD, 0, 0, 0, 0, 0]),
    ("sched_setscheduler", libc::SYS_sched_setscheduler, [0, 99, BAD, 0, 0, 0]),
    ("sethostname", libc::SYS_sethostname, [BAD, 9999, 0, 0, 0, 0]),
    ("socket(inet)", libc::SYS_socket, [2, 1, 0, 0, 0, 0]),
    ("socket(packet)", libc::SYS_socket, [17, 3, 0, 0, 0, 0]),
    ("socket(vsock)", libc::SYS_socket, [40, 1, 0, 0, 0, 0]),
    ("swapon", libc::SYS_swapon, [BAD, 0, 0, 0, 0, 0]),
    ("symlinkat", libc::SYS_symlinkat, [BAD, 0, BAD, 0, 0, 0]),
    ("sync", libc::SYS_sync, [0; 6]),
    ("umount2", libc::SYS_umount2, [BAD, 0, 0, 0, 0, 0]),
    ("unshare(user)", libc::SYS_unshare, [0x1000_0000, 0, 0, 0, 0, 0]),
    ("unshare(uts)", libc::SYS_unshare, [0x0400_0000, 0, 0, 0, 0, 0]),
];

/// An address that no process has.
const BAD: usize = usize::MAX;
