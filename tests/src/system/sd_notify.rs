//! $NOTIFY_SOCKET of the caller: what a container says there reaches the host, if a
//! container may say it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::container::{self, Container, nothing_left, refused, wait_until, words};
use super::edit;
use crate::context::{Done, same};
use crate::notify_host::NotifyHost;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "sd_notify",
    ready_reaches_the_host_with_the_main_pid [Root],
    start_waits_until_the_container_is_ready [Root],
    start_waits_for_the_barrier [Root],
    end_before_ready_ends_start [Root],
    end_is_seen_without_pidfds [Root],
    deleted_container_ends_start [Root],
    any_user_of_a_user_namespace_may_be_ready [Root, UserNamespaces],
    addresses_may_be_long_or_abstract [Root],
    only_harmless_lines_reach_the_host [Root],
    fds_are_closed [Root],
    flood_does_not_hang_start [Root],
    run_passes_on_what_comes_later [Root],
    detached_run_waits_until_ready [Root],
    last_words_reach_the_host [Root],
    container_sees_only_its_own_socket [Root],
    without_a_socket_of_the_caller_nothing_changes [Root],
    addresses_that_cannot_work_are_refused [Root],
    without_a_mount_namespace_it_is_refused [Root],
    failed_create_leaves_nothing [Root],
);

const AT: &str = "/run/notify/notify.sock";

/// A host's listener, and its address.
fn host(context: &Context) -> Result<(NotifyHost, PathBuf), String> {
    host_with(context, Duration::ZERO)
}

fn host_with(context: &Context, patience: Duration) -> Result<(NotifyHost, PathBuf), String> {
    let path = context.directory.join(format!("n{}", context.id().get(60..).unwrap_or_default()));
    Ok((NotifyHost::at(&path, patience).map_err(words)?, path))
}

/// A created container with this $NOTIFY_SOCKET.
fn created<'a>(
    context: &'a Context,
    address: &Path,
    deeds: &[&str],
    also: impl FnOnce(&mut Value),
) -> Result<Container<'a>, String> {
    let container = Container::prepared_from(context, |config| {
        edit::deeds(config, deeds);
        also(config);
    })?;
    let mut create = container.command("create");
    container::run_into(context, create.env("NOTIFY_SOCKET", address), &container.out)?
        .success()?;
    Ok(container)
}

/// A `vial start` with this $NOTIFY_SOCKET.
fn start(container: &Container<'_>, address: &Path) -> Command {
    let mut command = container.context.command(&["start", &container.id]);
    command.env("NOTIFY_SOCKET", address);
    command
}

/// The messages that the host gets from `create` and `start` of a container.
fn told(context: &Context, deeds: &[&str]) -> Result<(u64, Vec<String>), String> {
    let (host, address) = host(context)?;
    let all: Vec<&str> = deeds.iter().copied().chain(["+", "sleep", "60"]).collect();
    let container = created(context, &address, &all, |_| {})?;
    context.run(&mut start(&container, &address))?.success()?;
    let pid = container.pid()?;
    container.remove()?;
    Ok((pid, host.seen()))
}

fn ready_reaches_the_host_with_the_main_pid(context: &Context) -> Outcome {
    let before = context.leftovers();
    let (pid, seen) = told(context, &["notify", "READY=1"])?;
    same("the messages", seen, vec![ready(pid), BARRIER.into()])?;
    Ok(nothing_left(context, &before)?)
}

const BARRIER: &str = "BARRIER=1 and 1 fds";

fn ready(pid: u64) -> String {
    format!("READY=1\nMAINPID={pid}\n")
}

fn start_waits_until_the_container_is_ready(context: &Context) -> Outcome {
    let (host, address) = host(context)?;
    let deeds = ["await", "/tmp/go", "+", "notify", "READY=1", "+", "sleep", "60"];
    let container = created(context, &address, &deeds, |_| {})?;
    let mut waits = container::start(&mut start(&container, &address))?;
    wait_until("the container to run", || container.status().is_ok_and(|s| s == "running"))?;
    same("the early messages", host.seen(), Vec::<String>::new())?;
    same("the early end of start", waits.try_wait().map_err(words)?, None)?;
    // exec takes the lock, so start must have released it.
    container.vial("exec", &["/probe", "create", "/tmp/go", ""])?.success()?;
    same("how start ended", waits.wait().map_err(words)?.code(), Some(0))?;
    same("the messages", host.seen().len(), 2)?;
    Ok(container.remove()?)
}

