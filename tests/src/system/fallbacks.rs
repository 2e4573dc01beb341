//! Kernels that lack system calls, and seccomp filters around vial that hide them:
//! the probe starts vial under a filter that makes them fail.

use std::process::Command;

use serde_json::{Value, json};

use super::edit::{self, bind, mount};
use crate::bundle::Bundle;
use crate::context::{Done, same};
use crate::runner::topic;
use crate::sys::number;
use crate::{Context, Outcome};

topic!(
    "fallbacks",
    hidden_call_makes_no_difference_to_a_container[Root],
    all_calls_hidden_together_make_no_difference[Root],
    denied_calls_count_as_missing[Root],
    links_lead_nowhere_without_openat2[Root],
    failed_call_of_run_is_reported_and_leaves_nothing[Root],
    failed_call_of_create_is_reported_and_leaves_nothing[Root],
    each_call_of_a_start_fails_once_and_leaves_nothing[Root],
);

/// System calls that are younger than the oldest supported kernel, or that container
/// engines hide.
const HIDDEN: [(&str, libc::c_long); 9] = [
    ("clone3", libc::SYS_clone3),
    ("openat2", libc::SYS_openat2),
    ("mount_setattr", libc::SYS_mount_setattr),
    ("open_tree", libc::SYS_open_tree),
    ("move_mount", libc::SYS_move_mount),
    ("fsopen", libc::SYS_fsopen),
    ("close_range", libc::SYS_close_range),
    ("faccessat2", libc::SYS_faccessat2),
    ("keyctl", libc::SYS_keyctl),
];

/// The calls that a filter may fail with `errno`. EPERM from clone3 or keyctl is the
/// kernel's own answer, for a limit or a quota, which vial must not work around.
pub(super) fn hidden_with(
    errno: i32,
) -> impl Iterator<Item = &'static (&'static str, libc::c_long)> {
    let own = move |name| errno == libc::EPERM && ["clone3", "keyctl"].contains(&name);
    HIDDEN.iter().filter(move |(name, _)| !own(*name))
}

/// Runs `vial VERB` of a bundle, with these calls failing with `errno`.
pub(super) fn without(
    context: &Context,
    calls: &[libc::c_long],
    errno: i32,
    verb: &str,
    bundle: &Bundle,
    id: &str,
) -> Result<Done, String> {
    let mut command = context.command_without(calls, errno, &[verb, "--bundle"]);
    Ok(context.run(command.arg(&bundle.path).arg(id))?)
}

/// A bundle that uses everything that has a fallback.
fn furnished(context: &Context, also: impl FnOnce(&mut Value)) -> Result<Bundle, String> {
    let volume = context.directory.join("volume");
    std::fs::create_dir_all(&volume).map_err(|e| e.to_string())?;
    Ok(context.bundle(|config| {
        bind(config, &volume.to_string_lossy(), "/volume", &["rbind", "ro", "nosuid", "rprivate"]);
        bind(config, "/proc/version", "/etc/file", &["bind"]);
        mount(config, "tmpfs", "tmpfs", "/etc/copied", &["tmpcopyup", "ro"]);
        config["root"]["readonly"] = true.into();
        config["process"]["cwd"] = "/tmp".into();
        also(config);
    })?)
}

/// The parts of a report that must not depend on the kernel's age.
fn what_matters(report: &Value) -> Value {
    let mounts = report["mounts"].as_array().cloned().unwrap_or_default();
    let mounts: Vec<Value> =
        mounts.iter().map(|m| json!([m["point"], m["options"], m["type"]])).collect();
    let fds = report["fds"].as_object().map(serde_json::Map::len);
    json!({
        "mounts": mounts, "fds": fds, "dev": report["dev"], "cwd": report["cwd"],
        "capabilities": report["capabilities"], "hostname": report["hostname"],
        "pid": report["pid"], "sid": report["sid"], "no_new_privs": report["no_new_privs"],
    })
}

