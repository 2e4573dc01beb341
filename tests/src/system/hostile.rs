//! Containers and images that use names, files and cgroups to hide from vial, or to
//! make it hang.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, mkdirat, openat};

use super::container::{Container, cgroup_of, refused, wait_until, words};
use super::edit;
use super::fallbacks::without;
use crate::context::same;
use crate::runner::topic;
use crate::{Context, Outcome};

topic!(
    "hostile",
    odd_process_name_does_not_hide_a_container[Root],
    exited_main_thread_does_not_hide_a_container[Root],
    unreadable_process_is_not_taken_for_dead[Root],
    process_that_reuses_the_pid_is_left_alone[Root],
    ps_escapes_control_characters[Root],
    huge_passwd_is_not_read_whole[Root],
    passwd_is_read_through_links_but_only_from_files[Root],
    home_does_not_come_from_procfs[Root],
    deeply_nested_cgroups_are_listed_and_removed[Root],
    cgroups_may_have_any_name[Root],
);

/// Checks that every verb sees the container running, and removes it.
fn lives(container: Container<'_>) -> Outcome {
    container.is("running")?;
    container.vial("exec", &["/probe", "exit", "0"])?.success()?;
    refused(&container.vial("delete", &[])?, "that is not stopped: running")?;
    container.vial("kill", &["0"])?.success()?;
    Ok(container.remove()?)
}

fn odd_process_name_does_not_hide_a_container(context: &Context) -> Outcome {
    let before = context.leftovers();
    // The kernel cuts a name after 15 bytes, here in the middle of a letter.
    let cut = "aaaaaaaaaaaaaa\u{e9}";
    let by_file = Container::prepared_from(context, |config| {
        config["process"]["args"] = serde_json::json!([format!("/{cut}"), "sleep", "3600"]);
    })?;
    let rootfs = &by_file.bundle.rootfs;
    fs::rename(rootfs.join("probe"), rootfs.join(cut)).map_err(words)?;
    fs::copy(rootfs.join(cut), rootfs.join("probe")).map_err(words)?;
    by_file.create(&[])?.success()?;
    by_file.vial("start", &[])?.success()?;
    lives(by_file)?;
    for name in [cut, ") Z 1 (", "a\nb (x) Z"] {
        let text = format!(":{name}");
        let number = libc::SYS_prctl.to_string();
        let deeds = ["call", &number, "15", &text, "+", "sleep", "3600"];
        let by_itself = Container::started(context, &deeds)?;
        by_itself.printed(1)?;
        lives(by_itself)?;
    }
    Ok(context.nothing_left_since(&before)?)
}

fn exited_main_thread_does_not_hide_a_container(context: &Context) -> Outcome {
    let exit = libc::SYS_exit.to_string();
    let deeds = ["sleep-beside", "3600", "+", "echo", "ready", "+", "call", &exit, "0"];
    let container = Container::started(context, &deeds)?;
    container.printed(1)?;
    let stat = format!("/proc/{}/stat", container.pid()?);
    let state = || fs::read_to_string(&stat).unwrap_or_default();
    wait_until("its main thread to exit", || state().contains(") Z "))?;
    container.is("running")?;
    refused(&container.vial("delete", &[])?, "that is not stopped: running")?;
    container.vial("kill", &["KILL"])?.success()?;
    container.ends()?;
    Ok(container.remove()?)
}

/// /proc hides the process, or shows forged files instead of it.
fn unreadable_process_is_not_taken_for_dead(context: &Context) -> Outcome {
    let container = Container::started(context, &["sleep", "3600"])?;
    let place = format!("/proc/{}", container.pid()?);
    let fake = |name: &str| context.directory.join(name);
    fs::create_dir(fake("nothing")).map_err(words)?;
    fs::create_dir_all(fake("directory/stat")).map_err(words)?;
    fs::create_dir(fake("text")).map_err(words)?;
    fs::write(fake("text/stat"), "7 (sh) Z").map_err(words)?;
    for name in ["nothing", "directory", "text"] {
        let role = format!("covered:{}:{place}", fake(name).display());
        for verb in [&["state"][..], &["kill"], &["delete"], &["delete", "--force"]] {
            let mut command = context.command_as(&role, verb);
            let done = context.run(command.arg(&container.id))?;
            refused(&done, &format!("{place}/stat"))
                .map_err(|why| format!("{verb:?} and {name}: {why}"))?;
        }
    }
    container.is("running")?;
    Ok(container.remove()?)
}