fn start_waits_for_the_barrier(context: &Context) -> Outcome {
    let patience = Duration::from_millis(700);
    let (_host, address) = host_with(context, patience)?;
    let container = created(context, &address, &["notify", "READY=1", "+", "sleep", "60"], |_| {})?;
    let began = Instant::now();
    context.run(&mut start(&container, &address))?.success()?;
    same("whether start took so long", began.elapsed() >= patience, true)?;
    Ok(container.remove()?)
}

/// Runs `start` with a log, and returns how it ended and what it logged.
fn logged(container: &Container<'_>, address: &Path) -> Result<(Done, String), String> {
    let log = container.context.directory.join(format!("log-{}", container.id));
    let mut command = container.context.command(&["--log"]);
    command.arg(&log).args(["start", &container.id]).env("NOTIFY_SOCKET", address);
    let done = container.context.run(&mut command)?;
    Ok((done, fs::read_to_string(&log).unwrap_or_default()))
}

fn end_before_ready_ends_start(context: &Context) -> Outcome {
    let before = context.leftovers();
    let (host, address) = host(context)?;
    let container = created(context, &address, &["sleep", "1", "+", "exit", "3"], |_| {})?;
    let (done, log) = logged(&container, &address)?;
    done.success()?;
    let has = log.contains("the container's process has ended before it was ready");
    same(&format!("whether {log:?} says so"), has, true)?;
    same("the messages", host.seen(), Vec::<String>::new())?;
    container.remove()?;
    Ok(nothing_left(context, &before)?)
}

fn end_is_seen_without_pidfds(context: &Context) -> Outcome {
    let without = context.hiding(libc::ENOSYS, &[libc::SYS_pidfd_open])?;
    let (_host, address) = host(&without)?;
    let container = created(&without, &address, &["sleep", "1"], |_| {})?;
    let (done, log) = logged(&container, &address)?;
    done.success()?;
    let has = log.contains("has ended before it was ready");
    same(&format!("whether {log:?} says so"), has, true)?;
    Ok(container.remove()?)
}

fn deleted_container_ends_start(context: &Context) -> Outcome {
    let before = context.leftovers();
    let (_host, address) = host(context)?;
    let container = created(context, &address, &["sleep", "60"], |_| {})?;
    let mut waits = container::start(&mut start(&container, &address))?;
    wait_until("the container to run", || container.status().is_ok_and(|s| s == "running"))?;
    container.remove()?;
    same("how start ended", waits.wait().map_err(words)?.code(), Some(0))?;
    Ok(nothing_left(context, &before)?)
}

fn any_user_of_a_user_namespace_may_be_ready(context: &Context) -> Outcome {
    for uid in [0, 1000] {
        let (host, address) = host(context)?;
        let deeds = ["notify", "READY=1", "+", "sleep", "60"];
        let container = created(context, &address, &deeds, |config| {
            edit::user_namespace(config, 100_000);
            // The rootfs belongs to the host's root, so only a tmpfs can hold the mount.
            edit::mount(config, "tmpfs", "tmpfs", "/run", &[]);
            config["process"]["user"] = json!({ "uid": uid, "gid": uid });
        })?;
        context.run(&mut start(&container, &address))?.success()?;
        same("the messages", host.seen().first(), Some(&ready(container.pid()?)))?;
        container.remove()?;
    }
    Ok(())
}

fn addresses_may_be_long_or_abstract(context: &Context) -> Outcome {
    let deep = context.directory.join("long".repeat(40));
    fs::create_dir(&deep).map_err(words)?;
    let file = fs::File::open(&deep).map_err(words)?;
    let fd = std::os::fd::AsRawFd::as_raw_fd(&file);
    let through = PathBuf::from(format!("/proc/self/fd/{fd}/n"));
    let name = format!("vial-test-{}", context.id());
    let hosts = [
        (NotifyHost::at(&through, Duration::ZERO).map_err(words)?, deep.join("n")),
        (NotifyHost::abstract_at(&name).map_err(words)?, format!("@{name}").into()),
    ];
    for (host, address) in hosts {
        let deeds = ["notify", "READY=1", "+", "sleep", "60"];
        let container = created(context, &address, &deeds, |_| {})?;
        context.run(&mut start(&container, &address))?.success()?;
        same("the messages", host.seen().first(), Some(&ready(container.pid()?)))?;
        container.remove()?;
    }
    Ok(())
}