fn check(context: &Context, calls: &[libc::c_long], errno: i32, name: &str) -> Result<(), String> {
    let bundle = furnished(context, |_| {})?;
    let plain = what_matters(&edit::report_of(context, &bundle)?);
    let done = without(context, calls, errno, "run", &bundle, &context.id())?;
    let done = done.success().map_err(|why| format!("without {name}: {why}"))?;
    let seen: Value = done.json()?;
    let seen = what_matters(&seen);
    for (field, wanted) in plain.as_object().into_iter().flatten() {
        same(&format!("{field} without {name}"), &seen[field], wanted)?;
    }
    Ok(())
}

fn hidden_call_makes_no_difference_to_a_container(context: &Context) -> Outcome {
    let all = HIDDEN
        .iter()
        .filter_map(|(name, number)| check(context, &[*number], libc::ENOSYS, name).err());
    let failures: Vec<String> = all.collect();
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n").into()) }
}

fn all_calls_hidden_together_make_no_difference(context: &Context) -> Outcome {
    let all: Vec<_> = HIDDEN.iter().map(|(_, number)| *number).collect();
    Ok(check(context, &all, libc::ENOSYS, "all of them")?)
}

fn denied_calls_count_as_missing(context: &Context) -> Outcome {
    // Older engines make calls that their profile does not know fail with EPERM.
    let all = hidden_with(libc::EPERM)
        .filter_map(|(n, call)| check(context, &[*call], libc::EPERM, n).err());
    let failures: Vec<String> = all.collect();
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n").into()) }
}

/// The component walk that replaces openat2 must be as strict.
fn links_lead_nowhere_without_openat2(context: &Context) -> Outcome {
    let outside = context.directory.join("outside");
    std::fs::create_dir(&outside).map_err(|e| e.to_string())?;
    for (at, to, refusal) in [
        ("tmp/link", outside.clone(), None),
        ("tmp/link", std::path::Path::new("../../../../../../../..").join(&outside), None),
        ("tmp/link", "/proc/self/root".into(), Some("mounts[6]")),
        ("dev", outside.clone(), Some("mounts[1]")),
        ("sys", outside.clone(), Some("mounts[5]")),
        ("proc", "tmp".into(), Some("mounts[0]")),
    ] {
        let bundle = context.bundle(|config| {
            mount(config, "tmpfs", "tmpfs", "/tmp/link/a/b", &[]);
            bind(config, "/proc/version", "/tmp/link/file", &["bind"]);
            edit::deeds(config, &["echo", "ran"]);
        })?;
        let place = bundle.rootfs.join(at);
        let _ = std::fs::remove_dir(&place); // ENOENT: there is nothing to replace.
        std::os::unix::fs::symlink(&to, &place).map_err(|e| e.to_string())?;
        let calls = [libc::SYS_openat2];
        let done = without(context, &calls, libc::ENOSYS, "run", &bundle, &context.id())?;
        let names = std::fs::read_dir(&outside).map_err(|e| e.to_string())?.count();
        same(&format!("files outside after {at} led to {}", to.display()), names, 0)?;
        match refusal {
            Some(field) => edit::words_of_refusal(&done, &[field, "ELOOP"])?,
            None => same("what it printed", done.success()?.stdout.as_str(), "ran\n")?,
        }
    }
    Ok(())
}