/// A pid may name another process once the container's own has been reaped.
fn process_that_reuses_the_pid_is_left_alone(context: &Context) -> Outcome {
    let container = Container::started(context, &["exit", "0"])?;
    container.ends()?;
    // vial compares start times, which have ticks of 10 ms.
    std::thread::sleep(std::time::Duration::from_millis(30));
    let mut other = Command::new(&context.probe);
    let mut other = other.args(["sleep", "3600"]).spawn().map_err(words)?;
    let path = context.state.join(&container.id).join("state.json");
    let text = fs::read(&path).map_err(words)?;
    let mut state: serde_json::Value = serde_json::from_slice(&text).map_err(words)?;
    state["pid"] = other.id().into();
    fs::write(&path, state.to_string()).map_err(words)?;
    let seen = container.is("stopped");
    let killed = container.vial("kill", &["KILL"]);
    let removed = container.remove();
    let is_there = other.try_wait().map(|status| status.is_none());
    other.kill().and_then(|()| other.wait()).map_err(words)?;
    seen?;
    removed?;
    refused(&killed?, "container not running")?;
    Ok(same("whether the other process exists", is_there.map_err(words)?, true)?)
}

fn ps_escapes_control_characters(context: &Context) -> Outcome {
    let evil = "x\u{1b}[2J\u{7}\ny\u{9b}2J\u{2028}z\u{202e}w\u{2066}";
    let container = Container::started(context, &["sleep", "3600", "+", "echo", evil])?;
    for path in ["/nowhere", "/usr/bin:/bin"] {
        let mut command = context.command(&["ps", &container.id]);
        let done = context.run(command.env("PATH", path))?.success()?;
        same("the lines", done.stdout.lines().count(), 2)
            .map_err(|why| format!("{why}: {done}"))?;
        let steers = |letter: &char| {
            let marks = ['\u{2028}', '\u{202e}', '\u{2066}'];
            (letter.is_control() && *letter != '\n') || marks.contains(letter)
        };
        same("a control character", done.stdout.chars().find(steers), None)?;
        same("the name", done.stdout.contains("/probe"), true)?;
    }
    Ok(container.remove()?)
}

/// The HOME of a container with uid 0, whose /etc/passwd `make` creates in the rootfs.
/// Also checks that it is the same without openat2.
fn home(context: &Context, make: impl Fn(&Path) -> std::io::Result<()>) -> Result<String, String> {
    let bundle = context.bundle(|_| {})?;
    fs::create_dir_all(bundle.rootfs.join("srv")).map_err(words)?;
    make(&bundle.rootfs).map_err(words)?;
    let report = edit::report_of(context, &bundle)?;
    let (calls, id) = ([libc::SYS_openat2], context.id());
    let old = without(context, &calls, libc::ENOSYS, "run", &bundle, &id)?.success()?.json()?;
    let of = |report: &serde_json::Value| report["env"]["HOME"].as_str().map(str::to_owned);
    let passwd = fs::read_link(bundle.rootfs.join("etc/passwd")).unwrap_or_default();
    // Without openat2, vial walks procfs's magic links by their text.
    if !passwd.starts_with("/proc") {
        same("HOME without openat2", of(&old), of(&report))?;
    }
    of(&report).ok_or_else(|| "no HOME".into())
}

const ROOT: &str = "daemon:x:1:1::/wrong:\nroot:x:0:0:root:/the/home:/bin/sh\n";

fn huge_passwd_is_not_read_whole(context: &Context) -> Outcome {
    let began = Instant::now();
    let seen = home(context, |rootfs| {
        let file = File::create(rootfs.join("etc/passwd"))?;
        // The largest sparse file that the file system takes, up to 15 TiB.
        (30..44).rev().find(|bits| file.set_len(15 << bits >> 4).is_ok());
        Ok(())
    })?;
    same("HOME", seen.as_str(), "/")?;
    let soon = began.elapsed() < Duration::from_secs(20);
    same("whether it took less than 20 s", soon, true)?;
    let long = home(context, |rootfs| {
        fs::write(rootfs.join("etc/passwd"), format!("root:x:0:0::/{}:\n", "a".repeat(100_000)))
    })?;
    Ok(same("HOME of a line too long", long.as_str(), "/")?)
}