fn only_harmless_lines_reach_the_host(context: &Context) -> Outcome {
    let deeds = [
        "notify",
        "MAINPID=1",
        "NOTIFYACCESS=all",
        "WATCHDOG_USEC=1\\nFDSTORE=1\\nERRNO=2",
        "READY=2",
        "\\xff\\xff",
        "",
        "\\n\\n",
        "*5000",
        "*200000",
        "STATUS=half\\nMAINPID=1\\nSTOPPING=1\\nREADY=",
        "STATUS=whole\\nMAINPID=1\\nREADY=1\\nBARRIER=1",
    ];
    let (pid, seen) = told(context, &deeds)?;
    let wanted = ["STATUS=half\nSTOPPING=1\n", &format!("STATUS=whole\n{}", ready(pid)), BARRIER];
    Ok(same("the messages", seen, wanted.map(str::to_owned).to_vec())?)
}

fn fds_are_closed(context: &Context) -> Outcome {
    let (_host, address) = host(context)?;
    let deeds = ["notify-with-fd", "BARRIER=1", "+", "notify", "READY=1", "+", "sleep", "60"];
    let container = created(context, &address, &deeds, |_| {})?;
    context.run(&mut start(&container, &address))?.success()?;
    same("what it printed", container.printed(1)?.as_str(), "the fd was closed\n")?;
    Ok(container.remove()?)
}

/// The container sends for a second while nobody reads on the host, then it ends.
fn flood_does_not_hang_start(context: &Context) -> Outcome {
    let path = context.directory.join("n");
    let _deaf = std::os::unix::net::UnixDatagram::bind(&path).map_err(words)?;
    let container = created(context, &path, &["notify-for-a-second"], |_| {})?;
    let began = Instant::now();
    let (done, log) = logged(&container, &path)?;
    done.success()?;
    let has = log.contains("ended before it was ready");
    same(&format!("whether {log:?} says so"), has, true)?;
    same("whether it took long", began.elapsed() > Duration::from_secs(15), false)?;
    Ok(container.remove()?)
}

/// A `vial run` with this $NOTIFY_SOCKET.
fn run(container: &Container<'_>, address: &Path, options: &[&str]) -> Command {
    let mut command = container.command("run");
    command.args(options).env("NOTIFY_SOCKET", address);
    command
}

fn run_passes_on_what_comes_later(context: &Context) -> Outcome {
    let (host, address) = host(context)?;
    let hold = ["hold-signals", "+", "notify"]; // A signal may come right after the messages.
    let deeds = ["STATUS=a", "READY=1", "STATUS=b", "RELOADING=1\\nMONOTONIC_USEC=7"];
    let rest = ["READY=1", "WATCHDOG=1", "MAINPID=1", "+", "signals"];
    let container = Container::prepared(context, &[&hold[..], &deeds, &rest].concat())?;
    let mut runs = container::start(&mut run(&container, &address, &[]))?;
    wait_until("the messages", || host.seen().len() >= 6)?;
    let own = ready(u64::from(runs.id()));
    let wanted =
        ["STATUS=a\n", &own, "STATUS=b\n", "RELOADING=1\nMONOTONIC_USEC=7\n", &own, "WATCHDOG=1\n"];
    same("the messages", host.seen(), wanted.map(str::to_owned).to_vec())?;
    // Signals are still passed on.
    let began = Instant::now();
    container::send(u64::from(runs.id()), Signal::TERM)?;
    same("how run ended", runs.wait().map_err(words)?.code(), Some(0))?;
    Ok(same("whether it took long", began.elapsed() > Duration::from_secs(10), false)?)
}

fn detached_run_waits_until_ready(context: &Context) -> Outcome {
    let (host, address) = host(context)?;
    let deeds = ["sleep", "1", "+", "notify", "READY=1", "+", "sleep", "60"];
    let container = Container::prepared(context, &deeds)?;
    let began = Instant::now();
    context.run(&mut run(&container, &address, &["--detach"]))?.success()?;
    same("whether it took 1 s", began.elapsed() >= Duration::from_secs(1), true)?;
    same("the messages", host.seen(), vec![ready(container.pid()?), BARRIER.into()])?;
    Ok(container.remove()?)
}

fn last_words_reach_the_host(context: &Context) -> Outcome {
    let before = context.leftovers();
    let (host, address) = host(context)?;
    let container = Container::prepared(context, &["notify", "STOPPING=1", "+", "exit", "5"])?;
    let done = context.run(&mut run(&container, &address, &[]))?;
    same("how run ended", done.code, 5)?;
    same("the messages", host.seen(), vec!["STOPPING=1\n".to_owned(), BARRIER.into()])?;
    Ok(nothing_left(context, &before)?)
}

/// The report of a container that `run` makes with this $NOTIFY_SOCKET.
fn report(
    context: &Context,
    address: &Path,
    edit: impl FnOnce(&mut Value),
) -> Result<Value, String> {
    let container = Container::prepared_from(context, edit)?;
    context.run(&mut run(&container, address, &[]))?.success()?.json()
}