/// The calls that vial and vial-init make for a container, without those that every
/// program needs to start, to print and to exit, and those that remove things.
const CALLED: &[(&str, libc::c_long)] = &[
    ("bpf", libc::SYS_bpf),
    ("capset", libc::SYS_capset),
    ("chdir", libc::SYS_chdir),
    ("clone3", libc::SYS_clone3),
    ("fchdir", libc::SYS_fchdir),
    ("fchmod", libc::SYS_fchmod),
    ("fchown", number::FCHOWN),
    ("fchownat", libc::SYS_fchownat),
    ("flock", libc::SYS_flock),
    ("fsconfig", libc::SYS_fsconfig),
    ("fsmount", libc::SYS_fsmount),
    ("fsopen", libc::SYS_fsopen),
    ("fstatfs", number::FSTATFS),
    ("getcwd", libc::SYS_getcwd),
    ("keyctl", libc::SYS_keyctl),
    ("memfd_create", libc::SYS_memfd_create),
    ("mkdirat", libc::SYS_mkdirat),
    ("mknodat", libc::SYS_mknodat),
    ("mount", libc::SYS_mount),
    ("mount_setattr", libc::SYS_mount_setattr),
    ("move_mount", libc::SYS_move_mount),
    ("open_tree", libc::SYS_open_tree),
    ("openat2", libc::SYS_openat2),
    ("pidfd_open", libc::SYS_pidfd_open),
    ("pipe2", libc::SYS_pipe2),
    ("pivot_root", libc::SYS_pivot_root),
    ("prctl", libc::SYS_prctl),
    ("prlimit64", libc::SYS_prlimit64),
    ("readlinkat", libc::SYS_readlinkat),
    ("renameat", number::RENAMEAT),
    ("sched_setaffinity", libc::SYS_sched_setaffinity),
    ("sendfile", number::SENDFILE),
    ("setgroups", number::SETGROUPS),
    ("sethostname", libc::SYS_sethostname),
    ("setresgid", number::SETRESGID),
    ("setresuid", number::SETRESUID),
    ("setsid", libc::SYS_setsid),
    ("socket", libc::SYS_socket),
    ("socketpair", libc::SYS_socketpair),
    ("symlinkat", libc::SYS_symlinkat),
    ("umount2", libc::SYS_umount2),
    ("unshare", libc::SYS_unshare),
];