fn passwd_is_read_through_links_but_only_from_files(context: &Context) -> Outcome {
    let link = |target: &'static str| {
        move |rootfs: &Path| {
            fs::write(rootfs.join("srv/passwd"), ROOT)?;
            symlink(target, rootfs.join("etc/passwd"))
        }
    };
    for target in ["../srv/passwd", "/srv/passwd", "../../../srv/passwd"] {
        same(target, home(context, link(target))?.as_str(), "/the/home")?;
    }
    let magic = ["/proc/self/root/srv/passwd", "/proc/1/root/srv/passwd", "/proc/self/fd/0"];
    let other = ["/proc/self/environ", "/dev/zero", "/dev/console", "/srv", "/nowhere", "passwd"];
    for target in magic.into_iter().chain(other) {
        same(target, home(context, link(target))?.as_str(), "/")?;
    }
    let fifo = home(context, |rootfs| {
        let kind = rustix::fs::FileType::Fifo;
        let path = rootfs.join("etc/passwd");
        Ok(rustix::fs::mknodat(rustix::fs::CWD, &path, kind, Mode::RUSR, 0)?)
    })?;
    Ok(same("HOME of a FIFO", fifo.as_str(), "/")?)
}

/// The container's process chooses its arguments, which here look like passwd(5).
fn home_does_not_come_from_procfs(context: &Context) -> Outcome {
    let deeds = ["echo", ":x:0:0::/of-a-process:", "+", "sleep", "3600"];
    let container = Container::started(context, &deeds)?;
    let passwd = container.bundle.rootfs.join("etc/passwd");
    symlink("/proc/1/cmdline", passwd).map_err(words)?;
    let report = container.vial("exec", &["/probe", "report"])?.success()?.json()?;
    same("HOME", report["env"]["HOME"].as_str(), Some("/"))?;
    Ok(container.remove()?)
}

fn deeply_nested_cgroups_are_listed_and_removed(context: &Context) -> Outcome {
    let before = context.leftovers();
    let container = Container::started(context, &["fork", "1", "+", "sleep", "3600"])?;
    container.printed(1)?;
    let top = cgroup_of(container.pid()?)?;
    let mut here = OwnedFd::from(File::open(&top).map_err(words)?);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    for _ in 0..2200 {
        mkdirat(&here, c"n", Mode::RWXU).map_err(words)?;
        here = openat(&here, c"n", flags, Mode::empty()).map_err(words)?;
    }
    let procs = openat(&here, c"cgroup.procs", OFlags::WRONLY, Mode::empty()).map_err(words)?;
    rustix::io::write(&procs, container.pid()?.to_string().as_bytes()).map_err(words)?;
    let listed = container.pids();
    let killed = context.vial(&["kill", "--all", &container.id, "KILL"]);
    container.remove()?;
    same("the processes", listed?.len(), 2)?;
    killed?.success()?;
    same("whether its cgroup exists", top.exists(), false)?;
    Ok(context.nothing_left_since(&before)?)
}

fn cgroups_may_have_any_name(context: &Context) -> Outcome {
    let before = context.leftovers();
    let container = Container::started(context, &["sleep", "3600"])?;
    let below = cgroup_of(container.pid()?)?.join(OsStr::from_bytes(b"\xff) \x1b"));
    fs::create_dir(&below).map_err(words)?;
    fs::write(below.join("cgroup.procs"), container.pid()?.to_string()).map_err(words)?;
    same("ps", container.pids()?, [container.pid()?])?;
    container.vial("exec", &["/probe", "exit", "0"])?.success()?;
    container.remove()?;
    // vial creates the container's cgroup beside its own, whose parent has an odd name.
    let mut name = context.tag.clone().into_bytes();
    name.push(0xff);
    let own = cgroup_of(std::process::id())?;
    let odd = own.join(OsStr::from_bytes(&name));
    let inner = odd.join("caller");
    fs::create_dir_all(&inner).map_err(words)?;
    let enter = |cgroup: &Path| fs::write(cgroup.join("cgroup.procs"), "0").map_err(words);
    enter(&inner)?;
    let made = Container::started(context, &["sleep", "3600"]).and_then(|container| {
        let place = cgroup_of(container.pid()?)?;
        Ok((container, place))
    });
    enter(&own)?;
    let (container, place) = made?;
    same("its cgroup's parent", place.parent(), Some(odd.as_path()))?;
    container.is("running")?;
    container.vial("exec", &["/probe", "exit", "0"])?.success()?;
    container.remove()?;
    fs::remove_dir(&inner).and_then(|()| fs::remove_dir(&odd)).map_err(words)?;
    Ok(context.nothing_left_since(&before)?)
}