fn container_sees_only_its_own_socket(context: &Context) -> Outcome {
    let (_host, address) = host(context)?;
    let seen = report(context, &address, |config| {
        edit::add(&mut config["process"]["env"], json!("NOTIFY_SOCKET=/of/the/image"));
    })?;
    same("the variable", seen["env"]["NOTIFY_SOCKET"].as_str(), Some(AT))?;
    let mount = edit::mount_at(&seen, "/run/notify")?;
    for option in ["ro", "nosuid", "nodev", "noexec"] {
        same(option, edit::has(&mount["options"], option), true)?;
    }
    let deeds = ["notify", "READY=1", "+", "sleep", "60"];
    let container = created(context, &address, &deeds, |_| {})?;
    context.run(&mut start(&container, &address))?.success()?;
    let done = container.vial("exec", &["/probe", "report"])?.success()?.json()?;
    same("an exec's variable", &done["env"]["NOTIFY_SOCKET"], &Value::Null)?;
    for (path, mode) in [("/run/notify", "0755"), (AT, "0777")] {
        let done = container.vial("exec", &["/probe", "stat", path])?.success()?.json()?;
        same(path, done["mode"].as_str(), Some(mode))?;
    }
    Ok(container.remove()?)
}

fn without_a_socket_of_the_caller_nothing_changes(context: &Context) -> Outcome {
    let seen = report(context, Path::new(""), |config| {
        edit::add(&mut config["process"]["env"], json!("NOTIFY_SOCKET=/of/the/image"));
    })?;
    same("the variable", seen["env"]["NOTIFY_SOCKET"].as_str(), Some("/of/the/image"))?;
    same("the mount", edit::mount_at(&seen, "/run/notify").is_err(), true)?;
    // A daemon with a socket starts a container that was created without one.
    let (host, address) = host(context)?;
    let container = Container::created(context, &["sleep", "60"])?;
    context.run(&mut start(&container, &address))?.success()?;
    same("the messages", host.seen(), Vec::<String>::new())?;
    Ok(container.remove()?)
}

fn addresses_that_cannot_work_are_refused(context: &Context) -> Outcome {
    let before = context.leftovers();
    for address in ["relative", "vsock:2:1", "@", "/"] {
        let container = Container::prepared(context, &["exit", "0"])?;
        let done = context.run(&mut run(&container, Path::new(address), &[]))?;
        refused(&done, &format!("NOTIFY_SOCKET \"{address}\" is neither"))?;
    }
    let missing = context.directory.join("nobody");
    let container = Container::prepared(context, &["exit", "0"])?;
    let done = context.run(&mut run(&container, &missing, &[]))?;
    refused(&done, "connect(2): ENOENT")?;
    nothing_left(context, &before)?;
    let container = created(context, &missing, &["sleep", "60"], |_| {})?;
    let done = context.run(&mut start(&container, &missing))?;
    refused(&done, "connect(2): ENOENT")?;
    container.is("created")?;
    // A later start may do better.
    container.vial("start", &[])?.success()?;
    Ok(container.remove()?)
}

fn without_a_mount_namespace_it_is_refused(context: &Context) -> Outcome {
    let (_host, address) = host(context)?;
    let container = Container::prepared_from(context, |config| {
        edit::without_namespace(config, "mount");
        config["mounts"] = json!([]);
        config["root"]["readonly"] = json!(false);
        for field in ["maskedPaths", "readonlyPaths"] {
            config["linux"][field] = json!([]);
        }
    })?;
    let done = context.run(&mut run(&container, &address, &[]))?;
    Ok(refused(&done, "NOTIFY_SOCKET asks for needs a mount namespace")?)
}

fn failed_create_leaves_nothing(context: &Context) -> Outcome {
    let before = context.leftovers();
    let (_host, address) = host(context)?;
    for says in ["/missing", "/run/notify"] {
        for verb in ["create", "run"] {
            let container = Container::prepared_from(context, |config| {
                config["process"]["args"] = json!(["/missing"]);
            })?;
            if says == "/run/notify" {
                let run = container.bundle.rootfs.join("run");
                fs::remove_dir(&run).and_then(|()| fs::write(&run, "")).map_err(words)?;
            }
            let done = context.run(container.command(verb).env("NOTIFY_SOCKET", &address))?;
            refused(&done, says)?;
            same("a field that is not there", done.stderr.contains("mounts["), false)?;
        }
    }
    Ok(nothing_left(context, &before)?)
}