/// Fails each call in each way. The container works, or vial prints one sentence;
/// nothing is ever left behind. Invariant 9.
fn sweep(context: &Context, verb: &str) -> Outcome {
    let bundle = context.probe_bundle(&["echo", "ran"])?;
    same("what it printed", context.run_bundle(&bundle)?.success()?.stdout.as_str(), "ran\n")?;
    let mut failures = Vec::new();
    for (name, number) in CALLED {
        for errno in [libc::EPERM, libc::ENOMEM, libc::EIO] {
            let before = context.leftovers();
            let id = context.id();
            let done = without(context, &[*number], errno, verb, &bundle, &id)?;
            let outcome = match done.code {
                0 if verb == "create" => Ok(()),
                0 => same("what it printed", done.stdout.as_str(), "ran\n"),
                _ => edit::one_sentence(&done),
            };
            if done.code == 0 && verb == "create" {
                context.vial(&["delete", "--force", &id])?.success()?;
            }
            crate::processes::reap();
            let left = context.nothing_left_since(&before);
            for why in [outcome.err(), left.err()].into_iter().flatten() {
                failures.push(format!("{name} answers {errno}: {why}"));
            }
            crate::processes::end_descendants(std::process::id());
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n").into()) }
}

/// The system calls behind a man page's name, where they have other names.
const BY_MAN_PAGE: &[(&str, &[libc::c_long])] = &[
    ("open", &[libc::SYS_openat]),
    ("stat", &[number::FSTATAT, libc::SYS_statx]),
    ("fstat", &[number::FSTAT, number::FSTATAT, libc::SYS_statx]),
    ("fstatat", &[number::FSTATAT, libc::SYS_statx]),
    ("faccessat", &[libc::SYS_faccessat, libc::SYS_faccessat2]),
];

/// The other system calls of vial-init.
const BY_OWN_NAME: &[(&str, libc::c_long)] = &[
    ("accept4", libc::SYS_accept4),
    ("dup3", libc::SYS_dup3),
    ("close_range", libc::SYS_close_range),
    ("execve", libc::SYS_execve),
    ("fcntl", number::FCNTL),
    ("getdents64", libc::SYS_getdents64),
    ("ioctl", libc::SYS_ioctl),
    ("mmap", number::MMAP),
    ("openat", libc::SYS_openat),
    ("read", libc::SYS_read),
    ("recvmsg", libc::SYS_recvmsg),
    ("ioprio_set", libc::SYS_ioprio_set),
    ("personality", libc::SYS_personality),
    ("rt_sigaction", libc::SYS_rt_sigaction),
    ("sched_setattr", libc::SYS_sched_setattr),
    ("set_mempolicy", libc::SYS_set_mempolicy),
    ("seccomp", libc::SYS_seccomp),
    ("sendmsg", libc::SYS_sendmsg),
    ("setdomainname", libc::SYS_setdomainname),
    ("setns", libc::SYS_setns),
    ("waitid", libc::SYS_waitid),
    ("write", libc::SYS_write),
];

/// Checks that an error with EIO names the call that failed.
fn names_the_call(done: &Done, call: &str) -> Result<(), String> {
    let Some((before, _)) = done.stderr.split_once("(2): EIO") else { return Ok(()) };
    let name = before.rsplit([' ', ':']).next().unwrap_or_default();
    let call: libc::c_long = call.trim().parse().map_err(|e| format!("{call:?}: {e}"))?;
    let by_man_page = BY_MAN_PAGE.iter().find(|(known, _)| *known == name);
    let mut by_own_name = CALLED.iter().chain(BY_OWN_NAME);
    let is_it = match by_man_page {
        Some((_, calls)) => calls.contains(&call),
        None => by_own_name.any(|(known, number)| (*known, *number) == (name, call)),
    };
    if is_it {
        Ok(())
    } else {
        Err(format!("the error names {name}(2), but call {call} failed: {done}"))
    }
}

/// Runs a bundle with the `nth` call of vial-init failing with `errno`. Also returns the
/// number of that call as text, or nothing if vial-init made fewer calls.
pub(super) fn failing(
    context: &Context,
    bundle: &Bundle,
    nth: u32,
    errno: i32,
) -> Result<(Done, String), String> {
    let seen = context.directory.join("seen");
    let mut command = Command::new(&context.probe);
    command.arg("fail-nth").arg(&seen).args([&nth.to_string(), &errno.to_string()]);
    command.arg(&context.vial).arg("--root").arg(&context.state).args(["run", "--bundle"]);
    let done = context.run(command.arg(&bundle.path).arg(context.id()))?;
    let call = std::fs::read_to_string(&seen).map_err(|e| format!("{}: {e}", seen.display()))?;
    crate::processes::reap();
    Ok((done, call))
}

/// Fails the first call of vial-init, then the second, until a start has no more calls.
/// Each start works, or vial prints one sentence; nothing is ever left behind.
fn each_call_of_a_start_fails_once_and_leaves_nothing(context: &Context) -> Outcome {
    let bundle = furnished(context, |config| edit::deeds(config, &["echo", "ran"]))?;
    let mut failures = Vec::new();
    let (mut tried, mut refused) = (0, 0);
    // In an emulated machine every third call must do: all of them take minutes.
    let step = if crate::runner::in_machine() { 3 } else { 1 };
    for nth in (1_u32..).step_by(step) {
        let before = context.leftovers();
        let (done, call) = failing(context, &bundle, nth, libc::EIO)?;
        let outcome = match done.code {
            0 => same("what it printed", done.stdout.as_str(), "ran\n"),
            _ => edit::one_sentence(&done).and_then(|()| names_the_call(&done, &call)),
        };
        tried += 1;
        refused += u32::from(done.code != 0);
        let left = context.nothing_left_since(&before);
        for why in [outcome.err(), left.err()].into_iter().flatten() {
            failures.push(format!("call {nth}, which has number {call}, fails: {why}"));
        }
        crate::processes::end_descendants(std::process::id());
        if call.is_empty() {
            // No call failed: vial-init made fewer.
            same("what a complete start printed", done.stdout.as_str(), "ran\n")?;
            break;
        }
    }
    // Half of the calls only close something, or ask for something optional.
    if refused * 3 < tried {
        failures.push(format!("only {refused} of {tried} starts were refused"));
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n").into()) }
}

fn failed_call_of_run_is_reported_and_leaves_nothing(context: &Context) -> Outcome {
    sweep(context, "run")
}

fn failed_call_of_create_is_reported_and_leaves_nothing(context: &Context) -> Outcome {
    sweep(context, "create")
}
